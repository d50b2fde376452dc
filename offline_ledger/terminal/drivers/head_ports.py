"""The port that a reader head's setting names, and whether another head stands beside it. DESIGN §11.

A setting is a port, or a pattern that one port shall match. Opens nothing.
"""

import errno
import os
from collections.abc import Mapping

from offline_ledger.errors import TwoHeads

NAMED_MAX = 4  # ports that a refusal names; a pattern that matches more is a wrong one
_WILD = "*?["


class HeadPorts:
    """One setting. For one thread."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._is_pattern = any(sign in path for sign in _WILD)
        self._used = ""  # where the name found last led to

    def find(self) -> str:
        """The one port that the setting names. Raises `TwoHeads`, OSError."""
        if not self._is_pattern:
            return self._path
        ports = self._matching()
        if len(ports) > 1:
            raise self._two(ports)
        if not ports:
            raise FileNotFoundError(errno.ENOENT, "no port matches")
        self._used = next(iter(ports))
        return ports[self._used]

    def second(self) -> TwoHeads | None:
        """Does another port match by now, beside the one that `find` gave? Asks the folder: some 0.1 ms."""
        if not self._is_pattern:
            return None
        ports = self._matching()
        return self._two(ports) if self._used in ports and len(ports) > 1 else None

    def _matching(self) -> Mapping[str, str]:
        """Where they lead to → a name; two names of one port are one."""
        from glob import glob  # most terminals name the port outright

        return {os.path.realpath(found): found for found in sorted(glob(self._path))}

    def _two(self, ports: Mapping[str, str]) -> TwoHeads:
        more = ["…"] if len(ports) > NAMED_MAX else []
        return TwoHeads(f"{self._path}: {', '.join([*sorted(ports)[:NAMED_MAX], *more])}")

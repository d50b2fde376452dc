"""A program that loses its power at one step of provisioning: the real code in a process of its own, killed.

    python -m tests.flash.provision_cut STEP FOLDER PROGRAM WORD...

STEP: at which opening for writing, new name, rename or removal below FOLDER, or value kept in journal or record, it
is killed (SIGKILL); 0: never, and the number of steps is the last line on standard error. PROGRAM: a module.
"""

import os
import signal
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
NAMES = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link")
KEPT = (("offline_ledger.terminal.journal", "Journal", "meta_put"), ("firmware.flash.record", "Record", "write"))


class Cut:
    """Counts, and kills its own process at one step."""

    def __init__(self, at: int, below: str) -> None:
        self.at, self.below, self.count = at, below, 0

    def hear(self, event: str, words: tuple[Any, ...]) -> None:
        """Every audited event (sys.addaudithook)."""
        is_written = event == "open" and isinstance(words[2], int) and words[2] & WRITES
        if (event in NAMES or is_written) and str(words[0]).startswith(self.below):
            self.step()

    def step(self) -> None:
        """One more."""
        self.count += 1
        if self.count == self.at:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(self, kept: Callable[..., Any]) -> Callable[..., Any]:
        """Before what it keeps, and after."""

        def keeping(*words: Any, **named: Any) -> Any:
            self.step()
            done = kept(*words, **named)
            self.step()
            return done

        return keeping


def main() -> int:
    """See above."""
    cut = Cut(int(sys.argv[1]), sys.argv[2])
    for module, name, kept in KEPT:
        owner = getattr(import_module(module), name)
        setattr(owner, kept, cut.around(getattr(owner, kept)))
    program = import_module(f"{sys.argv[3]}.__main__")
    sys.addaudithook(cut.hear)
    sys.argv = sys.argv[3:]
    code = program.main()
    sys.stderr.write(f"\n{cut.count}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())

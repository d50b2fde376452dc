"""What a card keeps when the power goes: one file, old or new, never between.

docs/card.md "The rules that keep it honest". Written aside, synced, renamed, the folder synced. `on_write` hears of
each stage, so that a card can be torn there. The key lies open in the file: TEST ONLY, never a real card's.
"""

import json
import os
from collections.abc import Callable
from enum import Enum
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from offline_ledger.files import sync_folder


class Purse(NamedTuple):
    """`sum_kgo` is S before intent n, `authorised_kgo` what n authorised; `payment` its signed bytes, for the request
    `request_hash`. `closing`: the signed end of the allowance; until the next one nothing is paid."""

    secret_test_only: int = 0
    city: str = ""
    issuer_points: tuple[bytes, ...] = ()
    allowance: bytes = b""
    n: int = 0
    sum_kgo: int = 0
    authorised_kgo: int = 0
    request_hash: bytes = b""
    payment: bytes = b""
    closing: bytes = b""


class WriteStage(Enum):
    """Where in a write the power can go."""

    BEFORE = "before"
    ASIDE = "aside"
    """The new state is written beside the old one, which still counts."""
    AFTER = "after"


class PurseDamaged(Exception):
    """The file's sum does not fit: the chip must not go on with it."""


class PurseFile:
    """The chip's store."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.on_write: Callable[[WriteStage], None] = lambda _stage: None

    def load(self) -> Purse:
        """The state; a blank one when there is no file. Raises PurseDamaged."""
        if not self._path.exists():
            return Purse()
        try:
            said = json.loads(self._path.read_text())
            fields = said["purse"]
            if said["sha256"] != _sum(fields):
                raise PurseDamaged(str(self._path))
            return Purse(
                int(fields["secret_test_only"], 16),
                fields["city"],
                tuple(map(bytes.fromhex, fields["issuer_points"])),
                bytes.fromhex(fields["allowance"]),
                fields["n"],
                fields["sum_kgo"],
                fields["authorised_kgo"],
                bytes.fromhex(fields["request_hash"]),
                bytes.fromhex(fields["payment"]),
                bytes.fromhex(fields["closing"]),
            )
        except (ValueError, KeyError, TypeError) as error:
            raise PurseDamaged(str(self._path)) from error

    def keep(self, purse: Purse) -> None:
        """The new state, durable when this returns."""
        fields = purse._asdict() | {
            "secret_test_only": f"{purse.secret_test_only:064x}",
            "issuer_points": [point.hex() for point in purse.issuer_points],
        }
        fields |= {name: value.hex() for name, value in fields.items() if isinstance(value, bytes)}
        aside = self._path.with_suffix(".new")
        self.on_write(WriteStage.BEFORE)
        with aside.open("w") as file:
            json.dump({"purse": fields, "sha256": _sum(fields)}, file)
            file.flush()
            os.fsync(file.fileno())
        self.on_write(WriteStage.ASIDE)
        os.replace(aside, self._path)
        sync_folder(self._path.parent)
        self.on_write(WriteStage.AFTER)


def _sum(fields: dict[str, object]) -> str:
    return sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()

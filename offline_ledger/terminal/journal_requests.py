"""Payment requests that wait for their payment, in the journal's small values: before a wallet sees one. DESIGN §2, §4.

A key of its own for each, so that a tap writes only its own. The voucher that answers a request removes it in the same
transaction. Plans statements; the journal commits them.
"""

from collections.abc import Sequence

from offline_ledger.errors import JournalDamaged
from offline_ledger.terminal.journal_disk import JournalDisk
from offline_ledger.terminal.journal_reading import as_bytes
from offline_ledger.terminal.journal_schema import PUT_META
from offline_ledger.terminal.journal_sql import Statement

PREFIX = "request."
_END = "request/"
"""The key behind all of them: "/" follows "."."""


def opened(request_hash: bytes, kept: bytes) -> Statement:
    """Keeps what the terminal wants to know of it."""
    return (PUT_META, (PREFIX + request_hash.hex(), kept))


def closed(request_hashes: Sequence[bytes]) -> list[Statement]:
    """Forgets them: answered, cancelled, or too old for any answer."""
    return [("DELETE FROM meta WHERE key = ?", (PREFIX + one.hex(),)) for one in request_hashes]


def read_open(disk: JournalDisk) -> dict[bytes, bytes]:
    """What is kept, by request hash. Raises JournalDamaged."""
    rows = disk.fetch("SELECT key, value FROM meta WHERE key >= ? AND key < ?", (PREFIX, _END))
    try:
        return {bytes.fromhex(str(key).removeprefix(PREFIX)): as_bytes(value) for key, value in rows}
    except ValueError as error:
        raise JournalDamaged("a kept payment request has no hash") from error

"""Tables, statements and row checksums of the journal. DESIGN §6.

One table holds vouchers and events in the order they happened, so that a tap with the ratification of the tap before it
dirties one page. A row's id is `sequence << EVENT_BITS | k`: k = 0 is the voucher itself, k >= 1 the events after it.
Every row carries running totals (event number, value, refusals, ratified through), so that opening a journal of a
million rows reads two of them. Never knows what the bytes mean.
"""

from struct import Struct
from typing import NamedTuple
from zlib import crc32

from offline_ledger.errors import JournalDamaged
from offline_ledger.terminal.journal_rows import NO_IDENTITY, EventRow, PassState, VoucherRow
from offline_ledger.terminal.journal_sql import Row, SqlValue

SCHEMA_VERSION = 1
"""What an older program could not read gets another one, and then no older program opens the journal."""
PAGE_BYTES = 2048
"""Half of SQLite's usual page: three vouchers with their wallet objects fit, and a commit writes half as much."""
EVENT_BITS = 24
EVENT_MASK = (1 << EVENT_BITS) - 1
SEQUENCE_MAX = (1 << (63 - EVENT_BITS)) - 1

CREATE = (
    "CREATE TABLE meta(key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID",
    "CREATE TABLE entries(id INTEGER PRIMARY KEY, kind INTEGER NOT NULL, body BLOB NOT NULL, identity BLOB NOT NULL,"
    " previous BLOB NOT NULL, event_number INTEGER NOT NULL, event_id INTEGER NOT NULL, kgo_sum INTEGER NOT NULL,"
    " refusals INTEGER NOT NULL, ratified_through INTEGER NOT NULL, crc INTEGER NOT NULL, at_s INTEGER, kgo INTEGER,"
    " thb_satang INTEGER, pass_id BLOB, wallet_object BLOB, allowance_hash BLOB, allowance_at INTEGER, allowance BLOB)",
    "CREATE TABLE pass_state(pass_id BLOB PRIMARY KEY, last_n INTEGER NOT NULL, last_s_kgo INTEGER NOT NULL,"
    " last_authorised_kgo INTEGER NOT NULL, spent_here_kgo INTEGER NOT NULL, last_sequence INTEGER NOT NULL,"
    " last_identity BLOB NOT NULL, last_at_s INTEGER NOT NULL, expiry_s INTEGER NOT NULL,"
    " allowance_at INTEGER NOT NULL, crc INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE kept_allowances(pass_id BLOB NOT NULL, sequence INTEGER NOT NULL, hash BLOB NOT NULL,"
    " allowance BLOB NOT NULL, PRIMARY KEY(pass_id, sequence)) WITHOUT ROWID",
    "CREATE TABLE coupons(coupon_id BLOB PRIMARY KEY, sequence INTEGER NOT NULL, expiry_s INTEGER NOT NULL)"
    " WITHOUT ROWID",
    "CREATE TABLE unratified(sequence INTEGER PRIMARY KEY, settled INTEGER NOT NULL)",
    "CREATE TABLE acks(id INTEGER PRIMARY KEY CHECK(id = 1), body BLOB NOT NULL, sequence INTEGER NOT NULL,"
    " event_number INTEGER NOT NULL, event_id INTEGER NOT NULL, kgo_sum INTEGER NOT NULL, refusals INTEGER NOT NULL)",
)
REVISIONS: tuple[tuple[str, ...], ...] = ()
"""What later versions have added to `CREATE`, in order: columns that may be empty, tables and indices. A program of an
earlier revision reads and writes the journal all the same, so that a version can be taken back (decision 0215)."""
SETTLED_CHARGED, SETTLED_UNCHARGED = 1, 2
"""How the wait of an unratified voucher ended; 0: it waits."""
SMALL_TABLES = ("meta", "unratified", "acks", "kept_allowances")

INSERT_EVENT = (
    "INSERT INTO entries(id, kind, body, identity, previous, event_number, event_id, kgo_sum, refusals,"
    " ratified_through, crc) VALUES(?,?,?,?,?,?,?,?,?,?,?)"
)
PUT_META = "REPLACE INTO meta(key, value) VALUES(?, ?)"
STATE_COLUMNS = (
    "pass_id, last_n, last_s_kgo, last_authorised_kgo, spent_here_kgo, last_sequence, last_identity, last_at_s,"
    " expiry_s, allowance_at, crc"
)
PUT_STATE = f"REPLACE INTO pass_state({STATE_COLUMNS}) VALUES({','.join('?' * 11)})"
GET_STATE = f"SELECT {STATE_COLUMNS} FROM pass_state WHERE pass_id = ?"
ENTRY_COLUMNS = (
    "id, kind, body, identity, previous, event_number, event_id, kgo_sum, refusals, ratified_through, crc, at_s, kgo,"
    " thb_satang, pass_id, wallet_object, allowance_hash, allowance_at, allowance"
)
INSERT_VOUCHER = f"INSERT INTO entries({ENTRY_COLUMNS}) VALUES({','.join('?' * 19)})"

_RUNNING = Struct(">11q")
_STATE = Struct(">8q")


class Running(NamedTuple):
    """What the last row of the journal says about all rows up to it."""

    last_id: int = 0
    sequence: int = 0
    identity: bytes = NO_IDENTITY
    at_s: int = 0
    event_number: int = 0
    event_id: int = 0
    event_head: bytes = NO_IDENTITY
    kgo_sum: int = 0
    refusals: int = 0
    ratified_through: int = 0


class Entry(NamedTuple):
    """One row of `entries`, checked against its checksum."""

    id: int
    kind: int
    body: bytes
    identity: bytes  # of the voucher; for an event: the event head after it
    previous: bytes  # the same, one earlier
    event_number: int
    event_id: int
    kgo_sum: int
    refusals: int
    ratified_through: int
    crc: int
    at_s: int
    kgo: int
    thb_satang: int
    pass_id: bytes | None
    wallet_object: bytes | None
    allowance_hash: bytes | None
    allowance_at: int
    allowance: bytes | None

    @property
    def sequence(self) -> int:
        return self.id >> EVENT_BITS

    @property
    def is_voucher(self) -> bool:
        return not self.id & EVENT_MASK

    def as_voucher(self) -> VoucherRow:
        return VoucherRow(
            sequence=self.sequence,
            previous=self.previous,
            identity=self.identity,
            voucher=self.body,
            wallet_object=self.wallet_object,
            allowance_hash=self.allowance_hash,
            pass_id=self.pass_id,
            kgo=self.kgo,
            thb_satang=self.thb_satang,
            at_s=self.at_s,
            kind=self.kind,
        )

    def as_event(self) -> EventRow:
        return EventRow(self.event_number, self.kind, self.body, self.previous)


def voucher_bindings(row: VoucherRow, now: Running, allowance: bytes | None, allowance_at: int) -> tuple[SqlValue, ...]:
    """Values for INSERT_VOUCHER; `now` already counts this voucher."""
    crc = crc32(
        b"".join(
            (
                _RUNNING.pack(
                    now.last_id,
                    row.kind,
                    now.event_number,
                    now.event_id,
                    now.kgo_sum,
                    now.refusals,
                    now.ratified_through,
                    row.at_s,
                    row.kgo,
                    row.thb_satang,
                    allowance_at,
                ),
                row.voucher,
                row.identity,
                row.previous,
                row.pass_id or b"",
                row.wallet_object or b"",
                row.allowance_hash or b"",
                allowance or b"",
            )
        )
    )
    return (
        now.last_id,
        row.kind,
        row.voucher,
        row.identity,
        row.previous,
        now.event_number,
        now.event_id,
        now.kgo_sum,
        now.refusals,
        now.ratified_through,
        crc,
        row.at_s,
        row.kgo,
        row.thb_satang,
        row.pass_id,
        row.wallet_object,
        row.allowance_hash,
        allowance_at,
        allowance,
    )


def event_bindings(kind: int, body: bytes, previous: bytes, now: Running) -> tuple[SqlValue, ...]:
    """Values for INSERT_EVENT; `now` already counts this event."""
    packed = _RUNNING.pack(
        now.last_id, kind, now.event_number, now.event_id, now.kgo_sum, now.refusals, now.ratified_through, 0, 0, 0, 0
    )
    crc = crc32(b"".join((packed, body, now.event_head, previous)))
    return (
        now.last_id,
        kind,
        body,
        now.event_head,
        previous,
        now.event_number,
        now.event_id,
        now.kgo_sum,
        now.refusals,
        now.ratified_through,
        crc,
    )


def checked_entry(values: Row) -> Entry:
    """The row as an Entry. Raises JournalDamaged when its checksum does not fit: a flipped bit, a torn page."""
    try:
        at_s, kgo, thb_satang, allowance_at = values[11] or 0, values[12] or 0, values[13] or 0, values[17] or 0
        row = Entry(*values[:11], at_s, kgo, thb_satang, *values[14:17], allowance_at, values[18])  # type: ignore[arg-type]
        packed = _RUNNING.pack(
            row.id,
            row.kind,
            row.event_number,
            row.event_id,
            row.kgo_sum,
            row.refusals,
            row.ratified_through,
            row.at_s,
            row.kgo,
            row.thb_satang,
            row.allowance_at,
        )
        rest = (row.pass_id, row.wallet_object, row.allowance_hash, row.allowance)
        crc = crc32(b"".join((packed, row.body, row.identity, row.previous, *(part or b"" for part in rest))))
    except Exception as error:  # a damaged page can put any type into any column
        raise JournalDamaged(f"row {values[0]!r} is not a journal row") from error
    if crc != row.crc:
        raise JournalDamaged(f"checksum of sequence {row.sequence}, entry {row.id & EVENT_MASK}")
    return row


def state_bindings(state: PassState, allowance_at: int) -> tuple[SqlValue, ...]:
    """Values for PUT_STATE."""
    return (
        state.pass_id,
        state.last_n,
        state.last_s_kgo,
        state.last_authorised_kgo,
        state.spent_here_kgo,
        state.last_sequence,
        state.last_identity,
        state.last_at_s,
        state.expiry_s,
        allowance_at,
        _state_crc(state, allowance_at),
    )


def checked_state(values: Row) -> tuple[PassState, int]:
    """The stored state and where its allowance is kept. Raises JournalDamaged."""
    try:
        state = PassState(*values[:9])  # type: ignore[arg-type]
        allowance_at, crc = values[9], values[10]
        assert isinstance(allowance_at, int)
        sound = _state_crc(state, allowance_at) == crc
    except Exception as error:  # as above
        raise JournalDamaged("a pass state row is not one") from error
    if not sound:
        raise JournalDamaged(f"checksum of pass state {state.pass_id.hex()}")
    return state, allowance_at


def _state_crc(state: PassState, allowance_at: int) -> int:
    packed = _STATE.pack(
        state.last_n,
        state.last_s_kgo,
        state.last_authorised_kgo,
        state.spent_here_kgo,
        state.last_sequence,
        state.last_at_s,
        state.expiry_s,
        allowance_at,
    )
    return crc32(b"".join((packed, state.pass_id, state.last_identity)))

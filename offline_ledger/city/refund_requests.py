"""What tills ask to be given back of other tills' sales: kept as it came, judged by rules, decided by a person.
DESIGN §5, §8; decision 0194.

A request promises nothing and moves nothing. What can never be right is declined when it comes; the rest waits, with
what stands against it now. Approving posts the same entries as a refund voucher, once, and never more than is left.
"""

from dataclasses import dataclass
from typing import cast

from offline_ledger.city import decisions, posting_links, returning
from offline_ledger.city.accounts import Books
from offline_ledger.city.bench import Bench
from offline_ledger.city.branches import Branches
from offline_ledger.city.charging import Charging
from offline_ledger.city.posting import Payee
from offline_ledger.city.pricing import Prices
from offline_ledger.city.returning import RequestState
from offline_ledger.city.store import Row, Store
from offline_ledger.errors import (
    DeviceBlocked,
    RefundAboveRest,
    RefundInvalid,
    RefundOfNoSale,
    RefundOfOtherOwner,
    RefundOriginalNotHere,
    RefundOriginalUnknown,
    RefundRequestDecided,
    RefundRequestsTooMany,
    RefundRequestUnknown,
    Refusal,
)
from offline_ledger.money import format_minor
from offline_ledger.protocol import cose
from offline_ledger.protocol.city import Outcome
from offline_ledger.protocol.device import VoucherKind
from offline_ledger.protocol.kinds import HASH_BYTES, OBJECT_BYTES_MAX, Kind
from offline_ledger.protocol.refund_request import (
    NUMBER_HEX,
    REFUND_REQUEST,
    RefundRequest,
    number_of,
    request_in,
)
from offline_ledger.rules.limits import Limits

WAITING_MAX = 200
"""Of one terminal; what it asks beyond is kept and declined, so that one cannot bury the others."""
ROWS_MAX = 10_000
_COLUMNS = (
    "identity, device, raw, original_device, original_sequence, kgo, at_s, received_at_s, state, refusal, decided_at_s,"
    " note"
)


@dataclass(frozen=True, slots=True)
class Asked:
    """One request. `number`: as on the slip; `refusal`: why it was declined when it came, or, while it waits, what
    stands against it now; 0 for nothing. `asked`: as the terminal signed it."""

    number: str
    identity: bytes
    asked: RefundRequest
    received_at_s: int
    state: RequestState
    refusal: int
    decided_at_s: int | None
    note: str


# --- inside the transaction of a batch


def take(bench: Bench, device_id: str, event_number: int, body: bytes) -> None:
    """Keeps the request in an event, once. What is no request of this very device is an event like any other."""
    store = bench.store
    read = request_in(body, store.city)
    if read is None:
        return
    signed, request = read
    row = store.one("SELECT point FROM devices WHERE device = ?", (device_id,))
    if request.device != device_id or row is None or not cose.is_signature_of(signed, cose.verify_key(row[0])):
        return
    refusal = _declined_at_once(store, request)
    state = RequestState.DECLINED if refusal else RequestState.WAITING
    decided_at_s = bench.now_s if refusal else None
    store.execute(
        "INSERT OR IGNORE INTO refund_requests VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, '')",
        (
            *(signed.identity, device_id, event_number, signed.raw, request.original_device),
            *(request.original_sequence, request.kgo, request.at_s, bench.now_s, state, refusal, decided_at_s),
        ),
    )


def _declined_at_once(store: Store, request: RefundRequest) -> int:
    try:
        _check_original(store, request)
    except RefundOriginalNotHere:
        pass
    except Refusal as refusal:
        return refusal.number
    row = store.one("SELECT count(*) FROM refund_requests WHERE device = ? AND state = 0", (request.device,))
    return RefundRequestsTooMany.number if row is not None and row[0] >= WAITING_MAX else 0


def _check_original(store: Store, request: RefundRequest) -> None:
    """What does not change any more once the original is here. Raises RefundInvalid, RefundOriginalUnknown,
    RefundOfOtherOwner, RefundOfNoSale, RefundAboveRest, RefundOriginalNotHere."""
    if request.original_device == request.device:
        raise RefundInvalid("of its own sale")
    named = f"{request.original_device}/{request.original_sequence}"
    owners = dict(
        cast(
            list[tuple[str, str]],
            store.fetch(
                "SELECT device, owner FROM devices WHERE device IN (?, ?)", (request.device, request.original_device)
            ),
        )
    )
    if request.original_device not in owners:
        raise RefundOriginalUnknown(named)
    if owners[request.original_device] != owners[request.device]:
        raise RefundOfOtherOwner(named)
    row = store.one(
        "SELECT identity, kind, kgo, outcome FROM vouchers WHERE device = ? AND sequence = ?",
        (request.original_device, request.original_sequence),
    )
    if row is None:
        raise RefundOriginalNotHere(named)
    identity, kind, kgo, outcome = row
    if identity != request.original:
        raise RefundOriginalUnknown(named)
    if kind != VoucherKind.SALE or outcome == Outcome.REJECTED:
        raise RefundOfNoSale(named)
    if request.kgo > kgo:
        raise RefundAboveRest(f"{format_minor(request.kgo)} of {format_minor(kgo)}")
    if outcome == Outcome.HELD:
        raise RefundOriginalNotHere(named)


# --- the operator's


def listed(store: Store, limits: Limits, now_s: int, *, closed_too: bool) -> list[Asked]:
    """Those that wait, oldest first, at most ROWS_MAX; with `closed_too` those that were decided as well."""
    rows = store.fetch(
        f"SELECT {_COLUMNS} FROM refund_requests WHERE ? OR state = 0 ORDER BY received_at_s, identity LIMIT ?",
        (int(closed_too), ROWS_MAX),
    )
    bench = Bench(store, Books(store, now_s), Prices(store), limits, now_s)
    return [_asked(bench, row) for row in rows]


def _asked(bench: Bench, row: Row) -> Asked:
    identity, raw = row[0], row[2]
    signed = cose.parse_sign1(raw, cose.external_aad(Kind.REFUND_REQUEST, bench.store.city))
    request = REFUND_REQUEST.decode(signed.payload, OBJECT_BYTES_MAX)
    state, refusal = RequestState(row[8]), row[9]
    if state is RequestState.WAITING:
        try:
            _check_payable(bench, request)
        except Refusal as against:
            refusal = against.number
    return Asked(number_of(identity), identity, request, row[7], state, refusal, row[10], row[11])


def _check_payable(bench: Bench, request: RefundRequest) -> returning.Left:
    """What is left of the original, if the request can be paid now. Raises what `_check_original` raises,
    DeviceBlocked (of the terminal that asks)."""
    store = bench.store
    _check_original(store, request)
    row = store.one("SELECT blocked FROM devices WHERE device = ?", (request.device,))
    if row is None or row[0]:
        raise DeviceBlocked(request.device)
    left = returning.left_of(bench, request.original_device, request.original_sequence)
    if request.kgo > left.kgo:
        raise RefundAboveRest(f"{format_minor(request.kgo)} of {format_minor(max(left.kgo, 0))}")
    return left


def find(store: Store, typed: str) -> tuple[bytes, RefundRequest, RequestState]:
    """The request of this number: its first digits as on the slip, or more of them. Raises RefundRequestUnknown."""
    digits = "".join(typed.split()).replace("-", "").upper()
    if not NUMBER_HEX <= len(digits) <= 2 * HASH_BYTES or set(digits) - set("0123456789ABCDEF"):
        raise RefundRequestUnknown(typed[:70])
    rows = store.fetch(
        "SELECT identity, raw, state FROM refund_requests WHERE substr(hex(identity), 1, ?) = ? LIMIT 2",
        (len(digits), digits),
    )
    if len(rows) != 1:
        raise RefundRequestUnknown(f"{typed[:70]}: several" if rows else typed[:70])
    identity, raw, state = rows[0]
    signed = cose.parse_sign1(raw, cose.external_aad(Kind.REFUND_REQUEST, store.city))
    return identity, REFUND_REQUEST.decode(signed.payload, OBJECT_BYTES_MAX), RequestState(state)


def approve(store: Store, limits: Limits, typed: str, note: str, now_s: int) -> RefundRequest:
    """Gives the KGO back to the wallet that paid: what was approved. Raises RefundRequestUnknown, RefundRequestDecided,
    and what stands against it now."""
    note = note.strip()
    with store.transaction():
        identity, request, state = find(store, typed)
        if state is not RequestState.WAITING:
            raise RefundRequestDecided(number_of(identity))
        bench = Bench(store, Books(store, now_s), Prices(store), limits, now_s)
        left = _check_payable(bench, request)
        original = (request.original_device, request.original_sequence)
        row = store.one("SELECT owner FROM devices WHERE device = ?", (request.original_device,))
        assert row is not None  # its voucher is here
        payee = Payee(decisions.owner_kind(store, row[0], request.original_device), row[0])
        said = posting_links.note_of_request(identity, note)
        returning.post_back(bench, original, left, (request.kgo, 0), payee, said)
        returning.claw_back(bench, request.kgo, said, original, left)
        _decide(store, identity, RequestState.APPROVED, note, now_s)
        Charging(bench, Branches(store)).given_back(*original)
        bench.books.write()
    return request


def decline(store: Store, typed: str, note: str, now_s: int) -> RefundRequest:
    """Nothing goes back; the reason is kept. Raises RefundRequestUnknown, RefundRequestDecided."""
    with store.transaction():
        identity, request, state = find(store, typed)
        if state is not RequestState.WAITING:
            raise RefundRequestDecided(number_of(identity))
        _decide(store, identity, RequestState.DECLINED, note, now_s)
    return request


def _decide(store: Store, identity: bytes, state: RequestState, note: str, now_s: int) -> None:
    store.execute(
        "UPDATE refund_requests SET state = ?, decided_at_s = ?, note = ? WHERE identity = ?",
        (state, now_s, note, identity),
    )

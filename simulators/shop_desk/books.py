"""A counter's three books, read back by code that did not write them: journal, shop's file, ledger. DESIGN §6.

Receipts are what the shop's file says was sold, the journal what was signed and in whose shift, the ledger what the
city took in. Copies are read. Reckons every sum anew and says in words where two books differ; repairs nothing.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from offline_ledger.protocol import cbor, cose, device
from offline_ledger.protocol.city import Outcome
from offline_ledger.protocol.device import EVENT_BYTES_MAX, EventKind, PlaceKey, Voucher, VoucherKind
from offline_ledger.protocol.kinds import OBJECT_BYTES_MAX, Kind
from offline_ledger.protocol.shop_event import ShopEvent, ShopEventKind, decode_shop_event
from simulators.demo.reader_files import EVENT_BITS, EVENT_MASK, open_copy, rows

OPEN, HELD, CLOSED, DROPPED = 1, 2, 3, 4
"""States of a sale in the shop's file."""
GIVES_BACK = (VoucherKind.REFUND, VoucherKind.VOID)
MONEY = ("cash", "promptpay")
BETWEEN = (ShopEventKind.DRAWER_OPENED, ShopEventKind.AUDIT_HEAD)
"""What may happen while no shift is open."""


class Back(NamedTuple):
    """What went back once, as the receipt has it."""

    sequence: int
    is_void: bool
    goods_satang: int
    kgo: int
    money_satang: int


class Sold(NamedTuple):
    """One row of the shop's file. `paid`: (kind, satang, kgo, given, sequence)."""

    sale: str
    state: int
    number: int
    shift: int
    bill_satang: int
    pieces: int
    discounts_satang: int
    vat_satang: int
    paid: tuple[tuple[str, int, int, int, int], ...]
    back: tuple[Back, ...]
    asked_kgo: int = 0

    def by(self, *kinds: str) -> int:
        """What of the bill these ways paid."""
        return sum(satang for kind, satang, *_ in self.paid if kind in kinds)

    @property
    def kgo(self) -> int:
        """Of all its vouchers."""
        return sum(kgo for _kind, _satang, kgo, *_ in self.paid)


class Paper(NamedTuple):
    """One job of the printer: `kind`, `number` and sums as they were printed."""

    id: int
    kind: str
    number: str
    state: str
    is_copy: bool
    printed: Mapping[str, Any]


class Taken(NamedTuple):
    """One voucher at the city."""

    identity: bytes
    outcome: int
    at_s: int
    received_at_s: int


class Books(NamedTuple):
    """All three. `not_charged`: sequences of sales that were cancelled before their green."""

    sold: Mapping[str, Sold]
    papers: tuple[Paper, ...]
    vouchers: tuple[tuple[bytes, Voucher], ...]
    events: tuple[ShopEvent, ...]
    not_charged: frozenset[int]
    city_vouchers: Mapping[int, Taken]
    city_events: tuple[ShopEvent, ...]

    @property
    def closed(self) -> list[Sold]:
        """The receipts, by number."""
        return sorted((one for one in self.sold.values() if one.state == CLOSED), key=lambda one: one.number)

    def events_of(self, kind: ShopEventKind, shift: int | None = None) -> list[ShopEvent]:
        """In their order."""
        return [one for one in self.events if one.what == kind and shift in (None, one.shift)]


def read_books(folder: Path, ledger: Path, city: str, device_id: str, scratch: Path) -> Books:
    """`folder`: of the till. Works beside running programs, as of about now."""
    with closing(open_copy(folder / "shop.db", scratch / "shop")) as file:
        sold = {row[0]: _sold(*row) for row in rows(file, "SELECT sale, state, body FROM sales")}
        papers = tuple(_paper(*row) for row in rows(file, "SELECT id, number, state, copy, receipt FROM print_jobs"))
    with closing(open_copy(folder / "journal.db", scratch / "journal")) as file:
        entries = rows(file, "SELECT id, kind, body FROM entries ORDER BY id")
    vouchers = tuple(_voucher(body, city) for id_, _kind, body in entries if not id_ & EVENT_MASK)
    ours = [(kind, body) for id_, kind, body in entries if id_ & EVENT_MASK]
    with closing(open_copy(ledger, scratch / "ledger")) as file:
        where = f"WHERE device = '{device_id}' ORDER BY"
        taken = rows(file, f"SELECT sequence, identity, outcome, at_s, received_at_s FROM vouchers {where} sequence")
        theirs = rows(file, f"SELECT kind, body FROM events {where} number")
    assert [id_ >> EVENT_BITS for id_, *_ in entries] == sorted(id_ >> EVENT_BITS for id_, *_ in entries)
    return Books(
        sold,
        papers,
        vouchers,
        _shop_events(ours),
        frozenset(_not_charged(ours)),
        {row[0]: Taken(*row[1:]) for row in taken},
        _shop_events(theirs),
    )


def faults(books: Books, *, is_synced: bool) -> list[str]:
    """Where they differ, in words; empty: they agree. `is_synced`: the city has had time to hear of everything."""
    return [*_receipts(books), *_signed(books), *_shifts(books), *_papers(books), *_at_city(books, is_synced)]


# --- what differs


def _receipts(books: Books) -> Iterable[str]:
    """Each receipt adds up, and has one voucher and one event that say the same."""
    by_sequence = {one.sequence: one for _identity, one in books.vouchers}
    told = Counter(one.refers for one in books.events_of(ShopEventKind.SALE_CLOSED))
    events = {one.refers: one for one in books.events_of(ShopEventKind.SALE_CLOSED)}
    numbers = Counter(one.number for one in books.closed)
    for sale in books.closed:
        name = f"receipt {sale.number} ({sale.sale})"
        if numbers[sale.number] != 1 or told[sale.number] != 1:
            yield f"{name}: {numbers[sale.number]} receipts, {told[sale.number]} events of this number"
            continue
        if sum(satang for _kind, satang, *_ in sale.paid) != sale.bill_satang:
            yield f"{name}: tenders {sale.paid} are not its bill of {sale.bill_satang}"
        if any(given and given < satang for _kind, satang, _kgo, given, _sequence in sale.paid):
            yield f"{name}: less cash was given than it paid"
        made = by_sequence.get(sale.number)
        if made is None or made.kind != VoucherKind.SALE or made.place.get(PlaceKey.SALE) != sale.sale:
            yield f"{name}: voucher {sale.number} is not its own"
            continue
        signed = (made.kgo, made.satang, made.place.get(PlaceKey.BILL_SATANG), made.place.get(PlaceKey.VERIFIED_SATANG))
        if signed != (sale.kgo, sale.by(*MONEY), sale.bill_satang, 0):
            yield f"{name}: its voucher says {signed}"
        sums = (
            sale.bill_satang, sale.kgo, sale.by("kgo"), sale.by("coupon"), sale.by("cash"), sale.by("promptpay"),
            sale.vat_satang, sale.pieces, sale.discounts_satang, 0,
        )  # fmt: skip
        event = events[sale.number]
        if event.sums != sums or event.shift != sale.shift:
            yield f"{name}: sums {sums} in shift {sale.shift}, its event has {event.sums} in {event.shift}"
    for refers in told.keys() - numbers.keys():
        yield f"an event closes sale {refers}, which has no receipt"


def _signed(books: Books) -> Iterable[str]:
    """Each voucher that charges or gives back belongs to a sale; nothing is charged twice or given back twice."""
    charged: Counter[object] = Counter()
    given: dict[int, list[Voucher]] = {}
    by_sequence = {one.sequence: one for _identity, one in books.vouchers}
    for _identity, made in books.vouchers:
        if made.kind in GIVES_BACK and made.refers_to is not None:
            given.setdefault(made.refers_to, []).append(made)
    for _identity, made in books.vouchers:
        if made.kind != VoucherKind.SALE or made.sequence in books.not_charged:
            continue
        name = made.place.get(PlaceKey.SALE)
        charged[name] += 1
        sale = books.sold.get(str(name))
        if sale is None:
            yield f"voucher {made.sequence}: the shop's file does not know its sale {name}"
        elif sale.state == CLOSED and sale.number != made.sequence:
            yield f"voucher {made.sequence}: its sale {name} has receipt {sale.number}"
        elif sale.state == DROPPED:
            back = [(one.kgo, one.satang) for one in given.get(made.sequence, [])]
            if back != [(made.kgo, made.satang)]:
                yield f"voucher {made.sequence}: its sale was cancelled, and {back} given back"
    yield from (f"sale {name} was charged {count} times" for name, count in charged.items() if count > 1)
    for sequence, back in given.items():
        yield from _given_back(books, by_sequence.get(sequence), sequence, back)


def _given_back(books: Books, of: Voucher | None, sequence: int, back: list[Voucher]) -> Iterable[str]:
    """No more than was paid, and the receipt and the shift's events say the same."""
    kgo, satang = sum(one.kgo for one in back), sum(one.satang for one in back)
    if of is None or kgo > of.kgo or satang > of.satang:
        yield f"voucher {sequence}: {kgo} and {satang} were given back of it"
        return
    sale = next((one for one in books.closed if one.number == sequence), None)
    if sale is None:
        return  # cancelled before it had a receipt
    if (said := [(one.sequence, one.kgo, one.money_satang) for one in sale.back]) != [
        (one.sequence, one.kgo, one.satang) for one in back
    ]:
        yield f"receipt {sequence}: it says that {said} went back, its vouchers {[one.sequence for one in back]}"
    told = [one for one in books.events_of(ShopEventKind.RETURNED) if one.refers in {one.sequence for one in back}]
    if [one.sums[0] for one in told] != [one.goods_satang for one in sale.back]:
        yield f"receipt {sequence}: {len(told)} events for {len(back)} returns"


def _shifts(books: Books) -> Iterable[str]:
    """One after the other; each Z report is the sum of its receipts and of what the drawer saw."""
    number, is_open = 0, False
    for event in books.events:
        if event.what == ShopEventKind.SHIFT_OPENED:
            number += 1
            if is_open or event.shift != number:
                yield f"shift {event.shift} opened while {number - 1} was {'open' if is_open else 'shut'}"
            is_open = True
        elif event.shift != number or (not is_open and event.what not in BETWEEN):
            yield f"event {event.what} in shift {event.shift}, at {number}, {'open' if is_open else 'shut'}"
        if event.what == ShopEventKind.SHIFT_CLOSED:
            is_open = False
            if (sums := z_of(books, event.shift)) != event.sums[:12]:
                yield f"Z {event.shift}: {event.sums[:12]}, its receipts come to {sums}"
    for kind, voucher_kinds in ((ShopEventKind.SALE_CLOSED, (VoucherKind.SALE,)), (ShopEventKind.RETURNED, GIVES_BACK)):
        known = {one.sequence for _identity, one in books.vouchers if one.kind in voucher_kinds}
        yield from (
            f"event {one.what} refers to {one.refers}" for one in books.events_of(kind) if one.refers not in known
        )


def z_of(books: Books, shift: int) -> tuple[int, ...]:
    """The first twelve sums of a Z report, reckoned from receipts alone; cash in and out from the drawer's events."""
    mine = [one for one in books.closed if one.shift == shift]
    told = {one.refers for one in books.events_of(ShopEventKind.RETURNED, shift)}
    back = [one for sale in books.closed for one in sale.back if one.sequence in told]
    drawer = [
        sum(one.sums[0] for one in books.events_of(kind, shift))
        for kind in (ShopEventKind.CASH_IN, ShopEventKind.CASH_OUT)
    ]
    return (
        len(mine), sum(one.bill_satang for one in mine), sum(one.kgo for one in mine),
        *(sum(one.by(kind) for one in mine) for kind in ("kgo", "coupon", "cash", "promptpay")),
        sum(one.goods_satang for one in back), sum(one.kgo for one in back), sum(one.money_satang for one in back),
        *drawer,
    )  # fmt: skip


def _papers(books: Books) -> Iterable[str]:
    """Nothing is on paper that was not sold, and a first paper is there once."""
    by_number = {one.number: one for one in books.closed}
    first = Counter(one.number for one in books.papers if one.kind == "sale" and not one.is_copy)
    yield from (
        f"receipt {number} was printed {count} times as the first" for number, count in first.items() if count > 1
    )
    for paper in books.papers:
        if paper.kind != "sale":
            continue
        sale = by_number.get(int(paper.number))
        if sale is None:
            yield f"paper {paper.id}: there is no sale {paper.number}"
            continue
        printed = paper.printed
        unverified = [one["is_unverified"] for one in printed["tenders"] if one["kind"] == "promptpay"]
        if (printed["total_satang"] + sale.by("kgo"), printed["kgo"]) != (sale.bill_satang, sale.kgo):
            yield f"paper {paper.id}: {printed['total_satang']}, {printed['kgo']} KGO for a bill of {sale.bill_satang}"
        if not all(unverified):
            yield f"paper {paper.id}: a PromptPay transfer that looks verified"


def _at_city(books: Books, is_synced: bool) -> Iterable[str]:
    """The city has what was signed, in its order and as often, and took all of it."""
    ours = {one.sequence: identity for identity, one in books.vouchers}
    for sequence, taken in books.city_vouchers.items():
        if ours.get(sequence) != taken.identity:
            yield f"voucher {sequence}: the city has another one"
        if taken.outcome != Outcome.POSTED:
            yield f"voucher {sequence}: the city did not post it (outcome {taken.outcome})"
    if books.city_events != books.events[: len(books.city_events)]:
        yield "the city's events of this till are not the till's"
    if is_synced and (len(books.city_vouchers), len(books.city_events)) != (len(ours), len(books.events)):
        yield (
            f"the city has {len(books.city_vouchers)} of {len(ours)} vouchers,"
            f" {len(books.city_events)} of {len(books.events)} events"
        )


# --- reading


def _sold(sale: str, state: int, raw: bytes) -> Sold:
    body = json.loads(raw)
    lines = [(unit * quantity, quantity, discount) for _l, _s, _t, _e, unit, quantity, discount, _v in body["lines"]]
    discount = body["discount_satang"]
    return Sold(
        sale,
        state,
        body["number"],
        body["shift"],
        sum(full - less for full, _quantity, less in lines) - discount,
        sum(quantity for _full, quantity, _less in lines),
        sum(less for _full, _quantity, less in lines) + discount,
        body["vat_satang"],
        tuple((kind, satang, kgo, given, sequence) for kind, satang, kgo, given, sequence in body["tenders"]),
        tuple(
            Back(sequence, is_void, goods, kgo, money)
            for sequence, _at_s, _who, is_void, goods, kgo, money, _lines in body["returns"]
        ),
        body["asked_kgo"],
    )


def _paper(id_: int, number: str, state: str, copy: int, receipt: str) -> Paper:
    printed = json.loads(receipt)
    return Paper(id_, printed["kind"], number, state, bool(copy), printed)


def _voucher(raw: bytes, city: str) -> tuple[bytes, Voucher]:
    signed = cose.parse_sign1(raw, cose.external_aad(Kind.VOUCHER, city))
    return signed.identity, device.VOUCHER.decode(signed.payload, OBJECT_BYTES_MAX)


def _shop_events(events: Iterable[tuple[int, bytes]]) -> tuple[ShopEvent, ...]:
    return tuple(decode_shop_event(body) for kind, body in events if kind == EventKind.SHIFT)


def _not_charged(events: Iterable[tuple[int, bytes]]) -> Iterable[int]:
    for kind, body in events:
        if kind == EventKind.LAPSED:
            said = cbor.decode(body, EVENT_BYTES_MAX)
            if isinstance(said, list) and said[2] is False:
                yield said[0]

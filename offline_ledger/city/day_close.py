"""`kgo-city close-day`: gives back what fares came to less once every terminal's boardings are known. DESIGN §5, §9.

Each rebate is a posting like any other, under the boarding's voucher, and a row in `rebates` with its reason. Safe to
run again: only what is still due is posted. A voucher that arrives late for a closed day is settled at the next run,
whichever day that closes. Wallets are settled in small transactions, so the service goes on posting beside it.
"""

from collections.abc import Generator
from dataclasses import dataclass
from typing import cast

from offline_ledger.city import posting, returning
from offline_ledger.city.accounts import Books, OwnerKind, Posting, Reason
from offline_ledger.city.branches import stored_voucher
from offline_ledger.city.posting import Payee
from offline_ledger.city.posting_rebates import Rebate, Ride, rebates_of
from offline_ledger.city.pricing import Prices, boarding_of
from offline_ledger.city.store import Row, Store
from offline_ledger.city.tables import date_text
from offline_ledger.errors import DayNotOver
from offline_ledger.protocol import cose, wallet
from offline_ledger.protocol.city import Outcome
from offline_ledger.protocol.device import VoucherKind
from offline_ledger.protocol.kinds import OBJECT_BYTES_MAX, Kind
from offline_ledger.rules.civil import BANGKOK_AHEAD_S, civil_day, day_start_s
from offline_ledger.rules.limits import DAY_S, HOUR_S

WALLETS_PER_TRANSACTION = 200
THROUGH = "day_close.through_posting"
"""Postings up to this one were known when days were last closed."""


@dataclass(frozen=True, slots=True)
class Given:
    """One rebate that was posted. `is_late`: its day had been closed before."""

    wallet_id: int
    day: int
    rebate: Rebate
    is_late: bool


def close_day(store: Store, day: int, now_s: int) -> Generator[Given]:
    """Closes one civil day (Bangkok) and settles what came late for days closed before; yields what is posted, after
    its transaction. Only a run to the end closes the day. Raises DayNotOver."""
    if day >= civil_day(now_s):
        raise DayNotOver(f"today is {date_text(civil_day(now_s), 'en')}")
    with store.snapshot():
        last = store.one("SELECT coalesce(max(posting_id), 0) FROM postings")
        through = last[0] if last else 0
        late, was_closed = _late(store), is_closed(store, day)
        wallets = [(wallet_id, day) for wallet_id in _riders(store, day)]
    due = sorted({*wallets, *late}, key=lambda one: (one[1], one[0]))
    for at in range(0, len(due), WALLETS_PER_TRANSACTION):
        given: list[Given] = []
        with store.transaction():
            books, prices = Books(store, now_s), Prices(store)
            for wallet_id, due_day in due[at : at + WALLETS_PER_TRANSACTION]:
                for rebate in rebates_of(_rides(store, books, prices, wallet_id, due_day), due_day):
                    _post(store, books, wallet_id, due_day, rebate)
                    given.append(Given(wallet_id, due_day, rebate, was_closed or due_day != day))
            books.write()
        yield from given
    with store.transaction():
        store.execute("INSERT OR IGNORE INTO closed_days VALUES(?, ?)", (day, now_s))
        store.put_setting(THROUGH, str(through).encode())


def is_closed(store: Store, day: int) -> bool:
    """Was this day closed before?"""
    return store.one("SELECT 1 FROM closed_days WHERE day = ?", (day,)) is not None


def _riders(store: Store, day: int) -> list[int]:
    """Wallets that were charged for something on this day."""
    rows = store.fetch(
        "SELECT DISTINCT a.wallet_id FROM spends s INDEXED BY spends_by_time CROSS JOIN allowances a USING(hash)"
        " WHERE s.at_s >= ? AND s.at_s < ? AND s.counts = 1 AND s.paid_by = 1",
        (day_start_s(day), day_start_s(day + 1)),
    )
    return [row[0] for row in rows]


def _late(store: Store) -> set[tuple[int, int]]:
    """Wallets and closed days that postings since the last run may have changed; a ride at night reaches the next."""
    value = store.setting(THROUGH)
    if value is None:
        return set()
    rows = store.fetch(
        "SELECT DISTINCT a.wallet_id, c.day FROM postings p CROSS JOIN spends s USING(device, sequence)"
        " CROSS JOIN allowances a USING(hash) CROSS JOIN closed_days c"
        " ON c.day IN ((s.at_s + ?) / ?, (s.at_s + ?) / ? + 1) WHERE p.posting_id > ? AND p.reason IN (?, ?, ?, ?, ?)",
        (
            *(BANGKOK_AHEAD_S, DAY_S, BANGKOK_AHEAD_S, DAY_S, int(value)),
            *(Reason.SPEND, Reason.YIELD, Reason.REFUND, Reason.DECISION, Reason.PAYER),
        ),
    )
    return {(row[0], row[1]) for row in rows}


def _rides(store: Store, books: Books, prices: Prices, wallet_id: int, day: int) -> list[Ride]:
    """The wallet's boardings that stand and are its own to pay, of this day and the one before."""
    first_s, end_s = day_start_s(day - 1), day_start_s(day + 1)
    rows = store.fetch(
        "SELECT s.device, s.sequence, a.raw FROM allowances a CROSS JOIN spends s INDEXED BY spends_by_allowance"
        " USING(hash) WHERE a.wallet_id = ? AND a.expires_at_s >= ? AND a.not_before_s < ?"
        " AND s.at_s >= ? AND s.at_s < ? AND s.counts = 1 AND s.paid_by = 1",
        (wallet_id, first_s - HOUR_S, end_s + HOUR_S, first_s, end_s),
    )
    found = (_ride(store, books, prices, row) for row in rows)
    return [ride for ride in found if ride is not None]


def _ride(store: Store, books: Books, prices: Prices, row: Row) -> Ride | None:
    """None for a sale, and for what was given back whole."""
    record, sequence, allowance_raw = cast(tuple[str, int, bytes], row)
    stored = stored_voucher(store, record, sequence)
    if stored is None or stored.outcome not in (Outcome.POSTED, Outcome.SUSPENSE):
        return None
    voucher = stored.voucher
    if voucher.kind != VoucherKind.BOARDING:
        return None
    net = books.entries_of(record, sequence)
    left_kgo, rebated_kgo = posting.credited_kgo(net), returning.rebated_kgo(store, record, sequence)
    if voucher.kgo and left_kgo <= 0 and (not rebated_kgo or any(returning.given_back(store, record, sequence))):
        return None
    signed = cose.parse_sign1(allowance_raw, cose.external_aad(Kind.ALLOWANCE, store.city))
    concession = wallet.ALLOWANCE.decode(signed.payload, OBJECT_BYTES_MAX).concession
    boarding, tariff = boarding_of(voucher, concession), prices.tariff(voucher.bulletin)
    return Ride(record, sequence, boarding, tariff, max(0, left_kgo) + rebated_kgo, rebated_kgo)


def _post(store: Store, books: Books, wallet_id: int, day: int, rebate: Rebate) -> None:
    """The last source first, as a refund: what the risk fund or nobody had paid does not go to the wallet."""
    ride = rebate.ride
    net = books.entries_of(ride.record, ride.sequence)
    entries = posting.refund_entries(net, wallet_id, rebate.kgo, 0, _payee(store, ride.record))
    note = f"day {day}: {rebate.explanation.key}"
    books.post(Posting(Reason.REBATE, entries, ride.record, ride.sequence, note))
    store.execute(
        "INSERT INTO rebates VALUES(?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET kgo = kgo + excluded.kgo,"
        " fair_kgo = excluded.fair_kgo, why = excluded.why",
        (ride.record, ride.sequence, wallet_id, day, rebate.kgo, rebate.fair_kgo, rebate.explanation.key),
    )


def _payee(store: Store, record: str) -> Payee:
    """Who was credited."""
    row = store.one(
        "SELECT d.owner, coalesce(o.kind, ?) FROM devices d LEFT JOIN owners o USING(owner) WHERE d.device = ?",
        (OwnerKind.OPERATOR, record.partition("~")[0]),
    )
    assert row is not None
    return Payee(OwnerKind(row[1]), row[0])

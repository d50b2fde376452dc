"""What a terminal had seen of an allowance, told again from the vouchers that it made there. DESIGN §8, §9.

What the driver took back, and what a cashier voided or nobody saw, uses nothing of a day and leads to no transfer: the
terminal counts so too, from then on. Reads the store, never writes.
"""

from typing import NamedTuple

from offline_ledger.city.bench import LAPSED
from offline_ledger.city.store import Store
from offline_ledger.protocol.device import ClockTrust, PlaceKey, Voucher, VoucherKind
from offline_ledger.rules.fare import Ridden, RideHistory, encode_history, ridden_after, ridden_before
from offline_ledger.rules.sale import ShopHistory, bought_after, bought_before


class Story(NamedTuple):
    """One history that a terminal may have gone by. `is_when_asked`: it still counts what the driver has taken back;
    so only a fare may that was asked of a card, or a wallet, before that: what was promised stands."""

    history: RideHistory
    is_when_asked: bool = False


Rides = tuple[Story, ...]
"""More than one where a green was never shown: the terminal may have decided before its wait was over, or after."""
RIDES_MAX = 16
"""The next voucher that carries its history says which of them was told; only without such words do they double."""
NO_RIDES: Rides = (Story(RideHistory()),)


def possible(seen: Rides, *, is_asked: bool) -> list[RideHistory]:
    """By which the fare of the next boarding may have been reckoned. `is_asked`: it answers a payment request."""
    return [one.history for one in seen if is_asked or not one.is_when_asked]


def ridden_with(store: Store, seen: Rides, record: str, earlier: Voucher, before: int) -> Rides:
    """The histories with one more boarding, in order of sequence. `record`: the name that it was posted under;
    `before`: of the voucher that is judged. What came after it its validator did not know."""
    ridden = _ridden(earlier)
    after = _as_told(earlier, seen, ridden)
    without = tuple(one._replace(history=ridden_before(one.history, ridden)) for one in after)
    if _is_annulled(store, record, earlier.sequence, before):
        return _each_once(*without, *(one._replace(is_when_asked=True) for one in after))
    if not _is_lapsed(store, record, earlier.sequence):
        return after
    return _each_once(*without, *after)


def _each_once(*stories: Story) -> Rides:
    """Those that any fare may go by before the others."""
    found: dict[RideHistory, Story] = {}
    for one in sorted(stories, key=lambda one: one.is_when_asked):
        found.setdefault(one.history, one)
    return tuple(found.values())[:RIDES_MAX]


def _as_told(voucher: Voucher, seen: Rides, ridden: Ridden) -> Rides:
    """Of what it can have been, what the voucher itself says (decision 0012): by then its validator had decided. It may
    also have known of no ride before: those under a tariff that asks for no history carry none. One that says something
    else is believed in nothing."""
    after = tuple(one._replace(history=ridden_after(one.history, ridden)) for one in seen)
    said = voucher.place.get(PlaceKey.HISTORY)
    can_be = dict.fromkeys((*(one.history for one in after), ridden_after(RideHistory(), ridden)))
    return tuple(Story(one) for one in can_be if encode_history(one) == said) or after


def bought_with(store: Store, seen: ShopHistory, record: str, earlier: Voucher) -> ShopHistory:
    """The history with one more sale, in order of sequence."""
    reward_kgo = earlier.reward_kgo or 0
    after = bought_after(seen, earlier.at_s, ClockTrust(earlier.trust), earlier.kgo, reward_kgo)
    is_lapsed = _is_lapsed(store, record, earlier.sequence)
    return bought_before(after, earlier.kgo, reward_kgo) if is_lapsed else after


def _ridden(voucher: Voucher) -> Ridden:
    trip = voucher.place.get(PlaceKey.TRIP)
    return Ridden(
        voucher.at_s,
        ClockTrust(voucher.trust),
        trip if isinstance(trip, str) else "",
        voucher.product,
        voucher.kgo if voucher.kind == VoucherKind.BOARDING else 0,
        voucher.satang,
    )


def _is_annulled(store: Store, record: str, sequence: int, before: int) -> bool:
    """Whatever became of the annulment here: its terminal counts by it, from then on."""
    key = (record, sequence, VoucherKind.ANNUL, before)
    found = "SELECT 1 FROM vouchers WHERE device = ? AND refers_to = ? AND kind = ? AND sequence < ?"
    return store.one(found, key) is not None


def _is_lapsed(store: Store, record: str, sequence: int) -> bool:
    row = store.one("SELECT state FROM unratified WHERE device = ? AND sequence = ?", (record, sequence))
    return row is not None and row[0] == LAPSED

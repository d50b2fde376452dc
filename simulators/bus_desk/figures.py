"""What the bus's journal and the city's ledger say at the end, read by code that made neither. DESIGN §2, §8.

Reads copies; every hash and signature is checked anew (`demo.reader_files`), every sum reckoned from the entries. It
imports neither acceptor nor posting nor waybill, and believes no line of a program.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from offline_ledger.protocol.city import Outcome
from offline_ledger.protocol.device import PlaceKey, VoucherKind
from simulators.demo.reader import KGO, OWNER_SIDE, PostedVoucher, read_posted
from simulators.demo.reader_files import JournalCopy, JournalVoucher, open_copy, read_city_keys, read_journal, rows

_CREDITED = (
    "SELECT sum(e.amount) FROM postings p JOIN entries e USING(posting_id) JOIN accounts a USING(account_id)"
    f" WHERE p.device = '{{device}}' AND a.currency = {KGO} AND a.kind IN {OWNER_SIDE}"
)
"""Whatever was posted for it: what an annulment gave back to a passenger is no longer its owner's."""
_RIDES = (VoucherKind.BOARDING, VoucherKind.COUPON)


class BusFigures(NamedTuple):
    """Net: boardings and coupons less what was annulled. `faults`: each in words, empty when every promise was kept."""

    vouchers: int
    boardings: int
    coupons: int
    annulled: int
    kgo: int
    coins_satang: int
    refusals: int
    conflicts: int
    uncharged_greens: int
    not_charged: int
    acked: int
    credited_kgo: int
    trips: Mapping[str, tuple[int, int]]
    """Trip → net passengers and net coins in satang."""
    faults: tuple[str, ...]


def read_figures(
    journal: Path, ledger: Path, device: str, city: str, scratch: Path, greens: Sequence[int]
) -> BusFigures:
    """`greens`: numbers of the vouchers whose green light somebody saw on the ring."""
    with closing(open_copy(ledger, scratch / "ledger")) as books:
        keys = read_city_keys(books, city)
        point = dict(rows(books, "SELECT device, point FROM devices"))[device]
        with closing(open_copy(journal, scratch / "journal")) as kept:
            copy = read_journal(device, kept, city, point, keys)
        posted = read_posted(books)
        sums = rows(
            books, "SELECT currency, sum(amount) FROM entries JOIN accounts USING(account_id) GROUP BY currency"
        )
        ((credited_kgo,),) = rows(books, _CREDITED.format(device=device))
    faults = [*copy.faults, *_faults(copy, posted, greens)]
    faults += [f"the accounts of currency {currency} sum to {amount}" for currency, amount in sums if amount]
    figures = _figures(copy, credited_kgo or 0)
    if figures.credited_kgo > figures.kgo:
        faults.append(f"the journal took {figures.kgo} net, its owner was credited {figures.credited_kgo}")
    return figures._replace(faults=tuple(faults))


def _figures(copy: JournalCopy, credited_kgo: int) -> BusFigures:
    kinds = Counter(row.voucher.kind for row in copy.vouchers)
    trips: dict[str, tuple[int, int]] = {}
    for row in copy.vouchers:
        trip = str(row.voucher.place.get(PlaceKey.TRIP, ""))
        people, satang = trips.get(trip, (0, 0))
        trips[trip] = (people + _sign(row), satang + _sign(row) * row.voucher.satang)
    through = copy.ack.through_sequence if copy.ack is not None else 0
    return BusFigures(
        vouchers=len(copy.vouchers),
        boardings=kinds[VoucherKind.BOARDING],
        coupons=kinds[VoucherKind.COUPON],
        annulled=kinds[VoucherKind.ANNUL],
        kgo=sum(_sign(row) * row.voucher.kgo for row in copy.vouchers),
        coins_satang=sum(_sign(row) * row.voucher.satang for row in copy.vouchers),
        refusals=copy.refusals,
        conflicts=copy.conflicts,
        uncharged_greens=len(copy.uncharged_greens),
        not_charged=len(copy.not_charged),
        acked=sum(row.sequence <= through for row in copy.vouchers),
        credited_kgo=credited_kgo,
        trips=trips,
        faults=(),
    )


def _sign(row: JournalVoucher) -> int:
    return 1 if row.voucher.kind in _RIDES else -1 if row.voucher.kind == VoucherKind.ANNUL else 0


def _faults(copy: JournalCopy, posted: Mapping[tuple[str, int], PostedVoucher], greens: Sequence[int]) -> list[str]:
    found: list[str] = []
    held = {row.sequence for row in copy.vouchers}
    found += [f"a green for voucher {number}, which the journal does not hold" for number in sorted({*greens} - held)]
    objects: Counter[bytes] = Counter()
    intents: Counter[tuple[object, ...]] = Counter()
    for row in copy.vouchers:
        there = posted.get((row.device, row.sequence))
        if there is None or there.identity != row.identity:
            found.append(f"the ledger does not hold voucher {row.sequence}")
        elif there.outcome != Outcome.POSTED or there.leaves != 1 or there.spends > 1:
            found.append(
                f"voucher {row.sequence}: outcome {there.outcome}, {there.leaves} leaves, {there.spends} postings"
            )
        elif row.voucher.kind in _RIDES and row.sequence not in copy.not_charged:
            if there.charged_kgo > row.voucher.kgo:
                found.append(f"voucher {row.sequence} is worth {row.voucher.kgo}, {there.charged_kgo} were charged")
            if row.voucher.object_hash is not None:
                objects[row.voucher.object_hash] += 1
            if row.intent is not None:
                intents[row.intent] += 1
    found += [f"one wallet object was charged {count} times" for count in objects.values() if count > 1]
    found += [f"one intent was charged {count} times" for count in intents.values() if count > 1]
    found += [
        f"the ledger holds voucher {at}, the journal does not"
        for name, at in posted
        if name == copy.device and at not in held
    ]
    return found

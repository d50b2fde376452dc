"""May the driver take the last boarding back. Pure. DESIGN §5: the last boarding only, within X s, counted per driver.

The voucher itself (kind ANNUL, naming the boarding) is the acceptor's. What was annulled is counted by the waybill,
from the journal.
"""

from typing import NamedTuple

from offline_ledger.errors import AnnulTooLate, NothingToAnnul
from offline_ledger.protocol.device import ClockTrust, PlaceKey, Voucher, VoucherKind
from offline_ledger.rules.clock import TimeNow


class Annulment(NamedTuple):
    """What goes back: all of it. `refers_to`: the boarding's sequence."""

    refers_to: int
    kgo: int
    satang: int


def check_annul(
    last: Voucher | None, trip: str, elapsed_s: int | None, annul_s: int, *, is_settled: bool = True
) -> Annulment:
    """The last voucher of the journal, if it is a boarding of this trip that may be taken back now.

    `elapsed_s`: since it, by a clock that is sure (`elapsed_s`, or the monotonic counter of this boot); None: unknown.
    `is_settled` False: its green was not recorded as shown, so it is not charged until its wallet comes back.
    Raises NothingToAnnul (none, another trip, a coupon, annulled already), AnnulTooLate.
    """
    if last is None or last.kind != VoucherKind.BOARDING:
        kind = "no voucher" if last is None else f"the last voucher is of kind {last.kind}"
        raise NothingToAnnul(kind)
    if last.place.get(PlaceKey.TRIP) != trip:
        raise NothingToAnnul("the last boarding was on another trip")
    if not is_settled:
        raise NothingToAnnul("the last boarding was not completed")
    if elapsed_s is None:
        raise AnnulTooLate("the time since is unknown")
    if elapsed_s > annul_s:
        raise AnnulTooLate(f"{elapsed_s} s, at most {annul_s} s")
    return Annulment(last.sequence, last.kgo, last.satang)


def elapsed_s(last: Voucher, at: TimeNow) -> int | None:
    """Seconds since a voucher by the wall clock; None when one of both times is only a floor, or it stepped back."""
    if ClockTrust.FLOOR in (last.trust, at.trust) or at.at_s < last.at_s:
        return None
    return at.at_s - last.at_s

"""What this terminal knows beside the code itself: time, deny list, and the caps that its age has left. DESIGN §5.

Ages are of signed things: the deny list's *as of*, and the *issued at* of the newest ack that left nothing waiting.
Decides nothing that the rules do not; never waits for the network.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from offline_ledger.protocol.device import ClockTrust, DeviceCertificate
from offline_ledger.protocol.wallet import Allowance, Audience, Coupon, Payment, Presentment
from offline_ledger.rules import clock, staleness
from offline_ledger.rules.clock import TimeNow
from offline_ledger.rules.limits import Limits
from offline_ledger.terminal.clock_keeper import ClockKeeper
from offline_ledger.terminal.coupon_reading import check_value


class Freshest(NamedTuple):
    """When the newest deny list, and the newest ack that left nothing waiting, were signed; None: never had one."""

    deny_list_at_s: int | None
    synced_at_s: int | None


class TerminalConditions:
    """The acceptor's `Conditions` on a real terminal."""

    def __init__(
        self,
        keeper: ClockKeeper,
        limits: Limits,
        certificate: Callable[[], DeviceCertificate],
        is_denied: Callable[[bytes], bool],
        freshest: Callable[[], Freshest],
        standing: Callable[[int, TimeNow], None],
    ) -> None:
        """`certificate`: the one in use at each moment. `standing` raises what `check_standing` raises."""
        self._keeper = keeper
        self._limits = limits
        self._certificate = certificate
        self._is_denied = is_denied
        self._freshest = freshest
        self._standing = standing

    def time(self) -> TimeNow:
        """The keeper's."""
        return self._keeper.time()

    def is_denied(self, pass_id: bytes) -> bool:
        """By the newest list held."""
        return self._is_denied(pass_id)

    def check_standing(self, sequence: int, at: TimeNow) -> None:
        """Whether the city still pays this terminal's next voucher. Raises TerminalRevoked, DeviceBlocked,
        JournalLost, DeviceCertificateInvalid."""
        self._standing(sequence, at)

    def caps(self, at: TimeNow) -> staleness.Caps:
        """Caps at this moment. Raises MustReconnect."""
        freshest, certificate = self._freshest(), self._certificate()
        return staleness.caps_for(
            self._limits,
            at.trust,
            None if freshest.deny_list_at_s is None else clock.age_s(at, freshest.deny_list_at_s),
            None if freshest.synced_at_s is None else clock.age_s(at, freshest.synced_at_s),
            device_value_kgo=certificate.offline_value_kgo,
            device_hours=certificate.offline_hours,
        )

    def check_amount(
        self,
        allowance: Allowance,
        shown: Presentment | Payment | None,
        charge_kgo: int,
        spent_here_kgo: int,
        unacked_kgo: int,
        at: TimeNow,
    ) -> None:
        """Staleness and H first ("this terminal must reconnect"), then c, a, F."""
        caps = self.caps(at)
        if isinstance(shown, Presentment):
            if shown.audience == Audience.TRANSIT:
                own, now, full = (
                    allowance.transit_cap_kgo,
                    caps.one_way_transit_kgo_max,
                    self._limits.one_way_transit_kgo_max,
                )
            else:
                own, now, full = (
                    allowance.shop_cap_kgo,
                    caps.one_way_shop_kgo_max,
                    self._limits.one_way_shop_kgo_max,
                )
            staleness.check_one_way(charge_kgo, own, now, full)
        staleness.check_terminal(charge_kgo, spent_here_kgo, unacked_kgo, caps, self._limits)

    def check_coupon_value(self, coupon: Coupon, unacked_kgo: int, at: TimeNow) -> None:
        """Staleness and H, then F."""
        check_value(coupon, unacked_kgo, self.caps(at))

    def floor_meta(self, shown: Presentment | Payment | Coupon, at: TimeNow) -> Mapping[str, bytes]:
        """What was made without this terminal is counted; a payment answers this terminal's own fresh request."""
        return self._keeper.floor_meta() if _is_counted(shown, at) else {}

    def was_accepted(self, shown: Presentment | Payment | Coupon, at: TimeNow) -> None:
        """The count is durable with the voucher; keep memory in step."""
        if _is_counted(shown, at):
            self._keeper.floor_one_way_accepted()


def _is_counted(shown: Presentment | Payment | Coupon, at: TimeNow) -> bool:
    return at.trust is ClockTrust.FLOOR and not isinstance(shown, Payment)

"""How much a terminal may still take: caps that shrink with staleness, and their checks. Pure. DESIGN §5.

An old deny list or a missed sync makes every cap smaller in steps and then stops the terminal with its own text ("this
terminal must reconnect"), which is never mixed up with a bad code. Never decides whose fault an amount is otherwise.
"""

from typing import NamedTuple

from offline_ledger.errors import (
    CapLoweredByAge,
    MustReconnect,
    OneWayCapExceeded,
    ReserveExceeded,
    TerminalCapExceeded,
    TerminalValueUsedUp,
)
from offline_ledger.money import share_down
from offline_ledger.protocol.device import ClockTrust
from offline_ledger.rules.limits import HOUR_S, WHOLE_PER_MILLE, Limits, StalenessStep


class Caps(NamedTuple):
    """What this terminal may take now; `step` 0 = fresh. F is not lowered: it already bounds the terminal's loss."""

    step: int
    caps_per_mille: int
    one_way_transit_kgo_max: int
    one_way_shop_kgo_max: int
    allowance_terminal_kgo_max: int
    offline_value_kgo_max: int


def _step_of(age_s: int, steps: tuple[StalenessStep, ...], steps_staler: int, what: str) -> int:
    for number, step in enumerate(steps):
        if age_s <= step.age_s_max:
            if number + steps_staler < len(steps):
                return number + steps_staler
            break
    raise MustReconnect(f"{what} {age_s} s old" + (", clock at floor" if steps_staler else ""))


def caps_for(
    limits: Limits,
    trust: ClockTrust,
    deny_age_s: int | None,
    sync_age_s: int | None,
    *,
    device_value_kgo: int | None = None,
    device_hours: int | None = None,
) -> Caps:
    """Caps at these ages (seconds; None = never had one). Under `floor`, ages count one step staler.

    `device_value_kgo` and `device_hours` are F and H of the device certificate; the smaller counts.
    Raises MustReconnect.
    """
    if deny_age_s is None or sync_age_s is None:
        raise MustReconnect("no deny list" if deny_age_s is None else "never synced")
    hours_s = limits.offline_s_max if device_hours is None else min(limits.offline_s_max, device_hours * HOUR_S)
    if sync_age_s > hours_s:
        raise MustReconnect(f"last sync {sync_age_s} s ago, H = {hours_s} s")
    steps_staler = 1 if trust is ClockTrust.FLOOR else 0
    deny_step = _step_of(deny_age_s, limits.deny_age_steps, steps_staler, "deny list")
    sync_step = _step_of(sync_age_s, limits.sync_age_steps, steps_staler, "last sync")
    per_mille = min(limits.deny_age_steps[deny_step].caps_per_mille, limits.sync_age_steps[sync_step].caps_per_mille)
    value_kgo = limits.offline_value_kgo_max
    return Caps(
        step=max(deny_step, sync_step),
        caps_per_mille=per_mille,
        one_way_transit_kgo_max=share_down(limits.one_way_transit_kgo_max, per_mille, WHOLE_PER_MILLE),
        one_way_shop_kgo_max=share_down(limits.one_way_shop_kgo_max, per_mille, WHOLE_PER_MILLE),
        allowance_terminal_kgo_max=share_down(limits.allowance_terminal_kgo_max, per_mille, WHOLE_PER_MILLE),
        offline_value_kgo_max=value_kgo if device_value_kgo is None else min(value_kgo, device_value_kgo),
    )


def full_caps(limits: Limits) -> Caps:
    """Caps of a terminal that synced this moment: the outer bound that the city holds every voucher to."""
    return caps_for(limits, ClockTrust.SYNCED, 0, 0)


def check_reserve(sum_kgo: int, charge_kgo: int, reserve_kgo: int) -> None:
    """S + amount ≤ R. Raises ReserveExceeded."""
    if sum_kgo + charge_kgo > reserve_kgo:
        raise ReserveExceeded(f"{sum_kgo} + {charge_kgo} > {reserve_kgo}")


def check_one_way(charge_kgo: int, allowance_cap_kgo: int, cap_kgo: int, cap_full_kgo: int) -> None:
    """c: the smaller of the allowance's own cap and this terminal's. Raises OneWayCapExceeded, CapLoweredByAge.

    `cap_kgo` is the (perhaps lowered) cap of `Caps` for this audience, `cap_full_kgo` the one of `Limits`.
    """
    if charge_kgo > min(allowance_cap_kgo, cap_full_kgo):
        raise OneWayCapExceeded(f"{charge_kgo} of {min(allowance_cap_kgo, cap_full_kgo)}")
    if charge_kgo > cap_kgo:
        raise CapLoweredByAge(f"{charge_kgo} of {cap_kgo}")


def check_terminal(charge_kgo: int, spent_here_kgo: int, unacked_kgo: int, caps: Caps, limits: Limits) -> None:
    """a for life of the allowance, then F. Raises TerminalCapExceeded, CapLoweredByAge, TerminalValueUsedUp.

    `spent_here_kgo`: accepted from this allowance at this terminal ever; `unacked_kgo`: accepted from all, not acked.
    """
    spent_kgo = spent_here_kgo + charge_kgo
    if spent_kgo > limits.allowance_terminal_kgo_max:
        raise TerminalCapExceeded(f"{spent_kgo} of {limits.allowance_terminal_kgo_max}")
    if charge_kgo and spent_kgo > caps.allowance_terminal_kgo_max:
        raise CapLoweredByAge(f"{spent_kgo} of {caps.allowance_terminal_kgo_max}")
    if charge_kgo and unacked_kgo + charge_kgo > caps.offline_value_kgo_max:
        raise TerminalValueUsedUp(f"{unacked_kgo} + {charge_kgo} of {caps.offline_value_kgo_max}")

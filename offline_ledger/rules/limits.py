"""Every default of the acceptance rules, each with its reason. Pure. Never decides anything. DESIGN §5, §8.

The letters of the design stand in the comments: c, a, d, R, F, H, G, L, W, N. A device certificate or an allowance may
name smaller values; the smaller one counts. `check_limits` reports every inconsistency at once.
"""

from typing import NamedTuple

from offline_ledger.money import KGO

MINUTE_S = 60
HOUR_S = 3600
DAY_S = 24 * HOUR_S
WHOLE_PER_MILLE = 1000


class StalenessStep(NamedTuple):
    """Up to `age_s_max` (inclusive) the caps are `caps_per_mille` of their full value."""

    age_s_max: int
    caps_per_mille: int


class Limits(NamedTuple):
    """All limits of one city, frozen. KGO in 1/100 KGO, times in seconds unless the name says otherwise."""

    # c, transit: two fares of 50 KGO in one code, so a companion rides on the same presentment; a relayed screen
    # costs at most this much per further validator group (DESIGN §5).
    one_way_transit_kgo_max: int = 100 * KGO
    # c, shop: a coffee. A shop code can be photographed over a shoulder; above this the two-way payment binds the shop.
    one_way_shop_kgo_max: int = 30 * KGO
    # a: what one allowance may ever spend at one terminal that cannot gossip. Half of R, so that the reserve pays two
    # full overspends before any deposit is touched.
    allowance_terminal_kgo_max: int = 250 * KGO
    # d: duplicates of one allowance before denial. A broken validator explains one or two, a habit makes more.
    duplicates_max: int = 3
    # R: moved out of *available* before an allowance exists. Five days of two bus rides, the size of what a
    # person earns by registering and by missions (100 + 400 KGO).
    reserve_kgo: int = 500 * KGO
    # The reserve must cover cap a at this many terminals, or a mistake at two terminals already costs the fund.
    reserve_groups_covered_min: int = 2
    # At most two unexpired allowances per account, so a renewal never leaves a gap and Σ R stays bounded.
    allowances_live_max: int = 2
    # Σ of unreleased R per account: two live allowances and one that waits for expiry + G.
    reserved_account_kgo_max: int = 1500 * KGO
    # F: value a terminal accepts before it must sync; 400 fares of 50 KGO, a full day of one bus. Σ F bounds what all
    # honest terminals together can lose by being destroyed.
    offline_value_kgo_max: int = 20_000 * KGO
    # H: one day offline is the promise; the second day must have a network or a cable.
    offline_s_max: int = 24 * HOUR_S
    # Time to fetch a dead terminal and read its journal on the bench: two working days.
    repair_s: int = 48 * HOUR_S
    # G: the reserve stays this long after expiry; G ≥ H + repair time, so a repaired terminal still finds it.
    reserve_grace_s: int = 72 * HOUR_S
    # L: an intent ends this long after its first code; the longest queue at a bus door, and a battery that dies.
    intent_life_s: int = 600
    # W: an unratified voucher waits for its wallet this long in powered time; at least L, or a rider who comes back
    # with the same intent would be charged again.
    unratified_s: int = 600
    # N: one-way codes per terminal while the clock is at `floor`, over all restarts: a quarter of a bus load.
    floor_one_way_count_max: int = 20
    # Phones are on network time within a second or two; the RTC drifts less than this over H.
    skew_s: int = 5
    # A code on a screen lives half a minute: long enough to walk to the door, short enough that a relay must be live.
    freshness_s: int = 30
    # A card has no button for "another passenger": held again on the same trip within this time it pays nothing more,
    # unless the companion button was pressed. Longer than anybody fumbles at a door, shorter than a ride.
    card_repeat_s: int = 120
    # X: a driver may annul the last boarding this long after it: time to hear "I meant the other bus", to open the menu
    # and to confirm, while the passenger still stands at the door. Longer, and a ride could be given back after it.
    annul_s: int = 120
    # Request shown by a till: the customer finds the phone, opens it and confirms.
    request_life_s: int = 180
    # Allowances: shorter than a day forces daily networks on people, longer than three days keeps reserves locked.
    allowance_life_s_min: int = 24 * HOUR_S
    allowance_life_s: int = 48 * HOUR_S
    allowance_life_s_max: int = 72 * HOUR_S
    # A device certificate is renewed this long before its end: a terminal that lies in a drawer over the school
    # holidays or waits a season for a part still syncs in time, and the operator sees for a quarter which ones did not.
    certificate_lead_s: int = 90 * DAY_S
    # Still `synced`: a Pi's crystal (±50 ppm) reaches this 11 hours after the last answer.
    synced_error_ms_max: int = 2_000
    # Still `holdover`: the error that freshness allows for; beyond it the clock is only a floor.
    holdover_error_ms_max: int = 5_000
    # Crystal of a Raspberry Pi without disciplining, -20…+60 °C.
    oscillator_error_ppm: int = 50
    # DS3231 on the parts list is 3.5 ppm over temperature, a PCF8563 with a common crystal 20 ppm.
    rtc_error_ppm: int = 20
    # The RTC has whole seconds and is read once: half a second of reading, half a second of setting.
    rtc_reading_error_ms: int = 1_000
    # A time answer slower than this proves only "not before": half of the trip is unknown.
    time_round_trip_ms_max: int = 4_000
    # Ages of the deny list. It comes with each sync, but its issuing may stall: slower than the sync steps. Caps never
    # fall below half, so that one bus fare always fits into c.
    deny_age_steps: tuple[StalenessStep, ...] = (
        StalenessStep(12 * HOUR_S, 1000),
        StalenessStep(24 * HOUR_S, 750),
        StalenessStep(48 * HOUR_S, 500),
    )
    # Hours since the last complete sync: a shift without loss, then smaller risks, then H.
    sync_age_steps: tuple[StalenessStep, ...] = (
        StalenessStep(8 * HOUR_S, 1000),
        StalenessStep(16 * HOUR_S, 750),
        StalenessStep(24 * HOUR_S, 500),
    )
    # Smallest c that a stale terminal still honours: one bus fare. Below it the bus would stop before H.
    one_way_transit_kgo_min: int = 50 * KGO

    @property
    def window_s(self) -> int:
        """The bound that duplicates and relays are judged by: 30 s + 2·skew, both clocks being off by skew."""
        return self.freshness_s + 2 * self.skew_s


class LimitProblem(NamedTuple):
    """One inconsistency: the settings it is about, what is wrong, and what to do."""

    names: tuple[str, ...]
    problem: str
    remedy: str


MAY_BE_ZERO = frozenset({"skew_s", "duplicates_max", "floor_one_way_count_max"})

# (smaller, larger, why): smaller ≤ larger
ORDERS: tuple[tuple[str, str, str], ...] = (
    ("one_way_transit_kgo_min", "one_way_transit_kgo_max", "one fare must fit into the one-way cap"),
    ("one_way_transit_kgo_max", "allowance_terminal_kgo_max", "c is part of a"),
    ("one_way_shop_kgo_max", "allowance_terminal_kgo_max", "c is part of a"),
    ("allowance_terminal_kgo_max", "reserve_kgo", "one terminal must never accept more than the reserve"),
    ("allowance_terminal_kgo_max", "offline_value_kgo_max", "a terminal that may not hold one allowance's a is no use"),
    ("reserve_kgo", "reserved_account_kgo_max", "the account must be able to reserve one allowance"),
    ("allowance_life_s_min", "allowance_life_s", "the default life must be allowed"),
    ("allowance_life_s", "allowance_life_s_max", "the default life must be allowed"),
    ("intent_life_s", "unratified_s", "a rider returning with the same intent must still find the unratified voucher"),
    ("offline_s_max", "certificate_lead_s", "a terminal that is offline for H must meet its renewal before the end"),
    ("freshness_s", "intent_life_s", "an intent outlives one of its codes"),
    ("freshness_s", "annul_s", "a driver must be able to annul what a code of a moment ago paid"),
    (
        "annul_s",
        "intent_life_s",
        "a boarding is annulled while its passenger's intent still stands, not after the ride",
    ),
    ("freshness_s", "request_life_s", "a request outlives the code that answers it"),
    ("synced_error_ms_max", "holdover_error_ms_max", "holdover is the weaker trust"),
)


def _check_positive(limits: Limits) -> list[LimitProblem]:
    found: list[LimitProblem] = []
    for name in Limits._fields:
        value: object = getattr(limits, name)
        lowest = 0 if name in MAY_BE_ZERO else 1
        if isinstance(value, int) and value < lowest:
            found.append(LimitProblem((name,), f"is {value}", f"set it to {lowest} or more"))
    return found


def _check_orders(limits: Limits) -> list[LimitProblem]:
    found: list[LimitProblem] = []
    for smaller, larger, why in ORDERS:
        low: int = getattr(limits, smaller)
        high: int = getattr(limits, larger)
        if low > high:
            problem = f"{smaller} = {low} is above {larger} = {high}: {why}"
            found.append(LimitProblem((smaller, larger), problem, f"lower {smaller} or raise {larger}"))
    return found


def _check_sums(limits: Limits) -> list[LimitProblem]:
    found: list[LimitProblem] = []
    if limits.reserve_grace_s < limits.offline_s_max + limits.repair_s:
        names = ("reserve_grace_s", "offline_s_max", "repair_s")
        problem = "G is shorter than H + repair time: the reserve is gone before a repaired terminal is read"
        found.append(LimitProblem(names, problem, f"set it to {limits.offline_s_max + limits.repair_s} or more"))
    covered_kgo = limits.reserve_groups_covered_min * limits.allowance_terminal_kgo_max
    if limits.reserve_kgo < covered_kgo:
        names = ("reserve_kgo", "allowance_terminal_kgo_max", "reserve_groups_covered_min")
        problem = f"R does not cover a at {limits.reserve_groups_covered_min} terminals"
        found.append(LimitProblem(names, problem, f"raise reserve_kgo to {covered_kgo} or lower a"))
    if limits.holdover_error_ms_max > limits.skew_s * 1000:
        names = ("holdover_error_ms_max", "skew_s")
        problem = "a clock in holdover may be wrong by more than skew: good codes would be refused"
        found.append(LimitProblem(names, problem, f"set it to {limits.skew_s * 1000} or less"))
    drift_ms = limits.rtc_reading_error_ms + limits.offline_s_max * limits.rtc_error_ppm // 1000
    if drift_ms > limits.holdover_error_ms_max:
        names = ("rtc_error_ppm", "offline_s_max", "holdover_error_ms_max")
        problem = f"the RTC is off by up to {drift_ms} ms after H: holdover ends before H does"
        found.append(LimitProblem(names, problem, "use a better RTC, a shorter H or a larger skew"))
    if limits.skew_s >= limits.freshness_s:
        names = ("skew_s", "freshness_s")
        found.append(LimitProblem(names, "skew swallows the freshness window", "lower skew_s"))
    if limits.request_life_s > limits.intent_life_s:
        names = ("request_life_s", "intent_life_s")
        found.append(LimitProblem(names, "a request outlives the intent that pays it", "lower request_life_s"))
    return found


def _check_steps(limits: Limits) -> list[LimitProblem]:
    found: list[LimitProblem] = []
    for name, steps in (("deny_age_steps", limits.deny_age_steps), ("sync_age_steps", limits.sync_age_steps)):
        if not steps:
            found.append(LimitProblem((name,), "has no step: nothing would ever be accepted", "name one step at least"))
            continue
        ages = [step.age_s_max for step in steps]
        shares = [step.caps_per_mille for step in steps]
        if ages != sorted(set(ages)) or ages[0] <= 0:
            found.append(LimitProblem((name,), f"ages {ages} do not rise", "order the steps by age"))
        if shares != sorted(shares, reverse=True) or shares[0] > WHOLE_PER_MILLE or shares[-1] <= 0:
            problem = f"shares {shares} do not fall from at most 1000 to at least 1"
            found.append(LimitProblem((name,), problem, "an older list never raises a cap"))
        if limits.one_way_transit_kgo_max * shares[-1] // WHOLE_PER_MILLE < limits.one_way_transit_kgo_min:
            problem = f"at {shares[-1]} ‰ one fare no longer fits into the one-way transit cap"
            found.append(LimitProblem((name, "one_way_transit_kgo_max"), problem, "raise the last share or the cap"))
    if limits.sync_age_steps and limits.sync_age_steps[-1].age_s_max != limits.offline_s_max:
        names = ("sync_age_steps", "offline_s_max")
        found.append(LimitProblem(names, "the last step does not end at H", "end it at offline_s_max"))
    return found


def check_limits(limits: Limits) -> tuple[LimitProblem, ...]:
    """All inconsistencies at once; empty when the limits fit together."""
    return tuple(_check_positive(limits) + _check_orders(limits) + _check_sums(limits) + _check_steps(limits))


def loss_bound_kgo(limits: Limits, groups: int, deposit_kgo: int = 0) -> int:
    """Most that one allowance of a modified app can cost with `groups` terminals that cannot gossip. DESIGN §5.

    The deposit is one sum of the account: with several live allowances, add up their bounds without it and take it off
    once. Decision 0044.
    """
    if groups < 0 or deposit_kgo < 0:
        raise ValueError("groups and deposit are zero or more")
    accepted_kgo = groups * min(limits.reserve_kgo, limits.allowance_terminal_kgo_max)
    return max(0, accepted_kgo - limits.reserve_kgo - deposit_kgo)


def relay_bound_kgo(limits: Limits, groups_in_window: int) -> int:
    """Most that one relayed screen can cost: c·(K_w − 1), K_w groups being reachable within `window_s`.

    Screens relayed one after another cost up to a·(K_w − 1) over an allowance's life, and no deposit covers that.
    Decision 0044.
    """
    if groups_in_window < 0:
        raise ValueError("groups are zero or more")
    return limits.one_way_transit_kgo_max * max(0, groups_in_window - 1)

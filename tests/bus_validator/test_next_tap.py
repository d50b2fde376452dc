"""What the city sends and what the clock says counts at the very next tap: nothing judges by what it once reckoned."""

from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from time import time

import pytest

from offline_ledger import errors
from offline_ledger.protocol.city import BulletinKind
from offline_ledger.protocol.deny_list import DENIED_ID_BYTES, encode_ids, list_sum
from offline_ledger.rules.limits import HOUR_S, MINUTE_S, Limits
from offline_ledger.rules.tariff import Tariff, encode_tariff
from offline_ledger.terminal.outcome import Light, Outcome
from tests.bench.real_bus import FARE_KGO, RealBus, codes, real_bus, riders
from tests.terminal.city_in_test import DEVICE, trust_list
from tests.terminal.provisioned import FARE

SECRET = 5_000_001
PASS_ID = SECRET.to_bytes(8, "big")


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[RealBus]:
    with real_bus(tmp_path) as opened:
        yield opened


def one_fare(kgo: int) -> dict[int, object]:
    return encode_tariff(Tariff((FARE._replace(kgo=kgo),), (), None, None))


def put_deny_list(bus: RealBus, ids: tuple[bytes, ...], as_of_s: int) -> None:
    bus.publish(BulletinKind.DENY_LIST, {1: list_sum(ids), 2: len(ids), 3: as_of_s, 4: 1, 5: b"", 6: b""})
    bus.station.deny.replace(2, encode_ids(ids), list_sum(ids), len(ids))


def deny(bus: RealBus) -> None:
    put_deny_list(bus, (PASS_ID[:DENIED_ID_BYTES],), int(time()))


def hold_an_old_deny_list(bus: RealBus) -> None:
    put_deny_list(bus, (), int(time()) - 49 * HOUR_S)


def lose_the_deny_list(bus: RealBus) -> None:
    bus.publish(BulletinKind.DENY_LIST, {1: sha256().digest(), 2: 0, 3: int(time()), 4: 1, 5: b"", 6: b""})


def revoke(bus: RealBus) -> None:
    _first, first_hash = trust_list()
    bus.station.trust.accept([trust_list(2, first_hash, revocations=((DEVICE, bus.station.journal.tail.sequence),))[0]])


def pass_a_day(bus: RealBus) -> None:
    """The city's time: the last exchange was more than H ago."""
    bus.publish(BulletinKind.TARIFF, one_fare(FARE_KGO))  # the first ends before H is over
    mono_ms = bus.station.keeper.mono_ms()
    bus.station.keeper.heard_time_answer(int(time()), mono_ms, mono_ms)
    (code,) = codes(riders(SECRET + 1, 1))
    assert bus.tap(code).light is Light.ACCEPTED_CASH_DUE  # by a clock as good as the one a day later
    bus.station.keeper.heard_time_answer(int(time()) + Limits().offline_s_max + MINUTE_S, mono_ms, mono_ms)


def use_up_what_the_floor_allows(bus: RealBus) -> None:
    """A signed time ahead of our clock makes it a floor; all that it allows is taken."""
    bus.station.keeper.heard_issued_at(int(time()) + Limits().skew_s + 4)
    for code in codes(riders(SECRET + 1, Limits().floor_one_way_count_max)):
        assert bus.tap(code).light is Light.ACCEPTED_CASH_DUE


CHANGES: list[tuple[Callable[[RealBus], None], Light, type[errors.Refusal]]] = [
    (deny, Light.REFUSED, errors.Denied),
    (hold_an_old_deny_list, Light.REFUSED, errors.MustReconnect),
    (lose_the_deny_list, Light.REFUSED, errors.MustReconnect),
    (revoke, Light.OUT_OF_SERVICE, errors.TerminalRevoked),
    (pass_a_day, Light.REFUSED, errors.MustReconnect),
    (use_up_what_the_floor_allows, Light.REFUSED, errors.FloorCountUsedUp),
]


@pytest.mark.parametrize(("change", "light", "refusal"), CHANGES, ids=[change[0].__name__ for change in CHANGES])
def test_a_change_counts_at_the_next_tap(
    bus: RealBus, change: Callable[[RealBus], None], light: Light, refusal: type[errors.Refusal]
) -> None:
    held = riders(SECRET, 1)
    for code in codes(held) + codes(held):  # the second time by what is known of this wallet
        assert bus.tap(code).light is Light.ACCEPTED_CASH_DUE
    change(bus)
    held[0].next(FARE_KGO)
    outcome = bus.tap(held[0].code(bus.station.keeper.time().at_s))
    assert (outcome.light, type(outcome.refusal)) == (light, refusal)


def test_a_new_tariff_is_the_next_tap_s_fare(bus: RealBus) -> None:
    held = riders(SECRET, 1)[0]

    def tap() -> Outcome:
        held.next(2 * FARE_KGO)
        return bus.tap(held.code(int(time())))

    assert charged(tap()) == (FARE_KGO, (1, 1))
    bus.publish(BulletinKind.TARIFF, one_fare(2 * FARE_KGO))
    assert charged(tap()) == (2 * FARE_KGO, (1, 2))


def charged(outcome: Outcome) -> tuple[int, tuple[int, int] | None]:
    assert outcome.charge is not None, outcome
    return outcome.charge.kgo, outcome.charge.bulletin

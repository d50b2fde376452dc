"""The city's clock: a step stops what cannot be undone, reading goes on, the right time ends it. DESIGN §5, §8."""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from offline_ledger.city import accounts, allowances, bulletins, city_clock, serving, trust
from offline_ledger.city.__main__ import _console
from offline_ledger.city.accounts import wallet_account
from offline_ledger.city.city_clock import PAUSE_S_MAX, SETTLE_S, STEP_S_MAX, CityClock, Readings, newest_known_s
from offline_ledger.city.keys import make_next_key_file
from offline_ledger.city.rotation import KeyBook
from offline_ledger.city.service import Service
from offline_ledger.city.settings import read_city_settings
from offline_ledger.city.store import Store
from offline_ledger.city.trust import Changes
from offline_ledger.errors import CityClockWrong
from offline_ledger.key_files import open_key_file
from offline_ledger.protocol import cbor
from offline_ledger.protocol.city import KeyRole
from offline_ledger.rules.limits import DAY_S, Limits
from offline_ledger.texts import Texts
from simulators.keys import SimulatedKey
from tests.city_service.desk import City, found
from tests.city_service.desk import serving as served

WALL_S, STEADY_S = int(time.time()), 5_000
SKEW_S = Limits().skew_s
BEGAN = Readings(WALL_S, STEADY_S)


class Machine:
    """Its two clocks, moved by hand."""

    def __init__(self) -> None:
        self.wall_s, self.steady_s = WALL_S, STEADY_S
        self.said: list[str] = []

    def clock(self, newest_s: int = WALL_S) -> CityClock:
        return CityClock(lambda: self.wall_s, lambda: self.steady_s, newest_s, SKEW_S, self.said.append)

    def passes(self, seconds: int) -> None:
        self.wall_s, self.steady_s = self.wall_s + seconds, self.steady_s + seconds


@pytest.mark.parametrize(
    ("wall_s", "newest_s", "behind"),
    [(10, 0, False), (10, 10, False), (10, 10 + SKEW_S, False), (10, 11 + SKEW_S, True), (0, 10**9, True)],
)
def test_a_clock_before_the_ledgers_own_times(wall_s: int, newest_s: int, behind: bool) -> None:
    assert city_clock.is_behind(wall_s, newest_s, SKEW_S) is behind


@pytest.mark.parametrize(
    ("now", "stepped_s"),
    [((0, 0), 0), ((60, 60), 0), ((40 * DAY_S + 60, 60), 40 * DAY_S), ((0, 60), -60), ((3_600, 3_900), -300)],
)
def test_by_how_much_a_clock_was_set(now: tuple[int, int], stepped_s: int) -> None:
    assert city_clock.step_s(BEGAN, Readings(WALL_S + now[0], STEADY_S + now[1])) == stepped_s


@pytest.mark.parametrize(
    ("quiet_s", "waits_s"), [(0, 0), (PAUSE_S_MAX, 0), (PAUSE_S_MAX + 1, SETTLE_S), (400 * DAY_S, SETTLE_S)]
)
def test_how_long_a_start_after_a_pause_waits(quiet_s: int, waits_s: int) -> None:
    assert city_clock.settles_until_s(BEGAN, WALL_S - quiet_s) == STEADY_S + waits_s
    assert city_clock.settles_until_s(BEGAN, 0) == STEADY_S, "an empty ledger has nothing to undo"


@pytest.mark.parametrize("step_s", [STEP_S_MAX, -STEP_S_MAX, STEP_S_MAX + 1, -STEP_S_MAX - 3, 40 * DAY_S])
def test_a_step_stops_until_it_is_undone_and_is_said_once(step_s: int) -> None:
    machine = Machine()
    clock = machine.clock()
    assert clock.now_s() == WALL_S
    machine.passes(60)
    machine.wall_s += step_s
    if abs(step_s) <= STEP_S_MAX:
        assert clock.now_s() == machine.wall_s and not machine.said
        return
    for rounding_s in (0, 1, 1):
        machine.wall_s += rounding_s
        with pytest.raises(CityClockWrong):
            clock.now_s()
    machine.wall_s -= 2
    assert clock.read_s() == WALL_S + 60
    machine.wall_s -= step_s
    assert clock.now_s() == WALL_S + 60
    assert machine.said == [f"set by {step_s:+d} s while serve runs", ""]


def test_a_clock_that_begins_behind_may_be_set_right_by_any_step() -> None:
    machine = Machine()
    machine.wall_s = 0
    clock = machine.clock()
    with pytest.raises(CityClockWrong):
        clock.now_s()
    assert clock.read_s() == WALL_S and not clock.is_settling()
    machine.wall_s = WALL_S + 9
    assert clock.now_s() == WALL_S + 9 and len(machine.said) == 2


@pytest.fixture
def service(tmp_path: Path) -> Iterator[tuple[Service, int]]:
    """A founded city that has just reserved something for a wallet."""
    folder = tmp_path / "city-test-only"
    found(folder)
    console = _console(Texts("en"), read_city_settings(folder / "city.toml", "en"))
    with console.store() as store:
        made = console.service(store)
        account, key = SimulatedKey(0x911), SimulatedKey(0x912)
        opened = allowances.register(store, account.point, 0, 0, 10_000, WALL_S)
        allowances.issue(store, made.keys.issuer, account.point, key.point, bytes(8), made.limits, WALL_S)
        yield made, opened.wallet_id


def _reserved(service: Service, wallet_id: int) -> bool:
    return accounts.balance(service.store, wallet_account(wallet_id)) < 10_000


def _house(service: Service) -> None:
    for chore in service.chores:
        chore()


def test_a_step_of_forty_days_releases_no_reserve_and_signs_no_time(service: tuple[Service, int]) -> None:
    machine = Machine()
    held = serving.held_to(service[0], machine.clock())
    machine.wall_s += 40 * DAY_S
    _house(held)
    asked = cbor.encode({1: "bus-1", 2: bytes(16)})
    held.store.execute(
        "INSERT INTO devices(device, role, owner, point, certificate, not_before_s, expires_at_s,"
        " offline_value_kgo, offline_hours, enrolled_at_s) VALUES('bus-1', 2, 'x', x'', x'', 0, 0, 0, 0, 0)"
    )
    for sign in (lambda: held.time(asked), held.checkpoint, lambda: held.batches(b""), lambda: held.wallet(b"")):
        with pytest.raises(CityClockWrong):
            sign()
    assert _reserved(*service) and cbor.decode(held.bulletins(""), 1 << 20)
    machine.wall_s = WALL_S
    assert held.time(asked)
    machine.passes(40 * DAY_S)
    _house(held)
    assert not _reserved(*service)


def test_after_a_long_pause_reserves_wait_some_minutes(service: tuple[Service, int]) -> None:
    machine = Machine()
    machine.wall_s += 40 * DAY_S
    held = serving.held_to(service[0], machine.clock(newest_known_s(service[0].store)))
    assert 0 <= newest_known_s(held.store) - WALL_S < DAY_S, "the founding's, of a moment ago"
    machine.passes(SETTLE_S - 1)
    _house(held)
    assert _reserved(*service)
    machine.passes(1)
    _house(held)
    assert not _reserved(*service)


def test_after_a_long_pause_a_new_key_waits_too(tmp_path: Path) -> None:
    folder = tmp_path / "city-test-only"
    found(folder)
    _path, signer = make_next_key_file(folder / "keys", KeyRole.ACK)
    roots = [open_key_file(folder / "keys" / f"root-{number}.key") for number in (1, 2)]
    with contextlib.closing(Store.open(folder / "ledger.db")) as store:
        held = trust.newest(store)
        assert held is not None
        made = trust.next_list(held, Changes(added=((KeyRole.ACK, signer.point),)), WALL_S)
        trust.add_list(store, trust.sign_list(made, roots))
        store.execute("UPDATE bulletins SET issued_at_s = ?", (WALL_S - 40 * DAY_S,))
        assert 0 < newest_known_s(store) < WALL_S - PAUSE_S_MAX

    def signs() -> bytes:
        with contextlib.closing(Store.open(folder / "ledger.db")) as store:
            return KeyBook(store).in_force(KeyRole.ACK).point

    for more, is_new in ((), False), (("--clock-checked",), True):
        with served(folder, *more):
            pass
        assert (signs() == signer.point) is is_new
        log = (folder.parent / f"{folder.name}.log").read_text()
        assert ("housekeeping waits" in log) is not is_new


def test_a_city_that_only_dates_its_deny_list_knows_the_time_by_that(service: tuple[Service, int]) -> None:
    made, _wallet_id = service
    before_s = newest_known_s(made.store)
    assert bulletins.publish_deny_list(made.store, made.keys.bulletin, before_s + DAY_S, is_forced=True)
    assert newest_known_s(made.store) == before_s + DAY_S


@pytest.fixture
def ahead(tmp_path: Path) -> Path:
    """A city whose ledger has posted by a clock that was ten days ahead."""
    folder = tmp_path / "city-test-only"
    found(folder)
    with contextlib.closing(Store.open(folder / "ledger.db")) as store:
        allowances.register(store, SimulatedKey(1).point, 0, 0, 10_000, int(time.time()) + 10 * DAY_S)
    return folder


def test_serve_signs_nothing_before_the_ledgers_own_times_until_a_person_says_so(ahead: Path) -> None:
    def asked(city: City) -> list[int]:
        return [city.ask("GET", path).status for path in ("/v1/checkpoint", "/v1/trust-lists?after=0", "/v1/bulletins")]

    with served(ahead) as city:
        assert asked(city) == [503, 200, 200]
        assert city.ask("GET", "/v1/checkpoint").value[1] == CityClockWrong.number
    log = (ahead.parent / f"{ahead.name}.log").read_text()
    assert log.count('"signs nothing"') == 1 and f"{CityClockWrong.number}" in log
    with served(ahead, "--clock-checked") as city:
        assert asked(city) == [200, 200, 200]

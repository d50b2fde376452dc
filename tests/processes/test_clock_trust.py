"""A real validator whose clock chip is wrong, gone or far off: it says so, takes few codes, and comes back. DESIGN §5.

No network time disciplines the clock of these machines' kernels unless the test fails at once and says so.
"""

import time
from pathlib import Path

import pytest

from offline_ledger.errors import (
    ClockAtFloor,
    ClockBehind,
    ClockImpossible,
    ClockSourceLost,
    ClockStepped,
    CodeTooOld,
    FloorCountUsedUp,
)
from offline_ledger.protocol import cbor, cose, device
from offline_ledger.protocol.device import ClockTrust, EventKind
from offline_ledger.protocol.kinds import OBJECT_BYTES_MAX, Kind
from offline_ledger.rules.clock import ClockEventKind, TimeSource
from offline_ledger.rules.limits import DAY_S, Limits
from offline_ledger.terminal.drivers.clocks import network_time
from offline_ledger.terminal.signers.key_file import open_key_file
from simulators.demo.processes import wait_until
from tests.processes.lone_bus import LoneBus, lone_bus, rider
from tests.terminal.city_in_test import CITY, CityInTest, DeviceInTest
from tests.terminal.desk import issue
from tests.terminal.https_city import HttpsCity, make_authority, server_context
from tests.terminal.provisioned import DEVICE

YEAR_2100_S = 4_102_444_800
COUNT_MAX = Limits().floor_one_way_count_max


@pytest.fixture(autouse=True)
def no_network_time() -> None:
    """With network time a terminal is synced whatever its chip says, and nothing here could be shown."""
    assert network_time() is None, "this machine's clock is disciplined by the network"


def trusts_in_journal(bus: LoneBus) -> list[int]:
    rows, _events = bus.journal()
    signed = [cose.parse_sign1(row.voucher, cose.external_aad(Kind.VOUCHER, CITY)) for row in rows]
    return [device.VOUCHER.decode(one.payload, OBJECT_BYTES_MAX).trust for one in signed]


@pytest.mark.parametrize(
    ("said", "refusal"),
    [
        (0, ClockImpossible),
        (946_684_800, ClockImpossible),
        (YEAR_2100_S, ClockImpossible),
        (-3 * DAY_S, ClockImpossible),  # these are from now on: below what the city has signed
        (3 * DAY_S, ClockAtFloor),  # possible, but its drift since the last sync is beyond what is bearable
        (None, ClockSourceLost),
        ("soon", ClockSourceLost),
    ],
)
def test_a_chip_that_is_wrong_is_told_with_number_and_remedy(
    tmp_path: Path, said: int | str | None, refusal: type[ClockImpossible]
) -> None:
    with lone_bus(tmp_path) as bus:
        from_now = isinstance(said, int) and abs(said) == 3 * DAY_S
        bus.set_chip(int(time.time()) + said if from_now and isinstance(said, int) else said)
        ready = bus.start()
        assert (ready["clock"], ready["one_way_left"]) == ("floor", COUNT_MAX)
        told = bus.program.wait_for(lambda line: line.get("trouble") == "clock", 0, "the trouble")
        assert told["refusal"] == refusal.number
        assert told["title_th"] and told["remedy_th"] and told["title_en"] and told["remedy_en"]
        badge, troubles = bus.status()
        assert (badge["clock"], badge["one_way_left"]) == ("floor", COUNT_MAX)
        assert [one["refusal"] for one in troubles if one["trouble"] == "clock"] == [refusal.number]
        light = bus.tap(rider(1))
        assert (light["light"], light["clock"], light["one_way_left"]) == ("accepted_cash_due", "floor", COUNT_MAX - 1)
        assert bus.program.stop("quit") == 0
        assert trusts_in_journal(bus) == [ClockTrust.FLOOR]
        _rows, events = bus.journal()
        clocks = [cbor.decode(event.body, 1024) for event in events if event.kind == EventKind.CLOCK]
        ignored = [body for body in clocks if body[:2] == [ClockEventKind.SOURCE_IGNORED, TimeSource.RTC]]  # type: ignore[index]
        assert len(ignored) == (0 if refusal is ClockSourceLost else 1), "both times are kept, once"


def test_a_good_chip_gives_holdover_and_no_trouble(tmp_path: Path) -> None:
    with lone_bus(tmp_path) as bus:
        ready = bus.start()
        assert ready["clock"] == "holdover" and "one_way_left" not in ready
        badge, troubles = bus.status()
        assert badge["clock"] == "holdover" and abs(badge["at_s"] - time.time()) < 30
        assert [one for one in troubles if one["trouble"] == "clock"] == []
        assert "clock" not in bus.tap(rider(1))
        assert bus.program.stop("quit") == 0
        assert trusts_in_journal(bus) == [ClockTrust.HOLDOVER]


def test_the_count_under_floor_survives_a_reboot_and_is_given_back_by_leaving_floor(tmp_path: Path) -> None:
    with lone_bus(tmp_path) as bus:
        bus.set_chip(0)
        bus.start()
        before = COUNT_MAX * 2 // 3
        first = rider(100)
        for number in range(before):
            assert bus.tap(rider(100 + number) if number else first)["one_way_left"] == COUNT_MAX - 1 - number
        bus.program.kill()
        assert bus.start()["one_way_left"] == COUNT_MAX - before
        assert bus.tap(first)["light"] == "already_accepted"  # a repeat takes none of the count
        for number in range(before, COUNT_MAX):
            assert bus.tap(rider(100 + number))["light"] == "accepted_cash_due"
        last = rider(999)
        refused = bus.tap(last)
        assert (refused["light"], refused["refusal"]) == ("refused", FloorCountUsedUp.number)
        assert refused["clock"] == "floor" and refused["one_way_left"] == 0
        bus.program.kill()
        assert bus.start()["one_way_left"] == 0
        assert bus.tap(last)["refusal"] == FloorCountUsedUp.number

        mark = bus.program.mark()

        def is_known() -> bool:
            bus.set_chip(int(time.time()))  # a technician sets the chip, which goes on; nobody restarts anything
            return any(line.get("clock_changed") is True for line in bus.program.said_since(mark))

        wait_until(is_known, "the clock to be known again", step_s=0.2)
        bus.program.wait_for(lambda line: line.get("trouble_over") == "clock", mark, "the trouble to be over")
        good = bus.tap(last)
        assert good["light"] == "accepted_cash_due" and "clock" not in good
        bus.program.kill()
        bus.set_chip(0)
        assert bus.start()["one_way_left"] == COUNT_MAX
        assert bus.program.stop("quit") == 0
        trusts = trusts_in_journal(bus)
        assert trusts == [ClockTrust.FLOOR] * COUNT_MAX + [ClockTrust.HOLDOVER]
        rows, _events = bus.journal()
        assert [row.sequence for row in rows] == list(range(1, COUNT_MAX + 2))


def test_under_floor_a_new_allowance_is_this_terminals_fault(tmp_path: Path) -> None:
    """Started offline without a chip: what was issued after its last sync looks as if it began later."""
    with lone_bus(tmp_path) as bus:
        bus.set_chip(None)
        bus.start()
        now_s = int(time.time())
        held = issue(1, not_before_s=now_s + 3_600, expires_at_s=now_s + DAY_S)
        held.next(5_000)
        said = bus.tap(held, now_s + 3_600)
        assert (said["light"], said["refusal"]) == ("try_again", ClockBehind.number)
        assert "Connect this terminal" in said["remedy_en"] and "โค้ดไม่ผิด" in said["remedy_th"]


def test_under_floor_a_code_is_refused_only_when_it_is_surely_old(tmp_path: Path) -> None:
    with lone_bus(tmp_path) as bus:
        bus.set_chip(None)
        bus.start()
        floor_s = int(time.time())
        assert bus.tap(rider(1), floor_s - 120)["refusal"] == CodeTooOld.number
        assert bus.tap(rider(2), floor_s + 6 * 3600)["light"] == "accepted_cash_due"  # how far ahead cannot be known
        bus.set_chip(int(time.time()))
        bus.program.wait_for(lambda line: line.get("clock_changed") is True, 0, "the clock to be known again")
        assert "refusal" in bus.tap(rider(3), floor_s + 6 * 3600)  # now it can


def test_a_clock_that_jumps_back_when_the_city_is_heard_is_told_and_order_is_by_sequence(tmp_path: Path) -> None:
    """The chip is two days ahead, believably; the first exchange sets it right between two boardings."""
    authority = make_authority(tmp_path)
    city = CityInTest(lambda: int(time.time()))
    with HttpsCity(city, server_context(tmp_path, authority)) as server:
        folder = tmp_path / "bus"
        folder.mkdir()
        silent = "https://127.0.0.1:9"
        with lone_bus(folder, url=silent, ca_file=authority.ca_file) as bus:
            point = open_key_file(folder / "device.key").point
            city.devices[DEVICE] = DeviceInTest(point)
            ahead_s = int(time.time()) + 2 * DAY_S
            bus.set_chip(ahead_s)
            assert bus.start()["clock"] == "holdover"
            assert bus.tap(rider(1), ahead_s)["refusal"], "an allowance that ended meanwhile, by this clock"
            bus.program.kill()
            text = bus.settings.read_text()
            bus.settings.write_text(text.replace(silent, server.url))
            assert bus.start()["clock"] == "holdover"
            bus.program.tell("sync")
            stepped = bus.program.wait_for(
                lambda line: line.get("refusal") == ClockStepped.number, 0, "the step to be told"
            )
            assert stepped["trouble"] == "clock" and stepped["before_s"] - stepped["after_s"] > DAY_S
            wait_until(lambda: bus.status()[0]["clock"] == "synced", "the clock to be synced")
            assert bus.tap(rider(2))["light"] == "accepted_cash_due"
            assert bus.program.stop("quit") == 0
            _rows, events = bus.journal()
            kinds = [cbor.decode(event.body, 1024)[0] for event in events if event.kind == EventKind.CLOCK]  # type: ignore[index]
            assert ClockEventKind.STEPPED in kinds

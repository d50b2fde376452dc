"""A real validator as passenger and driver meet it: lights, bounces, torn scans, a changing deny list. DESIGN §5."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from offline_ledger.errors import (
    BulletinMissing,
    CodeDamaged,
    Denied,
    MustReconnect,
    NotOurCode,
    ScannerLost,
    WrongAudience,
)
from offline_ledger.protocol.city import BulletinKind
from offline_ledger.protocol.deny_list import encode_ids, list_sum
from offline_ledger.protocol.wallet import Audience
from offline_ledger.rules.limits import HOUR_S
from offline_ledger.terminal.journal import Journal
from offline_ledger.terminal.signers.key_file import open_key_file
from offline_ledger.terminal.sync_record import SyncRecord, store_record
from simulators.demo.desk import is_light
from simulators.demo.processes import wait_until
from simulators.scanner import Fault
from tests.processes.lone_bus import CHEAP_FARE, LoneBus, lone_bus, rider
from tests.terminal.city_in_test import CityInTest, DeviceInTest, bulletin
from tests.terminal.https_city import HttpsCity, make_authority, server_context
from tests.terminal.provisioned import DENIED_IDS, DEVICE

LIGHT_S = 2.0
BUSY_S_MAX = 8.0
"""What the two seconds may become when a test machine does other things."""


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[LoneBus]:
    with lone_bus(tmp_path) as made:
        made.start()
        yield made


def test_each_state_has_a_light_and_a_reason_and_goes_back_to_wait(bus: LoneBus) -> None:
    held = rider(1)
    good = held.code(int(time.time()))
    shop = rider(2).code(int(time.time()), Audience.SHOP)
    states = [
        (good, "accepted_cash_due", None),
        (held.code(int(time.time()) + 1), "already_accepted", None),
        (shop, "refused", WrongAudience),
        ("https://example.org", "refused", NotOurCode),
        (good[:200], "try_again", CodeDamaged),
    ]
    for text, light, refusal in states:
        said = bus.scan(text)
        assert said["light"] == light, said
        if refusal is not None:
            assert said["refusal"] == refusal.number and said["remedy_th"] and said["remedy_en"]
        if light in ("accepted_cash_due", "try_again"):  # the first and the last: each takes its two seconds
            mark, shown_s = bus.program.mark(), time.monotonic()
            bus.program.wait_for(lambda one: one.get("light") == "wait", mark, "wait again", BUSY_S_MAX)
            assert time.monotonic() - shown_s < BUSY_S_MAX


def test_the_next_passenger_waits_for_no_light(bus: LoneBus) -> None:
    mark = bus.program.mark()
    for number in range(5):
        assert bus.tap(rider(number + 1))["light"] == "accepted_cash_due"
    lights = [one["light"] for one in bus.program.said_since(mark) if "light" in one]
    assert lights.count("accepted_cash_due") == 5 and "refused" not in lights


def test_no_fare_is_out_of_service_with_its_reason(tmp_path: Path) -> None:
    with lone_bus(tmp_path) as bus:
        bus.set_chip(int(time.time()) + 30 * HOUR_S)  # a day and more without a network: the tariff has run out
        bus.start()
        said = bus.tap(rider(1))
        assert (said["light"], said["refusal"]) == ("out_of_service", BulletinMissing.number)


def test_a_trigger_that_bounces_charges_once_and_refuses_nobody(bus: LoneBus) -> None:
    mark = bus.program.mark()
    bus.scanner.inject(Fault.DOUBLED)
    bus.scanner.send(rider(1).code(int(time.time())))
    bus.program.wait_for(lambda one: one.get("light") == "already_accepted", mark, "the second reading")
    lights = [one for one in bus.program.said_since(mark) if is_light(one)]
    assert [one["light"] for one in lights] == ["accepted_cash_due", "already_accepted"]
    assert {one["sequence"] for one in lights} == {1}


def test_a_torn_or_noisy_scan_is_charged_once_when_it_is_shown_again(bus: LoneBus) -> None:
    faults = [fault for fault in Fault if fault not in (Fault.DOUBLED, Fault.UNPLUG_MID_LINE)]
    for number, fault in enumerate(faults, start=1):
        held = rider(number)
        bus.scanner.inject(fault)
        bus.scanner.send(held.code(int(time.time())))
        bus.until_paid(held, number)
    assert bus.program.stop("quit") == 0
    rows, _events = bus.journal()
    assert [row.sequence for row in rows] == list(range(1, len(faults) + 1))


def test_a_scanner_pulled_in_mid_code_is_told_and_comes_back(bus: LoneBus) -> None:
    held, mark = rider(1), bus.program.mark()
    bus.scanner.inject(Fault.UNPLUG_MID_LINE)
    bus.scanner.send(held.code(int(time.time())))
    lost = bus.program.wait_for(lambda one: one.get("trouble") == "device", mark, "the lost scanner")
    assert lost["remedy_th"] and lost["remedy_en"]
    bus.scanner.plug()
    bus.until_paid(held, 1)


def test_without_any_reader_it_is_out_of_service_until_one_is_back(bus: LoneBus) -> None:
    bus.tap(rider(1))
    mark = bus.program.mark()
    bus.scanner.unplug()
    light = bus.program.wait_for(is_light, mark, "the light of a terminal that reads nothing")
    assert (light["light"], light["refusal"]) == ("out_of_service", ScannerLost.number)
    _badge, troubles = bus.status()
    assert ScannerLost.number in {one["refusal"] for one in troubles if one["trouble"] == "device"}
    after = bus.program.mark()
    time_up_s = time.monotonic() + 2 * LIGHT_S
    wait_until(lambda: time.monotonic() > time_up_s, "longer than a light stands")
    assert [one for one in bus.program.said_since(after) if "light" in one] == [], "the light must stand"
    bus.scanner.plug()
    bus.program.wait_for(lambda one: one.get("trouble_over") == "device", after, "the end of the trouble")
    bus.program.wait_for(lambda one: one.get("light") == "wait", after, "wait")
    assert "device" not in {one["trouble"] for one in bus.status()[1]}
    assert bus.tap(rider(2))["sequence"] == 2


def test_too_long_offline_is_this_terminals_fault_and_what_was_accepted_stays(tmp_path: Path) -> None:
    with lone_bus(tmp_path) as bus:
        bus.start()
        held = rider(1)
        assert bus.tap(held)["light"] == "accepted_cash_due"
        assert bus.program.stop("quit") == 0
        with Journal.open(tmp_path / "journal.db", device_id=DEVICE) as journal:
            store_record(journal, SyncRecord(complete_at_s=int(time.time()) - 26 * HOUR_S))
        bus.start()
        said = bus.tap(rider(2))
        assert (said["light"], said["refusal"]) == ("refused", MustReconnect.number)
        assert "not at fault" in said["remedy_en"] and "โค้ดไม่ผิด" in said["remedy_th"]
        assert bus.tap(held, int(time.time()) + 1)["light"] == "already_accepted"
        badge, _troubles = bus.status()
        assert badge["waiting"] == 1 and badge["synced_age_s"] >= 25 * HOUR_S  # "synced N ago, M waiting"


def deny_news(counter: int, ids: set[bytes], base: int, adds: set[bytes], removes: set[bytes]) -> bytes:
    now_s = int(time.time())
    body: dict[int, object] = {
        1: list_sum(ids), 2: len(ids), 3: now_s, 4: base, 5: encode_ids(adds), 6: encode_ids(removes),
    }  # fmt: skip
    return bulletin(
        BulletinKind.DENY_LIST, counter, body=body, issued_at_s=now_s, valid_from_s=now_s, valid_until_s=now_s + HOUR_S
    )


def test_a_deny_list_that_changes_denies_its_own_and_lets_go_again(tmp_path: Path) -> None:
    """Added, damaged on the way, removed: never everybody, and never for longer than the city says."""
    authority = make_authority(tmp_path)
    city = CityInTest(lambda: int(time.time()))
    folder = tmp_path / "bus"
    folder.mkdir()
    thief, others = rider(7 << 16, 100), [rider(number << 16, 100) for number in (8, 9)]  # the list has 6 bytes of 8
    first: set[bytes] = set(DENIED_IDS)
    theft = (7 << 16).to_bytes(8, "big")[:6]
    with (
        HttpsCity(city, server_context(tmp_path, authority)) as server,
        lone_bus(folder, url=server.url, ca_file=authority.ca_file, fare=CHEAP_FARE) as bus,
    ):
        city.devices[DEVICE] = DeviceInTest(open_key_file(folder / "device.key").point)
        bus.start()

        def light_of(wallet_number: int) -> object:
            held = thief if wallet_number == 0 else others[wallet_number - 1]
            held.next(100)
            said = bus.tap(held)
            return said.get("refusal", said["light"])

        assert [light_of(at) for at in range(3)] == ["accepted_cash_due"] * 3
        city.publish(deny_news(2, first | {theft}, 1, {theft}, set()))
        city.deny_lists[2] = encode_ids(first | {theft})
        bus.program.tell("sync")
        wait_until(lambda: light_of(0) == Denied.number, "the denial to land", step_s=0.2)
        assert [light_of(at) for at in (1, 2)] == ["accepted_cash_due"] * 2

        city.publish(deny_news(3, first, 2, set(), {theft, (1).to_bytes(6, "big")}))  # a change that does not fit
        city.deny_lists[3] = b"\xff" * 40  # and the whole list is rubbish
        mark = bus.program.mark()
        bus.program.tell("sync")
        bus.program.wait_for(lambda one: "status" in one and "refusal" in one, mark, "a bad list to be told")
        assert light_of(0) == Denied.number
        assert [light_of(at) for at in (1, 2)] == ["accepted_cash_due"] * 2

        city.publish(deny_news(4, first, 2, set(), {theft}))
        bus.program.tell("sync")
        wait_until(lambda: light_of(0) == "accepted_cash_due", "the removal to land", step_s=0.2)

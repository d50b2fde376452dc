"""A driver's whole trip on the running validator: signs on, drives by satellites, takes one back, hands over the coins.

By words and by the head's two buttons; the sums are read back from the journal by code that did not make them.
FIELD_LESSONS 24, 27; DESIGN §5.
"""

import time
from pathlib import Path

import pytest

from firmware.link import messages
from offline_ledger.protocol import cbor, cose, device
from offline_ledger.protocol.device import EventKind, PlaceKey, Voucher, VoucherKind
from offline_ledger.protocol.kinds import OBJECT_BYTES_MAX
from offline_ledger.protocol.shift_event import ShiftEventKind, decode_shift_event
from offline_ledger.terminal.control_commands import tell
from simulators.demo.processes import Said, wait_until
from simulators.gps import Fault, SimulatedGps
from simulators.head.device import Button
from tests.processes.driven_bus import DRIVER, PIN, driven_bus
from tests.processes.full_bus import FullBus, loaded_card
from tests.processes.lone_bus import rider

CARD_OF_D02 = 0xA1B2C3D4E5F60718
"""Its pass id, as the sample's list of drivers has it."""


def told(bus: FullBus, line: str, key: str) -> Said:
    """A driver's command, and the line that answers it."""
    mark = bus.program.mark()
    bus.program.tell(line)
    return bus.program.wait_for(lambda said: key in said, mark, f"{key} after {line.split()[0]}")


def annulled(bus: FullBus) -> int:
    """The driver takes the last boarding back, as soon as its light is known to have been seen."""
    answers: list[Said] = []

    def is_done() -> bool:
        mark = bus.program.mark()
        bus.program.tell("annul")
        answers.append(
            bus.program.wait_for(lambda said: "annulled" in said or "command_refused" in said, mark, "an answer")
        )
        return "annulled" in answers[-1]

    wait_until(is_done, "the annulment", step_s=0.05)
    return answers[-1]["annulled"]


def code_of(secret: int) -> str:
    return rider(secret).code(int(time.time()))


def drive_to(bus: FullBus, gps: SimulatedGps, stop: str, mark: int) -> None:
    """Seconds pass until the validator says that stop."""

    def is_there() -> bool:
        gps.tick(5)
        return any(said.get("stop") == stop for said in bus.program.said_since(mark))

    wait_until(is_there, f"stop {stop}")


def vouchers_of(bus: FullBus) -> list[Voucher]:
    rows, _events = bus.journal()
    return [device.VOUCHER.decode(cose.parse_sign1(row.voucher, b"").payload, OBJECT_BYTES_MAX) for row in rows]


def test_a_trip_from_sign_on_to_waybill(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with driven_bus(tmp_path) as (bus, gps, routes):
        bus.start()
        closed = bus.program.wait_for(lambda said: said.get("light") == "out_of_service", 0, "the closed door")
        assert closed["refusal"] == 1617
        assert not any(said.get("light") == "wait" for said in bus.program.said_since(0)), "nobody may board yet"
        assert told(bus, f"sign-on {DRIVER} 000000", "command_refused")["refusal"] == 1614
        door = bus.folder / "control.sock"
        wait_until(door.exists, "the door for local commands")
        assert tell(door, ["sign-on", DRIVER, "000000"]) == 1 and '"refusal": 1614' in capsys.readouterr().out
        assert tell(door, ["sign-on", DRIVER, PIN]) == 0 and '"phase": "signed_on"' in capsys.readouterr().out
        mark = bus.program.mark()
        assert told(bus, "route 8 0", "trip")["route"] == "8"
        bus.ready()
        assert bus.scan(code_of(11))["light"] == "accepted_cash_due"
        stops = [stop.stop_id for stop in routes.stops_of(routes.pattern_for("8", 0))]  # type: ignore[arg-type]
        drive_to(bus, gps, stops[2], mark)
        assert bus.scan(code_of(12))["light"] == "accepted_cash_due"
        assert bus.scan(code_of(13))["light"] == "accepted_cash_due"
        assert annulled(bus) == 3
        assert told(bus, "annul", "command_refused")["refusal"] == 1620
        waybill = told(bus, "end-trip", "waybill")
        assert (waybill["boardings"], waybill["coins_due_satang"]) == (2, 200)
        bus.head.wait_for(messages.OUT_OF_SERVICE)
        assert told(bus, "sign-off", "phase")["phase"] == "signed_off"
        assert bus.program.stop("quit") == 0
        made = vouchers_of(bus)
        assert [voucher.kind for voucher in made] == [VoucherKind.BOARDING] * 3 + [VoucherKind.ANNUL]
        assert [voucher.place.get(PlaceKey.STOP) for voucher in made[:3]] == [stops[0], stops[2], stops[2]]
        coins = sum(voucher.satang if voucher.kind == VoucherKind.BOARDING else -voucher.satang for voucher in made)
        assert coins == waybill["coins_due_satang"]
        shifts = [decode_shift_event(event.body) for event in bus.journal()[1] if event.kind == EventKind.SHIFT]
        kinds = (ShiftEventKind.SIGNED_ON, ShiftEventKind.TRIP_STARTED, ShiftEventKind.TRIP_ENDED)
        assert [event.what for event in shifts] == [*kinds, ShiftEventKind.SIGNED_OFF]
        assert [event.after for event in shifts] == [0, 0, 4, 4]


def test_a_power_cut_in_a_trip_changes_nothing(tmp_path: Path) -> None:
    with driven_bus(tmp_path) as (bus, _gps, _routes):
        bus.start()
        told(bus, f"sign-on {DRIVER} {PIN}", "phase")
        trip = told(bus, "route 8 0", "trip")["trip"]
        bus.ready()
        assert bus.scan(code_of(11))["light"] == "accepted_cash_due"
        bus.head.wait_for(messages.WAIT)
        bus.program.kill()
        bus.start()
        bus.program.wait_for(lambda said: said.get("trip") == trip, 0, "the trip it was on")
        bus.ready()
        assert bus.scan(code_of(12))["light"] == "accepted_cash_due"
        waybill = told(bus, "end-trip", "waybill")
        assert (waybill["waybill"], waybill["boardings"], waybill["coins_due_satang"]) == (trip, 2, 200)


def test_two_buttons_sign_on_and_start_a_trip_and_the_menu_stays_shut_while_it_moves(tmp_path: Path) -> None:
    with driven_bus(tmp_path) as (bus, gps, _routes):
        bus.start()
        bus.ready_closed()
        bus.head.press(Button.TWO, long=True)  # opens the menu: sign on
        bus.head.press(Button.TWO)
        bus.head.press(Button.TWO)  # the first driver
        for digit in PIN:
            for _ in range(int(digit)):
                bus.head.press(Button.ONE)
            bus.head.press(Button.TWO)
        bus.program.wait_for(lambda said: said.get("driver") == DRIVER, 0, "that the driver is signed on")
        bus.head.press(Button.ONE, long=True)  # shut
        bus.head.press(Button.TWO, long=True)
        for _ in range(5):  # start → route → direction → departure
            bus.head.press(Button.TWO)
        begun = bus.program.wait_for(lambda said: said.get("phase") == "running", 0, "the trip")
        assert begun["route"] == "8"
        mark = bus.program.mark()
        wait_until(lambda: gps.tick(3) is None and is_moving(bus), "that it moves")
        bus.head.press(Button.TWO, long=True)
        refused = bus.program.wait_for(lambda said: "command_refused" in said, mark, "the shut menu")
        assert refused["command_refused"] == "bus_moving"


def is_moving(bus: FullBus) -> bool:
    mark = bus.program.mark()
    bus.program.tell("driver-status")
    said = bus.program.wait_for(lambda one: "report" in one, mark, "the status")
    return bool(said.get("is_moving"))


def test_without_satellites_the_driver_says_the_stop(tmp_path: Path) -> None:
    with driven_bus(tmp_path) as (bus, gps, routes):
        gps.faults.add(Fault.NO_FIX)
        bus.start()
        told(bus, f"sign-on {DRIVER} {PIN}", "phase")
        told(bus, "route 8 0", "trip")
        gps.tick(40)
        stops = [stop.stop_id for stop in routes.stops_of(routes.pattern_for("8", 0))]  # type: ignore[arg-type]
        assert told(bus, "stop next", "stop")["stop"] == stops[1]
        assert told(bus, f"stop {stops[4]}", "stop")["stop"] == stops[4]
        gps.unplug()
        bus.program.wait_for(lambda said: said.get("refusal") == 6091, 0, "that the receiver is gone")
        assert told(bus, "stop back", "stop")["stop"] == stops[3]


def test_the_event_bodies_are_what_the_wire_says(tmp_path: Path) -> None:
    with driven_bus(tmp_path) as (bus, _gps, _routes):
        bus.start()
        told(bus, f"sign-on {DRIVER} {PIN}", "phase")
        assert bus.program.stop("quit") == 0
        (event,) = [event for event in bus.journal()[1] if event.kind == EventKind.SHIFT]
        assert cbor.encode(list(decode_shift_event(event.body))) == event.body


def test_a_drivers_own_card_signs_on_and_another_card_does_not(tmp_path: Path) -> None:
    """The card signs this terminal's challenge; the crew file of the sample names its pass."""
    with driven_bus(tmp_path, cards=True) as (bus, _gps, _routes):
        bus.start()
        bus.ready_closed()
        with loaded_card(tmp_path / "cards", 1) as stranger:
            mark = bus.hold(stranger)
            assert bus.light(mark)["refusal"] == 1617
            bus.lift(stranger)
        with loaded_card(tmp_path / "cards", CARD_OF_D02) as card:
            mark = bus.hold(card)
            signed = bus.program.wait_for(lambda said: said.get("driver") == "D-02", mark, "the driver of that card")
            assert signed["phase"] == "signed_on"
            bus.lift(card)
            told(bus, "route 8 0", "trip")
            bus.head.wait_for(messages.WAIT)
            assert bus.tap(card)["light"] == "accepted_cash_due", "while its driver drives, it pays like any other"
            told(bus, "lock", "phase")
            bus.light(bus.program.mark() - 1)
            mark = bus.hold(card)
            bus.program.wait_for(lambda said: said.get("phase") == "running", mark, "that it is unlocked")
            bus.lift(card)

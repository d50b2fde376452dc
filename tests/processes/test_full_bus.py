"""The whole validator on real parts: what the head's pixels say is what the journal holds. FIELD_LESSONS 21–25."""

import time
from pathlib import Path

import pytest
from PIL import Image

from bus_validator.face import Theme
from bus_validator.faces import Faces
from bus_validator.screen.painter import Painter
from firmware.link import messages
from offline_ledger.protocol.device import EventKind, VoucherKind
from offline_ledger.terminal.outcome import Charge, Light, Outcome
from offline_ledger.texts import Texts
from simulators.card.virtual import Tear, Where
from simulators.demo.processes import wait_until
from tests.processes.full_bus import full_bus, loaded_card
from tests.processes.lone_bus import rider

BAND = (780, 150)
"""In the coloured band of an answer, beside its words, on 800×480."""


def code_of(secret: int) -> str:
    return rider(secret).code(int(time.time()))


@pytest.mark.arm64
def test_a_code_before_the_heads_scanner_lights_its_ring(tmp_path: Path) -> None:
    with full_bus(tmp_path, cards=False) as bus:
        bus.start()
        bus.ready()
        said = bus.scan(code_of(5))
        assert said["light"] == "accepted_cash_due"
        bus.head.wait_for(messages.ACCEPTED_CASH_DUE)
        bus.head.wait_for(messages.WAIT)
        assert bus.program.stop("quit") == 0
        not_in_service = Faces(Texts("th"), Texts("en")).closed(None)
        left = Image.open(tmp_path / "screen.png").tobytes()
        assert left == Painter(800, 480, Theme.DAY).draw(not_in_service).tobytes(), "nobody is to tap at what has gone"
        vouchers, events = bus.journal()
        assert [row.kind for row in vouchers] == [VoucherKind.BOARDING]
        assert [event.kind for event in events if event.kind == EventKind.RATIFIED], "the head said that it was on"


def test_a_green_from_before_the_screen_is_there_is_on_it(tmp_path: Path) -> None:
    """The power is back and the phone still held: the driver reads what to collect, once the screen has started."""
    fare = Charge(5_000, 100, VoucherKind.BOARDING, "flat", (1, 1), {}, None)
    cash_due = Outcome(Light.ACCEPTED_CASH_DUE, 1, fare)
    expected = Painter(800, 480, Theme.DAY).draw(Faces(Texts("th"), Texts("en")).decided(cash_due)).getpixel(BAND)
    with full_bus(tmp_path, cards=False) as bus:
        bus.start()
        bus.head.wait_for(messages.WAIT)
        assert bus.scan(code_of(5))["light"] == "accepted_cash_due"
        picture = tmp_path / "screen.png"
        wait_until(
            lambda: picture.exists() and Image.open(picture).getpixel(BAND) == expected, "the green", step_s=0.01
        )


@pytest.mark.arm64
def test_a_card_pays_once_is_recognised_and_pays_for_a_companion_on_purpose(tmp_path: Path) -> None:
    with full_bus(tmp_path) as bus, loaded_card(tmp_path / "cards", 1) as card:
        bus.start()
        bus.ready()
        assert bus.tap(card)["light"] == "accepted_cash_due"
        assert bus.tap(card, reader=1)["light"] == "already_accepted", "held again, at another reader"
        bus.program.tell("companion")
        bus.program.wait_for(lambda said: said.get("companion") is True, 0, "the button's answer")
        assert bus.tap(card)["light"] == "accepted_cash_due"
        assert bus.tap(card)["light"] == "already_accepted"
        assert bus.program.stop("quit") == 0
        vouchers, _events = bus.journal()
        assert [(row.kind, row.kgo) for row in vouchers] == [(VoucherKind.BOARDING, 5_000)] * 2


def test_a_card_that_left_after_it_paid_gets_its_green_with_the_next_tap(tmp_path: Path) -> None:
    cards = tmp_path / "cards"
    with full_bus(tmp_path) as bus, loaded_card(cards, 2) as whole, loaded_card(cards, 5) as card:
        bus.start()
        bus.ready()
        assert bus.tap(whole)["light"] == "accepted_cash_due"
        (paying,) = [at for at, exchange in enumerate(whole.exchanges) if exchange.wrote]
        mark = bus.hold(card, tear=Tear(paying, Where.AFTER_WRITE))
        assert bus.light(mark)["light"] == "try_again"
        bus.lift(card)
        said = bus.tap(card)
        assert (said["light"], said["sequence"]) == ("accepted_cash_due", 2)
        assert bus.program.stop("quit") == 0
        assert len(bus.journal()[0]) == 2


def test_a_head_that_dies_in_a_tap_costs_nobody_a_second_fare(tmp_path: Path) -> None:
    """Its firmware stands still, so the green is never confirmed; the passenger taps again when it is back."""
    with full_bus(tmp_path) as bus, loaded_card(tmp_path / "cards", 3) as card:
        bus.start()
        bus.ready()
        bus.head.kill()
        said = bus.tap(card)
        if said["light"] == "out_of_service":  # its silence was noticed before the tap
            assert said["refusal"] in (6041, 6044)
        bus.program.wait_for(lambda one: one.get("trouble") == "head", 0, "the head's trouble")
        assert bus.tap(card)["light"] == "out_of_service"
        bus.head.restart()
        bus.head.wait_for(messages.WAIT)
        said = bus.tap(card)
        assert said["light"] == "accepted_cash_due" and said["sequence"] == 1
        bus.head.wait_for(messages.ACCEPTED_CASH_DUE)
        assert bus.tap(card)["light"] == "already_accepted"
        assert bus.program.stop("quit") == 0
        assert len(bus.journal()[0]) == 1


def test_a_head_unplugged_closes_the_door_and_opens_it_again_by_itself(tmp_path: Path) -> None:
    with full_bus(tmp_path, cards=False) as bus:
        bus.start()
        bus.ready()
        bus.head.unplug()
        closed = bus.program.wait_for(lambda said: said.get("light") == "out_of_service", 0, "the closed door")
        assert closed["refusal"] == 6041
        bus.head.plug()
        bus.ready()
        assert bus.scan(code_of(6))["light"] == "accepted_cash_due"


def test_killed_between_the_voucher_and_its_light_the_passenger_is_not_charged_again(tmp_path: Path) -> None:
    with full_bus(tmp_path) as bus, loaded_card(tmp_path / "cards", 4) as card:
        bus.start()
        bus.ready()
        bus.head.freeze()  # its light cannot come on
        bus.light(bus.hold(card))
        bus.program.kill()
        bus.lift(card)
        bus.head.restart()
        bus.start()
        bus.ready()
        said = bus.tap(card)
        assert (said["light"], said["sequence"]) == ("accepted_cash_due", 1)
        assert bus.program.stop("quit") == 0
        assert len(bus.journal()[0]) == 1

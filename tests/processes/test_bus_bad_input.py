"""What goes wrong at a bus door, on the running validator: each has its number, its look, and costs nobody anything.

The card's and the head's own faults at every byte are in `tests/card` and `tests/terminal/drivers`. FIELD_LESSONS 22.
"""

import time
from pathlib import Path

import pytest

from firmware.link import messages
from offline_ledger import errors
from offline_ledger.protocol import cose, qr, wallet
from offline_ledger.protocol.kinds import Kind
from offline_ledger.protocol.wallet import Audience, Coupon
from simulators.card.foreign import ForeignCard, ForeignSort
from simulators.card.virtual import VirtualCard
from simulators.demo.processes import wait_until
from simulators.head.device import SimulatedHead
from tests.processes.driven_bus import DRIVER, PIN, TRIP_SETTINGS, sign_files
from tests.processes.full_bus import FullBus, full_bus, loaded_card
from tests.processes.lone_bus import CHEAP_FARE, lone_bus, rider
from tests.processes.small_disk import empty, fill, from_outside, on_small_disk
from tests.processes.test_full_disk import SIZE, program_at, tap_until_full
from tests.terminal.desk import AAD, CITY, ISSUER_TEST_ONLY
from tests.terminal.provisioned import DEVICE

DAY_S = 86_400


def coupon(device: str, trip: str | None, expires_at_s: int, coupon_id: bytes = b"coupon-1") -> str:
    """A paper coupon of the test city."""
    said = Coupon(CITY, coupon_id, "flat", device, trip, 5_000, expires_at_s)
    key = ISSUER_TEST_ONLY
    return qr.encode(
        qr.QrType.COUPON, cose.sign1(wallet.COUPON.encode(said), AAD[Kind.COUPON], key.key_id, key.sign).raw
    )


def refused(bus: FullBus, text: str) -> int:
    """The number of what the door says to this text; it is neither green nor counted."""
    said = bus.scan(text)
    assert said["light"] in ("refused", "try_again") and said["sequence"] is None and said["remedy_th"]
    number = said["refusal"]
    assert isinstance(number, int)
    return number


def test_codes_and_coupons_that_are_not_for_this_door(tmp_path: Path) -> None:
    now_s = int(time.time())
    with full_bus(tmp_path, cards=False) as bus:
        bus.start()
        bus.ready()
        held = rider(5)
        assert refused(bus, held.code(now_s, Audience.SHOP)) == errors.WrongAudience.number
        assert refused(bus, coupon(DEVICE, None, now_s - DAY_S)) == errors.CouponExpired.number
        assert refused(bus, coupon("bus-of-another", None, now_s + DAY_S)) == errors.CouponOfOtherTerminal.number
        assert refused(bus, coupon(DEVICE, "evening", now_s + DAY_S)) == errors.CouponOfOtherTrip.number
        assert refused(bus, held.code(now_s)[:-40]) in (
            errors.CodeDamaged.number,
            errors.Malformed.number,
        )  # glare over a corner
        assert refused(bus, "https://promptpay.example/0801234567") == errors.NotOurCode.number
        good = coupon(DEVICE, "morning", now_s + DAY_S)
        assert bus.scan(good)["light"] == "accepted_cash_due"
        bus.head.wait_for(messages.ACCEPTED_CASH_DUE)  # a green that nobody could see yet would be owed once more
        assert bus.scan(good)["light"] == "already_accepted"
        bus.head.wait_for(messages.ALREADY_ACCEPTED)
        assert bus.program.stop("quit") == 0
        assert len(bus.journal()[0]) == 1


def test_foreign_cards_and_two_at_once(tmp_path: Path) -> None:
    with full_bus(tmp_path) as bus, loaded_card(tmp_path / "cards", 1) as card:
        bus.start()
        bus.ready()
        for sort, refusal in (
            (ForeignSort.BANK, errors.ForeignBankCard),
            (ForeignSort.FELICA, errors.ForeignTransitCard),
            (ForeignSort.IDENTITY, errors.ForeignIdCard),
        ):
            with VirtualCard(ForeignCard(sort)) as foreign:
                assert bus.tap(foreign)["refusal"] == refusal.number, sort
        with loaded_card(tmp_path / "cards", 2) as second:
            second.insert(bus.readers[1].port)
            assert bus.light(bus.hold(card))["refusal"] == errors.CardsTwo.number
            bus.lift(card)
            bus.lift(second)
        assert bus.tap(card)["light"] == "accepted_cash_due"
        assert bus.program.stop("quit") == 0


def test_two_heads_are_one_too_many(tmp_path: Path) -> None:
    """Which one would the passenger look at? Neither, until somebody pulls one."""
    with full_bus(tmp_path, cards=False) as bus:
        bus.settings.write_text(bus.settings.read_text().replace('port = "head"', 'port = "head*"'))
        with SimulatedHead(tmp_path / "head-2") as other:
            bus.start()
            told = bus.program.wait_for(lambda said: said.get("trouble") == "head", 0, "two heads")
            assert told["refusal"] == errors.TwoHeads.number
            bus.program.wait_for(lambda said: said.get("light") == "out_of_service", 0, "the closed door")
            other.unplug()
            bus.head.wait_for(messages.WAIT)
            assert bus.scan(rider(5).code(int(time.time())))["light"] == "accepted_cash_due"
            other.plug()  # ours goes on, and the other says by its light that nobody boards there
            told = bus.program.wait_for(lambda said: said.get("trouble") == "second_head", 0, "the other head")
            assert told["refusal"] == errors.TwoHeads.number and told["remedy_th"]
            assert bus.scan(rider(6).code(int(time.time())))["light"] == "accepted_cash_due"
            other.wait_for(messages.OUT_OF_SERVICE)
        bus.program.wait_for(lambda said: said.get("trouble_over") == "second_head", 0, "one head alone")


@pytest.mark.parametrize(("protocol", "is_fit"), [((0, 0), False), ((0, 1), True)])
def test_an_older_head_works_or_says_what_is_needed(tmp_path: Path, protocol: tuple[int, int], is_fit: bool) -> None:
    with full_bus(tmp_path, cards=False, protocol=protocol) as bus:
        bus.start()
        if is_fit:
            bus.ready()
            assert bus.scan(rider(5).code(int(time.time())))["light"] == "accepted_cash_due"
        else:
            told = bus.program.wait_for(lambda said: said.get("trouble") == "head", 0, "an old head")
            assert told["refusal"] == errors.HeadUnfit.number and told["remedy_th"]


def test_noise_on_the_cable_loses_no_light_and_invents_none(tmp_path: Path) -> None:
    with full_bus(tmp_path, cards=False) as bus:
        bus.start()
        bus.ready()
        for number in range(5):
            bus.head.garbage_to_host(bytes(range(256)))
            bus.head.garbage_to_head(b"\xff" * 200)
            assert bus.scan(rider(20 + number).code(int(time.time())))["light"] == "accepted_cash_due"
            bus.head.wait_for(messages.WAIT)
        assert bus.program.stop("quit") == 0
        assert len(bus.journal()[0]) == 5


def test_a_full_disk_at_the_terminus_loses_no_coin(tmp_path: Path) -> None:
    """The trip ends, or says that it cannot; with room again it ends with the same sums."""
    place, seed = tmp_path / "disk", tmp_path / "seed"
    place.mkdir()
    seed.mkdir()
    with lone_bus(seed, fare=CHEAP_FARE, trip=None) as bus:
        sign_files(seed)
        bus.settings.write_text(bus.settings.read_text() + TRIP_SETTINGS)
        bus.start(on_small_disk(place, SIZE, seed, program_at(place)))
        disk = from_outside(bus.program.pid, place)
        for line, key in ((f"sign-on {DRIVER} {PIN}", "phase"), ("route 8 0", "trip")):
            mark = bus.program.mark()
            bus.program.tell(line)
            bus.program.wait_for(lambda said, key=key: key in said and "phase" in said, mark, line.split()[0])
        assert fill(disk) > 0
        greens, _number, said = tap_until_full(bus)
        assert said["refusal"] == errors.StorageFull.number and len(greens) > 10, (greens, said)
        mark = bus.program.mark()
        bus.program.tell("end-trip")
        ended = bus.program.wait_for(lambda said: "waybill" in said or "command_refused" in said, mark, "an answer")
        if "command_refused" in ended:
            assert ended["refusal"] == errors.StorageFull.number
        empty(disk)

        def is_ended() -> bool:
            mark = bus.program.mark()
            bus.program.tell("waybill")
            told = bus.program.wait_for(
                lambda said: "waybill" in said or "command_refused" in said, mark, "the waybill"
            )
            return told.get("boardings") == len(greens)

        wait_until(is_ended, "every coin on the waybill", step_s=0.2)

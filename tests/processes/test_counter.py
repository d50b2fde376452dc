"""At a real till: power pulled after the light, two programs on one terminal, a link that comes and goes. DESIGN §5–§7.

Every story ends with the books: each sale is there once, under the number that the cashier saw.
"""

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest

from offline_ledger.errors import ClockStepped, JournalInUse
from offline_ledger.money import KGO
from offline_ledger.protocol.wallet import Audience
from offline_ledger.rules.limits import DAY_S
from simulators.demo.desk import SHOP, Desk
from simulators.demo.processes import PYTHON, Said, wait_until
from simulators.demo.story import GREEN
from simulators.demo.town import Person, Town
from simulators.fault_link import Mode, Plan
from tests.processes.tills import DEVICE, check_books, clear_till, shop_town, show

LATER = 75
RUN_S_MAX = 30
FLAPS = 12
FLAP_S = 0.5
"""So long the link stays as it is: an exchange begins in it, and the slow ones are cut by the next."""


@pytest.fixture
def town(tmp_path: Path, seed: int) -> Iterator[Town]:
    with shop_town(tmp_path, seed, ("Mali", "Somchai")) as made:
        yield made


def sell(desk: Desk, person: Person) -> Said:
    """A new sale that its customer pays; the light."""
    clear_till(desk)
    desk.tell("sale 10.00 1.00", "sale")
    person.wants(Audience.SHOP, KGO)
    said = show(desk, person)
    assert said["light"] in GREEN, said
    return said


def test_power_pulled_after_the_light_and_a_second_program_leave_each_sale_once_with_its_number(town: Town) -> None:
    shop, person = town.desks[DEVICE], town.people[0]
    delays_s = (0.0, 0.05, 0.4, 1.2)
    for number, delay_s in enumerate(delays_s, start=1):
        light = sell(shop, person)
        assert light["sequence"] == number
        until_s = time.monotonic() + delay_s
        while time.monotonic() < until_s:
            pass
        shop.program.kill()
        ready = shop.start()
        assert ready["sequence"] == number
        again = show(shop, person)
        assert again["sequence"] == number
        assert again["light"] == "already_accepted" or again.get("uncharged") is True, again
    check_second_program(shop)
    assert sell(shop, person)["sequence"] == len(delays_s) + 1
    check_books(town, len(delays_s) + 1)


def check_second_program(shop: Desk) -> None:
    """Refused by number, without a word on the lights' line; worth another try when the first has ended."""
    command = (*PYTHON, SHOP.module, "--settings", str(shop.settings_file))
    second = subprocess.run(command, capture_output=True, text=True, timeout=RUN_S_MAX, check=False, input="")
    assert second.returncode == LATER and second.stderr.startswith(f"{JournalInUse.number} "), second.stderr
    assert second.stdout == "" and "Traceback" not in second.stderr


def test_a_link_that_flaps_posts_each_sale_once_and_the_badge_never_lies(
    town: Town, rng: Random, report: Callable[[str], None]
) -> None:
    """ "Online" is green only when nothing at all waits; a link that is half there is not there."""
    shop = town.desks[DEVICE]
    plans = [
        Plan(), Plan(mode=Mode.REFUSE), Plan(mode=Mode.BLACK_HOLE), Plan(mode=Mode.LOSE_ANSWERS),
        Plan(cut_up_bytes=700), Plan(cut_down_bytes=900), Plan(delay_ms=150),
    ]  # fmt: skip
    for number in range(FLAPS):
        shop.network.apply(rng.choice(plans))
        if rng.random() < 0.5:
            shop.network.reset_links()
        assert sell(shop, rng.choice(town.people))["sequence"] == number + 1
        shop.program.tell("sync")
        badge = shop.tell("status", "troubles")
        assert badge["status"] != "synced" or badge["waiting"] == 0
        until_s = time.monotonic() + FLAP_S
        wait_until(lambda until_s=until_s: time.monotonic() >= until_s, "the link's next whim")
    shop.reconnect()
    town.wait_synced()
    badges = [said for said in shop.program.said_since(0) if "status" in said]
    assert [said for said in badges if said["status"] == "synced" and said["waiting"]] == []
    report(f"a link that flaps: {FLAPS} sales, {len(badges)} badges")
    check_books(town, FLAPS)


@pytest.mark.arm64
def test_started_while_the_network_swallows_everything_it_sells_durably(town: Town) -> None:
    """The cable is in, the router answers, the internet is dead: connections open and nothing comes back."""
    shop, person = town.desks[DEVICE], town.people[0]
    shop.stop()
    shop.cut(Mode.BLACK_HOLE)
    shop.start()
    assert sell(shop, person)["sequence"] == 1
    badge = shop.tell("status", "troubles")
    assert badge["waiting"] == 1 and badge["status"] != "synced" and badge["synced_age_s"] is not None
    wait_until(lambda: shop.tell("status", "troubles")["oldest_age_s"] >= 1, "the age of what waits to grow")
    shop.wait_quiet()
    shop.program.kill()
    assert shop.start()["sequence"] == 1
    assert sell(shop, person)["sequence"] == 2
    shop.reconnect()
    check_books(town, 2)


def test_a_clock_set_right_in_mid_sale_is_told_and_the_sale_is_paid_under_the_next_number(town: Town) -> None:
    """The chip ran two days ahead and was believed; the network comes back while the customer looks for the phone."""
    shop, person = town.desks[DEVICE], town.people[0]
    assert sell(shop, person)["sequence"] == 1
    town.wait_synced()
    shop.stop()
    shop.cut(Mode.REFUSE)
    shop.rtc.step_s(2 * DAY_S)
    assert shop.start()["clock"] == "holdover"
    opened = shop.tell("sale 10.00 1.00", "sale")["sale"]
    mark = shop.program.mark()
    shop.reconnect()
    told = shop.program.wait_for(lambda said: said.get("refusal") == ClockStepped.number, mark, "the step to be told")
    assert told["before_s"] - told["after_s"] > DAY_S and told["remedy_th"] and told["remedy_en"]
    person.wants(Audience.SHOP, KGO)
    light = show(shop, person)
    assert light["light"] in GREEN and light["sequence"] == 2 and "clock" not in light
    paid = shop.program.wait_for(lambda said: "paid_sale" in said, mark, "the paid sale")
    assert paid["paid_sale"] == opened
    check_books(town, 2)

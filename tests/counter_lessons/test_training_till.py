"""Lesson 20: a till that trains looks like one everywhere, and reaches neither the real ledger nor a report."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from offline_ledger.errors import UnknownCity
from offline_ledger.money import KGO
from offline_ledger.protocol.wallet import Audience
from offline_ledger.terminal.headless import TRAINING_LIGHT
from simulators.demo.desk import SHOP, DeskSettings
from simulators.demo.processes import wait_until
from simulators.shop_desk.till import PIN_TEST_ONLY, Shop, TillDesk
from tests.city_service.desk import copy_founded
from tests.counter_lessons.street import GOODS, Street, number_on
from tests.processes.quick_city import QuickCity
from tests.processes.test_training import TRAINING_CITY, phone_of, vouchers_in

DEVICE = "till-of-training"
GREEN = ("light-accepted", "light-accepted_cash_due", "link-synced")


class TrainingCity(QuickCity):
    """One whose name says that nothing in it is money."""

    def init(self) -> None:
        copy_founded(self.folder, "--city", TRAINING_CITY, "--port", "0")
        text = self.settings.read_text(encoding="utf-8")
        self.settings.write_text(text.replace("\nport = 0\n", f"\nport = {self.port}\n"), encoding="utf-8")


@pytest.fixture
def training(tmp_path: Path) -> Iterator[tuple[TrainingCity, TillDesk]]:
    with ExitStack() as opened:
        city = TrainingCity(tmp_path / "training")
        opened.callback(city.close)
        city.init()
        city.serve()
        settings = DeskSettings(SHOP, DEVICE, TRAINING_CITY, city.ca_file, city.port, tmp_path / DEVICE, 1, False)
        till = opened.enter_context(TillDesk(settings, Shop(goods=GOODS, people=(("01", "มาลี", "manager"),))))
        till.enrol(city.token(DEVICE, "training", "coffee-1"))
        till.start()
        wait_until(lambda: till.tell("status", "troubles")["synced_age_s"] is not None, "the first whole exchange")
        yield city, till


def test_lesson_20_a_till_that_trains_says_so_everywhere_and_reaches_no_ledger_and_no_report(
    street: Street, training: tuple[TrainingCity, TillDesk], tmp_path: Path
) -> None:
    city, till = training
    real = street.town.city
    before, report = vouchers_in(real, tmp_path), statement(street)
    trainee = phone_of(city, TRAINING_CITY, tmp_path / "trainee")
    citizen = street.customer(0).wallet
    screens = [till.hands.press("sign_in", None, code="01", pin=PIN_TEST_ONLY)]

    def press(action: str, **fields: str) -> None:
        screens.append(till.hands.press(action, None, **fields))
        assert not screens[-1].refusal, (action, screens[-1].refusal)

    press("open_shift", typed="100")
    press("add_amount", typed="60")
    press("pay")
    press("kgo", typed="3")
    citizen.new_intent(Audience.SHOP, 3 * KGO)
    assert shown(till, citizen.code(int(time.time())))["refusal"] == UnknownCity.number, "real KGO are no toys"
    trainee.new_intent(Audience.SHOP, 3 * KGO)
    light = shown(till, trainee.code(int(time.time())))
    assert light["light"] == TRAINING_LIGHT
    wait_until(lambda: till.hands.look().screen == "pay", "the code to be taken")
    screens.append(till.hands.seen)
    press("cash", typed="100")
    assert number_on(till.hands.seen) == 1
    press("shift")
    press("close_shift")
    displays = [till.hands.look_at_display()]
    assert all("data-training" in one.html and "TRAINING" in one.html for one in screens)
    assert all("data-training" in one for one in displays)
    assert not [sign for one in screens for sign in GREEN[:2] if f'class="cell light {sign}"' in one.html]

    till.stop()  # somebody gives it the real city's address and CA
    till.write_settings(url=real.url, ca_file=real.ca_file)
    till.start()
    till.program.tell("sync")
    wait_until(lambda: till.tell("status", "troubles").get("refusal") is not None, "the real city to refuse it")
    assert till.tell("status", "troubles")["status"] != "synced"
    assert vouchers_in(real, tmp_path) == before and statement(street) == report
    lights = {line["light"] for line in till.program.said_since(0) if "light" in line}
    assert not lights & {"accepted", "accepted_cash_due"}


def shown(till: TillDesk, code: str) -> dict[str, object]:
    """The light of a code before the scanner."""
    mark = till.begin_show(code)
    return till.program.wait_for(lambda said: said.get("light") not in (None, "wait"), mark, "a light")


def statement(street: Street) -> str:
    """The real city's report on the merchant, but for its own time."""
    return street.town.city.ask("statement", "coffee-1")[1]

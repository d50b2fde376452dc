"""A training city beside a real one, as processes: training never shows green and never reaches the real books. §5."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest

from offline_ledger.errors import DeviceRoleWrong, UnknownCity
from offline_ledger.money import KGO
from offline_ledger.protocol.wallet import Audience
from offline_ledger.terminal.headless import TRAINING_LIGHT
from simulators.demo.city import CITY, CityProgram, write_gifts
from simulators.demo.desk import BUS, SHOP, Desk, DeskSettings, Kind, Reader
from simulators.demo.processes import PYTHON, Said, ToolFailed, run_tool, wait_until
from simulators.demo.reader_files import open_copy, rows
from simulators.wallet import CityLink, PhoneWallet

TRAINING_CITY = f"{CITY}-TRAINING"
GREEN = ("accepted", "accepted_cash_due")


@dataclass(frozen=True, slots=True)
class Cities:
    """The real one and the one for training."""

    real: CityProgram
    training: CityProgram


@pytest.fixture(scope="module")
def cities(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cities]:
    folder = tmp_path_factory.mktemp("cities")
    with CityProgram(folder / "real") as real, CityProgram(folder / "training") as training:
        real.init()
        words = ("init", str(training.folder), "--city", TRAINING_CITY, "--sample", "--port", str(training.port))
        training.ask(*words)
        for city in (real, training):
            city.serve()
        yield Cities(real, training)


def desk_in(city: CityProgram, name: str, kind: Kind, device: str, folder: Path) -> Desk:
    """A terminal whose settings name this city; not enrolled yet."""
    settings = DeskSettings(kind, device, name, city.ca_file, city.port, folder, seed=1, has_camera=False)
    return Desk(settings)


def phone_of(city: CityProgram, name: str, folder: Path) -> PhoneWallet:
    """A registered phone with a gift and an allowance."""
    link, now_s = CityLink(city.url, city.ca_file), int(time.time())
    wallet = PhoneWallet(folder, name, Random(str(folder)))
    wallet.register(link, now_s)
    gifts = folder.with_suffix(".csv")
    write_gifts(gifts, [(wallet.account.point.hex(), "1000", "gift")])
    city.grant(gifts)
    wallet.take_allowance(link, now_s)
    return wallet


def vouchers_in(city: CityProgram, scratch: Path) -> int:
    ledger = open_copy(city.ledger, scratch)
    try:
        ((count,),) = rows(ledger, "SELECT count(*) FROM vouchers")
        return count
    finally:
        ledger.close()


def show(desk: Desk, wallet: PhoneWallet, audience: Audience, cap_kgo: int, command: str) -> Said:
    desk.program.tell("cancel")
    desk.program.tell(command)
    wallet.new_intent(audience, cap_kgo)
    return desk.show(lambda: wallet.code(int(time.time())), Reader.SERIAL)


@pytest.mark.parametrize(
    ("kind", "audience", "cap_kgo", "command"),
    [(SHOP, Audience.SHOP, 5 * KGO, "sale 40.00 5.00"), (BUS, Audience.TRANSIT, 50 * KGO, "trip R8 T1")],
    ids=["pos", "bus"],
)
def test_training_never_shows_green_and_syncs_into_no_real_city(
    cities: Cities, tmp_path: Path, kind: Kind, audience: Audience, cap_kgo: int, command: str
) -> None:
    device = f"{kind.role}-training"
    before = vouchers_in(cities.real, tmp_path)
    with desk_in(cities.training, TRAINING_CITY, kind, device, tmp_path / device) as desk:
        desk.enrol(cities.training.token(device, "training", "coffee-1"))
        desk.start()
        wait_until(lambda: desk.tell("status", "troubles")["synced_age_s"] is not None, "the first whole exchange")
        trainee = phone_of(cities.training, TRAINING_CITY, tmp_path / "trainee")
        said = show(desk, trainee, audience, cap_kgo, command)
        assert said["light"] == TRAINING_LIGHT and said["would_be"] in GREEN and said["sequence"] == 1, said
        assert desk.show(lambda: trainee.code(int(time.time())), Reader.SERIAL)["light"] == "already_accepted"

        citizen = phone_of(cities.real, CITY, tmp_path / "citizen")  # a real phone pays nothing at a training device
        assert show(desk, citizen, audience, cap_kgo, command)["refusal"] == UnknownCity.number

        desk.program.tell("sync")  # its own city refuses to post it, and says so by a signed rejection
        wait_until(lambda: desk.tell("status", "troubles")["waiting"] == 0, "the training city to answer")
        assert "rejected" not in desk.tell("status", "troubles"), "nobody is sent to ask about a practice sale"
        code, listed = cities.training.ask("exceptions", may_fail=True)
        assert code == 0 and device not in listed, listed
        _code, listed = cities.training.ask("exceptions", "--all", may_fail=True)
        assert device in listed, "whoever wants to know sees it"
        assert desk.stop() == 0

        # somebody gives it the real city's address and CA: nothing of it passes there
        desk.write_settings(url=cities.real.url, ca_file=cities.real.ca_file)
        desk.start()
        told = desk.program.wait_for(lambda line: "status" in line and "refusal" in line, 0, "that it is refused")
        assert told["status"] in ("offline", "attention")
        assert show(desk, trainee, audience, cap_kgo, command)["light"] == TRAINING_LIGHT
        desk.program.tell("sync")
        refused = desk.tell("status", "troubles")
        assert refused["waiting"] == 1 and refused["status"] != "synced"
        lights = {line["light"] for line in desk.program.said_since(0) if "light" in line}
        assert not lights & set(GREEN)
    assert vouchers_in(cities.real, tmp_path) == before


def test_a_training_certificate_is_no_certificate_for_the_real_city(cities: Cities, tmp_path: Path) -> None:
    """The token is for training; the program in the real city asks as a till, and the city does not agree."""
    with desk_in(cities.real, CITY, SHOP, "shop-mixed", tmp_path / "shop") as desk:
        with pytest.raises(ToolFailed):
            desk.enrol(cities.real.token("shop-mixed", "training", "coffee-1"))
        assert not (desk.folder / "device.cert").exists()


def test_in_a_training_city_only_training_devices_are_enrolled(cities: Cities, tmp_path: Path) -> None:
    with desk_in(cities.training, TRAINING_CITY, SHOP, "shop-real", tmp_path / "shop") as desk:
        with pytest.raises(ToolFailed):
            desk.enrol(cities.training.token("shop-real", "shop", "coffee-1"))
        assert not (desk.folder / "device.cert").exists()


def test_a_certificate_of_another_role_does_not_start_in_a_training_city(cities: Cities, tmp_path: Path) -> None:
    """By file the operator might have answered a request that was made by another program."""
    name, request, answer = "bus-swapped", tmp_path / "request", tmp_path / "answer"
    with desk_in(cities.real, CITY, BUS, name, tmp_path / "bus") as desk:
        program = (*PYTHON, BUS.module, "--settings", str(desk.settings_file), "enrol")
        run_tool("request", (*program, "--request", str(request)), tmp_path / "log")
        words = ("enrol", name, "--owner", "city-bus", "--request", str(request), "--out", str(answer))
        cities.real.ask(*words, "--role", "validator")
        till = (*PYTHON, SHOP.module, "--settings", str(desk.settings_file), "enrol", "--answer", str(answer))
        ended = run_tool("answer", till, tmp_path / "log", may_fail=True)
        assert ended.returncode == 1 and ended.stderr.startswith(f"{DeviceRoleWrong.number} ")

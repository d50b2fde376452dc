"""`kgo-city coupons` as the operator runs it: the guide's section word for word, and every way that it says no."""

import json
import re
import shlex
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from offline_ledger.city.coupons import Sheet
from offline_ledger.city.coupons import sheets as listed
from offline_ledger.city.store import Store
from offline_ledger.protocol.device import DeviceRole
from offline_ledger.rules.limits import DAY_S
from offline_ledger.terminal.enrol import enrolment_request
from simulators.keys import SimulatedKey
from tests.city_service.desk import found, run

GUIDE = Path(__file__).parents[2] / "docs" / "operator.md"
WRITTEN_DAY, WRITTEN_TRIP_DAY = "2026-11-30", "20261130"
BANGKOK_S = 7 * 3_600


def day_in(days: int) -> str:
    """The date in Bangkok so many days from today."""
    return (datetime.now(UTC) + timedelta(seconds=BANGKOK_S + days * DAY_S)).strftime("%Y-%m-%d")


def enrol(folder: Path, name: str, role: DeviceRole, secret: int, *more: str) -> None:
    """By a request file, as `docs/operator.md` says."""
    asked = folder / f"{name}.request"
    asked.write_bytes(enrolment_request(SimulatedKey(secret), "TH-40", name, role, int(time.time())))
    words = ("--request", asked.name, "--out", f"{name}.answer", "--settings", "city/city.toml")
    done = run("enrol", name, "--role", role.name.lower(), *more, *words, folder=folder)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sample city with a bus, a shop, and a token that nobody used."""
    folder = tmp_path_factory.mktemp("coupons-test-only")
    found(folder / "city")
    enrol(folder, "bus-8", DeviceRole.VALIDATOR, 8, "--owner", "city-bus")
    enrol(folder, "shop-1", DeviceRole.SHOP, 1, "--owner", "noodle-1", "--name", "ก๋วยเตี๋ยวหน้ามอ")
    waiting = ("bus-9", "--role", "validator", "--owner", "city-bus", "--settings", "city/city.toml")
    assert run("enrol", *waiting, folder=folder).returncode == 0
    return folder


def coupons(desk: Path, *words: str, language: str = "en") -> tuple[int, str]:
    done = run("coupons", *words, "--settings", "city/city.toml", "--language", language, folder=desk)
    return done.returncode, done.stdout + done.stderr


def sheets(desk: Path) -> list[dict[str, object]]:
    code, said = coupons(desk, "--json")
    assert code == 0
    return json.loads(said)["sheets"]


def printed(desk: Path) -> list[Sheet]:
    """The same, without a program."""
    with closing(Store.open(desk / "city" / "ledger.db")) as store:
        return listed(store)


def test_the_guides_section_is_so(desk: Path) -> None:
    section = GUIDE.read_text("utf-8").partition("## Paper coupons")[2].partition("\n## ")[0]
    (block,) = re.findall(r"^```text\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    ran = 0
    for part in (
        block.replace(WRITTEN_DAY, day_in(9)).replace(WRITTEN_TRIP_DAY, day_in(9).replace("-", "")).split("$ ")[1:]
    ):
        command, *expected = part.splitlines()
        words = shlex.split(command)
        assert words[0] == "kgo-city"
        done = run(*words[1:], "--language", "en", folder=desk)
        assert done.returncode == 0, (command, done.stderr)
        for line in expected:
            assert line in done.stdout, (command, done.stdout)
        ran += 1
    assert ran == 5
    for name in ("coupons.pdf", "shop.pdf"):
        assert (desk / name).read_bytes().startswith(b"%PDF-1.4\n")
        assert (desk / name).stat().st_mode & 0o777 == 0o600
    shop, bus = sheets(desk)[-2:]
    assert (bus["state"], bus["outstanding_kgo"], bus["cancel_note"]) == ("cancelled", 0, "the box was stolen")
    assert (shop["product"], shop["value_kgo"], shop["last_day"], shop["state"]) == ("coupon", 2_000, day_in(9), "good")


PRINT = ("1", "--until", "TODAY", "--out", "NEW", "--note", "x")
SAYS_NO: dict[str, tuple[tuple[str, ...], int, str]] = {
    "a device that is not known": (("bus-7", *PRINT), 1, "4002"),
    "one that is not enrolled yet": (("bus-9", *PRINT), 1, "4002"),
    "another fare": (("bus-8", *PRINT, "--product", "night"), 1, "4121"),
    "a large one": (("shop-1", *PRINT, "--kgo", "500.01"), 1, "4123"),
    "a large sheet": (("shop-1", "51", *PRINT[1:], "--kgo", "500"), 1, "4123"),
    "more than the device could take": (("bus-8", *PRINT, "--kgo", "20000.01", "--large-amounts"), 1, "4123"),
    "a shop without amount": (("shop-1", *PRINT), 2, "--kgo"),
    "a shop for nothing": (("shop-1", *PRINT, "--kgo", "0"), 2, "--kgo"),
    "a shop's trip": (("shop-1", *PRINT, "--kgo", "1", "--trip", "T1"), 2, "--trip"),
    "no count": (("bus-8", *PRINT[1:]), 2, "COUNT"),
    "no last day": (("bus-8", "1", "--out", "NEW", "--note", "x"), 2, "--until"),
    "no file": (("bus-8", "1", "--until", "TODAY", "--note", "x"), 2, "--out"),
    "no reason": (("bus-8", *PRINT[:-1], " "), 2, "--note"),
    "none": (("bus-8", "0", *PRINT[1:]), 2, "COUNT"),
    "too many": (("bus-8", "501", *PRINT[1:]), 2, "COUNT"),
    "yesterday": (("bus-8", "1", "--until", "YESTERDAY", *PRINT[3:]), 2, "at most 92 days"),
    "too far ahead": (("bus-8", "1", "--until", "FAR", *PRINT[3:]), 2, "at most 92 days"),
    "a trip of tomorrow": (("bus-8", *PRINT, "--trip", "0.TOMORROW.0735"), 2, "the trip 0."),
    "a trip of the day before yesterday": (("bus-8", *PRINT, "--trip", "0.BEFORE.0735"), 2, "the trip 0."),
    "the timetable's day of a trip after midnight": (("bus-8", *PRINT, "--trip", "0.TODAY.2510"), 2, "TOMORROW or"),
    "no such day": (("bus-8", "1", "--until", "2026-02-30", *PRINT[3:]), 2, "2026-02-30"),
    "a name too long": (("bus-8", *PRINT, "--trip", "T" * 33), 2, "TRIP"),
    "printing and cancelling": (("bus-8", *PRINT, "--cancel", "1"), 2, "--cancel"),
    "cancelling what is not there": (("--cancel", "99", "--note", "x"), 1, "4122"),
    "cancelling without a reason": (("--cancel", "1"), 2, "--note"),
    "showing what is not there": (("--sheet", "99"), 1, "4122"),
    "a file in no folder": (("bus-8", *PRINT[:4], "none/x.pdf", "--note", "x"), 2, "5004"),
    "a file that is there": (("bus-8", *PRINT[:4], "bus-8.request", "--note", "x"), 1, "5010"),
}


@pytest.mark.parametrize("name", SAYS_NO)
def test_it_says_no_and_issues_nothing(desk: Path, name: str) -> None:
    words, code, part = SAYS_NO[name]
    named = (("TOMORROW.0735", 1), ("BEFORE.0735", -2), ("TODAY.2510", 0))
    trips = {f"0.{trip}": f"0.{day_in(at).replace('-', '')}.{trip[-4:]}" for trip, at in named}
    days = trips | {"TODAY": day_in(0), "YESTERDAY": day_in(-1), "FAR": day_in(93), "NEW": f"{name}.pdf"}
    before = printed(desk)
    answered, said = coupons(desk, *[days.get(word, word) for word in words])
    assert (answered, part.replace("TOMORROW", day_in(1)) in said) == (code, True), said
    assert printed(desk) == before
    assert not (desk / f"{name}.pdf").exists()


def test_today_and_the_last_possible_day_are_good(desk: Path) -> None:
    for at, days in enumerate((0, 92)):
        code, said = coupons(desk, "bus-8", "1", "--until", day_in(days), "--out", f"edge-{at}.pdf", "--note", "x")
        assert code == 0, said


def test_a_trip_that_runs_past_midnight_may_end_the_day_after(desk: Path) -> None:
    trip = f"0.{day_in(0).replace('-', '')}.2350"
    code, said = coupons(desk, "bus-8", "1", "--trip", trip, "--until", day_in(1), "--out", "late.pdf", "--note", "x")
    assert code == 0, said


def test_a_sheet_that_cannot_be_written_is_taken_back(desk: Path) -> None:
    place = Path(f"{'c' * 245}.pdf")  # good as it is, and too long for the name that is put beside it first
    code, said = coupons(desk, "bus-8", "2", "--until", day_in(0), "--out", str(place), "--note", "x")
    assert code == 2 and "5004" in said
    newest = sheets(desk)[0]
    assert (newest["state"], newest["cancel_note"], newest["count"]) == ("cancelled", "not printed", 2)


def test_a_link_in_the_files_place_is_not_followed(desk: Path) -> None:
    (desk / "dangling.pdf").symlink_to(desk / "elsewhere.pdf")
    code, _said = coupons(desk, "bus-8", "1", "--until", day_in(0), "--out", "dangling.pdf", "--note", "x")
    assert code == 1 and not (desk / "elsewhere.pdf").exists()


def test_a_blocked_device_gets_none(desk: Path) -> None:
    store = Store.open(desk / "city" / "ledger.db")
    store.execute("UPDATE devices SET blocked = 1 WHERE device = 'shop-1'")
    try:
        code, said = coupons(desk, "shop-1", "1", "--kgo", "1", "--until", day_in(0), "--out", "b.pdf", "--note", "x")
    finally:
        store.execute("UPDATE devices SET blocked = 0 WHERE device = 'shop-1'")
        store.close()
    assert code == 1 and "4120" in said


def test_it_speaks_thai(desk: Path) -> None:
    code, said = coupons(desk, "bus-8", "1", "--until", day_in(0), "--out", "th.pdf", "--note", "วัด", language="th")
    assert code == 0 and "พิมพ์คูปอง 1 ใบ" in said and "/25" in said
    code, said = coupons(desk, language="th")
    assert code == 0 and "คงค้าง" in said and "วัด" in said

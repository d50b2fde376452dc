"""What Thai screens show may be typed again: dates with Buddhist years, Thai digits; and no English beside Thai."""

import re
import socket
from argparse import ArgumentTypeError
from pathlib import Path

import pytest

from offline_ledger.city.__main__ import _console
from offline_ledger.city.serving import listen
from offline_ledger.errors import AddressInUse, DayNotOver, EnrolmentRefused, JoinInvalid, UsageWrong
from offline_ledger.rules.civil import day_of
from offline_ledger.texts import Texts
from offline_ledger.texts.command_line import amount
from simulators.keys import SimulatedKey
from tests.city_service.desk import found, run

CONSOLE = _console(Texts("th"), None)
LATIN = re.compile("[A-Za-z]{3}")


@pytest.mark.parametrize("text", ["21/11/2569", "๒๑/๑๑/๒๕๖๙", "2026-11-21", "20261121", "๒๐๒๖-๑๑-๒๑"])
def test_a_date_as_it_is_shown(text: str) -> None:
    assert CONSOLE.day(text) == day_of(20261121)


@pytest.mark.parametrize(
    "text", ["21/11/2026", "11/21/2569", "31/02/2569", "2569-11-21", "21/11/69", "21-11-2569", "x"]
)
def test_a_date_that_could_be_misread_is_none(text: str) -> None:
    with pytest.raises(UsageWrong) as caught:
        CONSOLE.day(text)
    assert "21/11/2569" in caught.value.problems[0]


def test_amounts_of_commands() -> None:
    read = amount(Texts("th"))
    assert [read(text) for text in ("๕๐", "50", "๑,๒๕๐.๕๐", "1,250.5")] == [5_000, 5_000, 125_050, 125_050]
    for wrong in ("250,50", "1,00", "๑,๐", "1.234", "-1", "", "๕๐บาท"):
        with pytest.raises(ArgumentTypeError):
            read(wrong)


def test_a_file_that_is_no_text_is_told_in_a_few_lines(tmp_path: Path) -> None:
    folder = tmp_path / "city-test-only"
    found(folder)
    settings = ("--settings", str(folder / "city.toml"))
    deposit = run("deposit", "๑", "๕๐", *settings)
    assert deposit.returncode == 1 and "4008" in deposit.stderr, "no such wallet, but the amount was read"
    picture = tmp_path / "gifts.csv"
    picture.write_bytes(b"\x89PNG\xff\n" * 5_000)
    for language, rest in (("en", "more lines have the same"), ("th", "บรรทัดเป็นอย่างเดียวกัน")):
        told = run("grant", str(picture), *settings, "--language", language)
        assert told.returncode == 2 and "4053" in told.stderr and rest in told.stderr
        assert len(told.stderr.splitlines()) < 15, told.stderr
    picture.write_text("wallet,amount_kgo,reason\n" + "".join(f"{at},1,x\n" for at in range(50, 70)))
    each = run("grant", str(picture), *settings).stderr
    assert all(f"{picture}: " in line for line in each.splitlines()[:20]), "different mistakes are all told"


ISO_DATE = re.compile(r"\b2[01][0-9]{2}-[0-9]{2}-[0-9]{2}")
BUDDHIST_DATE = re.compile(r"\b[0-9]{2}/[0-9]{2}/25[0-9]{2}\b")


def test_thai_readers_see_buddhist_years_and_programs_do_not(tmp_path: Path) -> None:
    folder = tmp_path / "city-test-only"
    found(folder)
    settings = ("--settings", str(folder / "city.toml"))
    tariff, gifts = tmp_path / "tariff.json", tmp_path / "gifts.csv"
    tariff.write_text(
        '{"products": [{"product_id": "any", "kind": 1, "name_th": "ปกติ", "name_en": "Any", "kgo": "60.00",'
        ' "thb": "1.00"}]}'
    )
    gifts.write_text("wallet,amount_kgo,reason\n1,5,song\n")
    publish = ("publish", "tariff", str(tariff), "--from", "2030-06-01", "--until", "31/08/2573")
    register = ("wallet", "--register", SimulatedKey(0x77).point.hex(), "--name", "มะลิ")
    invite = ("invite", "2", "--days", "30")
    dated = (publish, ("wallet",), ("keys",), invite, ("invitations",), ("close-day", "2199-01-01"))
    for words in (register, ("grant", str(gifts)), *dated, ("grant", str(gifts)), ("close-day", "2024-01-01")):
        done = run(*words, *settings, "--language", "th")
        read = done.stderr + ("" if words == invite else done.stdout)  # what it prints is CSV
        assert not ISO_DATE.search(read), (words, read)
        assert words not in dated or BUDDHIST_DATE.search(read), (words, read)
        if words == invite:
            assert ISO_DATE.search(done.stdout) and not BUDDHIST_DATE.search(done.stdout)
        if words == publish:
            assert "01/06/2573" in read and "31/08/2573" in read
    english = run(*publish, *settings, "--language", "en").stdout
    assert "from 2030-06-01 until 2030-08-31" in english and not BUDDHIST_DATE.search(english)


def test_a_date_in_a_detail() -> None:
    refusal = DayNotOver("today is 2026-11-21")
    assert Texts("th").detail(refusal) == "วันนี้คือ 21/11/2569" and Texts("en").detail(refusal) == refusal.detail


def test_a_port_that_is_taken_is_told_in_thai_alone() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        with pytest.raises(AddressInUse) as caught:
            listen("127.0.0.1", taken.getsockname()[1])
    assert not LATIN.search(Texts("th").detail(caught.value)), Texts("th").detail(caught.value)


def test_one_name_for_stand_ins_and_plain_words() -> None:
    thai = Texts("th")
    for said in ("7 is no stand-in", "7 is a stand-in itself"):
        assert "บัญชีแทน" in thai.detail(JoinInvalid(said)) and "ตัวแทน" not in thai.detail(JoinInvalid(said))
    assert "แบบนี้" not in thai.title(EnrolmentRefused) and not Texts("en").title(EnrolmentRefused).endswith(" so")

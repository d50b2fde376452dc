"""Enrolling real terminals with a real city: what is wrong for good says so, once, and what to do. DESIGN §8.

Exit code 1: the same command would be refused again. 75: it may work later.
"""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from offline_ledger.errors import (
    AnswerFileWrong,
    CaFileToCome,
    CertificateNameTaken,
    DeviceRoleWrong,
    EnrolmentRefused,
    EnrolmentUnanswered,
    NotProvisioned,
    Refusal,
    TokenInvalid,
    TokenMistyped,
)
from offline_ledger.protocol.token import token_of
from simulators.demo.city import CITY, CityProgram, free_port
from simulators.demo.desk import BUS, SHOP, Kind
from tests.forked import run_forked
from tests.processes.quick_city import QuickCity

RUN_S_MAX = 60
LATER = 75


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CityProgram]:
    with QuickCity(tmp_path_factory.mktemp("town") / "city") as made:
        made.init()
        made.serve()
        yield made


def settings_for(folder: Path, city: CityProgram, device: str, **changes: str) -> Path:
    values = {"url": city.url, "ca_file": str(city.ca_file)} | changes
    file = folder / "settings.toml"
    file.write_text(
        f'[device]\ncity = "{CITY}"\nid = "{device}"\nlanguage = "en"\n'
        f'[city]\nurl = "{values["url"]}"\nca_file = "{values["ca_file"]}"\n[scanner]\nport = "scanner"\n'
    )
    return file


def run(kind: Kind, settings: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    return run_forked(f"{kind.module}.__main__", ("--settings", str(settings), *words), None, RUN_S_MAX)


def assert_refused(ended: "subprocess.CompletedProcess[str]", refusal: type[Refusal], code: int) -> None:
    assert ended.stderr.startswith(f"{refusal.number} "), ended.stderr
    assert ended.returncode == code and ended.stdout == "" and "Traceback" not in ended.stderr
    assert "try again" not in ended.stderr or code == LATER, ended.stderr


@pytest.mark.parametrize("token", [token_of(bytes(15)), token_of(b"\xff" * 15)])
def test_a_token_that_the_city_does_not_know(tmp_path: Path, city: CityProgram, token: str) -> None:
    settings = settings_for(tmp_path, city, "shop-unknown")
    assert_refused(run(SHOP, settings, "enrol", "--token", token), TokenInvalid, 1)
    assert_refused(run(SHOP, settings), NotProvisioned, 1)


@pytest.mark.parametrize(
    "token",
    ["รหัสของร้าน", "abc", "ABC", "ABCDEFG1", "ABCD EFGH", "ABCD–EFGH", "A" * 65, "", "ABCDEFGHIJKLMNOPQRSTUVW4"],
)
def test_a_token_that_none_can_be(tmp_path: Path, city: CityProgram, token: str) -> None:
    ended = run(SHOP, settings_for(tmp_path, city, "shop-mistyped"), "enrol", "--token", token)
    assert_refused(ended, TokenMistyped, 1)


def test_a_token_of_another_role_of_another_device_and_one_that_was_used(tmp_path: Path, city: CityProgram) -> None:
    folders = [tmp_path / name for name in ("a", "b", "c")]
    for folder in folders:
        folder.mkdir()
    token = city.token("shop-roles", "shop", "coffee-1")
    wrong_role = run(BUS, settings_for(folders[0], city, "shop-roles"), "enrol", "--token", token)
    assert_refused(wrong_role, EnrolmentRefused, 1)
    wrong_device = run(SHOP, settings_for(folders[1], city, "shop-other"), "enrol", "--token", token)
    assert_refused(wrong_device, TokenInvalid, 1)
    good = run(SHOP, settings_for(folders[2], city, "shop-roles"), "enrol", "--token", f" {token} ")
    assert good.returncode == 0 and good.stdout.startswith("shop-roles coffee-1 "), good.stderr
    again = run(SHOP, settings_for(folders[2], city, "shop-roles"), "enrol", "--token", token)
    assert again.returncode == 0 and again.stdout == good.stdout  # the first answer may have been lost
    cloned = run(SHOP, settings_for(folders[1], city, "shop-roles"), "enrol", "--token", token)
    assert_refused(cloned, TokenInvalid, 1)
    started_as_a_bus = run(BUS, folders[2] / "settings.toml")
    assert_refused(started_as_a_bus, DeviceRoleWrong, 1)


@pytest.mark.parametrize("content", [b"", b"a shopping list", b"\xa1\x01\x41\x00", b"\x00" * 2_000_000])
def test_a_file_that_is_no_answer(tmp_path: Path, city: CityProgram, content: bytes) -> None:
    settings, wrong = settings_for(tmp_path, city, "shop-wrong-file"), tmp_path / "wrong"
    assert run(SHOP, settings, "enrol", "--request", str(tmp_path / "request")).returncode == 0
    wrong.write_bytes(content)
    assert_refused(run(SHOP, settings, "enrol", "--answer", str(wrong)), AnswerFileWrong, 1)


def test_an_answer_for_another_role_by_file(tmp_path: Path, city: CityProgram) -> None:
    """The request asks as a till; the operator names a bus, or the answer is taken by the other program."""
    settings = settings_for(tmp_path, city, "shop-by-file")
    request, answer = tmp_path / "request", tmp_path / "answer"
    assert run(SHOP, settings, "enrol", "--request", str(request)).returncode == 0
    words = ("enrol", "shop-by-file", "--owner", "coffee-1", "--request", str(request), "--out", str(answer))
    city.ask(*words, "--role", "shop")
    assert_refused(run(BUS, settings, "enrol", "--answer", str(answer)), DeviceRoleWrong, 1)
    assert_refused(run(SHOP, settings), NotProvisioned, 1)
    done = run(SHOP, settings, "enrol", "--answer", str(answer))
    assert done.returncode == 0 and done.stdout.startswith("shop-by-file coffee-1 "), done.stderr


def test_an_answer_for_another_device_or_key_by_file(tmp_path: Path, city: CityProgram) -> None:
    folders = [tmp_path / name for name in ("one", "two")]
    for folder in folders:
        folder.mkdir()
    one, two = settings_for(folders[0], city, "shop-one"), settings_for(folders[1], city, "shop-two")
    request, answer = tmp_path / "request", tmp_path / "answer"
    assert run(SHOP, one, "enrol", "--request", str(request)).returncode == 0
    assert run(SHOP, two, "enrol", "--request", str(tmp_path / "other")).returncode == 0
    city.ask(
        "enrol", "shop-one", "--role", "shop", "--owner", "coffee-1", "--request", str(request), "--out", str(answer)
    )
    assert_refused(run(SHOP, two, "enrol", "--answer", str(answer)), EnrolmentRefused, 1)
    (folders[0] / "device.key").replace(folders[0] / "lost.key")
    assert run(SHOP, one, "enrol", "--request", str(tmp_path / "again")).returncode == 0
    assert_refused(run(SHOP, one, "enrol", "--answer", str(answer)), EnrolmentRefused, 1)
    (folders[0] / "lost.key").replace(folders[0] / "device.key")
    assert run(SHOP, one, "enrol", "--answer", str(answer)).returncode == 0
    assert run(SHOP, one, "enrol", "--answer", str(answer)).returncode == 0  # over the older certificate


def test_what_lies_under_the_certificates_name_is_not_written_over(tmp_path: Path, city: CityProgram) -> None:
    """A letter, somebody's key, a link to either: told before anything is made or asked."""
    settings = settings_for(tmp_path, city, "shop-letter")
    letter = tmp_path / "device.cert"
    letter.write_text("a letter to the mayor")
    token = city.token("shop-letter", "shop", "coffee-1")
    assert_refused(run(SHOP, settings, "enrol", "--request", str(tmp_path / "request")), CertificateNameTaken, 1)
    assert_refused(run(SHOP, settings, "enrol", "--token", token), CertificateNameTaken, 1)
    assert letter.read_text() == "a letter to the mayor" and not (tmp_path / "device.key").exists()
    letter.unlink()
    assert run(SHOP, settings, "enrol", "--token", token).returncode == 0


@pytest.mark.parametrize("files", ['certificate = "device.key"', 'journal = "link"', 'key = "trust.list"'])
def test_two_names_of_one_file_are_told_before_a_key_is_made_or_lost(
    tmp_path: Path, city: CityProgram, files: str
) -> None:
    settings = settings_for(tmp_path, city, "shop-same")
    (tmp_path / "link").symlink_to("device.key")
    settings.write_text(settings.read_text() + f"[files]\n{files}\n")
    for words in (("enrol", "--request", str(tmp_path / "request")), ()):
        ended = run(SHOP, settings, *words)
        assert ended.returncode == 2 and "line 11: files." in ended.stderr, ended.stderr
        assert "give each a file of its own" in ended.stderr
    assert {file.name for file in tmp_path.iterdir()} == {"settings.toml", "link"}


def test_a_city_that_does_not_answer_is_worth_another_try_with_the_same_token(
    tmp_path: Path, city: CityProgram
) -> None:
    token = city.token("shop-late", "shop", "coffee-1")
    nobody = settings_for(tmp_path, city, "shop-late", url=f"https://localhost:{free_port()}")
    assert_refused(run(SHOP, nobody, "enrol", "--token", token), EnrolmentUnanswered, LATER)
    done = run(SHOP, settings_for(tmp_path, city, "shop-late"), "enrol", "--token", token)
    assert done.returncode == 0, done.stderr


def test_a_missing_ca_file_is_told_before_the_token_is_spent(tmp_path: Path, city: CityProgram) -> None:
    token = city.token("shop-ca", "shop", "coffee-1")
    wrong = settings_for(tmp_path, city, "shop-ca", ca_file=str(tmp_path / "none.crt"))
    assert_refused(run(SHOP, wrong, "enrol", "--token", token), CaFileToCome, 1)
    done = run(SHOP, settings_for(tmp_path, city, "shop-ca"), "enrol", "--token", token)
    assert done.returncode == 0, done.stderr

"""What a command says must fit what is registered: a typo founds no merchant, nothing that was said is ignored."""

from pathlib import Path

import pytest

from offline_ledger.city.store import Store
from simulators.keys import SimulatedKey
from tests.city_service.desk import found, run


@pytest.fixture(scope="module", name="folder")
def _folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("otherwise-test-only") / "city"
    found(folder)
    return folder


def ask(folder: Path, *words: str, language: str = "en"):
    return run(*words, "--settings", str(folder / "city.toml"), "--language", language)


def owners_in(folder: Path) -> dict[str, str]:
    opened = Store.open(folder / "ledger.db")
    try:
        return {row[0]: row[1] for row in opened.fetch("SELECT owner, name FROM owners")}
    finally:
        opened.close()


def test_a_typo_in_the_owner_founds_no_merchant(folder: Path) -> None:
    before = owners_in(folder)
    typo = ask(folder, "enrol", "shop-1", "--role", "shop", "--owner", "nodle-1")
    assert (typo.returncode, typo.stdout) == (1, "")
    assert "4058" in typo.stderr and "near: noodle-1" in typo.stderr and "--name" in typo.stderr
    thai = ask(folder, "enrol", "shop-1", "--role", "shop", "--owner", "nodle-1", language="th")
    assert "nodle-1 เป็นรายใหม่และยังไม่มีชื่อ" in thai.stderr and "ใกล้เคียง: noodle-1" in thai.stderr
    assert owners_in(folder) == before
    new = ask(folder, "enrol", "shop-1", "--role", "shop", "--owner", "rice-1", "--name", "ข้าวมันไก่")
    assert new.returncode == 0 and owners_in(folder) == before | {"rice-1": "ข้าวมันไก่"}
    again = ask(folder, "enrol", "shop-2", "--role", "shop", "--owner", "rice-1", "--name", "ข้าวมันไก่")
    assert again.returncode == 0


def test_another_name_or_kind_of_a_known_owner_is_refused(folder: Path) -> None:
    before = owners_in(folder)
    other = ask(folder, "enrol", "shop-3", "--role", "shop", "--owner", "noodle-1", "--name", "Noodles")
    assert (other.returncode, other.stdout) == (1, "") and "4094" in other.stderr
    assert f"the name of noodle-1 is {before['noodle-1']}" in other.stderr and owners_in(folder) == before
    kind = ask(folder, "enrol", "shop-3", "--role", "shop", "--owner", "city-bus")
    assert kind.returncode == 1 and "city-bus is registered as operator" in kind.stderr
    thai = ask(folder, "enrol", "shop-3", "--role", "shop", "--owner", "city-bus", language="th")
    assert "city-bus ลงทะเบียนไว้เป็น ผู้เดินรถ" in thai.stderr


def test_a_wallet_stays_the_medium_it_was_opened_as(folder: Path) -> None:
    key = SimulatedKey(0x0711E3).point.hex()
    assert "phone" in ask(folder, "wallet", "--register", key).stdout
    for words in (("wallet", "1", "--medium", "card"), ("wallet", "--register", key, "--medium", "card")):
        refused = ask(folder, *words)
        assert refused.returncode == 1 and "4094" in refused.stderr and "wallet 1 is a phone" in refused.stderr
    assert ask(folder, "wallet", "1", "--medium", "phone", "--name", "แก้ว").returncode == 0

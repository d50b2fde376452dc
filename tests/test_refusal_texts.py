"""Each refusal is told apart: a title of its own in both languages, raised by a program, provoked by a test."""

import re
from pathlib import Path

import pytest

from offline_ledger import errors
from offline_ledger.errors import Refusal
from offline_ledger.texts import Texts

ROOT = Path(__file__).parents[1]
PROGRAMS = ("offline_ledger", "pos_app", "bus_validator")


def kinds_below(base: type[Refusal]) -> list[type[Refusal]]:
    found: list[type[Refusal]] = []
    for kind in base.__subclasses__():
        found += [kind, *kinds_below(kind)]
    return found


KINDS = sorted(
    (kind for kind in kinds_below(Refusal) if kind.__module__ == errors.__name__), key=lambda kind: kind.number
)


def words_of(*folders: str, but: str) -> set[str]:
    files = (path for folder in folders for path in (ROOT / folder).rglob("*.py"))
    return {word for path in files if path.name != but for word in re.findall(r"\w+", path.read_text())}


@pytest.mark.parametrize("language", ["th", "en"])
def test_no_two_refusals_have_one_title(language: str) -> None:
    texts = Texts(language)
    titles: dict[str, list[str]] = {}
    for kind in KINDS:
        titles.setdefault(texts.title(kind), []).append(kind.__name__)
    assert len(KINDS) > 100
    assert [names for names in titles.values() if len(names) > 1] == []


def test_every_refusal_is_raised_by_a_program() -> None:
    said = words_of(*PROGRAMS, "firmware", but="errors.py")
    assert [kind.__name__ for kind in KINDS if kind.__name__ not in said] == []


def test_every_refusal_is_provoked_by_a_test() -> None:
    """By its class, its number or its key: a program in a process of its own shows no more."""
    said = words_of("tests", but=Path(__file__).name)
    assert [kind.__name__ for kind in KINDS if said.isdisjoint({kind.__name__, str(kind.number), kind.key})] == []


AT_SHOP = r"ลูกค้า|ขาย|ร้าน|\b(customer|sale|sell|selling|shop|till)s?\b"
AT_BUS = r"ผู้โดยสาร|คนขับ|เที่ยว|รถ|\b(passenger|driver|ride|trip|bus)s?\b"
SHOP_FILES = (
    "pos_app/",
    "offline_ledger/terminal/till_vouchers.py",
    "offline_ledger/terminal/refund_asking.py",
    "offline_ledger/rules/sale.py",
    "offline_ledger/rules/campaign.py",
)
BUS_FILES = ("bus_validator/", "offline_ledger/rules/fare.py", "offline_ledger/rules/tariff.py")


@pytest.mark.parametrize("language", ["th", "en"])
def test_what_shop_and_bus_share_names_the_people_of_neither(language: str) -> None:
    """A driver has no customers and a cashier no passengers. What only the city's desk shows is not judged here."""
    texts = Texts(language)
    files = {
        str(path.relative_to(ROOT)): set(re.findall(r"\w+", path.read_text()))
        for folder in PROGRAMS
        for path in (ROOT / folder).rglob("*.py")
        if path.name != "errors.py" and "/city/" not in str(path.relative_to(ROOT))
    }
    wrong: list[str] = []
    for kind in KINDS:
        where = [name for name, words in files.items() if kind.__name__ in words]
        said = re.sub('"[^"]*"', "", f"{texts.title(kind)} {texts.remedy(kind)}".lower())  # a button of the app
        at_shop, at_bus = re.search(AT_SHOP, said), re.search(AT_BUS, said)
        if at_shop and not at_bus and not all(name.startswith(SHOP_FILES) for name in where):
            wrong.append(f"{kind.number} {said}: also in {where}")
        if at_bus and not at_shop and not all(name.startswith(BUS_FILES) for name in where):
            wrong.append(f"{kind.number} {said}: also in {where}")
    assert wrong == []

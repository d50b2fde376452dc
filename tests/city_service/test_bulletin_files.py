"""Files for `kgo-city publish`: every mistake at once, with line, place and remedy, in both languages. DESIGN §9."""

import ast
import json
import random
import re
from pathlib import Path
from typing import Any

import pytest

from offline_ledger.city import bulletin_files, json_places
from offline_ledger.city.bulletin_files import read_bulletin
from offline_ledger.errors import BulletinFileWrong
from offline_ledger.protocol.city import BulletinKind
from offline_ledger.rules.campaign import decode_campaigns
from offline_ledger.rules.tariff import decode_tariff
from offline_ledger.texts import Texts

ROOT = Path(__file__).parents[2]
THAI = re.compile("[\u0e00-\u0e7f]")
TARIFF = BulletinKind.TARIFF
PRODUCT = {"product_id": "bus", "kind": 1, "name_th": "รถ", "name_en": "Bus", "kgo": "50.00", "thb": "1.00"}
CONCESSION = {"concession": 2, "name_th": "สูงวัย", "name_en": "Senior", "pays_per_mille": 500}
DISCOUNT = {"rate_thb": "1.00", "bill_per_mille": 500, "wallet_day_kgo_max": "100.00", "bill_thb_min": "0.00"}
CAMPAIGN = {"campaign_id": "c", "name_th": "ก", "name_en": "C", "discount": DISCOUNT}


def problems_of(content: str | bytes, kind: BulletinKind = TARIFF, language: str = "en") -> list[str]:
    data = content.encode() if isinstance(content, str) else content
    with pytest.raises(BulletinFileWrong) as caught:
        read_bulletin(kind, data, "F", Texts(language))
    assert caught.value.problems
    return list(caught.value.problems)


def told_of(value: object, kind: BulletinKind = TARIFF) -> list[str]:
    return problems_of(json.dumps(value), kind)


def test_good_files_are_read_exactly() -> None:
    product = PRODUCT | {"first_day": "2026-06-01", "last_day": 20260831, "routes": ["8", "10"]}
    value = {"products": [product, PRODUCT | {"product_id": "base"}], "daily_cap": {"kgo": "100.00", "thb": "2.00"}}
    made = decode_tariff(read_bulletin(TARIFF, b"\xef\xbb\xbf" + json.dumps(value).encode(), "F", Texts("th")))
    assert (made.products[0].first_day, made.products[0].last_day, made.products[0].kgo) == (20260601, 20260831, 5_000)
    assert made.concessions == () and made.transfer is None and made.daily_cap is not None
    body = read_bulletin(BulletinKind.CAMPAIGN, json.dumps({"campaigns": [CAMPAIGN]}).encode(), "F", Texts("en"))
    assert decode_campaigns(body).campaigns[0].merchants is None
    assert read_bulletin(BulletinKind.CONFIGURATION, b'{"0": 5, "23": "x", "1": true}', "F", Texts("en")) == {
        0: 5,
        23: "x",
        1: True,
    }


@pytest.mark.parametrize(
    ("said", "pass_back_s"),
    [
        ({}, 0),
        ({"pass_back_s": 0}, 0),
        ({"pass_back_s": 1}, 1),
        ({"pass_back_s": 300}, 300),
        ({"pass_back_s": 3_600}, 3_600),
    ],
)
def test_pass_back_is_seconds_of_the_tariff(said: dict[str, int], pass_back_s: int) -> None:
    data = json.dumps({"products": [PRODUCT], **said}).encode()
    assert decode_tariff(read_bulletin(TARIFF, data, "F", Texts("en"))).pass_back_s == pass_back_s


@pytest.mark.parametrize(
    ("value", "word"),
    [
        (-1, "from 0 to 3600"),
        (3_601, "from 0 to 3600"),
        ("300", "whole number"),
        (1.5, "whole number"),
        (True, "whole number"),
    ],
)
def test_pass_back_that_is_none_is_refused(value: object, word: str) -> None:
    (told,) = told_of({"products": [PRODUCT], "pass_back_s": value})
    assert told.startswith("F: line 1: pass_back_s") and word in told


REWARD = {"kgo": "1.00", "per_thb": "50.00", "wallet_day_kgo_max": "20.00", "funding": 2}
OLD_NAMES = [
    (TARIFF, {"products": [PRODUCT]}, ("products", 0), "thb", "thb_satang"),
    (TARIFF, {"products": [PRODUCT], "concessions": [CONCESSION | {"fixed_thb": "1.00"}]}, ("concessions", 0),
     "fixed_thb", "fixed_thb_satang"),
    (TARIFF, {"products": [PRODUCT], "daily_cap": {"kgo": "9.00", "thb": "2.00"}}, ("daily_cap",), "thb", "thb_satang"),
    (BulletinKind.CAMPAIGN, {"campaigns": [CAMPAIGN]}, ("campaigns", 0, "discount"), "rate_thb", "rate_satang"),
    (BulletinKind.CAMPAIGN, {"campaigns": [CAMPAIGN]}, ("campaigns", 0, "discount"), "bill_thb_min", "bill_satang_min"),
    (BulletinKind.CAMPAIGN, {"campaigns": [CAMPAIGN | {"reward": REWARD}]}, ("campaigns", 0, "reward"), "per_thb",
     "per_satang"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "value", "path", "new", "old"), OLD_NAMES)
def test_names_that_said_satang_and_held_baht_are_refused(
    kind: BulletinKind, value: dict[str, Any], path: tuple[Any, ...], new: str, old: str
) -> None:
    """`"thb_satang": "100"` was a fare of 100 baht. One line each: the new name, and that it holds baht."""
    made = json.loads(json.dumps(value))
    part = made
    for step in path:
        part = part[step]
    part[old] = part.pop(new)
    (told,) = told_of(made, kind)
    assert f".{old} is an old name" in told and f"write {new} in baht" in told


@pytest.mark.parametrize("text", ["1", "100", "1.0", "1.", ".50", "1,000.00", " 1.00", "-1.00", "๑.๐๐"])
def test_money_has_two_decimals_so_that_no_satang_pass_for_baht(text: str) -> None:
    (told,) = told_of({"products": [PRODUCT | {"thb": text}]})
    assert "products[0].thb is no amount" in told and '"1.00"' in told


def test_a_baht_is_a_hundred_satang_and_a_large_amount_must_be_meant() -> None:
    made = decode_tariff(read_bulletin(TARIFF, json.dumps({"products": [PRODUCT]}).encode(), "F", Texts("en")))
    assert (made.products[0].kgo, made.products[0].thb_satang) == (5_000, 100)
    large = json.dumps({"products": [PRODUCT | {"thb": "100.01", "kgo": "5000.00"}]})
    kgo, thb = problems_of(large)
    assert "products[0].kgo 5000.00 is more than usual (up to 500.00)" in kgo and "--large-amounts" in thb
    meant = decode_tariff(read_bulletin(TARIFF, large.encode(), "F", Texts("en"), is_large_meant=True))
    assert meant.products[0].thb_satang == 10_001
    assert len(problems_of(json.dumps({"products": [PRODUCT | {"thb": "9999"}]}))) == 1


@pytest.mark.parametrize(
    ("content", "line", "column", "word"),
    [
        ("{", 1, 2, "property name"),
        ('{\n "products": [\n  {"a": 1,}\n]}', 3, 11, ""),
        ('{\n "products" []\n}', 2, 13, "':' delimiter"),
        ('{"a": 1\n "b": 2}', 2, 2, "',' delimiter"),
        ('{"a": "x\ny"}', 1, 9, "control character"),
        ('{"a": 1} x', 1, 10, "Extra data"),
        ("", 1, 1, "Expecting value"),
    ],
)
def test_a_syntax_error_has_line_column_and_remedy(content: str, line: int, column: int, word: str) -> None:
    (told,) = problems_of(content)
    assert told.startswith(f"F: line {line}: column {column}: ") and word in told and "; check commas" in told
    (thai,) = problems_of(content, language="th")
    assert thai.startswith(f"F: บรรทัด {line}: คอลัมน์ {column}: ") and not re.search(r"Expecting|Extra|Illegal", thai)


def test_every_mistake_at_once_in_the_order_of_lines() -> None:
    content = """{
      "products": [
        {"product_id": "bus", "kind": 9, "name_th": "รถ",
         "name_en": "Bus", "kgo": 50,
         "thb": "1.234", "kgo": "1.00",
         "colour": "red"},
        7
      ],
      "transfer": {"window_s": 0, "pays_per_mille": true},
      "daily_cap": [],
      "fares": 1
    }"""
    told = problems_of(content)
    found = [re.match(r"F: line (\d+): (\S+)", one) for one in told]
    assert [(match[1], match[2]) for match in found if match] == [
        ("3", "products[0].kind"),
        ("5", "products[0].kgo"),
        ("5", "products[0].thb"),
        ("6", "products[0].colour"),
        ("7", "products[1]"),
        ("9", "transfer.window_s"),
        ("9", "transfer.pays_per_mille"),
        ("9", "transfer.transfers_max"),
        ("10", "daily_cap"),
        ("11", "fares"),
    ]
    assert all("; " in one for one in told), "each says what to write instead"
    thai = problems_of(content, language="th")
    assert len(thai) == len(told) and all(THAI.search(one) for one in thai)


@pytest.mark.parametrize(
    ("wrong", "place", "word"),
    [
        ({"kgo": 20}, "kgo", "is no amount"),
        ({"kgo": "2.001"}, "kgo", "is no amount"),
        ({"kgo": None}, "kgo", "is missing"),
        ({"kind": 2}, "kind", "out of range"),
        ({"kind": True}, "kind", "whole number"),
        ({"kind": 1.0}, "kind", "whole number"),
        ({"name_th": "x" * 61}, "name_th", "1 to 60"),
        ({"name_en": 7}, "name_en", "must be text"),
        ({"first_day": 25690601}, "first_day", "is no date"),
        ({"first_day": "2026-02-30"}, "first_day", "is no date"),
        ({"last_day": True}, "last_day", "is no date"),
        ({"routes": "8"}, "routes", "must be a list"),
        ({"routes": [8]}, "routes", "must be text"),
    ],
)
def test_each_kind_of_wrong_field(wrong: dict[str, Any], place: str, word: str) -> None:
    (told,) = told_of({"products": [PRODUCT, PRODUCT | {"product_id": "b"} | wrong]})
    assert f"products[1].{place}" in told and word in told


@pytest.mark.parametrize(
    ("value", "kind", "words"),
    [
        ([], TARIFF, ["the file must be {name: value}"]),
        ({"products": []}, TARIFF, ["products has 0 entries; make it 1 to 64"]),
        ({"products": {}}, TARIFF, ["products must be a list"]),
        ({}, TARIFF, ["products is missing"]),
        ({"products": [PRODUCT, PRODUCT]}, TARIFF, ["two products have one id"]),
        ({"products": [PRODUCT | {"routes": ["8"]}]}, TARIFF, ["no base fare"]),
        (
            {"products": [PRODUCT], "concessions": [CONCESSION, CONCESSION | {"fixed_kgo": "1.00"}]},
            TARIFF,
            ["two rules for one", "concession 2 needs"],
        ),
        ({"campaigns": [CAMPAIGN, CAMPAIGN | {"campaign_id": "d", "discount": {}}]}, BulletinKind.CAMPAIGN,
         ["rate_thb", "bill_per_mille", "wallet_day_kgo_max", "bill_thb_min"]),
        ({"campaigns": [{**CAMPAIGN, "discount": None}]}, BulletinKind.CAMPAIGN, ["neither discount nor reward"]),
        ({"24": 1, "x": 1, "2": 1.5, "3": []}, BulletinKind.CONFIGURATION, ["24 is no", "x is no", "2 must", "3 must"]),
        ({"1": 10**30, "2": float("nan")}, BulletinKind.CONFIGURATION, ["1 must", "2 must"]),
        ({"products": [PRODUCT | {"kgo": 1.5, "thb": 10**20}]}, TARIFF, ["kgo is no", "thb is no"]),
        ([1], BulletinKind.CONFIGURATION, ["the file must be"]),
    ],
)  # fmt: skip
def test_what_is_wrong_with_the_whole(value: object, kind: BulletinKind, words: list[str]) -> None:
    told = told_of(value, kind)
    assert len(told) == len(words)
    for one, word in zip(told, words, strict=True):
        assert word in one


def test_what_the_rules_find_is_told_in_thai_too() -> None:
    """Every problem text of the rules has its template in the catalogue of details."""
    known = (ROOT / "offline_ledger/texts/locale/th/LC_MESSAGES/details.po").read_text("utf-8")
    said: list[str] = []
    for name in ("tariff", "campaign"):
        tree = ast.parse((ROOT / f"offline_ledger/rules/{name}.py").read_text("utf-8"))
        judge = next(node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "_problems")
        for node in ast.walk(judge):
            if isinstance(node, ast.JoinedStr):
                said.append("".join(str(p.value) if isinstance(p, ast.Constant) else "{}" for p in node.values))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and len(node.value) > 20:
                said.append(node.value)
    assert len(said) >= 9
    whole = [text for text in said if f'msgid "{text}"\n' in known]
    assert len(whole) >= 9
    (told,) = problems_of(json.dumps({"products": [PRODUCT, PRODUCT]}), language="th")
    assert THAI.search(told) and "two" not in told


def test_bytes_that_are_no_text_and_brackets_without_end() -> None:
    assert "line 2: this is no UTF-8" in problems_of(b'{"a":\n "\xff"}')[0]
    for deep in ("[" * 100_000, '{"products":\n' + "[" * 50_000 + "]" * 50_000 + "}", '{"a":' * 5_000):
        (told,) = problems_of(deep)
        assert "nested more than 16 deep" in told
    assert "line 2:" in problems_of('{"products":\n' + "[" * 20)[0]
    assert "column" in problems_of('["' + "[" * 100)[0], "brackets within a text are none"


def test_mistakes_are_bounded_and_the_rest_is_counted() -> None:
    told = told_of({f"x{at}": 1 for at in range(bulletin_files.PROBLEMS_MAX + 30)})
    assert len(told) == bulletin_files.PROBLEMS_MAX + 1 and told[-1] == "and 31 more", "and products is missing"


def test_places_are_those_of_the_parser(rng: random.Random) -> None:
    """A document written with one member a line: the scanner finds each on the line where it was written."""

    def value(depth: int) -> object:
        kind = rng.randrange(4 if depth < 5 else 2)
        if kind == 0:
            return rng.choice(['a "quoted: {[,]} one"', "ก\\ข", "", "x\ny"])
        if kind == 1:
            return rng.choice([0, -1.5, None, True, 10**12])
        if kind == 2:
            return [value(depth + 1) for _ in range(rng.randrange(4))]
        return {f"k{at}": value(depth + 1) for at in range(rng.randrange(4))}

    def walk(found: object, place: str) -> list[str]:
        if isinstance(found, dict):
            below = [(f"{place}.{key}" if place else key, member) for key, member in found.items()]
        elif isinstance(found, list):
            below = [(f"{place}[{at}]", member) for at, member in enumerate(found)]
        else:
            below = []
        return [place, *(name for at, member in below for name in walk(member, at))]

    for _ in range(200):
        made = value(0)
        content = json.dumps(made, indent=1, ensure_ascii=False)
        lines, repeated = json_places.places_of(content)
        assert repeated == [] and set(lines) == set(walk(made, ""))
        for place, line in lines.items():
            key = place.rpartition(".")[2].partition("[")[0]
            assert place.endswith("]") or f'"{key}"' in content.splitlines()[line - 1] or place == ""

"""A receipt goes through JSON unharmed; what is not one is refused."""

import json
import random
from collections.abc import Callable

import pytest

from offline_ledger.errors import ReceiptUnreadable
from pos_app.paper import receipt as receipts
from pos_app.paper.receipt import Item, Language, Receipt, ReceiptKind, Shop, decode_receipt, encode_receipt
from simulators.printer.samples import of_every_kind, sale

SMALL = Receipt(ReceiptKind.TEST, Shop("ร้าน"), "1", 0)


@pytest.mark.parametrize("language", list(Language))
@pytest.mark.parametrize("name", list(of_every_kind(Language.TH)))
def test_every_kind_goes_through_json(name: str, language: Language) -> None:
    receipt = of_every_kind(language)[name]
    assert decode_receipt(encode_receipt(receipt)) == receipt


def test_what_an_older_program_wrote_has_defaults() -> None:
    fields = json.loads(encode_receipt(SMALL))
    needed = {name: fields[name] for name in ("kind", "shop", "number", "at_s")}
    assert decode_receipt(json.dumps(needed)) == SMALL


WRONG: list[tuple[str, object]] = [
    ("kind", "bill"),
    ("kind", 7),
    ("kind", None),
    ("language", "de"),
    ("shop", []),
    ("shop", {"branch": "no name"}),
    ("shop", {"name": "x", "more": ""}),
    ("shop", {"name": 5}),
    ("number", None),
    ("number", "x" * (receipts.TEXT_CHARACTERS_MAX + 1)),
    ("number", "\ud800"),
    ("at_s", -1),
    ("at_s", receipts.AT_S_MAX + 1),
    ("at_s", 1.5),
    ("at_s", True),
    ("at_s", "0"),
    ("items", {}),
    ("items", [[]]),
    ("items", [{"name": "no amounts"}]),
    ("items", [{"name": "x", "quantity": 1, "unit_satang": 1, "total_satang": 10**15 + 1}]),
    ("items", [{"name": "x", "quantity": 1, "unit_satang": 1, "total_satang": 1}] * (receipts.LINES_MAX + 1)),
    ("tenders", [{"kind": "gold", "satang": 1}]),
    ("tenders", [{"kind": ["cash"], "satang": 1}]),
    ("tenders", [{"kind": "cash", "satang": 1, "is_unverified": 1}]),
    ("tenders", [{"kind": "cash", "satang": 1}] * (receipts.TENDERS_MAX + 1)),
    ("rows", [["label"]]),
    ("rows", [["label", 5]]),
    ("rows", ["ab"]),
    ("rows", [["", ""]] * (receipts.ROWS_MAX + 1)),
    ("voucher", "V" * (receipts.VOUCHER_CHARACTERS_MAX + 1)),
    ("is_copy", "yes"),
    ("is_copy", 1),
    ("colour", "red"),
]


@pytest.mark.parametrize(("field", "value"), WRONG)
def test_a_wrong_field_is_refused(field: str, value: object) -> None:
    fields = json.loads(encode_receipt(SMALL))
    with pytest.raises(ReceiptUnreadable, match="1972"):
        decode_receipt(json.dumps(fields | {field: value}))


@pytest.mark.parametrize(
    "said", ["", "{", "[]", "null", "5", '"x"', "{}", "[" * 100_000, " " * (receipts.JSON_CHARACTERS_MAX + 1)]
)
def test_what_is_no_receipt_is_refused(said: str) -> None:
    with pytest.raises(ReceiptUnreadable):
        decode_receipt(said)


@pytest.mark.parametrize(
    "change",
    [
        lambda r: r._replace(number="\ud800"),
        lambda r: r._replace(total_satang=10**15 + 1),
        lambda r: r._replace(items=r.items * 100),
        lambda r: r._replace(cashier="x" * 1_001),
    ],
)
def test_what_could_not_be_read_again_is_not_stored(change: Callable[[Receipt], Receipt]) -> None:
    with pytest.raises(ReceiptUnreadable):
        encode_receipt(change(sale()))


def test_damaged_rows_are_refused_or_are_receipts(rng: random.Random) -> None:
    whole = encode_receipt(sale())
    for _ in range(300):
        said = list(whole)
        for _ in range(rng.randint(1, 4)):
            said[rng.randrange(len(said))] = rng.choice('{}[]",:0-e\\x\u0e01')
        try:
            found = decode_receipt("".join(said))
        except ReceiptUnreadable:
            continue
        assert isinstance(found, Receipt) and all(isinstance(item, Item) for item in found.items)

"""What came with a press, hostile until it is taken apart: each kind on both sides of its edges."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offline_ledger.errors import AmountTooLong, FieldWrong, NotAnAmount, Refusal
from pos_app.counter.basket import LINES_MAX
from pos_app.desk import fields as read
from pos_app.desk.fields import TEXT_CHARACTERS_MAX


@pytest.mark.parametrize(
    ("said", "satang"),
    [
        ("0", 0),
        ("0.01", 1),
        ("120", 12_000),
        (" 120.5 ", 12_050),
        ("1,120.50", 112_050),
        ("๑๒๐", 12_000),
        ("9999999999", 999_999_999_900),
        ("9999999999.99", 999_999_999_999),
    ],
)
def test_an_amount(said: str, satang: int) -> None:
    assert read.amount({"amount": said}, "amount") == satang


@pytest.mark.parametrize("said", ["10000000000", "8850999320014", "8,850,999,320,014", "9" * 400])
def test_a_barcode_is_no_amount(said: str) -> None:
    with pytest.raises(AmountTooLong):
        read.amount({"amount": said}, "amount")


@pytest.mark.parametrize(
    "said",
    [
        *("", " ", "-1", "+1", "1.234", "1.", ".5", "1,2", "12e3", "0x10", "²", "١٢", "NaN", "inf", "1 2"),
        "🍜",
        "\ud800",
    ],
)
def test_what_is_no_amount(said: str) -> None:
    with pytest.raises(NotAnAmount):
        read.amount({"amount": said}, "amount")
    with pytest.raises(NotAnAmount):
        read.amount({}, "amount")


@pytest.mark.parametrize(("said", "number"), [("0", 0), ("7", 7), (" 12 ", 12), ("999999999", 999_999_999), ("007", 7)])
def test_a_whole_number(said: str, number: int) -> None:
    assert read.whole({"line": said}, "line") == number


@pytest.mark.parametrize("said", ["", "-1", "1.0", "1000000000", "²", "๑", "one", "1 2", "\ud800"])
def test_what_is_no_whole_number(said: str) -> None:
    with pytest.raises(FieldWrong):
        read.whole({"line": said}, "line")


def test_a_number_that_may_be_left_out() -> None:
    assert read.whole({}, "quantity", 1) == read.whole({"quantity": " "}, "quantity", 1) == 1
    with pytest.raises(FieldWrong):
        read.whole({"quantity": "x"}, "quantity", 1)


def test_a_line_of_print() -> None:
    assert read.text({"label": "  โต๊ะ \n 3\t🍜 "}, "label") == "โต๊ะ 3 🍜"
    assert read.text({}, "label") == ""
    assert read.text({"label": "x" * TEXT_CHARACTERS_MAX}, "label") == "x" * TEXT_CHARACTERS_MAX


@pytest.mark.parametrize("said", ["x" * (TEXT_CHARACTERS_MAX + 1), "\x1b[2J", "\ud800", "a\u202eb", "\x00"])
def test_what_no_paper_takes(said: str) -> None:
    with pytest.raises(FieldWrong):
        read.text({"label": said}, "label")


def test_a_text_that_is_needed() -> None:
    assert read.text({"name": "x"}, "name", is_needed=True) == "x"
    with pytest.raises(FieldWrong):
        read.text({"name": " "}, "name", is_needed=True)


def test_lines_and_how_many_of_each() -> None:
    assert read.pairs({"lines": "1:2,3:1,4:0"}, "lines") == {1: 2, 3: 1, 4: 0}
    assert read.pairs({"lines": ""}, "lines") == read.pairs({}, "lines") == {}
    most = ",".join(f"{one}:1" for one in range(LINES_MAX))
    assert len(read.pairs({"lines": most}, "lines")) == LINES_MAX


@pytest.mark.parametrize(
    "said",
    ["1", "1:", ":1", "1:-1", "1:2:3", "1:2,1:2", "a:1", "1.0:1", ",".join(f"{one}:1" for one in range(LINES_MAX + 1))],
)
def test_what_names_no_lines(said: str) -> None:
    with pytest.raises(FieldWrong):
        read.pairs({"lines": said}, "lines")


@given(st.text(max_size=30))
def test_whatever_is_said_is_a_value_or_a_refusal(said: str) -> None:
    for take in (read.amount, read.whole, read.text, read.pairs):
        try:
            take({"it": said}, "it")
        except Refusal:
            continue

"""Lines end where a reader of Thai expects, and never inside a cluster."""

import re
from random import Random
from unicodedata import category

import pytest

from offline_ledger.texts import LANGUAGES, Texts
from offline_ledger.texts.breaking import ELLIPSIS, TEXT_CHARACTERS_MAX, Break, pieces
from tests.test_refusal_texts import KINDS


def best(text: str, worst: Break) -> list[str]:
    """The parts between breaks at least so good."""
    found: list[str] = []
    for piece in pieces(text):
        if found and piece.before > worst:
            found[-1] += (" " if piece.spaced else "") + piece.text
        else:
            found.append(piece.text)
    return found


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("โค้ดผิดรูปแบบ", ["โค้ด", "ผิดรูปแบบ"]),
        ("วงเงินออฟไลน์หมดอายุ", ["วงเงิน", "ออฟไลน์", "หมดอายุ"]),
        ("ให้เจ้าของโค้ดแสดงโค้ดใหม่", ["ให้เจ้าของ", "โค้ด", "แสดง", "โค้ด", "ใหม่"]),
        ("เครื่องนี้ไม่ทราบเวลา", ["เครื่องนี้", "ไม่ทราบ", "เวลา"]),
        ("อ่านโค้ดได้แล้ว", ["อ่าน", "โค้ดได้แล้ว"]),
        ("แจ้งช่าง · โค้ดไม่ผิด", ["แจ้ง", "ช่าง ·", "โค้ด", "ไม่ผิด"]),
        ("a\u200bb c", ["a", "b", "c"]),
        ("", []),
        ("  \u200b ", []),
    ],
)
def test_words_are_found(text: str, parts: list[str]) -> None:
    assert best(text, Break.WORD) == parts


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("ค่าโดยสาร: 50.00 KGO และ 1.00 บาท", ["50.00 KGO", "1.00 บาท"]),
        ("ภายใน 30 นาที", ["30 นาที"]),
        ("ถือไว้นิ่ง ๆ แล้ว", ["ๆ"]),
        ("เก็บ (1 บาท)", ["(1 บาท)"]),
    ],
)
def test_a_number_stays_with_its_unit(text: str, kept: list[str]) -> None:
    parts = best(text, Break.WORD)
    assert all(any(one in part for part in parts) for one in kept)
    assert not any(part.startswith("ๆ") for part in parts)


def test_a_time_is_no_count() -> None:
    assert best("จ่ายเมื่อ 14:03 ที่ป้าย", Break.SPACE) == ["จ่ายเมื่อ", "14:03", "ที่ป้าย"]


def check_parts(text: str) -> None:
    for piece in pieces(text):
        first, last = piece.text[0], piece.text[-1]
        assert category(first) != "Mn", (text, piece)
        assert first not in "ะาำๅๆฯ", (text, piece)
        assert last not in "เแโใไ" or text.endswith(last), (text, piece)


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_text_of_ours_is_torn_inside_a_cluster_and_none_is_lost(language: str) -> None:
    texts = Texts(language)
    for kind in KINDS:
        for text in (texts.title(kind), texts.remedy(kind)):
            check_parts(text)
            joined = "".join((" " if piece.spaced else "") + piece.text for piece in pieces(text))
            assert joined == re.sub(r"\s+", " ", text)


def test_hostile_text_is_bounded_and_loses_nothing_below_the_bound(seed: int) -> None:
    random = Random(seed)
    letters = "กขฐญปไใเแโะาำ่้๊๋็์ัิีึืุูๆฯ a1.·(“"
    for _ in range(300):
        text = "".join(random.choice(letters) for _ in range(random.randrange(1, 60)))
        squeezed = re.sub(r"\s+", " ", text.strip())
        assert "".join((" " if piece.spaced else "") + piece.text for piece in pieces(text)) == squeezed
    whole = "ก" * TEXT_CHARACTERS_MAX
    assert "".join(piece.text for piece in pieces(whole)) == whole
    longer = "".join(piece.text for piece in pieces(whole + "ก"))
    assert (len(longer), longer[-1]) == (TEXT_CHARACTERS_MAX, ELLIPSIS)

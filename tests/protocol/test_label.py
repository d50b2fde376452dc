"""The code of a label: short enough for a small one, and no slip of the pen names another device."""

from hashlib import sha256

import pytest

from offline_ledger.errors import LabelDamaged, LabelNotOurs, Refusal
from offline_ledger.protocol import base45, cbor
from offline_ledger.protocol.label import CHARACTERS_MAX, Label, decode_label, encode_label, level_of
from offline_ledger.qr_picture import code_modules

USUAL = Label("BUS-0012", "TH-40", "10000000abcdef01", bytes.fromhex("ab12cd34ef567890"))
HEAD = Label("E6614103E7452D2F", "TH-40", "E6614103E7452D2F", b"")
THAI = Label("รถ-๑๒", "TH-40", "10000000abcdef01", bytes(8))
LONGEST = Label("D" * 32, "C" * 16, "S" * 20, bytes(8))
TEXT = encode_label(USUAL)


@pytest.mark.parametrize("label", [USUAL, HEAD, THAI, LONGEST, USUAL._replace(serial="")])
def test_what_was_drawn_is_what_is_read(label: Label) -> None:
    text = encode_label(label)
    assert text.startswith("KGO1L:") and decode_label(text) == label


def side(version: int) -> int:
    return 17 + 4 * version + 8


@pytest.mark.parametrize(("label", "level", "version"), [(USUAL, "M", 4), (HEAD, "M", 4), (LONGEST, "L", 5)])
def test_it_fits_a_small_label(label: Label, level: str, version: int) -> None:
    text = encode_label(label)
    assert level_of(text) == level and len(text) <= CHARACTERS_MAX
    assert code_modules(text, 5, level).width == side(version)


@pytest.mark.parametrize(
    "wrong",
    [
        USUAL._replace(device=""),
        USUAL._replace(device="D" * 33),
        USUAL._replace(city=""),
        USUAL._replace(serial="S" * 21),
        USUAL._replace(serial="1\x1b[31m"),
        USUAL._replace(key_id=bytes(7)),
        USUAL._replace(device="ก" * 32),
    ],
)
def test_what_is_no_label_is_not_drawn(wrong: Label) -> None:
    with pytest.raises(ValueError, match=r"characters|key id"):
        encode_label(wrong)


def test_no_single_slip_goes_unnoticed() -> None:
    """Each character changed to each other one, left out, or swapped with its neighbour."""
    tried = 0
    for at in range(len(TEXT)):
        others = {TEXT[:at] + other + TEXT[at + 1 :] for other in base45.ALPHABET}
        others |= {TEXT[:at] + TEXT[at + 1 :], TEXT[:at] + TEXT[at + 1 : at + 2] + TEXT[at : at + 1] + TEXT[at + 2 :]}
        for other in others - {TEXT}:
            tried += 1
            with pytest.raises((LabelDamaged, LabelNotOurs)):
                decode_label(other)
    assert tried > 40 * len(TEXT)


def packed(*parts: object) -> str:
    return "KGO1L:" + base45.encode(cbor.encode(list(parts)))


@pytest.mark.parametrize(
    ("text", "refusal"),
    [
        ("", LabelNotOurs),
        ("https://example.org", LabelNotOurs),
        ("KGO1P:" + TEXT[6:], LabelNotOurs),
        ("KGO1", LabelNotOurs),
        (TEXT[:40], LabelDamaged),
        (TEXT + "00", LabelDamaged),
        (TEXT.lower().replace("kgo1l", "KGO1L"), LabelDamaged),
        (packed(b"a", b"b", b"c", b""), LabelDamaged),
        (packed(b"a", b"b", b"c", b"", bytes(3)), LabelDamaged),
        (packed("a", b"b", b"c", b"", bytes(3)), LabelDamaged),
        ("KGO1L:" + "0" * 10_000, LabelDamaged),
    ],
)
def test_other_codes(text: str, refusal: type[Refusal]) -> None:
    with pytest.raises(refusal):
        decode_label(text)


def test_a_sum_that_fits_makes_no_name_that_steers_a_screen() -> None:
    parts = (b"BUS\x1b]0;x\x07", b"TH-40", b"", b"")
    text = packed(*parts, sha256(cbor.encode(list(parts))).digest()[:3])
    with pytest.raises(LabelDamaged, match="not its fields"):
        decode_label(text)
    text = packed(b"\xff\xfe", *parts[1:], sha256(cbor.encode([b"\xff\xfe", *parts[1:]])).digest()[:3])
    with pytest.raises(LabelDamaged, match="not its fields"):
        decode_label(text)

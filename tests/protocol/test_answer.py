"""An enrolment's answer in parts: any order, again and again; foreign, mixed, damaged and huge ones are refused."""

import random
import zlib
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offline_ledger.errors import AnswerInvalid, AnswerPartDamaged, AnswerPartForeign, AnswerTooLong, Refusal
from offline_ledger.protocol import cbor, qr
from offline_ledger.protocol.answer import (
    ANSWER_BYTES_MAX,
    ENROLMENT_ANSWER,
    PART_DATA_BYTES,
    PARTS_MAX,
    AnswerParts,
    EnrolmentAnswer,
    decode_answer,
    parts_needed,
    split_answer,
)
from offline_ledger.protocol.qr import QR_CHARACTERS_MAX, QrType
from tests.vectors.objects import EXAMPLES

MINE, OTHER = b"\x01" * 8, b"\x02" * 8


def noise(size: int, seed: int = 1) -> bytes:
    """It does not get smaller."""
    return random.Random(seed).randbytes(size)


def part(key_id: bytes, mark: bytes, number: int, count: int, piece: bytes) -> str:
    return qr.encode(QrType.ANSWER_PART, key_id, mark, bytes((number, count)), piece)


@pytest.mark.parametrize("size", [1, 359, 360, 361, 5_000, PART_DATA_BYTES * PARTS_MAX - 40])
def test_parts_fit_their_codes_and_come_back_in_any_order(size: int, rng: random.Random) -> None:
    body = noise(size)
    texts = split_answer(body, MINE)
    assert len(texts) == parts_needed(body) and max(map(len, texts)) <= 584 <= QR_CHARACTERS_MAX
    scanned = texts * 3
    rng.shuffle(scanned)
    parts = AnswerParts(MINE)
    assert parts.whole() is None and parts.count == 0 and list(parts.missing) == []
    whole = None
    for at, text in enumerate(scanned):
        number = parts.add(text)
        assert texts[number - 1] == text and parts.count == len(texts) and number not in parts.missing
        whole = parts.whole()
        if whole is not None:
            assert set(scanned[: at + 1]) == set(texts)
            break
    assert whole == body


def test_one_more_part_is_one_too_many() -> None:
    with pytest.raises(AnswerTooLong):
        split_answer(noise(PART_DATA_BYTES * PARTS_MAX + 1), MINE)


def test_parts_of_another_key_or_answer_are_told_and_change_nothing() -> None:
    texts, others = split_answer(noise(1_000), MINE), split_answer(noise(1_000, 2), MINE)
    parts = AnswerParts(MINE)
    parts.add(texts[0])
    foreign = [split_answer(noise(1_000), OTHER)[1], others[1], qr.encode(QrType.RECEIPT, b"x")]
    foreign.append(qr.encode(QrType.ENROLMENT, b"x"))
    for text in foreign:
        with pytest.raises(AnswerPartForeign):
            parts.add(text)
    assert list(parts.missing) == [2, 3]
    for text in texts:
        parts.add(text)
    assert parts.whole() == noise(1_000)


def test_damaged_parts() -> None:
    mark = sha256(b"").digest()[:8]
    bad = [
        part(MINE, mark, 0, 1, b"x"),
        part(MINE, mark, 2, 1, b"x"),
        part(MINE, mark, 1, PARTS_MAX + 1, b"x"),
        part(MINE, mark, 1, 1, b""),
        part(MINE, mark, 1, 1, b"x" * (PART_DATA_BYTES + 1)),
        part(MINE[:7], mark, 1, 1, b"x"),
        part(MINE, mark[:7], 1, 1, b"x"),
        qr.encode(QrType.ANSWER_PART, MINE, mark, b"\x01", b"x"),
    ]
    for text in bad:
        parts = AnswerParts(MINE)
        with pytest.raises(AnswerPartDamaged):
            parts.add(text)
        assert parts.count == 0
    parts = AnswerParts(MINE)
    parts.add(part(MINE, mark, 1, 2, b"x"))
    with pytest.raises(AnswerPartDamaged):
        parts.add(part(MINE, mark, 1, 2, b"y"))


def of_packed(packed: bytes, mark: bytes | None = None) -> AnswerParts:
    mark = sha256(packed).digest()[:8] if mark is None else mark
    pieces = [packed[at : at + PART_DATA_BYTES] for at in range(0, len(packed), PART_DATA_BYTES)]
    parts = AnswerParts(MINE)
    for at, piece in enumerate(pieces, 1):
        parts.add(part(MINE, mark, at, len(pieces), piece))
    return parts


@pytest.mark.parametrize(
    "parts",
    [
        of_packed(zlib.compress(b"x"), bytes(8)),
        of_packed(b"not zlib at all"),
        of_packed(zlib.compress(b"x") + b"more"),
        of_packed(zlib.compress(b"x" * 100)[:-3]),
        of_packed(zlib.compress(bytes(ANSWER_BYTES_MAX + 1), 9)),
    ],
)
def test_what_is_not_as_it_was_drawn_is_forgotten_whole(parts: AnswerParts) -> None:
    """The last one: a little text that would unpack without an end."""
    with pytest.raises(AnswerPartDamaged):
        parts.whole()
    assert parts.count == 0, "the scanning may begin again"
    parts.add(split_answer(b"good", MINE)[0])
    assert parts.whole() == b"good"


@given(st.text(max_size=80) | st.binary(max_size=400).map(lambda raw: f"KGO1D:{raw.decode('latin-1')}"))
def test_hostile_texts(text: str) -> None:
    with pytest.raises(Refusal):
        AnswerParts(MINE).add(text)


RAW = {kind.name.lower(): example.signed().raw for kind, example in EXAMPLES.items()}
WHOLE = EnrolmentAnswer(RAW["device_certificate"], (RAW["trust_list"],), (RAW["bulletin"],), b"")


def old_reader(body: bytes) -> tuple[bytes, list[bytes]]:
    """How programs up to 0.1.0 read it."""
    found = cbor.decode(body, 4 * 262_144)
    assert isinstance(found, dict)
    return found[1], found[2]


def test_older_readers_take_what_they_know_and_this_one_passes_over_what_it_does_not() -> None:
    body = ENROLMENT_ANSWER.encode(WHOLE)
    assert old_reader(body) == (WHOLE.certificate, list(WHOLE.trust_lists))
    assert decode_answer(body) == WHOLE
    bare = cbor.encode({1: WHOLE.certificate, 2: list(WHOLE.trust_lists)})
    assert decode_answer(bare) == WHOLE._replace(bulletins=None, deny_list=None), "of an older city"
    later = cbor.encode({**ENROLMENT_ANSWER.to_map(WHOLE), 5: "new", 99: {1: 2}})
    assert decode_answer(later) == WHOLE, "of a later city"


@pytest.mark.parametrize(
    "value",
    [1, {}, {1: b"x"}, {1: b"x", 2: []}, {1: b"x", 2: [b"y"], 3: []}, {1: b"x", 2: [b"y"], 3: [b"z"] * 5},
     {1: b"x", 2: [b"y"], 4: "text"}, {1: b"x", 2: [b"y"], 3: b"z"}, {1: b"x" * 1_025, 2: [b"y"]}],
)  # fmt: skip
def test_answers_that_are_none(value: object) -> None:
    with pytest.raises(AnswerInvalid):
        decode_answer(cbor.encode(value))

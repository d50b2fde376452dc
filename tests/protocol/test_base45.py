"""Base45 against RFC 9285's examples, the package `base45`, and a decoder written from the RFC's text."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offline_ledger.errors import CodeDamaged
from offline_ledger.protocol import base45
from tests.crosscheck.ask import ask

EXAMPLES = {
    b"AB": "BB8",
    b"Hello!!": "%69 VD92EX0",
    b"base-45": "UJCLQE7W581",
    b"ietf!": "QED8WEX0",
    b"": "",
    b"\x00": "00",
    b"\xff": "U5",
    b"\xff\xff": "FGW",
}


def plain_decode(text: str) -> bytes | None:
    """RFC 9285 §4.2, digit by digit; None where it must be refused."""
    data = bytearray()
    for at in range(0, len(text), 3):
        digits = [base45.ALPHABET.find(character) for character in text[at : at + 3]]
        value, size = sum(digit * 45**place for place, digit in enumerate(digits)), len(digits) - 1
        if -1 in digits or size == 0 or value >= 1 << (8 * size):
            return None
        data += value.to_bytes(size, "big")
    return bytes(data)


@pytest.mark.parametrize("data", EXAMPLES)
def test_examples_of_the_rfc(data: bytes) -> None:
    assert base45.encode(data) == EXAMPLES[data]
    assert base45.decode(EXAMPLES[data]) == data


REFUSED = ["A", "AAAA", "GGW", ":::", "V5", "::", "FGWV5", "ab8", "BB\x00", "ÉB8", "BB8\n", "ﬀ0", "B\ud800"]


@pytest.mark.parametrize("text", REFUSED)
def test_what_the_rfc_refuses(text: str) -> None:
    with pytest.raises(CodeDamaged):
        base45.decode(text)


def test_every_one_and_two_bytes_return() -> None:
    for value in range(256):
        assert base45.decode(base45.encode(bytes((value,)))) == bytes((value,))
    everything = b"".join(value.to_bytes(2, "big") for value in range(65_536))
    text = base45.encode(everything)
    assert base45.decode(text) == everything == plain_decode(text)


def test_no_text_ends_with_a_space_that_a_scanner_might_trim() -> None:
    assert not any(base45.encode(value.to_bytes(2, "big"))[2] == " " for value in range(65_536))
    assert not any(base45.encode(bytes((value,)))[1] == " " for value in range(256))


@given(st.binary(max_size=700))
def test_round_trip(data: bytes) -> None:
    assert base45.decode(base45.encode(data)) == data


@given(st.text(base45.ALPHABET, max_size=40) | st.text(max_size=10))
def test_same_verdict_as_the_plain_decoder(text: str) -> None:
    expected = plain_decode(text)
    if expected is None:
        with pytest.raises(CodeDamaged):
            base45.decode(text)
    else:
        assert base45.decode(text) == expected


def test_the_other_implementation_writes_and_reads_the_same(rng: Random) -> None:
    """Both ways: their text of our bytes, their bytes of our text."""
    everything = b"".join(value.to_bytes(2, "big") for value in range(65_536))
    cases = [*EXAMPLES, everything, *(bytes((value,)) for value in range(256))]
    cases += [rng.randbytes(size) for size in range(420) for _ in range(2)]
    texts = ask([{"do": "base45_encode", "bytes": data.hex()} for data in cases])
    assert texts == [{"ok": base45.encode(data)} for data in cases]
    returned = ask([{"do": "base45_decode", "bytes": base45.encode(data).encode().hex()} for data in cases])
    assert returned == [{"ok": data.hex()} for data in cases]


def test_the_other_implementation_refuses_the_same(rng: Random) -> None:
    """Every pair; triples near the largest value; texts with a strange character."""
    cases = [text for text in REFUSED if text.isprintable()]
    cases += [low + high for high in base45.ALPHABET for low in base45.ALPHABET]
    cases += [low + middle + high for low in "FGH" for middle in "FGH" for high in "VWX:"]
    cases += ["".join(rng.choices(base45.ALPHABET + "a_é", k=rng.randrange(1, 12))) for _ in range(3_000)]
    cases += ["".join(rng.choices(base45.ALPHABET, k=rng.randrange(1, 9))) for _ in range(3_000)]
    answers = ask([{"do": "base45_decode", "bytes": text.encode().hex()} for text in cases])
    refused = 0
    for text, answer in zip(cases, answers, strict=True):
        if "error" in answer:
            refused += 1
            with pytest.raises(CodeDamaged):
                base45.decode(text)
        else:
            assert base45.decode(text).hex() == answer["ok"], text
    assert min(refused, len(cases) - refused) > 1_000

"""Base45 against RFC 9285's examples and a decoder written from its text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offline_ledger.errors import CodeDamaged
from offline_ledger.protocol import base45

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


@pytest.mark.parametrize(
    "text", ["A", "AAAA", "GGW", ":::", "V5", "::", "FGWV5", "ab8", "BB\x00", "ÉB8", "BB8\n", "ﬀ0", "B\ud800"]
)
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

"""The applet's commands and answers: each length, each status word, each way an answer is cut short; docs/card.md."""

import re
from pathlib import Path

import pytest

from offline_ledger.errors import (
    CardAllowanceClosed,
    CardAllowanceExpired,
    CardAnswerWrong,
    CardBlocked,
    CardPurseTooSmall,
    CardRequestWrong,
    CardTorn,
    CardVersionUnknown,
    CardWithoutAllowance,
    Refusal,
)
from offline_ledger.protocol import card, device
from offline_ledger.protocol.card import (
    AID,
    CHAIN_BYTES_MAX,
    DECLINED,
    Command,
    Ins,
    Status,
    check_whole,
    commands_for,
    extended_command,
    get_response,
    instruction_for,
    read_command,
    refusal_of,
    select,
    split_answer,
)
from offline_ledger.protocol.card_info import EXTENDED, AppletInfo, AppletState, decode_info, encode_info, read_tlv, tlv
from offline_ledger.protocol.kinds import OBJECT_BYTES_MAX, Kind
from tests.vectors.objects import EXAMPLES

GUIDE = (Path(__file__).parents[2] / "docs" / "card.md").read_text()
INFO = AppletInfo(1, EXTENDED, CHAIN_BYTES_MAX, AppletState.LOADED)


# --- commands


@pytest.mark.parametrize(
    ("size", "sizes"),
    [(0, [0]), (1, [1]), (254, [254]), (255, [255]), (256, [255, 1]), (510, [255, 255]), (511, [255, 255, 1]),
     (CHAIN_BYTES_MAX, [255, 255, 130])],
)  # fmt: skip
def test_data_go_as_a_chain_of_short_commands(size: int, sizes: list[int]) -> None:
    data = bytes(at % 251 for at in range(size))
    chain = commands_for(Ins.PAY, data)
    found = [read_command(apdu) for apdu in chain]
    assert [(one.cla, one.ins, len(one.data), one.is_last) for one in found if one] == [
        (0x80, Ins.PAY, part, at == len(sizes) - 1) for at, part in enumerate(sizes)
    ]
    assert b"".join(one.data for one in found if one) == data
    assert all(len(apdu) <= 5 + 255 + 1 for apdu in chain)
    assert chain[-1][-1] == 0, "the last asks for an answer"


def test_more_data_than_a_chip_keeps_is_no_command() -> None:
    for make in (commands_for, extended_command):
        with pytest.raises(ValueError, match="641"):
            make(Ins.PAY, bytes(CHAIN_BYTES_MAX + 1))
    with pytest.raises(ValueError, match="0 bytes"):
        extended_command(Ins.PAY, b"")


@pytest.mark.parametrize("size", [1, 255, 256, CHAIN_BYTES_MAX])
def test_an_extended_command_says_the_same(size: int) -> None:
    assert read_command(extended_command(Ins.PAY, bytes(size))) == Command(0x80, Ins.PAY, 0, 0, bytes(size), True)


@pytest.mark.parametrize(
    ("apdu", "data"),
    [
        ("80100000", b""),  # case 1
        ("8010000000", b""),  # case 2, short
        ("80100000000000", b""),  # case 2, extended
        ("801000000101", b"\x01"),  # case 3, short
        ("80100000010100", b"\x01"),  # case 4, short
        ("8010000000000101", b"\x01"),  # case 3, extended
        ("80100000000001010000", b"\x01"),  # case 4, extended
        ("801000", None),
        ("80100000020", None),
        ("801000000201", None),
        ("8010000001010000", None),
        ("80100000000000010000", None),
        ("801000000000010100", None),
        ("8010000000000201", None),
    ],
)
def test_every_case_of_a_command_is_read_and_no_other(apdu: str, data: bytes | None) -> None:
    found = read_command(bytes.fromhex(apdu if len(apdu) % 2 == 0 else apdu + "0"))
    assert (None if found is None else found.data) == data


def test_select_and_get_response() -> None:
    assert select().hex() == "00a404000af04b474f57414c4c455400"
    assert get_response(256).hex() == get_response(0).hex() == "00c0000000"
    assert get_response(7).hex() == "00c0000007"


def test_the_longest_request_fits_a_chain() -> None:
    name = "\U0001f68c" * 32
    most = device.PaymentRequest(name, name, 10**12, 10**12, name, bytes(16), (1 << 40) - 1, (1 << 40) - 1, bytes(8))
    payload = device.PAYMENT_REQUEST.encode(most)
    assert len(EXAMPLES[Kind.PAYMENT_REQUEST].signed().raw) < 255
    assert len(payload) + 19 + 66 + 1 <= CHAIN_BYTES_MAX


def test_what_is_asked_says_how() -> None:
    assert instruction_for(EXAMPLES[Kind.PAYMENT_REQUEST].signed().raw) is Ins.PAY
    assert instruction_for(EXAMPLES[Kind.CARD_CHALLENGE].signed().payload) is Ins.AUTHENTICATE


# --- answers


@pytest.mark.parametrize(
    ("raw", "data", "status"),
    [
        ("9000", b"", 0x9000),
        ("019000", b"\x01", 0x9000),
        ("0161ff", b"\x01", 0x61FF),
        ("6a82", b"", 0x6A82),
        ("9401", b"", 0x9401),
    ],
)
def test_answers(raw: str, data: bytes, status: int) -> None:
    assert split_answer(bytes.fromhex(raw)) == (data, status)


@pytest.mark.parametrize("raw", ["", "90", "d284", "a000", "7000", "ff00", "016a82", "019401", "d2846f00", "016283"])
def test_the_beginning_of_an_answer_is_torn_and_no_refusal(raw: str) -> None:
    with pytest.raises(CardTorn):
        split_answer(bytes.fromhex(raw))


def test_an_answer_has_a_cap() -> None:
    assert len(split_answer(bytes(OBJECT_BYTES_MAX) + b"\x90\x00").data) == OBJECT_BYTES_MAX
    with pytest.raises(CardAnswerWrong):
        split_answer(bytes(OBJECT_BYTES_MAX + 1) + b"\x90\x00")


REFUSALS: dict[Status, type[Refusal]] = {
    Status.BLOCKED: CardBlocked,
    Status.MEMORY_FAILED: CardBlocked,
    Status.COUNTER_ENDED: CardBlocked,
    Status.NOT_NOW: CardWithoutAllowance,
    Status.NOTHING_STORED: CardWithoutAllowance,
    Status.PURSE_TOO_SMALL: CardPurseTooSmall,
    Status.EXPIRED: CardAllowanceExpired,
    Status.CLOSED: CardAllowanceClosed,
    Status.OTHER_PASS: CardRequestWrong,
    Status.DATA_WRONG: CardRequestWrong,
}


@pytest.mark.parametrize("status", [one for one in Status if one is not Status.OK])
def test_every_status_word_has_its_refusal(status: Status) -> None:
    refusal = refusal_of(status)
    assert type(refusal) is REFUSALS.get(status, CardAnswerWrong)
    assert f"{status:04X}" in refusal.detail
    assert (status in DECLINED) <= (type(refusal) is not CardAnswerWrong), "declined only with a reason"


def test_after_a_failed_write_nobody_says_that_nothing_was_paid() -> None:
    assert Status.MEMORY_FAILED not in DECLINED and 0x6F00 not in DECLINED


@pytest.mark.parametrize("kind", [Kind.ALLOWANCE, Kind.PAYMENT, Kind.CARD_CHALLENGE])
def test_an_object_is_whole_or_torn_at_every_byte(kind: Kind) -> None:
    raw = EXAMPLES[kind].signed().raw
    assert check_whole(raw) == raw
    for size in range(2, len(raw)):
        with pytest.raises(CardTorn):
            check_whole(raw[:size])
    for wrong in (raw + b"\0", b"\xd3" + raw[1:], raw[:2] + b"\x4e" + raw[3:], b"\xd2\x84\xa0" + raw[3:]):
        with pytest.raises((CardAnswerWrong, CardTorn)):
            check_whole(wrong)


# --- TLV


@pytest.mark.parametrize(
    ("data", "found"),
    [
        ("", []),
        ("c001ff", [(0xC0, b"\xff")]),
        ("c000c101aa", [(0xC0, b""), (0xC1, b"\xaa")]),
        ("bf0c0101", [(0xBF0C, b"\x01")]),
        ("c08101ff", [(0xC0, b"\xff")]),
    ],
)
def test_tlv(data: str, found: list[tuple[int, bytes]]) -> None:
    assert list(read_tlv(bytes.fromhex(data))) == found


@pytest.mark.parametrize("data", ["c002ff", "c081", "c0", "bf", "c0820001ff", "c080", "c08102ff"])
def test_tlv_that_ends_early_or_counts_otherwise(data: str) -> None:
    with pytest.raises((CardTorn, CardAnswerWrong)):
        list(read_tlv(bytes.fromhex(data)))


@pytest.mark.parametrize("size", [0, 1, 127, 128, 255])
def test_tlv_is_written_as_it_is_read(size: int) -> None:
    assert list(read_tlv(tlv(0xBF0C, bytes(size)))) == [(0xBF0C, bytes(size))]


def test_the_answer_to_select() -> None:
    raw = encode_info(INFO)
    assert decode_info(raw) == INFO
    with_more = tlv(0x6F, tlv(0x50, b"later") + raw[2:])
    assert decode_info(with_more) == INFO, "tags of later versions are passed over"
    for size in range(len(raw)):
        with pytest.raises((CardTorn, CardAnswerWrong)):
            decode_info(raw[:size])


@pytest.mark.parametrize("version", [0, 2, 255])
def test_another_version_is_said_to_be_unknown(version: int) -> None:
    with pytest.raises(CardVersionUnknown):
        decode_info(encode_info(INFO._replace(version=version)))


def test_an_answer_to_select_of_another_shape() -> None:
    raw = encode_info(INFO)
    other_name = raw.replace(AID, AID[:-1] + b"\0")
    twice = tlv(0x6F, raw[2:] + tlv(0x84, AID))
    wide = raw.replace(b"\xc1\x02\x00\x01", b"\xc1\x01\x01\x50\x00"[:3]).replace(b"\x6f\x1c", b"\x6f\x1b")
    for wrong in (other_name, twice, wide, b"", tlv(0x6F, b"")):
        with pytest.raises((CardAnswerWrong, CardTorn)):
            decode_info(wrong)


# --- the guide


def test_the_guide_lists_every_instruction_and_status_word() -> None:
    instructions = dict(re.findall(r"^\| `([0-9A-F]{2})` \| ([A-Z ]+?)(?: \(.*\))? \|", GUIDE, re.MULTILINE))
    expected = {f"{one:02X}": one.name.replace("_", " ") for one in Ins if one is not Ins.GET_RESPONSE}
    assert instructions == expected
    shown = {
        int(word, 16): numbers
        for word, numbers in re.findall(r"^\| `([0-9A-F]{4})` \| [^|]+ \| ([^|]*) \|$", GUIDE, re.MULTILINE)
    }
    assert set(shown) == {int(one) for one in Status}
    for status in Status:
        if status not in (Status.OK, Status.NOT_FOUND):
            assert shown[status].strip() == str(refusal_of(status).number), status.name


def test_the_guide_has_our_identifier_and_limits() -> None:
    assert " ".join(f"{byte:02X}" for byte in AID) in GUIDE and AID.hex().upper() in GUIDE
    assert f"at most {CHAIN_BYTES_MAX} bytes" in GUIDE
    assert card.VERSION == 1 and "this protocol: 1" in GUIDE
    states = re.search(r"C3 01 ss +(.*)", GUIDE)
    assert states and states[1] == ", ".join(f"{one} {one.name.lower()}" for one in AppletState)

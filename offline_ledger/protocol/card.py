"""The wallet applet's commands and answers: bytes <-> values. Pure. docs/card.md is normative; DESIGN §4, ISO 7816-4.

Short APDUs always work: what is longer than 255 bytes goes as a chain (CLA 90 … 80), what comes longer than 256 by
GET RESPONSE. A phone that emulates the applet answers the same. Never judges an allowance or a payment.
"""

from enum import IntEnum
from typing import NamedTuple

from offline_ledger.errors import (
    CardAllowanceClosed,
    CardAllowanceExpired,
    CardAnswerWrong,
    CardBlocked,
    CardPurseTooSmall,
    CardRequestWrong,
    CardTorn,
    CardWithoutAllowance,
    CodeDamaged,
    Refusal,
)
from offline_ledger.protocol.cose import bstr_bounds
from offline_ledger.protocol.fields import Field, Layout, fixed, text
from offline_ledger.protocol.kinds import OBJECT_BYTES_MAX, PASS_ID_BYTES
from offline_ledger.protocol.wallet import ID_CHARACTERS_MAX, NONCE_BYTES

AID = bytes.fromhex("F04B474F57414C4C4554")
"""F0 "KGOWALLET": a proprietary identifier (ISO 7816-5), so a phone may route it as "other" without registration."""
VERSION = 1
"""Of this protocol; the applet says its own in the answer to SELECT."""
CLA, CLA_MORE, CLA_ISO = 0x80, 0x90, 0x00
SHORT_BYTES_MAX = 255
ANSWER_BYTES_MAX = OBJECT_BYTES_MAX
CHAIN_BYTES_MAX = 640
"""Of one command's data: the longest payment request of four-byte letters is 610; a chip keeps it in its RAM."""
GET_RESPONSES_MAX = ANSWER_BYTES_MAX // SHORT_BYTES_MAX + 1
_STATUS_BYTES = 2
_STATUS_CLASSES = (0x6, 0x9)
_SIGN1_START = b"\xd2\x84"
_PROTECTED_AT = 3


class Ins(IntEnum):
    """Instruction bytes; numbers are never reused."""

    SELECT = 0xA4
    GET_RESPONSE = 0xC0
    READ_ALLOWANCE = 0x10
    READ_LAST_PAYMENT = 0x12
    PAY = 0x20
    AUTHENTICATE = 0x30
    SIGN_ASK = 0x32
    CLOSE = 0x34
    INITIALISE = 0x40
    STORE_ALLOWANCE = 0x50


class Status(IntEnum):
    """Status words (SW1 ‖ SW2). 94xx are the applet's own; the others have their meaning of ISO 7816-4."""

    OK = 0x9000
    BLOCKED = 0x6283
    """With SELECT and all that follows it: the applet is deactivated."""
    MEMORY_FAILED = 0x6581
    WRONG_LENGTH = 0x6700
    CHAIN_BROKEN = 0x6883
    SIGNATURE_WRONG = 0x6982
    NOT_NOW = 0x6985
    """A blank applet is asked for more than INITIALISE, or INITIALISE of one that is not blank."""
    DATA_WRONG = 0x6A80
    NOT_FOUND = 0x6A82
    PARAMETERS_WRONG = 0x6A86
    NOTHING_STORED = 0x6A88
    INS_UNKNOWN = 0x6D00
    CLA_UNKNOWN = 0x6E00
    PURSE_TOO_SMALL = 0x9401
    OTHER_PASS = 0x9402
    EXPIRED = 0x9403
    CLOSED = 0x9404
    NOT_NEWER = 0x9405
    COUNTER_ENDED = 0x9406


SW1_MORE, SW1_WRONG_LE = 0x61, 0x6C

_REFUSALS: dict[int, type[Refusal]] = {
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


class Answer(NamedTuple):
    """One response APDU."""

    data: bytes
    status: int


class CardChallenge(NamedTuple):
    """What a terminal has a card sign to know that its chip is there: which pass, which terminal, 16 random bytes."""

    pass_id: bytes
    device: str
    nonce: bytes


CARD_CHALLENGE = Layout(
    CardChallenge,
    Field(1, "pass_id", fixed(PASS_ID_BYTES)),
    Field(2, "device", text(ID_CHARACTERS_MAX)),
    Field(3, "nonce", fixed(NONCE_BYTES)),
)
_CHALLENGE_START = b"\xa3"


DECLINED = frozenset(
    {
        *(Status.BLOCKED, Status.COUNTER_ENDED, Status.NOT_NOW, Status.NOTHING_STORED, Status.PURSE_TOO_SMALL),
        *(Status.EXPIRED, Status.CLOSED, Status.OTHER_PASS, Status.DATA_WRONG),
    }
)
"""With these the chip says that it has signed nothing for this request; after any other the next tap tells."""


def instruction_for(asked: bytes) -> Ins:
    """PAY for a signed payment request; AUTHENTICATE for the payload of a card challenge."""
    return Ins.AUTHENTICATE if asked.startswith(_CHALLENGE_START) else Ins.PAY


# --- commands


def select(aid: bytes = AID) -> bytes:
    """SELECT by name, first occurrence, its control information wanted."""
    return bytes((CLA_ISO, Ins.SELECT, 0x04, 0x00, len(aid))) + aid + b"\0"


def get_response(size: int) -> bytes:
    """GET RESPONSE for so many bytes; 0 means 256."""
    return bytes((CLA_ISO, Ins.GET_RESPONSE, 0, 0, size & 0xFF))


def commands_for(ins: Ins, data: bytes = b"") -> list[bytes]:
    """The short command APDUs: one, or a chain whose last asks for the answer. ValueError above CHAIN_BYTES_MAX."""
    if len(data) > CHAIN_BYTES_MAX:
        raise ValueError(f"{len(data)} bytes of data")
    if not data:
        return [bytes((CLA, ins, 0, 0, 0))]
    parts = [data[at : at + SHORT_BYTES_MAX] for at in range(0, len(data), SHORT_BYTES_MAX)]
    chain = [bytes((CLA_MORE, ins, 0, 0, len(part))) + part for part in parts[:-1]]
    return [*chain, bytes((CLA, ins, 0, 0, len(parts[-1]))) + parts[-1] + b"\0"]


def extended_command(ins: Ins, data: bytes) -> bytes:
    """The same as one extended APDU; only for an applet with EXTENDED behind a reader that passes it."""
    if not 0 < len(data) <= CHAIN_BYTES_MAX:
        raise ValueError(f"{len(data)} bytes of data")
    return bytes((CLA, ins, 0, 0, 0)) + len(data).to_bytes(2, "big") + data + b"\0\0"


class Command(NamedTuple):
    """A command APDU taken apart; `is_last` is false in all but the last of a chain."""

    cla: int
    ins: int
    p1: int
    p2: int
    data: bytes
    is_last: bool


def read_command(apdu: bytes) -> Command | None:
    """What a card reads in a command, short or extended (cases 1 to 4); None where the lengths contradict."""
    if len(apdu) < 4:
        return None
    data = _command_data(apdu[4:])
    if data is None:
        return None
    cla = apdu[0]
    return Command(cla & ~0x10, apdu[1], apdu[2], apdu[3], data, not cla & 0x10)


def _command_data(rest: bytes) -> bytes | None:
    if len(rest) <= 1:  # nothing, or Le alone
        return b""
    if rest[0]:
        size = rest[0]
        return rest[1 : 1 + size] if len(rest) - 1 - size in (0, 1) else None
    if len(rest) == 3:  # an extended Le alone
        return b""
    size = int.from_bytes(rest[1:3], "big")
    return rest[3 : 3 + size] if size and len(rest) - 3 - size in (0, 2) else None


# --- answers


def split_answer(raw: bytes) -> Answer:
    """Data and status word. Raises CardTorn for what can only be the beginning of an answer (a reader without checks
    of its own may pass it on): no status word, or an error with data. CardAnswerWrong above the cap."""
    if len(raw) > ANSWER_BYTES_MAX + _STATUS_BYTES:
        raise CardAnswerWrong(f"{len(raw)} bytes")
    data, status = raw[:-_STATUS_BYTES], int.from_bytes(raw[-_STATUS_BYTES:], "big")
    if len(raw) < _STATUS_BYTES or status >> 12 not in _STATUS_CLASSES:
        raise CardTorn("no status word")
    if data and status != Status.OK and status >> 8 != SW1_MORE:
        raise CardTorn(f"{len(data)} bytes before status {status:04X}")
    return Answer(data, status)


def check_whole(signed: bytes) -> bytes:
    """A COSE_Sign1 from its first byte to its last, nothing in it judged. Raises CardTorn for the beginning of one,
    CardAnswerWrong for anything else."""
    try:
        start, end = bstr_bounds(signed, 2)
        _start, end = bstr_bounds(signed, bstr_bounds(signed, end + 1)[1])
    except CodeDamaged as error:
        raise CardTorn("cut short") from error
    except Refusal as error:
        raise CardAnswerWrong(str(error)) from error
    if start != _PROTECTED_AT or end != len(signed) or not signed.startswith(_SIGN1_START):
        raise CardAnswerWrong("no signed object")
    return signed


def refusal_of(status: int) -> Refusal:
    """What a status word other than OK means to the person at the terminal; one not listed is CardAnswerWrong."""
    return _REFUSALS.get(status, CardAnswerWrong)(f"status {status:04X}")

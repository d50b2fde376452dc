"""PromptPay codes: the text of the QR that a customer's bank app reads, and back. Pure. EMVCo QR Code Specification for
Payment Systems, Merchant-Presented Mode 1.1; Bank of Thailand, Thai QR Payment Standard; DESIGN §2.

Never knows whether anybody paid: a bank tells the shop, not this program. The tender that a code asks for stays
*unverified* until the cashier has seen the money and confirms it. Decision 0187.

A field is two digits of name, two of length, and the value; 29 and 30 hold such fields themselves. The last one is a
CRC-16 (polynomial 0x1021, begun at 0xFFFF) over all before it, its own name and length included.
"""

import re
from binascii import crc_hqx
from enum import Enum
from typing import NamedTuple

from offline_ledger.errors import (
    PromptPayAmountWrong,
    PromptPayCheckDigit,
    PromptPayTargetMalformed,
    PromptPayTextUnfit,
    PromptPayUnreadable,
)
from offline_ledger.money import ARABIC

FORMAT, INITIATION, TRANSFER, BILL = "00", "01", "29", "30"
CURRENCY, AMOUNT, COUNTRY, NAME, CITY, CRC = "53", "54", "58", "59", "60", "63"
STATIC, DYNAMIC = "11", "12"
BAHT, THAILAND = "764", "TH"
TRANSFER_AID, BILL_AID = "A000000677010111", "A000000677010112"
AID, BILLER_ID, REFERENCE_1, REFERENCE_2 = "00", "01", "02", "03"

AMOUNT_SATANG_MAX = 999_999_999_999
"""Field 54 has 13 characters: 9,999,999,999.99 baht. What a bank transfers at a time is less, and the bank says so."""
PAYLOAD_CHARACTERS_MAX = 512
"""EMVCo, section 3.2: more would not be read from a screen."""
REFERENCE_MAX, NAME_MAX, CITY_MAX = 20, 25, 15
TARGET_TEXT_MAX = 64
CRC_CHARACTERS = 4

_AMOUNT = re.compile(r"([0-9]{1,10})(?:\.([0-9]{1,2}))?")
_REFERENCE = re.compile(r"[A-Z0-9]+")
_NAME = re.compile(r"[!-~](?:[ -~]*[!-~])?")
_MOBILE_FIRST = ("6", "8", "9")
"""After the 0: what Thailand gives to mobile telephones."""


class PromptPayKind(Enum):
    """Who is paid; the value is the field inside 29 that names them. A biller stands in 30."""

    MOBILE = "01"
    ID = "02"
    WALLET = "03"
    BILLER = "biller"


_DIGITS = {PromptPayKind.MOBILE: 13, PromptPayKind.ID: 13, PromptPayKind.WALLET: 15, PromptPayKind.BILLER: 15}


class PromptPayTarget(NamedTuple):
    """Where the money goes. `number` as the code has it: a mobile with 0066. The other texts may be empty."""

    kind: PromptPayKind
    number: str
    reference_2: str = ""
    name: str = ""
    city: str = ""


class PromptPayCode(NamedTuple):
    """What a code asks for; no amount: the customer keys it in."""

    target: PromptPayTarget
    amount_satang: int | None
    reference: str
    is_dynamic: bool


def parse_target(text: str, name: str = "", city: str = "") -> PromptPayTarget:
    """From the settings: `081-234-5678`, `+66 81 234 5678`, a citizen's or tax ID of 13 digits, `wallet:` and 15, or
    `biller:` and 15, with `/BRANCH1` after them for a second reference. Hyphens and blanks count for nothing.
    Raises PromptPayTargetMalformed, PromptPayCheckDigit, PromptPayTextUnfit."""
    word, colon, rest = text[:TARGET_TEXT_MAX].strip().rpartition(":")
    rest, slash, reference_2 = rest.partition("/")
    digits = re.sub(r"[ \-]", "", rest.translate(ARABIC))
    if not re.fullmatch(r"\+?[0-9]+", digits):
        raise PromptPayTargetMalformed(f"PromptPay {text[:20]} of an unknown kind")
    if not colon and not slash:
        target = _by_length(digits, text)
    elif word.lower() == "wallet" and not slash:
        target = PromptPayTarget(PromptPayKind.WALLET, digits)
    elif word.lower() == "biller":
        target = PromptPayTarget(PromptPayKind.BILLER, digits, _reference(reference_2) if slash else "")
    else:
        raise PromptPayTargetMalformed(f"PromptPay {text[:20]} of an unknown kind")
    if len(target.number) != _DIGITS[target.kind] or not target.number.isdecimal():
        raise PromptPayTargetMalformed(f"PromptPay {text[:20]}: {len(digits)} digits")
    return target._replace(name=_name(name, NAME_MAX), city=_name(city, CITY_MAX))


def payload(target: PromptPayTarget, amount_satang: int | None, reference: str = "") -> str:
    """The text of the code. No amount: a code to print and hang up. The reference (a receipt's number, A-Z and 0-9)
    goes into a biller's code, whose bank gives it back with the money; a plain transfer has no field that a bank shows
    the shop, so there it is left out. Raises PromptPayAmountWrong, PromptPayTextUnfit."""
    if amount_satang is not None and not 1 <= amount_satang <= AMOUNT_SATANG_MAX:
        raise PromptPayAmountWrong(str(amount_satang)[:20])
    fields = [
        _field(FORMAT, "01"),
        _field(INITIATION, STATIC if amount_satang is None else DYNAMIC),
        _account(target, reference),
        _field(CURRENCY, BAHT),
    ]
    if amount_satang is not None:
        fields.append(_field(AMOUNT, f"{amount_satang // 100}.{amount_satang % 100:02d}"))
    fields.append(_field(COUNTRY, THAILAND))
    fields += [_field(tag, value) for tag, value in ((NAME, target.name), (CITY, target.city)) if value]
    body = "".join(fields) + CRC + f"{CRC_CHARACTERS:02d}"
    return body + _crc(body)


def decode_payload(text: str) -> PromptPayCode:
    """As strict as the most careful bank app: check sum, lengths, each field once, baht, Thailand, one account. Fields
    of other systems beside it are passed over. Raises PromptPayUnreadable."""
    if not text.isascii() or not 20 < len(text) <= PAYLOAD_CHARACTERS_MAX:
        raise PromptPayUnreadable(f"{len(text)} characters of a payment code")
    fields = _fields(text)
    if next(iter(fields)) != FORMAT or next(reversed(fields)) != CRC:
        raise PromptPayUnreadable(f"field {FORMAT if next(iter(fields)) != FORMAT else CRC} out of its place")
    if fields[CRC] != (right := _crc(text[:-CRC_CHARACTERS])):
        raise PromptPayUnreadable(f"the check sum is {fields[CRC]} and should be {right}")
    for tag, wanted in ((FORMAT, ("01",)), (CURRENCY, (BAHT,)), (COUNTRY, (THAILAND,))):
        if _needed(fields, tag) not in wanted:
            raise PromptPayUnreadable(f"field {tag} is {fields[tag]}")
    initiation = fields.get(INITIATION, STATIC)
    if initiation not in (STATIC, DYNAMIC):
        raise PromptPayUnreadable(f"field {INITIATION} is {initiation}")
    target, reference = _decode_account(fields)
    target = target._replace(name=fields.get(NAME, ""), city=fields.get(CITY, ""))
    return PromptPayCode(target, _decode_amount(fields), reference, initiation == DYNAMIC)


def check_digit(first_twelve: str) -> str:
    """Of a Thai citizen's or tax ID: weights 13 to 2, modulo 11 (Department of Provincial Administration)."""
    weighed = sum(int(digit) * (13 - place) for place, digit in enumerate(first_twelve))
    return str((11 - weighed % 11) % 10)


def _by_length(digits: str, text: str) -> PromptPayTarget:
    if digits.startswith("+66"):
        digits = "0" + digits.removeprefix("+66")
    if len(digits) == 10 and digits.startswith("0"):
        if digits[1] not in _MOBILE_FIRST:
            raise PromptPayTargetMalformed("a mobile number that does not begin with 06, 08 or 09")
        return PromptPayTarget(PromptPayKind.MOBILE, f"0066{digits[1:]}")
    if len(digits) == 13 and digits.isdecimal():
        if digits[-1] != (right := check_digit(digits[:-1])):
            raise PromptPayCheckDigit(f"the last digit should be {right}")
        return PromptPayTarget(PromptPayKind.ID, digits)
    if len(digits) == 15:
        raise PromptPayTargetMalformed("15 digits are a wallet or a biller: write which")
    raise PromptPayTargetMalformed(f"PromptPay {text[:20]}: {len(digits)} digits")


def _account(target: PromptPayTarget, reference: str) -> str:
    if target.kind is not PromptPayKind.BILLER:
        return _field(TRANSFER, _field(AID, TRANSFER_AID) + _field(target.kind.value, target.number))
    inner = _field(AID, BILL_AID) + _field(BILLER_ID, target.number) + _field(REFERENCE_1, _reference(reference))
    return _field(BILL, inner + (_field(REFERENCE_2, target.reference_2) if target.reference_2 else ""))


def _decode_account(fields: dict[str, str]) -> tuple[PromptPayTarget, str]:
    if TRANSFER in fields and BILL in fields:
        raise PromptPayUnreadable(f"field {BILL} given twice")
    if BILL in fields:
        inner = _fields(fields[BILL])
        _check_aid(inner, BILL_AID)
        number = _number(_needed(inner, BILLER_ID), PromptPayKind.BILLER)
        return PromptPayTarget(PromptPayKind.BILLER, number, inner.get(REFERENCE_2, "")), _needed(inner, REFERENCE_1)
    inner = _fields(_needed(fields, TRANSFER))
    _check_aid(inner, TRANSFER_AID)
    kinds = [kind for kind in PromptPayKind if kind.value in inner]
    if len(kinds) != 1:
        raise PromptPayUnreadable(f"field {TRANSFER} is {fields[TRANSFER]}")
    return PromptPayTarget(kinds[0], _number(inner[kinds[0].value], kinds[0])), ""


def _check_aid(inner: dict[str, str], wanted: str) -> None:
    if _needed(inner, AID) != wanted:
        raise PromptPayUnreadable(f"field {AID} is {inner[AID]}")


def _number(value: str, kind: PromptPayKind) -> str:
    if not value.isdecimal() or len(value) != _DIGITS[kind]:
        raise PromptPayUnreadable(f"field {kind.value} is {value}")
    return value


def _decode_amount(fields: dict[str, str]) -> int | None:
    if AMOUNT not in fields:
        return None
    found = _AMOUNT.fullmatch(fields[AMOUNT])
    satang = int(found[1]) * 100 + int((found[2] or "").ljust(2, "0")) if found else 0
    if satang <= 0:
        raise PromptPayUnreadable(f"field {AMOUNT} is {fields[AMOUNT]}")
    return satang


def _field(tag: str, value: str) -> str:
    return f"{tag}{len(value):02d}{value}"


def _fields(text: str) -> dict[str, str]:
    """In their order. Raises PromptPayUnreadable for one that is cut short, or comes twice."""
    fields: dict[str, str] = {}
    place = 0
    while place < len(text):
        head = text[place : place + 4]
        end = place + 4 + int(head[2:]) if len(head) == 4 and head.isdecimal() else 0
        if not place + 4 < end <= len(text):
            raise PromptPayUnreadable(f"field {head[:2]} cut short")
        if head[:2] in fields:
            raise PromptPayUnreadable(f"field {head[:2]} given twice")
        fields[head[:2]] = text[place + 4 : end]
        place = end
    return fields


def _needed(fields: dict[str, str], tag: str) -> str:
    if tag not in fields:
        raise PromptPayUnreadable(f"field {tag} missing")
    return fields[tag]


def _crc(body: str) -> str:
    return f"{crc_hqx(body.encode('ascii'), 0xFFFF):04X}"


def _reference(text: str) -> str:
    if not 1 <= len(text) <= REFERENCE_MAX:
        raise PromptPayTextUnfit(f"a reference of {len(text)} characters")
    if not _REFERENCE.fullmatch(text):
        raise PromptPayTextUnfit("a reference of other than A-Z and 0-9")
    return text


def _name(text: str, characters_max: int) -> str:
    if text and (len(text) > characters_max or not _NAME.fullmatch(text)):
        raise PromptPayTextUnfit(f"a name of other than 1 to {characters_max} Latin characters")
    return text

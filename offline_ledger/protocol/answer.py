"""What a city answers to an enrolment, whole and in parts that fit QR codes. Pure. DESIGN §4, §8.

The answer holds the certificate and the chain of trust lists, and what else a device needs before its first sync as far
as there is room. Parts come in any order and more than once; those of another answer or for another key are refused.
Of an answer no signature is verified here: nothing in it counts before the device has.
"""

import zlib
from collections.abc import Sequence
from hashlib import sha256
from typing import NamedTuple, cast

from offline_ledger.errors import (
    AnswerInvalid,
    AnswerPartDamaged,
    AnswerPartForeign,
    AnswerTooLong,
    EnrolmentInvalid,
    Refusal,
)
from offline_ledger.protocol import cbor, cose, qr
from offline_ledger.protocol.city import BulletinKind
from offline_ledger.protocol.deny_list import LIST_BYTES_MAX
from offline_ledger.protocol.device import ENROLMENT, Enrolment
from offline_ledger.protocol.fields import Bounded, Field, Layout, blob, items
from offline_ledger.protocol.kinds import CITY_OBJECT_BYTES_MAX, KEY_ID_BYTES, OBJECT_BYTES_MAX, VERSION, Kind
from offline_ledger.protocol.qr import QrType

ANSWER_BYTES_MAX = 4 * CITY_OBJECT_BYTES_MAX
"""What every device reads; one with more is sent without what a sync brings as well."""
TRUST_LISTS_MAX = 1_024
PART_DATA_BYTES = 360
"""With its head a part is 584 characters: a code of version 15-M."""
PARTS_MAX = 64
"""A minute's scanning; 23,040 bytes of compressed answer."""
SUM_BYTES = 8
_PLACE_BYTES = 2


class EnrolmentAnswer(NamedTuple):
    """`bulletins`: one a kind, as `/v1/bulletins` gives them; `deny_list`: the whole list of its bulletin, when the
    bulletin's own changes do not begin at the empty one. None: not in it."""

    certificate: bytes
    trust_lists: tuple[bytes, ...]
    bulletins: tuple[bytes, ...] | None = None
    deny_list: bytes | None = None


ENROLMENT_ANSWER = Layout(
    EnrolmentAnswer,
    Field(1, "certificate", blob(OBJECT_BYTES_MAX)),
    Field(2, "trust_lists", items(blob(CITY_OBJECT_BYTES_MAX), TRUST_LISTS_MAX, 1)),
    Field(3, "bulletins", items(blob(CITY_OBJECT_BYTES_MAX), len(BulletinKind), 1), optional=True),
    Field(4, "deny_list", Bounded(bytes, 0, LIST_BYTES_MAX), optional=True),
)
_KEYS = frozenset({1, 2, 3, 4})


def decode_answer(body: bytes) -> EnrolmentAnswer:
    """Other keys are of later cities, and passed over. Raises AnswerInvalid."""
    try:
        value = cbor.decode(body, ANSWER_BYTES_MAX)
        if not isinstance(value, dict):
            raise AnswerInvalid("no enrolment answer")
        found = cast(dict[object, object], value)
        return ENROLMENT_ANSWER.from_map({key: found[key] for key in found if key in _KEYS})
    except AnswerInvalid:
        raise
    except Refusal as refusal:
        raise AnswerInvalid(str(refusal)) from refusal


def read_enrolment(raw: bytes, city: str) -> Enrolment:
    """A device's request, signed by the key it names. Raises EnrolmentInvalid and the reading refusals."""
    signed = cose.parse_sign1(raw, cose.external_aad(Kind.ENROLMENT, city))
    asked = ENROLMENT.decode(signed.payload, OBJECT_BYTES_MAX)
    key = cose.verify_key(asked.point)
    if signed.key_id != key.key_id or not cose.is_signature_of(signed, key):
        raise EnrolmentInvalid(f"{asked.device}: not signed by its own key")
    if VERSION not in asked.versions:
        raise EnrolmentInvalid(f"{asked.device} cannot read version {VERSION}")
    return asked


def parts_needed(answer: bytes) -> int:
    """How many codes an answer takes; it may be more than PARTS_MAX."""
    return -(-len(zlib.compress(answer, 9)) // PART_DATA_BYTES)


def split_answer(answer: bytes, key_id: bytes) -> list[str]:
    """The texts to draw, for the device that asked with this key. Raises AnswerTooLong."""
    packed = zlib.compress(answer, 9)
    pieces = [packed[at : at + PART_DATA_BYTES] for at in range(0, len(packed), PART_DATA_BYTES)]
    if len(pieces) > PARTS_MAX:
        raise AnswerTooLong(f"{len(pieces)} codes, at most {PARTS_MAX}")
    mark, count = sha256(packed).digest()[:SUM_BYTES], len(pieces)
    return [qr.encode(QrType.ANSWER_PART, key_id, mark, bytes((at, count)), one) for at, one in enumerate(pieces, 1)]


class AnswerParts:
    """What was scanned of one answer, for one key. The first part of it says which answer the rest belongs to."""

    def __init__(self, key_id: bytes) -> None:
        self._key_id = key_id
        self._mark = b""
        self._count = 0
        self._pieces: dict[int, bytes] = {}

    @property
    def count(self) -> int:
        """How many parts there are; 0: none was seen yet."""
        return self._count

    @property
    def missing(self) -> Sequence[int]:
        """Their numbers, from 1."""
        return [at for at in range(1, self._count + 1) if at not in self._pieces]

    def add(self, text: str) -> int:
        """The number of this part, seen before or not.

        Raises the reading refusals, WrongCodeType, AnswerPartForeign, AnswerPartDamaged.
        """
        code = qr.decode(text)
        if code.type is not QrType.ANSWER_PART:
            raise AnswerPartForeign(f"a code of type {code.type.value}")
        key_id, mark, place, piece = code.objects
        if len(key_id) != KEY_ID_BYTES or len(mark) != SUM_BYTES or len(place) != _PLACE_BYTES:
            raise AnswerPartDamaged("not its fields")
        number, count = place
        if not 1 <= number <= count <= PARTS_MAX or not 1 <= len(piece) <= PART_DATA_BYTES:
            raise AnswerPartDamaged(f"part {number} of {count}")
        if key_id != self._key_id:
            raise AnswerPartForeign("for another key")
        if self._count and (mark, count) != (self._mark, self._count):
            raise AnswerPartForeign("of another answer")
        if self._pieces.get(number, piece) != piece:
            raise AnswerPartDamaged(f"part {number} twice, not the same")
        self._mark, self._count = mark, count
        self._pieces[number] = piece
        return number

    def whole(self) -> bytes | None:
        """The answer once all of it is there. Raises AnswerPartDamaged: it is not what was drawn; all is forgotten."""
        if not self._count or self.missing:
            return None
        packed, mark = b"".join(self._pieces[at] for at in range(1, self._count + 1)), self._mark
        self._mark, self._count, self._pieces = b"", 0, {}
        if sha256(packed).digest()[:SUM_BYTES] != mark:
            raise AnswerPartDamaged("another sum")
        unpacking = zlib.decompressobj()
        try:
            body = unpacking.decompress(packed, ANSWER_BYTES_MAX)
        except zlib.error as error:
            raise AnswerPartDamaged("not compressed") from error
        if not unpacking.eof or unpacking.unused_data:
            raise AnswerPartDamaged(f"not whole, or over {ANSWER_BYTES_MAX} bytes")
        return body

"""The city's HTTP interface as a terminal speaks it: requests to make, answers to read. Pure. DESIGN §7.

Bodies are CBOR both ways. Reading an answer verifies its shape and size only; who signed it is judged by
`trust`, `bulletins` and `sync_batches`.
"""

from typing import NamedTuple, cast

from offline_ledger.errors import (
    AnswerInvalid,
    CityRefused,
    LedgerRestored,
    Malformed,
    RecoveryNeeded,
    Refusal,
)
from offline_ledger.protocol import cbor, cose
from offline_ledger.protocol.city import TIME_ANSWER, BulletinKind, KeyRole, TimeAnswer
from offline_ledger.protocol.deny_list import LIST_BYTES_MAX
from offline_ledger.protocol.fields import blob, fixed, items, row, uint
from offline_ledger.protocol.kinds import CITY_OBJECT_BYTES_MAX, HASH_BYTES, OBJECT_BYTES_MAX, Kind
from offline_ledger.terminal.ports import CityAnswer, CityRequest
from offline_ledger.terminal.sync_batches import ANSWER_BYTES_MAX
from offline_ledger.terminal.trust import HeldTrust, naming_later_versions, verify_signed

TRUST_LISTS_PER_ANSWER_MAX = 1_024
LISTS_BYTES_MAX = 4 * CITY_OBJECT_BYTES_MAX
ERROR_BYTES_MAX = 4_096
HTTP_OK = 200

_PLACE = row(uint(1 << 48), uint(1 << 48), fixed(HASH_BYTES))


class CityError(NamedTuple):
    """What the city said instead of answering. `resume_at`: (sequence, event number, event head) it still has, after a
    restore."""

    refusal: Refusal
    number: int
    resume_at: tuple[int, int, bytes] | None = None


def ask_trust_lists(held_version: int) -> CityRequest:
    """The lists after the one held, in order."""
    return CityRequest("GET", f"/v1/trust-lists?after={held_version}", None, LISTS_BYTES_MAX)


def ask_time(device: str, nonce: bytes) -> CityRequest:
    """The city's signed time for our nonce."""
    return CityRequest("POST", "/v1/time", cbor.encode({1: device, 2: nonce}), OBJECT_BYTES_MAX)


def send_batch(body: bytes) -> CityRequest:
    """One compressed batch."""
    return CityRequest("POST", "/v1/batches", body, ANSWER_BYTES_MAX)


def ask_bulletins(have: str) -> CityRequest:
    """The newest bulletin of each kind above what is held."""
    return CityRequest("GET", f"/v1/bulletins?have={have}", None, LISTS_BYTES_MAX)


def ask_deny_list(counter: int) -> CityRequest:
    """The whole list of one bulletin counter."""
    return CityRequest("GET", f"/v1/deny-list?counter={counter}", None, LIST_BYTES_MAX)


def read_byte_strings(body: bytes, items_max: int) -> tuple[bytes, ...]:
    """A CBOR list of signed objects. Raises AnswerInvalid."""
    try:
        value = items(blob(CITY_OBJECT_BYTES_MAX), items_max)(cbor.decode(body, LISTS_BYTES_MAX))
    except Refusal as refusal:
        raise AnswerInvalid(str(refusal)) from refusal
    return cast(tuple[bytes, ...], value)


def read_trust_lists(body: bytes) -> tuple[bytes, ...]:
    """The city's lists, each a signed trust list. Raises AnswerInvalid."""
    return read_byte_strings(body, TRUST_LISTS_PER_ANSWER_MAX)


def read_bulletins(body: bytes) -> tuple[bytes, ...]:
    """At most one bulletin per kind. Raises AnswerInvalid."""
    return read_byte_strings(body, len(BulletinKind))


def read_time_answer(body: bytes, city: str, device: str, nonce: bytes, trust: HeldTrust) -> TimeAnswer:
    """The verified time for this nonce. Raises AnswerInvalid, UnknownIssuer, IssuerRoleWrong, IssuerKeyExpired,
    VersionUnknown."""
    with naming_later_versions(trust, body, Kind.TIME_ANSWER, KeyRole.ACK):
        try:
            signed = cose.parse_sign1(body, cose.external_aad(Kind.TIME_ANSWER, city))
            answer = TIME_ANSWER.decode(signed.payload, OBJECT_BYTES_MAX)
        except Refusal as refusal:
            raise AnswerInvalid(str(refusal)) from refusal
        verify_signed(trust, signed, KeyRole.ACK, answer.issued_at_s, AnswerInvalid)
    if answer.device != device or answer.nonce != nonce:
        raise AnswerInvalid("the time for another question")
    return answer


def read_error(answer: CityAnswer) -> CityError:
    """The city's own refusal, or a plain CityRefused when the body does not say; hostile text stays bounded."""
    number, key, resume_at = 0, "", None
    try:
        value = cbor.decode(answer.body, ERROR_BYTES_MAX)
        if isinstance(value, dict):
            found = cast(dict[object, object], value)
            number = found[1] if type(found.get(1)) is int else 0
            key = found[2] if type(found.get(2)) is str else ""
            resume_at = _PLACE(found[4]) if 4 in found else None
    except (Refusal, Malformed):
        number, key = 0, ""
    number, key = cast(int, number), cast(str, key)
    detail = f"HTTP {answer.status}, {number} {key[:40]!r}"
    if number == RecoveryNeeded.number:
        return CityError(LedgerRestored(detail), number, cast(tuple[int, int, bytes] | None, resume_at))
    return CityError(CityRefused(detail), number)

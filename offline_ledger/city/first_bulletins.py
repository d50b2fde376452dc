"""What goes along with a new certificate: all that a device needs before its first sync, as far as it fits. DESIGN §4.

The same bulletins that `/v1/bulletins` would give it, the most needed first: deny list, then fares for a bus and
campaigns for a shop. What does not fit comes with the first sync. Never decides who is enrolled.
"""

from collections.abc import Callable

from offline_ledger.city import bulletins
from offline_ledger.city.store import Store
from offline_ledger.protocol import cose
from offline_ledger.protocol.answer import (
    ANSWER_BYTES_MAX,
    ENROLMENT_ANSWER,
    PARTS_MAX,
    EnrolmentAnswer,
    decode_answer,
    parts_needed,
)
from offline_ledger.protocol.city import BULLETIN, BulletinKind
from offline_ledger.protocol.cose import Signer
from offline_ledger.protocol.device import DeviceRole
from offline_ledger.protocol.kinds import CITY_OBJECT_BYTES_MAX, Kind

PARTS_WANTED_MAX = 24
"""Codes with bulletins in them: half a minute's scanning. Certificate and city keys may take up to PARTS_MAX."""

DENY_BASE_KEY = 4
"""Of a deny list's body: the list that its changes begin at; 0 is the empty one, so nothing more is needed."""


def fits_online(answer: bytes) -> bool:
    """Over HTTPS and by file: as much as every device reads."""
    return len(answer) <= ANSWER_BYTES_MAX


def fits_codes(answer: bytes) -> bool:
    """By QR codes."""
    return parts_needed(answer) <= min(PARTS_WANTED_MAX, PARTS_MAX)


def with_first(
    store: Store, signer: Signer, answer: bytes, role: DeviceRole, now_s: int, fits: Callable[[bytes], bool]
) -> bytes:
    """The answer with what fits beside it; the answer as it is when nothing does."""
    bulletins.publish_deny_list(store, signer, now_s)
    aad = cose.external_aad(Kind.BULLETIN, store.city)
    by_kind: dict[int, tuple[bytes, bytes | None]] = {}
    for raw in bulletins.newer_than(store, {}, now_s):
        made = BULLETIN.decode(cose.parse_sign1(raw, aad, CITY_OBJECT_BYTES_MAX).payload, CITY_OBJECT_BYTES_MAX)
        begins_empty = made.kind != BulletinKind.DENY_LIST or made.body[DENY_BASE_KEY] == 0
        by_kind[made.kind] = (raw, None if begins_empty else bulletins.full_deny_list(store, made.version[1]))
    taken, encoded = decode_answer(answer), answer
    for kind in _order(role):
        if kind not in by_kind:
            continue
        raw, whole_list = by_kind[kind]
        longer = taken._replace(bulletins=(*(taken.bulletins or ()), raw), deny_list=whole_list or taken.deny_list)
        tried = ENROLMENT_ANSWER.encode(longer)
        if fits(tried):
            taken, encoded = longer, tried
    return encoded


def _order(role: DeviceRole) -> tuple[BulletinKind, ...]:
    own = (BulletinKind.TARIFF, BulletinKind.CAMPAIGN)
    fares = own if role is DeviceRole.VALIDATOR else own[::-1]
    return (BulletinKind.DENY_LIST, *fares, BulletinKind.CONFIGURATION)


def kinds_in(answer: EnrolmentAnswer, city: str) -> tuple[BulletinKind, ...]:
    """Which are in it, for whoever carries it."""
    aad = cose.external_aad(Kind.BULLETIN, city)
    payloads = (cose.parse_sign1(raw, aad, CITY_OBJECT_BYTES_MAX).payload for raw in answer.bulletins or ())
    return tuple(BulletinKind(BULLETIN.decode(payload, CITY_OBJECT_BYTES_MAX).kind) for payload in payloads)

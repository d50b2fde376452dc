"""A device CA key that leaked: closed at once, and revoked by the next list once no terminal needs it. DESIGN §4.

A terminal proves at each start that the device CA signed its certificate, so revoking the key earlier would stop it.
What a terminal uses is its own signed word, in its newest batch head. Never signs.
"""

from typing import cast

from offline_ledger.city.enrolment import EARLIER_S
from offline_ledger.city.rotation import KeyBook
from offline_ledger.city.store import Store
from offline_ledger.errors import Refusal
from offline_ledger.protocol import cbor, cose
from offline_ledger.protocol.city import KeyRole
from offline_ledger.protocol.device import StateKey
from offline_ledger.protocol.kinds import POINT_BYTES, Kind

SETTING = "device_ca.leaked"
STATE_BYTES_MAX = 4_096


def note_leaked(store: Store, points: frozenset[bytes]) -> None:
    """These keys are to be revoked as soon as nobody needs them."""
    store.put_setting(SETTING, b"".join(sorted(points | _leaked(store))))


def to_be_revoked(store: Store, book: KeyBook, now_s: int) -> frozenset[bytes]:
    """Leaked keys that the next list may revoke: none while `holding_back` names a terminal."""
    closed = {key.point for key in book.of_role(KeyRole.DEVICE_CA) if not key.trusted.is_revoked}
    found = (_leaked(store) & closed) - {book.in_force(KeyRole.DEVICE_CA).point}
    return found if found and not holding_back(store, book, now_s) else frozenset()


def holding_back(store: Store, book: KeyBook, now_s: int) -> list[str]:
    """Terminals that may still use a certificate of another key than the one in force, by name. Those that are revoked,
    or whose certificate has ended, take no code anyway."""
    in_force = cose.key_id_of(book.in_force(KeyRole.DEVICE_CA).point)
    aad = cose.external_aad(Kind.DEVICE_CERTIFICATE, store.city)
    rows = store.fetch(
        "SELECT device, certificate, not_before_s, enrolled_at_s, state FROM devices WHERE revoked_after IS NULL"
        " AND expires_at_s >= ? ORDER BY device",
        (now_s,),
    )
    found: list[str] = []
    for device, certificate, from_s, enrolled_at_s, state in rows:
        is_first = from_s == enrolled_at_s - EARLIER_S  # it never had another one
        if not (_is_by(certificate, aad, in_force) and (is_first or _used_from_s(state) >= from_s)):
            found.append(device)
    return found


def _leaked(store: Store) -> frozenset[bytes]:
    raw = store.setting(SETTING) or b""
    return frozenset(raw[at : at + POINT_BYTES] for at in range(0, len(raw), POINT_BYTES))


def _is_by(certificate: bytes, aad: bytes, key_id: bytes) -> bool:
    try:
        return cose.parse_sign1(certificate, aad).key_id == key_id
    except Refusal:
        return False


def _used_from_s(state: bytes) -> int:
    """When the certificate begins that the device said it uses; 0: it did not say."""
    try:
        found = cbor.decode(state, STATE_BYTES_MAX)
    except Refusal:
        return 0
    said = cast(dict[int, object], found).get(StateKey.CERTIFICATE_FROM_S) if isinstance(found, dict) else None
    return said if type(said) is int else 0

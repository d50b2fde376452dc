"""Enrolling devices and their owners: by a one-time token over HTTPS, or by files carried by hand. DESIGN §4, §8.

A device proves that it holds the key it names; the operator decides role, owner, F and H. Tokens are short-lived, good
once and kept as a hash. A device's name is bound to its first key for ever: its chain could not go on under another.
"""

from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from hashlib import sha256

from offline_ledger.city import trust
from offline_ledger.city.accounts import OwnerKind
from offline_ledger.city.store import Store
from offline_ledger.errors import AlreadyOtherwise, EnrolmentInvalid, OwnerUnknown, RoleNotHere, TokenInvalid
from offline_ledger.protocol import cbor, cose, device
from offline_ledger.protocol.answer import read_enrolment
from offline_ledger.protocol.cose import Signer
from offline_ledger.protocol.device import DeviceCertificate, DeviceRole, Enrolment
from offline_ledger.protocol.kinds import Kind
from offline_ledger.protocol.token import SECRET_BYTES, token_of
from offline_ledger.rules.limits import HOUR_S, Limits
from offline_ledger.rules.training import is_training_city

CERTIFICATE_LIFE_S = 800 * 86_400
NEAR_MAX = 3
EARLIER_S = 300
"""A terminal's clock may be a little behind."""


@dataclass(frozen=True, slots=True)
class Placement:
    """What the operator decides about a device."""

    device: str
    role: DeviceRole
    owner: str
    offline_value_kgo: int
    offline_hours: int


def placement(device_id: str, role: DeviceRole, owner: str, limits: Limits) -> Placement:
    """With the city's F and H."""
    return Placement(device_id, role, owner, limits.offline_value_kgo_max, limits.offline_s_max // HOUR_S)


def check_role(city: str, role: DeviceRole) -> None:
    """Training devices in training cities, and nothing else there. Raises RoleNotHere."""
    if (role is DeviceRole.TRAINING) != is_training_city(city):
        raise RoleNotHere(f"{role.name.lower()}, {city}")


def add_owner(store: Store, owner: str, kind: OwnerKind, name: str | None, risk_day_kgo_max: int, now_s: int) -> None:
    """A merchant or operator; a new one needs a name, the same one again changes nothing. Raises OwnerUnknown with near
    ids for a new one without (a typo founds no merchant), EnrolmentInvalid for one of the other kind, AlreadyOtherwise
    for another name."""
    with store.transaction():
        known = store.one("SELECT kind, name FROM owners WHERE owner = ?", (owner,))
        if known is None:
            if not name:
                raise OwnerUnknown(_with_near(store, owner))
            store.execute(
                "INSERT INTO owners(owner, kind, name, risk_day_kgo_max, added_at_s) VALUES(?, ?, ?, ?, ?)",
                (owner, kind, name, risk_day_kgo_max, now_s),
            )
        elif known[0] != kind:
            raise EnrolmentInvalid(f"{owner} is registered as {OwnerKind(known[0]).name.lower()}")
        elif name and known[1] != name:
            raise AlreadyOtherwise(f"the name of {owner} is {known[1]}")


def make_token(store: Store, placed: Placement, now_s: int, life_s: int, chance: Callable[[int], bytes]) -> str:
    """A one-time token for this device. Raises RoleNotHere, OwnerUnknown, EnrolmentInvalid when the name is taken."""
    check_role(store.city, placed.role)
    token = token_of(chance(SECRET_BYTES))
    with store.transaction():
        _check_owner(store, placed)
        if store.one("SELECT 1 FROM devices WHERE device = ?", (placed.device,)):
            raise EnrolmentInvalid(f"{placed.device} is enrolled already")
        store.execute("DELETE FROM enrolment_tokens WHERE expires_at_s < ? OR device = ?", (now_s, placed.device))
        store.execute(
            "INSERT INTO enrolment_tokens(token_hash, device, role, owner, offline_value_kgo, offline_hours,"
            " expires_at_s) VALUES(?, ?, ?, ?, ?, ?, ?)",
            (
                _token_hash(token),
                placed.device,
                placed.role,
                placed.owner,
                placed.offline_value_kgo,
                placed.offline_hours,
                now_s + life_s,
            ),
        )
    return token


def enrol_by_token(store: Store, signer: Signer, token: str, raw: bytes, now_s: int) -> bytes:
    """The answer {1: certificate, 2: [trust lists]}. The same key with the same token gets its certificate again, for
    the first answer may have been lost. Raises TokenInvalid, EnrolmentInvalid and the reading refusals."""
    asked = read_enrolment(raw, store.city)
    with store.transaction():
        row = store.one(
            "SELECT device, role, owner, offline_value_kgo, offline_hours, expires_at_s, used_at_s"
            " FROM enrolment_tokens WHERE token_hash = ?",
            (_token_hash(token),),
        )
        if row is None or row[5] < now_s or row[0] != asked.device:
            raise TokenInvalid(asked.device)
        placed = Placement(row[0], DeviceRole(row[1]), *row[2:5])
        if row[6] is not None:
            again = store.one("SELECT point FROM devices WHERE device = ?", (placed.device,))
            if again is None or again[0] != asked.point:
                raise TokenInvalid(f"{asked.device}: used")
        certificate = _certify(store, signer, placed, asked, now_s)
        store.execute(
            "UPDATE enrolment_tokens SET used_at_s = coalesce(used_at_s, ?) WHERE token_hash = ?",
            (now_s, _token_hash(token)),
        )
    return answer(store, certificate)


def enrol_by_file(store: Store, signer: Signer, placed: Placement, raw: bytes, now_s: int) -> bytes:
    """The answer to a request that was carried here. Raises RoleNotHere, EnrolmentInvalid, OwnerUnknown, the
    reading refusals."""
    check_role(store.city, placed.role)
    asked = read_enrolment(raw, store.city)
    with store.transaction():
        _check_owner(store, placed)
        certificate = _certify(store, signer, placed, asked, now_s)
    return answer(store, certificate)


def answer(store: Store, certificate: bytes) -> bytes:
    """What a device needs to begin: its certificate and the whole chain of trust lists."""
    chain = [row[0] for row in store.fetch("SELECT raw FROM trust_lists ORDER BY version")]
    return cbor.encode({1: certificate, 2: chain})


def _certify(store: Store, signer: Signer, placed: Placement, asked: Enrolment, now_s: int) -> bytes:
    if asked.device != placed.device or asked.role != placed.role:
        have, want = device.role_word(asked.role), device.role_word(placed.role)
        raise EnrolmentInvalid(f"the request is of {asked.device} in role {have}, not {placed.device} in role {want}")
    known = store.one("SELECT point, certificate FROM devices WHERE device = ?", (placed.device,))
    if known is not None:
        if known[0] != asked.point:
            raise EnrolmentInvalid(f"{placed.device} is enrolled with another key")
        return known[1]
    if store.one("SELECT 1 FROM devices WHERE point = ?", (asked.point,)):
        raise EnrolmentInvalid("another device has this key")
    made = DeviceCertificate(
        store.city,
        placed.device,
        int(placed.role),
        placed.owner,
        asked.point,
        now_s - EARLIER_S,
        now_s + CERTIFICATE_LIFE_S,
        placed.offline_value_kgo,
        placed.offline_hours,
    )
    raw = sign_certificate(made, signer)
    store.execute(
        "INSERT INTO devices(device, role, owner, point, certificate, not_before_s, expires_at_s, offline_value_kgo,"
        " offline_hours, enrolled_at_s, revoked_after) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            placed.device,
            placed.role,
            placed.owner,
            asked.point,
            raw,
            made.not_before_s,
            made.expires_at_s,
            placed.offline_value_kgo,
            placed.offline_hours,
            now_s,
            trust.revoked_after(store, placed.device),  # a restore forgets terminals, and no list of the roots
        ),
    )
    return raw


def sign_certificate(made: DeviceCertificate, signer: Signer) -> bytes:
    """A certificate under the device CA's key."""
    aad = cose.external_aad(Kind.DEVICE_CERTIFICATE, made.city)
    return cose.sign1(device.DEVICE_CERTIFICATE.encode(made), aad, cose.key_id_of(signer.point), signer.sign).raw


def _with_near(store: Store, owner: str) -> str:
    """The unknown id, and those that it may have been meant for."""
    ids = [row[0] for row in store.fetch("SELECT owner FROM owners ORDER BY owner")]
    near = get_close_matches(owner, ids, n=NEAR_MAX, cutoff=0.5)
    return f"{owner} is new and has no name; near: {', '.join(near)}" if near else f"{owner} is new and has no name"


def _check_owner(store: Store, placed: Placement) -> None:
    row = store.one("SELECT kind FROM owners WHERE owner = ?", (placed.owner,))
    if row is None:
        raise OwnerUnknown(placed.owner)
    wanted = OwnerKind.OPERATOR if placed.role is DeviceRole.VALIDATOR else OwnerKind.MERCHANT
    if placed.role is not DeviceRole.TRAINING and row[0] != wanted:
        raise EnrolmentInvalid(f"{placed.owner} is no {wanted.name.lower()}")


def _token_hash(token: str) -> bytes:
    return sha256(token.strip().encode("utf-8", "replace")).digest()

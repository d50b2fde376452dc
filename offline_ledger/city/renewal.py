"""A newer certificate for a device that has one: before its end, and when its device CA key signs no more. DESIGN §4.

The same device, role, owner and key; F and H as the ledger has them. Handed out in the answer to an upload until the
device's batch head says that it uses it, for an answer may be lost. Works inside the transaction of that upload. Never
certifies a key that was not enrolled, a device that is revoked or blocked, or one whose certificate has ended.
"""

from collections.abc import Mapping

from offline_ledger.city.enrolment import CERTIFICATE_LIFE_S, EARLIER_S, sign_certificate
from offline_ledger.city.store import Store
from offline_ledger.protocol import cose
from offline_ledger.protocol.cose import Signer
from offline_ledger.protocol.device import DeviceCertificate, StateKey
from offline_ledger.protocol.kinds import Kind
from offline_ledger.rules.limits import Limits


class Renewal:
    """The renewals of one city. `signer`: the device CA key in force at each moment."""

    def __init__(self, store: Store, signer: Signer, limits: Limits) -> None:
        self._store = store
        self._signer = signer
        self._limits = limits

    def certificate_for(self, device_id: str, state: Mapping[int, object], now_s: int) -> bytes | None:
        """What the answer carries for a device that says in its batch head which certificate it uses. None: the one it
        has is good, or it gets none any more."""
        used_from_s = state.get(StateKey.CERTIFICATE_FROM_S)
        row = self._store.one(
            "SELECT certificate, not_before_s, expires_at_s FROM devices WHERE device = ? AND revoked_after IS NULL"
            " AND blocked = 0 AND expires_at_s >= ?",
            (device_id, now_s),
        )
        if row is None or type(used_from_s) is not int:
            return None
        raw, from_s, ends_s = row
        is_forgotten = from_s < used_from_s <= now_s  # this ledger was restored, and lost the newer one
        if is_forgotten or ends_s - now_s < self._limits.certificate_lead_s or not self._is_by_key_in_force(raw):
            return self._renew(
                device_id, max(now_s - EARLIER_S, from_s + 1, used_from_s + 1 if is_forgotten else 0), now_s
            )
        return raw if used_from_s < from_s else None

    def _is_by_key_in_force(self, raw: bytes) -> bool:
        signed = cose.parse_sign1(raw, cose.external_aad(Kind.DEVICE_CERTIFICATE, self._store.city))
        return signed.key_id == cose.key_id_of(self._signer.point)

    def _renew(self, device_id: str, from_s: int, now_s: int) -> bytes:
        """From a moment after the one before, so that each is newer or older than any other; never shorter."""
        row = self._store.one(
            "SELECT role, owner, point, expires_at_s, offline_value_kgo, offline_hours FROM devices WHERE device = ?",
            (device_id,),
        )
        assert row is not None  # just read, in the same transaction
        role, owner, point, ends_s, value_kgo, hours = row
        until_s = max(now_s + CERTIFICATE_LIFE_S, ends_s)
        city = self._store.city
        made = DeviceCertificate(city, device_id, role, owner, point, from_s, until_s, value_kgo, hours)
        raw = sign_certificate(made, self._signer)
        self._store.execute(
            "UPDATE devices SET certificate = ?, not_before_s = ?, expires_at_s = ? WHERE device = ?",
            (raw, from_s, until_s, device_id),
        )
        return raw

"""The audit of what the city itself signed: trust lists, certificates, allowances, statements, bulletins. DESIGN §4.

Each is parsed from its bytes, held against its row and against the keys of the trust lists; the chain of lists is
verified as a terminal would. A ledger without any trust list has no keys to hold signatures against. One row at a time.
"""

from collections.abc import Sequence

from offline_ledger.city import trust
from offline_ledger.city.audit_findings import DAMAGED, Findings, Place
from offline_ledger.city.store import Store
from offline_ledger.city.trust import KeptList
from offline_ledger.protocol import city, cose, device, wallet
from offline_ledger.protocol.city import KeyRole
from offline_ledger.protocol.cose import Signed, VerifyKey
from offline_ledger.protocol.kinds import CITY_OBJECT_BYTES_MAX, OBJECT_BYTES_MAX, Kind


class PaperAudit:
    """Within one snapshot of one store. `signatures` counts what was looked at."""

    def __init__(self, store: Store, findings: Findings) -> None:
        self._store = store
        self._findings = findings
        self._aad = {kind: cose.external_aad(kind, store.city) for kind in Kind}
        self._keys: dict[tuple[int, bytes], list[VerifyKey]] = {}
        self.signatures = 0

    def run(self) -> None:
        """Trust lists first: the rest is held against their keys."""
        self._check_lists()
        self._check_certificates()
        self._check_allowances()
        self._check_statements()
        self._check_bulletins()

    def _check_lists(self) -> None:
        held: KeptList | None = None
        rows = self._store.stream("SELECT version, raw, issued_at_s, expires_at_s FROM trust_lists ORDER BY version")
        for version, raw, issued_at_s, expires_at_s in rows:
            where = Place("trust_list", str(version))
            try:
                found = trust.verify_list(raw, held, self._store.city)
                said = (found.trust_list.version, found.trust_list.issued_at_s, found.trust_list.expires_at_s)
                if said != (version, issued_at_s, expires_at_s):
                    self._findings.add("trust_list_wrong", where)
            except DAMAGED:
                self._findings.add("trust_list_wrong", where)
                found = self._read_list(raw)
            if found is not None:
                held = found
                for trusted in found.trust_list.trusted_keys():
                    with self._findings.unharmed(where):
                        key = cose.verify_key(trusted.point)
                        named = self._keys.setdefault((trusted.role, key.key_id), [])
                        if key.point not in {one.point for one in named}:
                            named.append(key)

    def _read_list(self, raw: bytes) -> KeptList | None:
        """A list that does not hold still names keys, if it can be read: later lists are held against it."""
        try:
            return trust.read_list(raw, self._store.city)
        except DAMAGED:
            return None

    def _is_signed(self, signed: Signed, role: KeyRole) -> bool:
        """By any key that ever had this role; when it was valid is acceptance's question."""
        self.signatures += 1
        named = self._keys.get((role, signed.key_id), [])
        return not self._keys or any(cose.is_signature_of(signed, key) for key in named)

    def is_issued(self, signed: Signed) -> bool:
        """Did the allowance issuer sign it? Once the trust lists are read."""
        return self._is_signed(signed, KeyRole.ALLOWANCE_ISSUER)

    def _held(self, what: str, where: Place, raw: bytes, kind: Kind, role: KeyRole) -> Signed | None:
        """The signed object, when its bytes and its signature hold."""
        try:
            signed = cose.parse_sign1(raw, self._aad[kind], CITY_OBJECT_BYTES_MAX)
            if self._is_signed(signed, role):
                return signed
        except DAMAGED:
            pass
        self._findings.add(what, where)
        return None

    def _compare(self, what: str, where: Place, said: Sequence[object], stored: Sequence[object]) -> None:
        if tuple(said) != tuple(stored):
            self._findings.add(what, where)

    def _check_certificates(self) -> None:
        for raw, *stored in self._store.stream(
            "SELECT certificate, device, role, owner, point, not_before_s, expires_at_s, offline_value_kgo,"
            " offline_hours FROM devices ORDER BY device"
        ):
            where = Place("device", str(stored[0]))
            signed = self._held("certificate_wrong", where, raw, Kind.DEVICE_CERTIFICATE, KeyRole.DEVICE_CA)
            if signed is not None:
                with self._findings.unharmed(where):
                    found = device.DEVICE_CERTIFICATE.decode(signed.payload, OBJECT_BYTES_MAX)
                    said = (found.device, found.role, found.owner, found.point, found.not_before_s, found.expires_at_s)
                    said += (found.offline_value_kgo, found.offline_hours)
                    self._compare("certificate_wrong", where, said, stored)

    def _check_allowances(self) -> None:
        for raw, identity, closing, closed_n, closed_sum_kgo, *stored in self._store.stream(
            "SELECT raw, hash, closing, closed_n, closed_sum_kgo, pass_id, wallet_point, reserve_kgo, not_before_s,"
            " expires_at_s FROM allowances"
        ):
            where = Place("allowance", identity.hex()[:16] if isinstance(identity, bytes) else str(identity))
            signed = self._held("allowance_wrong", where, raw, Kind.ALLOWANCE, KeyRole.ALLOWANCE_ISSUER)
            if signed is not None:
                with self._findings.unharmed(where):
                    found = wallet.ALLOWANCE.decode(signed.payload, OBJECT_BYTES_MAX)
                    said = (found.pass_id, found.wallet_point, found.reserve_kgo, found.not_before_s)
                    said += (found.expires_at_s, signed.identity)
                    self._compare("allowance_wrong", where, said, (*stored, identity))
            if closing is None and (closed_n, closed_sum_kgo) != (None, None):
                self._findings.add("closing_wrong", where)
            if closing is not None:
                with self._findings.unharmed(where):
                    self._check_closing(where, closing, stored[1], (identity, closed_n, closed_sum_kgo))

    def _check_closing(self, where: Place, raw: bytes, wallet_point: bytes, stored: tuple[object, ...]) -> None:
        signed = cose.parse_sign1(raw, self._aad[Kind.CLOSING])
        found = wallet.CLOSING.decode(signed.payload, OBJECT_BYTES_MAX)
        said = (found.allowance_hash, found.last_n, found.final_sum_kgo)
        self.signatures += 1
        if said != stored or not cose.is_signature_of(signed, cose.verify_key(wallet_point)):
            self._findings.add("closing_wrong", where)

    def _check_statements(self) -> None:
        for raw, *stored in self._store.stream("SELECT raw, hash, issued_at_s FROM statements"):
            where = Place("allowance", stored[0].hex()[:16] if isinstance(stored[0], bytes) else str(stored[0]))
            signed = self._held("statement_wrong", where, raw, Kind.STATEMENT, KeyRole.ACK)
            if signed is not None:
                with self._findings.unharmed(where):
                    found = wallet.STATEMENT.decode(signed.payload, CITY_OBJECT_BYTES_MAX)
                    self._compare("statement_wrong", where, (found.allowance_hash, found.issued_at_s), stored)

    def _check_bulletins(self) -> None:
        for raw, *stored in self._store.stream(
            "SELECT raw, kind, trust_version, counter, issued_at_s, valid_from_s, valid_until_s FROM bulletins"
        ):
            where = Place("bulletin", ".".join(map(str, stored[:3])))
            signed = self._held("bulletin_wrong", where, raw, Kind.BULLETIN, KeyRole.BULLETIN)
            if signed is not None:
                with self._findings.unharmed(where):
                    found = city.BULLETIN.decode(signed.payload, CITY_OBJECT_BYTES_MAX)
                    said = (found.kind, *found.version, found.issued_at_s, found.valid_from_s, found.valid_until_s)
                    self._compare("bulletin_wrong", where, said, stored)

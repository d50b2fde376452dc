"""The certificate that this terminal uses, and the newer one that takes its place while it runs. DESIGN §4.

A newer one counts only if the device CA signed it for this very device, role, owner and key, if it begins later and
ends no earlier. It is durable before it is used: a power cut leaves the old file or the new one, and both are good.
Never asks for one, never touches the key.
"""

from pathlib import Path

from offline_ledger.errors import DeviceCertificateInvalid, Refusal, RenewalWrong
from offline_ledger.files import write_atomically
from offline_ledger.protocol.device import DeviceCertificate
from offline_ledger.rules.clock import TimeNow
from offline_ledger.terminal.own_identity import check_certificate
from offline_ledger.terminal.trust import TrustStore


class OwnCertificate:
    """Sync replaces it; other threads read whole values."""

    def __init__(self, path: Path, certificate: DeviceCertificate, raw: bytes, trust: TrustStore) -> None:
        """As it was verified at the start."""
        self._path = path
        self._trust = trust
        self._held = (certificate, raw)

    @property
    def held(self) -> DeviceCertificate:
        """The one in use."""
        return self._held[0]

    @property
    def raw(self) -> bytes:
        """The same as it was signed."""
        return self._held[1]

    @property
    def from_s(self) -> int:
        """When it begins, for the batch head: the city compares."""
        return self.held.not_before_s

    def check_not_ended(self, at: TimeNow) -> None:
        """Raises DeviceCertificateInvalid when it has ended: what is taken after that waits at the city."""
        if at.at_s > self.held.expires_at_s:
            raise DeviceCertificateInvalid(f"ended at {self.held.expires_at_s}")

    def renew(self, raw: bytes) -> bool:
        """Takes a newer one, durably; False when it is the one in use. Raises RenewalWrong, StorageFull, StorageFailed;
        then the old one counts on."""
        if raw == self.raw:
            return False
        newer = self._check_newer(raw)
        write_atomically(self._path, raw)
        self._held = (newer, raw)
        return True

    def _check_newer(self, raw: bytes) -> DeviceCertificate:
        held = self.held
        try:
            newer = check_certificate(raw, self._trust.held, held.city, held.device, held.point)
        except Refusal as refusal:
            raise RenewalWrong(refusal.detail) from refusal
        if (newer.role, newer.owner) != (held.role, held.owner):
            raise RenewalWrong(f"for role {newer.role} of {newer.owner}")
        if newer.not_before_s <= held.not_before_s or newer.expires_at_s < held.expires_at_s:
            raise RenewalWrong(f"from {newer.not_before_s} to {newer.expires_at_s}, older than the one in use")
        return newer

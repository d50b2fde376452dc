"""Who this device is, as enrolment left it in three files: key, certificate, the city's keys. DESIGN §4.

They count only together and verified: the device CA signed the certificate for this very key and name. Never asks the
network, never writes.
"""

from pathlib import Path
from typing import NamedTuple

from offline_ledger.errors import (
    CertificateLost,
    CertificateNameTaken,
    DeviceCertificateInvalid,
    KeyOfAnother,
    NotProvisioned,
    Refusal,
    StorageFailed,
    TrustChainBroken,
    TrustListLost,
)
from offline_ledger.files import read_bounded
from offline_ledger.protocol import cose
from offline_ledger.protocol.city import KeyRole
from offline_ledger.protocol.device import DEVICE_CERTIFICATE, DeviceCertificate
from offline_ledger.protocol.kinds import OBJECT_BYTES_MAX, Kind
from offline_ledger.terminal.ports import OwnSigner
from offline_ledger.terminal.signers.key_place import TokenPlace, is_key_there, open_own_key
from offline_ledger.terminal.trust import HeldTrust, TrustStore, verify_signed


class DeviceFiles(NamedTuple):
    """Where a device keeps who it is."""

    key: Path
    certificate: Path
    trust_list: Path
    token: TokenPlace | None = None
    """Where the key is when it is in no file."""


class Provisioned(NamedTuple):
    """An enrolled device, verified: key, certificate and the city's keys belong together."""

    signer: OwnSigner
    key_id: bytes
    certificate: DeviceCertificate
    certificate_raw: bytes
    trust: TrustStore


def open_provisioned(files: DeviceFiles, city: str, device: str) -> Provisioned:
    """What enrolment left. Raises NotProvisioned, KeyFileUnsafe, CertificateLost, TrustListLost: also when they are
    no longer what they were; DeviceCertificateInvalid: sound, but not for this device; those of KEY_SAYS_NO."""
    if not is_key_there(files.key, files.token):
        raise NotProvisioned(f"{files.key}: no key")
    signer = open_own_key(files.key, files.token)
    try:
        raw = read_bounded(files.certificate, OBJECT_BYTES_MAX)
    except StorageFailed as unreadable:
        raise CertificateLost(unreadable.detail) from unreadable
    if raw is None:
        raise NotProvisioned(f"{files.certificate}: no certificate")
    try:
        trust = TrustStore.open(files.trust_list, city)
    except TrustChainBroken as damaged:
        raise TrustListLost(f"{files.trust_list}: {damaged.detail}") from damaged
    if not _is_certificate(raw, city):
        raise CertificateLost(f"{files.certificate}: not a certificate")
    certificate = _check_own(raw, trust.held, city, device, signer.point, files.token)
    return Provisioned(signer, cose.key_id_of(signer.point), certificate, raw, trust)


def _check_own(
    raw: bytes, trust: HeldTrust, city: str, device: str, point: bytes, token: TokenPlace | None
) -> DeviceCertificate:
    """A key in a token that is not the certificate's is told as such: the wrong token was plugged in."""
    certificate = verify_certificate(raw, trust, city)
    if token is not None and certificate.point != point:
        raise KeyOfAnother(f"token {token.token}: key {token.label} is not the certificate's")
    return check_certificate(raw, trust, city, device, point)


def check_certificate_name(path: Path, city: str) -> None:
    """Before a certificate is written: nothing lies under its name, or an older certificate, whatever it is worth now.
    A key, a journal or anybody's letter stays as it is. Raises CertificateNameTaken."""
    try:
        raw = read_bounded(path, OBJECT_BYTES_MAX)
    except Refusal as refusal:
        raise CertificateNameTaken(f"{path}: not a certificate") from refusal
    if raw is not None and not _is_certificate(raw, city):
        raise CertificateNameTaken(f"{path}: not a certificate")


def _is_certificate(raw: bytes, city: str) -> bool:
    """By its form; whoever signed it, and whomever it is for."""
    try:
        signed = cose.parse_sign1(raw, cose.external_aad(Kind.DEVICE_CERTIFICATE, city))
        DEVICE_CERTIFICATE.decode(signed.payload, OBJECT_BYTES_MAX)
    except Refusal:
        return False
    return True


def check_certificate(raw: bytes, trust: HeldTrust, city: str, device: str, point: bytes) -> DeviceCertificate:
    """The certificate, if the device CA signed it for this city, device and key. Raises DeviceCertificateInvalid."""
    certificate = verify_certificate(raw, trust, city)
    if (certificate.city, certificate.device) != (city, device):
        raise DeviceCertificateInvalid(f"for {certificate.device} of {certificate.city}")
    if certificate.point != point:
        raise DeviceCertificateInvalid("for another key")
    return certificate


def verify_certificate(raw: bytes, trust: HeldTrust, city: str) -> DeviceCertificate:
    """The certificate, if this city's device CA signed it, whoever it is for. Raises DeviceCertificateInvalid."""
    try:
        signed = cose.parse_sign1(raw, cose.external_aad(Kind.DEVICE_CERTIFICATE, city))
        certificate = DEVICE_CERTIFICATE.decode(signed.payload, OBJECT_BYTES_MAX)
        verify_signed(trust, signed, KeyRole.DEVICE_CA, certificate.not_before_s, DeviceCertificateInvalid)
    except DeviceCertificateInvalid:
        raise
    except Refusal as refusal:
        raise DeviceCertificateInvalid(str(refusal)) from refusal
    return certificate

"""A private X.509 CA and the server certificate under it: terminals trust this one CA and no other. DESIGN §7.

Made once by `kgo-city init`. Never issues client certificates: devices prove themselves by their own signatures.
"""

import ipaddress
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from offline_ledger.city.files import write_new, write_new_key
from offline_ledger.errors import CityCertificateWrong
from offline_ledger.key_files import load_key, read_private

CA_LIFE_DAYS = 3_653
SERVER_LIFE_DAYS = 825
"""Longest that common clients accept for a server certificate."""
LOCAL_NAMES = ("localhost", "127.0.0.1")
_EARLIER = timedelta(minutes=5)  # a terminal's clock may be a little behind
_CERTIFICATE_BYTES_MAX = 65_536


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _usage(*, is_ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not is_ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=is_ca,
        crl_sign=is_ca,
        encipher_only=False,
        decipher_only=False,
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now_s: int, days: int
) -> x509.CertificateBuilder:
    now = datetime.fromtimestamp(now_s, UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _EARLIER)
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def make_ca(city: str, key_file: Path, certificate_file: Path, now_s: int) -> None:
    """A CA of path length 0. Raises CityExists when one of the files is there."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name(f"KGO {city} CA")
    built = (
        _builder(name, name, key.public_key(), now_s, CA_LIFE_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(is_ca=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    write_new_key(key_file, key)
    write_new(certificate_file, built.public_bytes(serialization.Encoding.PEM))


def make_server_certificate(
    ca_key: Path, ca_certificate: Path, key_file: Path, certificate_file: Path, names: tuple[str, ...], now_s: int
) -> None:
    """A server key and certificate for `names` (host names and addresses). Raises CityExists, KeyFileUnsafe,
    CityCertificateWrong: the key is not this CA's."""
    ca = x509.load_pem_x509_certificate(ca_certificate.read_bytes()[:_CERTIFICATE_BYTES_MAX])
    issuing = load_key(ca_key)
    if issuing.public_key() != ca.public_key():
        raise CityCertificateWrong(f"{ca_key}: not the key of {ca_certificate}")
    key = ec.generate_private_key(ec.SECP256R1())
    distinct = dict.fromkeys((*LOCAL_NAMES, *names))
    built = (
        _builder(_name(names[0] if names else LOCAL_NAMES[0]), ca.subject, key.public_key(), now_s, SERVER_LIFE_DAYS)
        .add_extension(x509.SubjectAlternativeName([_alternative(name) for name in distinct]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(is_ca=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuing.public_key()), critical=False)
        .sign(issuing, hashes.SHA256())
    )
    write_new_key(key_file, key)
    write_new(certificate_file, built.public_bytes(serialization.Encoding.PEM))


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def server_context(certificate_file: Path, key_file: Path) -> ssl.SSLContext:
    """TLS 1.2 and later with our certificate. Raises KeyFileUnsafe, CityCertificateWrong."""
    read_private(key_file)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    try:
        context.load_cert_chain(certificate_file, key_file)
    except (OSError, ssl.SSLError) as error:
        raise CityCertificateWrong(f"{certificate_file}: {error}") from error
    return context

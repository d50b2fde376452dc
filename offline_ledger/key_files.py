"""P-256 keys in files that only their user can read: reading, writing, signing. DESIGN §4.

Signatures are deterministic (RFC 6979), so a seeded run repeats to the byte. Never signs with a key that others can
read, never overwrites a key, never shows one. The city keeps its keys so; a terminal's may also lie in better places,
behind the `Signer` port.

Cryptography's `serialization` would cost a terminal 6 ms and 2 MB at every start (decision 0050), so a key as `pem_of`
writes it is read without; the library is loaded to make keys, and to judge files of other makers.
"""

import os
import stat
from binascii import Error as Base64Error
from binascii import a2b_base64
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from offline_ledger.errors import KeyFileUnsafe
from offline_ledger.files import PRIVATE_MODE, write_atomically
from offline_ledger.protocol.cose import key_id_of

KEY_FILE_BYTES_MAX = 4_096
_OTHERS = 0o077
_PEM_START, _PEM_END = b"-----BEGIN PRIVATE KEY-----\n", b"\n-----END PRIVATE KEY-----\n"
_DER_START = bytes.fromhex("308187020100301306072a8648ce3d020106082a8648ce3d030107046d306b0201010420")
"""PKCS #8 (RFC 5958) of a P-256 key (RFC 5915) up to its 32 bytes; then `_DER_POINT` and x‖y."""
_DER_POINT = bytes.fromhex("a14403420004")
_DER_BYTES = len(_DER_START) + 32 + len(_DER_POINT) + 64
_ES256 = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)


class KeySigner:
    """Signs with a key held in memory."""

    def __init__(self, key: ec.EllipticCurvePrivateKey) -> None:
        if not isinstance(key.curve, ec.SECP256R1):
            raise KeyFileUnsafe(f"curve {key.curve.name}, not P-256")
        self._key = key
        numbers = key.public_key().public_numbers()
        self._point = bytes([2 + numbers.y % 2]) + numbers.x.to_bytes(32, "big")

    @property
    def key_id(self) -> bytes:
        """First 8 bytes of SHA-256 of the SubjectPublicKeyInfo."""
        return key_id_of(self._point)

    @property
    def point(self) -> bytes:
        """The public key as a compressed point, 33 bytes."""
        return self._point

    def check(self) -> None:
        """A key in memory is there."""

    def sign(self, message: bytes) -> bytes:
        """ES256 by RFC 6979: raw r‖s, 64 bytes."""
        r, s = decode_dss_signature(self._key.sign(message, _ES256))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def pem_of(key: ec.EllipticCurvePrivateKey) -> bytes:
    """PKCS #8, not encrypted: the file's mode protects it, as a program must start by itself after a power cut."""
    from cryptography.hazmat.primitives import serialization

    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def make_key_file(path: Path) -> KeySigner:
    """A new key, durable in a file of mode 0600. Raises KeyFileUnsafe if there is a file already, and what `write_key`
    raises."""
    key = ec.generate_private_key(ec.SECP256R1())
    try:
        write_key(path, key)
    except FileExistsError as error:
        raise KeyFileUnsafe(f"{path}: there is a key already; a key is never overwritten") from error
    return KeySigner(key)


def write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    """Durable, and readable by this user alone. Raises FileExistsError; KeyFileUnsafe: the disk keeps no permissions,
    as a USB stick, and then no key is left there; StorageFull, StorageFailed."""
    write_atomically(path, pem_of(key), PRIVATE_MODE, may_replace=False)
    try:
        read_private(path)
    except KeyFileUnsafe:
        path.unlink(missing_ok=True)
        raise


def open_key_file(path: Path) -> KeySigner:
    """The signer of a key file. Raises KeyFileUnsafe."""
    return KeySigner(load_key(path))


def load_key(path: Path) -> ec.EllipticCurvePrivateKey:
    """The P-256 key in a file. Raises KeyFileUnsafe."""
    pem = read_private(path)
    if (usual := _usual_key(pem)) is not None:
        return usual
    from cryptography.hazmat.primitives import serialization

    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise KeyFileUnsafe(f"{path}: not a key file") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise KeyFileUnsafe(f"{path}: not a P-256 key")
    return key


def _usual_key(pem: bytes) -> ec.EllipticCurvePrivateKey | None:
    """The key of a file as `pem_of` writes it, whole and sound; None for anything else, which the library judges."""
    if not (pem.startswith(_PEM_START) and pem.endswith(_PEM_END)):
        return None
    try:
        der = a2b_base64(pem[len(_PEM_START) : -len(_PEM_END)].replace(b"\n", b""), strict_mode=True)
        if len(der) != _DER_BYTES or not der.startswith(_DER_START):
            return None
        secret, rest = der[len(_DER_START) :][:32], der[len(_DER_START) + 32 :]
        key = ec.derive_private_key(int.from_bytes(secret, "big"), ec.SECP256R1())
    except (Base64Error, ValueError):  # no Base64; a number that is no key
        return None
    numbers = key.public_key().public_numbers()
    return key if rest == _DER_POINT + numbers.x.to_bytes(32, "big") + numbers.y.to_bytes(32, "big") else None


def read_private(path: Path) -> bytes:
    """A small file that only this user can read. Raises KeyFileUnsafe: missing, not a plain file, another owner,
    readable by others, too large."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise KeyFileUnsafe(f"{path}: {error.strerror}") from error
    try:
        _check_status(path, os.fstat(descriptor))
        return os.read(descriptor, KEY_FILE_BYTES_MAX)
    except OSError as error:
        raise KeyFileUnsafe(f"{path}: {error.strerror}") from error
    finally:
        os.close(descriptor)


def _check_status(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise KeyFileUnsafe(f"{path}: not a plain file")
    if status.st_uid != os.geteuid():
        raise KeyFileUnsafe(f"{path}: belongs to user {status.st_uid}")
    if status.st_mode & _OTHERS:
        raise KeyFileUnsafe(f"{path}: mode {stat.S_IMODE(status.st_mode):04o}, must be 0600")
    if status.st_size > KEY_FILE_BYTES_MAX:
        raise KeyFileUnsafe(f"{path}: not a key file")

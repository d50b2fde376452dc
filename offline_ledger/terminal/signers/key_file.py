"""A signer whose P-256 key lies in a file that only this user can read. DESIGN §4.

Signatures are deterministic (RFC 6979), so a seeded run repeats to the byte. Never signs with a key that others can
read, never overwrites a key, never shows one. A TPM or secure element implements the same two members.
"""

import os
import stat
from pathlib import Path

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from offline_ledger.errors import KeyFileUnsafe
from offline_ledger.files import PRIVATE_MODE, write_atomically

KEY_FILE_BYTES_MAX = 4_096
_OTHERS = 0o077
_ES256 = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)


class KeySigner:
    """Signs with a key held in memory."""

    def __init__(self, key: ec.EllipticCurvePrivateKey) -> None:
        if not isinstance(key.curve, ec.SECP256R1):
            raise KeyFileUnsafe(f"curve {key.curve.name}, not P-256")
        self._key = key
        self._point = key.public_key().public_bytes(
            serialization.Encoding.X962, serialization.PublicFormat.CompressedPoint
        )

    @property
    def point(self) -> bytes:
        """The public key as a compressed point, 33 bytes."""
        return self._point

    def sign(self, message: bytes) -> bytes:
        """ES256 by RFC 6979: raw r‖s, 64 bytes."""
        r, s = decode_dss_signature(self._key.sign(message, _ES256))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def make_key_file(path: Path) -> KeySigner:
    """A new key, durable in a file of mode 0600. Raises KeyFileUnsafe if there is a file already, StorageFull."""
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    try:
        write_atomically(path, pem, PRIVATE_MODE, may_replace=False)
    except FileExistsError as error:
        raise KeyFileUnsafe(f"{path}: there is a key already; a key is never overwritten") from error
    return open_key_file(path)


def open_key_file(path: Path) -> KeySigner:
    """The signer of a key file. Raises KeyFileUnsafe: missing, not a plain file, another owner, readable by others."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise KeyFileUnsafe(f"{path}: {error.strerror}") from error
    try:
        status = os.fstat(descriptor)
        _check_status(path, status)
        pem = os.read(descriptor, KEY_FILE_BYTES_MAX)
    except OSError as error:
        raise KeyFileUnsafe(f"{path}: {error.strerror}") from error
    finally:
        os.close(descriptor)
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError) as error:
        raise KeyFileUnsafe(f"{path}: not a key file") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise KeyFileUnsafe(f"{path}: not a P-256 key")
    return KeySigner(key)


def _check_status(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise KeyFileUnsafe(f"{path}: not a plain file")
    if status.st_uid != os.geteuid():
        raise KeyFileUnsafe(f"{path}: belongs to user {status.st_uid}")
    if status.st_mode & _OTHERS:
        raise KeyFileUnsafe(f"{path}: mode {stat.S_IMODE(status.st_mode):04o}, must be 0600")
    if status.st_size > KEY_FILE_BYTES_MAX:
        raise KeyFileUnsafe(f"{path}: not a key file")

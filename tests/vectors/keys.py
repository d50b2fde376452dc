"""TEST ONLY keys: private scalars made from their names, known to everyone. Never enrol one."""

from hashlib import sha256

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from offline_ledger.protocol.cose import key_id_of

ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_ES256 = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)


class TestOnlyKey:
    """A P-256 key whose secret is SHA-256 of its name; signs by RFC 6979."""

    __test__ = False

    def __init__(self, name: str) -> None:
        self.name = f"TEST ONLY {name}"
        self.secret = int.from_bytes(sha256(self.name.encode()).digest(), "big") % (ORDER - 1) + 1
        self._key = ec.derive_private_key(self.secret, ec.SECP256R1())
        self.point = self._key.public_key().public_bytes(
            serialization.Encoding.X962, serialization.PublicFormat.CompressedPoint
        )
        self.key_id = key_id_of(self.point)

    def sign(self, message: bytes) -> bytes:
        """Raw r‖s."""
        r, s = decode_dss_signature(self._key.sign(message, _ES256))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")


ROOT = TestOnlyKey("root 1")
ROOT_2 = TestOnlyKey("root 2")
ISSUER = TestOnlyKey("allowance issuer")
DEVICE_CA = TestOnlyKey("device CA")
BULLETIN = TestOnlyKey("bulletin")
ACK = TestOnlyKey("ack")
LOG = TestOnlyKey("log")
DEVICE = TestOnlyKey("device")
DEVICE_2 = TestOnlyKey("device 2")
WALLET = TestOnlyKey("wallet")
ACCOUNT = TestOnlyKey("account")

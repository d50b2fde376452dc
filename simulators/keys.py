"""A P-256 key in memory, for simulated wallets: what a phone's enclave would hold. Never used by a terminal."""

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from offline_ledger.protocol.cose import key_id_of

P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_ES256 = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)


class SimulatedKey:
    """Signs ES256 deterministically, so that a seeded run repeats to the byte."""

    def __init__(self, secret: int) -> None:
        self.secret = secret % (P256_ORDER - 1) + 1
        self._key = ec.derive_private_key(self.secret, ec.SECP256R1())
        self.point = self._key.public_key().public_bytes(
            serialization.Encoding.X962, serialization.PublicFormat.CompressedPoint
        )
        self.key_id = key_id_of(self.point)

    def sign(self, message: bytes) -> bytes:
        """Raw r‖s."""
        r, s = decode_dss_signature(self._key.sign(message, _ES256))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def flipped(signature: bytes) -> bytes:
    """The other valid spelling of an ECDSA signature: (r, n − s)."""
    s = P256_ORDER - int.from_bytes(signature[32:], "big")
    return signature[:32] + s.to_bytes(32, "big")

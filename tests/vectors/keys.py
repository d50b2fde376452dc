"""TEST ONLY keys: private scalars made from their names, known to everyone. Never enrol one."""

from hashlib import sha256

from simulators.keys import SimulatedKey


class TestOnlyKey(SimulatedKey):
    """A P-256 key whose secret is SHA-256 of its name; signs by RFC 6979."""

    __test__ = False

    def __init__(self, name: str) -> None:
        self.name = f"TEST ONLY {name}"
        super().__init__(int.from_bytes(sha256(self.name.encode()).digest(), "big"))


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

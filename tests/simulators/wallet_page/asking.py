"""A terminal that asks a wallet and hands out receipts, under a city's own device CA or nobody's: TEST ONLY."""

import time
from pathlib import Path

from offline_ledger.city.keys import ROLE_FILES
from offline_ledger.key_files import open_key_file
from offline_ledger.protocol import cose, device, qr
from offline_ledger.protocol.city import KeyRole
from offline_ledger.protocol.cose import Signed
from offline_ledger.protocol.device import (
    ClockTrust,
    DeviceCertificate,
    DeviceRole,
    PaymentRequest,
    Voucher,
    VoucherKind,
)
from offline_ledger.protocol.kinds import ZERO_HASH, Kind
from simulators.demo.city import CITY
from simulators.keys import SimulatedKey

KEY_TEST_ONLY, OTHER_KEY_TEST_ONLY = SimulatedKey(0xA5C), SimulatedKey(0xBAD)
DEVICE, OWNER = "till-of-test", "coffee-1"
DAY_S = 86_400


def now_s() -> int:
    return int(time.time())


def certificate(city_folder: Path | None, city: str = CITY, **changes: object) -> bytes:
    """Signed by the city's device CA, or without a folder by a key that nobody knows."""
    made = DeviceCertificate(
        city, DEVICE, int(DeviceRole.SHOP), OWNER, KEY_TEST_ONLY.point, now_s(), now_s() + DAY_S, 100, 24
    )._replace(**changes)
    signer = OTHER_KEY_TEST_ONLY if city_folder is None else open_key_file(_ca_file(city_folder))
    return _signed(Kind.DEVICE_CERTIFICATE, device.DEVICE_CERTIFICATE.encode(made), signer, city).raw


def _ca_file(city_folder: Path) -> Path:
    return city_folder / "keys" / ROLE_FILES[KeyRole.DEVICE_CA]


def request(kgo: int, city: str = CITY, key: SimulatedKey = KEY_TEST_ONLY, **changes: object) -> bytes:
    """Payable for three minutes from now."""
    made = PaymentRequest(
        DEVICE, OWNER, kgo, 12_000, "plain", now_s().to_bytes(16, "big"), now_s(), now_s() + 180, None
    )._replace(**changes)
    return _signed(Kind.PAYMENT_REQUEST, device.PAYMENT_REQUEST.encode(made), key, city).raw


def receipt(object_hash: bytes, kgo: int, key: SimulatedKey = KEY_TEST_ONLY) -> str:
    """The text on a receipt for what a wallet signed."""
    sale, plain = int(VoucherKind.SALE), "plain"
    made = Voucher(
        DEVICE, 7, ZERO_HASH, now_s(), int(ClockTrust.SYNCED), sale, kgo, 0, object_hash, plain, (1, 1), {}, None, None
    )
    return qr.encode(qr.QrType.RECEIPT, _signed(Kind.VOUCHER, device.VOUCHER.encode(made), key, CITY).raw)


def shown(certificate_raw: bytes, request_raw: bytes) -> str:
    """What the customer's display shows."""
    return qr.encode(qr.QrType.REQUEST, certificate_raw, request_raw)


def _signed(kind: Kind, payload: bytes, signer: "cose.Signer", city: str) -> Signed:
    return cose.sign1(payload, cose.external_aad(kind, city), cose.key_id_of(signer.point), signer.sign)

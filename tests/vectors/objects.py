"""One worked example of every object: a shop sale and a boarding in Khon Kaen. The golden vectors hold their bytes."""

from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from offline_ledger.protocol import card, city, cose, device, refund_request, wallet
from offline_ledger.protocol.fields import Layout
from offline_ledger.protocol.kinds import ZERO_HASH, Kind
from tests.vectors import keys
from tests.vectors.keys import TestOnlyKey

CITY = "TH-40"
AT_S = 1_654_754_400  # 9 June 2022, 13:00 in Khon Kaen: the first day of "City Bus for one baht"
NONCE = sha256(b"TEST ONLY nonce").digest()[:16]
PASS_ID = bytes.fromhex("0102030405060708")


@dataclass(frozen=True, slots=True)
class Example:
    """An object kind, its layout, its signer, its value."""

    kind: Kind
    layout: Layout[Any]
    key: TestOnlyKey
    value: Any

    def signed(self) -> cose.Signed:
        """Encoded and signed by ours."""
        aad = cose.external_aad(self.kind, CITY)
        return cose.sign1(self.layout.encode(self.value), aad, self.key.key_id, self.key.sign)


def _trust_list() -> Example:
    until_s = AT_S + 365 * 86_400
    roles = (
        (city.KeyRole.ALLOWANCE_ISSUER, keys.ISSUER),
        (city.KeyRole.DEVICE_CA, keys.DEVICE_CA),
        (city.KeyRole.BULLETIN, keys.BULLETIN),
        (city.KeyRole.ACK, keys.ACK),
        (city.KeyRole.LOG, keys.LOG),
    )
    trusted = tuple((int(role), key.point, AT_S, until_s) for role, key in roles)
    roots = (keys.ROOT.point, keys.ROOT_2.point)
    lost = (9, sha256(b"TEST ONLY lost root").digest())
    value = city.TrustList(CITY, 1, ZERO_HASH, AT_S, until_s, 2, roots, trusted, (("KK-BUS-07", 41),), lost)
    return Example(Kind.TRUST_LIST, city.TRUST_LIST, keys.ROOT, value)


def make_examples() -> dict[Kind, Example]:
    """All kinds that travel, in their order; later ones name the identities of earlier ones."""
    made: dict[Kind, Example] = {}

    def add(kind: Kind, layout: Layout[Any], key: TestOnlyKey, value: object) -> bytes:
        made[kind] = Example(kind, layout, key, value)
        return made[kind].signed().identity

    trust_list = _trust_list()
    made[trust_list.kind] = trust_list
    certificate = device.DeviceCertificate(
        CITY,
        "KK-SHOP-0001",
        device.DeviceRole.SHOP,
        "PA-SOMSRI",
        keys.DEVICE.point,
        AT_S,
        AT_S + 31_536_000,
        2_000_000,
        24,
    )
    add(Kind.DEVICE_CERTIFICATE, device.DEVICE_CERTIFICATE, keys.DEVICE_CA, certificate)
    allowance = wallet.Allowance(
        CITY,
        PASS_ID,
        keys.WALLET.point,
        50_000,
        10_000,
        3_000,
        wallet.Concession.STUDENT,
        wallet.Medium.PHONE,
        AT_S,
        AT_S + 172_800,
    )
    allowance_hash = add(Kind.ALLOWANCE, wallet.ALLOWANCE, keys.ISSUER, allowance)
    presentment = wallet.Presentment(allowance_hash, 7, 12_500, 5_000, wallet.Audience.TRANSIT, AT_S + 60, 30)
    presentment_hash = add(Kind.PRESENTMENT, wallet.PRESENTMENT, keys.WALLET, presentment)
    request = device.PaymentRequest(
        "KK-SHOP-0001", "PA-SOMSRI", 6_000, 12_000, "S-000042", NONCE, AT_S + 90, AT_S + 390, None
    )
    request_hash = add(Kind.PAYMENT_REQUEST, device.PAYMENT_REQUEST, keys.DEVICE, request)
    payment = wallet.Payment(allowance_hash, 8, 17_500, request_hash, 6_000, AT_S + 95)
    add(Kind.PAYMENT, wallet.PAYMENT, keys.WALLET, payment)
    coupon = wallet.Coupon(CITY, bytes(range(8)), "city-bus-1-baht", "KK-BUS-07", "TRIP-0815", 5_000, AT_S + 86_400)
    add(Kind.COUPON, wallet.COUPON, keys.ISSUER, coupon)
    place = {
        int(device.PlaceKey.ROUTE): "KK-RED",
        int(device.PlaceKey.STOP): "KK-101",
        int(device.PlaceKey.TRIP): "T-1",
    }
    voucher = device.Voucher(
        "KK-SHOP-0001", 1, ZERO_HASH, AT_S + 61, device.ClockTrust.SYNCED, device.VoucherKind.BOARDING, 5_000, 100,
        presentment_hash, "city-bus-1-baht", (1, 3), place, None, None,
    )  # fmt: skip
    voucher_hash = add(Kind.VOUCHER, device.VOUCHER, keys.DEVICE, voucher)
    state = {int(device.StateKey.PENDING): 1, int(device.StateKey.PROGRAM_VERSION): "0.1.0"}
    batch_head = device.BatchHead(
        "KK-SHOP-0001", 1, 1, voucher_hash, 1, 1, device.event_link(ZERO_HASH, 1, bytes.fromhex("83018080")),
        AT_S + 120, device.ClockTrust.SYNCED, None, state,
    )  # fmt: skip
    add(Kind.BATCH_HEAD, device.BATCH_HEAD, keys.DEVICE, batch_head)
    ack = city.Ack(  # with the chain's end, which a city names where nothing was sent: every key has an example
        "KK-SHOP-0001", 1, 1, voucher_hash, 1, ((1, 0, 1),), 1, sha256(b"TEST ONLY root").digest(), AT_S + 121,
        (1, voucher_hash),
    )  # fmt: skip
    add(Kind.ACK, city.ACK, keys.ACK, ack)
    add(Kind.CLOSING, wallet.CLOSING, keys.WALLET, wallet.Closing(allowance_hash, 8, 23_500))
    statement = wallet.Statement(allowance_hash, AT_S + 200_000, ((7, 5_000), (8, 6_000)), 12_500, (6, 12_500))
    add(Kind.STATEMENT, wallet.STATEMENT, keys.ACK, statement)
    bulletin = city.Bulletin(
        CITY,
        city.BulletinKind.CAMPAIGN,
        (1, 3),
        AT_S,
        AT_S,
        AT_S + 86_400 * 84,
        {1: "city-bus-1-baht", 2: [5_000, 100]},
    )
    add(Kind.BULLETIN, city.BULLETIN, keys.BULLETIN, bulletin)
    add(Kind.TIME_ANSWER, city.TIME_ANSWER, keys.ACK, city.TimeAnswer("KK-SHOP-0001", NONCE, AT_S + 5))
    enrolment = device.Enrolment("KK-SHOP-0001", device.DeviceRole.SHOP, keys.DEVICE.point, AT_S, (1,))
    add(Kind.ENROLMENT, device.ENROLMENT, keys.DEVICE, enrolment)
    refund = refund_request.RefundRequest(
        "KK-SHOP-0002", "KK-SHOP-0001", 1, made[Kind.VOUCHER].signed().identity, 1_500, AT_S + 900,
        device.ClockTrust.HOLDOVER, 12, "02", "ซื้อที่สาขาริมบึง",
    )  # fmt: skip
    add(Kind.REFUND_REQUEST, refund_request.REFUND_REQUEST, keys.DEVICE_2, refund)
    asked = wallet.WalletRequest(
        wallet.WalletAsk.ALLOWANCE, keys.ACCOUNT.point, keys.WALLET.point, NONCE, AT_S, None,
        made[Kind.CLOSING].signed().raw,
    )  # fmt: skip
    add(Kind.WALLET_REQUEST, wallet.WALLET_REQUEST, keys.ACCOUNT, asked)
    lost = (9, sha256(b"TEST ONLY lost root").digest())
    head = city.LogCheckpoint(CITY, 7, sha256(b"TEST ONLY new root").digest(), AT_S + 130, lost)
    add(Kind.LOG_CHECKPOINT, city.LOG_CHECKPOINT, keys.LOG, head)
    add(Kind.CARD_CHALLENGE, card.CARD_CHALLENGE, keys.WALLET, card.CardChallenge(PASS_ID, "KK-BUS-07", NONCE))
    tested = device.SelfTest("KK-SHOP-0001", AT_S + 700, sha256(b"TEST ONLY report").digest(), 1)
    add(Kind.SELF_TEST, device.SELF_TEST, keys.DEVICE, tested)
    return made


EXAMPLES = make_examples()

"""From the books to paper, from paper to a terminal, from there into the ledger: a coupon is worth its value once,
however often it was copied. DESIGN §5 "Loss bound": v·(terminals that it is pinned to − 1) = 0."""

from random import Random

import zxingcpp
from PIL import Image

from offline_ledger.city import coupon_sheet, coupons
from offline_ledger.city.accounts import ISSUANCE, OwnerKind, owner_account
from offline_ledger.city.audit import audit
from offline_ledger.city.coupons import Order
from offline_ledger.errors import Refusal
from offline_ledger.protocol.city import Outcome
from offline_ledger.protocol.device import ClockTrust, DeviceRole, PlaceKey, VoucherKind
from offline_ledger.rules.civil import civil_day
from offline_ledger.rules.clock import TimeNow
from offline_ledger.rules.coupon import Here, ride_cash_satang
from offline_ledger.terminal.coupon_reading import CouponReader, check_coupon, coupon_charge
from tests.city.town import CITY, ISSUER_TEST_ONLY, NOW_S, TARIFF, CityKeys, Town, TownTerminal

QR_CODES = zxingcpp.BarcodeFormats(zxingcpp.BarcodeFormat.QRCode)
SEED = 3
COPIES = 4


class Door:
    """A bus door that remembers what it took, as its journal does."""

    def __init__(self, terminal: TownTerminal, trip: str) -> None:
        self.terminal, self.trip = terminal, trip
        self.reader = CouponReader(CITY, CityKeys())
        self.used: dict[bytes, int] = {}

    def show(self, text: str) -> None:
        """Raises the refusal that the bearer sees."""
        evidence = self.reader.read(text)
        coupon, at = evidence.coupon, TimeNow(NOW_S, ClockTrust.SYNCED, 0)
        here, used = Here(self.terminal.name, self.trip), self.used.get(coupon.coupon_id)
        check_coupon(coupon, here, at, 5, used_sequence=used, is_denied=False)
        place = {int(PlaceKey.ROUTE): "10", int(PlaceKey.TRIP): self.trip}
        charge = coupon_charge(coupon, ride_cash_satang(coupon, TARIFF), (1, 1), place)
        self.used[evidence.use.coupon_id] = len(self.terminal.vouchers) + 1
        said = {"kgo": charge.kgo, "satang": charge.satang, "product": charge.product, "place": charge.place}
        self.terminal.voucher(VoucherKind(charge.kind), at.at_s, [evidence.signed], **said)


def printed_texts(town: Town, order: Order) -> list[str]:
    """What a scanner reads from the printed page, in no order."""
    sheet, ids = coupons.write_down(town.store, order, NOW_S, Random(SEED).randbytes)
    made = coupons.sign(CITY, ISSUER_TEST_ONLY, order, ids)
    device = coupons.device_of(town.store, order.device, NOW_S)
    face = coupon_sheet.face_of(CITY, sheet, order, device, TARIFF.products[0], "")
    (page,) = coupon_sheet.pages_of(face, made, coupon_sheet.Pens())
    small = page.convert("L").resize((page.width // 3, page.height // 3), Image.Resampling.BOX)
    return [found.text for found in zxingcpp.read_barcodes(small, QR_CODES)]


def test_a_copied_coupon_is_one_ride(town: Town) -> None:
    buses = [town.terminal(f"bus-{at}", DeviceRole.VALIDATOR) for at in (1, 2, 3)]
    doors = [Door(bus, "T1") for bus in buses]
    issued_kgo = town.balance(ISSUANCE)
    order = Order("bus-1", "T1", "base", 5_000, civil_day(NOW_S), 8, "")
    texts = printed_texts(town, order)
    assert len(set(texts)) == 8
    shown = [(door, text) for door in doors for text in texts] * COPIES
    Random(SEED).shuffle(shown)
    taken, refused = 0, dict[int, int]()
    for door, text in shown:
        try:
            door.show(text)
            taken += 1
        except Refusal as refusal:
            refused[refusal.number] = refused.get(refusal.number, 0) + 1
    assert (taken, refused) == (8, {1804: 8 * (COPIES - 1), 1802: 2 * 8 * COPIES})
    assert town.send(buses[0]).outcomes == [(Outcome.POSTED, 0)] * 8
    assert town.balance(owner_account(OwnerKind.OPERATOR, "transit")) == issued_kgo - town.balance(ISSUANCE) == 40_000
    (sheet,) = coupons.sheets(town.store)
    assert (sheet.used, sheet.outstanding(NOW_S)) == (8, 0)
    assert audit(town.store).findings == ()
    town.assert_sound()

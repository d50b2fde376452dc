"""The wallet page before a real till and a real city: what it shows is taken, posted and stated back. DESIGN §2, §5."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from time import time

import pytest
from playwright.sync_api import Browser, expect

from offline_ledger.money import KGO
from offline_ledger.protocol import cose, device, qr
from offline_ledger.protocol.city import BulletinKind
from offline_ledger.protocol.device import DeviceRole, VoucherKind
from offline_ledger.protocol.kinds import OBJECT_BYTES_MAX, Kind
from offline_ledger.rules.campaign import decode_campaigns
from offline_ledger.rules.limits import Limits
from offline_ledger.terminal.journal import Journal
from offline_ledger.terminal.outcome import Light
from offline_ledger.terminal.own_identity import DeviceFiles
from offline_ledger.terminal.program import MachineClock
from offline_ledger.terminal.station import Station, StationSettings
from pos_app.sale import OpenSale, Till, charge_without_wallet, open_sale, place_of
from simulators.demo.city import CITY
from simulators.demo.desk import SHOP, Desk
from simulators.demo.processes import Said
from simulators.demo.town import Town
from simulators.qr_picture import qr_picture, save_picture
from simulators.wallet_page.serve import WalletPage
from tests.processes.tills import clear_till
from tests.simulators.wallet_page.phone import SIZE, Phone, payment_of, presentment_of

DEVICE, OWNER = "shop-of-test", "coffee-1"


def scanned(desk: Desk, text: str) -> Said:
    """The light that the till gives for a picture with this text."""
    mark = desk.program.mark()
    desk.scanner.scan(qr_picture(text))
    return desk.program.wait_for(lambda said: said.get("light") not in (None, "wait"), mark, "a light")


@pytest.fixture(scope="module")
def till(city: Town) -> Iterator[Desk]:
    desk = city.add_desk(SHOP, DEVICE, OWNER, has_camera=False)
    city.wait_synced()
    yield desk
    desk.stop()


def test_what_the_page_shows_pays_at_a_till_and_the_city_states_it(
    city: Town, till: Desk, served: WalletPage, chromium: Browser, tmp_path: Path
) -> None:
    clear_till(till)
    phone = Phone(chromium.new_context(viewport=SIZE), served.url).register()
    expect(phone.page.locator("#left")).to_have_text("100.00")
    till.tell("sale 40.00 12.50", "sale")
    text = phone.pay_shop("12.5")
    assert presentment_of(text, CITY)[1:5] == (1, 0, 1_250, 2)
    light = scanned(till, text)
    assert light["light"] == "accepted", json.dumps(light)
    city.wait_synced()
    till.stop()
    the_receipt_of_a_code_is_checked_by_the_certificate_that_the_city_gives_out(phone, till)
    voucher = a_request_is_answered_by_a_payment(phone, till, tmp_path)
    receipts_are_checked(phone, voucher)
    till.start()
    city.wait_synced()
    phone.show("home")
    phone.press_and_wait("ถามยอดจากเมือง")
    expect(phone.page.locator(".purse .small")).to_contain_text("47.50")
    phone.show("history")
    expect(phone.page.locator(".stated")).to_have_text(["✓ ตัดจริง 40.00 KGO", "✓ ตัดจริง 12.50 KGO"])
    assert phone.read(voucher)["ours"]
    a_part_that_came_back_is_no_alarm(city, till, phone, voucher, tmp_path / "receipt.png")
    assert phone.trouble == []


def a_part_that_came_back_is_no_alarm(city: Town, till: Desk, phone: Phone, voucher: str, picture: Path) -> None:
    """The till gives 15 KGO of 40 back; the city posts it and its statement names the rest alone."""
    check = phone.page.locator(".verdict").nth(2)
    save_picture(voucher, picture)
    phone.show("receipt")
    phone.page.locator("#picture").set_input_files(picture)
    expect(check).to_have_text("เมืองตัดเท่ากัน 40.00 KGO")
    till.stop()
    (raw,) = qr.decode(voucher).objects
    signed = cose.parse_sign1(raw, cose.external_aad(Kind.VOUCHER, CITY))
    sold = device.VOUCHER.decode(signed.payload, OBJECT_BYTES_MAX)
    with closing(station_of(till)) as station:
        back = place_of(OpenSale("S-two-way", 1_500, 0, 0, "01"))
        station.acceptor.till.give_back(sold.sequence, 15 * KGO, 0, VoucherKind.REFUND, back)
    till.start()
    city.wait_synced()
    phone.show("home")
    phone.press_and_wait("ถามยอดจากเมือง")
    phone.show("receipt")
    phone.page.locator("#picture").set_input_files(picture)
    expect(check).to_have_text("จ่ายไป 40.00 KGO ได้คืนแล้ว 15.00 KGO")
    expect(check).to_have_class("verdict good")


def station_of(till: Desk) -> Station:
    """The till's, in this process; the program is stopped."""
    files = DeviceFiles(till.folder / "device.key", till.folder / "device.cert", till.folder / "trust.list")
    where = (till.journal, till.folder / "deny.list")
    station = Station(StationSettings(CITY, DEVICE, DeviceRole.SHOP, files, *where, "test"), MachineClock(), Limits())
    station.keeper.heard_rtc(int(time()))  # as at a start; its last stored time may be older than the allowance
    return station


def the_receipt_of_a_code_is_checked_by_the_certificate_that_the_city_gives_out(phone: Phone, till: Desk) -> None:
    with Journal.open(till.journal, device_id=DEVICE) as journal:
        row = journal.voucher_at(1)
    assert row is not None
    receipt = qr.encode(qr.QrType.RECEIPT, row.voucher)
    phone.page.context.set_offline(True)
    away = phone.read(receipt)
    assert (away["signature"], away["ours"]) == ("unknown", True)
    phone.page.context.set_offline(False)
    found = phone.read(receipt)
    assert (found["signature"], found["ours"]) == ("signed", True)
    phone.trouble.clear()


def a_request_is_answered_by_a_payment(phone: Phone, till: Desk, folder: Path) -> str:
    """By the same till's acceptor, in this process; the text on its receipt."""
    with closing(station_of(till)) as station:
        sale = open_sale("S-two-way", 12_000, 40 * KGO)
        bulletin = station.bulletin(BulletinKind.CAMPAIGN)
        assert bulletin is not None
        campaigns = (decode_campaigns(bulletin.body), bulletin.version)
        at_s = station.keeper.time().at_s
        asked = station.acceptor.till.ask(charge_without_wallet(sale, *campaigns, OWNER, at_s))
        request = qr.encode(qr.QrType.REQUEST, station.own_certificate.raw, asked.signed.raw)
        answer = the_customer_confirms(phone, request, folder / "request.png")
        payment = payment_of(answer, CITY)
        assert (payment.n, payment.sum_kgo, payment.amount_kgo) == (2, 1_250, 40 * KGO)
        assert payment.request_hash == asked.signed.identity
        the_same_request_has_the_same_answer(phone, answer, folder / "request.png")
        outcome = station.acceptor.accept(answer, Till(sale, *campaigns, OWNER))
        assert outcome.light is Light.ACCEPTED, outcome
        station.acceptor.shown(outcome)
        assert outcome.voucher is not None
        return qr.encode(qr.QrType.RECEIPT, outcome.voucher.raw)


def the_customer_confirms(phone: Phone, request: str, picture: Path) -> str:
    """From a picture of the display, which zxing reads in the page; the answer's text."""
    save_picture(request, picture)
    phone.show("scan")
    phone.page.locator("#picture").set_input_files(picture)
    phone.view("request")
    assert phone.page.locator("#owner").inner_text() == OWNER
    assert phone.page.locator("#device").inner_text() == DEVICE
    assert phone.page.locator("#kgo").inner_text() == "40.00 KGO"
    assert phone.state()["n"] == 1, "nothing is signed before the button"
    phone.page.locator("#confirm").click()
    phone.view("answer")
    return phone.code()


def the_same_request_has_the_same_answer(phone: Phone, answer: str, picture: Path) -> None:
    phone.show("scan")
    phone.page.locator("#picture").set_input_files(picture)
    phone.view("answer")
    assert phone.code() == answer, "the stored bytes"
    expect(phone.page.locator("#screen")).to_contain_text("ใบนี้จ่ายไปแล้ว")
    assert phone.state()["n"] == 2


def receipts_are_checked(phone: Phone, receipt: str) -> None:
    good = phone.read(receipt)
    assert (good["type"], good["signature"], good["ours"]) == ("V", "signed", True)
    (raw,) = qr.decode(receipt).objects
    signed = cose.parse_sign1(raw, cose.external_aad(Kind.VOUCHER, CITY))
    forged = raw.replace(signed.payload, signed.payload.replace(b"S-two-way", b"S-two-wax"))
    assert phone.read(qr.encode(qr.QrType.RECEIPT, forged))["key"] == "voucher_signature_wrong"

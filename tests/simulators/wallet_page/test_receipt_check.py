"""What the wallet says of a receipt when the city's statement and the paper differ, and how pictures follow each other.

A statement says what a code cost in the end: less than the receipt is a refund, or was never charged; more is an alarm.
"""

from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, Locator, expect

from simulators.demo.town import Town
from simulators.qr_picture import save_picture
from simulators.wallet_page.serve import WalletPage
from tests.simulators.wallet_page.asking import certificate, receipt, request, shown
from tests.simulators.wallet_page.phone import SIZE, Phone
from tests.simulators.wallet_page.walk import STATE

STATED = """async (said) => {
    const { Store } = await import("./store.js");
    const store = await Store.open();
    const [line] = await store.history();
    await store.turn((state) => ({ state: { ...state }, history: [{ ...line, ...said }] }));
}"""
CHOSEN = """(pictures) => {
    const input = document.getElementById("picture");
    for (const bytes of pictures) {
        const files = new DataTransfer();
        files.items.add(new File([new Uint8Array(bytes)], "code.png", { type: "image/png" }));
        input.files = files.files;
        input.dispatchEvent(new Event("change"));
    }
}"""
READ = """async (bytes) => {
    const { textInPicture } = await import("./scan.js");
    return textInPicture(new Blob([new Uint8Array(bytes)], { type: "image/png" }));
}"""
LINES = {
    "the same": ({"charged_kgo": 2_000}, "good", "เมืองตัดเท่ากัน 20.00 KGO"),
    "came back in part, both statements seen": (
        {"charged_kgo": 1_341, "most_kgo": 2_000}, "good", "จ่ายไป 20.00 KGO ได้คืนแล้ว 6.59 KGO"),
    "came back in whole": ({"charged_kgo": 0, "most_kgo": 2_000}, "good", "จ่ายไป 20.00 KGO ได้คืนแล้ว 20.00 KGO"),
    "less, and nobody knows why": ({"charged_kgo": 1_341, "most_kgo": 1_341}, "good",
        "เมืองตัดจริง 13.41 KGO น้อยกว่าใบเสร็จ 6.59 KGO ส่วนต่างได้คืนแล้วหรือไม่ได้ตัด"),
    "of a page that kept no more": ({"charged_kgo": 1_341}, "good",
        "เมืองตัดจริง 13.41 KGO น้อยกว่าใบเสร็จ 6.59 KGO ส่วนต่างได้คืนแล้วหรือไม่ได้ตัด"),
    "more than the receipt": ({"charged_kgo": 2_001, "most_kgo": 2_001}, "bad",
        "เมืองตัด 20.01 KGO มากกว่าใบเสร็จ ถามร้านหรือศูนย์ KGO"),
    "more than the receipt, once": ({"charged_kgo": 1_900, "most_kgo": 2_500}, "good",
        "เมืองตัดจริง 19.00 KGO น้อยกว่าใบเสร็จ 1.00 KGO ส่วนต่างได้คืนแล้วหรือไม่ได้ตัด"),
}  # fmt: skip


@pytest.fixture
def phone(served: WalletPage, chromium: Browser) -> Phone:
    return Phone(chromium.new_context(viewport=SIZE), served.url).register()


def held_up(phone: Phone, picture: Path) -> None:
    phone.show("home")
    phone.show("receipt")
    phone.page.locator("#picture").set_input_files(picture)


def charge_of(phone: Phone) -> Locator:
    """The third line: who signed, whose it is, what the city took."""
    return phone.page.locator(".verdict").nth(2)


def test_a_receipt_that_cost_less_is_no_alarm_and_one_that_cost_more_is(phone: Phone, tmp_path: Path) -> None:
    phone.pay_shop("20")
    picture = tmp_path / "receipt.png"
    save_picture(receipt(bytes.fromhex(phone.page.evaluate(STATE)), 2_000), picture)
    for name, (said, sign, words) in LINES.items():
        phone.page.evaluate(STATED, {"most_kgo": None, **said})
        held_up(phone, picture)
        expect(charge_of(phone), name).to_have_text(words)
        expect(charge_of(phone), name).to_have_class(f"verdict {sign}")


def test_after_a_picture_without_a_code_the_next_one_is_read(phone: Phone, tmp_path: Path) -> None:
    """One after the other, one that is chosen while the first is read, and the same name with another picture in it."""
    phone.pay_shop("20")
    good, empty, same = tmp_path / "good.png", tmp_path / "empty.png", tmp_path / "same.png"
    save_picture(receipt(bytes.fromhex(phone.page.evaluate(STATE)), 2_000), good)
    Image.new("L", (3_000, 2_000), 200).save(empty)
    held_up(phone, empty)
    expect(phone.page.locator(".said .small")).to_contain_text("1003")
    phone.page.locator("#picture").set_input_files(good)
    expect(charge_of(phone)).to_be_visible()
    held_up(phone, empty)
    phone.page.locator("#picture").set_input_files(good)  # the page may still be at the one before
    expect(charge_of(phone)).to_be_visible()
    same.write_bytes(empty.read_bytes())
    held_up(phone, same)
    expect(phone.page.locator(".said .small")).to_contain_text("1003")
    same.write_bytes(good.read_bytes())
    phone.page.locator("#picture").set_input_files(same)
    expect(charge_of(phone)).to_be_visible()
    told = [one for one in phone.trouble if "404" not in one]  # the city knows no certificate of this test's till
    assert told == []


def test_what_was_chosen_after_a_good_request_does_not_take_its_place(phone: Phone, city: Town, tmp_path: Path) -> None:
    """The second picture is another shop's: under a finger that is about to confirm the first."""
    first, second = tmp_path / "first.png", tmp_path / "second.png"
    save_picture(shown(certificate(city.city.folder), request(1_000)), first)
    other = certificate(city.city.folder, owner="noodle-1")
    save_picture(shown(other, request(3_000, owner="noodle-1")), second)
    phone.show("scan")
    phone.page.evaluate(CHOSEN, [list(first.read_bytes()), list(second.read_bytes())])
    phone.view("request")
    for _ in range(5):  # what the page itself still had to read is read by then
        assert phone.page.evaluate(READ, list(second.read_bytes()))
    expect(phone.page.locator("#owner")).to_have_text("coffee-1")
    expect(phone.page.locator("#kgo")).to_have_text("10.00 KGO")
    assert phone.trouble == []

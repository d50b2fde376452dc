"""Payment requests that a wallet page must not pay, those that it pays, and receipts: each with a remedy. DESIGN §4."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from PIL import Image
from playwright.sync_api import Browser, Playwright, expect, sync_playwright

from offline_ledger.protocol import cose, qr
from offline_ledger.protocol.device import DeviceRole
from offline_ledger.protocol.kinds import Kind
from simulators.demo.city import CITY
from simulators.demo.town import Town
from simulators.qr_picture import qr_picture
from simulators.wallet_page.serve import WalletPage
from tests.conftest import CHROMIUM
from tests.simulators.wallet_page.asking import (
    DEVICE,
    OTHER_KEY_TEST_ONLY,
    OWNER,
    certificate,
    now_s,
    receipt,
    request,
    shown,
)
from tests.simulators.wallet_page.phone import SIZE, Phone, options, payment_of, presentment_of


class Bad(NamedTuple):
    """A text that is refused, by which key, and what the person then reads."""

    text: str
    key: str


def bad_texts(folder: Path) -> Iterator[Bad]:
    """Each way of not being a payable request of this city."""
    good, asked = certificate(folder), request(1_000)
    yield Bad(shown(certificate(None), asked), "unknown_issuer")
    yield Bad(shown(_turned(good, b"coffee-1", b"coffee-2"), asked), "device_certificate_invalid")
    yield Bad(shown(certificate(folder, "TH-10"), request(1_000, "TH-10")), "unknown_city")
    yield Bad(shown(certificate(folder, expires_at_s=now_s() - 1), asked), "device_certificate_invalid")
    yield Bad(shown(certificate(folder, role=int(DeviceRole.TRAINING)), asked), "device_role_wrong")
    yield Bad(shown(good, request(1_000, key=OTHER_KEY_TEST_ONLY)), "request_mismatch")
    yield Bad(shown(good, _turned(asked, b"plain", b"plane")), "request_mismatch")
    yield Bad(shown(good, request(1_000, owner="coffee-2")), "request_mismatch")
    yield Bad(shown(good, request(1_000, device="till-of-nobody")), "request_mismatch")
    yield Bad(shown(good, request(1_000, at_s=now_s() - 200, expires_at_s=now_s() - 1)), "request_expired")
    yield Bad(shown(good, request(1_000, at_s=now_s() + 60, expires_at_s=now_s() + 90)), "code_from_future")
    yield Bad(shown(good, request(1_000, pass_id=b"other-on")), "allowance_mismatch")
    yield Bad(shown(good, request(10_001)), "reserve_exceeded")
    yield Bad(shown(good, request(0)), "amount_not_positive")
    yield Bad(shown(good, asked)[:-3], "code_damaged")
    yield Bad(qr.encode(qr.QrType.COUPON, asked), "a_coupon")
    yield Bad(qr.encode(qr.QrType.PRESENTMENT, asked, asked), "a_payment_code")
    yield Bad("KGO1X:ABC", "wrong_code_type")
    yield Bad("HTTPS://EXAMPLE.ORG/", "not_our_code")
    yield Bad("KGO1Q:" + "A" * 600, "too_large")


def _turned(signed: bytes, old: bytes, new: bytes) -> bytes:
    assert signed.count(old) == 1 and len(old) == len(new)
    return signed.replace(old, new)


def test_only_a_request_of_this_city_in_date_is_paid(city: Town, served: WalletPage, chromium: Browser) -> None:
    folder = city.city.folder
    phone = Phone(chromium.new_context(viewport=SIZE), served.url).register()
    each = [(bad.key, phone.read(bad.text)["key"]) for bad in bad_texts(folder)]
    assert [pair for pair in each if pair[0] != pair[1]] == []
    good = shown(certificate(folder), request(1_000))
    found = phone.read(good)
    assert (found["type"], found["owner"], found["kgo"], found["answered"]) == ("Q", OWNER, 1_000, False)
    assert phone.state()["n"] == 0, "reading signs nothing"
    receipts_say_who_signed_them(phone, folder)
    a_revoked_terminal_is_asked_nothing(phone, good)
    assert phone.trouble == []


PAY = """async (text) => {
    const { Store } = await import("./store.js");
    const { Wallet } = await import("./wallet.js");
    const wallet = new Wallet(await Store.open());
    const asked = await wallet.read(text);
    return Promise.all([1, 2, 3].map(() => wallet.pay(asked)));
}"""


def receipts_say_who_signed_them(phone: Phone, folder: Path) -> None:
    unknown = phone.read(receipt(bytes(32), 1_000))
    assert (unknown["signature"], unknown["ours"]) == ("unknown", False), "the city has no such terminal"
    assert [line for line in phone.trouble if "404" not in line] == []
    phone.trouble.clear()
    answers = phone.page.evaluate(PAY, shown(certificate(folder), request(2_000, what_for="lunch")))
    assert len(set(answers)) == 1 and phone.state()["n"] == 1, "pressed three times: the same bytes"
    _allowance, raw = qr.decode(answers[0]).objects
    paid = cose.parse_sign1(raw, cose.external_aad(Kind.PAYMENT, CITY)).identity
    good = phone.read(receipt(paid, 2_000))
    assert (good["signature"], good["ours"]) == ("signed", True)
    assert phone.read(receipt(paid, 2_000, OTHER_KEY_TEST_ONLY))["key"] == "voucher_signature_wrong"


REVOKE = """async (device) => {
    const { Store } = await import("./store.js");
    const revocations = [[device, 0]];
    await (await Store.open()).turn((state) => ({ state: { ...state, trust: { ...state.trust, revocations } } }));
}"""


def a_revoked_terminal_is_asked_nothing(phone: Phone, good: str) -> None:
    phone.page.evaluate(REVOKE, DEVICE)
    assert phone.read(good)["key"] == "terminal_revoked"


# --- by the phone's camera


def test_a_request_before_the_camera_is_shown_verified_and_paid_when_confirmed(
    city: Town, served: WalletPage, tmp_path: Path
) -> None:
    """A forged one is held up first; the browser plays both from a file as its camera."""
    film = tmp_path / "camera.y4m"
    forged = shown(certificate(None), request(4_000))
    good = shown(certificate(city.city.folder), request(4_500))
    _write_film(film, forged, good)
    with sync_playwright() as playwright, _filmed(playwright, film) as browser:
        phone = Phone(browser.new_context(viewport=SIZE, permissions=["camera"]), served.url).register()
        phone.show("scan")
        assert "กระเป๋านี้ยังไม่รู้จักผู้รับรอง" in phone.notice()
        phone.view("request")
        expect(phone.page.locator("#owner")).to_have_text(OWNER)
        expect(phone.page.locator("#kgo")).to_have_text("45.00 KGO")
        expect(phone.page.locator("#screen")).to_contain_text("เมืองรับรองเครื่องนี้แล้ว")
        phone.page.locator("#confirm").click()
        phone.view("answer")
        payment = payment_of(phone.code(), CITY)
        assert (payment.n, payment.sum_kgo, payment.amount_kgo) == (1, 0, 4_500)
        assert presentment_of(phone.ride(), CITY)[1:4] == (2, 4_500, 5_000)
        assert phone.trouble == []


def _filmed(playwright: Playwright, film: Path) -> Browser:
    """A browser whose camera plays this film over and over."""
    fake = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
    args = options(*fake, f"--use-file-for-fake-video-capture={film}")
    return playwright.chromium.launch(executable_path=CHROMIUM, args=args)


def _write_film(path: Path, *texts: str) -> None:
    """640×480, ten pictures a second: each text for a second, with nothing before and after."""
    width, height, pictures = 640, 480, 10
    chroma = bytes([128]) * (width * height // 2)
    frames: list[bytes] = []
    for text in texts:
        picture = qr_picture(text, module_px=5)
        frame = Image.new("L", (width, height), 200)
        frame.paste(picture, ((width - picture.width) // 2, (height - picture.height) // 2))
        frames += [frame.tobytes()] * pictures
    with path.open("wb") as file:
        file.write(f"YUV4MPEG2 W{width} H{height} F{pictures}:1 Ip A1:1 C420mpeg2\n".encode())
        for frame in frames:
            file.write(b"FRAME\n" + frame + chroma)

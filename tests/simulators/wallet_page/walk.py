"""Every screen of the wallet page, one after the other, as a person comes to it: for tests, axe and pictures."""

from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import BrowserContext

from simulators.qr_picture import save_picture
from tests.simulators.wallet_page.asking import certificate, receipt, request, shown
from tests.simulators.wallet_page.phone import Phone

STATE = """async () => {
    const { Store } = await import("./store.js");
    const [line] = await (await Store.open()).history();
    return line.identities[0];
}"""
CHARGED = """async () => {
    const { Store } = await import("./store.js");
    const store = await Store.open();
    const [line] = await store.history();
    await store.turn((state) => ({ state: { ...state }, history: [{ ...line, charged_kgo: line.kgo }] }));
}"""
"""As the city's statement would have it."""


def walk(context: BrowserContext, phone: Phone, city_folder: Path, folder: Path) -> Iterator[str]:
    """The names of the screens, each while it is shown."""
    page, picture = phone.page, folder / "held-up.png"

    def hold_up(text: str, view: str) -> None:
        save_picture(text, picture)
        phone.show("home")
        phone.show(view)
        phone.notice()  # there is no camera; what is held up has the same place
        page.locator("#picture").set_input_files(picture)

    phone.open()
    yield "register"
    page.locator("button.main").click()
    phone.view("home")
    yield "home"
    phone.ride()
    yield "ride"
    phone.show("shop")
    page.locator("#amount").fill("12.5")
    yield "shop"
    page.locator("button.main").click()
    phone.view("code")
    phone.code()
    yield "shop-code"
    phone.show("scan")
    phone.notice()
    yield "scan"
    hold_up(shown(certificate(None), request(2_000)), "scan")
    page.locator(".said .small").wait_for()
    yield "scan-refused"
    hold_up(shown(certificate(city_folder), request(2_000)), "scan")
    phone.view("request")
    yield "request"
    page.locator("#confirm").click()
    phone.view("answer")
    yield "answer"
    paid = bytes.fromhex(page.evaluate(STATE))
    page.evaluate(CHARGED)
    phone.show("history")
    yield "history"
    hold_up(receipt(paid, 2_000), "receipt")
    page.locator(".verdict").first.wait_for()
    yield "receipt"
    phone.show("home")
    context.set_offline(True)
    phone.press_and_wait(page.locator(".row button").first.inner_text())
    phone.notice()
    yield "offline"
    context.set_offline(False)

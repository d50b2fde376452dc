"""A phone in a test: one page of the wallet in a browser, what a person sees of it and what a scanner reads.

The code is photographed: a picture of the page's pixels, read by another library than the one that drew it.
"""

import io
import os
from typing import Any

import zxingcpp
from PIL import Image
from playwright.sync_api import BrowserContext, ConsoleMessage, Page, Request, ViewportSize, expect

from offline_ledger.protocol import cose, qr, wallet
from offline_ledger.protocol.kinds import OBJECT_BYTES_MAX, Kind
from offline_ledger.protocol.wallet import Payment, Presentment
from tests.conftest import CHROMIUM_OPTIONS

SIZE: ViewportSize = {"width": 390, "height": 844}
WAIT_MS = 15_000
QR_CODES = zxingcpp.BarcodeFormats(zxingcpp.BarcodeFormat.QRCode)


class Phone:
    """Drives one page."""

    def __init__(self, context: BrowserContext, url: str) -> None:
        self.url = url
        self.page: Page = context.new_page()
        self.page.set_default_timeout(WAIT_MS)
        self.trouble: list[str] = []
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.trouble.append(str(error)))
        self.page.on("request", self._request)

    def open(self, view: str = "") -> "Phone":
        """Loads the page, in front of the other tabs: one behind them draws once a second."""
        self.page.bring_to_front()
        self.page.goto("about:blank")
        self.page.goto(f"{self.url}#{view}" if view else self.url)
        self.page.locator("html[data-ready=true]").wait_for()
        return self

    def show(self, view: str) -> None:
        """Goes to one screen of the page that is open, as its links do."""
        self.page.bring_to_front()
        self.page.evaluate("view => { location.hash = view; }", view)
        self.view(view)

    def view(self, name: str) -> None:
        """Waits until that screen is shown."""
        self.page.locator(f"#screen[data-view={name}View]").wait_for()

    def register(self) -> "Phone":
        """A new account with its first allowance."""
        self.open()
        self.page.locator("button.main").click()
        self.page.locator("#left").wait_for()
        return self

    def ride(self) -> str:
        """The button of the first screen; the code."""
        self.show("home")
        self.page.locator("#ride").click()
        return self.code()

    def pay_shop(self, kgo: str) -> str:
        """Enters and confirms an amount; the code."""
        self.show("shop")
        self.page.locator("#amount").fill(kgo)
        self.page.locator("button.main").click()
        self.view("code")
        return self.code()

    def code(self) -> str:
        """What a scanner reads on the screen now."""
        self.page.locator("canvas[data-text]").wait_for()
        self.page.bring_to_front()  # a picture of a tab behind another one takes a second
        picture = Image.open(io.BytesIO(self.page.screenshot()))
        found = zxingcpp.read_barcodes(picture, formats=QR_CODES)
        assert len(found) == 1, f"{len(found)} codes on the screen"
        return found[0].text

    def press_and_wait(self, name: str) -> None:
        """A button whose doing takes a while."""
        self.page.bring_to_front()
        self.page.get_by_role("button", name=name, exact=True).click()
        self.page.locator("#screen:not([aria-busy])").wait_for()

    def until(self, condition: str) -> None:
        """Waits for an expression; Playwright's own way needs `eval`, which the page forbids."""
        look = f"const look = () => ({condition}) ? done() : setTimeout(look, 20);"
        self.page.evaluate(f"() => new Promise((done) => {{ {look} look(); }})")

    def notice(self) -> str:
        """Why something was refused, and what to do."""
        notice = self.page.locator(".notice")
        expect(notice).to_be_visible()
        return notice.inner_text()

    def state(self) -> dict[str, Any]:
        """Numbers of the wallet's state, from its database."""
        return self.page.evaluate(
            """async () => {
                const { Store } = await import("./store.js");
                const state = await (await Store.open()).state();
                const { n, sum_kgo, authorised_kgo, audience, closing, allowance } = state;
                return { n, sum_kgo, authorised_kgo, audience, closing: !!closing, allowance: allowance?.name ?? null };
            }"""
        )

    def read(self, text: str) -> dict[str, Any]:
        """What the wallet makes of a scanned text: what it verified, or its refusal's number and key."""
        return self.page.evaluate(
            """async (text) => {
                const { Store } = await import("./store.js");
                const { Wallet } = await import("./wallet.js");
                try {
                    const read = await new Wallet(await Store.open()).read(text);
                    const { type, request, certificate, answered, signature, line } = read;
                    const said = { type, owner: certificate?.owner ?? null, kgo: request?.amount_kgo ?? null };
                    return { ...said, answered: !!answered, signature: signature ?? null, ours: !!line };
                } catch (error) {
                    return { number: error.number ?? -1, key: error.key ?? String(error) };
                }
            }""",
            text,
        )

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.trouble.append(message.text)

    def _request(self, request: Request) -> None:
        if not request.url.startswith((self.url, "about:", "data:")):
            self.trouble.append(f"asked {request.url}")


def presentment_of(text: str, city: str) -> Presentment:
    """What a code says; its signatures are the till's business."""
    _allowance, raw = qr.decode(text).objects
    signed = cose.parse_sign1(raw, cose.external_aad(Kind.PRESENTMENT, city))
    return wallet.PRESENTMENT.decode(signed.payload, OBJECT_BYTES_MAX)


def payment_of(text: str, city: str) -> Payment:
    """What an answer says."""
    _allowance, raw = qr.decode(text).objects
    signed = cose.parse_sign1(raw, cose.external_aad(Kind.PAYMENT, city))
    return wallet.PAYMENT.decode(signed.payload, OBJECT_BYTES_MAX)


def options(*more: str) -> list[str]:
    """For a browser that a test starts itself. Chromium's sandbox does not start for root."""
    return [*CHROMIUM_OPTIONS, *more, *(("--no-sandbox",) if os.geteuid() == 0 else ())]

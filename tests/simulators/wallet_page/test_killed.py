"""A browser that is killed never uses a number twice: n and S are on the disk before a code is shown. DESIGN §4."""

import os
import signal
import time
from pathlib import Path
from random import Random

from playwright.sync_api import BrowserContext, Playwright, sync_playwright
from playwright.sync_api import Error as BrowserError

from simulators.demo.city import CITY
from simulators.wallet_page.serve import WalletPage
from tests.conftest import CHROMIUM
from tests.simulators.wallet_page.phone import SIZE, Phone, options, presentment_of

AFTER_S_MAX = 0.6
MANY = """async () => {
    const { Store } = await import("./store.js");
    const { Wallet, IN_SHOP } = await import("./wallet.js");
    const wallet = new Wallet(await Store.open());
    for (;;) {
        await wallet.newIntent(IN_SHOP, 1);
        await window.shown((await wallet.code()).n);
    }
}"""
UNSEEN = """async () => {
    const { Store } = await import("./store.js");
    const { Wallet, TRANSIT } = await import("./wallet.js");
    return (await new Wallet(await Store.open()).newIntent(TRANSIT, 5000)).state.n;
}"""


def _opened(playwright: Playwright, profile: Path) -> BrowserContext:
    kind = playwright.chromium
    return kind.launch_persistent_context(profile, executable_path=CHROMIUM, args=options(), viewport=SIZE)


def _kill(profile: Path) -> None:
    """Every process of this profile's browser: its first one holds the profile's name, the others end with it."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if f"--user-data-dir={profile}".encode() in words and not any(word.startswith(b"--type=") for word in words):
            os.kill(int(folder.name), signal.SIGKILL)


def test_a_number_that_was_kept_or_shown_is_never_used_again(served: WalletPage, tmp_path: Path, rng: Random) -> None:
    profile = tmp_path / "profile"
    with sync_playwright() as playwright:
        shown = it_is_killed_while_codes_follow_each_other(playwright, profile, served.url, rng)
        context = _opened(playwright, profile)
        phone = Phone(context, served.url).open()
        kept = phone.state()["n"]
        assert kept >= max(shown), (kept, shown)
        unseen: int = phone.page.evaluate(UNSEEN)  # on the disk, never drawn
        assert unseen == kept + 1
        _kill(profile)
        phone = Phone(_opened(playwright, profile), served.url).open()
        assert presentment_of(phone.ride(), CITY).n == unseen, "the intent that was confirmed"
        phone.page.locator("#new-ride").click()
        phone.page.locator(f"canvas[data-n='{unseen + 1}']").wait_for()
        later = presentment_of(phone.code(), CITY)
        assert (later.n, later.sum_kgo) == (unseen + 1, kept + 5_000), "each before was of 1, then the ride"
        phone.page.context.close()


def it_is_killed_while_codes_follow_each_other(
    playwright: Playwright, profile: Path, url: str, rng: Random
) -> list[int]:
    """What was shown before the end."""
    shown: list[int] = []
    phone = Phone(_opened(playwright, profile), url)
    phone.page.expose_function("shown", lambda n: shown.append(n))
    phone.register()
    phone.page.evaluate(f"() => {{ ({MANY})(); }}")
    until_s = time.monotonic() + rng.uniform(AFTER_S_MAX / 2, AFTER_S_MAX)
    while time.monotonic() < until_s or len(shown) < 3:
        phone.page.wait_for_timeout(10)
    _kill(profile)
    try:
        phone.page.context.close()
    except BrowserError:
        pass
    return shown

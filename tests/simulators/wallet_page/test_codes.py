"""Codes of the wallet page: what an intent is, over reloads, tabs, lost networks and time. DESIGN §2, §4."""

from datetime import UTC, datetime

from playwright.sync_api import Browser, BrowserContext, expect

from offline_ledger.protocol.wallet import Presentment
from offline_ledger.rules.limits import Limits
from simulators.demo.city import CITY
from simulators.wallet_page.serve import WalletPage
from tests.simulators.wallet_page.phone import SIZE, Phone, presentment_of

RIDE_KGO = 5_000
RENEWED_MS = 16_000
"""A little more than after what time a code is drawn anew."""
INTENTS_AT_ONCE = 6
NEXT_FRAMES = "new Promise((shown) => requestAnimationFrame(() => requestAnimationFrame(() => shown())))"


def test_an_intent_keeps_its_number_until_a_button_or_ten_minutes_end_it(served: WalletPage, chromium: Browser) -> None:
    context = chromium.new_context(viewport=SIZE)
    phone = Phone(context, served.url)
    phone.page.clock.install()
    phone.register()
    first = presentment_of(phone.ride(), CITY)
    assert first[1:5] == (1, 0, RIDE_KGO, 1) and first.valid_s == Limits().freshness_s
    a_new_picture_changes_the_time_alone(phone, first)
    phone.open()
    expect(phone.page.locator("#ride")).to_contain_text("ไม่คิดเพิ่ม")
    assert presentment_of(phone.ride(), CITY).n == 1, "opened again"
    phone.page.clock.fast_forward(Limits().intent_life_s * 1_000)
    assert "โค้ดนี้จบแล้ว" in phone.notice()
    expect(phone.page.locator("#code")).to_be_hidden()
    phone.open("code")
    expect(phone.page.locator("#code")).to_have_count(0)
    assert phone.state()["n"] == 1, "nothing is begun by opening a screen"
    phone.page.locator("#new-ride").click()
    second = presentment_of(phone.code(), CITY)
    assert second[1:5] == (2, RIDE_KGO, RIDE_KGO, 1)
    phone.page.locator("#companion").click()
    assert "วงเงินในเครื่องไม่พอ" in phone.notice()
    assert phone.state()["n"] == 2
    phone.page.clock.set_system_time(datetime.now(UTC))
    a_closed_allowance_moves_what_it_leaves(phone)
    assert phone.trouble == []


def a_new_picture_changes_the_time_alone(phone: Phone, first: Presentment) -> None:
    shown = phone.page.locator("canvas[data-text]")
    before = shown.get_attribute("data-text") or ""
    phone.page.clock.fast_forward(RENEWED_MS)
    expect(shown).not_to_have_attribute("data-text", before)
    later = presentment_of(phone.code(), CITY)
    assert later.at_s - first.at_s >= RENEWED_MS // 1_000
    assert later._replace(at_s=first.at_s) == first


def a_closed_allowance_moves_what_it_leaves(phone: Phone) -> None:
    """All was authorised: nothing is free to be set aside, the closing stands, and nothing new is authorised."""
    before = phone.state()
    phone.show("home")
    phone.press_and_wait("ต่อวงเงิน")
    assert "ในบัญชีไม่มี KGO" in phone.notice()
    assert phone.state() == before | {"closing": True}
    phone.show("shop")
    phone.page.locator("#amount").fill("1")
    phone.page.locator("button.main").click()
    assert "ปิดเพื่อต่อใหม่แล้ว" in phone.notice()
    phone.trouble.clear()  # the browser's own line about a status of 422


def test_tabs_never_use_one_number_twice_and_no_network_is_needed(served: WalletPage, chromium: Browser) -> None:
    context = chromium.new_context(viewport=SIZE)
    phone = Phone(context, served.url).register()
    other = Phone(context, served.url).open()
    nothing_is_shown_before_it_is_on_the_disk(phone)
    a_code_ends_when_another_tab_begins_a_new_one(phone, other)
    numbers_are_used_once(phone, other)
    a_renewal_that_comes_twice_begins_one_allowance(phone, other)
    it_works_without_a_network(context, phone)
    what_is_behind_its_mark_is_thrown_away(phone)
    told = "status of 422"  # the browser's own line where the city refuses the second of two
    assert [one for one in (*phone.trouble, *other.trouble) if told not in one] == []


HELD = """() => {
    const isFree = new Promise((resolve) => { window.free = resolve; });
    const begin = IDBDatabase.prototype.transaction;
    window.kept = [];
    IDBDatabase.prototype.transaction = function (...words) {
        const made = begin.apply(this, words);
        if (words[1] !== "readwrite") return made;
        const tell = (listen) => made.addEventListener("complete", (event) => {
            window.kept.push(made.durability);
            isFree.then(() => listen(event));
        });
        Object.defineProperty(made, "oncomplete", { set: tell });
        return made;
    };
}"""


def nothing_is_shown_before_it_is_on_the_disk(phone: Phone) -> None:
    """The browser's word that a transaction is complete is held back, of the intent and then of its code's time."""
    phone.show("shop")
    phone.page.evaluate(HELD)
    phone.page.locator("#amount").fill("0.30")
    phone.page.locator("button.main").click()
    phone.until("window.kept.length === 1")
    phone.page.evaluate(NEXT_FRAMES)
    expect(phone.page.locator("canvas")).to_have_count(0)
    phone.page.evaluate("window.free()")
    phone.code()
    assert set(phone.page.evaluate("window.kept")) == {"strict"}
    phone.open()


def a_code_ends_when_another_tab_begins_a_new_one(phone: Phone, other: Phone) -> None:
    phone.pay_shop("0.10")
    other.pay_shop("0.20")
    phone.view("home")
    assert "อีกแท็บ" in phone.notice()


MANY = """async ([count, isLocked]) => {
    const { Store } = await import("./store.js");
    const { Wallet, IN_SHOP } = await import("./wallet.js");
    if (!isLocked) navigator.locks.request = (_name, doing) => doing();
    const wallet = new Wallet(await Store.open());
    const begin = () => wallet.newIntent(IN_SHOP, 1).then((made) => made.state.n, (error) => error.key);
    window.begun = Promise.all(Array.from({ length: count }, begin));
}"""


def numbers_are_used_once(phone: Phone, other: Phone) -> None:
    """Both tabs at once; then with a browser's lock that does not hold, where the later writer is refused."""
    for is_locked in (True, False):
        for one in (phone, other):
            one.page.evaluate(MANY, [INTENTS_AT_ONCE, is_locked])
        found = [said for one in (phone, other) for said in one.page.evaluate("window.begun")]
        numbers = [said for said in found if isinstance(said, int)]
        assert len(set(numbers)) == len(numbers) and phone.state()["n"] == max(numbers)
        others = [said for said in found if not isinstance(said, int)]
        assert others == [] if is_locked else set(others) == {"other_tab"}
    other.open()
    phone.open()


LATE = """async () => {
    const { Store } = await import("./store.js");
    const { Wallet } = await import("./wallet.js");
    const fetched = window.fetch.bind(window);
    const isFree = new Promise((resolve) => { window.free = resolve; });
    const asked = new Promise((resolve) => { window.asked = resolve; });
    window.fetch = async (...what) => {
        const answer = await fetched(...what);
        if (!what[0].endsWith("/wallet")) return answer;
        window.asked();
        await isFree;
        return answer;
    };
    window.taken = new Wallet(await Store.open()).renew();
    await asked;
}"""


def a_renewal_that_comes_twice_begins_one_allowance(phone: Phone, other: Phone) -> None:
    """Both tabs renew; the answer to one of them is late, and a code was shown meanwhile. There is no third."""
    before = phone.state()
    phone.show("home")
    other.page.evaluate(LATE)
    assert phone.state() == before | {"closing": True}
    phone.press_and_wait("ต่อวงเงิน")
    after = phone.state()
    assert (after["n"], after["sum_kgo"], after["closing"]) == (0, 0, False)
    assert after["allowance"] not in (None, before["allowance"])
    assert presentment_of(phone.pay_shop("0.50"), CITY).n == 1
    other.page.evaluate("async () => { window.free(); await window.taken; }")
    assert phone.state() == after | {"n": 1, "authorised_kgo": 50, "audience": 2}
    phone.show("home")
    phone.press_and_wait("ต่อวงเงิน")
    assert "ครบสองใบแล้ว" in phone.notice()
    assert not phone.state()["closing"], "nothing is closed"
    phone.trouble.clear()


def it_works_without_a_network(context: BrowserContext, phone: Phone) -> None:
    phone.until("navigator.serviceWorker.controller !== null")
    context.set_offline(True)
    expect(phone.page.locator("#network")).to_contain_text("ไม่มีเครือข่าย")
    phone.open()  # out of what it has kept; a browser's tool forgets by then to say that it is offline
    assert presentment_of(phone.ride(), CITY).n == 2
    phone.show("home")
    phone.press_and_wait("ถามยอดจากเมือง")
    assert "ติดต่อเมืองไม่ได้" in phone.notice()
    assert phone.page.evaluate("async () => Boolean((await import('./scan.js')).textInPicture)")
    kept = phone.page.evaluate("async () => (await fetch('vendor/zxing-wasm/reader/zxing_reader.wasm')).status")
    assert kept == 200, "the reader too"
    context.set_offline(False)
    expect(phone.page.locator("#network")).to_be_hidden()
    phone.trouble.clear()


def what_is_behind_its_mark_is_thrown_away(phone: Phone) -> None:
    """As when the browser's data came back from yesterday's copy."""
    phone.page.evaluate(
        """() => {
            const [name, n, kgo] = JSON.parse(localStorage.getItem("kgo-mark"));
            localStorage.setItem("kgo-mark", JSON.stringify([name, n + 1, kgo]));
        }"""
    )
    phone.open()
    assert "ทิ้งวงเงินในเครื่องแล้ว" in phone.notice()
    assert phone.state()["allowance"] is None
    expect(phone.page.locator("#left")).to_have_text("0.00")

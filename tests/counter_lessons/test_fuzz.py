"""Two windows, random keys, codes and barcodes, a link that comes and goes, a plug that is pulled: the books agree.

After it, whatever was pressed: the tenders of each receipt are its bill, journal = receipts = Z reports, the city's
ledger has the same, and its own audit is content. 5 minutes in the soak.
"""

import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPException
from random import Random

import pytest

from offline_ledger.errors import PageTooFast
from offline_ledger.money import KGO
from offline_ledger.protocol.wallet import Audience
from pos_app.counter.flow import WHERE
from simulators.demo.town import Person
from simulators.fault_link import Mode, Plan
from simulators.shop_desk.books import HELD, OPEN
from simulators.shop_desk.hands import Hands, Seen
from simulators.shop_desk.till import PIN_TEST_ONLY
from simulators.wallet import IntentEnded
from tests.counter_lessons.street import NAMES, SLOW_S, Street, pause

FUZZ_S, FUZZ_SLICE_S = 300, 4
KILL_EVERY_S = 3.0
LOOKED_BACK = 60
PLAIN = ("20", "45", "45.50", "60", "0.01", "99.99", "100", "250", "3×45", "2×20", "500", "1000", "")
ODD = (
    *("9999999", "9999999999", "12345678901", "0", "-5", "1e3", "1.001", "๔๕", "0×5", "×", "999×1", "2×0.01"),
    *("8850999320014", " 12 ", "NaN"),
)
TEXTS = ("", "ไม่เผ็ด", "โต๊ะ ๓", "🍜🍜", "a" * 61, "\u202eevil", "<b>x</b>", "'; DROP TABLE sales; --", "\x00")
CODES = ("8850999320014", "KGO1:", "KGO1:AAAA", "https://example.org", "0" * 400, "\u0e01\u0e02\u0e03")
WEIGHTS = {
    **dict.fromkeys(("close_shift", "lock", "handover", "language", "first_manager", "clear", "hold", "category"), 0.2),
    **dict.fromkeys(("cancel_sale", "back", "drop_tender", "kgo_cancel", "promptpay_cancel", "drawer", "shift"), 0.3),
    **dict.fromkeys(
        ("add_amount", "add_item", "pay", "cash", "sign_in", "open_shift", "kgo", "receipt", "refund"), 3.0
    ),
    **dict.fromkeys(("promptpay_confirm", "refund_start", "void", "recall"), 2.0),
}
AWAY = dict.fromkeys(("held", "receipts", "receipt", "shift", "report"), 3.0)
"""Screens that are left again soon."""
"""Keys that end what would become interesting are pressed less often than those that make receipts."""
BY_NUMBER = frozenset({"receipt", "reprint", "void", "refund", "refund_start"})
BY_LINE = frozenset({"quantity", "remove", "discount"})


class Monkey:
    """Presses; remembers what it did last."""

    def __init__(self, street: Street, rng: Random) -> None:
        self._street, self._rng = street, rng
        self.did: list[str] = []
        self.counts: Counter[str] = Counter()
        self._windows: list[Hands] = []
        self._shown: list[Person] = []

    def press(self) -> None:
        """One thing that somebody might do."""
        if not self._windows:
            self._windows = [self._street.hands, Hands(self._street.till.url)]
        hands, chance = self._rng.choice(self._windows), self._rng.random()
        if chance < 0.04:
            self._note("scan", hands.scan_by_keys(self._rng.choice(CODES)))
        elif chance < (0.6 if hands.seen.screen == "wait_kgo" else 0.08):
            self._show(hands)
        elif chance < 0.15 or hands.seen.refusal:
            self._note("look", hands.look())
        else:
            self._key(hands)

    def forget_windows(self) -> None:
        """The program was started anew."""
        self._windows = []

    def _key(self, hands: Hands) -> None:
        rng = self._rng
        here = [action for action, screens in WHERE.items() if hands.seen.screen in screens]
        if 'id="approve"' in hands.seen.html:
            here = ["approve", "approve", "approve_cancel", "language"]
        weights = [WEIGHTS.get(action, 1.0) for action in here]
        if hands.seen.screen in AWAY and "back" in here:
            weights[here.index("back")] = AWAY[hands.seen.screen]
        action = rng.choices(here, weights)[0] if here and rng.random() < 0.9 else rng.choice(list(WHERE))
        fields = self._fields(action)
        self._note(f"{action} {fields}", hands.press(action, None, **fields))

    def _fields(self, action: str) -> dict[str, str]:
        rng = self._rng
        fields = {"typed": rng.choice(PLAIN if rng.random() < 0.8 else ODD)}
        if rng.random() < 0.2:
            fields[rng.choice(("name", "reason", "label", "query"))] = rng.choice(TEXTS)
        if action in BY_NUMBER:
            return fields | {"number": str(self._number()), f"q-{rng.randrange(1, 3)}": rng.choice(("0", "1", "2"))}
        if action in BY_LINE:
            return fields | {"line": str(rng.randrange(1, 5))}
        match action:
            case "sign_in" | "approve":
                return {"code": rng.choice(("01", "01", "02", "03")), "pin": PIN_TEST_ONLY}
            case "first_manager":
                return {"code": "09", "name": "x", "pin": "918273"}
            case "add_item":
                return fields | {"sku": rng.choice(("K01", "K02", "K05", "none"))}
            case "bill_discount":
                return fields | {"by": rng.choice(("percent", "amount"))}
            case "recall":
                return {"sale": rng.choice([*self._held(), "none"])}
            case "language":
                return {"language": rng.choice(("th", "en", "fr"))}
            case "drop_tender":
                return {"index": str(rng.randrange(2))}
            case "kgo":
                return {"typed": rng.choice(("1", "2", "5", "40", "", "0"))}
            case _:
                return fields

    def _held(self) -> list[str]:
        return [one.sale for one in self._street.books().sold.values() if one.state == HELD]

    def _number(self) -> int:
        closed = self._street.books().closed
        return self._rng.choice(closed).number if closed and self._rng.random() < 0.9 else self._rng.randrange(99)

    def _show(self, hands: Hands) -> None:
        """A customer confirms what the display asks for, something else, or shows the code of before again."""
        person, asked_kgo = self._street.customer(self._rng.randrange(len(NAMES))), self._asked() * KGO
        if person.wallet.left_kgo >= asked_kgo and (self._rng.random() < 0.8 or person not in self._shown):
            person.wants(Audience.SHOP, asked_kgo)
            self._shown.append(person)
        if person in self._shown:
            with suppress(IntentEnded):
                self._note("code", hands.scan_by_keys(person.code()))

    def _asked(self) -> int:
        sale = next((one for one in self._street.books().sold.values() if one.state == OPEN), None)
        return (sale.asked_kgo // KGO if sale is not None else 0) or self._rng.choice((1, 2, 5))

    def _note(self, what: str, seen: Seen) -> None:
        if seen.refusal == PageTooFast.number:
            pause(SLOW_S)
        assert seen.status < 500, (what, seen.status, self.did[-LOOKED_BACK:])
        self.did = [*self.did[-LOOKED_BACK:], f"{what} → {seen.screen} {seen.refusal or ''}"]
        self.counts["done" if not seen.refusal else "refused"] += 1
        self.counts[f"on {seen.screen}"] += 1


@pytest.mark.timeout(FUZZ_S * 3)
def test_random_keys_break_no_invariant(
    street: Street, rng: Random, slice_of: Callable[[int, int], int], report: Callable[[str], None]
) -> None:
    monkey = Monkey(street, rng)
    until_s = time.monotonic() + slice_of(FUZZ_S, FUZZ_SLICE_S)
    kill_s = time.monotonic() + rng.uniform(0.5, 1.5) * KILL_EVERY_S
    while time.monotonic() < until_s:
        try:
            monkey.press()
        except (OSError, HTTPException):
            pytest.fail(f"the page's service does not answer: {monkey.did[-LOOKED_BACK:]}")
        if rng.random() < 0.02:
            street.till.network.apply(
                rng.choice((Plan(), Plan(), Plan(mode=Mode.REFUSE), Plan(mode=Mode.LOSE_ANSWERS)))
            )
        if time.monotonic() > kill_s:
            street.till.program.kill()
            street.till.start()
            monkey.forget_windows()
            monkey.counts["kills"] += 1
            kill_s = time.monotonic() + rng.uniform(0.5, 1.5) * KILL_EVERY_S
    assert street.till.is_started, monkey.did
    try:
        street.ready()
        now = street.check()
    except AssertionError as broken:
        raise AssertionError(f"{broken}; last: {monkey.did}") from broken
    screens = sum(key.startswith("on ") for key in monkey.counts)
    shown = {key: monkey.counts[key] for key in ("done", "refused", "kills")}
    report(f"page fuzz: {shown}, {screens} screens, {len(now.closed)} receipts, {len(now.events)} events; books agree")

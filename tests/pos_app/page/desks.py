"""A desk in memory for the page's tests: it behaves as the contract says, and can show any screen. Never shipped."""

import threading
from collections.abc import Mapping

from offline_ledger import errors
from offline_ledger.errors import BillBelowMinimum, NotAnAmount, StaleScreen
from offline_ledger.money import parse_minor
from tests.pos_app.page import views
from tests.pos_app.page.views import View

MONEY = {"add_amount", "add_item", "quantity", "remove", "pay", "kgo", "cash", "promptpay", "promptpay_confirm", "next"}


class MemoryDesk:
    """Sells, takes cash, and keeps what it was told; `show` puts any view on the screen."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self.revision = 1
        self.shown: View = views.selling([])
        self.customer: View = views.customers()["idle"]
        self.acts: list[tuple[str, dict[str, str]]] = []
        self.scans: list[str] = []
        self.paid: list[int] = []
        self.slow: threading.Event | None = None
        """An action waits for this: a disk that takes its time."""

    def show(self, till: View | None = None, customer: View | None = None) -> None:
        with self._changed:
            self.shown, self.customer = till or self.shown, customer or self.customer
            self._tell()

    def act(self, action: str, fields: Mapping[str, str], seen: int) -> None:
        if self.slow is not None:
            self.slow.wait(5)
        with self._changed:
            if action in MONEY and seen != self.revision:
                raise StaleScreen()
            self._do(action, dict(fields))
            self.acts.append((action, dict(fields)))
            self._tell()

    def _do(self, action: str, fields: dict[str, str]) -> None:
        match action:
            case "language":
                self.shown = {**self.shown, "language": fields["language"]}
                self.customer = {**self.customer, "language": fields["language"]}
            case "add_amount":
                self._add(_satang(fields.get("amount", "")), int(fields.get("quantity", "1")), -1)
            case "add_item":
                number = next(at for at, one in enumerate(views.GOODS) if one["sku"] == fields["sku"])
                price = views.GOODS[number]["price_satang"]
                satang = _satang(fields.get("price", "")) if price is None else price
                self._add(satang, int(fields.get("quantity", "1")), number)
            case "remove":
                kept = [one for one in self._basket if str(one["line"]) != fields["line"]]
                self._sell(kept)
            case "pay":
                bill = self.shown["sale"]
                self._turn({**views.paying(), "sale": bill, "due_satang": bill["bill_satang"]})
            case "cash":
                given, due = _satang(fields["given"]), self.shown["due_satang"]
                self.paid.append(due)
                change = {"bill_satang": due, "given_satang": given, "change_satang": given - due}
                self._turn(views.common("done", **{**views.DONE, **change, "tenders": [views.tender("cash", due)]}))
            case "back" | "next" | "clear":
                if action == "back" and self.shown["screen"] == "pay":
                    self._sell(self.shown["sale"]["basket"])
                else:
                    self._sell([])
            case "lock":
                self._turn(views.tills()["locked"])
            case "sign_in":
                if fields.get("pin") != "2749":
                    raise BillBelowMinimum("1 of 5")
                self._turn(views.selling([]))
            case _:
                pass

    @property
    def _basket(self) -> list[View]:
        return self.shown["sale"]["basket"]

    def _add(self, satang: int, quantity: int, name: int) -> None:
        number = 1 + max((one["line"] for one in self._basket), default=0)
        self._sell([*self._basket, views.line(number, name, quantity, satang)])

    def _sell(self, basket: list[View]) -> None:
        self._turn(views.selling(basket))
        shown = {
            "screen": "basket" if basket else "idle",
            "lines": basket[-6:],
            "bill_satang": self.shown["sale"]["bill_satang"],
        }
        self.customer = {**self.customer, **shown}

    def _turn(self, view: View) -> None:
        self.shown = {**view, "language": self.shown["language"], "is_training": self.shown["is_training"]}

    def scanned(self, text: str) -> None:
        with self._changed:
            self.scans.append(text)
            self._tell()

    def view(self) -> View:
        with self._changed:
            return {**self.shown, "revision": self.revision}

    def customer_view(self) -> View:
        with self._changed:
            return {**self.customer, "revision": self.revision}

    def wait_changed(self, after: int, timeout_s: float) -> int:
        with self._changed:
            self._changed.wait_for(lambda: self.revision != after, timeout_s)
            return self.revision

    def search(self, text: str) -> list[View]:
        return [one for one in views.GOODS if text in one["name_th"] or text in one["name_en"].lower()]

    def _tell(self) -> None:
        self.revision += 1
        self._changed.notify_all()


def _satang(text: str) -> int:
    try:
        found = parse_minor(text)
    except ValueError as unfit:
        raise NotAnAmount(text) from unfit
    if not found:
        raise errors.NotAnAmount(text)
    return found

"""A till of the town that says what it does, unless a test makes it say something else. DESIGN §5."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from offline_ledger.city.shop_shift_check import Wanted, shop_shifts
from offline_ledger.city.shop_shifts import ShopShift
from offline_ledger.protocol.device import EventKind, PlaceKey, VoucherKind, event_link
from offline_ledger.protocol.shop_event import SaleSums, ShopEvent, ShopEventKind, encode_shop_event
from offline_ledger.protocol.wallet import Audience
from tests.city.town import NOW_S, Town, TownTerminal

E = ShopEventKind
FLOAT_SATANG = 50_000
PLAIN_SALE = SaleSums(8_000, 0, 0, 0, 8_000, 0, 0, 1, 0)


def put(terminal: TownTerminal, body: bytes) -> None:
    """Any body at all as the next event."""
    terminal.events.append((int(EventKind.SHIFT), body))
    terminal.event_heads.append(event_link(terminal.event_heads[-1], int(EventKind.SHIFT), body))


@dataclass
class Counter:
    """A till that says what it does, unless a test makes it say something else."""

    town: Town
    terminal: TownTerminal
    shift: int = 0
    at_s: int = NOW_S
    z: list[int] = field(default_factory=lambda: [0] * 15)

    def say(self, what: int, sums: Sequence[int] = (), refers: int = 0, **changes: object) -> None:
        event = ShopEvent(
            int(what), self.at_s, 2, self.shift, "01", len(self.terminal.vouchers), refers, tuple(sums), ""
        )
        put(self.terminal, encode_shop_event(event._replace(**changes)))  # type: ignore[arg-type]

    def open(self) -> None:
        self.shift += 1
        self.z = [0] * 15
        self.z[12] = FLOAT_SATANG
        self.say(E.SHIFT_OPENED, [FLOAT_SATANG])

    def voucher(self, bill_satang: int, kgo: int = 0) -> int:
        """A sale; without KGO of nobody's wallet."""
        code = None
        if kgo:
            buyer = self.town.wallet()
            buyer.next(kgo)
            code = buyer.sign(buyer.presentment(Audience.SHOP, NOW_S))
        self.terminal.sale(code, NOW_S, bill_satang, kgo)
        return len(self.terminal.vouchers)

    def sell(
        self, bill_satang: int, kgo: int = 0, promptpay_satang: int = 0, lies: dict[str, int] | None = None
    ) -> int:
        sequence = self.voucher(bill_satang, kgo)
        cash_satang = bill_satang - kgo - promptpay_satang
        sums = SaleSums(bill_satang, kgo, kgo, 0, cash_satang, promptpay_satang, 0, 1, 0)
        self.say(E.SALE_CLOSED, sums._replace(**(lies or {})), sequence)
        for at, value in enumerate((1, bill_satang, kgo, kgo, 0, cash_satang, promptpay_satang)):
            self.z[at] += value
        return sequence

    def back(self, of: int, goods_satang: int, kgo: int = 0, *, is_void: bool = False) -> int:
        kind = VoucherKind.VOID if is_void else VoucherKind.REFUND
        place = {int(PlaceKey.BILL_SATANG): goods_satang}
        money_satang = goods_satang - kgo
        plain = {"kgo": kgo, "satang": money_satang, "product": "all", "place": place, "refers_to": of}
        self.terminal.voucher(kind, NOW_S, **plain)
        sequence = len(self.terminal.vouchers)
        sums = SaleSums(goods_satang, kgo, kgo, 0, money_satang, 0, 0, 1, 0, int(is_void))
        self.say(E.RETURNED, sums, sequence)
        for at, value in ((7, goods_satang), (8, kgo), (9, money_satang)):
            self.z[at] += value
        return sequence

    def close(self, counted_satang: int | None = None) -> None:
        z = self.z
        expected = z[12] + z[5] + z[10] - z[11] - z[9]
        if counted_satang is not None:
            self.say(E.COUNTED, [counted_satang, max(0, expected)])
        z[13:] = [max(0, expected), counted_satang or 0]
        self.say(E.SHIFT_CLOSED, z)

    def shifts(self, **wanted: object) -> list[ShopShift]:
        self.town.send(self.terminal)
        with self.town.store.snapshot():
            return shop_shifts(self.town.store, Wanted(**wanted))  # type: ignore[arg-type]

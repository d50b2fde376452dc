"""Goods into the basket and out of it, by key, touch and barcode; sales put aside and called back. DESIGN §2."""

from offline_ledger.errors import (
    BarcodeUnknown,
    GoodsGone,
    GoodsNotHere,
    HeldFull,
    PriceNeeded,
    Refusal,
    SaleNotSettled,
)
from pos_app.counter import basket as baskets
from pos_app.counter.basket import Basket, Goods
from pos_app.counter.flow import IN_SALE, SELLING, Screen
from pos_app.counter.sale_record import SaleState
from pos_app.counter.tender import due_satang
from pos_app.desk import fields as read
from pos_app.desk.core import Core
from pos_app.desk.fields import Fields
from pos_app.store.goods import Item
from pos_app.store.sales import HELD_MAX

BARCODE_CHARACTERS_MAX = 64
KEYED_IN = ("รายการคีย์เอง", "Keyed in")
"""Name of what has a price and no goods behind it."""


class Selling:
    """Its methods are the actions of these names."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def add_amount(self, fields: Fields) -> None:
        """Goods that are keyed in by their price alone. Raises NotAnAmount, AmountTooLong, AmountNotPositive,
        QuantityWrong, BasketFull."""
        satang, count = read.amount(fields, "amount"), read.whole(fields, "quantity", 1)
        name = read.text(fields, "name")
        self._add(Goods("", name or KEYED_IN[0], name or KEYED_IN[1], satang), count)

    def add_item(self, fields: Fields) -> None:
        """Goods of the catalogue. Raises GoodsGone, PriceNeeded, and what `add_amount` raises."""
        item = self._core.parts.catalogue.get(fields.get("sku", ""))
        if item is None or not item.is_active:
            raise GoodsGone(fields.get("sku", "")[:BARCODE_CHARACTERS_MAX])
        price = item.price_satang
        if price is None:
            if not fields.get("price"):
                raise PriceNeeded(item.sku)
            price = read.amount(fields, "price")
        self._add(_goods_of(item, price), read.whole(fields, "quantity", 1))

    def scanned(self, text: str) -> None:
        """A barcode. Never raises: what is wrong with it stands on the screen."""
        core = self._core
        try:
            if core.state.screen in IN_SALE - SELLING:
                raise SaleNotSettled("a barcode in the middle of a payment")
            if core.state.screen not in SELLING:
                raise GoodsNotHere()
            item = core.parts.catalogue.by_barcode(text[:BARCODE_CHARACTERS_MAX])
            if item is None or not item.is_active:
                raise BarcodeUnknown(text[:BARCODE_CHARACTERS_MAX])
            if item.price_satang is None:
                raise PriceNeeded(item.sku)
            self._add(_goods_of(item, item.price_satang), 1)
        except Refusal as refusal:
            core.put(core.state._replace(notice=refusal), counts=False)

    def category(self, fields: Fields) -> None:
        """Another shelf of the catalogue on the screen."""
        self._core.show_shelf(read.text(fields, "id"))

    def quantity(self, fields: Fields) -> None:
        """Raises LineGone, QuantityWrong, AmountTooLong, DiscountTooLarge."""
        line, count = read.whole(fields, "line"), read.whole(fields, "quantity")
        if count == 0:
            self._core.log("remove", sale=self._sale, line=line)
        self._change(baskets.with_quantity(self._basket, line, count))

    def discount(self, fields: Fields) -> None:
        """Off one line. Raises LineGone, DiscountTooLarge."""
        line = self._basket.find(read.whole(fields, "line"))
        satang = discount_satang(fields, line.full_satang)
        self._core.log("discount", sale=self._sale, line=line.line, satang=satang)
        self._change(baskets.with_line_discount(self._basket, line.line, satang))

    def bill_discount(self, fields: Fields) -> None:
        """Off the whole. Raises BasketEmpty, DiscountTooLarge."""
        satang = discount_satang(fields, self._basket.goods_satang)
        changed = baskets.with_bill_discount(self._basket, satang)
        self._core.log("bill_discount", sale=self._sale, satang=satang)
        self._change(changed)

    def remove(self, fields: Fields) -> None:
        """Raises LineGone."""
        line = self._basket.find(read.whole(fields, "line"))
        self._core.log("remove", sale=self._sale, line=line.line, satang=line.total_satang)
        self._change(baskets.without(self._basket, line.line))

    def clear(self, _fields: Fields) -> None:
        """The whole basket is put back on the shelves."""
        sale = self._core.state.sale
        if sale.basket.lines:
            self._core.log("clear", sale=sale.sale, satang=sale.basket.goods_satang)
            self._core.parts.saver.later(sale._replace(state=SaleState.DROPPED))
        self._core.keep(self._core.new_sale())

    def hold(self, fields: Fields) -> None:
        """Aside, durably: the next customer is served first. Raises BasketEmpty, HeldFull."""
        core = self._core
        sale = core.payable()._replace(state=SaleState.HELD, label=read.text(fields, "label"))
        if core.held_count >= HELD_MAX:
            raise HeldFull(str(HELD_MAX))
        core.parts.saver.now(sale)
        core.held_count += 1
        core.log("hold", sale=sale.sale, satang=sale.basket.bill_satang)
        core.put(core.state._replace(screen=Screen.SALE, sale=core.new_sale()))

    def held(self, _fields: Fields) -> None:
        """The list of those put aside."""
        core = self._core
        core.parts.saver.now()
        found = tuple(core.parts.sales.held())
        core.held_count = len(found)
        core.put(core.state._replace(screen=Screen.HELD, held=found, done=None))

    def recall(self, fields: Fields) -> None:
        """Back on the counter. Raises SaleNotSettled: another one is there; LineGone: it is no longer aside."""
        core = self._core
        if core.state.sale.basket.lines:
            raise SaleNotSettled("another sale is on the counter")
        core.parts.saver.now()
        found = core.parts.sales.get(fields.get("sale", ""))
        if found is None or found.state is not SaleState.HELD:
            raise GoodsGone("no longer aside")
        sale = found._replace(state=SaleState.OPEN)
        core.parts.saver.now(sale)
        core.held_count -= 1
        core.log("recall", sale=sale.sale)
        is_begun = due_satang(sale.basket.bill_satang, sale.tenders) < sale.basket.bill_satang
        screen = Screen.PAY if is_begun else Screen.SALE
        core.put(core.state._replace(screen=screen, sale=sale, offer=None))

    # --- inside

    @property
    def _basket(self) -> Basket:
        return self._core.state.sale.basket

    @property
    def _sale(self) -> str:
        return self._core.state.sale.sale

    def _add(self, goods: Goods, count: int) -> None:
        """The first goods after a sale was thanked for begin the next one."""
        core = self._core
        sale = core.state.sale
        sale = sale._replace(basket=baskets.with_goods(sale.basket, goods, count))
        core.keep(sale, screen=Screen.SALE, done=None, notice=None)

    def _change(self, basket: Basket) -> None:
        self._core.keep(self._core.state.sale._replace(basket=basket), notice=None)


def _goods_of(item: Item, price_satang: int) -> Goods:
    name_th, name_en = item.name("th"), item.name("en")
    return Goods(item.sku, name_th, name_en, price_satang, item.is_vat_exempt)


def discount_satang(fields: Fields, of_satang: int) -> int:
    """What was pressed, in percent of this or as an amount. Raises FieldWrong, NotAnAmount, AmountTooLong."""
    if fields.get("percent"):
        return baskets.per_cent_satang(of_satang, read.whole(fields, "percent"))
    return read.amount(fields, "amount")

"""What somebody signs for who types a PIN in another's place: which goods, how much, of which receipt. DESIGN §5.

Reckoned from what was pressed, as the action itself will reckon it; what it will refuse is not told. Reads no disk.
"""

from typing import NamedTuple

from offline_ledger.errors import Refusal
from pos_app.counter import giving_back
from pos_app.counter.giving_back import Back
from pos_app.desk import fields as read
from pos_app.desk.core import Core
from pos_app.desk.fields import Fields
from pos_app.desk.papers import number_text
from pos_app.desk.returning import asked_back
from pos_app.desk.selling import discount_satang


class SignedFor(NamedTuple):
    """Whatever is empty or None is not part of it. `number`: of the receipt; `percent` beside what it comes to."""

    number: str = ""
    name_th: str = ""
    name_en: str = ""
    percent: str = ""
    satang: int | None = None
    kgo: int | None = None
    reason: str = ""


def signed_for(core: Core) -> SignedFor:
    """Of the action that waits."""
    pending = core.state.pending
    try:
        return SignedFor() if pending is None else _signed_for(core, pending.action, pending.fields)
    except Refusal:
        return SignedFor()


def _signed_for(core: Core, action: str, fields: Fields) -> SignedFor:
    basket = core.state.sale.basket
    match action:
        case "discount":
            line = basket.find(read.whole(fields, "line"))
            satang = discount_satang(fields, line.full_satang)
            return SignedFor("", line.name_th, line.name_en, fields.get("percent", ""), satang)
        case "bill_discount":
            satang = discount_satang(fields, basket.goods_satang)
            return SignedFor(percent=fields.get("percent", ""), satang=satang)
        case "void" | "refund":
            return _back(core, action, fields)
        case "ask_back":
            asking = core.state.asking
            if asking is None:
                return SignedFor()
            voucher = asking.shown.voucher
            plain = voucher.kgo if asking.asked is None else asking.asked.kgo
            kgo = read.amount(fields, "amount") if fields.get("amount") else plain
            return SignedFor(f"{voucher.device} {number_text(voucher.sequence)}", kgo=kgo)
        case "cash_out":
            return SignedFor(satang=read.amount(fields, "amount"), reason=read.text(fields, "reason"))
        case "cancel_sale":
            return SignedFor(satang=basket.bill_satang)
        case _:
            return SignedFor()


def _back(core: Core, action: str, fields: Fields) -> SignedFor:
    wanted, sale = read.whole(fields, "number"), core.state.receipt
    if sale is None or sale.number != wanted:
        return SignedFor(number_text(wanted))
    back: Back = giving_back.rest(sale.paid, sale.back) if action == "void" else asked_back(sale, fields)[0]
    return SignedFor(number_text(wanted), satang=back.money_satang, kgo=back.kgo or None)

"""What the screens are told: plain values from the desk's state, and nothing that takes a disk. DESIGN §3.

Amounts are whole numbers in satang and 1/100 KGO; the page writes them. Decides nothing.
"""

from collections.abc import Mapping
from typing import NamedTuple

from offline_ledger.errors import Refusal, SaleWaits
from offline_ledger.rules.civil import Explanation
from offline_ledger.rules.clock import TimeNow
from offline_ledger.rules.sale import suggest_kgo
from offline_ledger.rules.training import is_training_city
from offline_ledger.terminal.outcome import Light, Outcome
from offline_ledger.terminal.running import GREEN
from offline_ledger.terminal.status import SyncStatus
from offline_ledger.texts import Texts
from pos_app.counter import tender as tenders
from pos_app.counter.basket import Line, vat_satang
from pos_app.counter.flow import Screen
from pos_app.counter.giving_back import Back
from pos_app.counter.permissions import NEEDS, may_alone, needed_for
from pos_app.counter.sale_record import SaleRecord
from pos_app.counter.tender import Tender, TenderKind
from pos_app.desk.core import Core
from pos_app.desk.papers import number_text, report_rows
from pos_app.desk.signed_for import signed_for
from pos_app.desk.state import Asking
from pos_app.store.goods import Item

View = dict[str, object]
FOUND_MAX = 30
CUSTOMER_LINES_MAX = 6
TRAINING = "training"
WORKING = "working"
NOTHING = Back(0, 0, 0)
AT_HAND = frozenset({"printer", "drawer", "wedge", "device", "card"})
"""What a cashier can put right at once is told before what waits for somebody else."""


class Looked(NamedTuple):
    """What was seen at the last look, beside the desk's own state."""

    light: Light | None = Light.WAIT
    outcome: Outcome | None = None
    about: Mapping[str, object] = {}
    status: SyncStatus | None = None
    troubles: tuple[tuple[str, Refusal], ...] = ()
    printer: tuple[int, Refusal | None] = (0, None)
    at: TimeNow | None = None
    is_called: bool = False
    """Somebody asked this till to show itself."""

    def key(self) -> object:
        """By which one look differs from another for a person's eyes: ages in whole minutes."""
        badge = None
        if self.status is not None and self.at is not None:
            age_s = self.status.oldest_pending_age_s(self.at.at_s)
            minutes = age_s is not None and age_s // 60
            badge = (self.status.badge, self.status.pending_count, minutes, len(self.status.rejected))
        waiting, trouble = self.printer
        told = tuple((what, refusal.number) for what, refusal in self.troubles)
        minute = self.at.at_s // 60 if self.at is not None else 0
        return badge, told, waiting, trouble.number if trouble is not None else 0, minute, self.is_called


def view_of(core: Core, looked: Looked) -> View:
    """The cashier's screen."""
    state = core.state
    texts = Texts(state.language)
    made: View = {
        **_common(core, looked, texts),
        "screen": state.screen.value,
        "cashier": None
        if state.cashier is None
        else {"code": state.cashier.code, "name": state.cashier.name, "role": state.cashier.role.name.lower()},
        "shift": {"number": state.totals.number, "opened_at_s": state.totals.opened_at_s}
        if state.totals.is_open
        else None,
        "link": _link(looked),
        "troubles": [
            {"what": what, "refusal": _refusal(refusal)}
            for what, refusal in sorted(looked.troubles, key=lambda one: one[0] not in AT_HAND)
        ],
        "notice": None if state.notice is None else {"refusal": _refusal(state.notice)},
        "printer": {"waiting": looked.printer[0], "trouble": _refusal(looked.printer[1])},
        "approve": None
        if state.pending is None
        else {
            "action": state.pending.action,
            "needs_role": needed_for(state.pending.action).name.lower(),
            "about": signed_for(core)._asdict(),
        },
        "may": _may(core),
        "held_count": core.held_count,
    }
    match state.screen:
        case Screen.LOCKED:
            people = core.parts.people
            made["cashiers"] = [{"code": one.code, "name": one.name} for one in people.everyone()]
            made["wait_s"] = max((people.wait_s(one.code) for one in people.everyone()), default=0)
        case Screen.NO_SHIFT:
            made["last_count_satang"] = state.totals.counted_satang if state.totals.counted_satang >= 0 else None
        case Screen.SALE | Screen.PAY | Screen.WAIT_KGO | Screen.PROMPTPAY:
            made |= _sale(core, texts)
        case Screen.DONE:
            made |= _done(core) | _shelves(core)
        case Screen.HELD:
            made["held"] = [_held(sale) for sale in state.held]
        case Screen.RECEIPTS:
            made["receipts"] = [_receipt_row(sale) for sale in state.receipts]
            made["query"] = state.query
        case Screen.RECEIPT | Screen.REFUND:
            assert state.receipt is not None
            made["receipt"] = _receipt(core, state.receipt)
            reckoned = state.returning
            made["sure"] = None if reckoned is None else {**_back(reckoned.back), "lines": reckoned.lines}
        case Screen.ASK_BACK:
            assert state.asking is not None
            made["asking"] = _asking(state.asking)
        case Screen.SHIFT:
            made["totals"] = _totals(core, looked)
        case Screen.REPORT:
            assert state.report is not None
            waiting = looked.status.pending_count if looked.status is not None else 0
            made["rows"] = [list(row) for row in report_rows(state.report.totals, waiting, texts, looked.status)]
            made["is_z"], made["number"] = state.report.is_z, state.report.totals.number
            made["at_s"] = state.report.at_s
        case Screen.FIRST_MANAGER:
            pass
    return made


def customer_view_of(core: Core, looked: Looked) -> View:
    """The customer's display."""
    state, sale, certificate = core.state, core.state.sale, core.parts.station.certificate
    made: View = {
        **_common(core, looked, Texts(state.language)),
        "lines": [_line(line) for line in sale.basket.lines[-CUSTOMER_LINES_MAX:]],
        "earlier_satang": sum(line.total_satang for line in sale.basket.lines[:-CUSTOMER_LINES_MAX]),
        "discount_satang": sale.basket.discount_satang,
        "tenders": [_tender(part) for part in sale.tenders],
        "count": sale.basket.pieces,
        "bill_satang": sale.basket.bill_satang,
        "due_satang": sale.due_satang,
        "asked_kgo": sale.asked_kgo,
        "kgo": tenders.kgo_of(sale.tenders),
        "request_qr": state.request_qr or None,
        "asked_by": {"owner": certificate.owner, "device": certificate.device},
        "promptpay_qr": state.promptpay_qr or None,
        "promptpay_satang": state.promptpay_satang,
        "reward_kgo": 0,
        "change_satang": 0,
    }
    made["screen"] = _customer_screen(core, looked)
    if made["screen"] == "thanks" and state.done is not None:
        done = state.done.record
        made |= {
            "bill_satang": done.basket.bill_satang,
            "reward_kgo": done.reward_kgo,
            "change_satang": tenders.change_satang(done.tenders),
            "kgo": tenders.kgo_of(done.tenders),
        }
    return made


def found_goods(core: Core, text: str) -> list[View]:
    """Goods that fit what was typed."""
    return [_goods(item) for item in core.parts.catalogue.search(text, FOUND_MAX)]


# --- inside


def _common(core: Core, looked: Looked, texts: Texts) -> View:
    words, certificate = core.parts.words, core.parts.station.certificate
    at = looked.at or core.now()
    return {
        "revision": core.revision,
        "language": core.state.language,
        "shop": {"name": words.name, "branch": words.branch, "device": certificate.device},
        "is_training": is_training_city(certificate.city),
        "clock": {"at_s": at.at_s, "trust": at.trust.name.lower()},
        "light": _light(core, looked, texts),
        "called": certificate.device if looked.is_called else None,
    }


def _light(core: Core, looked: Looked, texts: Texts) -> View | None:
    if looked.light is None:
        return {"light": WORKING, "refusal": None, "line": ""}
    outcome = looked.outcome
    if looked.light is Light.WAIT or outcome is None:
        return None
    is_training = is_training_city(core.parts.station.certificate.city) and looked.light in GREEN
    line = looked.about.get(f"line_{texts.language}")
    if isinstance(outcome.refusal, SaleWaits):
        line = ""  # the line names commands; the page says what its buttons do
    if line is None and "usable_kgo" in looked.about:
        line = ""
    return {
        "light": TRAINING if is_training else looked.light.value,
        "refusal": _refusal(outcome.refusal),
        "line": line or "",
        "usable_kgo": looked.about.get("usable_kgo"),
        "kgo": outcome.charge.kgo if outcome.charge is not None else None,
        "is_uncharged": outcome.is_uncharged_green,
    }


def _refusal(refusal: Refusal | None) -> View | None:
    if refusal is None:
        return None
    return {"number": refusal.number, "key": refusal.key, "detail": refusal.detail}


def _link(looked: Looked) -> View:
    status = looked.status
    if status is None or looked.at is None:
        return {"badge": "offline", "waiting": 0, "oldest_age_s": None, "synced_age_s": None, "trouble": None}
    return {
        "badge": status.badge.value,
        "waiting": status.pending_count,
        "oldest_age_s": status.oldest_pending_age_s(looked.at.at_s),
        "synced_age_s": status.synced_age_s(looked.at.at_s),
        "trouble": _refusal(status.trouble),
    }


def _may(core: Core) -> View:
    person = core.state.cashier
    if person is None:
        return {}
    return {action: "yes" if may_alone(person.role, action) else "approve" for action in NEEDS}


def _sale(core: Core, texts: Texts) -> View:
    state, sale = core.state, core.state.sale
    vat = vat_satang(sale.basket, core.parts.words.vat_per_mille) if sale.basket.lines else 0
    made: View = {"sale": {**_basket(sale), "vat_satang": vat}, "interrupted": _interrupted(core)}
    if state.screen is Screen.SALE:
        return made | _shelves(core)
    offer = state.offer
    has_kgo = bool(tenders.sequence_of(sale.tenders, TenderKind.KGO))
    made |= {
        "tenders": [_tender(part) for part in sale.tenders],
        "due_satang": sale.due_satang,
        "kgo": None
        if offer is None
        else {
            "max_kgo": offer.kgo_max,
            "suggested_kgo": suggest_kgo(offer),
            "reason": explained(texts, offer.explanation),
        },
        "can": {
            "kgo": all(part.kind is TenderKind.COUPON for part in sale.tenders)
            and offer is not None
            and offer.kgo_max > 0,
            "cash": True,
            "promptpay": bool(core.parts.words.promptpay),
            "coupon": sale.due_satang > 0 and not has_kgo,
            "back": not sale.tenders,
            "drop": not has_kgo,
        },
        "asked_kgo": sale.asked_kgo,
        "is_charged": core.parts.till.waiting.named(sale.sale) is not None,
        "request": {"qr": state.request_qr, "expires_at_s": state.request_ends_s} if state.request_qr else None,
        "asked_satang": state.promptpay_satang,
        "qr": state.promptpay_qr or None,
    }
    return made


def _shelves(core: Core) -> View:
    shelves = core.shelves
    return {
        "categories": [
            {"id": one.name_th, "name_th": one.name_th, "name_en": one.name_en} for one in shelves.categories
        ],
        "category": shelves.chosen,
        "goods": [_goods(item) for item in shelves.goods],
    }


def _goods(item: Item) -> View:
    return {
        "sku": item.sku,
        "name_th": item.name("th"),
        "name_en": item.name("en"),
        "price_satang": item.price_satang,
        "category": item.category,
    }


def _basket(sale: SaleRecord) -> View:
    return {
        "sale": sale.sale,
        "basket": [_line(line) for line in sale.basket.lines],
        "count": sale.basket.pieces,
        "discount_satang": sale.basket.discount_satang,
        "bill_satang": sale.basket.bill_satang,
    }


def _line(line: Line) -> View:
    return {
        "line": line.line,
        "name_th": line.name_th,
        "name_en": line.name_en,
        "unit_satang": line.unit_satang,
        "quantity": line.quantity,
        "discount_satang": line.discount_satang,
        "total_satang": line.total_satang,
        "is_open_price": not line.sku,
    }


def _tender(part: Tender) -> View:
    return {
        "kind": part.kind.value,
        "satang": part.satang,
        "kgo": part.kgo or None,
        "is_verified": part.kind in tenders.SIGNED,
        "given_satang": part.given_satang,
        "reference": number_text(part.sequence) if part.sequence else "",
    }


def _interrupted(core: Core) -> list[View]:
    waiting = core.parts.till.waiting.all()
    return [
        {"sale": sale.sale, "bill_satang": sale.bill_satang, "kgo": sale.chosen_kgo}
        for _sequence, sale in waiting
        if sale.sale != core.state.sale.sale
    ]


def _done(core: Core) -> View:
    done = core.state.done
    assert done is not None
    sale = done.record
    return {
        "number": number_text(sale.number),
        "bill_satang": sale.basket.bill_satang,
        "tenders": [_tender(part) for part in sale.tenders],
        "given_satang": sum(part.given_satang for part in sale.tenders),
        "change_satang": tenders.change_satang(sale.tenders),
        "reward_kgo": sale.reward_kgo,
        "printed": core.parts.paper.printed(number_text(sale.number)),
    }


def _held(sale: SaleRecord) -> View:
    return {
        "sale": sale.sale,
        "label": sale.label,
        "bill_satang": sale.basket.bill_satang,
        "due_satang": sale.due_satang,
        "count": sale.basket.pieces,
        "at_s": sale.at_s,
        "cashier": sale.cashier,
    }


def _state_of(sale: SaleRecord) -> str:
    if sale.is_void:
        return "voided"
    gone = sale.back.goods_satang
    if not gone:
        return "paid"
    return "refunded" if gone >= sale.basket.bill_satang else "part_refunded"


def _receipt_row(sale: SaleRecord) -> View:
    return {
        "number": sale.number,
        "number_text": number_text(sale.number),
        "at_s": sale.at_s,
        "bill_satang": sale.basket.bill_satang,
        "kgo": tenders.kgo_of(sale.tenders),
        "state": _state_of(sale),
    }


def _receipt(core: Core, sale: SaleRecord) -> View:
    back = sale.back
    gone: dict[int, int] = {}
    for one in sale.returns:
        for line, count in one.lines:
            gone[line] = gone.get(line, 0) + count
    is_blank = not any(one.goods_satang for one in sale.returns if not one.lines)
    lines = [{**_line(line), "quantity_left": line.quantity - gone.get(line.line, 0)} for line in sale.basket.lines]
    return {
        **_receipt_row(sale),
        "cashier": sale.cashier,
        "lines": lines,
        "discount_satang": sale.basket.discount_satang,
        "by_line": is_blank,
        "tenders": [_tender(part) for part in sale.tenders],
        "change_satang": tenders.change_satang(sale.tenders),
        "reward_kgo": sale.reward_kgo,
        "voucher_qr": core.state.receipt_qr,
        "rest": _back(Back(*sale.paid[:3]), back),
        "gone": _back(back),
        "last_gone": _back(Back(*sale.returns[-1][4:7])) if sale.returns else None,
        "left_satang": sale.paid.goods_satang - back.goods_satang,
        "left_kgo": sale.paid.kgo - back.kgo,
        "can_void": sale.shift == core.state.totals.number and core.state.totals.is_open and not sale.returns,
        "can_refund": core.state.totals.is_open and sale.paid.goods_satang > back.goods_satang,
    }


def _back(back: Back, before: Back = NOTHING) -> View:
    """What goes back, or went: the goods, and each way in which."""
    goods_satang, kgo, money_satang = (one - gone for one, gone in zip(back, before, strict=True))
    return {"satang": goods_satang, "kgo": kgo, "money_satang": money_satang}


def _asking(asking: Asking) -> View:
    voucher, asked = asking.shown.voucher, asking.asked
    request = None if asked is None else {**asked._asdict(), "is_again": asking.is_again}
    return {
        "device": voucher.device,
        "number_text": number_text(voucher.sequence),
        "at_s": voucher.at_s,
        "kgo": voucher.kgo,
        "request": request,
    }


def _totals(core: Core, looked: Looked) -> View:
    now = core.parts.shifts.totals
    return {
        "number": now.number,
        "sales": {"count": now.sales, "satang": now.bill_satang},
        "discounts_satang": now.goods_discount_satang,
        "refunds": {"count": now.refunds, "satang": now.back_satang, "kgo": now.back_kgo},
        "voids": {"count": now.voids},
        "tenders": {
            "kgo": {"count": now.kgo_sales, "kgo": now.kgo, "satang": now.kgo_satang},
            "cash": {"satang": now.cash_satang},
            "promptpay": {"satang": now.promptpay_satang},
            "coupon": {"satang": now.coupon_satang},
        },
        "cash": {
            "float_satang": now.float_satang,
            "in_satang": now.in_satang,
            "out_satang": now.out_satang,
            "back_satang": now.back_cash_satang,
            "expected_satang": now.expected_satang,
            "counted_satang": now.counted_satang if now.counted_satang >= 0 else None,
        },
        "waiting": looked.status.pending_count if looked.status is not None else 0,
        "rejected": _rejected(looked.status),
        "held": core.held_count,
    }


def _rejected(status: SyncStatus | None) -> View | None:
    """What the city rejected; None: nothing."""
    if status is None or not status.rejected:
        return None
    return {"count": len(status.rejected), "numbers": [number_text(one) for one in status.rejected_newest]}


def _customer_screen(core: Core, looked: Looked) -> str:
    state = core.state
    if state.screen is Screen.WAIT_KGO:
        is_refused = looked.light in (Light.REFUSED, Light.TRY_AGAIN, Light.OUT_OF_SERVICE)
        return "refused" if is_refused else "ask"
    if state.screen is Screen.PROMPTPAY:
        return "promptpay"
    if state.thanks_shown and state.done is not None:
        return "thanks"
    is_green = looked.light in GREEN and looked.outcome is not None
    if state.screen is Screen.PAY and is_green and tenders.kgo_of(state.sale.tenders):
        return "approved"
    if state.screen in (Screen.SALE, Screen.PAY) and state.sale.basket.lines:
        return "basket"
    return "idle"


def explained(texts: Texts, said: Explanation) -> str:
    """One line that a cashier can read out."""
    index = 0 if texts.language == "th" else 1
    values = {key: value if isinstance(value, str) else value[index] for key, value in said.values}
    return texts.get(said.key, **values)

"""What is printed: receipts, slips and reports, from what the desk knows. Prints nothing itself. DESIGN §4."""

from offline_ledger.money import format_minor
from offline_ledger.protocol import qr
from offline_ledger.protocol.device import Voucher
from offline_ledger.protocol.qr import QrType
from offline_ledger.protocol.refund_request import Asked
from offline_ledger.rules.training import is_training_city
from offline_ledger.terminal.status import SyncStatus
from offline_ledger.texts import Texts
from pos_app.counter import tender as tenders
from pos_app.counter.sale_record import Return, SaleRecord
from pos_app.counter.shift_book import ShiftTotals
from pos_app.counter.tender import TenderKind
from pos_app.desk.core import Core
from pos_app.paper.layout import EITHER
from pos_app.paper.receipt import Item, Language, Receipt, ReceiptKind, Shop, Tender

NUMBER_DIGITS = 6
MONEY = (TenderKind.COUPON, TenderKind.CASH, TenderKind.PROMPTPAY)


def number_text(number: int) -> str:
    """As it stands on paper and screen."""
    return f"{number:0{NUMBER_DIGITS}d}"


def voucher_text(core: Core, number: int) -> str | None:
    """The signed voucher as a code, for whoever wants to check it; None: it is no longer kept, or does not fit."""
    row = core.parts.station.journal.voucher_at(number)
    if row is None:
        return None
    try:
        return qr.encode(QrType.RECEIPT, row.voucher)
    except ValueError:
        return None


def receipt_of(core: Core, sale: SaleRecord) -> Receipt:
    """Of a sale that is closed."""
    basket, kgo_satang = sale.basket, tenders.of_kind(sale.tenders, TenderKind.KGO)
    ways = [part for part in sale.tenders if part.kind in MONEY]
    paid = tuple(
        Tender(part.kind.value, part.given_satang or part.satang, part.kind is TenderKind.PROMPTPAY) for part in ways
    )
    kgo = tenders.kgo_of(sale.tenders)
    return _headed(core, ReceiptKind.SALE, sale.number, sale.at_s)._replace(
        cashier=sale.cashier,
        items=tuple(
            Item(_name(core, line.name_th, line.name_en), line.quantity, line.unit_satang, line.total_satang,
                 line.discount_satang)
            for line in basket.lines
        ),
        subtotal_satang=basket.goods_satang,
        discount_satang=basket.discount_satang,
        kgo=kgo,
        kgo_discount_satang=kgo_satang,
        total_satang=basket.bill_satang - kgo_satang,
        tenders=paid,
        change_satang=tenders.change_satang(sale.tenders) or None,
        vat_satang=sale.vat_satang if core.parts.words.vat_per_mille else None,
        reward_kgo=sale.reward_kgo,
        voucher=voucher_text(core, sale.number),
    )  # fmt: skip


def return_of(core: Core, sale: SaleRecord, back: Return) -> Receipt:
    """Of goods or money that went back."""
    kind = ReceiptKind.VOID if back.is_void else ReceiptKind.REFUND
    named = [(sale.basket.find(line), count) for line, count in back.lines]
    return _headed(core, kind, back.sequence, back.at_s)._replace(
        cashier=back.cashier,
        items=tuple(
            Item(_name(core, line.name_th, line.name_en), count, line.unit_satang, line.unit_satang * count)
            for line, count in named
        ),
        subtotal_satang=back.goods_satang,
        kgo=back.kgo,
        kgo_discount_satang=back.goods_satang - back.money_satang,  # also where its KGO round down to none
        total_satang=back.money_satang,
        tenders=(Tender("cash", back.money_satang),) if back.money_satang else (),
        original=number_text(sale.number),
        voucher=voucher_text(core, back.sequence),
    )


def slip_of(core: Core, kind: ReceiptKind, satang: int, why: str) -> Receipt:
    """Cash put into the drawer or taken out."""
    made = _headed(core, kind, 0, core.now().at_s)
    return made._replace(total_satang=satang, note=why)


def request_of(core: Core, voucher: Voucher, asked: Asked) -> Receipt:
    """What was asked of the city for another till's sale. It says that nothing has come back yet."""
    both = [Texts(language) for language in ("th", "en")]
    rows = [("device", voucher.device), ("kgo", f"KGO {format_minor(asked.kgo)}")]
    made = _headed(core, ReceiptKind.REFUND_REQUEST, 0, asked.at_s)
    return made._replace(
        number=asked.number,
        original=number_text(voucher.sequence),
        rows=tuple((EITHER.join(texts.get(f"receipt.ask.{key}") for texts in both), value) for key, value in rows),
        note=EITHER.join(texts.get("receipt.ask.note") for texts in both),
    )


def report_rows(
    totals: ShiftTotals, waiting: int, texts: Texts, status: SyncStatus | None = None
) -> list[tuple[str, str]]:
    """Label and value as they are printed; a row without a value is a heading, an empty one a rule. `status`: of the
    link, which knows what the city rejected."""
    baht = format_minor
    counted = totals.counted_satang
    rows: list[tuple[str, str]] = [
        ("sales", str(totals.sales)),
        ("pieces", str(totals.pieces)),
        ("bill", baht(totals.bill_satang)),
        ("goods_discount", baht(totals.goods_discount_satang)),
        ("vat", baht(totals.vat_satang)),
        ("", ""),
        ("paid_kgo", f"KGO {baht(totals.kgo)}"),
        ("paid_kgo_baht", baht(totals.kgo_satang)),
        ("paid_coupon", baht(totals.coupon_satang)),
        ("paid_cash", baht(totals.cash_satang)),
        ("paid_promptpay", baht(totals.promptpay_satang)),
        ("", ""),
        ("refunds", str(totals.refunds)),
        ("voids", str(totals.voids)),
        ("back", baht(totals.back_satang)),
        ("back_kgo", f"KGO {baht(totals.back_kgo)}"),
        ("back_cash", baht(totals.back_cash_satang)),
        ("", ""),
        ("float", baht(totals.float_satang)),
        ("cash_in", baht(totals.in_satang)),
        ("cash_out", baht(totals.out_satang)),
        ("expected", baht(totals.expected_satang)),
    ]
    if counted >= 0:
        rows += [("counted", baht(counted)), ("difference", baht(counted - totals.expected_satang))]
    rows += [("", ""), ("waiting", str(waiting))]
    if status is not None and status.rejected:
        rows.append(("rejected", str(len(status.rejected))))
        rows.append(("rejected_newest", " ".join(map(number_text, status.rejected_newest))))
    return [(texts.get(f"till.report.{key}") if key else "", value) for key, value in rows]


def report_of(core: Core, totals: ShiftTotals, at_s: int, waiting: int, *, is_z: bool) -> Receipt:
    """X or Z."""
    kind = ReceiptKind.Z_REPORT if is_z else ReceiptKind.X_REPORT
    made = _headed(core, kind, 0, at_s)
    rows = report_rows(totals, waiting, Texts(core.state.language), core.running.link_status())
    return made._replace(number=number_text(totals.number), rows=tuple(rows), language=Language(core.state.language))


def _headed(core: Core, kind: ReceiptKind, number: int, at_s: int) -> Receipt:
    words = core.parts.words
    shop = Shop(words.name, words.branch, words.address, words.tax_id)
    city = core.parts.station.certificate.city
    said = number_text(number) if number else ""
    return Receipt(kind, shop, said, at_s, cashier=core.who, is_training=is_training_city(city))


def _name(core: Core, name_th: str, name_en: str) -> str:
    return name_en if core.state.language == "en" and name_en else name_th

"""With what a sale is paid: KGO, coupon, cash, PromptPay, in any mix, until nothing is due. Pure. DESIGN §2, §5.

Cash is declared until the drawer is counted, and a PromptPay transfer is what the cashier says has come: neither is
verified. Cash comes last: change is given on nothing that may still be taken back. Never decides about KGO: a voucher
does.
"""

from enum import StrEnum
from typing import NamedTuple

from offline_ledger.errors import AmountNotPositive, AmountTooLong, NothingDue, TenderTooLarge
from offline_ledger.money import format_minor
from offline_ledger.rules.sale import BILL_SATANG_MAX


class TenderKind(StrEnum):
    """Ways to pay."""

    KGO = "kgo"
    COUPON = "coupon"
    CASH = "cash"
    PROMPTPAY = "promptpay"


SIGNED = frozenset({TenderKind.KGO, TenderKind.COUPON})
"""A voucher stands for these; taking one back takes a voucher too."""


class Tender(NamedTuple):
    """One part of a payment. `satang`: what of the bill it pays; `given_satang`: cash handed over, with what goes back
    as change; `sequence`: the voucher of KGO or coupon."""

    kind: TenderKind
    satang: int
    kgo: int = 0
    given_satang: int = 0
    sequence: int = 0


def due_satang(bill_satang: int, tenders: tuple[Tender, ...]) -> int:
    """What is still to be paid."""
    return bill_satang - sum(tender.satang for tender in tenders)


def cash(due: int, given_satang: int) -> Tender:
    """What the customer hands over; more than is due comes back as change. Raises AmountNotPositive, AmountTooLong,
    NothingDue."""
    if given_satang <= 0:
        raise AmountNotPositive(str(given_satang))
    if given_satang > BILL_SATANG_MAX:
        raise AmountTooLong(f"{format_minor(given_satang)}, at most {format_minor(BILL_SATANG_MAX)}")
    if due <= 0:
        raise NothingDue()
    return Tender(TenderKind.CASH, min(given_satang, due), given_satang=given_satang)


def promptpay(due: int, satang: int) -> Tender:
    """A transfer of so much. Raises AmountNotPositive, NothingDue, TenderTooLarge: nobody gives change on one."""
    if satang <= 0:
        raise AmountNotPositive(str(satang))
    if due <= 0:
        raise NothingDue()
    if satang > due:
        raise TenderTooLarge(f"{format_minor(satang)} of {format_minor(due)}")
    return Tender(TenderKind.PROMPTPAY, satang)


def change_satang(tenders: tuple[Tender, ...]) -> int:
    """What goes back to the customer."""
    return sum(tender.given_satang - tender.satang for tender in tenders if tender.kind is TenderKind.CASH)


def of_kind(tenders: tuple[Tender, ...], kind: TenderKind) -> int:
    """What of the bill this way has paid, satang."""
    return sum(tender.satang for tender in tenders if tender.kind is kind)


def kgo_of(tenders: tuple[Tender, ...]) -> int:
    """KGO of all vouchers among them."""
    return sum(tender.kgo for tender in tenders)


def sequence_of(tenders: tuple[Tender, ...], kind: TenderKind) -> int:
    """The voucher of this way; 0: none."""
    return next((tender.sequence for tender in tenders if tender.kind is kind), 0)

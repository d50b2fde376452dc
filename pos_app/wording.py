"""What the till says of a sale beside its light: which one is meant, and how much. DESIGN §5 "names the sale it paid".

Values for the lines of the headless till and, for each, the key of a sentence in the catalogue. Pure; decides nothing.
"""

from collections.abc import Mapping, Sequence

from offline_ledger.errors import AmountMismatch
from offline_ledger.money import format_minor
from offline_ledger.rules.sale import Usable, suggest_kgo
from pos_app.sale import OpenSale

Wording = tuple[dict[str, object], list[tuple[str, Mapping[str, str]]]]
"""Values of the line, and sentences: catalogue key with what stands in it."""


def open_values(sale: OpenSale) -> dict[str, object]:
    """The sale that waits for its code."""
    return {"open_sale": sale.sale, "open_bill_satang": sale.bill_satang, "open_kgo": sale.chosen_kgo}


def of_open_sale(sale: OpenSale, *, is_waiting: bool) -> Wording:
    """Another one was keyed in while this one is open. `is_waiting`: since before a power cut; it may be put aside."""
    sentences: list[tuple[str, Mapping[str, str]]] = [("till.open", _amounts(sale))]
    if is_waiting:
        sentences.append(("till.open_waits", {}))
    return {"sale_open": sale.sale, **open_values(sale)}, sentences


def of_waiting(waiting: Sequence[tuple[int, OpenSale]], still_open: OpenSale | None) -> Wording:
    """The list of sales that were charged and whose green nobody is known to have seen."""
    listed = [
        {
            "sale": sale.sale,
            "sequence": sequence,
            "bill_satang": sale.bill_satang,
            "kgo": sale.chosen_kgo,
            "open": sale == still_open,
        }
        for sequence, sale in waiting
    ]
    sentences: list[tuple[str, Mapping[str, str]]] = [
        ("till.waiting", {"sale": sale.sale, **_amounts(sale)}) for _sequence, sale in waiting
    ]
    return {"waiting_sales": listed}, sentences


def of_charged(sale: OpenSale) -> Wording:
    """Its customer did not come back within W: it counts as paid."""
    return {**_paid_values(sale), "lapsed": True}, [("till.charged", {"sale": sale.sale, **_amounts(sale)})]


def of_cancelled(sale: OpenSale) -> Wording:
    """The cashier voided a sale that waited."""
    return {"cancelled_sale": sale.sale}, [("till.cancelled", {"sale": sale.sale, **_amounts(sale)})]


def of_repeat(paid: OpenSale | None, still_open: OpenSale | None, *, is_waiting: bool = False) -> Wording:
    """A code that paid before. `paid`: the sale it paid, None when its voucher is no longer kept; `still_open`: another
    one, which it does not pay. `is_waiting`: the paid one has had no green yet."""
    values: dict[str, object] = {}
    sentences: list[tuple[str, Mapping[str, str]]] = []
    if still_open is not None:
        values |= open_values(still_open)
        sentences.append(("till.not_paid", _amounts(still_open)))
    if paid is not None:
        values |= _paid_values(paid)
        sentences.append(("till.paid_other", {"sale": paid.sale, **_amounts(paid)}))
        if is_waiting:
            sentences.append(("till.keeps_green", {"sale": paid.sale}))
    return values, sentences


def of_late_green(paid: OpenSale) -> Wording:
    """The green of a sale that a power cut interrupted: it is for that sale and no other."""
    return _paid_values(paid), [("till.late_green", {"sale": paid.sale, **_amounts(paid)})]


def of_last_paid(paid: OpenSale | None) -> Wording:
    """The sale that a code paid last, for a cashier who meant to cancel it; nothing since the start."""
    if paid is None:
        return {}, []
    return {"last_paid_sale": paid.sale}, [("till.last_paid", {"sale": paid.sale, **_amounts(paid)})]


def of_mismatch(refusal: AmountMismatch, sale: OpenSale) -> Wording:
    """The customer confirmed another amount than the open sale asks: both."""
    if refusal.confirmed_kgo is None or refusal.asked_kgo is None:
        return open_values(sale), []
    both = {"confirmed": format_minor(refusal.confirmed_kgo), "asked": format_minor(refusal.asked_kgo)}
    values = {"confirmed_kgo": refusal.confirmed_kgo, "asked_kgo": refusal.asked_kgo, **open_values(sale)}
    return values, [("till.amounts_differ", both)]


def _paid_values(paid: OpenSale) -> dict[str, object]:
    return {"paid_sale": paid.sale, "paid_bill_satang": paid.bill_satang, "paid_kgo": paid.chosen_kgo}


def _amounts(sale: OpenSale) -> dict[str, str]:
    return {"bill": format_minor(sale.bill_satang), "kgo": format_minor(sale.chosen_kgo)}


def of_usable(usable: Usable | None) -> dict[str, object]:
    """How many KGO would do; nothing while that is not known."""
    return {} if usable is None else {"usable_kgo": usable.kgo_max, "suggested_kgo": suggest_kgo(usable)}


def lacks(words: Sequence[str]) -> str | None:
    """Key of what to say of a command with too few words or too many; None: it is no command of a till."""
    match words:
        case ["sale"]:
            return "till.sale_lacks_bill"
        case ["sale", _bill]:
            return "till.sale_lacks_kgo"
        case ["sale", *_]:
            return "till.sale_too_much"
        case ["open"]:
            return "till.open_lacks_sale"
        case ["open" | "cancel", *_]:
            return "till.one_sale_only"
        case ["sales" | "aside", *_]:
            return "terminal.stands_alone"
        case _:
            return None

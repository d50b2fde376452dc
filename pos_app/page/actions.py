"""What a press on the page means for the desk: which fields each action has, and typed amounts taken apart. Pure.

Fields that an action does not have are left out: one form holds the typed amount for all buttons beside it. DESIGN §3.
"""

from collections.abc import Mapping

from offline_ledger.errors import PageFormUnfit

FIELD_CHARACTERS_MAX = 80
LINES_MAX = 200
"""Lines of one refund; a bill has fewer."""
_AMOUNT_OR_PERCENT = ("amount", "percent")
FIELDS: Mapping[str, tuple[str, ...]] = {
    "first_manager": ("name", "code", "pin"),
    "sign_in": ("code", "pin"),
    "lock": (),
    "language": ("language",),
    "approve": ("code", "pin"),
    "approve_cancel": (),
    "open_shift": ("float",),
    "add_amount": ("amount", "name", "quantity"),
    "add_item": ("sku", "quantity", "price"),
    "category": ("id",),
    "quantity": ("line", "quantity"),
    "discount": ("line", *_AMOUNT_OR_PERCENT),
    "bill_discount": _AMOUNT_OR_PERCENT,
    "remove": ("line",),
    "clear": (),
    "hold": ("label",),
    "held": (),
    "pay": (),
    "receipts": (),
    "shift": (),
    "drawer": (),
    "kgo": ("amount",),
    "cash": ("given",),
    "promptpay": ("amount",),
    "back": (),
    "drop_tender": ("index",),
    "cancel_sale": (),
    "kgo_cancel": (),
    "kgo_request": (),
    "promptpay_confirm": (),
    "promptpay_cancel": (),
    "next": (),
    "print": (),
    "recall": ("sale",),
    "receipt": ("number",),
    "find": ("query",),
    "reprint": ("number",),
    "void": ("number",),
    "refund_start": ("number",),
    "refund_sure": ("number", "lines", "amount"),
    "refund": ("number", "lines", "amount", "cash"),
    "ask_back": ("amount",),
    "cash_in": ("amount", "reason"),
    "cash_out": ("amount", "reason"),
    "count": ("amount",),
    "x_report": (),
    "handover": (),
    "close_shift": (),
}
"""Every action of the desk. What is not here is not passed on."""
TIMES = "×"
_OF_LINE = "q-"
"""A refund's form has one field for each line: how many of it come back."""


def fields_of(action: str, form: Mapping[str, str]) -> dict[str, str]:
    """What the desk is told. Raises PageFormUnfit: no such action, or a field longer than any of ours."""
    if action not in FIELDS:
        raise PageFormUnfit(f"no action {action[:20]}")
    if any(len(value) > FIELD_CHARACTERS_MAX for value in form.values()):
        raise PageFormUnfit(f"a field of more than {FIELD_CHARACTERS_MAX} characters")
    made = {**form, **_typed(action, form)}
    return {name: made[name].strip() for name in FIELDS[action] if made.get(name, "").strip()}


def _typed(action: str, form: Mapping[str, str]) -> Mapping[str, str]:
    """What the one typed field means for this action: `3×45` is a quantity and an amount."""
    typed = form.get("typed", "").strip().replace("x", TIMES).replace("*", TIMES)
    quantity, times, amount = typed.partition(TIMES)
    if not times:
        quantity, amount = "", typed
    match action:
        case "add_amount":
            return {"amount": amount, "quantity": quantity}
        case "add_item":
            return {"quantity": quantity, "price": amount if form.get("is_open") else ""}
        case "quantity":
            return {"quantity": quantity or amount}
        case "discount" | "bill_discount":
            return {"percent" if form.get("by") == "percent" else "amount": amount}
        case "kgo" | "promptpay":
            return {"amount": amount or form.get("suggested", "")}
        case "cash":
            return {"given": form.get("note") or amount or form.get("suggested", "")}
        case "open_shift":
            return {"float": amount}
        case "cash_in" | "cash_out" | "count" | "ask_back":
            return {"amount": amount}
        case "refund" | "refund_sure":
            return {"lines": _lines(form), "amount": amount}
        case _:
            return {}


def _lines(form: Mapping[str, str]) -> str:
    chosen = [(name.removeprefix(_OF_LINE), value.strip()) for name, value in form.items() if name.startswith(_OF_LINE)]
    found = [f"{line}:{quantity}" for line, quantity in chosen if quantity.strip("0")]
    if len(found) > LINES_MAX:
        raise PageFormUnfit(f"more than {LINES_MAX} lines")
    return ",".join(found)

"""Which key works on which screen, and which of them a stale picture may not press. Pure. DESIGN §2.

A table: action → screens. Whoever presses what is not on the screen hears so, and nothing happens. Actions on money and
goods carry the revision of the picture that was pressed: two taps on one picture are one.
"""

from enum import StrEnum

from offline_ledger.errors import NotNow, StaleScreen


class Screen(StrEnum):
    """What the cashier looks at."""

    FIRST_MANAGER = "first_manager"
    LOCKED = "locked"
    NO_SHIFT = "no_shift"
    SALE = "sale"
    PAY = "pay"
    WAIT_KGO = "wait_kgo"
    PROMPTPAY = "promptpay"
    DONE = "done"
    HELD = "held"
    RECEIPTS = "receipts"
    RECEIPT = "receipt"
    REFUND = "refund"
    ASK_BACK = "ask_back"
    SHIFT = "shift"
    REPORT = "report"


S = Screen
SIGNED_ON = frozenset(Screen) - {S.FIRST_MANAGER, S.LOCKED}
IN_SALE = frozenset({S.SALE, S.PAY, S.WAIT_KGO, S.PROMPTPAY})
EVERY = frozenset(Screen)
SELLING = frozenset({S.SALE, S.DONE})
"""The next sale may begin on the screen that thanks for the last one."""

WHERE: dict[str, frozenset[Screen]] = {
    "language": EVERY,
    "lock": SIGNED_ON,
    "approve": SIGNED_ON,
    "approve_cancel": SIGNED_ON,
    "first_manager": frozenset({S.FIRST_MANAGER}),
    "sign_in": frozenset({S.LOCKED}),
    "open_shift": frozenset({S.NO_SHIFT}),
    "add_amount": SELLING,
    "add_item": SELLING,
    "category": SELLING,
    "quantity": frozenset({S.SALE}),
    "discount": frozenset({S.SALE}),
    "bill_discount": frozenset({S.SALE}),
    "remove": frozenset({S.SALE}),
    "clear": frozenset({S.SALE}),
    "hold": frozenset({S.SALE, S.PAY}),
    "held": SELLING,
    "recall": frozenset({S.HELD}),
    "pay": frozenset({S.SALE}),
    "receipts": SELLING | {S.NO_SHIFT},
    "shift": SELLING,
    "drawer": SELLING | {S.SHIFT},
    "kgo": frozenset({S.PAY}),
    "kgo_cancel": frozenset({S.WAIT_KGO}),
    "kgo_request": frozenset({S.WAIT_KGO}),
    "cash": frozenset({S.PAY}),
    "promptpay": frozenset({S.PAY}),
    "promptpay_confirm": frozenset({S.PROMPTPAY}),
    "promptpay_cancel": frozenset({S.PROMPTPAY}),
    "drop_tender": frozenset({S.PAY}),
    "cancel_sale": frozenset({S.SALE, S.PAY}),
    "next": frozenset({S.DONE}),
    "print": frozenset({S.DONE, S.REPORT, S.ASK_BACK}),
    "receipt": frozenset({S.RECEIPTS}),
    "find": frozenset({S.RECEIPTS}),
    "reprint": frozenset({S.RECEIPT, S.DONE}),
    "void": frozenset({S.RECEIPT}),
    "refund_start": frozenset({S.RECEIPT}),
    "refund_sure": frozenset({S.REFUND}),
    "refund": frozenset({S.REFUND}),
    "ask_back": frozenset({S.ASK_BACK}),
    "cash_in": frozenset({S.SHIFT}),
    "cash_out": frozenset({S.SHIFT}),
    "count": frozenset({S.SHIFT}),
    "x_report": frozenset({S.SHIFT}),
    "handover": frozenset({S.SHIFT}),
    "close_shift": frozenset({S.SHIFT}),
    "back": frozenset({S.PAY, S.HELD, S.RECEIPTS, S.RECEIPT, S.REFUND, S.ASK_BACK, S.SHIFT, S.REPORT}),
}
FREE = frozenset(
    {"language", "add_amount", "add_item", "category", "find", "sign_in", "first_manager", "approve", "lock"}
)
"""May be pressed on any picture: the same key twice means it twice, or changes nothing the second time."""
BACK: dict[Screen, Screen] = {
    S.PAY: S.SALE,
    S.HELD: S.SALE,
    S.RECEIPTS: S.SALE,
    S.RECEIPT: S.RECEIPTS,
    S.REFUND: S.RECEIPT,
    S.ASK_BACK: S.RECEIPTS,
    S.SHIFT: S.SALE,
    S.REPORT: S.SHIFT,
}


def check_here(action: str, screen: Screen) -> None:
    """Raises NotNow: no such key on this screen."""
    if screen not in WHERE.get(action, frozenset()):
        raise NotNow(f"{action[:20]} on {screen.value}")


def check_fresh(action: str, seen: int, changed: int) -> None:
    """`seen`: the revision of the picture; `changed`: the one that last changed what counts. Raises StaleScreen."""
    if action not in FREE and seen < changed:
        raise StaleScreen(f"{action[:20]} on {seen}, now {changed}")

"""Who may do what at the till, and for what another person's PIN is asked. Pure. DESIGN §5 "under a role PIN".

A table: action → the least role that may do it alone. Who stands below it calls somebody, who signs for that one
action; the audit log names both.
"""

from enum import IntEnum


class Role(IntEnum):
    """Rising: each may do what those before it may."""

    CASHIER = 1
    SUPERVISOR = 2
    MANAGER = 3


NEEDS: dict[str, Role] = {
    "discount": Role.SUPERVISOR,
    "bill_discount": Role.SUPERVISOR,
    "void": Role.SUPERVISOR,
    "refund": Role.SUPERVISOR,
    "ask_back": Role.SUPERVISOR,
    "cancel_sale": Role.SUPERVISOR,
    "drawer": Role.SUPERVISOR,
    "cash_out": Role.SUPERVISOR,
    "close_shift": Role.SUPERVISOR,
}
"""Everything that makes goods, money or KGO leave without a sale; all else is every cashier's."""


def needed_for(action: str) -> Role:
    """The least role for it."""
    return NEEDS.get(action, Role.CASHIER)


def may_alone(role: Role, action: str) -> bool:
    """Does it need nobody else?"""
    return role >= needed_for(action)

"""What a program does that has nothing of its own to do, for `Running`. Pure."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from offline_ledger.errors import Refusal
from offline_ledger.terminal.outcome import Outcome

if TYPE_CHECKING:
    from offline_ledger.terminal.diagnosis import Part


def none_taken(_text: str) -> bool:
    """Every text that is read is a customer's code."""
    return False


def always_open() -> Refusal | None:
    """Nothing but its devices keeps this terminal from taking codes."""
    return None


def nothing_known() -> "Sequence[Part]":
    """A program that has no parts of its own."""
    return ()


def nothing_to_see() -> None:
    """A program that has nothing of its own to look at."""


def nothing_more(_outcome: Outcome) -> Mapping[str, object]:
    """A light that says all by itself."""
    return {}


def nothing_open() -> str:
    """A program in which nothing is ever left open."""
    return ""

"""What a till adds to the self-test: its printer, its screen, a wedge scanner, and that no sale is open. DESIGN §6."""

from typing import TYPE_CHECKING

from offline_ledger.terminal.commands import OwnCommand
from offline_ledger.terminal.selftest.own_command import self_test_command

if TYPE_CHECKING:
    from offline_ledger.terminal.selftest.command import Taking


def own_commands() -> tuple[OwnCommand, ...]:
    """`kgo-pos self-test`."""
    return (self_test_command(_taking),)


def _taking() -> "Taking":
    from pos_app.self_test_parts import TAKING

    return TAKING

"""What a validator adds to the self-test: its screen, its GPS receiver, and that no trip is open. DESIGN §6, §10."""

from typing import TYPE_CHECKING

from offline_ledger.terminal.commands import OwnCommand
from offline_ledger.terminal.selftest.own_command import self_test_command

if TYPE_CHECKING:
    from offline_ledger.terminal.selftest.command import Taking


def own_commands() -> tuple[OwnCommand, ...]:
    """`kgo-bus self-test`."""
    return (self_test_command(_taking),)


def _taking() -> "Taking":
    from bus_validator.self_test_parts import TAKING

    return TAKING

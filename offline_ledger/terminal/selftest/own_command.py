"""The words of `self-test`; what it does is loaded when it is asked for: `diagnose` and the others start without it."""

from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from offline_ledger.terminal.commands import OwnCommand
from offline_ledger.terminal.program import Place
from offline_ledger.texts import Texts
from offline_ledger.texts.command_line import Parser

if TYPE_CHECKING:
    from offline_ledger.terminal.selftest.command import Taking


def self_test_command(taking: "Callable[[], Taking]") -> OwnCommand:
    """The command, for one program; `taking` is called when it is asked for."""

    def act(place: Place, given: Namespace, texts: Texts) -> int:
        from offline_ledger.terminal.selftest.command import act as test

        return test(taking(), place, given, texts)

    return OwnCommand("self-test", add, act)


def add(parser: Parser) -> None:
    """Its options."""
    parser.add_argument("--only", action="append", metavar="PART", default=[])
    parser.add_argument("--alone", action="store_true")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--who", metavar="NAME")

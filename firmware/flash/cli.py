"""The words of `kgo-flash`: commands, options, and which function each runs. DESIGN §3.

Each group of commands stands in a file of its own, `cli_*.py`, with a function `add(add_command)`.
"""

from collections.abc import Callable

from firmware.flash import cli_card, cli_head, cli_label, cli_provision, cli_record, cli_release, cli_test, cli_watch
from firmware.flash.bench import AddCommand, adding, common_options
from offline_ledger.texts import Texts
from offline_ledger.texts.command_line import Commands, Parser

VERSION = "0.1.0"
GROUPS: tuple[Callable[[AddCommand], None], ...] = (
    cli_head.add,
    cli_watch.add,
    cli_release.add,
    cli_card.add,
    cli_provision.add,
    cli_record.add,
    cli_label.add,
    cli_test.add,
)


def build_parser(texts: Texts) -> Parser:
    """All commands. What each is for stands in the catalogue under `help.flash`."""
    parser = Parser(texts, "flash", "kgo-flash")
    parser.add_version(VERSION)
    add_command = adding(Commands(parser, common_options))
    for add in GROUPS:
        add(add_command)
    return parser

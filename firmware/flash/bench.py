"""What every command of `kgo-flash` is handed: words, terminal, clock, settings; and how it shows progress. DESIGN §3.

Never builds itself: `__main__` does, and tests do.
"""

from argparse import Namespace
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from firmware.flash.bench_settings import BenchSettings
from offline_ledger.texts import Texts
from offline_ledger.texts.command_line import Commands, Parser, common_option, language_option

OK = 0
REFUSED = 1
USAGE = 2


@dataclass(frozen=True, slots=True)
class Bench:
    """One run of the tool."""

    texts: Texts
    console: Console
    settings: BenchSettings
    now_s: Callable[[], int]

    def say(self, key: str, **values: object) -> None:
        """A line of the catalogue, by its key under `flash.`."""
        self.print(self.texts.get(f"flash.{key}", **values))

    def print(self, line: str) -> None:
        """A line as it is: no markup in it counts."""
        self.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def progress(self) -> Progress:
        """Bars, one a task: what, how far, how long. Where nobody watches, only what was said remains."""
        return Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=self.console,
            refresh_per_second=8,
        )


Run = Callable[[Bench, Namespace], int]
AddCommand = Callable[[str, Run], Parser]
"""Adds a command by its name; `help.flash.NAME` in the catalogue says what it is for."""


def adding(commands: Commands) -> AddCommand:
    """Adds to these."""

    def add_command(name: str, run: Run) -> Parser:
        made = commands.add(name)
        made.set_defaults(run=run)
        return made

    return add_command


def common_options(parser: Parser) -> None:
    """What may stand before or after the name of any command."""
    common_option(parser, "--settings", type=Path, metavar="FILE")
    language_option(parser)

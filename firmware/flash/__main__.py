"""`kgo-flash`: the composition root of the technician's tool. DESIGN §3.

Exit codes: 0 done, 1 refused (said with number, title and remedy), 2 wrong usage or settings, 75 worth trying again.
"""

import os
import sys
import time
from argparse import Namespace
from pathlib import Path

from rich.console import Console

from firmware.flash.bench import REFUSED, USAGE, Bench, Run
from firmware.flash.bench_settings import SETTINGS_NAME, read_bench_settings
from firmware.flash.bench_words import BenchTexts
from firmware.flash.cli import build_parser
from firmware.flash.output import standard_output
from offline_ledger.errors import SettingsInvalid
from offline_ledger.terminal.program import OWN_USER_ONLY, telling
from offline_ledger.texts import Texts
from offline_ledger.texts.command_line import choose_language, speak


def main(words: list[str] | None = None) -> int:
    """One command; its exit code."""
    os.umask(OWN_USER_ONLY)
    given = sys.argv[1:] if words is None else words
    texts = speak(choose_language(given, "bench.language", SETTINGS_NAME))
    said = build_parser(texts).parse_args(given)
    try:
        return telling(texts.language, lambda: _run(texts, said), BenchTexts)
    except KeyboardInterrupt:
        sys.stderr.write(texts.get("flash.stopped") + "\n")
        return REFUSED


def _run(texts: Texts, said: Namespace) -> int:
    named: Path | None = getattr(said, "settings", None)
    try:
        settings = read_bench_settings(named, texts.language)
    except SettingsInvalid as wrong:
        sys.stderr.write("\n".join(wrong.problems) + "\n")
        return USAGE
    run: Run = said.run
    return run(
        Bench(BenchTexts(texts.language), Console(file=standard_output()), settings, lambda: int(time.time())), said
    )


if __name__ == "__main__":
    sys.exit(main())

"""`kgo-city`: the composition root of the city's program. DESIGN §3.

Exit codes: 0 done, 1 refused or findings, 2 wrong usage or settings. Refusals are said by number, title and remedy;
a user never sees a stack trace of one.
"""

import os
import sys
import time
from argparse import Namespace
from pathlib import Path

from offline_ledger.city.cli import Run, build_parser
from offline_ledger.city.console import OK, REFUSED, Console
from offline_ledger.city.settings import SETTINGS_NAME, CitySettings, read_city_settings
from offline_ledger.errors import Refusal, UsageWrong
from offline_ledger.rules.limits import Limits
from offline_ledger.texts import Texts
from offline_ledger.texts.command_line import choose_language, speak

_PRIVATE = 0o077


def main(words: list[str] | None = None) -> int:
    """One command; its exit code."""
    os.umask(_PRIVATE)
    given = sys.argv[1:] if words is None else words
    texts = speak(choose_language(given, "console.language", SETTINGS_NAME))
    said = build_parser(texts).parse_args(given)
    run: Run = said.run
    console = _console(texts, None)
    try:
        if said.command == "enrol" and (said.request is None) != (said.out is None):
            raise UsageWrong((texts.get("usage.together", first="--request", second="--out"),))
        return run(_console(texts, _settings(said, texts.language)), said)
    except Refusal as refusal:
        return console.refused(refusal)
    except BrokenPipeError:  # `kgo-city … | head`: nobody reads on
        sys.stdout = None
        return OK
    except KeyboardInterrupt:
        console.warn(console.text("stopped"))
        return REFUSED


def _settings(said: Namespace, language: str) -> CitySettings | None:
    if said.command == "init":
        return None
    file: Path = getattr(said, "settings", None) or Path(SETTINGS_NAME)
    return read_city_settings(file, language)


def _console(texts: Texts, settings: CitySettings | None) -> Console:
    return Console(
        texts=texts,
        say=lambda text: print(text, flush=True),
        warn=lambda text: print(text, file=sys.stderr, flush=True),
        now_s=lambda: int(time.time()),
        limits=Limits(),
        settings=settings,
    )


if __name__ == "__main__":
    sys.exit(main())

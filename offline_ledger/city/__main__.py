"""`kgo-city`: the composition root of the city's program. DESIGN §3.

Exit codes: 0 done, 1 refused or findings, 2 wrong usage or settings. Refusals are said by number, title and remedy;
a user never sees a stack trace of one.
"""

import os
import sys
import time
from argparse import Namespace
from contextlib import suppress
from pathlib import Path

from offline_ledger.city.cli import Run, build_parser
from offline_ledger.city.console import OK, REFUSED, Console
from offline_ledger.city.settings import SETTINGS_NAME, CitySettings, read_city_settings
from offline_ledger.errors import OutputLost, Refusal, UsageWrong
from offline_ledger.rules.limits import Limits
from offline_ledger.texts import Texts
from offline_ledger.texts.command_line import choose_language, speak

_PRIVATE = 0o077


def main(words: list[str] | None = None) -> int:
    """One command; its exit code."""
    os.umask(_PRIVATE)
    given = sys.argv[1:] if words is None else words
    texts = speak(choose_language(given, "console.language", SETTINGS_NAME))
    console = _console(texts, None)
    try:
        said = _parsed(texts, given)
        run: Run = said.run
        if said.command == "enrol":
            _check_enrol(said, texts)
        return run(_console(texts, _settings(said, texts.language)), said)
    except Refusal as refusal:
        return console.refused(refusal)
    except BrokenPipeError:  # `kgo-city … | head`: nobody reads on
        sys.stdout = None
        return OK
    except KeyboardInterrupt:
        console.warn(console.text("stopped"))
        return REFUSED


def _check_enrol(said: Namespace, texts: Texts) -> None:
    """A request and where its answer goes, or neither. Raises UsageWrong."""
    asked, told = (said.request, said.request_code), (said.out, said.out_codes)
    if None not in asked:
        raise UsageWrong((texts.get("usage.one_of", first="--request", second="--request-code"),))
    if (asked == (None, None)) != (told == (None, None)):
        raise UsageWrong((texts.get("usage.together", first="--request", second="--out"),))


def _parsed(texts: Texts, given: list[str]) -> Namespace:
    """The words of the command line; help and version end here. Raises OutputLost when the version did not get out."""
    try:
        return build_parser(texts).parse_args(given)
    except SystemExit:
        if sys.stdout is not None:  # help on a closed output: nobody asked to see it
            _say("", end="")
        raise


def _say(text: str, end: str = "\n") -> None:
    """To standard output, at once. Raises OutputLost: it is full or closed; BrokenPipeError: nobody reads on."""
    if sys.stdout is None:
        raise OutputLost("standard output is closed")
    try:
        print(text, end=end, flush=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        sys.stdout = None  # or what it still holds would fail again at the end
        raise OutputLost(f"standard output: {error.strerror}") from error


def _warn(text: str) -> None:
    """To standard error; when that is lost too, the exit code has to do."""
    with suppress(OSError):
        print(text, file=sys.stderr, flush=True)


def _settings(said: Namespace, language: str) -> CitySettings | None:
    if said.command == "init":
        return None
    file: Path = getattr(said, "settings", None) or Path(SETTINGS_NAME)
    return read_city_settings(file, language)


def _console(texts: Texts, settings: CitySettings | None) -> Console:
    return Console(
        texts=texts,
        say=_say,
        warn=_warn,
        now_s=lambda: int(time.time()),
        limits=Limits(),
        settings=settings,
        steady_s=lambda: int(time.clock_gettime(time.CLOCK_BOOTTIME)),
    )


if __name__ == "__main__":
    sys.exit(main())

"""`kgo-sim town`: the town on the desk, left running until Ctrl-C, with its addresses in two languages. DESIGN §3, §11.

With `--if-terminal`, as `make demo` calls it, only where somebody watches: standard input and output are terminals and
ONCE is not 1. Exit code 2 for a folder that is not ours to empty or is in use, or a port that is taken.
"""

import contextlib
import os
import secrets
import signal
import sys
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from threading import Event
from types import FrameType
from typing import TYPE_CHECKING

from offline_ledger.texts import LANGUAGES, Texts
from offline_ledger.texts.command_line import Commands, whole
from simulators.demo.processes import DeadlinePassed, ToolFailed
from simulators.demo.run import FolderInUse, FolderNotOurs, alone, check_ours, empty
from simulators.demo.table import padded, width_of
from simulators.head.interpreter import InterpreterMissing
from simulators.pcsc import PcscUnavailable
from simulators.qr_picture import qr_blocks

if TYPE_CHECKING:
    from simulators.town_desk.page import TownPage
    from simulators.town_desk.town import TownDesk

OK, BROKEN, USAGE, INTERRUPTED = 0, 1, 2, 130
FOLDER = Path("build/town")
PORT, PORT_MAX, SEED_MAX = 8_800, 65_535, 2**32
ONCE = "ONCE"
ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Ctrl-C, somebody's `kill`, a window that is closed."""
_FAILED = (DeadlinePassed, ToolFailed, OSError, PcscUnavailable, InterpreterMissing)


def add_town(commands: Commands, texts: Texts) -> None:
    """The command's words."""
    made = commands.add("town")
    made.add_argument("--folder", type=Path, default=FOLDER, metavar="DIR")
    made.add_argument("--port", type=whole(texts, 0, PORT_MAX), default=None, metavar="PORT")
    made.add_argument("--no-cards", action="store_true")
    made.add_argument("--lan", action="store_true")
    made.add_argument("--if-terminal", action="store_true")


def town(texts: Texts, said: Namespace, environment: Mapping[str, str] = os.environ) -> int:
    """Serves the town until it is told to stop; the exit code."""
    if said.if_terminal and (environment.get(ONCE) == "1" or not (sys.stdin.isatty() and sys.stdout.isatty())):
        return OK
    from simulators.local_page import listening, port_near

    folder: Path = said.folder.resolve()
    try:
        if said.port:
            listening(said.port).close()  # told before a city is founded for a page that nobody could open
    except OSError:
        return _told(texts.get("sim.town.port_taken", port=said.port), USAGE)
    for one in ENDS:
        signal.signal(one, _end_once)
    try:
        check_ours(folder)
        with alone(folder):
            empty(folder)
            return _serve(said, folder, port_near(PORT) if said.port is None else said.port)
    except FolderNotOurs as trouble:
        return _told(texts.get("demo.folder_not_ours", folder=trouble), USAGE)
    except FolderInUse as trouble:
        return _told(texts.get("demo.folder_in_use", folder=trouble), USAGE)
    except _FAILED as trouble:
        return _told(texts.get("sim.town.failed", trouble=trouble, folder=folder), BROKEN)
    except KeyboardInterrupt:
        return _told(texts.get("sim.town.stopped"), INTERRUPTED)


def _serve(said: Namespace, folder: Path, port: int) -> int:
    from simulators.town_desk.hands import TownHands
    from simulators.town_desk.page import TownPage
    from simulators.town_desk.town import TownDesk, TownPlan

    _say("sim.town.founding")
    plan = TownPlan(has_cards=not said.no_cards, lan=said.lan, is_fixed=said.port != 0)
    with TownDesk(folder, secrets.randbelow(SEED_MAX), plan) as desk:
        with TownPage(desk, TownHands(desk), port) as page, contextlib.suppress(KeyboardInterrupt):  # its usual end
            print(addresses(desk, page), flush=True)
            Event().wait()
        _say("sim.town.stopping")
    _say("sim.town.stopped")
    return OK


def _end_once(_number: int, _frame: FrameType | None) -> None:
    """The first word to end is obeyed; a second one would only keep it from ending what it started."""
    for one in ENDS:
        signal.signal(one, signal.SIG_IGN)
    raise KeyboardInterrupt


def addresses(desk: "TownDesk", page: "TownPage") -> str:
    """Where everything is, Thai and English, with the people who may sign in."""
    from simulators.shop_desk.till import PEOPLE, PIN_TEST_ONLY

    wallet = desk.wallet_page.url
    rows = [
        ("town", page.url),
        ("shop", desk.shop.url),
        ("customer", f"{desk.shop.url}customer"),
        ("bus", desk.bus_page.url),
        ("wallet", wallet),
        ("wallet2", wallet.replace("//localhost:", "//127.0.0.1:")),
    ]
    if desk.lan_page is not None:
        rows.append(("lan", desk.lan_page.url))
    named = [([text.get(f"sim.town.page.{name}") for text in _both()], url) for name, url in rows]
    widths = [max(width_of(words[at]) for words, _url in named) for at in range(len(LANGUAGES))]
    lines = [
        "  ".join(padded(word, width, right=False) for word, width in zip(words, widths, strict=True)) + f"  {url}"
        for words, url in named
    ]
    people = ", ".join(f"{code} {name}" for code, name, _role in PEOPLE)
    more = [text.get("sim.town.cashiers", people=people, pin=PIN_TEST_ONLY) for text in _both()]
    if desk.lan_page is not None:
        more += [qr_blocks(desk.lan_page.url.upper())]
        more += [text.get("sim.town.lan", ca=f"{desk.lan_page.url}ca.crt") for text in _both()]
    elif desk.plan.lan:
        more += [text.get("sim.town.lan_none") for text in _both()]
    more += [text.get("sim.town.ends") for text in _both()]
    return "\n".join(["", *lines, "", *more])


def _both() -> tuple[Texts, Texts]:
    return Texts("th"), Texts("en")


def _say(key: str) -> None:
    with contextlib.suppress(OSError):  # the window may be gone by now
        print(" · ".join(text.get(key) for text in _both()), flush=True)


def _told(text: str, code: int) -> int:
    with contextlib.suppress(OSError):
        print(text, file=sys.stderr)
    return code

"""`kgo-sim bench`: all that docs/technician.md needs: boards, MicroPython, a card, a terminal, releases, a city.

Stays until `quit`, the end of its input, Ctrl-C or SIGTERM; then every board, the terminal and the city are ended and
every drive is unmounted. What is asked of it comes as lines: `bootsel 1`, `press 1 2`, `boot`, `look`. DESIGN §3, §11.
"""

import fcntl
import hashlib
import shutil
import sys
from argparse import Namespace
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path

from firmware.flash.card_settings import CA_NAME
from firmware.flash.release.making import own_python
from offline_ledger.texts import Texts
from offline_ledger.texts.command_line import Commands, whole
from simulators.bench_desk.boards import HANDS, Boards
from simulators.bench_desk.folder import begin_afresh, is_taken, note_made
from simulators.bench_desk.releases import make_releases
from simulators.bench_desk.terminal import DEVICE, Terminal, own_system
from simulators.board import Base, uf2_of
from simulators.demo.city import CITY, CityProgram

OK, USAGE = 0, 2
BOARDS, BOARDS_MAX = 2, 20
FOLDER = Path("build/bench-desk")
LINE_CHARACTERS_MAX = 1_000
LINES_MAX = 100_000
BY_HAND, ROLE, OWNER = "bus-9", "validator", "city-bus"
"""A second terminal, whose program is installed and not enrolled."""
SETTINGS = "bench.toml"


def add_bench(commands: Commands, texts: Texts) -> None:
    """The command's words."""
    made = commands.add("bench")
    made.add_argument("folder", type=Path, nargs="?", default=FOLDER, metavar="DIR")
    made.add_argument("--boards", type=whole(texts, 1, BOARDS_MAX), default=BOARDS, metavar="N")
    made.add_argument("--heads", action="store_true")


def bench(texts: Texts, said: Namespace) -> int:
    """The bench until it is told to stop; the exit code."""
    folder: Path = said.folder.resolve()
    if is_taken(folder):
        print(texts.get("sim.bench.taken", folder=folder), file=sys.stderr)
        return USAGE
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock = (folder.parent / f".{folder.name}.lock").open("w")
    except OSError as trouble:
        print(texts.get("sim.bench.no_folder", folder=folder, reason=trouble.strerror), file=sys.stderr)
        return USAGE
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            print(texts.get("sim.bench.runs", folder=folder), file=sys.stderr)
            return USAGE
        return _run(texts, folder, said.boards, is_heads_only=said.heads)


def _run(texts: Texts, folder: Path, count: int, *, is_heads_only: bool) -> int:
    try:
        aside = begin_afresh(folder)
    except OSError as trouble:
        print(texts.get("sim.bench.no_folder", folder=folder, reason=trouble.strerror or trouble), file=sys.stderr)
        return USAGE
    if aside is not None:
        print(texts.get("sim.bench.aside", folder=aside), flush=True)
    with ExitStack() as open_, suppress(KeyboardInterrupt):
        city = open_.enter_context(CityProgram(folder / "city"))
        city.init()
        system = None if is_heads_only else own_system()
        package = None if system is None else make_releases(folder)
        _give_out(city)
        city.serve()
        boards = open_.enter_context(Boards(folder, count))
        digest = _write(folder, city)
        terminal = None
        if system is not None:
            head = boards.boards[count].port
            made = Terminal(folder, system, head, city.url, lambda line: print(line, flush=True))
            terminal = open_.enter_context(made)
        note_made(folder)
        ready = texts.get("sim.bench.ready", folder=folder, sha256=digest, url=city.url, device=DEVICE, by_hand=BY_HAND)
        print(ready, flush=True)
        if package is not None:
            print(texts.get("sim.bench.card", package=package.name, system=str(system).capitalize()), flush=True)
        elif not is_heads_only:
            print(texts.get("sim.bench.no_card", python=own_python()), flush=True)
        _told(texts, boards)
        _obey(texts, boards, terminal, sys.stdin)
    print(texts.get("sim.bench.stopped"), flush=True)
    return OK


def _give_out(city: CityProgram) -> None:
    """The city gives the releases out to terminals."""
    said = city.settings.read_text(encoding="utf-8")
    city.settings.write_text(said.replace("[serve]\n", '[serve]\nreleases = "../releases"\n', 1), encoding="utf-8")


def _write(folder: Path, city: CityProgram) -> str:
    """What `kgo-flash` is handed: MicroPython for these boards, settings, tokens, a device that is not enrolled.
    Returns the base's SHA-256."""
    base = uf2_of(Base())
    (folder / "micropython.uf2").write_bytes(base)
    digest = hashlib.sha256(base).hexdigest()
    shutil.copyfile(city.ca_file, folder / CA_NAME)
    for device in (DEVICE, BY_HAND):
        (folder / f"{device}.token").write_text(city.token(device, ROLE, OWNER) + "\n", encoding="ascii")
    (folder / BY_HAND).mkdir()
    (folder / BY_HAND / "bus.toml").write_text(
        f'[device]\ncity = "{CITY}"\nid = "{BY_HAND}"\n\n[city]\nurl = "{city.url}"\nca_file = "../{CA_NAME}"\n\n'
        f'[head]\nport = "{folder}/ports/board01"\n',
        encoding="utf-8",
    )
    (folder / SETTINGS).write_text(
        f"""[bench]
record = "bench.db"
technician = "Somchai"

[head]
base = "micropython.uf2"
base_sha256 = "{digest}"
ports = "{folder}/ports/board[0-9][0-9]"
drives = "{folder}/drives/*"

[city]
id = "{CITY}"
url = "{city.url}"
ca_file = "{CA_NAME}"
""",
        encoding="utf-8",
    )
    return digest


def _obey(texts: Texts, boards: Boards, terminal: Terminal | None, lines: Iterable[str]) -> None:
    for _, line in zip(range(LINES_MAX), lines, strict=False):
        word, _, rest = line[:LINE_CHARACTERS_MAX].strip().partition(" ")
        if word == "quit":
            return
        if word == "look":
            _told(texts, boards)
        elif word in TERMINAL_HANDS and terminal is not None and not rest:
            key = TERMINAL_HANDS[word](terminal)
            print(texts.get(f"sim.bench.{key}", device=DEVICE), flush=True)
        elif word:
            _handle(texts, boards, word, rest)


def _handle(texts: Texts, boards: Boards, word: str, rest: str) -> None:
    number, _, more = rest.partition(" ")
    try:
        boards.obey(word, int(number), more.strip())
    except (KeyError, ValueError):
        known = {"words": ", ".join(HANDS), "more": ", ".join(TERMINAL_HANDS), "high": len(boards.boards)}
        print(texts.get("sim.bench.words", **known), flush=True)
    except (RuntimeError, TimeoutError, AssertionError) as trouble:
        print(texts.get("sim.bench.failed", word=word, number=number, reason=trouble), flush=True)
    else:
        _say(texts, boards, int(number))


def _stopped(terminal: Terminal) -> str:
    terminal.stop()
    return "terminal_stopped"


TERMINAL_HANDS: Mapping[str, Callable[[Terminal], str]] = {
    "boot": lambda terminal: "terminal_runs" if terminal.boot() else "terminal_waits",
    "start": lambda terminal: "terminal_runs" if terminal.start() else "terminal_waits",
    "stop": _stopped,
}
"""What is done with the terminal, and the key of what came of it."""


def _told(texts: Texts, boards: Boards) -> None:
    for number in boards.boards:
        _say(texts, boards, number)


def _say(texts: Texts, boards: Boards, number: int) -> None:
    state = boards.told(number)
    port = boards.boards[number].port
    print(texts.get("sim.bench.board", number=number, state=state, port=port), flush=True)

"""`kgo-sim bench`: boards on ports and drives, MicroPython to put on them, a city with a token. DESIGN §3, §11.

Stays until `quit`, the end of its input, Ctrl-C or SIGTERM; then every board and the city are ended and every drive is
unmounted. What is asked of it comes as lines: `bootsel 1`, `press 1 2`, `look`.
"""

import fcntl
import hashlib
import os
import shutil
import sys
from argparse import Namespace
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from offline_ledger.texts import Texts
from offline_ledger.texts.command_line import Commands, whole
from simulators.bench_desk.boards import HANDS, Boards
from simulators.board import Base, uf2_of
from simulators.demo.city import CITY, CityProgram

OK, USAGE = 0, 2
BOARDS, BOARDS_MAX = 2, 20
FOLDER = Path("build/bench-desk")
LINE_CHARACTERS_MAX = 1_000
LINES_MAX = 100_000
DEVICE, ROLE, OWNER = "bus-8", "validator", "city-bus"
MARK = "bench.toml"


def add_bench(commands: Commands, texts: Texts) -> None:
    """The command's words."""
    made = commands.add("bench")
    made.add_argument("folder", type=Path, nargs="?", default=FOLDER, metavar="DIR")
    made.add_argument("--boards", type=whole(texts, 1, BOARDS_MAX), default=BOARDS, metavar="N")


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
        return _run(texts, folder, said.boards)


def is_taken(folder: Path) -> bool:
    """Is there something that is no bench of ours? It is not to be emptied."""
    if not os.path.lexists(folder):
        return False
    return not folder.is_dir() or (any(folder.iterdir()) and not (folder / MARK).exists())


def _run(texts: Texts, folder: Path, count: int) -> int:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    with CityProgram(folder / "city") as city, Boards(folder, count) as boards, suppress(KeyboardInterrupt):
        city.init()
        city.serve()
        digest = _write(folder)
        token = city.token(DEVICE, ROLE, OWNER)
        ready = texts.get("sim.bench.ready", folder=folder, sha256=digest, url=city.url, device=DEVICE, token=token)
        print(ready, flush=True)
        _told(texts, boards)
        _obey(texts, boards, sys.stdin)
    print(texts.get("sim.bench.stopped"), flush=True)
    return OK


def _write(folder: Path) -> str:
    """What `kgo-flash` is handed: MicroPython for these boards, and its settings. Returns the base's SHA-256."""
    base = uf2_of(Base())
    (folder / "micropython.uf2").write_bytes(base)
    digest = hashlib.sha256(base).hexdigest()
    (folder / MARK).write_text(
        f"""[bench]
record = "bench.db"

[head]
base = "micropython.uf2"
base_sha256 = "{digest}"
ports = "{folder}/ports/board[0-9][0-9]"
drives = "{folder}/drives/*"

[city]
id = "{CITY}"
""",
        encoding="utf-8",
    )
    return digest


def _obey(texts: Texts, boards: Boards, lines: Iterable[str]) -> None:
    for _, line in zip(range(LINES_MAX), lines, strict=False):
        word, _, rest = line[:LINE_CHARACTERS_MAX].strip().partition(" ")
        if word == "quit":
            return
        if word == "look":
            _told(texts, boards)
        elif word:
            _handle(texts, boards, word, rest)


def _handle(texts: Texts, boards: Boards, word: str, rest: str) -> None:
    number, _, more = rest.partition(" ")
    try:
        boards.obey(word, int(number), more.strip())
    except (KeyError, ValueError):
        print(texts.get("sim.bench.words", words=", ".join(HANDS), high=len(boards.boards)), flush=True)
    except (RuntimeError, TimeoutError, AssertionError) as trouble:
        print(texts.get("sim.bench.failed", word=word, number=number, reason=trouble), flush=True)
    else:
        _say(texts, boards, int(number))


def _told(texts: Texts, boards: Boards) -> None:
    for number in boards.boards:
        _say(texts, boards, number)


def _say(texts: Texts, boards: Boards, number: int) -> None:
    state = boards.told(number)
    port = boards.boards[number].port
    print(texts.get("sim.bench.board", number=number, state=state, port=port), flush=True)

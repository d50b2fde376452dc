"""`kgo-sim bus`: the bus on the desk, with a page to play with it or a scenario that plays by itself. DESIGN §3, §11.

Exit code 0 only if every light, figure and process was as expected; 2 for a scenario with mistakes, a folder that is
not ours to empty or is in use, or a port that is taken. Everything it made stays in its folder.
"""

import contextlib
import secrets
import sys
from argparse import Namespace
from pathlib import Path

from offline_ledger.texts import Texts
from offline_ledger.texts.command_line import Commands, whole
from simulators.bus_desk.desk import THEMES, BusDesk, Look
from simulators.bus_desk.hands import Hands
from simulators.bus_desk.play import Played, Record, play
from simulators.bus_desk.scenario import SEED_MAX, ScenarioWrong, read_scenario
from simulators.bus_desk.watch import Watch
from simulators.demo.processes import DeadlinePassed, ToolFailed
from simulators.demo.run import FolderInUse, FolderNotOurs, alone, check_ours, empty
from simulators.head.interpreter import InterpreterMissing
from simulators.pcsc import PcscUnavailable

OK, BROKEN, USAGE, INTERRUPTED = 0, 1, 2, 130
FOLDER = Path("build/bus")
PORT_MAX = 65_535
_FAILED = (DeadlinePassed, ToolFailed, OSError, PcscUnavailable, InterpreterMissing)


def add_bus(commands: Commands, texts: Texts) -> None:
    """The command's words."""
    made = commands.add("bus")
    made.add_argument("--folder", type=Path, default=FOLDER, metavar="DIR")
    made.add_argument("--port", type=whole(texts, 0, PORT_MAX), default=0, metavar="PORT")
    made.add_argument("--small", action="store_true")
    made.add_argument("--theme", choices=THEMES, default=THEMES[0])
    made.add_argument("--no-cards", action="store_true")
    made.add_argument("--scenario", type=Path, metavar="FILE")
    made.add_argument("--out", type=Path, metavar="DIR")
    made.add_argument("--seed", type=whole(texts, 0, SEED_MAX), default=None)


def bus(texts: Texts, said: Namespace) -> int:
    """Plays the scenario, or serves the page until it is told to stop; the exit code."""
    folder: Path = said.folder.resolve()
    try:
        scenario = read_scenario(said.scenario) if said.scenario is not None else None
    except ScenarioWrong as wrong:
        print(texts.get("sim.bus.scenario_wrong", file=said.scenario), *wrong.mistakes, sep="\n", file=sys.stderr)
        return USAGE
    if scenario is None and is_taken(said.port):
        print(texts.get("sim.bus.port_taken", port=said.port), file=sys.stderr)
        return USAGE
    try:
        check_ours(folder)
        with alone(folder):
            empty(folder)
            if scenario is None:
                return _serve(texts, said, folder)
            out: Path = said.out.resolve() if said.out is not None else folder / "out"
            out.mkdir(parents=True, exist_ok=True)
            seed = said.seed if said.seed is not None else scenario.seed
            played, record = play(scenario, folder, out, seed, lambda line: print(line, flush=True))
            return _end(texts, played, record, out)
    except FolderNotOurs as trouble:
        print(texts.get("demo.folder_not_ours", folder=trouble), file=sys.stderr)
        return USAGE
    except FolderInUse as trouble:
        print(texts.get("demo.folder_in_use", folder=trouble), file=sys.stderr)
        return USAGE
    except _FAILED as trouble:
        print(texts.get("sim.bus.failed", trouble=trouble, folder=folder), file=sys.stderr)
        return BROKEN
    except KeyboardInterrupt:
        print(texts.get("sim.bus.stopped"), file=sys.stderr)
        return INTERRUPTED


def is_taken(port: int) -> bool:
    """Told before a city is founded for a page that nobody could open."""
    from simulators.local_page import listening

    try:
        listening(port).close()
    except OSError:
        return True
    return False


def _end(texts: Texts, played: Played, record: Record, out: Path) -> int:
    from simulators.bus_desk.report import write_report
    from simulators.bus_desk.sheet import draw_sheets

    write_report(played, record.seen, record.began_us, out)
    draw_sheets(played.steps, out / "screens", out)
    figures = played.figures
    shown = {
        "vouchers": figures.vouchers,
        "passengers": sum(people for people, _coins in figures.trips.values()),
        "coins": figures.coins_satang // 100,
        "acked": figures.acked,
    }
    print(texts.get("sim.bus.figures", **shown))
    print(texts.get("sim.bus.left", seconds=f"{played.seconds:.1f}", folder=out), flush=True)
    for fault in played.broken:
        print(texts.get("sim.bus.broken", fault=fault), file=sys.stderr)
    return BROKEN if played.broken else OK


def _serve(texts: Texts, said: Namespace, folder: Path) -> int:
    from simulators.bus_desk.page import serve

    look = Look("small" if said.small else "large", said.theme, has_cards=not said.no_cards)
    seed = said.seed if said.seed is not None else secrets.randbelow(SEED_MAX)
    print(texts.get("sim.bus.founding"), flush=True)
    with BusDesk(folder, seed, look) as desk, Watch(desk) as watch, Hands(desk, watch, seed) as hands:
        with contextlib.suppress(KeyboardInterrupt):  # the usual end of a page
            serve(desk, watch, hands, said.port, lambda url: print(texts.get("sim.bus.open", url=url), flush=True))
    print(texts.get("sim.bus.stopped"), flush=True)
    return OK

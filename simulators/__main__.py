"""`kgo-sim`: the simulated town as commands. Today: `demo`, the whole story on one desk. DESIGN §3."""

import argparse
import secrets
import signal
import sys
from pathlib import Path

from simulators.demo.run import run

SEED_MAX = 2**32
FOLDER = Path("build/demo")
VERSION = "0.1.0"


def main() -> int:
    """Entry point of `kgo-sim`."""
    parser = argparse.ArgumentParser(prog="kgo-sim", description="The town of the acceptance system, simulated.")
    parser.add_argument("--version", action="version", version=f"kgo-sim {VERSION}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    demo = commands.add_parser(
        "demo", help="shop, bus, outage, power cut, sync, audit; checks every promise and exits with 1 if one broke"
    )
    demo.add_argument("--seed", type=int, default=None, help="repeats a run; without it a new one is drawn and printed")
    demo.add_argument(
        "--folder",
        type=Path,
        default=None,
        help=f"where everything is left, figures in demo.json too: new, empty or of an earlier demo, which is emptied "
        f"(default: {FOLDER}, figures beside it in {FOLDER}.json)",
    )
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that every process of the demo is ended
    seed: int = asked.seed if asked.seed is not None else secrets.randbelow(SEED_MAX)
    named: Path | None = asked.folder
    folder = (named or FOLDER).resolve()
    return run(folder, seed, folder / "demo.json" if named else folder.with_suffix(".json"))


if __name__ == "__main__":
    sys.exit(main())

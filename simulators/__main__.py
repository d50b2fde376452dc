"""`kgo-sim`: the simulated town as commands: `demo`, the whole story; `town`, all of it left running; `bus`, one bus on
a desk; `bench`, a technician's bench; `phone`, one phone by hand; `wallet`, a wallet as a web page. DESIGN §3."""

import secrets
import signal
import sys
from pathlib import Path

from offline_ledger.texts import Texts
from offline_ledger.texts.command_line import Commands, Parser, choose_language, language_option, speak, whole
from simulators.bench_desk.run import add_bench, bench
from simulators.bus_desk.run import add_bus, bus
from simulators.demo.run import run
from simulators.phone import add_phone, phone
from simulators.town_desk.run import add_town, town
from simulators.wallet_page.run import add_wallet, wallet

SEED_MAX = 2**32
FOLDER = Path("build/demo")
VERSION = "0.1.0"


def build_parser(texts: Texts) -> Parser:
    """All commands. What each is for stands in the catalogue under `help.sim`."""
    parser = Parser(texts, "sim", "kgo-sim")
    parser.add_version(VERSION)
    commands = Commands(parser, language_option)
    demo = commands.add("demo")
    demo.add_argument("--seed", type=whole(texts, 0, SEED_MAX**2 >> 16), default=None)
    demo.add_argument("--folder", type=Path, default=None)
    add_town(commands, texts)
    add_bus(commands, texts)
    add_bench(commands, texts)
    add_phone(commands, texts)
    add_wallet(commands, texts)
    return parser


def main() -> int:
    """Entry point of `kgo-sim`."""
    texts = speak(choose_language(sys.argv[1:]))
    asked = build_parser(texts).parse_args()
    if asked.command == "phone":
        return phone(texts, asked)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that every process of the town is ended
    if asked.command == "town":
        return town(texts, asked)
    if asked.command == "bus":
        return bus(texts, asked)
    if asked.command == "bench":
        return bench(texts, asked)
    if asked.command == "wallet":
        return wallet(texts, asked)
    seed: int = asked.seed if asked.seed is not None else secrets.randbelow(SEED_MAX)
    named: Path | None = asked.folder
    folder = (named or FOLDER).resolve()
    return run(folder, seed, folder / "demo.json" if named else folder.with_suffix(".json"), texts)


if __name__ == "__main__":
    sys.exit(main())

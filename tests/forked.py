"""Commands as processes that need not load their program first: each is forked from one that has.

Loading takes ten times as long as most commands do. That each command loads what it needs is seen where it is started
as it is typed: those of the operator's guide, the service, a lost output (`test_operator_guide`, `desk.serving`), the
demo, the wallet page, and every command beside a running terminal (`tests/processes`).
"""

import os
import subprocess
import sys
import tempfile
from functools import cache
from importlib import import_module
from multiprocessing import get_context
from multiprocessing.context import ForkServerContext
from pathlib import Path

from offline_ledger import city

CITY = "offline_ledger.city.__main__"
SIMULATORS = "simulators.__main__"
SHOP = "pos_app.__main__"
BUS = "bus_validator.__main__"
TERMINALS = ("pos_app.shop", "pos_app.goods_commands", "pos_app.people_commands", "bus_validator.validator")
CITY_PARTS = sorted(f"{city.__name__}.{path.stem}" for path in Path(city.__path__[0]).glob("[a-z]*.py"))
LOADED = [*CITY_PARTS, *TERMINALS, CITY, SIMULATORS, SHOP, BUS]


def run_forked(
    program: str, words: tuple[str, ...], folder: Path | None, wait_s: float, typed: str = ""
) -> "subprocess.CompletedProcess[str]":
    """What it said and its exit code; negative: the signal that ended it. `program`: the module of its `main`. Raises
    TimeoutExpired."""
    with tempfile.TemporaryDirectory(prefix="kgo-said-") as said:
        given, out, err = (Path(said, name) for name in ("in", "out", "err"))
        given.write_text(typed, encoding="utf-8")
        process = _loaded().Process(target=_obey, args=(program, words, folder, (given, out, err)))
        process.start()
        process.join(wait_s)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(words, wait_s)
        texts = [path.read_text(encoding="utf-8") if path.exists() else "" for path in (out, err)]
        return subprocess.CompletedProcess(words, process.exitcode, *texts)


@cache
def _loaded() -> ForkServerContext:
    context = get_context("forkserver")
    context.set_forkserver_preload(LOADED)
    return context


def _obey(program: str, words: tuple[str, ...], folder: Path | None, lines: tuple[Path, Path, Path]) -> None:
    """In the new process."""
    for number, path in enumerate(lines):
        mode = os.O_WRONLY | os.O_CREAT | os.O_APPEND if number else os.O_RDONLY
        file = os.open(path, mode, 0o600)
        os.dup2(file, number)
        os.close(file)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # multiprocessing has closed its own
    for name in [name for name in os.environ if name.startswith("KGO")]:
        del os.environ[name]
    if folder is not None:
        os.chdir(folder)
    sys.argv[1:] = words
    sys.exit(import_module(program).main())

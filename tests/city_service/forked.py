"""`kgo-city` commands as processes of their own that need not load the program first: each is forked from one that has.

Loading takes ten times as long as most commands do. That each command loads what it needs is seen where it is started
as it is typed: each one of the operator's guide, the service, a lost output (`test_operator_guide`, `desk.serving`).
"""

import os
import subprocess
import sys
import tempfile
from functools import cache
from multiprocessing import get_context
from multiprocessing.context import ForkServerContext
from pathlib import Path

from offline_ledger import city
from offline_ledger.city.__main__ import main

LOADED = sorted(f"{city.__name__}.{path.stem}" for path in Path(city.__path__[0]).glob("[a-z]*.py"))


def command(words: tuple[str, ...], folder: Path | None, wait_s: float) -> "subprocess.CompletedProcess[str]":
    """What it said and its exit code; negative: the signal that ended it. Raises TimeoutExpired."""
    with tempfile.TemporaryDirectory(prefix="kgo-said-") as said:
        out, err = Path(said, "out"), Path(said, "err")
        process = _loaded().Process(target=_obey, args=(words, folder, out, err))
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


def _obey(words: tuple[str, ...], folder: Path | None, out: Path, err: Path) -> None:
    """In the new process."""
    for path, number in ((out, 1), (err, 2)):
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(file, number)
        os.close(file)
    for name in [name for name in os.environ if name.startswith("KGO")]:
        del os.environ[name]
    if folder is not None:
        os.chdir(folder)
    sys.argv[1:] = words
    sys.exit(main())

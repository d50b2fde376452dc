"""`kgo-flash` as it is typed: in a process of its own, or here, which costs a tenth."""

import os
import subprocess
import sys
import tempfile
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path

from firmware.flash.__main__ import main

ROOT = Path(__file__).parents[2]
COLUMNS = "120"


def kgo_flash_alone(folder: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    """What it said and its exit code; `folder`: where it was typed."""
    return subprocess.run(
        [sys.executable, "-m", "firmware.flash", *words],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": COLUMNS},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def kgo_flash(folder: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    """The same by the program's own `main`, in this process."""
    before, kept = os.umask(0o077), dict(os.environ)
    os.environ["COLUMNS"] = COLUMNS
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        try:
            with chdir(folder), redirect_stdout(out), redirect_stderr(err):
                try:
                    code = main(list(words))
                except SystemExit as ended:
                    code = int(str(ended.code))
        finally:
            os.umask(before)
            os.environ.clear()
            os.environ.update(kept)
        said: list[str] = []
        for stream in (out, err):
            stream.seek(0)
            said.append(stream.read())
    return subprocess.CompletedProcess(words, code, *said)

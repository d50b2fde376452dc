"""A running `kgo-sim bench` as a process, its words and its lines; `kgo-flash` beside it. DESIGN §11."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from simulators.demo.processes import wait_until
from simulators.patience import patient

START_S_MAX, STEP_S_MAX, TOOL_S_MAX = patient(120), 30, 90


class Bench:
    """One running bench, its words and its lines."""

    def __init__(self, folder: Path, language: str, *, is_heads_only: bool) -> None:
        self.folder, self._log = folder, folder.with_suffix(".log")
        words = [sys.executable, "-m", "simulators", "bench", str(folder), "--boards", "2", "--language", language]
        words += ["--heads"] * is_heads_only
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=log, stderr=log)

    def said(self) -> str:
        return self._log.read_text(encoding="utf-8")

    def tell(self, line: str, answer: str, wait_s: float = STEP_S_MAX) -> None:
        """Types a line and waits for a new line with this answer."""
        mark = len(self.said())
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n".encode())
        self.process.stdin.flush()
        wait_until(lambda: answer in self.said()[mark:], f"{answer!r} after {line!r}", wait_s)

    def end(self) -> None:
        """Its input ends, and then it itself."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.terminate()
        self.process.wait(STEP_S_MAX)

    def flash(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "firmware.flash", "--language", "en", *words]
        return subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=TOOL_S_MAX, check=False)


@contextmanager
def running_bench(folder: Path, language: str, *, is_heads_only: bool = True) -> Iterator[Bench]:
    """A bench with two boards, ready."""
    made = Bench(folder, language, is_heads_only=is_heads_only)
    try:
        wait_until(lambda: "/board02)" in made.said() or made.process.poll() is not None, "the bench", START_S_MAX)
        yield made
    finally:
        made.end()

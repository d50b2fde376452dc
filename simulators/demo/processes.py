"""Programs of the town as processes of their own: started, spoken to by lines, killed by their own id. DESIGN §11.

Every wait has a deadline and says what it waited for. Never ends a process that it did not start.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Condition, Thread
from types import TracebackType
from typing import Any, Self, cast

from simulators.patience import patient

WAIT_S_MAX = patient(40)
"""Reached only when something is wrong; on two busy cores a program alone may take ten seconds to start."""
END_S_MAX = patient(10)
TOOL_S_MAX = patient(60)
LINES_MAX = 100_000
PYTHON = (sys.executable, "-m")
"""This very interpreter: programs start from the same environment as the demo."""

Said = dict[str, Any]


class DeadlinePassed(Exception):
    """Something did not happen in time; the message says what."""


class ToolFailed(Exception):
    """A command that should have succeeded did not; the message carries what it said."""


def wait_until(is_true: Callable[[], bool], what: str, wait_s: float = WAIT_S_MAX, step_s: float = 0.01) -> None:
    """Poll until it is so. Raises DeadlinePassed."""
    until_s = time.monotonic() + wait_s
    while not is_true():
        if time.monotonic() > until_s:
            raise DeadlinePassed(f"waited {wait_s:.0f} s for {what}")
        time.sleep(step_s)


def run_tool(
    name: str,
    words: Sequence[str],
    log: Path,
    *,
    may_fail: bool = False,
    typed: str | None = None,
    wait_s: float = TOOL_S_MAX,
) -> subprocess.CompletedProcess[str]:
    """One command to its end, its words and answers kept in `log`; `typed`: what it is given on standard input, which
    is not kept. Raises ToolFailed, DeadlinePassed."""
    try:
        done = subprocess.run(words, input=typed, capture_output=True, text=True, timeout=wait_s, check=False)
    except subprocess.TimeoutExpired as late:
        raise DeadlinePassed(f"{name} took more than {wait_s:.0f} s") from late
    with log.open("a", encoding="utf-8") as file:
        file.write(f"$ {' '.join(words)}\n{done.stdout}{done.stderr}[{done.returncode}]\n")
    if done.returncode and not may_fail:
        raise ToolFailed(f"{name} ended with {done.returncode}: {done.stderr.strip() or done.stdout.strip()}")
    return done


class Heard:
    """The lines of a program that somebody waits for: JSON ones as objects, the others as `{"text": …}`."""

    def __init__(self, log: str) -> None:
        """`log`: the name of the file that a person looks into when a wait was in vain."""
        self._at = log
        self._lines: list[Said] = []
        self._turn = Condition()

    def hear(self, line: bytes) -> None:
        """Another one."""
        said = _said(line)
        with self._turn:
            if len(self._lines) < LINES_MAX:
                self._lines.append(said)
            self._turn.notify_all()

    def wake(self) -> None:
        """Whoever waits looks again whether that makes sense."""
        with self._turn:
            self._turn.notify_all()

    def mark(self) -> int:
        """How much it has said: a wait from here on ignores what came before."""
        with self._turn:
            return len(self._lines)

    def said_since(self, mark: int) -> list[Said]:
        """What it said after a mark, so far."""
        with self._turn:
            return self._lines[mark:]

    def why_in_vain(self) -> str:
        """Why nothing more can come; empty while it can."""
        return ""

    def wait_for(self, fits: Callable[[Said], bool], since: int, what: str, wait_s: float = WAIT_S_MAX) -> Said:
        """The first fitting line after `since`. Raises DeadlinePassed, also when nothing more can come."""
        until_s = time.monotonic() + wait_s
        at = since
        with self._turn:
            while True:
                while at < len(self._lines):
                    if fits(self._lines[at]):
                        return self._lines[at]
                    at += 1
                if why := self.why_in_vain():
                    raise DeadlinePassed(f"{why} before {what}; see {self._at}")
                left_s = until_s - time.monotonic()
                if left_s <= 0:
                    raise DeadlinePassed(f"no {what} in {wait_s:.0f} s; see {self._at}")
                self._turn.wait(min(left_s, 0.2))


class Child(Heard):
    """One running program. What it says goes to `log`; its lines on standard output are kept, JSON ones as objects."""

    def __init__(self, name: str, words: Sequence[str], log: Path) -> None:
        self.name = name
        super().__init__(str(log))
        self._log = log.open("ab")
        self._process = subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            start_new_session=True,  # Ctrl-C on the desk reaches the demo alone, which then ends its own
        )
        self._reader = Thread(target=self._read, name=f"reads-{name}", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Has it not ended yet?"""
        return self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative: the signal that ended it."""
        return self._process.poll()

    def why_in_vain(self) -> str:
        """It ended, and all that it said was read."""
        return "" if self._reader.is_alive() else f"{self.name} ended ({self.exit_code})"

    def tell(self, line: str) -> None:
        """One line on its standard input; a process that is gone hears nothing."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(line.encode() + b"\n")
            self._process.stdin.flush()

    def kill(self) -> None:
        """SIGKILL: as a power cut for this process alone."""
        if self.is_running:
            os.kill(self.pid, signal.SIGKILL)
        self._ended()

    def stop(self, word: str | None = None) -> int:
        """A clean end: by a word on standard input or SIGTERM, else by SIGKILL after a while; its exit code."""
        if self.is_running:
            if word is not None:
                self.tell(word)
            else:
                os.kill(self.pid, signal.SIGTERM)
        try:
            self._process.wait(END_S_MAX)
        except subprocess.TimeoutExpired:
            os.kill(self.pid, signal.SIGKILL)
        return self._ended()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _type: type[BaseException] | None, _value: object, _trace: TracebackType | None) -> None:
        self.kill()

    def _ended(self) -> int:
        code = self._process.wait(END_S_MAX)
        self._reader.join(END_S_MAX)
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()
        if not self._log.closed:
            self._log.close()
        return code

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                self._log.write(line)
                self._log.flush()
                self.hear(line)
        self.wake()


def _said(line: bytes) -> Said:
    text = line.decode("utf-8", "replace").rstrip("\n")
    try:
        found: object = json.loads(text)
    except ValueError:
        return {"text": text}
    return cast(Said, found) if isinstance(found, dict) else {"text": text}

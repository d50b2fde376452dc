"""A town on the desk that a test has started on a terminal of its own: its addresses, its processes, its end."""

import os
import pty
import re
import select
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

WAIT_S_MAX = 90
ADDRESSES = ("town", "shop", "customer", "bus", "wallet", "wallet2")
READY, CTRL_C = b"Ctrl-C ends the town.", b"\x03"


class TownRun:
    """`kgo-sim town` as somebody's window runs it, with what `environment` adds."""

    def __init__(self, folder: Path, *words: str, environment: Mapping[str, str] | None = None) -> None:
        self._master, slave = pty.openpty()
        program = (sys.executable, "-m", "simulators", "town", "--if-terminal", "--folder", str(folder), *words)
        self._program = subprocess.Popen(
            ("setsid", "--ctty", *program),  # the terminal is its own: Ctrl-C there is its SIGINT
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env={**{key: value for key, value in os.environ.items() if key != "ONCE"}, **(environment or {})},
        )
        os.close(slave)
        self.said = b""

    def wait_ready(self) -> dict[str, str]:
        """Name → address, as printed."""
        until_s = time.monotonic() + WAIT_S_MAX
        while READY not in self.said:
            assert time.monotonic() < until_s and self._read(), self.said.decode()
        return dict(zip(ADDRESSES, re.findall(r"http://\S+", self.said.decode()), strict=True))

    def _read(self) -> bool:
        """False: nobody writes there any more."""
        if select.select([self._master], (), (), 0.2)[0]:
            try:
                self.said += os.read(self._master, 65_536)
            except OSError:
                return False
        return True

    def children(self) -> list[str]:
        """The process ids of what it started, and of what these started."""
        found, waiting = [], [str(self._program.pid)]
        while waiting:
            for thread in Path(f"/proc/{waiting.pop()}/task").glob("*/children"):
                waiting += (more := thread.read_text().split())
                found += more
        return found

    def press_ctrl_c(self) -> None:
        """On its terminal."""
        os.write(self._master, CTRL_C)

    def wait_end(self) -> int:
        """Its exit code."""
        until_s = time.monotonic() + WAIT_S_MAX
        while self._read() and time.monotonic() < until_s:
            pass
        return self._program.wait(WAIT_S_MAX)

    def close(self) -> None:
        """End it, whatever it does."""
        if self._program.poll() is None:
            self._program.terminate()
            self.wait_end()
        os.close(self._master)

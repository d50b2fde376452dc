"""A service manager for one program, as its unit has it: started again whenever it ends, and killed when it hangs.

`Restart=always` and `RestartSec` of the real unit file; `WatchdogSec` of the test, for no test waits half a minute.
"""

import configparser
import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Container, Sequence
from pathlib import Path
from threading import Event, Thread
from typing import NamedTuple

from offline_ledger.terminal.service_manager import ALIVE, READY
from simulators.demo.processes import Heard, Said

UNIT = Path(__file__).parents[2] / "bus_validator" / "system" / "kgo-bus.service"
END_S_MAX = 10.0


def restart_s() -> float:
    """As the unit says."""
    read = configparser.RawConfigParser(strict=False)
    read.optionxform = str  # type: ignore[assignment, method-assign]
    read.read(UNIT)
    service = read["Service"]
    assert service["Restart"] == "always" and "RestartPreventExitStatus" not in service
    said = service["RestartSec"]
    return float(said.removesuffix("ms")) / 1_000 if said.endswith("ms") else float(said)


class Life(NamedTuple):
    """One run of the program; times monotonic. `ready_s`: 0: never."""

    begun_s: float
    ready_s: float
    ended_s: float
    code: int


class Service(Heard):
    """Runs until it is closed; what is heard is of all its runs."""

    def __init__(
        self, words: Sequence[str], folder: Path, watchdog_s: float = 0.0, watched: Container[int] = ()
    ) -> None:
        """`watched`: the numbers of the runs, from 0 on, whose hanging is looked for: `watchdog_s` is short, and on a
        busy machine a sound one may stand still for as long."""
        super().__init__(str(folder / "service.log"))
        self._words, self._log = words, (folder / "service.log").open("ab")
        self._watchdog_s, self._watched = watchdog_s, watched
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notify.bind(str(folder / "notify"))
        self._notify.settimeout(0.1)
        self._around = {**os.environ, "NOTIFY_SOCKET": str(folder / "notify")}
        if watchdog_s:
            self._around["WATCHDOG_USEC"] = str(int(watchdog_s * 1_000_000))
        self._ending = Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._begun_s = self._ready_s = self._alive_s = 0.0
        self.lives: list[Life] = []
        self._threads = [Thread(target=work, daemon=True) for work in (self._run, self._watch)]
        for thread in self._threads:
            thread.start()

    @property
    def ready_s(self) -> float:
        """When its run of now said so; monotonic, 0: not yet."""
        return self._ready_s

    @property
    def starts(self) -> int:
        """How often it was started."""
        return len(self.lives) + (self._process is not None)

    def wait_ready(self, since: int = 0) -> Said:
        """That a run is ready."""
        return self.wait_for(lambda said: said.get("ready") is True, since, "ready program")

    def tell(self, line: str) -> None:
        """One line on its standard input; a run that is gone hears nothing."""
        process = self._process
        if process is not None and process.stdin is not None:
            with contextlib.suppress(OSError, ValueError):
                process.stdin.write(line.encode() + b"\n")
                process.stdin.flush()

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Its run of now, and no more than that."""
        process = self._process
        if process is not None:
            process.send_signal(number)

    def close(self) -> None:
        """Ends it for good."""
        self._ending.set()
        self.kill()
        for thread in self._threads:
            thread.join(END_S_MAX)
        self._notify.close()
        self._log.close()

    # --- inside

    def _run(self) -> None:
        while not self._ending.is_set():
            self._begun_s, self._ready_s, self._alive_s = time.monotonic(), 0.0, 0.0
            process = subprocess.Popen(
                self._words,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._log,
                env=self._around,
                start_new_session=True,
            )
            self._process = process
            if self._ending.is_set():
                process.kill()
            self._read(process)
            code = process.wait()
            self._process = None
            with contextlib.suppress(OSError):
                assert process.stdin is not None
                process.stdin.close()
            self.lives.append(Life(self._begun_s, self._ready_s, time.monotonic(), code))
            self.wake()
            self._ending.wait(restart_s())

    def _read(self, process: "subprocess.Popen[bytes]") -> None:
        assert process.stdout is not None
        with process.stdout as lines:
            for line in lines:
                self._log.write(line)
                self._log.flush()
                self.hear(line)

    def _watch(self) -> None:
        while not self._ending.is_set():
            with contextlib.suppress(TimeoutError):
                said = self._notify.recv(256)
                self._alive_s = time.monotonic() if said in (READY, ALIVE) else 0.0
                self._ready_s = time.monotonic() if said == READY else self._ready_s
            is_watched = self._watchdog_s and len(self.lives) in self._watched
            if is_watched and self._alive_s and time.monotonic() - self._alive_s > self._watchdog_s:
                self._alive_s = 0.0
                self.kill(signal.SIGABRT)

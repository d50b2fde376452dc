"""`validator_ready`, `validator_rss`: a real `kgo-bus` process with 100,000 rows and 1,000,000 denied, on a pty.

Ready is the time from starting the process to its ready line; the first scan after it must be decided, and the memory
is read when it has been.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from time import monotonic, perf_counter_ns, time

from simulators.scanner import SimulatedScanner, Suffix
from simulators.storage.vouchers import fill_journal
from tests.bench.deny import write_million
from tests.bench.measure import Row, row_of
from tests.terminal.desk import issue
from tests.terminal.provisioned import DEVICE, provision_bus

STARTS = 7
ROWS = 100_000
WAIT_S_MAX = 20.0


def rows(folder: Path) -> list[Row]:
    """Start it several times; the first start warms the caches and is not counted."""
    folder.mkdir(parents=True)
    fill_journal(folder / "journal.db", DEVICE, ROWS, seed=3)
    write_million(folder / "deny")
    port = folder.resolve() / "scanner"
    settings = provision_bus(folder, int(time()), port)
    # A device runs compiled files: the first start writes them, whatever this shell says about that.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPYCACHEPREFIX"] = str(folder.resolve() / "compiled")
    ready_ms: list[float] = []
    decided_ms: list[float] = []
    rss_mb: list[float] = []
    with SimulatedScanner(port, suffix=Suffix.CRLF, seed=1) as scanner:
        for start in range(STARTS + 1):
            begun_ns = perf_counter_ns()
            process = subprocess.Popen(
                [sys.executable, "-m", "bus_validator", "--settings", str(settings.resolve()), "run"],
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
            try:
                _line_with(process, "ready")
                ready_ns = perf_counter_ns() - begun_ns
                rider = issue(900_000 + start, not_before_s=int(time()) - 60, expires_at_s=int(time()) + 90_000)
                rider.next(5_000)
                sent_ns = perf_counter_ns()
                scanner.send(rider.code(int(time())))
                said = _line_with(process, "light")
                assert said["light"] == "accepted_cash_due", said
                if start:
                    ready_ms.append(ready_ns / 1e6)
                    decided_ms.append((perf_counter_ns() - sent_ns) / 1e6)
                    rss_mb.append(_rss_mb(process.pid))
            finally:
                process.kill()
                process.wait(WAIT_S_MAX)
    return [
        row_of("validator_ready", "ms", ready_ms),
        row_of("validator_scan_to_light", "ms", decided_ms),
        row_of("validator_rss", "MB", rss_mb),
    ]


def _line_with(process: "subprocess.Popen[str]", key: str) -> dict[str, object]:
    assert process.stdout is not None
    until_s = monotonic() + WAIT_S_MAX
    while monotonic() < until_s:
        line = process.stdout.readline()
        if not line:
            break
        said: dict[str, object] = json.loads(line)
        if said.get(key):
            return said
    raise AssertionError(f"the validator said no {key}; exit code {process.poll()}")


def _rss_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1000
    raise AssertionError("no VmRSS")

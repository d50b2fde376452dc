"""`validator_ready`, `validator_rss`: a real `kgo-bus` with 100,000 rows and 1,000,000 denied, on a pty and over TLS.

Ready is the time from starting the installed command, as its service does, to its ready line. `first_scan` is sent at
that moment, by a customer who stood at the door; `scan_to_light` when the first exchange is over. The memory `rss` is
read at the first light (DESIGN §10: serial QR decides, < 40 MB); once everything is loaded (< 64 MB) it is read again,
after a first exchange that reached no city (`rss_offline`) and after one over HTTPS (`rss_synced`; what the city said
to a journal that it does not know makes no difference). `loaded` is the time from the same start to the first badge,
with nobody at the door: the link is loaded, and its first exchange over HTTPS is over (DESIGN §10: everything loaded
< 1 s; no camera). A first customer makes it come sooner: the rest of the program then does not wait for one.
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
from tests.terminal.city_in_test import CityInTest
from tests.terminal.desk import issue
from tests.terminal.https_city import HttpsCity, make_authority, server_context
from tests.terminal.provisioned import DEVICE, provision_bus

STARTS = 7
ROWS = 100_000
WAIT_S_MAX = 20.0
NOBODY = "https://127.0.0.1:9"


def rows(folder: Path) -> list[Row]:
    """Start it several times; the first start warms the caches and is not counted."""
    folder.mkdir(parents=True)
    fill_journal(folder / "journal.db", DEVICE, ROWS, seed=3)
    write_million(folder / "deny")
    port = folder.resolve() / "scanner"
    authority = make_authority(folder)
    city = HttpsCity(CityInTest(lambda: int(time())), server_context(folder, authority))
    alone = provision_bus(folder, int(time()), port, url=NOBODY, ca_file=authority.ca_file.resolve())
    linked = folder / "linked.toml"
    linked.write_text(alone.read_text().replace(NOBODY, city.url))
    # A device runs compiled files: the first start writes them, whatever this shell says about that.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPYCACHEPREFIX"] = str(folder.resolve() / "compiled")
    names = ("ready", "first_scan", "scan_to_light", "rss", "rss_offline", "rss_synced", "loaded")
    figures: dict[str, list[float]] = {name: [] for name in names}
    with city, SimulatedScanner(port, suffix=Suffix.CRLF, seed=1) as scanner:
        for start in range(2 * STARTS + 1):
            is_linked = start % 2 == 0
            settings = linked if is_linked else alone
            (folder / "rtc").write_text(f"{int(time())}\n")
            begun_ns = perf_counter_ns()
            process = _start(settings, environment)
            try:
                lines = Lines(process)
                lines.until("ready")
                ready_ns = perf_counter_ns() - begun_ns
                first_ns = _scan(scanner, lines, 900_000 + start)
                first_mb = _rss_mb(process.pid)
                lines.until("status")
                then_ns = _scan(scanner, lines, 990_000 + start)
                if start:  # the first start is not counted: it warmed the caches
                    for name, taken_ns in zip(figures, (ready_ns, first_ns, then_ns), strict=False):
                        figures[name].append(taken_ns / 1e6)
                    figures["rss"].append(first_mb)
                    figures["rss_synced" if is_linked else "rss_offline"].append(_rss_mb(process.pid))
            finally:
                process.kill()
                process.wait(WAIT_S_MAX)
        assert city.requests, "the validator never spoke to the city"
        for _ in range(STARTS):
            (folder / "rtc").write_text(f"{int(time())}\n")
            heard = len(city.requests)
            begun_ns = perf_counter_ns()
            process = _start(linked, environment)
            try:
                Lines(process).until("status")
                figures["loaded"].append((perf_counter_ns() - begun_ns) / 1e6)
            finally:
                process.kill()
                process.wait(WAIT_S_MAX)
            assert len(city.requests) > heard, "the badge came before the exchange"
    return [
        row_of(f"validator_{name}", "MB" if name.startswith("rss") else "ms", taken) for name, taken in figures.items()
    ]


def _start(settings: Path, environment: dict[str, str]) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [Path(sys.executable).with_name("kgo-bus"), "--settings", settings.resolve()],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def _scan(scanner: SimulatedScanner, lines: "Lines", wallet: int) -> int:
    """From the code's first byte on the wire to the light, in ns."""
    rider = issue(wallet, not_before_s=int(time()) - 60, expires_at_s=int(time()) + 90_000)
    rider.next(5_000)
    code = rider.code(int(time()))
    sent_ns = perf_counter_ns()
    scanner.send(code)
    said = lines.until("light")
    assert said["light"] == "accepted_cash_due", said
    return perf_counter_ns() - sent_ns


class Lines:
    """What the program has said; a line is found even if it came before it was waited for, but only once."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self._said: list[dict[str, object]] = []

    def until(self, key: str) -> dict[str, object]:
        """The next line that says `key`."""
        assert self._process.stdout is not None
        until_s = monotonic() + WAIT_S_MAX
        while monotonic() < until_s:
            for said in self._said:
                if said.get(key) and not (key == "light" and "ready" in said):
                    self._said.remove(said)
                    return said
            line = self._process.stdout.readline()
            if not line:
                break
            self._said.append(json.loads(line))
        raise AssertionError(f"the validator said no {key}, but {self._said}; exit code {self._process.poll()}")


def _rss_mb(pid: int) -> float:
    """In 10⁶ bytes; the kernel counts in 1,024."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1_024 / 1e6
    raise AssertionError("no VmRSS")

"""`validator_ready`, `validator_rss`: a real `kgo-bus` with 100,000 rows and 1,000,000 denied, on a pty and over TLS.

Ready is the time from starting the installed command, as its service does, to its ready line. `first_scan` is sent at
that moment, by a customer who stood at the door; `scan_to_light` when the first exchange is over. The memory `rss` is
read at the first light (DESIGN §10: serial QR decides, < 40 MB); once everything is loaded (< 64 MB) it is read again,
after a first exchange that reached no city (`rss_offline`) and after one over HTTPS (`rss_synced`; what the city said
to a journal that it does not know makes no difference). `loaded` is the time from the same start to the first badge,
with nobody at the door: the link is loaded, and its first exchange over HTTPS is over (DESIGN §10: everything loaded
< 1 s; no camera). A first customer makes it come sooner: the rest of the program then does not wait for one.

`validator_head_*`: the same with a reader head instead of a scanner: the code goes through its firmware, and the first
light is its ring's. `validator_all_*`: with a head, two card readers, satellites, a screen of 800×480, routes and a
crew, its driver signed on before: `decides` is its ready line, `ready` when `diagnose` says that every part is there
and the first exchange is over; its memory is read when a phone and a card have paid, the bus has driven a while and
six seconds are over (what loading took has gone back by then; `rss_peak` is the most that it ever held).
"""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from time import monotonic, perf_counter_ns, sleep, time
from typing import cast

from firmware.link import messages
from offline_ledger.errors import NotSignedOn, TripNotSet
from offline_ledger.terminal.control import ask
from simulators.demo.processes import wait_until
from simulators.head.recording import state_of
from simulators.pcsc import LOOK_S
from simulators.scanner import SimulatedScanner, Suffix
from simulators.storage.vouchers import fill_journal
from tests.bench.deny import write_million
from tests.bench.measure import Row, row_of
from tests.processes.driven_bus import DRIVER, PIN, driven_bus
from tests.processes.full_bus import GREEN, FullBus, full_bus, loaded_card
from tests.terminal.city_in_test import CityInTest
from tests.terminal.desk import issue
from tests.terminal.https_city import HttpsCity, make_authority, server_context
from tests.terminal.provisioned import DEVICE, provision_bus

STARTS = 7
ROWS = 100_000
WAIT_S_MAX = 20.0
POLL_S = 0.002
SETTLED_S = 6.0
NO_TRIP = (TripNotSet.number, NotSignedOn.number)
EVERY_PART = (
    ("link", "badge"),
    ("head", "linked"),
    ("card", "connected"),
    ("gps", "connected"),
    ("screen", "pictures"),
    ("routes", "version"),
    ("crew", "version"),
)
"""What each says of itself once it is there."""
NOBODY = "https://127.0.0.1:9"


def rows(folder: Path) -> list[Row]:
    """Start it several times; the first start warms the caches and is not counted."""
    _lived_in(folder)
    port = folder.resolve() / "scanner"
    authority = make_authority(folder)
    city = HttpsCity(CityInTest(lambda: int(time())), server_context(folder, authority))
    alone = provision_bus(folder, int(time()), port, url=NOBODY, ca_file=authority.ca_file.resolve())
    linked = folder / "linked.toml"
    linked.write_text(alone.read_text().replace(NOBODY, city.url))
    environment = _environment(folder)
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


def head_rows(folder: Path, starts: int = STARTS) -> list[Row]:
    """`validator_head_ready`, `_first_scan` (to the ring), `_rss`."""
    _lived_in(folder)
    figures: dict[str, list[float]] = {name: [] for name in ("ready", "first_scan", "rss")}
    with full_bus(folder.resolve(), cards=False) as bus:
        environment = _environment(folder)
        bus.settings.write_text(bus.settings.read_text().partition("[screen]")[0])
        for start in range(starts + 1):
            bus.head.wait_for(messages.OUT_OF_SERVICE)  # nobody speaks to it
            with _started(bus, environment) as (process, lines, begun_ns):
                lines.until("ready")
                ready_ns = perf_counter_ns() - begun_ns
                code = _code(700_000 + start)
                sent_ns = perf_counter_ns()
                bus.head.scan(code)
                _check_light(lines)
                first_mb = _rss_mb(process.pid)
                bus.head.wait_for(messages.ACCEPTED_CASH_DUE)
                seen = (event for event in bus.head.timeline(sent_ns // 1_000) if event.what == "pixels")
                lit_ns = next(event.at_us * 1_000 for event in seen if state_of(event.pixels) in GREEN)
                if start:
                    figures["ready"].append(ready_ns / 1e6)
                    figures["first_scan"].append((lit_ns - sent_ns) / 1e6)
                    figures["rss"].append(first_mb)
    return _rows_of("validator_head", figures)


def all_rows(folder: Path, starts: int = STARTS) -> list[Row]:
    """`validator_all_decides`, `_ready`, `_rss`, `_rss_peak`."""
    _lived_in(folder)
    authority = make_authority(folder)
    city = HttpsCity(CityInTest(lambda: int(time())), server_context(folder, authority))
    figures: dict[str, list[float]] = {name: [] for name in ("decides", "ready", "rss", "rss_peak")}
    with city, driven_bus(folder.resolve(), cards=True) as (bus, gps, _routes):
        environment = _environment(folder)  # by which it finds its card service
        text = bus.settings.read_text().replace(NOBODY, city.url)
        bus.settings.write_text(text.replace(str(folder.resolve() / "ca.pem"), str(authority.ca_file.resolve())))
        for start in range(starts + 1):
            (folder / "screen.png").unlink(missing_ok=True)
            seen_s = monotonic() + 2 * LOOK_S
            wait_until(lambda until_s=seen_s: monotonic() > until_s, "the last card to be missed")
            with (
                _started(bus, environment) as (process, lines, begun_ns),
                loaded_card(folder / "purses", 1_000 + start) as card,
            ):
                lines.until("ready")
                decides_ns = perf_counter_ns() - begun_ns
                lines.until("status")
                _until_all_there(bus)
                ready_ns = perf_counter_ns() - begun_ns
                if not start:  # a trip that goes on over all the starts
                    for words, answer in ((f"sign-on {DRIVER} {PIN}", "driver"), ("route 8 0", "trip")):
                        _tell(process, words)
                        lines.until(answer)
                bus.head.scan(_code(800_000 + start))
                _check_light(lines)
                gps.tick(30)
                card.insert(bus.readers[start % len(bus.readers)].port)
                _check_light(lines)
                if start:
                    figures["decides"].append(decides_ns / 1e6)
                    figures["ready"].append(ready_ns / 1e6)
                    settled_s = begun_ns / 1e9 + SETTLED_S
                    wait_until(lambda until_s=settled_s: perf_counter_ns() / 1e9 > until_s, "that it is settled")
                    figures["rss"].append(_rss_mb(process.pid))
                    figures["rss_peak"].append(_rss_mb(process.pid, "VmHWM"))
        assert city.requests, "the validator never spoke to the city"
    return _rows_of("validator_all", figures)


def _until_all_there(bus: FullBus) -> None:
    until_s = monotonic() + WAIT_S_MAX
    while missing := _missing(bus):
        assert monotonic() < until_s, f"not there: {missing}"
        sleep(POLL_S)


def _missing(bus: FullBus) -> list[str]:
    """By the answer that a technician gets."""
    said = ask(bus.folder / "control.sock", ["diagnose"])
    parts = {str(part["part"]): cast(dict[str, object], part["facts"]) for part in said if "part" in part}
    readers = str(parts.get("card", {}).get("readers"))
    missing = [part for part, fact in EVERY_PART if not parts.get(part, {}).get(fact)]
    return missing + [reader.name for reader in bus.readers if reader.name not in readers]


def _lived_in(folder: Path) -> None:
    """A terminal that has been on the road for a while."""
    folder.mkdir(parents=True)
    fill_journal(folder / "journal.db", DEVICE, ROWS, seed=3)
    write_million(folder / "deny")


def _environment(folder: Path) -> dict[str, str]:
    """A device runs compiled files: the first start writes them, whatever this shell says about that."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return environment | {"PYTHONPYCACHEPREFIX": str(folder.resolve() / "compiled")}


@contextlib.contextmanager
def _started(bus: FullBus, environment: dict[str, str]) -> "Iterator[tuple[subprocess.Popen[str], Lines, int]]":
    """Its process, what it says, and when it was started; killed at the end."""
    (bus.folder / "rtc").write_text(f"{int(time())}\n")
    begun_ns = perf_counter_ns()
    process = _start(bus.settings, environment)
    try:
        yield process, Lines(process), begun_ns
    finally:
        process.kill()
        process.wait(WAIT_S_MAX)


def _tell(process: "subprocess.Popen[str]", line: str) -> None:
    assert process.stdin is not None
    process.stdin.write(line + "\n")
    process.stdin.flush()


def _rows_of(name: str, figures: dict[str, list[float]]) -> list[Row]:
    return [
        row_of(f"{name}_{what}", "MB" if what.startswith("rss") else "ms", taken) for what, taken in figures.items()
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
    code = _code(wallet)
    sent_ns = perf_counter_ns()
    scanner.send(code)
    _check_light(lines)
    return perf_counter_ns() - sent_ns


def _check_light(lines: "Lines") -> None:
    """The next one is green; before it the lamp may have gone back to wait, or been closed for want of a trip."""
    while (said := lines.until("light"))["light"] == "wait" or said.get("refusal") in NO_TRIP:
        pass
    assert said["light"] == "accepted_cash_due", said


def _code(wallet: int) -> str:
    """Of a new passenger's phone."""
    rider = issue(wallet, not_before_s=int(time()) - 60, expires_at_s=int(time()) + 90_000)
    rider.next(5_000)
    return rider.code(int(time()))


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


def _rss_mb(pid: int, which: str = "VmRSS") -> float:
    """In 10⁶ bytes; the kernel counts in 1,024."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{which}:"):
            return int(line.split()[1]) * 1_024 / 1e6
    raise AssertionError(f"no {which}")

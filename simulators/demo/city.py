"""The city's program in the demo: its commands, its service, and nothing of its insides. DESIGN §3, §8."""

import csv
import socket
import ssl
from collections.abc import Sequence
from contextlib import suppress
from http.client import HTTPException, HTTPSConnection
from pathlib import Path
from random import SystemRandom

from simulators.demo.processes import PYTHON, Child, run_tool, wait_until
from simulators.patience import patient

CITY = "TH-40"
READY_S_MAX = patient(40)
PORT_MIN = 12_000
PORTS_TRIED_MAX = 100
PORTS_GIVEN = Path("/proc/sys/net/ipv4/ip_local_port_range")


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now, and that the system gives to nobody by itself.

    A port from the system's own range could become the near end of somebody's connection before its program listens.
    Raises OSError when none is free.
    """
    lowest_given = int(PORTS_GIVEN.read_text().split()[0]) if PORTS_GIVEN.exists() else 32_768
    chance = SystemRandom()
    for _ in range(PORTS_TRIED_MAX):
        port = chance.randrange(PORT_MIN, max(lowest_given, PORT_MIN + PORTS_TRIED_MAX))
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise OSError(f"no free port from {PORT_MIN} to {lowest_given}")


class CityProgram:
    """`kgo-city` with one folder. The service may be killed and started again on the same port."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.settings = folder / "city.toml"
        self.log = folder.parent / "city.log"
        self._service: Child | None = None

    @property
    def ca_file(self) -> Path:
        """The private CA that terminals and wallets trust."""
        return self.folder / "ca.crt"

    @property
    def ledger(self) -> Path:
        """The ledger's database."""
        return self.folder / "ledger.db"

    @property
    def url(self) -> str:
        """Where wallets reach it; terminals go through their own network."""
        return f"https://localhost:{self.port}"

    def init(self) -> None:
        """Found the city with its sample tariff, campaign, shops and bus operator."""
        self.ask("init", str(self.folder), "--city", CITY, "--sample", "--port", str(self.port))

    def token(self, device: str, role: str, owner: str) -> str:
        """A one-time enrolment token for a device."""
        _, said = self.ask("enrol", device, "--role", role, "--owner", owner)
        return said.split()[-1]

    def grant(self, gifts: Path) -> None:
        """The municipality's gifts."""
        self.ask("grant", str(gifts))

    def set_concession(self, account_point: bytes, concession: str) -> None:
        """The operator has seen the student card."""
        self.ask("wallet", account_point.hex(), "--concession", concession)

    def audit(self) -> tuple[bool, str]:
        """Whether the city's own audit is content, and what it said."""
        code, said = self.ask("audit", may_fail=True)
        return code == 0, said

    def ledger_touched_ns(self) -> int:
        """When the ledger's log was last written."""
        log = self.ledger.with_name(self.ledger.name + "-wal")
        return log.stat().st_mtime_ns if log.exists() else 0

    def ask(self, *words: str, may_fail: bool = False) -> tuple[int, str]:
        """One command; exit code and what it printed."""
        command = (*PYTHON, "offline_ledger.city", "--settings", str(self.settings), *words)
        done = run_tool(f"kgo-city {words[0]}", command, self.log, may_fail=may_fail)
        return done.returncode, done.stdout

    def serve(self) -> None:
        """Start the service and wait until it answers."""
        words = (*PYTHON, "offline_ledger.city", "--settings", str(self.settings), "serve")
        self._service = Child("kgo-city", words, self.log)
        service = self._service
        wait_until(lambda: self.is_answering() or not service.is_running, "the city to answer", READY_S_MAX)
        if not service.is_running:
            raise ConnectionError(f"kgo-city serve ended with {service.exit_code}; see {self.log}")

    def is_answering(self) -> bool:
        """Does it answer HTTPS under its own CA?"""
        context = ssl.create_default_context(cafile=str(self.ca_file))
        connection = HTTPSConnection("localhost", self.port, timeout=2, context=context)
        try:
            connection.request("GET", "/v1/trust-lists?after=0")
            return connection.getresponse().status == 200
        except (OSError, HTTPException):
            return False
        finally:
            connection.close()

    @property
    def service(self) -> Child:
        """The running service."""
        assert self._service is not None
        return self._service

    def stop(self) -> int:
        """A clean end of the service; its exit code."""
        return self.service.stop()

    def close(self) -> None:
        """End the service if it runs."""
        if self._service is not None:
            self._service.kill()

    def __enter__(self) -> "CityProgram":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def write_gifts(path: Path, gifts: Sequence[tuple[str, str, str]]) -> None:
    """The municipality's list: account key in hex, KGO, reason."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("wallet", "amount_kgo", "reason"))
        writer.writerows(gifts)

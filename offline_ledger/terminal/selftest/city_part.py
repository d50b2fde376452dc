"""The way to the city: name, port, TLS and its signed time, then one whole exchange with nothing left over. DESIGN §7.

Each step names its own trouble, so that a technician knows whether it is the cable, the address, the certificate or the
city. The time is asked once; the clock's checks use it too.
"""

import os
import socket
import time
from queue import Empty, Queue
from threading import Thread
from typing import NamedTuple

from offline_ledger.errors import CityNameUnknown, CityPortSilent, Refusal, SyncStillWaiting
from offline_ledger.protocol.wallet import NONCE_BYTES
from offline_ledger.terminal.ports import Clock, Uplink
from offline_ledger.terminal.selftest.plan import Step
from offline_ledger.terminal.selftest.runner import Check, Facts, Part
from offline_ledger.terminal.selftest.turn import Turn
from offline_ledger.terminal.station import Station
from offline_ledger.terminal.sync_wire import HTTP_OK, ask_time, ask_trust_lists, read_error, read_time_answer
from offline_ledger.terminal.uplink import parse_url

PORT_S_MAX = 10.0
EXCHANGES_MAX = 3
"""A day's queue goes in one; what comes in beside it in a second."""
REST_MS = 60_000


class TimeSaid(NamedTuple):
    """The city's signed time, and when it came, by the machine's counter."""

    at_s: int
    heard_mono_ms: int
    round_ms: int


class CityPart:
    """One terminal's city. `station` None: not enrolled, so its signed time cannot be checked and nothing is sent."""

    def __init__(
        self, url: str, uplink: Uplink, clock: Clock, station: Station | None, why_closed: Refusal | None
    ) -> None:
        """`why_closed`: why there is no station."""
        self._url, self._uplink, self._clock = url, uplink, clock
        self._station, self._why_closed = station, why_closed
        self._said: TimeSaid | Refusal | None = None

    def network(self) -> Part:
        """Name, port, TLS, time."""
        checks = (
            Check(Step("network", "name"), self._name),
            Check(Step("network", "port", needs=("network.name",)), self._port),
            Check(Step("network", "tls", needs=("network.port",)), self._tls),
            Check(Step("network", "time", needs=("network.tls",)), self._time),
        )
        return Part("network", checks, self._uplink.close)

    def sync(self) -> Part:
        """A whole exchange."""
        return Part("sync", (Check(Step("sync", "complete", needs=("network.time",)), self._complete),))

    def city_now_s(self) -> int | None:
        """What the city's clock says now; None: it cannot be asked. Asks it once at the most."""
        if self._said is None:
            try:
                self._said = self._asked()
            except Refusal as refusal:
                self._said = refusal
        if isinstance(self._said, Refusal):
            return None
        return self._said.at_s + (self._clock.mono_ms() - self._said.heard_mono_ms) // 1_000

    # --- inside

    def _name(self, turn: Turn) -> Facts:
        host, port, _ = parse_url(self._url)
        found = looked_up(host, port, turn)
        return {"host": host, "addresses": found}

    def _port(self, _turn: Turn) -> Facts:
        host, port, _ = parse_url(self._url)
        begun_s = time.monotonic()
        try:
            socket.create_connection((host, port), PORT_S_MAX).close()
        except OSError as error:
            raise CityPortSilent(f"{host}:{port}: {error}") from error
        return {"connect_ms": round((time.monotonic() - begun_s) * 1_000)}

    def _tls(self, _turn: Turn) -> Facts:
        """Raises what `Uplink.exchange` does. Whatever the city answers: it came through its certificate."""
        begun_s = time.monotonic()
        self._uplink.exchange(ask_trust_lists(0))
        return {"answer_ms": round((time.monotonic() - begun_s) * 1_000)}

    def _time(self, _turn: Turn) -> Facts:
        self._said = None
        self._said = said = self._asked()
        return {"city_s": said.at_s, "answer_ms": said.round_ms}

    def _asked(self) -> TimeSaid:
        """Raises what keeps it from being known."""
        station = self._opened()
        device, nonce = station.certificate.device, os.urandom(NONCE_BYTES)
        sent_ms = self._clock.mono_ms()
        answer = self._uplink.exchange(ask_time(device, nonce))
        heard_ms = self._clock.mono_ms()
        if answer.status != HTTP_OK:
            raise read_error(answer).refusal
        said = read_time_answer(answer.body, station.certificate.city, device, nonce, station.trust.held)
        return TimeSaid(said.issued_at_s, heard_ms, heard_ms - sent_ms)

    def _opened(self) -> Station:
        if self._station is None:
            assert self._why_closed is not None
            raise self._why_closed
        return self._station

    def _complete(self, turn: Turn) -> Facts:
        """Until nothing waits."""
        station = self._opened()
        machine = station.sync or station.link(os.urandom, REST_MS)
        until_s = turn.now_s() + turn.times.sync_s
        requests = 0
        for _ in range(EXCHANGES_MAX):
            machine.hurry(self._clock.mono_ms())
            while (request := machine.next_request(self._clock.mono_ms())) is not None and turn.now_s() < until_s:
                turn.look()
                requests += 1
                sent_ms = self._clock.mono_ms()
                try:
                    answer = self._uplink.exchange(request)
                except Refusal as refusal:
                    machine.lose(refusal, self._clock.mono_ms())
                    raise
                machine.hear(answer, sent_ms, self._clock.mono_ms())
            status = machine.status()
            if status.trouble is not None:
                raise status.trouble
            if not status.pending_count:
                break
        else:
            raise SyncStillWaiting(f"{machine.status().pending_count} vouchers")
        return {"requests": requests, "complete_at_s": status.complete_at_s, "rejected": len(status.rejected)}


def looked_up(host: str, port: int, turn: Turn) -> list[str]:
    """Its addresses. The system's own look-up may hang for a minute, so it is left behind when its time is over. Raises
    CityNameUnknown, LeftOut, Stopped."""
    answers: Queue[list[str] | OSError] = Queue()

    def look() -> None:
        try:
            answers.put(sorted({str(one[4][0]) for one in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}))
        except OSError as error:
            answers.put(error)

    Thread(target=look, name="look-up", daemon=True).start()
    turn.wait(lambda: not answers.empty(), turn.times.dns_s)
    try:
        found = answers.get_nowait()
    except Empty:
        raise CityNameUnknown(f"{host}: no answer") from None
    if isinstance(found, OSError):
        raise CityNameUnknown(f"{host}: {found.strerror}")
    return found

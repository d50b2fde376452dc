"""Connections of the service: a head that does not come is ended, and half-open ones never shut anybody out. DESIGN §7.

A head has HEAD_S_MAX from the connection, or from its first byte. Where all places are taken, the oldest connection
that waits for its peer makes room; only when all hold a whole request the newcomer is refused. Who asks on and reads no
answer is waited for too, and no longer than UNREAD_S_MAX. One address has a bound of its own. What the server library
would say in its own words, this says as `docs/protocol.md` promises: {1: number, 2: key, 3: detail}. Never reads
a body.
"""

import asyncio
import logging
from collections import Counter

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from offline_ledger.errors import CityBusy, Refusal, RequestUnreadable
from offline_ledger.protocol import cbor

HEAD_S_MAX = 10
"""A phone on a bad network needs two or three; a terminal as many."""
UNREAD_S_MAX = 20
"""Answers lie unread so long while more is asked for: no terminal or phone asks before it has read."""
REFUSED_S_MAX = 2
"""How long a refused one may take to send something: an answer to nothing is not read by every client."""
log = logging.getLogger("kgo.city.http")


class Doorkeeper:
    """All connections of one service, oldest first, and how many each address has. One event loop's."""

    def __init__(self, connections_max: int, address_max: int) -> None:
        self.connections_max = connections_max
        self.address_max = address_max
        self._open: dict[GuardedProtocol, str] = {}
        self._by_address: Counter[str] = Counter()

    def enter(self, connection: "GuardedProtocol", address: str) -> bool:
        """Is there a place, or can one be made? Of another address, or its own when that has all it may have."""
        own_only = self._by_address[address] >= self.address_max
        if own_only or len(self._open) >= self.connections_max:
            waiting = (
                one for one, other in self._open.items() if one.is_waiting and (other == address or not own_only)
            )
            oldest = next(waiting, None)
            if oldest is None:
                return False
            self.leave(oldest)
            oldest.end()
        self._open[connection] = address
        self._by_address[address] += 1
        return True

    def leave(self, connection: "GuardedProtocol") -> None:
        """It is over; again changes nothing."""
        address = self._open.pop(connection, None)
        if address is None:
            return
        self._by_address[address] -= 1
        if not self._by_address[address]:
            del self._by_address[address]


class GuardedProtocol(H11Protocol):
    """uvicorn's, with a time for heads and a place of its own. Subclassed once per service, with its doorkeeper."""

    keeper: Doorkeeper
    head_s_max: float = HEAD_S_MAX
    _head_timer: asyncio.TimerHandle | None = None
    _unread_timer: asyncio.TimerHandle | None = None
    _is_refused = False

    @property
    def has_head(self) -> bool:
        """Has a whole head come that is not answered yet?"""
        return bool(self.cycle) and not self.cycle.response_complete

    @property
    def is_waiting(self) -> bool:
        """Is it the peer's turn: for a head, for the rest of a body, or to read?"""
        return not self.has_head or self.cycle.more_body or self._unread_timer is not None

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """TLS stands. Refused only when nobody can make room."""
        super().connection_made(transport)
        self._is_refused = not self.keeper.enter(self, self.client[0] if self.client else "")
        self._wait_for_head(REFUSED_S_MAX if self._is_refused else self.head_s_max)

    def data_received(self, data: bytes) -> None:
        """Part of a head, or of a body."""
        if self._is_refused:
            self._refuse(CityBusy(), 503)
            return
        super().data_received(data)
        if self.has_head:
            self._stop_waiting()
        elif self._head_timer is None and not self.transport.is_closing():
            self._wait_for_head(self.head_s_max)

    def pause_writing(self) -> None:
        """The peer asks on, and reads nothing."""
        super().pause_writing()
        if self._unread_timer is None:
            self._unread_timer = self.loop.call_later(UNREAD_S_MAX, self.end)

    def resume_writing(self) -> None:
        """It has read."""
        super().resume_writing()
        self._stop_reading_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Makes room."""
        self._stop_waiting()
        self._stop_reading_timer()
        self.keeper.leave(self)
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """What the library cannot read."""
        self._refuse(RequestUnreadable(msg), 400)

    def end(self) -> None:
        """At once, without a word: nothing whole was asked, or nothing is read."""
        self._stop_waiting()
        self.transport.abort()

    def _wait_for_head(self, seconds: float) -> None:
        self._head_timer = self.loop.call_later(seconds, self._head_is_late)

    def _stop_waiting(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _stop_reading_timer(self) -> None:
        if self._unread_timer is not None:
            self._unread_timer.cancel()
            self._unread_timer = None

    def _head_is_late(self) -> None:
        self._head_timer = None
        if self.has_head or self.transport.is_closing():
            return
        if self.conn.trailing_data[0]:
            self._refuse(RequestUnreadable(f"no whole head within {self.head_s_max} s"), 400)
        self._end_soon()

    def _end_soon(self) -> None:
        """What was written may still go out; a peer that does not read is not waited for."""
        self.transport.close()
        self.loop.call_later(1, self.transport.abort)

    def _refuse(self, refusal: Refusal, status: int) -> None:
        """One answer, and the end of the connection."""
        self._stop_waiting()
        body = cbor.encode({1: refusal.number, 2: refusal.key, 3: refusal.detail[:200]})
        log.info("request", extra={"fields": {"status": status, "refusal": refusal.number, "detail": refusal.detail}})
        headers = [
            (b"content-type", b"application/cbor"),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
        ]
        try:
            for event in (
                h11.Response(status_code=status, headers=headers),
                h11.Data(data=body),
                h11.EndOfMessage(),
            ):
                self.transport.write(self.conn.send(event))
        except h11.LocalProtocolError:
            pass  # an answer is on its way already; the connection ends all the same
        self._end_soon()


def guarded(connections_max: int, address_max: int) -> type[GuardedProtocol]:
    """The protocol of one service."""
    keeper = Doorkeeper(connections_max, address_max)

    class ServiceProtocol(GuardedProtocol):
        """Of this one."""

    ServiceProtocol.keeper = keeper
    return ServiceProtocol

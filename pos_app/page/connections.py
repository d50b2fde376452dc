"""Connections to the page: one that sends no whole request is ended, so that nobody keeps the till's windows out.
DESIGN §3.

Head and body have REQUEST_S_MAX from the connection, or from their first byte; what stays open between two requests is
ended by the library's own time. When the service ends, so does what is still open. Never reads a body.
"""

import asyncio
import socket

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

REQUEST_S_MAX = 3.0
"""All windows are on this machine, and what they send is small."""


class TimedProtocol(H11Protocol):
    """uvicorn's, with a time for requests."""

    request_s_max: float = REQUEST_S_MAX
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Its first request is waited for."""
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Part of a head, or of a body."""
        super().data_received(data)
        if self._is_whole:
            self._stop()
        elif self._timer is None and not self.transport.is_closing():
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is over."""
        self._stop()
        super().connection_lost(exc)

    @property
    def _is_whole(self) -> bool:
        """Has a whole request come that is not answered yet?"""
        return bool(self.cycle) and not self.cycle.response_complete and not self.cycle.more_body

    def _wait(self) -> None:
        self._timer = self.loop.call_later(self.request_s_max, self._late)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _late(self) -> None:
        self._timer = None
        if not self._is_whole:
            self.transport.abort()  # at once, without a word: nothing whole was asked


class ClosingServer(uvicorn.Server):
    """uvicorn's, which leaves no connection behind: one that was taken as it ended, or that takes no answer."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """After its grace."""
        await super().shutdown(sockets)
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        await asyncio.sleep(0)  # in this turn of the loop they are closed

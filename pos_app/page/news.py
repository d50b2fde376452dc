"""Tells open pages that there is something new: a revision as server-sent events; what it is they fetch. DESIGN §3.

One thread waits on the desk for all listeners, from the first one on. There are at most LISTENERS_MAX, and each that
goes makes room. Nothing is kept for a page that does not listen: one that comes back is told the newest at once.
"""

import asyncio
import contextlib
import json
import threading
from collections.abc import AsyncIterator, Callable

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from pos_app.page.desk_port import Desk

LISTENERS_MAX = 4
"""A browser opens six connections to one address; with more windows open than this, none could press a button."""
WAIT_S = 0.5
"""The longest that the end of the program waits for the desk to answer."""
ALIVE_S = 15.0
"""A message after so much silence: a page that is gone without a word is noticed by it."""


class News:
    """`boot` names this start of the program, so that a page knows that it lost the one before."""

    def __init__(self, desk: Desk, boot: str, is_over: Callable[[], bool], alive_s: float = ALIVE_S) -> None:
        self._desk, self._boot, self._is_over, self._alive_s = desk, boot, is_over, alive_s
        self._revision = -1
        self._listeners: set[asyncio.Event] = set()
        self._thread: threading.Thread | None = None

    def listener(self) -> "Stream | None":
        """One more, as an answer to send; None: there are as many as there may be. On the server's loop."""
        if len(self._listeners) >= LISTENERS_MAX:
            return None
        if self._thread is None:
            loop = asyncio.get_running_loop()
            self._thread = threading.Thread(target=self._watch, args=(loop,), name="page-news", daemon=True)
            self._thread.start()
        changed = asyncio.Event()
        self._listeners.add(changed)
        return Stream(self._events(changed), lambda: self._listeners.discard(changed))

    def close(self) -> None:
        """Waits for the thread; `is_over` must say so by now."""
        if self._thread is not None:
            self._thread.join(2 * WAIT_S)

    def _watch(self, loop: asyncio.AbstractEventLoop) -> None:
        while not self._is_over():
            revision = self._desk.wait_changed(self._revision, WAIT_S)
            if revision != self._revision:
                self._revision = revision
                if not _told(loop, self._tell):
                    return
        _told(loop, self._tell)

    def _tell(self) -> None:
        for changed in self._listeners:
            changed.set()

    async def _events(self, changed: asyncio.Event) -> AsyncIterator[str]:
        yield "retry: 1000\n\n"
        if self._revision >= 0:
            changed.set()
        while not self._is_over():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(changed.wait(), self._alive_s)
            changed.clear()
            if self._is_over():
                return
            yield f"data: {json.dumps({'boot': self._boot, 'revision': self._revision})}\n\n"


def _told(loop: asyncio.AbstractEventLoop, tell: Callable[[], None]) -> bool:
    try:
        loop.call_soon_threadsafe(tell)
    except RuntimeError:  # the loop has been closed: there is nobody left to tell
        return False
    return True


class Stream(StreamingResponse):
    """One listener's; `left` is called once, however it goes."""

    def __init__(self, events: AsyncIterator[str], left: Callable[[], None]) -> None:
        super().__init__(events, media_type="text/event-stream")
        self._left = left

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until the page or the program is gone."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._left()

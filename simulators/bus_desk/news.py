"""What pages are told, as server-sent events: everything at first, then what is another than before. DESIGN §11.

One look serves all listeners; there are at most LISTENERS_MAX, and each that goes makes room. Nothing is kept for a
page that does not listen: one that comes back is told everything again.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping

from starlette.concurrency import run_in_threadpool

from pos_app.page.news import LISTENERS_MAX, Stream

LOOK_S = 0.1
"""Later than this a light would be noticed; the ring's fastest pattern has a picture for each."""
ALIVE_S = 15.0
"""A comment after so much silence: a page that is gone without a word is noticed by it."""

Look = Callable[[], Mapping[str, object]]


class News:
    """`look` is asked on another thread, by one at a time. Streams end when `is_over`: nobody else would end them."""

    def __init__(
        self, look: Look, is_over: Callable[[], bool], look_s: float = LOOK_S, alive_s: float = ALIVE_S
    ) -> None:
        self._look, self._is_over = look, is_over
        self._look_s, self._alive_s = look_s, alive_s
        self._turn = asyncio.Lock()
        self._looked_s = float("-inf")
        self._seen: Mapping[str, object] = {}
        self._listeners = 0

    def listener(self) -> Stream | None:
        """One more, as an answer to send; None: there are as many as there may be."""
        if self._listeners >= LISTENERS_MAX:
            return None
        self._listeners += 1
        return Stream(self._events(), self._left)

    def _left(self) -> None:
        self._listeners -= 1

    async def _events(self) -> AsyncIterator[str]:
        told: Mapping[str, object] = {}
        told_s = time.monotonic()
        while not self._is_over():
            seen = await self._newest()
            news = {key: value for key, value in seen.items() if key not in told or told[key] != value}
            if not news and time.monotonic() - told_s < self._alive_s:
                await asyncio.sleep(self._look_s)
                continue
            yield f"data: {json.dumps(news)}\n\n" if news else ": still here\n\n"
            told, told_s = seen, time.monotonic()

    async def _newest(self) -> Mapping[str, object]:
        async with self._turn:
            if time.monotonic() - self._looked_s >= self._look_s:
                self._seen = await run_in_threadpool(self._look)
                self._looked_s = time.monotonic()
            return self._seen

"""A till that cannot open says why on its page, for whoever stands before it: number, words and remedy. DESIGN §3.

Serves that one page, with no desk behind it; takes nothing. Its answer stays open until this ends, by which a kiosk
knows that its windows live (`system/kgo-kiosk`); then the page asks again, and finds the till, or this once more.
"""

import asyncio
import signal
from collections.abc import AsyncIterator, Sequence
from http import HTTPStatus
from threading import Thread
from time import monotonic, sleep

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from offline_ledger.errors import Refusal
from offline_ledger.terminal.service_manager import READY, ServiceManager
from pos_app.page.guard import HEADERS, Guard
from pos_app.page.render import Renderer
from pos_app.page.server import GRACE_S, HOST, STATIC, bound_to, server_of

LOOK_S = 0.1
CLOSED_S = 25.0
"""Then the program ends, and whoever started it tries again: what was wrong may be mended."""


def show_closed(
    refusal: Refusal, language: str, port: int, manager: ServiceManager, closed_s: float = CLOSED_S
) -> None:
    """Until SIGTERM or SIGINT, and no longer than that. Raises PagePortTaken."""
    over: list[int] = []  # no Event: a signal may come while this very thread holds its lock
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _frame: over.append(number))
    bound = bound_to(port)
    server = server_of(closed_app(refusal, language, bound.getsockname()[1], over))
    thread = Thread(target=server.run, kwargs={"sockets": [bound]}, name="page", daemon=True)
    with bound:
        thread.start()
        manager.tell(READY)  # its windows may be opened: there is something to read
        until_s = monotonic() + closed_s
        while not over and monotonic() < until_s:
            manager.alive(int(monotonic() * 1_000))
            sleep(LOOK_S)
        over.append(0)
        server.should_exit = True
        thread.join(2 * GRACE_S)


def closed_app(refusal: Refusal, language: str, port: int, over: Sequence[int]) -> Starlette:
    """The page at this port, until there is something in `over`."""
    html, guard = Renderer().trouble(refusal, language, is_asked_again=True), Guard(HOST, port)

    async def told() -> AsyncIterator[str]:
        yield html
        while not over:
            await asyncio.sleep(LOOK_S)

    async def answer(request: Request) -> Response:
        if not guard.is_ours(request.method, request.headers, request.cookies):
            return Response(status_code=HTTPStatus.FORBIDDEN, headers=HEADERS)
        return StreamingResponse(told(), media_type="text/html", headers=HEADERS)

    routes = [Mount("/static", StaticFiles(directory=STATIC)), Route("/", answer), Route("/customer", answer)]
    return Starlette(routes=routes)

"""Serves the cashier's page and the customer's display on 127.0.0.1, in a thread of the till's program. DESIGN §3.

Knows the desk only as `desk_port` has it. No GET changes anything; a press is passed on from our own page alone
(`guard`), bounded in size and rate. Never shows a trace, never repeats a PIN, asks nothing of any other address.
"""

import asyncio
import secrets
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from pathlib import Path
from typing import TypeVar
from urllib.parse import parse_qsl
from zlib import crc32

import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from offline_ledger.errors import (
    PageFormUnfit,
    PageNotDrawn,
    PageNotOurs,
    PagePortTaken,
    PageTooFast,
    PageTooLarge,
    Refusal,
    TooLarge,
)
from pos_app.page.actions import fields_of
from pos_app.page.connections import ClosingServer, TimedProtocol
from pos_app.page.desk_port import Desk, View
from pos_app.page.guard import HEADERS, Guard, Rate
from pos_app.page.news import News
from pos_app.page.render import Renderer

HOST = "127.0.0.1"
STATIC = Path(__file__).parent / "static"
KINDS = {
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
}
BODY_BYTES_MAX = 8_192
"""A scanned text of 700 characters, each of which takes nine bytes in a form where the keyboard is a Thai one."""
FIELDS_MAX = 240
SCANNED_CHARACTERS_MAX = 700
SEARCH_CHARACTERS_MAX = 60
WORKERS = 4
"""Threads that ask the desk; as many windows as can be open."""
CONNECTIONS_MAX = 40
HEADER_BYTES_MAX = 16_384
REFUSED_MAX = 8
"""Windows whose last refusal is remembered; more than can listen."""
WINDOW_HEADER = "x-till-window"
WINDOW_CHARACTERS_MAX = 16
GRACE_S = 2
START_S_MAX = 10
BACKLOG = 32

Handler = Callable[[Request], Awaitable[Response]]
Answer = TypeVar("Answer")
Draw = Callable[[View | None, Refusal | None, str], Awaitable[Response]]


def bound_to(port: int) -> socket.socket:
    """Listens there, on this machine alone; 0: any that is free. Raises PagePortTaken."""
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # else no TCP_NODELAY: 44 ms each
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((HOST, port))
        bound.listen(BACKLOG)
    except OSError as failed:
        bound.close()
        raise PagePortTaken(f"{HOST}:{port}: {failed.strerror}") from failed
    return bound


def server_of(app: Starlette) -> uvicorn.Server:
    """Bounded, quiet, and not running yet."""
    return ClosingServer(
        uvicorn.Config(
            app,
            loop="asyncio",
            http=TimedProtocol,
            ws="none",
            lifespan="off",
            log_level="warning",
            log_config=None,
            access_log=False,
            server_header=False,
            limit_concurrency=CONNECTIONS_MAX,
            h11_max_incomplete_event_size=HEADER_BYTES_MAX,
            timeout_graceful_shutdown=GRACE_S,
        )
    )


class PageServer:
    """`start()` binds and serves; `close()` ends it. `port` 0: any that is free; then `port` says which."""

    def __init__(self, desk: Desk, port: int, *, renderer: Renderer | None = None) -> None:
        self.port = port
        self._desk, self._renderer = desk, renderer
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None
        self._page: Page | None = None

    @property
    def url(self) -> str:
        """Of the cashier's page; the customer's display is at `customer` below it."""
        return f"http://{HOST}:{self.port}/"

    def start(self) -> None:
        """Returns when it takes connections. Raises PagePortTaken."""
        bound = bound_to(self.port)
        self.port = bound.getsockname()[1]
        self._page = Page(self._desk, self.port, self._renderer or Renderer(), lambda: server.should_exit)
        server = self._server = server_of(self._page.app)
        self._thread = threading.Thread(target=self._serve, args=(server, bound), name="page", daemon=True)
        self._thread.start()
        until_s = time.monotonic() + START_S_MAX
        while not server.started and self._thread.is_alive() and time.monotonic() < until_s:
            time.sleep(0.005)

    def close(self) -> None:
        """Ends streams, then the server; at most GRACE_S and a little. Twice is as once."""
        if self._server is not None and self._thread is not None and self._page is not None:
            self._server.should_exit = True
            self._thread.join(2 * GRACE_S)
            self._page.close()
            self._server = self._thread = self._page = None

    @staticmethod
    def _serve(server: uvicorn.Server, bound: socket.socket) -> None:
        with bound:
            server.run(sockets=[bound])


class Page:
    """The application for one desk, listening at `port`; it tells news until `is_over`."""

    def __init__(self, desk: Desk, port: int, renderer: Renderer, is_over: Callable[[], bool]) -> None:
        self._desk, self._renderer = desk, renderer
        self._boot = secrets.token_hex(8)
        files = [file for file in sorted(STATIC.rglob("*")) if file.suffix in KINDS]
        self._assets = f"{crc32(b''.join(file.read_bytes() for file in files)):08x}"
        self._guard, self._rate = Guard(HOST, port), Rate()
        self._news = News(desk, self._boot, is_over)
        self._workers = ThreadPoolExecutor(WORKERS, "page-desk")
        self._refused: dict[str, tuple[Refusal, object]] = {}
        routes = [
            self._route("/", self._shell_of("till", desk.view)),
            self._route("/screen", self._screen),
            self._route("/customer", self._shell_of("customer", desk.customer_view)),
            self._route("/customer/screen", self._customer),
            self._route("/search", self._search),
            self._route("/events", self._events),
            self._route("/act/{action}", self._act, "POST"),
            self._route("/scanned", self._scanned_on(self._drawn), "POST"),
            self._route("/customer/scanned", self._scanned_on(self._display), "POST"),
        ]
        routes += [self._route(f"/static/{file.relative_to(STATIC).as_posix()}", self._file(file)) for file in files]
        self.app = Starlette(
            routes=routes,
            exception_handlers={
                HTTPStatus.NOT_FOUND.value: self._lost,
                HTTPStatus.METHOD_NOT_ALLOWED.value: self._lost,
                Exception: self._failed,
            },
        )

    def close(self) -> None:
        """Its threads end; the server must have ended by now."""
        self._news.close()
        self._workers.shutdown(cancel_futures=True)

    # --- screens

    def _shell_of(self, kind: str, view: Callable[[], View]) -> Handler:
        async def shell(_request: Request) -> Response:
            answer = HTMLResponse(await self._ask(lambda: self._renderer.shell(kind, self._with(view()))))
            answer.headers["set-cookie"] = self._guard.set_cookie()
            return answer

        return shell

    async def _screen(self, request: Request) -> Response:
        """What the window was refused stays until its next press that succeeds, or the next light."""
        view = await self._ask(self._desk.view)
        refused = self._refused.get(_window(request))
        if refused is None or refused[1] != view.get("light"):
            self._refused.pop(_window(request), None)
            return await self._drawn(view)
        return await self._drawn(view, refused[0])

    async def _customer(self, _request: Request) -> Response:
        return await self._display()

    async def _drawn(self, view: View | None = None, refusal: Refusal | None = None, said: str = "") -> Response:
        shown = view or await self._ask(self._desk.view)
        html = await self._ask(lambda: self._renderer.screen("till", self._with(shown), refusal))
        return self._named(HTMLResponse(html), shown, said)

    async def _display(self, _view: View | None = None, _refusal: Refusal | None = None, said: str = "") -> Response:
        """The customer's. A refusal of a scan there is the desk's to tell, on the cashier's."""
        view = await self._ask(self._desk.customer_view)
        return self._named(HTMLResponse(self._renderer.screen("customer", self._with(view))), view, said)

    def _with(self, view: View) -> View:
        return {**view, "boot": self._boot, "assets": self._assets}

    def _named(self, answer: Response, view: View, said: str) -> Response:
        """So that a page can tell an answer that is older than what it shows; with the token of this start."""
        answer.headers["x-till-boot"], answer.headers["x-till-revision"] = self._boot, str(view.get("revision", 0))
        answer.headers["set-cookie"] = self._guard.set_cookie()
        if said:
            answer.headers["x-till-said"] = said
        return answer

    async def _search(self, request: Request) -> Response:
        text = request.query_params.get("q", "").strip()[:SEARCH_CHARACTERS_MAX]
        goods = await self._ask(lambda: self._desk.search(text)) if text else []
        view = await self._ask(self._desk.view)
        return HTMLResponse(self._renderer.found(self._with(view), goods, text))

    async def _events(self, _request: Request) -> Response:
        return self._news.listener() or Response(status_code=HTTPStatus.SERVICE_UNAVAILABLE)

    # --- presses

    async def _act(self, request: Request) -> Response:
        try:
            form = await self._form(request)
            action = request.path_params["action"]
            fields, seen = fields_of(action, form), _seen(request)
            await self._ask(lambda: self._desk.act(action, fields, seen))
        except Refusal as refusal:
            return await self._refuse(request, refusal, self._drawn)
        self._refused.pop(_window(request), None)
        return await self._drawn(said="done")

    def _scanned_on(self, draw: Draw) -> Handler:
        """For a window whose screens `draw` draws."""

        async def scanned(request: Request) -> Response:
            try:
                text = (await self._form(request)).get("text", "")
                if not text:
                    raise PageFormUnfit("no text")
                if len(text) > SCANNED_CHARACTERS_MAX:
                    raise TooLarge(f"{len(text)} characters typed by a scanner")
                await self._ask(lambda: self._desk.scanned(text))
            except Refusal as refusal:
                return await self._refuse(request, refusal, draw)
            self._refused.pop(_window(request), None)
            return await draw(None, None, "done")

        return scanned

    async def _refuse(self, request: Request, refusal: Refusal, draw: Draw) -> Response:
        """Told to the window that pressed, and to no other."""
        view, window = await self._ask(self._desk.view), _window(request)
        self._refused.pop(window, None)
        self._refused[window] = (refusal, view.get("light"))
        while len(self._refused) > REFUSED_MAX:
            del self._refused[next(iter(self._refused))]
        return await draw(view, refusal, "refused")

    async def _form(self, request: Request) -> Mapping[str, str]:
        if not self._rate.takes(time.monotonic()):
            raise PageTooFast()
        if request.headers.get("content-type", "").partition(";")[0] != "application/x-www-form-urlencoded":
            raise PageFormUnfit("no form")
        body = bytearray()
        try:
            async for piece in request.stream():
                body += piece
                if len(body) > BODY_BYTES_MAX:
                    raise PageTooLarge(f"more than {BODY_BYTES_MAX} bytes")
            return dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=FIELDS_MAX, errors="strict"))
        except (ValueError, ClientDisconnect) as unfit:
            raise PageFormUnfit("no form") from unfit

    # --- the rest

    def _route(self, path: str, handler: Handler, method: str = "GET") -> Route:
        async def guarded(request: Request) -> Response:
            if self._guard.is_ours(request.method, request.headers, request.cookies):
                answer = await handler(request)
            else:
                answer = self._trouble(PageNotOurs(), HTTPStatus.FORBIDDEN)
            answer.headers.update(HEADERS)
            return answer

        return Route(path, guarded, methods=[method])

    @staticmethod
    def _file(file: Path) -> Handler:
        async def send(_request: Request) -> Response:
            return Response(file.read_bytes(), media_type=KINDS[file.suffix])

        return send

    async def _lost(self, _request: Request, _why: Exception) -> Response:
        return self._trouble(PageNotOurs(), HTTPStatus.NOT_FOUND)

    async def _failed(self, _request: Request, _why: Exception) -> Response:
        return self._trouble(PageNotDrawn(), HTTPStatus.INTERNAL_SERVER_ERROR)

    def _trouble(self, refusal: Refusal, status: HTTPStatus) -> Response:
        """In Thai and English: what failed may be the desk, which knows the language."""
        return HTMLResponse(self._renderer.trouble(refusal, "th"), status, HEADERS)

    async def _ask(self, work: Callable[[], Answer]) -> Answer:
        return await asyncio.get_running_loop().run_in_executor(self._workers, work)


def _window(request: Request) -> str:
    """Which of the open windows asks, as it calls itself; all that say nothing are one."""
    return request.headers.get(WINDOW_HEADER, "")[:WINDOW_CHARACTERS_MAX]


def _seen(request: Request) -> int:
    seen = request.headers.get("x-till-seen", "")
    if not (seen.isascii() and seen.isdigit() and len(seen) <= 18):
        raise PageFormUnfit("no revision")
    return int(seen)

"""The till's screen while its parts are tried: a page that any browser on this machine shows, anew each second.

TEST stands on it in both languages, and nothing on it can be pressed: the technician answers at the terminal. It runs
no script and asks nothing of any other address.
"""

import socket
from html import escape
from http import HTTPStatus
from threading import Lock, Thread

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from offline_ledger.errors import DisplayWrong
from offline_ledger.terminal.selftest.runner import Facts
from offline_ledger.terminal.selftest.turn import Asked, Turn
from offline_ledger.texts import Texts
from pos_app.page.guard import HEADERS, Guard
from pos_app.page.qr_svg import qr_svg
from pos_app.page.server import GRACE_S, HOST, STATIC, bound_to, server_of

AGAIN_S = 1
"""How soon the browser asks anew."""
FILLS = ("red", "green", "blue", "white", "black")
SEEN_S_MAX = 15.0
"""For a kiosk's browser, which looks every few seconds whether its page is there."""


class TestScreen:
    """The page on the till's own port, and the board of the self-test that it is."""

    __test__ = False

    def __init__(self, port: int, texts: Texts) -> None:
        """Raises PagePortTaken: the till's program still runs, or something else has its port."""
        self._texts = texts
        self._cover = " · ".join(Texts(language).get("selftest.cover") for language in ("th", "en"))
        self._lock = Lock()
        self._asked = Asked("", "selftest.over")
        self._fill = ""
        self._seen = 0
        self._bound: socket.socket = bound_to(port)
        self.port: int = self._bound.getsockname()[1]
        self._guard = Guard(HOST, self.port)
        routes = [
            Mount("/static", StaticFiles(directory=STATIC)),
            Route("/", self._answer),
            Route("/customer", self._answer),
        ]
        self._server = server_of(Starlette(routes=routes))
        self._thread = Thread(target=self._server.run, kwargs={"sockets": [self._bound]}, name="page", daemon=True)
        self._thread.start()

    def show(self, asked: Asked) -> None:
        """Until the next one."""
        with self._lock:
            self._asked, self._fill = asked, ""

    def fill(self, colour: str, turn: Turn) -> None:
        """One colour all over, until the browser has shown it for as long as it takes to look."""
        with self._lock:
            self._fill, before = colour, self._seen
        turn.wait(lambda: self._seen > before, SEEN_S_MAX)
        turn.rest(turn.times.fill_s)

    def check_seen(self, turn: Turn) -> Facts:
        """Raises DisplayWrong when no browser asks for the page."""
        with self._lock:
            before = self._seen
        if not turn.wait(lambda: self._seen > before, SEEN_S_MAX):
            raise DisplayWrong(f"nobody asked for http://{HOST}:{self.port}/")
        return {"url": f"http://{HOST}:{self.port}/"}

    def close(self) -> None:
        """The port is free."""
        self._server.should_exit = True
        self._thread.join(2 * GRACE_S)
        self._bound.close()

    async def _answer(self, request: Request) -> Response:
        if not self._guard.is_ours(request.method, request.headers, request.cookies):
            return Response(status_code=HTTPStatus.FORBIDDEN, headers=HEADERS)
        with self._lock:
            self._seen += 1
            asked, fill = self._asked, self._fill
        return HTMLResponse(self._drawn(asked, fill), headers=HEADERS)

    def _drawn(self, asked: Asked, fill: str) -> str:
        line = escape(self._texts.get(asked.key, **asked.values))
        how = escape(self._texts.get("selftest.answer")) if asked.is_question else ""
        code = qr_svg(asked.code, self._cover) if asked.code else ""
        body = "" if fill else f'<main><p class="line">{line}</p>{code}<p class="how">{how}</p></main>'
        return (
            f'<!doctype html><html lang="{self._texts.language}"><head><meta charset="utf-8">'
            f'<meta http-equiv="refresh" content="{AGAIN_S}"><title>{escape(self._cover)}</title>'
            '<link rel="stylesheet" href="/static/self_test.css">'
            f'</head><body class="{fill or "plain"}"><h1>{escape(self._cover)}</h1>{body}</body></html>'
        )

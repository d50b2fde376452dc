"""A page of a desk on this machine: who may ask it, and a server for it in a thread or until it is stopped. DESIGN §11.

Any page in the same browser could reach such a port, and a name of elsewhere could be bent to this machine: so Host and
Origin are checked with each request, and everything goes out under a strict policy. Knows nothing of what is served
but the files.
"""

import json
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from pathlib import Path
from threading import Thread
from types import MappingProxyType, TracebackType
from typing import Any, NamedTuple, Self, cast

import uvicorn
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from offline_ledger import texts
from pos_app.page.connections import ClosingServer
from simulators.demo.processes import wait_until

HOST, EVERYWHERE = "127.0.0.1", "0.0.0.0"
LOCAL_NAMES = (HOST, "localhost")
GRACE_S = 3
NEAR_MAX = 20
"""So many ports after the one that was wanted are tried."""
REASON_CHARACTERS_MAX = 400
FONTS = Path(texts.__file__).parent / "fonts"
OWN_FILES = ("page.html", "page.js", "page.css", "icon.svg")
"""What every page has; the first is the page itself."""
SHARED_FILES = (Path(__file__).with_name("local_page.js"), FONTS / "Sarabun-Medium.ttf", FONTS / "Sarabun-Bold.ttf")
_TYPES: Mapping[str, str] = MappingProxyType(
    {
        ".html": "text/html",
        ".js": "text/javascript",
        ".css": "text/css",
        ".svg": "image/svg+xml",
        ".ttf": "font/ttf",
    }
)
HEADERS: Mapping[str, str] = MappingProxyType(
    {
        "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self';"
        " font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "cache-control": "no-store",
    }
)
Handler = Callable[[Request], Awaitable[Response]]


class Guard(NamedTuple):
    """`hosts`: our own names with the port, as a browser says them."""

    hosts: tuple[str, ...]
    scheme: str = "http"
    headers: Mapping[str, str] = HEADERS

    def guarded(self, handler: Handler) -> Handler:
        """Only under our own names, and a press only from our own page."""

        async def answer(request: Request) -> Response:
            host, origin = request.headers.get("host"), request.headers.get("origin")
            is_ours = host in self.hosts and (
                origin == f"{self.scheme}://{host}" or (origin is None and request.method != "POST")
            )
            made = await handler(request) if is_ours else refused(HTTPStatus.FORBIDDEN, "not from this page")
            made.headers.update(self.headers)
            return made

        return answer


class BodyUnfit(Exception):
    """What was sent is too large, or its sender went away; the answer to it."""

    def __init__(self, answer: Response) -> None:
        super().__init__(answer.status_code)
        self.answer = answer


def refused(status: HTTPStatus, why: str) -> Response:
    """An answer in plain words."""
    return PlainTextResponse(why[:REASON_CHARACTERS_MAX], status)


async def body_of(request: Request, bytes_max: int) -> bytes:
    """What was sent. Raises BodyUnfit."""
    body = bytearray()
    try:
        async for piece in request.stream():
            body += piece
            if len(body) > bytes_max:
                raise BodyUnfit(refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"more than {bytes_max} bytes"))
    except ClientDisconnect:
        raise BodyUnfit(refused(HTTPStatus.BAD_REQUEST, "the sender went away")) from None
    return bytes(body)


async def line_of(request: Request, key: str, bytes_max: int) -> str:
    """The text under this key of what was sent, an object in JSON. Raises BodyUnfit."""
    try:
        said: object = json.loads(await body_of(request, bytes_max))
    except ValueError:
        raise BodyUnfit(refused(HTTPStatus.BAD_REQUEST, "no JSON")) from None
    line = cast(dict[str, object], said).get(key) if isinstance(said, dict) else None
    if not isinstance(line, str):
        raise BodyUnfit(refused(HTTPStatus.BAD_REQUEST, f'{{"{key}": "…"}}'))
    return line


def file_routes(folder: Path, guard: Guard, *more: str) -> list[Route]:
    """The page in this folder with its files, `more` of them, and what all pages share; read at each request."""
    own = {"" if name.endswith(".html") else name: folder / name for name in (*OWN_FILES, *more)}
    files = own | {path.name: path for path in SHARED_FILES}

    async def answer(request: Request) -> Response:
        path = files[request.url.path.lstrip("/")]
        return Response(path.read_bytes(), media_type=_TYPES[path.suffix])

    return [Route(f"/{name}", guard.guarded(answer), methods=["GET"]) for name in files]


class LocalPage:
    """Takes connections from the first; answers them from `start` to `close`, or while `run`. A context manager too.

    `port` 0: any that is free. Raises OSError when it is taken.
    """

    scheme = "http"

    def __init__(self, name: str, port: int = 0, host: str = HOST) -> None:
        self._bound = listening(port, host)
        self.port: int = self._bound.getsockname()[1]
        self._server: uvicorn.Server | None = None
        self._thread = Thread(target=self.run, name=name, daemon=True)

    @property
    def url(self) -> str:
        """Where to open it on this machine."""
        return f"{self.scheme}://{HOST}:{self.port}/"

    @property
    def is_over(self) -> bool:
        """It was told to end: streams end now, for nobody else would end them."""
        return self._server is not None and self._server.should_exit

    def guard(self, names: tuple[str, ...] = LOCAL_NAMES, headers: Mapping[str, str] = HEADERS) -> Guard:
        """For this port."""
        return Guard(tuple(f"{name}:{self.port}" for name in names), self.scheme, headers)

    def serves(self, app: ASGIApp, **options: Any) -> None:
        """What it answers with; `options`: more of uvicorn's."""
        config = uvicorn.Config(
            app, log_level="warning", access_log=False, lifespan="off", timeout_graceful_shutdown=GRACE_S, **options
        )
        config.load()
        if config.ssl is not None:
            config.ssl.minimum_version = ssl.TLSVersion.TLSv1_2
        self._server = ClosingServer(config)

    def run(self) -> None:
        """Until `close`, or in a main thread until SIGINT or SIGTERM."""
        assert self._server is not None
        self._server.run(sockets=[self._bound])

    def start(self) -> None:
        """In a thread; returns when it answers."""
        server = self._server
        assert server is not None
        self._thread.start()
        wait_until(lambda: server.started or not self._thread.is_alive(), "the page to be served")

    def close(self) -> None:
        """Ends it."""
        if self._server is not None:
            self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join(GRACE_S + 5)
        self._bound.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, _type: type[BaseException] | None, _value: object, _trace: TracebackType | None) -> None:
        self.close()


def listening(port: int, host: str = HOST) -> socket.socket:
    """A socket that takes connections. Raises OSError."""
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # else no TCP_NODELAY: 44 ms each
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
        bound.listen()
    except OSError:
        bound.close()
        raise
    return bound


def port_near(wanted: int) -> int:
    """It, or the next one that nobody listens at now. Raises OSError when none is near."""
    for port in range(wanted, wanted + NEAR_MAX):
        try:
            listening(port).close()
        except OSError:
            continue
        return port
    raise OSError(f"no free port from {wanted} to {wanted + NEAR_MAX - 1}")

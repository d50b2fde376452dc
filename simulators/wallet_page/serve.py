"""Serves the wallet page: its own files and the way to the city, nothing else, under a strict policy. DESIGN §3, §11.

On 127.0.0.1, or with `Tls` to a local network so that a phone can open it. Host and Origin are checked, since any page
in the same browser could reach this port. It sees no key and no secret: the wallet is in the browser.
"""

import socket
import ssl
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from pathlib import Path
from threading import Thread
from types import TracebackType
from typing import NamedTuple, Self

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from simulators.demo.processes import wait_until
from simulators.wallet_page.files import page_files
from simulators.wallet_page.pipe import (
    BODY_BYTES_MAX,
    CBOR_TYPE,
    INVITATION,
    INVITATION_CHARACTERS_MAX,
    Answered,
    CityAway,
    CityBusy,
    CityPipe,
)

HOST = "127.0.0.1"
LOCAL_NAMES = (HOST, "localhost")
GRACE_S = 2
CONNECTIONS_MAX = 64
"""Some ten phones with six connections each."""
HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self';"
    " img-src 'self'; font-src 'self'; connect-src 'self'; worker-src 'self'; manifest-src 'self'; base-uri 'none';"
    " form-action 'none'; frame-ancestors 'none'",
    "permissions-policy": "camera=(self), microphone=(), geolocation=(), payment=()",
    "cross-origin-opener-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}
"""`wasm-unsafe-eval` compiles zxing's WebAssembly; script from text stays forbidden."""
Handler = Callable[[Request], Awaitable[Response]]


class Tls(NamedTuple):
    """For a local network: which addresses the page is reached at, its certificate and key, and the CA to install."""

    names: tuple[str, ...]
    certificate: Path
    key: Path
    ca: Path


class WalletPage:
    """The page of one city, served by a thread of its own from `start` to `close`; also a context manager.

    `port` 0: any that is free. Raises OSError when it is taken.
    """

    def __init__(self, city_url: str, ca_file: Path, port: int = 0, tls: Tls | None = None) -> None:
        self._pipe = CityPipe(city_url, ca_file)
        self._files = page_files()
        self._tls = tls
        self._bound = socket.socket()
        try:
            self._bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._bound.bind(("0.0.0.0" if tls else HOST, port))
        except OSError:
            self._bound.close()
            raise
        self.port: int = self._bound.getsockname()[1]
        self._names = (*LOCAL_NAMES, *(tls.names if tls else ()))
        self._server = uvicorn.Server(self._config())
        self._thread = Thread(target=self.run, name="wallet-page", daemon=True)

    @property
    def url(self) -> str:
        """Where to open it: on this machine, or the first address of the local network."""
        name = self._tls.names[0] if self._tls and self._tls.names else "localhost"
        return f"{self._scheme}://{name}:{self.port}/"

    @property
    def _scheme(self) -> str:
        return "https" if self._tls else "http"

    def run(self) -> None:
        """Serves until `close`, or in a main thread until SIGINT or SIGTERM."""
        self._bound.listen()
        self._server.run(sockets=[self._bound])

    def start(self) -> None:
        """Serves in a thread; returns when it answers."""
        self._thread.start()
        wait_until(lambda: self._server.started or not self._thread.is_alive(), "the wallet page to be served")

    def close(self) -> None:
        """Ends it."""
        self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join(GRACE_S + 5)
        self._bound.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, _type: type[BaseException] | None, _value: object, _trace: TracebackType | None) -> None:
        self.close()

    def _config(self) -> uvicorn.Config:
        get = ["GET"]
        routes = [Route(path, self._guarded(self._file), methods=get) for path in self._files]
        routes.append(Route("/city/v1/trust-lists", self._guarded(self._trust_lists), methods=get))
        routes.append(Route("/city/v1/wallet", self._guarded(self._wallet), methods=["POST"]))
        if self._tls:
            routes.append(Route("/ca.crt", self._guarded(self._ca), methods=get))
        config = uvicorn.Config(
            Starlette(routes=routes),
            log_level="warning",
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=GRACE_S,
            limit_concurrency=CONNECTIONS_MAX,
            ssl_certfile=self._tls.certificate if self._tls else None,
            ssl_keyfile=self._tls.key if self._tls else None,
        )
        config.load()
        if config.ssl is not None:
            config.ssl.minimum_version = ssl.TLSVersion.TLSv1_2
        return config

    def _guarded(self, handler: Handler) -> Handler:
        """Only under our own names, and a question to the city only from our own page."""

        async def guarded(request: Request) -> Response:
            host, origin = request.headers.get("host"), request.headers.get("origin")
            is_named = host in [f"{name}:{self.port}" for name in self._names]
            is_ours = origin == f"{self._scheme}://{host}" or (origin is None and request.method != "POST")
            answer = await handler(request) if is_named and is_ours else _no(HTTPStatus.FORBIDDEN, "not from this page")
            answer.headers.update(HEADERS)
            return answer

        return guarded

    async def _file(self, request: Request) -> Response:
        file = self._files[request.url.path]
        return Response(file.body, media_type=file.media_type)

    async def _ca(self, _request: Request) -> Response:
        assert self._tls is not None
        return Response(self._tls.ca.read_bytes(), media_type="application/x-x509-ca-cert")

    async def _trust_lists(self, request: Request) -> Response:
        after = request.query_params.get("after", "0")
        if not (after.isascii() and after.isdigit() and len(after) <= 15):
            return _no(HTTPStatus.BAD_REQUEST, "after")
        return await _passed_on(lambda: self._pipe.trust_lists(int(after)))

    async def _wallet(self, request: Request) -> Response:
        invitation = request.headers.get(INVITATION, "")
        if len(invitation) > INVITATION_CHARACTERS_MAX:
            return _no(HTTPStatus.BAD_REQUEST, INVITATION)
        body = bytearray()
        try:
            async for piece in request.stream():
                body += piece
                if len(body) > BODY_BYTES_MAX:
                    return _no(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"more than {BODY_BYTES_MAX} bytes")
        except ClientDisconnect:
            return _no(HTTPStatus.BAD_REQUEST, "the sender went away")
        return await _passed_on(lambda: self._pipe.wallet(bytes(body), invitation))


async def _passed_on(ask: Callable[[], Answered]) -> Response:
    try:
        answered = await run_in_threadpool(ask)
    except CityBusy as busy:
        return _no(HTTPStatus.SERVICE_UNAVAILABLE, str(busy))
    except CityAway as away:
        return _no(HTTPStatus.BAD_GATEWAY, str(away))
    return Response(answered.body, answered.status, media_type=CBOR_TYPE)


def _no(status: HTTPStatus, why: str) -> Response:
    return PlainTextResponse(why[:200], status)

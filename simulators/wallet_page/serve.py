"""Serves the wallet page: its own files and the way to the city, nothing else, under a strict policy. DESIGN §3, §11.

On 127.0.0.1, or with `Tls` to a local network so that a phone can open it. Host and Origin are checked, since any page
in the same browser could reach this port. It sees no key and no secret: the wallet is in the browser.
"""

from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import NamedTuple

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from offline_ledger.protocol.wallet import ID_CHARACTERS_MAX
from simulators.local_page import EVERYWHERE, HEADERS, HOST, LOCAL_NAMES, BodyUnfit, LocalPage, body_of, refused
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

CONNECTIONS_MAX = 64
"""Some ten phones with six connections each."""
WALLET_HEADERS = {
    **HEADERS,
    "content-security-policy": "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self';"
    " img-src 'self'; font-src 'self'; connect-src 'self'; worker-src 'self'; manifest-src 'self'; base-uri 'none';"
    " form-action 'none'; frame-ancestors 'none'",
    "permissions-policy": "camera=(self), microphone=(), geolocation=(), payment=()",
    "cross-origin-opener-policy": "same-origin",
}
"""`wasm-unsafe-eval` compiles zxing's WebAssembly; script from text stays forbidden."""


class Tls(NamedTuple):
    """For a local network: which addresses the page is reached at, its certificate and key, and the CA to install."""

    names: tuple[str, ...]
    certificate: Path
    key: Path
    ca: Path


class WalletPage(LocalPage):
    """The page of one city, served by a thread of its own from `start` to `close`; also a context manager.

    `port` 0: any that is free. Raises OSError when it is taken.
    """

    def __init__(self, city_url: str, ca_file: Path, port: int = 0, tls: Tls | None = None) -> None:
        self._pipe = CityPipe(city_url, ca_file)
        self._files = page_files()
        self._tls = tls
        self.scheme = "https" if tls else "http"
        super().__init__("wallet-page", port, EVERYWHERE if tls and set(tls.names) - set(LOCAL_NAMES) else HOST)
        try:
            self.serves(
                Starlette(routes=self._routes()),
                limit_concurrency=CONNECTIONS_MAX,
                ssl_certfile=tls.certificate if tls else None,
                ssl_keyfile=tls.key if tls else None,
            )
        except BaseException:
            self.close()
            raise

    @property
    def url(self) -> str:
        """Where to open it: on this machine, or the first address of the local network."""
        name = self._tls.names[0] if self._tls and self._tls.names else "localhost"
        return f"{self.scheme}://{name}:{self.port}/"

    def _routes(self) -> list[Route]:
        names = (*LOCAL_NAMES, *(self._tls.names if self._tls else ()))
        guarded, get = self.guard(names, WALLET_HEADERS).guarded, ["GET"]
        routes = [Route(path, guarded(self._file), methods=get) for path in self._files]
        routes.append(Route("/city/v1/trust-lists", guarded(self._trust_lists), methods=get))
        routes.append(Route("/city/v1/certificates", guarded(self._certificate), methods=get))
        routes.append(Route("/city/v1/wallet", guarded(self._wallet), methods=["POST"]))
        if self._tls:
            routes.append(Route("/ca.crt", guarded(self._ca), methods=get))
        return routes

    async def _file(self, request: Request) -> Response:
        file = self._files[request.url.path]
        return Response(file.body, media_type=file.media_type)

    async def _ca(self, _request: Request) -> Response:
        assert self._tls is not None
        return Response(self._tls.ca.read_bytes(), media_type="application/x-x509-ca-cert")

    async def _trust_lists(self, request: Request) -> Response:
        after = request.query_params.get("after", "0")
        if not (after.isascii() and after.isdigit() and len(after) <= 15):
            return refused(HTTPStatus.BAD_REQUEST, "after")
        return await _passed_on(lambda: self._pipe.trust_lists(int(after)))

    async def _certificate(self, request: Request) -> Response:
        device = request.query_params.get("device", "")
        if not 0 < len(device) <= ID_CHARACTERS_MAX:
            return refused(HTTPStatus.BAD_REQUEST, "device")
        return await _passed_on(lambda: self._pipe.certificate(device))

    async def _wallet(self, request: Request) -> Response:
        invitation = request.headers.get(INVITATION, "")
        if len(invitation) > INVITATION_CHARACTERS_MAX:
            return refused(HTTPStatus.BAD_REQUEST, INVITATION)
        try:
            body = await body_of(request, BODY_BYTES_MAX)
        except BodyUnfit as unfit:
            return unfit.answer
        return await _passed_on(lambda: self._pipe.wallet(body, invitation))


async def _passed_on(ask: Callable[[], Answered]) -> Response:
    try:
        answered = await run_in_threadpool(ask)
    except CityBusy as busy:
        return refused(HTTPStatus.SERVICE_UNAVAILABLE, str(busy))
    except CityAway as away:
        return refused(HTTPStatus.BAD_GATEWAY, str(away))
    return Response(answered.body, answered.status, media_type=CBOR_TYPE)

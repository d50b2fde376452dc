"""The HTTP face of the service: bounded bodies in, CBOR out, every refusal numbered. DESIGN §7.

Work runs in threads, so that one slow batch holds nobody else up; writing is one at a time by the store's lock. Never
shows an inner error: those are logged and answered as `city_fault`.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from importlib.resources import files
from pathlib import Path
from time import monotonic

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from offline_ledger.city.releases import release_routes
from offline_ledger.city.service import Service
from offline_ledger.city.wallet_desk import Caller
from offline_ledger.errors import (
    BatchOutOfOrder,
    CityClockWrong,
    CityFault,
    NoSuchAddress,
    NotInLog,
    RecoveryNeeded,
    Refusal,
    RequestTooLarge,
    RequestUnreadable,
    StorageFailed,
    StorageFull,
    TokenInvalid,
    TooLarge,
)
from offline_ledger.protocol import cbor
from offline_ledger.protocol.kinds import OBJECT_BYTES_MAX

BATCH_BODY_BYTES_MAX = 2 * 1_048_576
SMALL_BODY_BYTES_MAX = OBJECT_BYTES_MAX + 64
BODY_S_MAX = 30
"""A body that takes longer is dropped, so that slow senders cannot hold every connection."""
TOKEN_HEADER = "kgo-enrolment-token"
INVITATION_HEADER = "kgo-invitation"
CBOR_TYPE = "application/cbor"
BYTES_TYPE = "application/octet-stream"
_STATUS: tuple[tuple[type[Refusal], int], ...] = (
    (RequestTooLarge, 413),
    (TooLarge, 413),
    (NoSuchAddress, 404),
    (NotInLog, 404),
    (RequestUnreadable, 400),
    (TokenInvalid, 403),
    (BatchOutOfOrder, 409),
    (RecoveryNeeded, 503),
    (CityClockWrong, 503),
    (StorageFull, 503),
    (StorageFailed, 503),
    (CityFault, 500),
)
_REFUSED = 422
Work = Callable[[], bytes]
Prepare = Callable[[Request], Awaitable[Work]]
log = logging.getLogger("kgo.city.http")


def build_app(service: Service, *, log_requests: bool = True, releases: Path | None = None) -> Starlette:
    """The application of one service; `releases`: a folder of signed releases to give out."""

    def route(path: str, method: str, prepare: Prepare, media_type: str = CBOR_TYPE) -> Route:
        async def endpoint(request: Request) -> Response:
            return await _answered(request, prepare, media_type, log_requests)

        return Route(path, endpoint, methods=[method])

    async def bulletins(request: Request) -> Work:
        return partial(service.bulletins, _parameter(request, "have", ""))

    async def certificates(request: Request) -> Work:
        return partial(service.certificate, _parameter(request, "device", ""))

    async def enrolments(request: Request) -> Work:
        token = request.headers.get(TOKEN_HEADER, "")
        return partial(service.enrol, token, await _body(request, SMALL_BODY_BYTES_MAX))

    async def wallet(request: Request) -> Work:
        address = request.client.host if request.client is not None else ""
        caller = Caller(address, request.headers.get(INVITATION_HEADER, ""))
        return partial(service.wallet, await _body(request, SMALL_BODY_BYTES_MAX), caller)

    def gave_release(request: Request, response: Response, refused: Refusal | None, began_s: float) -> None:
        if log_requests or refused is not None:
            _log_request(request, response, refused, began_s)

    openapi_json = files("offline_ledger.city").joinpath("openapi.json").read_bytes()

    async def openapi(_request: Request) -> Response:
        return Response(openapi_json, media_type="application/json")

    return Starlette(
        routes=[
            route("/v1/trust-lists", "GET", _asked(service.trust_lists, "after")),
            route("/v1/bulletins", "GET", bulletins),
            route("/v1/deny-list", "GET", _asked(service.deny_list, "counter"), BYTES_TYPE),
            route("/v1/batches", "POST", _sent(service.batches, BATCH_BODY_BYTES_MAX)),
            route("/v1/time", "POST", _sent(service.time, SMALL_BODY_BYTES_MAX)),
            route("/v1/wallet", "POST", wallet),
            route("/v1/enrolments", "POST", enrolments),
            route("/v1/certificates", "GET", certificates),
            route("/v1/checkpoint", "GET", _asked(service.checkpoint)),
            route("/v1/consistency", "GET", _asked(service.consistency, "from", "to")),
            Route("/openapi.json", openapi, methods=["GET"]),
            *release_routes(releases, error_response, gave_release),
        ],
        exception_handlers={HTTPException: _no_such_address, Exception: _fault},
    )


def _asked(answer: Callable[..., bytes], *names: str) -> Prepare:
    """A question with these numbers in its address."""

    async def prepare(request: Request) -> Work:
        return partial(answer, *(_number(request, name) for name in names))

    return prepare


def _sent(answer: Callable[[bytes], bytes], bytes_max: int) -> Prepare:
    """A body of at most so many bytes."""

    async def prepare(request: Request) -> Work:
        return partial(answer, await _body(request, bytes_max))

    return prepare


async def _answered(request: Request, prepare: Prepare, media_type: str, log_requests: bool) -> Response:
    began_s = monotonic()
    refused: Refusal | None = None
    try:
        answer = await run_in_threadpool(await prepare(request))
        response = Response(answer, media_type=media_type)
    except ClientDisconnect:
        refused = RequestUnreadable("the sender went away")
        response = error_response(refused)
    except Refusal as refusal:
        refused = refusal
        response = error_response(refusal)
    if log_requests or refused is not None:
        _log_request(request, response, refused, began_s)
    return response


def _log_request(request: Request, response: Response, refused: Refusal | None, began_s: float) -> None:
    log.info(
        "request",
        extra={
            "fields": {
                "method": request.method,
                "path": request.url.path,
                "status": response.status_code,
                "ms": int((monotonic() - began_s) * 1000),
                "bytes": int(response.headers.get("content-length", 0)),
                "refusal": refused.number if refused else 0,
                "detail": refused.detail[:200] if refused else "",
            }
        },
    )


def error_response(refusal: Refusal) -> Response:
    """{1: number, 2: key, 3: detail, 4: where to resume after a restore}."""
    status = next((status for kind, status in _STATUS if isinstance(refusal, kind)), _REFUSED)
    body: dict[int, object] = {1: refusal.number, 2: refusal.key, 3: refusal.detail[:200]}
    if isinstance(refusal, RecoveryNeeded) and refusal.resume_at is not None:
        body[4] = list(refusal.resume_at)
    return Response(cbor.encode(body), status, media_type=CBOR_TYPE)


async def _no_such_address(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    response = error_response(NoSuchAddress(f"{request.method} {request.url.path[:80]}"))
    response.status_code = error.status_code
    return response


async def _fault(_request: Request, error: Exception) -> Response:
    return error_response(CityFault(type(error).__name__))


async def _body(request: Request, bytes_max: int) -> bytes:
    length = request.headers.get("content-length", "0")
    if length.isascii() and length.isdigit() and int(length) > bytes_max:
        raise RequestTooLarge(f"{length} > {bytes_max}")
    parts = bytearray()
    try:
        async with asyncio.timeout(BODY_S_MAX):
            async for part in request.stream():
                parts += part
                if len(parts) > bytes_max:
                    raise RequestTooLarge(f"over {bytes_max}")
    except TimeoutError as error:
        raise RequestUnreadable(f"no whole body within {BODY_S_MAX} s") from error
    return bytes(parts)


def _parameter(request: Request, name: str, default: str) -> str:
    """Of a name that stands twice nobody can say which value is meant."""
    values = request.query_params.getlist(name)
    if len(values) > 1:
        raise RequestUnreadable(name)
    return values[0] if values else default


def _number(request: Request, name: str) -> int:
    text = _parameter(request, name, "0")
    if not (text.isascii() and text.isdigit() and len(text) <= 15):
        raise RequestUnreadable(name)
    return int(text)

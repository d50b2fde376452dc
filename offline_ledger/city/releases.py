"""The city's signed releases for its terminals, read-only: by checked names, whole or in part. DESIGN §7.

What is given out is signed on its own, so nothing is judged here. Never lists, follows a link, holds a file in memory,
or waits for the disk in the service's own loop.
"""

import os
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from time import monotonic
from typing import NamedTuple

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from offline_ledger.errors import NoSuchAddress, Refusal, RequestUnreadable
from offline_ledger.plain_files import close_read, open_plain

CHUNK_BYTES = 65_536
"""A slow peer reads one of these within the time that the door gives it."""
JSON_TYPE, PACKAGE_TYPE = "application/json", "application/octet-stream"
_METADATA = re.compile(r"([1-9][0-9]{0,8}\.)?[a-z][a-z0-9-]{0,31}\.json")
_CHANNEL = re.compile(r"[a-z][a-z0-9-]{0,31}")
_PACKAGE = re.compile(r"[0-9a-f]{64}\.kgo-[0-9]{1,6}\.[0-9]{1,6}\.[0-9]{1,6}-linux_[a-z0-9_]{3,16}\.zip")
_RANGE = re.compile(r"bytes=([0-9]{1,15})-([0-9]{0,15})")
_PARTIAL, _OUT_OF_RANGE = 206, 416
Answered = Callable[[Request, Response, Refusal | None, float], None]
"""Hears of every answer, and when it began, for the log."""
Refused = Callable[[Refusal], Response]


class _Wanted(NamedTuple):
    """An open file, and which of its bytes."""

    descriptor: int
    size: int
    first: int
    length: int


def release_routes(folder: Path | None, refuse: Refused, answered: Answered) -> list[Route]:
    """The routes of a folder of releases; without one nothing is there."""

    def route(path: str, name_of: Callable[[Request], str], media_type: str) -> Route:
        async def endpoint(request: Request) -> Response:
            began_s = monotonic()
            refused: Refusal | None = None
            try:
                response = await _answer(folder, name_of(request), request, media_type)
            except Refusal as refusal:
                refused = refusal
                response = refuse(refusal)
                if isinstance(refusal, RequestUnreadable):
                    response.status_code = _OUT_OF_RANGE
            answered(request, response, refused, began_s)
            return response

        return Route(path, endpoint, methods=["GET"])

    return [
        route("/releases/metadata/{name}", _metadata_name, JSON_TYPE),
        route("/releases/targets/{channel}/{name}", _package_name, PACKAGE_TYPE),
    ]


def _metadata_name(request: Request) -> str:
    name = request.path_params["name"]
    if not _METADATA.fullmatch(name):
        raise NoSuchAddress(name[:80])
    return f"metadata/{name}"


def _package_name(request: Request) -> str:
    channel, name = request.path_params["channel"], request.path_params["name"]
    if not (_CHANNEL.fullmatch(channel) and _PACKAGE.fullmatch(name)):
        raise NoSuchAddress(f"{channel[:40]}/{name[:80]}")
    return f"targets/{channel}/{name}"


async def _answer(folder: Path | None, name: str, request: Request, media_type: str) -> Response:
    if folder is None:
        raise NoSuchAddress(name)
    wanted = await run_in_threadpool(_opened, folder, name, request.headers.get("range", ""))
    return _FileAnswer(wanted, request, media_type)


def _opened(folder: Path, name: str, asked: str) -> _Wanted:
    """Raises NoSuchAddress: not there, or no plain file; RequestUnreadable: bytes that it does not have."""
    try:
        descriptor = open_plain(folder, name)
    except OSError as error:
        raise NoSuchAddress(f"{name}: {error.strerror}") from error
    size = os.fstat(descriptor).st_size
    found = _RANGE.fullmatch(asked)  # any other range is passed over, as RFC 9110 allows
    if found is None:
        return _Wanted(descriptor, size, 0, size)
    first = int(found.group(1))
    last = min(size - 1, int(found.group(2) or size))
    if not first <= last:
        close_read(descriptor)
        raise RequestUnreadable(f"{asked} of {size} bytes")
    return _Wanted(descriptor, size, first, last - first + 1)


class _FileAnswer(Response):
    """Sends the file piece by piece; the next piece is read when the last one is on its way."""

    def __init__(self, wanted: _Wanted, request: Request, media_type: str) -> None:
        self._wanted = wanted
        self._request = request
        headers = {"content-length": str(wanted.length), "accept-ranges": "bytes"}
        is_part = wanted.length != wanted.size
        if is_part:
            headers["content-range"] = f"bytes {wanted.first}-{wanted.first + wanted.length - 1}/{wanted.size}"
        super().__init__(b"", _PARTIAL if is_part else 200, headers, media_type)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Closes the file, however this ends."""
        wanted = self._wanted
        try:
            start = {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
            await send(start)
            if self._request.method != "HEAD":
                await self._send_body(wanted.first, wanted.length, send)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            close_read(wanted.descriptor)

    async def _send_body(self, offset: int, count: int, send: Callable[[dict[str, object]], Awaitable[None]]) -> None:
        while count > 0 and not await self._request.is_disconnected():
            chunk = await run_in_threadpool(os.pread, self._wanted.descriptor, min(CHUNK_BYTES, count), offset)
            if not chunk:
                return  # it has become shorter: the peer sees that bytes are missing
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
            offset, count = offset + len(chunk), count - len(chunk)

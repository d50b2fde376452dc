"""One page server over a desk in memory, asked over real sockets with the headers that a browser would send."""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from http.client import HTTPConnection, HTTPResponse
from typing import Any
from urllib.parse import urlencode

from pos_app.page.render import Renderer
from pos_app.page.server import PageServer
from tests.pos_app.page.desks import MemoryDesk

TIMEOUT_S = 10
FORM = "application/x-www-form-urlencoded"


class Served:
    """A desk, its server, and a client that is the page unless told otherwise."""

    def __init__(self) -> None:
        self.desk = MemoryDesk()
        self.server = PageServer(self.desk, 0, renderer=Renderer(is_strict=True))
        self.server.start()
        self.port = self.server.port
        self.origin = f"http://127.0.0.1:{self.port}"
        _status, headers, _body = self.ask("GET", "/")
        found = re.match(r"till-\d+=([\w-]+); Path=/; SameSite=Strict$", headers["set-cookie"])
        assert found, headers["set-cookie"]
        self.token = found[1]

    def ask(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Any, str]:
        """Status, headers, text."""
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT_S)) as link:
            link.request(method, path, body, dict(headers or {}))
            answer = link.getresponse()
            return answer.status, answer.headers, answer.read().decode("utf-8", "replace")

    def proof(self, other: Mapping[str, str] | None = None) -> dict[str, str]:
        """The headers of the page's own script."""
        own = {
            "Origin": self.origin,
            "Content-Type": FORM,
            "Cookie": f"till-{self.port}={self.token}",
            "X-Till-Token": self.token,
            "X-Till-Seen": str(self.desk.revision),
            "Sec-Fetch-Site": "same-origin",
        }
        return {**own, **(other or {})}

    def press(
        self, action: str, fields: Mapping[str, str] | None = None, other: Mapping[str, str] | None = None
    ) -> tuple[int, Any, str]:
        """As the page's own script would."""
        return self.ask("POST", f"/act/{action}", urlencode(fields or {}).encode(), self.proof(other))

    @contextmanager
    def listening(self) -> Iterator[HTTPResponse]:
        """One stream of its news."""
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT_S)) as link:
            link.request("GET", "/events")
            yield link.getresponse()

    def close(self) -> None:
        self.server.close()


def told(stream: HTTPResponse) -> dict[str, Any]:
    """The next message of a stream."""
    while not (line := stream.readline()).startswith(b"data: "):
        assert line, "the stream ended"
    return json.loads(line.removeprefix(b"data: "))

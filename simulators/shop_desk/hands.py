"""Hands at the cashier's page, without a browser: the same requests as its own script sends. DESIGN §11.

A press carries the revision that was on the screen, as the page's does; what came back is read from the answer alone.
"""

import re
import socket
import struct
from http import HTTPStatus
from http.client import HTTPConnection
from itertools import count
from typing import NamedTuple
from urllib.parse import urlencode, urlsplit

ANSWER_S_MAX = 20.0
ANSWER_BYTES_MAX = 2_000_000
UNTOLD = -1
"""Refused, and the screen says no number."""
_NUMBERS = count(1)
_SCREEN = re.compile(r'data-screen="([a-z_]+)"')
_REFUSED = re.compile(r'class="cell notice">.*?<small>[^<]*?([0-9]{4})', re.DOTALL)


class Seen(NamedTuple):
    """An answer. `refusal`: the number of the one for which nothing was done; 0: it was done."""

    status: int
    screen: str
    refusal: int
    revision: int
    html: str


class Hands:
    """One window's."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "127.0.0.1", parts.port or 80
        self._cookie = ""
        self._window = f"hands-{next(_NUMBERS)}"
        self.seen = Seen(0, "", 0, 0, "")
        self.look()

    def look(self) -> Seen:
        """The screen as it is now."""
        self.seen = self._ask("GET", "/screen")
        return self.seen

    def press(self, action: str, seen: int | None = None, /, **fields: str) -> Seen:
        """One key; `seen`: another picture than the last one. What is typed goes into `typed`."""
        was = self.seen.revision if seen is None else seen
        self.seen = self._ask("POST", f"/act/{action}", fields, was)
        return self.seen

    def press_unheard(self, action: str, *, waits: bool = True, **fields: str) -> None:
        """The line breaks before the answer is read: when it is there already, or (`waits` False) at once, when nobody
        knows whether the press has arrived. What was seen stays as it was."""
        connection = HTTPConnection(self._host, self._port, timeout=ANSWER_S_MAX)
        try:
            connection.request("POST", f"/act/{action}", urlencode(fields), self._proof(self.seen.revision))
            if waits:
                connection.sock.recv(1, socket.MSG_PEEK)
            connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        finally:
            connection.close()

    def scan_by_keys(self, text: str) -> Seen:
        """A wedge scanner types into the page."""
        self.seen = self._ask("POST", "/scanned", {"text": text}, self.seen.revision)
        return self.seen

    def sign_in(self, code: str, pin: str) -> Seen:
        """At a locked till."""
        return self.press("sign_in", code=code, pin=pin)

    def look_at_display(self) -> str:
        """What the customer's display shows: its page."""
        return self._ask("GET", "/customer/screen").html

    def _proof(self, seen: int) -> dict[str, str]:
        """The headers of the page's own script."""
        return {
            "Cookie": self._cookie,
            "Content-Type": "application/x-www-form-urlencoded",
            "Origin": f"http://{self._host}:{self._port}",
            "X-Till-Token": self._cookie.partition("=")[2],
            "X-Till-Seen": str(seen),
            "X-Till-Window": self._window,
        }

    def _ask(self, method: str, path: str, fields: dict[str, str] | None = None, seen: int = 0) -> Seen:
        connection = HTTPConnection(self._host, self._port, timeout=ANSWER_S_MAX)
        try:
            if method == "POST":
                connection.request(method, path, urlencode(fields or {}), self._proof(seen))
            else:
                connection.request(method, path, headers={"Cookie": self._cookie, "X-Till-Window": self._window})
            answer = connection.getresponse()
            html = answer.read(ANSWER_BYTES_MAX).decode()
            if cookie := answer.headers.get("set-cookie"):
                self._cookie = cookie.partition(";")[0]
            screen, refused = _SCREEN.search(html), _REFUSED.search(html)
            is_refused = answer.headers.get("x-till-said") == "refused" or answer.status != HTTPStatus.OK
            return Seen(
                answer.status,
                screen[1] if screen else "",
                (int(refused[1]) if refused else UNTOLD) if is_refused else 0,
                int(answer.headers.get("x-till-revision", "0")),
                html,
            )
        finally:
            connection.close()

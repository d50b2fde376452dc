"""Hands at the cashier's page, without a browser: the same requests as its own script sends. DESIGN §11.

A press carries the revision that was on the screen, as the page's does; what came back is read from the answer alone.
"""

import re
from http.client import HTTPConnection
from typing import NamedTuple
from urllib.parse import urlencode, urlsplit

ANSWER_S_MAX = 20.0
ANSWER_BYTES_MAX = 2_000_000
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
        self.seen = Seen(0, "", 0, 0, "")
        self.look()

    def look(self) -> Seen:
        """The screen as it is now."""
        self.seen = self._ask("GET", "/screen")
        return self.seen

    def press(self, action: str, seen: int | None = None, **fields: str) -> Seen:
        """One key; `seen`: another picture than the last one. What is typed goes into `typed`."""
        was = self.seen.revision if seen is None else seen
        self.seen = self._ask("POST", f"/act/{action}", fields, was)
        return self.seen

    def scan_by_keys(self, text: str) -> Seen:
        """A wedge scanner types into the page."""
        self.seen = self._ask("POST", "/scanned", {"text": text}, self.seen.revision)
        return self.seen

    def sign_in(self, code: str, pin: str) -> Seen:
        """At a locked till."""
        return self.press("sign_in", code=code, pin=pin)

    def _ask(self, method: str, path: str, fields: dict[str, str] | None = None, seen: int = 0) -> Seen:
        connection = HTTPConnection(self._host, self._port, timeout=ANSWER_S_MAX)
        try:
            headers = {"Cookie": self._cookie}
            body: str | None = None
            if method == "POST":
                token = self._cookie.partition("=")[2]
                headers |= {
                    "Content-Type": "application/x-www-form-urlencoded",
                    "Origin": f"http://{self._host}:{self._port}",
                    "X-Till-Token": token,
                    "X-Till-Seen": str(seen),
                }
                body = urlencode(fields or {})
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            html = answer.read(ANSWER_BYTES_MAX).decode()
            if cookie := answer.headers.get("set-cookie"):
                self._cookie = cookie.partition(";")[0]
            screen, refused = _SCREEN.search(html), _REFUSED.search(html)
            is_refused = answer.headers.get("x-till-said") == "refused"
            return Seen(
                answer.status,
                screen[1] if screen else "",
                int(refused[1]) if refused and is_refused else 0,
                int(answer.headers.get("x-till-revision", "0")),
                html,
            )
        finally:
            connection.close()

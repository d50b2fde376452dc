"""Who may ask the page's service: its own page alone, by name, origin and token; and how often. Decision 0191.

Any page in the same browser could reach this port, and a name of elsewhere could be bent to this machine: so the Host
is one of ours, a press says where it comes from, and it repeats a token that only our own script can read. Pure.
"""

import hmac
import secrets
from collections.abc import Mapping

TOKEN_BYTES = 16
PRESSES_MAX = 40
PRESSES_PER_S = 20
"""Fast fingers press eight a second and a scanner reads five codes; a stuck key or a script does more."""
HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self';"
    " font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
TOKEN_HEADER = "x-till-token"


class Guard:
    """For one server on `host`:`port`; a new token with each start."""

    def __init__(self, host: str, port: int) -> None:
        self._hosts = tuple(f"{name}:{port}" for name in (host, "localhost"))
        self._token = secrets.token_urlsafe(TOKEN_BYTES)
        self._cookie = f"till-{port}"

    def set_cookie(self) -> str:
        """What every page of ours brings; another port of this machine has a cookie of its own name."""
        return f"{self._cookie}={self._token}; Path=/; SameSite=Strict"

    def is_ours(self, method: str, headers: Mapping[str, str], cookies: Mapping[str, str]) -> bool:
        """Asked under our own name and, where something is pressed, by our own page."""
        host, origin = headers.get("host", ""), headers.get("origin")
        site = headers.get("sec-fetch-site")
        if host not in self._hosts or (origin is not None and origin != f"http://{host}"):
            return False
        if method in ("GET", "HEAD"):
            is_followed_link = (headers.get("sec-fetch-mode"), headers.get("sec-fetch-dest")) == (
                "navigate",
                "document",
            )
            return site in (None, "same-origin", "none") or is_followed_link
        if origin is None or site not in (None, "same-origin"):
            return False
        return all(
            hmac.compare_digest(said.encode(), self._token.encode())
            for said in (headers.get(TOKEN_HEADER, ""), cookies.get(self._cookie, ""))
        )


class Rate:
    """A bucket of presses that fills with time."""

    def __init__(self) -> None:
        self._left = float(PRESSES_MAX)
        self._at_s = 0.0

    def takes(self, now_s: float) -> bool:
        """One more press at this moment; False: too many."""
        self._left = min(PRESSES_MAX, self._left + max(0.0, now_s - self._at_s) * PRESSES_PER_S)
        self._at_s = now_s
        if self._left < 1:
            return False
        self._left -= 1
        return True

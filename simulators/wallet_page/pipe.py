"""The way from the wallet page to its city: bytes in, the same bytes on, under the city's private CA. DESIGN §7.

A browser cannot be told to trust the city's CA for one page, so the page asks where it came from, and this passes three
questions on, byte for byte, and their answers back. It holds no key, reads nothing, keeps nothing; everything that
counts is signed at one end and verified at the other. Bodies, answers, time and how many at once are bounded.
"""

from http.client import HTTPException, HTTPSConnection
from pathlib import Path
from ssl import create_default_context
from threading import BoundedSemaphore
from typing import NamedTuple
from urllib.parse import quote, urlsplit

from offline_ledger.protocol.kinds import OBJECT_BYTES_MAX

WALLET, TRUST_LISTS, CERTIFICATES = "/v1/wallet", "/v1/trust-lists", "/v1/certificates"
CBOR_TYPE = "application/cbor"
INVITATION = "kgo-invitation"
BODY_BYTES_MAX = OBJECT_BYTES_MAX + 64
"""As much as the city itself takes."""
ANSWER_BYTES_MAX = 1_048_576
INVITATION_CHARACTERS_MAX = 64
TIMEOUT_S = 15
"""Less than the page's own patience, so that it hears why."""
AT_ONCE_MAX = 8


class CityAway(Exception):
    """The city did not answer, or not with what it answers."""


class CityBusy(Exception):
    """As many questions as may be are under way."""


class Answered(NamedTuple):
    """Status and body as the city sent them."""

    status: int
    body: bytes


class CityPipe:
    """To one city. Several threads may ask."""

    def __init__(self, url: str, ca_file: Path) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or 443
        self._context = create_default_context(cafile=str(ca_file))
        self._room = BoundedSemaphore(AT_ONCE_MAX)

    def wallet(self, body: bytes, invitation: str) -> Answered:
        """A signed wallet request. Raises CityAway, CityBusy."""
        headers = {"content-type": CBOR_TYPE} | ({INVITATION: invitation} if invitation else {})
        return self._asked("POST", WALLET, body, headers)

    def trust_lists(self, after: int) -> Answered:
        """The trust lists after a version. Raises CityAway, CityBusy."""
        return self._asked("GET", f"{TRUST_LISTS}?after={after}", None, {})

    def certificate(self, device: str) -> Answered:
        """A terminal's certificate. Raises CityAway, CityBusy."""
        return self._asked("GET", f"{CERTIFICATES}?device={quote(device, safe='')}", None, {})

    def _asked(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Answered:
        if not self._room.acquire(blocking=False):
            raise CityBusy(f"{AT_ONCE_MAX} under way")
        connection = HTTPSConnection(self._host, self._port, timeout=TIMEOUT_S, context=self._context)
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            answer = response.read(ANSWER_BYTES_MAX + 1)
            if response.headers.get("content-type") != CBOR_TYPE or len(answer) > ANSWER_BYTES_MAX:
                raise CityAway("no answer of a city")
            return Answered(response.status, answer)
        except (OSError, HTTPException) as error:
            raise CityAway(str(error) or type(error).__name__) from error
        finally:
            connection.close()
            self._room.release()

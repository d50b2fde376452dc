"""How often one account may ask: so many signed requests in a minute. DESIGN §7.

Counted in memory, before the ledger's write lock is asked for: a phone that repeats itself holds nobody else up. A
restart forgets it. Never judges a request whose signature is not verified.
"""

from collections import OrderedDict
from threading import Lock

from offline_ledger.errors import AskedTooOften

MINUTE_S = 60
ASKED_MAX = 30
"""A phone that opens, renews and looks at its statement asks four times."""
ACCOUNTS_MAX = 20_000
"""The longest quiet is forgotten first."""


class Pace:
    """Requests of each account within the last minute. Several threads may call it."""

    def __init__(self) -> None:
        self._asked_at_s: OrderedDict[bytes, list[int]] = OrderedDict()
        self._lock = Lock()

    def take(self, account_point: bytes, now_s: int) -> None:
        """One more request. Raises AskedTooOften, which is not counted itself."""
        with self._lock:
            found = self._asked_at_s.get(account_point, ())
            recent = [at_s for at_s in found if 0 <= now_s - at_s < MINUTE_S]  # none of a clock that has stepped back
            if len(recent) >= ASKED_MAX:
                raise AskedTooOften(f"{ASKED_MAX} within a minute, again in {recent[0] + MINUTE_S - now_s} s")
            self._asked_at_s[account_point] = [*recent, now_s]
            self._asked_at_s.move_to_end(account_point)
            if len(self._asked_at_s) > ACCOUNTS_MAX:
                self._asked_at_s.popitem(last=False)

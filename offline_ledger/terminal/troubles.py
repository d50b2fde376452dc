"""What is wrong with this terminal beside any customer's code: told once when it comes and once when it is over.

One trouble per name (clock, settings, key, deny list, ...). It changes no customer's light, decides nothing and mends
nothing; `status` asks for what stands. Any thread may note. DESIGN §1 "a number that cannot be explained".
"""

from collections.abc import Callable
from threading import Lock

from offline_ledger.errors import Refusal


class Troubles:
    """The troubles that stand now, by name."""

    def __init__(self, tell: Callable[[str, Refusal], None], over: Callable[[str], None]) -> None:
        self._tell, self._over = tell, over
        self._standing: dict[str, Refusal] = {}
        self._lock = Lock()

    def note(self, what: str, refusal: Refusal | None) -> None:
        """How `what` is now; None: well. The same refusal again is not told again."""
        with self._lock:
            before = self._standing.get(what)
            if refusal is not None:
                self._standing[what] = refusal
            else:
                self._standing.pop(what, None)
        if refusal is not None and (before is None or before.number != refusal.number):
            self._tell(what, refusal)
        elif refusal is None and before is not None:
            self._over(what)

    def standing(self) -> list[tuple[str, Refusal]]:
        """All of them, the oldest first."""
        with self._lock:
            return list(self._standing.items())

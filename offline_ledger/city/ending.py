"""What ends soon: the keys that sign, and the trust list of the roots; and when to say it again. DESIGN §4.

Reads only; never signs.

A person must act weeks before: a new key waits for every device, and roots are kept apart and have to meet.
"""

from collections.abc import Callable
from dataclasses import dataclass

from offline_ledger.city import trust
from offline_ledger.city.rotation import KeyBook
from offline_ledger.city.store import Store
from offline_ledger.protocol.city import KeyRole
from offline_ledger.rules.limits import DAY_S

WARN_S = 30 * DAY_S


@dataclass(frozen=True, slots=True)
class Ending:
    """A role whose key in force ends at `until_s`, Unix seconds; None: the trust list itself."""

    role: KeyRole | None
    until_s: int


def ends_soon(until_s: int, now_s: int) -> bool:
    """Within the time in which we warn, or over already."""
    return until_s - now_s <= WARN_S


def endings(store: Store, now_s: int) -> list[Ending]:
    """All that ends soon, or has ended; the trust list first."""
    held = trust.newest(store)
    if held is None:
        return []
    book = KeyBook(store)
    found = [Ending(None, held.trust_list.expires_at_s)]
    found += [Ending(role, book.in_force(role).trusted.not_after_s) for role in KeyRole]
    return [one for one in found if ends_soon(one.until_s, now_s)]


class Daily:
    """Says something once a day for as long as a program runs. Asked often, by one thread at a time."""

    def __init__(self, now_s: Callable[[], int], say: Callable[[], None]) -> None:
        """`now_s`: the city's own clock. Nothing is said before the first question."""
        self._now_s = now_s
        self._say = say
        self._said_at_s: int | None = None

    def ask(self) -> None:
        """Says it when it was never said, a day ago, or on a clock that has stepped back a day since."""
        now_s = self._now_s()
        if self._said_at_s is None or abs(now_s - self._said_at_s) >= DAY_S:
            self._said_at_s = now_s
            self._say()

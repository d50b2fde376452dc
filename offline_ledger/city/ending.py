"""What ends soon: the keys that sign, and the trust list of the roots. DESIGN §4. Reads only; never signs.

A person must act weeks before: a new key waits for every device, and roots are kept apart and have to meet.
"""

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

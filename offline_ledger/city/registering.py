"""Who may open an account from outside, and how many: ceilings, one-time invitation codes. DESIGN §1, §8.

Every account is given KGO, so a city without bounds gives all of it to whoever makes keys fastest. In mode `open` a
ceiling per hour and per day holds for the whole city, and one per network address and day; in mode `invited` a code
from `kgo-city invite` opens one account each. A code counts in both modes and is not held up by the ceilings. Accounts
that the desk opens are never counted. Addresses are counted in memory only, for a day; of codes only hashes are kept.
"""

import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256
from ipaddress import IPv6Address, ip_address

from offline_ledger.city.store import Store
from offline_ledger.errors import InvitationInvalid, InvitationNeeded, RegisteringFull, RegisteringFullHere
from offline_ledger.rules.civil import civil_day, day_start_s
from offline_ledger.rules.limits import DAY_S, HOUR_S

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's: no I, L, O or U, so nothing on paper is read as something else."""
CODE_CHARACTERS = 12
"""60 bits: who asks a thousand times a second needs 36 years to guess one of a million codes."""
GROUP_CHARACTERS = 4
CODE_TEXT_CHARACTERS_MAX = 64
BATCH_MAX = 10_000
INVITATION_DAYS_MAX = 366
SOURCE_CHARACTERS_MAX = 64
IPV6_NETWORK_BITS = 64
_MISREAD = str.maketrans({"O": "0", "I": "1", "L": "1"})


class Mode(StrEnum):
    """How accounts are opened from outside."""

    OPEN = "open"
    INVITED = "invited"


@dataclass(frozen=True, slots=True)
class Terms:
    """What the city's settings say. `source_day_max` 0: addresses are not counted."""

    mode: Mode
    kgo: int
    hour_max: int
    day_max: int
    source_day_max: int


@dataclass(slots=True)
class Sources:
    """Accounts opened per network address within the last day. In memory only: a restart forgets them, the ceilings of
    the whole city stay. Bounded by the city's own ceiling per day."""

    opened_at_s: dict[str, deque[int]] = field(default_factory=dict[str, deque[int]])

    def count(self, source: str, now_s: int) -> int:
        """How many in the last day; forgets what is older."""
        for name in list(self.opened_at_s):
            times = self.opened_at_s[name]
            while times and times[0] <= now_s - DAY_S:
                times.popleft()
            if not times:
                del self.opened_at_s[name]
        return len(self.opened_at_s.get(source, ()))

    def add(self, source: str, now_s: int) -> None:
        """One more."""
        self.opened_at_s.setdefault(source, deque()).append(now_s)


def source_of(address: str) -> str:
    """What is counted as one place: an IPv4 address, or the network of an IPv6 one, since its owner has all of it."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return address[:SOURCE_CHARACTERS_MAX]
    if isinstance(found, IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return f"{int(found) >> IPV6_NETWORK_BITS:x}/{IPV6_NETWORK_BITS}"
    return str(found)


def admit(
    store: Store, terms: Terms, sources: Sources, invitation: str, source: str, account_point: bytes, now_s: int
) -> None:
    """May this key open an account now? Takes the invitation, if there is one, in the caller's transaction.

    Raises InvitationInvalid, InvitationNeeded, RegisteringFull, RegisteringFullHere.
    """
    assert store.in_transaction
    if invitation:
        _take(store, invitation, account_point, now_s)
        return
    if terms.mode is Mode.INVITED:
        raise InvitationNeeded()
    store.execute("DELETE FROM registrations WHERE at_s <= ?", (now_s - DAY_S,))
    for high, period_s in ((terms.hour_max, HOUR_S), (terms.day_max, DAY_S)):
        row = store.one("SELECT count(*), min(at_s) FROM registrations WHERE at_s > ?", (now_s - period_s,))
        count, first_s = row or (0, now_s)
        if count >= high:
            wait_s = period_s - (now_s - (first_s or now_s))
            raise RegisteringFull(f"{count} of {high} within {period_s // HOUR_S} h, again in {-(-wait_s // 60)} min")
    if terms.source_day_max and source:
        count = sources.count(source, now_s)
        if count >= terms.source_day_max:
            raise RegisteringFullHere(f"{count} of {terms.source_day_max} within {DAY_S // HOUR_S} h")


def note_opened(store: Store, sources: Sources, wallet_id: int, source: str, now_s: int) -> None:
    """An account was opened without an invitation, in the caller's transaction."""
    store.execute("INSERT OR IGNORE INTO registrations(wallet_id, at_s) VALUES(?, ?)", (wallet_id, now_s))
    if source:
        sources.add(source, now_s)


# --- invitations


@dataclass(frozen=True, slots=True)
class Batch:
    """Invitations that were printed together. `used` of `count` have opened an account."""

    batch: int
    made_at_s: int
    expires_at_s: int
    count: int
    used: int
    withdrawn_at_s: int | None
    note: str


@dataclass(frozen=True, slots=True)
class Printed:
    """New codes: the only time that they are seen. `last_day`: civil day number of their last day."""

    batch: int
    last_day: int
    codes: tuple[str, ...]


def make_invitations(
    store: Store, count: int, days: int, note: str, now_s: int, chance: Callable[[int], bytes]
) -> Printed:
    """`count` codes, good through the day `days` after today."""
    assert 1 <= count <= BATCH_MAX and 1 <= days <= INVITATION_DAYS_MAX
    last_day = civil_day(now_s) + days
    codes = tuple(_new_code(chance) for _ in range(count))
    with store.transaction():
        batch = store.insert(
            "INSERT INTO invitation_batches(made_at_s, expires_at_s, count, note) VALUES(?, ?, ?, ?)",
            (now_s, day_start_s(last_day + 1), count, note),
        )
        store.execute_many(
            "INSERT INTO invitations(code_hash, batch) VALUES(?, ?)",
            [(_hash(store.city, _canonical(code)), batch) for code in codes],
        )
    return Printed(batch, last_day, codes)


def batches(store: Store) -> list[Batch]:
    """All of them, oldest first."""
    rows = store.fetch(
        "SELECT b.batch, b.made_at_s, b.expires_at_s, b.count, count(i.used_at_s), b.withdrawn_at_s, b.note"
        " FROM invitation_batches b LEFT JOIN invitations i USING(batch) GROUP BY b.batch ORDER BY b.batch"
    )
    return [Batch(*row) for row in rows]


def withdraw(store: Store, batch: int, now_s: int) -> bool:
    """What is not used of a batch is good no more; False when there is no such batch."""
    with store.transaction():
        store.execute(
            "UPDATE invitation_batches SET withdrawn_at_s = coalesce(withdrawn_at_s, ?) WHERE batch = ?", (now_s, batch)
        )
        return store.changes() > 0


def _take(store: Store, invitation: str, account_point: bytes, now_s: int) -> None:
    code = _canonical(invitation)
    row = store.one(
        "SELECT i.used_at_s, b.expires_at_s, b.withdrawn_at_s FROM invitations i JOIN invitation_batches b USING(batch)"
        " WHERE i.code_hash = ?",
        (_hash(store.city, code),),
    )
    if row is None:
        raise InvitationInvalid("unknown code")
    used_at_s, expires_at_s, withdrawn_at_s = row
    if used_at_s is not None:
        raise InvitationInvalid("used before")
    if withdrawn_at_s is not None:
        raise InvitationInvalid("withdrawn")
    if now_s >= expires_at_s:
        raise InvitationInvalid("past its last day")
    store.execute(
        "UPDATE invitations SET used_at_s = ?, account_point = ? WHERE code_hash = ?",
        (now_s, account_point, _hash(store.city, code)),
    )


def _new_code(chance: Callable[[int], bytes]) -> str:
    plain = "".join(ALPHABET[byte & 31] for byte in chance(CODE_CHARACTERS))
    return "-".join(plain[at : at + GROUP_CHARACTERS] for at in range(0, CODE_CHARACTERS, GROUP_CHARACTERS))


def _canonical(text: str) -> str:
    """As it is hashed: capitals without spaces or dashes, letters that look like digits as digits."""
    return re.sub(r"[\s\-]", "", text[:CODE_TEXT_CHARACTERS_MAX]).upper().translate(_MISREAD)


def _hash(city: str, code: str) -> bytes:
    return sha256(f"kgo invitation\0{city}\0{code}".encode()).digest()

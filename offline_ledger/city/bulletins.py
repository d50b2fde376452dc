"""Publishing signed city data: tariff, campaigns, deny list, configuration. DESIGN §4 "bulletin", §7, §8.

A kind's counter goes up by one with each bulletin and never back, whatever the trust list's version does. The deny list
is drawn up from the passes that the ledger denies: whole, and as changes to the list before. Bodies are made by
`rules`; this never decides what they say.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from offline_ledger.city import coupons, trust
from offline_ledger.city.store import Store
from offline_ledger.errors import NotProvisioned, RequestUnreadable
from offline_ledger.protocol import cose
from offline_ledger.protocol.city import BULLETIN, Bulletin, BulletinKind
from offline_ledger.protocol.cose import Signer
from offline_ledger.protocol.deny_list import decode_ids, denied_id, encode_ids, list_sum
from offline_ledger.protocol.kinds import CITY_OBJECT_BYTES_MAX, Kind

BULLETIN_LIFE_S = 400 * 86_400
DENY_LIST_LIFE_S = 30 * 86_400
DENY_LIST_REFRESH_S = 900
"""An unchanged list is dated anew this often: its age at a terminal lowers caps."""
DENY_CHANGES_BYTES_MAX = 240_000
"""More change than this travels as the whole list."""
DENY_LISTS_KEPT = 4
HAVE_CHARACTERS_MAX = 400


@dataclass(frozen=True, slots=True)
class Validity:
    """When a bulletin is in force."""

    from_s: int
    until_s: int


def publish(
    store: Store, signer: Signer, kind: BulletinKind, body: Mapping[int, object], now_s: int, validity: Validity
) -> Bulletin:
    """Signs and keeps the next bulletin of a kind. Raises NotProvisioned without a trust list."""
    with store.transaction():
        held = trust.newest(store)
        if held is None:
            raise NotProvisioned("no trust list")
        counter = newest_counter(store, kind) + 1
        version = (held.trust_list.version, counter)
        made = Bulletin(store.city, int(kind), version, now_s, validity.from_s, validity.until_s, body)
        aad = cose.external_aad(Kind.BULLETIN, store.city)
        signed = cose.sign1(BULLETIN.encode(made), aad, cose.key_id_of(signer.point), signer.sign)
        store.execute(
            "INSERT INTO bulletins(kind, trust_version, counter, raw, issued_at_s, valid_from_s, valid_until_s)"
            " VALUES(?, ?, ?, ?, ?, ?, ?)",
            (kind, *version, signed.raw, now_s, validity.from_s, validity.until_s),
        )
    return made


def newest_counter(store: Store, kind: BulletinKind) -> int:
    """The last counter used, or that may have been used before a restore; 0 before the first."""
    row = store.one("SELECT coalesce(max(counter), 0) FROM bulletins WHERE kind = ?", (kind,))
    floor = store.setting(_floor(kind))
    return max(0 if row is None else row[0], 0 if floor is None else int(floor))


def skip_lost_counters(store: Store, now_s: int) -> None:
    """After a restore: terminals hold bulletins that this ledger forgot, and take none under the same numbers. No kind
    is published more than once a second, so as many numbers as seconds have passed are left out."""
    with store.transaction():
        for kind in BulletinKind:
            row = store.one("SELECT max(issued_at_s) FROM bulletins WHERE kind = ?", (kind,))
            if row is not None and row[0] is not None:
                skipped = newest_counter(store, kind) + max(0, now_s - row[0]) + 1
                store.put_setting(_floor(kind), str(skipped).encode())


def _floor(kind: BulletinKind) -> str:
    return f"bulletin.counter_floor.{int(kind)}"


def sign_again(store: Store, signer: Signer, now_s: int) -> None:
    """Everything in force or signed ahead once more by another key: the key that signed it was compromised. The raised
    trust-list version in its version puts it above whatever that key may have signed."""
    aad = cose.external_aad(Kind.BULLETIN, store.city)
    with store.transaction():
        for kind in (BulletinKind.TARIFF, BulletinKind.CAMPAIGN, BulletinKind.CONFIGURATION):
            rows = store.fetch(
                "SELECT raw FROM bulletins WHERE kind = ? AND valid_until_s >= ? AND (valid_from_s > ? OR counter ="
                " (SELECT max(counter) FROM bulletins WHERE kind = ? AND valid_from_s <= ?)) ORDER BY counter",
                (kind, now_s, now_s, kind, now_s),
            )
            for (raw,) in rows:
                payload = cose.parse_sign1(raw, aad, CITY_OBJECT_BYTES_MAX).payload
                made = BULLETIN.decode(payload, CITY_OBJECT_BYTES_MAX)
                publish(store, signer, kind, made.body, now_s, Validity(made.valid_from_s, made.valid_until_s))
        publish_deny_list(store, signer, now_s, is_forced=True)


def is_signed_by(store: Store, key_ids: frozenset[bytes], now_s: int) -> bool:
    """Is the last bulletin of a kind, still good or ahead, by one of these keys?"""
    aad = cose.external_aad(Kind.BULLETIN, store.city)
    rows = store.fetch(
        "SELECT raw FROM bulletins b WHERE valid_until_s >= ?"
        " AND counter = (SELECT max(counter) FROM bulletins WHERE kind = b.kind)",
        (now_s,),
    )
    return any(cose.parse_sign1(raw, aad, CITY_OBJECT_BYTES_MAX).key_id in key_ids for (raw,) in rows)


def publish_deny_list(store: Store, signer: Signer, now_s: int, *, is_forced: bool = False) -> bool:
    """A new deny list if passes were added or removed, the last one is old, or dated ahead by a wrong clock;
    whether there is a new one."""
    with store.transaction():
        ids = {denied_id(row[0]) for row in store.fetch("SELECT pass_id FROM denied")}
        ids |= {denied_id(coupon_id) for coupon_id in coupons.cancelled_ids(store, now_s)}
        last = store.one("SELECT counter, full_list, as_of_s FROM deny_lists ORDER BY counter DESC LIMIT 1")
        before = set(decode_ids(last[1])) if last else set[bytes]()
        if last and ids == before and abs(now_s - last[2]) < DENY_LIST_REFRESH_S and not is_forced:
            return False
        adds, removes = encode_ids(ids - before), encode_ids(before - ids)
        base = last[0] if last else 0
        if len(adds) > DENY_CHANGES_BYTES_MAX or len(removes) > DENY_CHANGES_BYTES_MAX:
            adds, removes = b"", b""  # they do not give the signed sum, so the terminal fetches the whole list
        body = {1: list_sum(ids), 2: len(ids), 3: now_s, 4: base, 5: adds, 6: removes}
        validity = Validity(now_s, now_s + DENY_LIST_LIFE_S)
        made = publish(store, signer, BulletinKind.DENY_LIST, body, now_s, validity)
        counter = made.version[1]
        store.execute("INSERT INTO deny_lists VALUES(?, ?, ?, ?)", (counter, encode_ids(ids), len(ids), now_s))
        kept_from = counter - DENY_LISTS_KEPT
        store.execute("DELETE FROM deny_lists WHERE counter <= ?", (kept_from,))
        store.execute("DELETE FROM bulletins WHERE kind = ? AND counter <= ?", (BulletinKind.DENY_LIST, kept_from))
    return True


def full_deny_list(store: Store, counter: int) -> bytes | None:
    """The whole list of one counter, while it is kept."""
    row = store.one("SELECT full_list FROM deny_lists WHERE counter = ?", (counter,))
    return None if row is None else row[0]


def newer_than(store: Store, have: dict[int, tuple[int, int]], now_s: int) -> list[bytes]:
    """One bulletin of each kind above what is held: the one in force now, else the next one signed ahead."""
    found: list[bytes] = []
    for kind in BulletinKind:
        held = have.get(kind, (0, 0))
        rows = store.fetch(
            "SELECT raw, valid_from_s, trust_version, counter FROM bulletins WHERE kind = ? ORDER BY counter", (kind,)
        )
        newer = [row for row in rows if (row[2], row[3]) > held]
        in_force = [row for row in newer if row[1] <= now_s]
        if newer:
            found.append((in_force[-1] if in_force else newer[0])[0])
    return found


def read_have(text: str) -> dict[int, tuple[int, int]]:
    """`KIND.TLV.COUNTER,…` to kind → version. Raises RequestUnreadable."""
    if len(text) > HAVE_CHARACTERS_MAX or not text.isascii():
        raise RequestUnreadable("have")
    found: dict[int, tuple[int, int]] = {}
    for part in filter(None, text.split(",")):
        numbers = part.split(".")
        if len(numbers) != 3 or not all(number.isdigit() and len(number) <= 15 for number in numbers):
            raise RequestUnreadable("have")
        kind, trust_version, counter = map(int, numbers)
        found[kind] = (trust_version, counter)
    return found


def newest_bulletin(store: Store, kind: BulletinKind) -> Bulletin | None:
    """The last one published."""
    row = store.one("SELECT raw FROM bulletins WHERE kind = ? ORDER BY counter DESC LIMIT 1", (kind,))
    if row is None:
        return None
    aad = cose.external_aad(Kind.BULLETIN, store.city)
    return BULLETIN.decode(cose.parse_sign1(row[0], aad, CITY_OBJECT_BYTES_MAX).payload, CITY_OBJECT_BYTES_MAX)

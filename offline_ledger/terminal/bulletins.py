"""Signed city data in force: tariff, campaigns, configuration, deny list. DESIGN §4 "bulletin", §7.

A bulletin is taken only if a bulletin key signed it and its version goes up within its kind (rollback); it counts only
from *valid from* until *valid until* (freeze). The newest few of each kind are kept, so that one signed ahead does not
end the one in force. Never decides what a tariff means, never fetches.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, cast

from offline_ledger.errors import (
    BulletinMissing,
    BulletinRollback,
    BulletinSignatureWrong,
    DenyListDamaged,
    DenyListGap,
    Malformed,
    Refusal,
    StorageFailed,
    StorageFull,
    UnknownCity,
    UnknownIssuer,
)
from offline_ledger.protocol import cbor, cose
from offline_ledger.protocol.city import BULLETIN, Bulletin, BulletinKind, KeyRole
from offline_ledger.protocol.cose import Signed
from offline_ledger.protocol.fields import Check, Field, Layout, fixed, items, time_s, uint
from offline_ledger.protocol.kinds import CITY_OBJECT_BYTES_MAX, HASH_BYTES, Kind
from offline_ledger.terminal.ports import DenyListPort, MetaPort, SignedTime
from offline_ledger.terminal.trust import TrustStore, naming_later_versions

KEPT_PER_KIND_MAX = 4
DENY_CHANGES_BYTES_MAX = 240_000
KINDS = tuple(BulletinKind)


class DenyListNews(NamedTuple):
    """Body of a deny-list bulletin: what the whole list is, and how to come there from the list `base_counter`."""

    list_sha256: bytes
    ids_count: int
    as_of_s: int
    base_counter: int
    adds: bytes
    removes: bytes


class HeldBulletin(NamedTuple):
    """A verified bulletin; `identity` tells one from another of the same version. `deny_list`: what a deny-list
    bulletin says, taken apart once."""

    bulletin: Bulletin
    raw: bytes
    identity: bytes
    deny_list: DenyListNews | None


def _bytes_up_to(bytes_max: int) -> Check:
    def check(value: object) -> object:
        if type(value) is not bytes or len(value) > bytes_max:
            raise Malformed("bytes expected")
        return value

    return check


DENY_LIST_NEWS = Layout(
    DenyListNews,
    Field(1, "list_sha256", fixed(HASH_BYTES)),
    Field(2, "ids_count", uint(1 << 32)),
    Field(3, "as_of_s", time_s()),
    Field(4, "base_counter", uint(1 << 32)),
    Field(5, "adds", _bytes_up_to(DENY_CHANGES_BYTES_MAX)),
    Field(6, "removes", _bytes_up_to(DENY_CHANGES_BYTES_MAX)),
)

_KEPT = items(_bytes_up_to(CITY_OBJECT_BYTES_MAX), KEPT_PER_KIND_MAX)


class BulletinStore:
    """What holds now. Sync writes; the acceptor reads from another thread and always sees whole values."""

    def __init__(self, city: str, trust: TrustStore, meta: MetaPort, time: SignedTime) -> None:
        self._aad = cose.external_aad(Kind.BULLETIN, city)
        self._city = city
        self._trust = trust
        self._meta = meta
        self._time = time
        self._held: Mapping[int, tuple[HeldBulletin, ...]] = {kind: self._load(kind) for kind in KINDS}

    # --- reading

    def in_force(self, kind: BulletinKind, at_s: int) -> Bulletin:
        """The newest of this kind that is valid now. Raises BulletinMissing: none yet, or the last one ran out."""
        for held in reversed(self._held[kind]):
            if held.bulletin.valid_from_s <= at_s <= held.bulletin.valid_until_s:
                return held.bulletin
        raise BulletinMissing(f"{kind.name} at {at_s}")

    def newest(self, kind: BulletinKind) -> Bulletin | None:
        """The newest taken, whether valid yet or still or not."""
        held = self._held[kind]
        return held[-1].bulletin if held else None

    def newest_held(self, kind: BulletinKind) -> HeldBulletin | None:
        """The newest taken, as it came."""
        held = self._held[kind]
        return held[-1] if held else None

    def deny_list_as_of_s(self, counter_in_use: int | None = None) -> int | None:
        """When the list was drawn up; None: there is none, or the list in use (`DenyList.counter`) is another one."""
        newest = self.newest_held(BulletinKind.DENY_LIST)
        if newest is None or newest.deny_list is None or _is_other(newest, counter_in_use):
            return None
        return newest.deny_list.as_of_s

    def versions(self) -> list[list[int]]:
        """[kind, trust-list version, counter] of what is held, for the batch head."""
        found = ((kind, self.newest(kind)) for kind in KINDS)
        return [[int(kind), *bulletin.version] for kind, bulletin in found if bulletin is not None]

    def have_query(self, deny_counter_in_use: int | None = None) -> str:
        """The same as the city's API wants it: KIND.TLV.COUNTER,… without a deny list that is not the one in use."""
        lost = BulletinKind.DENY_LIST if self.is_deny_list_lost(deny_counter_in_use) else None
        return ",".join(".".join(map(str, version)) for version in self.versions() if version[0] != lost)

    def is_deny_list_lost(self, counter_in_use: int | None) -> bool:
        """Whether the newest deny-list bulletin names another list than the one in use: its file was damaged."""
        newest = self.newest_held(BulletinKind.DENY_LIST)
        return newest is not None and _is_other(newest, counter_in_use)

    # --- taking

    def check(self, raw: bytes) -> HeldBulletin | None:
        """Verify one bulletin; None if it is the one held already.

        Raises the reading refusals, UnknownIssuer, BulletinSignatureWrong, IssuerRoleWrong,
        IssuerKeyExpired, UnknownCity, BulletinRollback, VersionUnknown.
        """
        with naming_later_versions(self._trust.held, raw, Kind.BULLETIN, KeyRole.BULLETIN):
            signed = cose.parse_sign1(raw, self._aad, CITY_OBJECT_BYTES_MAX)
            bulletin = BULLETIN.decode(signed.payload, CITY_OBJECT_BYTES_MAX)
            if bulletin.city != self._city:
                raise UnknownCity(bulletin.city)
            if bulletin.kind not in KINDS:
                raise Malformed(f"bulletin kind {bulletin.kind}")
            self._trust.verify(signed, KeyRole.BULLETIN, bulletin.issued_at_s, BulletinSignatureWrong)
        if bulletin.version[0] > self._trust.version:
            raise UnknownIssuer(f"made under trust list {bulletin.version[0]}, held {self._trust.version}")
        version, identity = self._high_water(bulletin.kind)
        if bulletin.version == version and signed.identity == identity:
            return None
        if bulletin.version <= version:
            raise BulletinRollback(f"{bulletin.version}, held {version}")
        return _taken_apart(bulletin, raw, signed)

    def take(self, held: HeldBulletin) -> None:
        """Keep a checked bulletin, durably; its *issued at* raises the clock's floor. Raises StorageFull."""
        kind = held.bulletin.kind
        at_s = self._time.time().at_s
        kept = [*self._held[kind], held]
        in_force = [at for at, one in enumerate(kept) if one.bulletin.valid_from_s <= at_s]
        kept = kept[max(in_force, default=0) :]
        if len(kept) > KEPT_PER_KIND_MAX:  # several signed ahead: the one in force and the newest ones
            kept = [kept[0], *kept[-(KEPT_PER_KIND_MAX - 1) :]]
        self._meta.meta_put(_key(kind), cbor.encode([one.raw for one in kept]))
        self._held = {**self._held, kind: tuple(kept)}
        self._time.heard_issued_at(held.bulletin.issued_at_s)

    # --- inside

    def _high_water(self, kind: int) -> tuple[tuple[int, int], bytes]:
        held = self._held[kind]
        return (held[-1].bulletin.version, held[-1].identity) if held else ((0, 0), b"")

    def _load(self, kind: int) -> tuple[HeldBulletin, ...]:
        """What was kept. It was verified when it was taken and lies in our own journal; a damaged value is no value."""
        stored = self._meta.meta_get(_key(kind))
        if stored is None:
            return ()
        try:
            raws = _KEPT(cbor.decode(stored, (KEPT_PER_KIND_MAX + 1) * CITY_OBJECT_BYTES_MAX))
            return tuple(self._read_kept(raw) for raw in cast(tuple[bytes, ...], raws))
        except Refusal:
            return ()

    def _read_kept(self, raw: bytes) -> HeldBulletin:
        signed = cose.parse_sign1(raw, self._aad, CITY_OBJECT_BYTES_MAX)
        return _taken_apart(BULLETIN.decode(signed.payload, CITY_OBJECT_BYTES_MAX), raw, signed)


def apply_deny_list(news: HeldBulletin, deny: DenyListPort, full_list: bytes | None) -> bool:
    """Bring the list in use to what the bulletin says; False: the whole list is needed first.

    Done again after a power cut it changes nothing. Raises DenyListDamaged, DenyListTooLarge, StorageFull.
    """
    body, counter = news.deny_list, news.bulletin.version[1]
    assert body is not None
    if deny.counter == counter:
        return True
    if full_list is not None:
        deny.replace(counter, full_list, body.list_sha256, body.ids_count)
        return True
    if deny.counter != body.base_counter:
        return False
    try:
        deny.apply_delta(body.base_counter, counter, body.adds, body.removes, body.list_sha256, body.ids_count)
    except (DenyListGap, DenyListDamaged):
        return False
    return True


class TakenNews(NamedTuple):
    """What became of several bulletins. `lacking`: a deny list's, which needs the whole list first."""

    taken: tuple[HeldBulletin, ...]
    lacking: HeldBulletin | None
    refused: tuple[Refusal, ...]


def take_news(
    raws: Sequence[bytes], store: BulletinStore, deny: DenyListPort, full_list: bytes | None = None
) -> TakenNews:
    """Each is judged alone: a bad one keeps no other back. Those that are held already are passed over. `full_list`:
    the whole deny list, if it came along. Raises StorageFull, StorageFailed."""
    taken: list[HeldBulletin] = []
    refused: list[Refusal] = []
    lacking: HeldBulletin | None = None
    for raw in raws:
        try:
            news = store.check(raw)
            if news is None:
                continue
            if news.deny_list is not None and not apply_deny_list(news, deny, full_list):
                lacking = news
                continue
            store.take(news)
            taken.append(news)
        except (StorageFailed, StorageFull):
            raise
        except Refusal as refusal:
            refused.append(refusal)
    return TakenNews(tuple(taken), lacking, tuple(refused))


def _taken_apart(bulletin: Bulletin, raw: bytes, signed: Signed) -> HeldBulletin:
    """Raises what reading a deny list's body raises."""
    is_deny_list = bulletin.kind == BulletinKind.DENY_LIST
    return HeldBulletin(
        bulletin, raw, signed.identity, DENY_LIST_NEWS.from_map(dict(bulletin.body)) if is_deny_list else None
    )


def _is_other(newest: HeldBulletin, counter_in_use: int | None) -> bool:
    return counter_in_use is not None and counter_in_use != newest.bulletin.version[1]


def _key(kind: int) -> str:
    return f"bulletin.{kind}"

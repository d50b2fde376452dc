"""Publishing: counters that never go back, and deny lists that a terminal can follow. DESIGN §4, §7."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from offline_ledger.city import bulletins, keys, trust
from offline_ledger.city.bulletins import DENY_LIST_REFRESH_S, Validity
from offline_ledger.city.store import Store
from offline_ledger.errors import NotProvisioned, RequestUnreadable
from offline_ledger.protocol.city import BulletinKind, KeyRole
from offline_ledger.protocol.deny_list import decode_ids, denied_id
from offline_ledger.terminal.deny_list import DenyList
from simulators.keys import SimulatedKey

NOW_S = 1_795_000_000
SIGNER = SimulatedKey(0xB1)
ROOT = SimulatedKey(0x1007)
ALWAYS = Validity(NOW_S, NOW_S + 1_000)


@pytest.fixture
def city_store(store: Store) -> Iterator[Store]:
    points = {role: SIGNER.point for role in KeyRole}
    trust.add_list(store, trust.sign_list(trust.first_list("TH-40", [ROOT.point], 1, points, NOW_S), [ROOT]))
    yield store


def deny(store: Store, *numbers: int) -> None:
    for number in numbers:
        store.execute("INSERT INTO denied VALUES(?, 1, 'test', 0, ?)", (number.to_bytes(8, "big"), NOW_S + 10**6))


def publish(store: Store, kind: BulletinKind, at_s: int = NOW_S, validity: Validity = ALWAYS) -> tuple[int, int]:
    return bulletins.publish(store, SIGNER, kind, {1: 1}, at_s, validity).version


def test_counters_are_per_kind_and_survive_a_new_trust_list(city_store: Store) -> None:
    assert publish(city_store, BulletinKind.TARIFF) == (1, 1)
    assert publish(city_store, BulletinKind.TARIFF) == (1, 2)
    assert publish(city_store, BulletinKind.CAMPAIGN) == (1, 1)
    held = trust.newest(city_store)
    assert held is not None
    trust.add_list(city_store, trust.sign_list(trust.next_list(held, trust.Changes(), NOW_S), [ROOT]))
    assert publish(city_store, BulletinKind.TARIFF) == (2, 3)
    assert [raw for raw in bulletins.newer_than(city_store, {BulletinKind.TARIFF: (2, 3)}, NOW_S)] != []
    assert len(bulletins.newer_than(city_store, {1: (2, 3), 2: (1, 1)}, NOW_S)) == 0


def test_numbers_that_a_restored_ledger_forgot_are_never_used_again(city_store: Store) -> None:
    publish(city_store, BulletinKind.TARIFF)
    lost = max(publish(city_store, BulletinKind.TARIFF, at_s) for at_s in range(NOW_S + 1, NOW_S + 31))
    city_store.execute("DELETE FROM bulletins WHERE counter > 1")
    bulletins.skip_lost_counters(city_store, NOW_S + 31)
    after = publish(city_store, BulletinKind.TARIFF, NOW_S + 31)
    assert after > lost and publish(city_store, BulletinKind.TARIFF, NOW_S + 32) == (1, after[1] + 1)
    assert publish(city_store, BulletinKind.CAMPAIGN) == (1, 1), "nothing of this kind was ever published"
    bulletins.skip_lost_counters(city_store, NOW_S - 10**6)
    assert publish(city_store, BulletinKind.TARIFF, NOW_S + 33) > after, (
        "a clock that stepped back skips nothing backward"
    )


def test_nothing_is_published_without_a_trust_list(store: Store) -> None:
    with pytest.raises(NotProvisioned):
        publish(store, BulletinKind.TARIFF)


def test_one_signed_ahead_does_not_hide_the_one_in_force(city_store: Store) -> None:
    publish(city_store, BulletinKind.TARIFF)
    publish(city_store, BulletinKind.TARIFF, validity=Validity(NOW_S + 500, NOW_S + 900))
    now, ahead = (row[0] for row in city_store.fetch("SELECT raw FROM bulletins ORDER BY counter"))
    assert bulletins.newer_than(city_store, {}, NOW_S) == [now]
    assert bulletins.newer_than(city_store, {1: (1, 1)}, NOW_S) == [ahead]
    assert bulletins.newer_than(city_store, {}, NOW_S + 500) == [ahead]


def test_a_terminal_follows_the_deny_list_by_changes(city_store: Store, tmp_path: Path) -> None:
    held = DenyList.open(tmp_path)
    for step, numbers in enumerate(((1, 2, 3), (1 << 40, 1 << 50), (), (9 << 20,))):
        deny(city_store, *numbers)
        if step == 2:
            city_store.execute("DELETE FROM denied WHERE pass_id < ?", ((3 << 16).to_bytes(8, "big"),))
        assert bulletins.publish_deny_list(city_store, SIGNER, NOW_S + step)
        body = bulletins.newest_bulletin(city_store, BulletinKind.DENY_LIST)
        assert body is not None
        said = body.body
        if step == 0:
            full = bulletins.full_deny_list(city_store, 1)
            assert full is not None
            held.replace(1, full, said[1], said[2])  # type: ignore[arg-type]
        else:
            held.apply_delta(said[4], body.version[1], said[5], said[6], said[1], said[2])  # type: ignore[arg-type]
        for (pass_id,) in city_store.fetch("SELECT pass_id FROM denied"):
            assert held.is_denied(pass_id)
        assert held.counter == step + 1


def test_an_unchanged_list_is_only_dated_anew_when_old(city_store: Store) -> None:
    assert bulletins.publish_deny_list(city_store, SIGNER, NOW_S)
    assert not bulletins.publish_deny_list(city_store, SIGNER, NOW_S + DENY_LIST_REFRESH_S - 1)
    assert bulletins.publish_deny_list(city_store, SIGNER, NOW_S + DENY_LIST_REFRESH_S)
    assert not bulletins.publish_deny_list(city_store, SIGNER, NOW_S + 1), "clocks of two threads differ a little"
    assert bulletins.publish_deny_list(city_store, SIGNER, NOW_S), "that one was dated by a clock that was ahead"
    assert bulletins.newest_counter(city_store, BulletinKind.DENY_LIST) == 3


def test_old_deny_lists_are_dropped_and_counters_go_on(city_store: Store) -> None:
    for number in range(1, 9):
        deny(city_store, number << 20)
        bulletins.publish_deny_list(city_store, SIGNER, NOW_S)
    rows = city_store.fetch("SELECT counter FROM deny_lists ORDER BY counter")
    assert [row[0] for row in rows] == [5, 6, 7, 8]
    full = bulletins.full_deny_list(city_store, 8)
    assert full is not None
    assert set(decode_ids(full)) == {denied_id((number << 20).to_bytes(8, "big")) for number in range(1, 9)}
    assert bulletins.full_deny_list(city_store, 4) is None


@pytest.mark.parametrize("text", ["1.1", "1.1.1.1", "a.1.1", "1.-1.1", "1.1.1;", "๑.1.1", "1.1." + "9" * 16])
def test_unreadable_have(text: str) -> None:
    with pytest.raises(RequestUnreadable):
        bulletins.read_have(text)


def test_have() -> None:
    assert bulletins.read_have("") == {}
    assert bulletins.read_have("1.2.3,3.1.9") == {1: (2, 3), 3: (1, 9)}


def test_ring_finds_keys_of_every_list(city_store: Store) -> None:
    ring = keys.StoredKeys(city_store)
    assert {trusted.role for trusted, _ in ring.candidates(SIGNER.key_id)} == set(KeyRole)
    assert ring.candidates(ROOT.key_id) == ()

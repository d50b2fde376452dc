"""Bulletins: signature, role, city, rollback, freeze, signed ahead, restart, fuzz. DESIGN §4, §7."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from offline_ledger.errors import (
    BulletinMissing,
    BulletinRollback,
    BulletinSignatureWrong,
    IssuerKeyExpired,
    IssuerRoleWrong,
    Malformed,
    Refusal,
    UnknownCity,
    UnknownIssuer,
    ValueOutOfRange,
)
from offline_ledger.protocol import cbor, cose
from offline_ledger.protocol.city import BULLETIN, Bulletin, BulletinKind
from offline_ledger.protocol.kinds import Kind
from offline_ledger.terminal.bulletins import BulletinStore
from simulators.keys import SimulatedKey
from tests.terminal import city_in_test
from tests.terminal.city_in_test import BULLETIN_TEST_ONLY, CITY, NOW_S, bulletin, sign, trust_list
from tests.terminal.sync_desk import SyncDesk, deny_body

TARIFF = BulletinKind.TARIFF


@pytest.fixture
def desk(tmp_path: Path, rng: random.Random) -> Iterator[SyncDesk]:
    made = SyncDesk(tmp_path, rng)
    yield made
    made.close()


def take(store: BulletinStore, raw: bytes) -> None:
    news = store.check(raw)
    assert news is not None
    store.take(news)


@pytest.mark.parametrize(
    ("raw", "refusal"),
    [
        (bulletin(key=SimulatedKey(7)), UnknownIssuer),
        (bulletin(key=city_in_test.ACK_TEST_ONLY), IssuerRoleWrong),
        (bulletin(issued_at_s=NOW_S - 10**7), IssuerKeyExpired),
        (bulletin(name="TH-99"), UnknownCity),
        (bulletin(tlv=2), UnknownIssuer),
        (bulletin(9), Malformed),
        (bulletin(BulletinKind.DENY_LIST, body={1: b"short"}), ValueOutOfRange),
    ],
)
def test_each_refusal(desk: SyncDesk, raw: bytes, refusal: type[Refusal]) -> None:
    with pytest.raises(refusal):
        desk.bulletins.check(raw)
    assert desk.bulletins.newest(TARIFF) is None


def test_forged_under_a_known_key_id(desk: SyncDesk) -> None:
    made = Bulletin(CITY, TARIFF, (1, 1), NOW_S, NOW_S, NOW_S + 9, {1: 1})
    forged = cose.sign1(
        BULLETIN.encode(made), cose.external_aad(Kind.BULLETIN, CITY), BULLETIN_TEST_ONLY.key_id, SimulatedKey(7).sign
    )
    with pytest.raises(BulletinSignatureWrong):
        desk.bulletins.check(forged.raw)


@pytest.mark.parametrize("held", [(1, 5)])
@pytest.mark.parametrize("offered", [(1, 4), (1, 1)])
def test_never_goes_back_also_after_a_restart(desk: SyncDesk, held: tuple[int, int], offered: tuple[int, int]) -> None:
    take(desk.bulletins, bulletin(TARIFF, held[1], tlv=held[0]))
    desk.restart()
    with pytest.raises(BulletinRollback):
        desk.bulletins.check(bulletin(TARIFF, offered[1], tlv=offered[0]))
    assert desk.bulletins.versions() == [[1, 1, 5]]


def test_trust_list_version_counts_before_the_counter(desk: SyncDesk) -> None:
    desk.city.add_list(*trust_list(2, desk.city.list_hash))
    desk.trust.accept(desk.city.lists[1:])
    take(desk.bulletins, bulletin(TARIFF, 9, tlv=1))
    take(desk.bulletins, bulletin(TARIFF, 1, tlv=2))
    with pytest.raises(BulletinRollback):
        desk.bulletins.check(bulletin(TARIFF, 10, tlv=1))


def test_same_version_with_other_content_is_refused(desk: SyncDesk) -> None:
    take(desk.bulletins, bulletin(TARIFF, 2, body={1: 50}))
    assert desk.bulletins.check(bulletin(TARIFF, 2, body={1: 50})) is None
    with pytest.raises(BulletinRollback):
        desk.bulletins.check(bulletin(TARIFF, 2, body={1: 51}))


def test_kinds_count_apart(desk: SyncDesk) -> None:
    take(desk.bulletins, bulletin(TARIFF, 7))
    take(desk.bulletins, bulletin(BulletinKind.CAMPAIGN, 1))
    assert desk.bulletins.have_query() == "1.1.7,2.1.1"


@pytest.mark.parametrize(
    ("at_s", "is_in_force"),
    [(NOW_S - 1, False), (NOW_S, True), (NOW_S + 100, True), (NOW_S + 101, False)],
)
def test_frozen_city_is_noticed_when_validity_ends(desk: SyncDesk, at_s: int, is_in_force: bool) -> None:
    take(desk.bulletins, bulletin(valid_from_s=NOW_S, valid_until_s=NOW_S + 100))
    if is_in_force:
        assert desk.bulletins.in_force(TARIFF, at_s).version == (1, 1)
        return
    with pytest.raises(BulletinMissing):
        desk.bulletins.in_force(TARIFF, at_s)


def test_bulletin_signed_ahead_does_not_end_the_one_in_force(desk: SyncDesk) -> None:
    take(desk.bulletins, bulletin(TARIFF, 1, valid_until_s=NOW_S + 1000))
    for counter in range(2, 9):
        start_s = NOW_S + 100 * counter
        take(desk.bulletins, bulletin(TARIFF, counter, valid_from_s=start_s, valid_until_s=NOW_S + 9000))
    desk.restart()
    assert desk.bulletins.in_force(TARIFF, NOW_S).version == (1, 1)
    assert desk.bulletins.in_force(TARIFF, NOW_S + 5000).version == (1, 8)
    newest = desk.bulletins.newest(TARIFF)
    assert newest is not None and newest.version == (1, 8)


def test_newer_one_in_force_wins(desk: SyncDesk) -> None:
    take(desk.bulletins, bulletin(TARIFF, 1))
    take(desk.bulletins, bulletin(TARIFF, 2))
    assert desk.bulletins.in_force(TARIFF, NOW_S).version == (1, 2)


def test_issued_at_raises_the_clock_floor_but_valid_from_never(desk: SyncDesk) -> None:
    before = desk.keeper.time().at_s
    take(
        desk.bulletins, bulletin(TARIFF, 1, issued_at_s=NOW_S, valid_from_s=NOW_S + 10**6, valid_until_s=NOW_S + 10**7)
    )
    assert before < desk.keeper.time().at_s == NOW_S


def test_deny_list_age_is_of_the_list(desk: SyncDesk) -> None:
    assert desk.bulletins.deny_list_as_of_s() is None
    take(desk.bulletins, bulletin(BulletinKind.DENY_LIST, 1, body=deny_body(set())))
    desk.restart()
    assert desk.bulletins.deny_list_as_of_s() == NOW_S


GOOD = bulletin()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_mutated_bulletins_only_ever_refuse(desk: SyncDesk, data: st.DataObject) -> None:
    raw = bytearray(GOOD)
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(Refusal):
        desk.bulletins.check(bytes(raw))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    body=st.recursive(
        st.integers(-(2**64), 2**64 - 1) | st.binary() | st.text() | st.booleans(), st.lists, max_leaves=6
    )
)
def test_signed_nonsense_is_refused_too(desk: SyncDesk, body: object) -> None:
    """A misconfigured city signs rubbish: still a refusal with a number, never a crash."""
    with pytest.raises(Refusal):
        desk.bulletins.check(sign(Kind.BULLETIN, cbor.encode({1: CITY, 2: body}), BULLETIN_TEST_ONLY).raw)

"""Trust lists: m of n distinct roots, unbroken, rolled over by old and new; the terminal judges the same. DESIGN §4."""

import pytest

from offline_ledger.city import trust
from offline_ledger.city.store import Store
from offline_ledger.city.trust import Changes, KeptList
from offline_ledger.errors import BulletinRollback, TrustChainBroken
from offline_ledger.protocol import cose
from offline_ledger.protocol.city import SIGNED_TRUST_LIST, KeyRole, SignedTrustList, TrustList
from offline_ledger.terminal.trust import HeldTrust, verify_next
from simulators.keys import SimulatedKey, flipped

CITY = "TH-40"
NOW_S = 1_795_000_000
OLD = [SimulatedKey(0x1000 + at) for at in range(3)]
NEW = [SimulatedKey(0x2000 + at) for at in range(3)]
KEYS = {role: SimulatedKey(0x3000 + role).point for role in KeyRole}


def first(signers: list[SimulatedKey] = OLD[:2], threshold: int = 2) -> bytes:
    made = trust.first_list(CITY, [key.point for key in OLD], threshold, KEYS, NOW_S)
    return trust.sign_list(made, signers)


def both_judge(raw: bytes, held: KeptList | None, terminal: HeldTrust | None, good: bool) -> None:
    """City and terminal are two implementations of one rule."""
    if good:
        assert trust.verify_list(raw, held, CITY).trust_list == verify_next(raw, terminal, CITY).trust_list
        return
    with pytest.raises(TrustChainBroken):
        trust.verify_list(raw, held, CITY)
    with pytest.raises((TrustChainBroken, BulletinRollback)):
        verify_next(raw, terminal, CITY)


@pytest.mark.parametrize(
    ("signers", "good"),
    [
        (OLD[:2], True),
        (OLD, True),
        ([OLD[2], OLD[0]], True),
        (OLD[:1], False),
        ([OLD[0], OLD[0]], False),
        ([OLD[0], NEW[0]], False),
        (NEW, False),
    ],
    ids=["2", "3", "other 2", "1", "one twice", "one and a stranger", "strangers"],
)
def test_first_list_needs_m_distinct_roots(signers: list[SimulatedKey], good: bool) -> None:
    both_judge(first(signers), None, None, good)


def test_a_flipped_signature_is_not_a_second_root() -> None:
    one = SIGNED_TRUST_LIST.decode(first(OLD[:1]), 100_000).signatures[0]
    twin = one[:-64] + flipped(one[-64:])
    both_judge(SIGNED_TRUST_LIST.encode(SignedTrustList((one, twin))), None, None, False)


def held_pair() -> tuple[KeptList, HeldTrust]:
    return trust.verify_list(first(), None, CITY), verify_next(first(), None, CITY)


@pytest.mark.parametrize(
    ("signers", "good"),
    [
        ([*OLD[:2], *NEW[:2]], True),
        ([*OLD[1:], *NEW], True),
        (OLD, False),
        (NEW, False),
        ([OLD[0], *NEW], False),
        ([*OLD, NEW[0]], False),
        ([OLD[0], OLD[0], NEW[0], NEW[0]], False),
    ],
    ids=["2+2", "2+3", "old only", "new only", "1 old", "1 new", "doubles"],
)
def test_new_roots_need_old_and_new(signers: list[SimulatedKey], good: bool) -> None:
    held, terminal = held_pair()
    made = trust.next_list(held, Changes(roots=tuple(key.point for key in NEW)), NOW_S + 10)
    both_judge(trust.sign_list(made, signers), held, terminal, good)


def test_a_root_in_both_sets_counts_for_both() -> None:
    held, terminal = held_pair()
    made = trust.next_list(held, Changes(roots=(OLD[0].point, OLD[1].point, NEW[0].point)), NOW_S + 10)
    both_judge(trust.sign_list(made, OLD[:2]), held, terminal, True)


@pytest.mark.parametrize(
    "change",
    [
        {"version": 1},
        {"version": 3},
        {"previous": bytes(32)},
        {"roots": (OLD[0].point, OLD[0].point, OLD[1].point)},
        {"threshold": 4},
    ],
    ids=["again", "skips", "other past", "root twice", "more than roots"],
)
def test_a_list_follows_the_one_before(change: dict[str, object]) -> None:
    held, terminal = held_pair()
    made = trust.next_list(held, Changes(), NOW_S + 10)._replace(**change)  # type: ignore[arg-type]
    both_judge(trust.sign_list(made, OLD), held, terminal, False)


def test_other_city_and_mixed_payloads() -> None:
    made = trust.first_list(CITY, [key.point for key in OLD], 2, KEYS, NOW_S)
    foreign = trust.sign_list(made._replace(city="TH-50"), OLD)
    with pytest.raises(TrustChainBroken):
        trust.verify_list(foreign, None, CITY)
    parts = [
        SIGNED_TRUST_LIST.decode(trust.sign_list(one, [key]), 100_000).signatures[0]
        for one, key in ((made, OLD[0]), (made._replace(issued_at_s=NOW_S + 1), OLD[1]))
    ]
    both_judge(SIGNED_TRUST_LIST.encode(SignedTrustList(tuple(parts))), None, None, False)


def test_the_store_keeps_an_unbroken_chain_and_revokes(store: Store) -> None:
    kept = trust.add_list(store, first())
    with pytest.raises(TrustChainBroken):
        trust.add_list(store, first())
    second = trust.next_list(kept, Changes(revocations=(("bus-1", 40),)), NOW_S + 1)
    store.execute(
        "INSERT INTO devices(device, role, owner, point, certificate, not_before_s, expires_at_s, offline_value_kgo,"
        " offline_hours, enrolled_at_s) VALUES('bus-1', 2, 'o', x'00', x'00', 0, 0, 0, 0, 0)"
    )
    kept = trust.add_list(store, trust.sign_list(second, OLD[:2]))
    assert store.one("SELECT revoked_after FROM devices") == (40,)
    later = trust.next_list(kept, Changes(revocations=(("bus-1", 90), ("bus-2", 1))), NOW_S + 2)
    assert later.revocations == (("bus-1", 40), ("bus-2", 1)), "a revocation never moves to a later voucher"
    earlier = trust.next_list(kept, Changes(revocations=(("bus-1", 7),)), NOW_S + 2)
    assert earlier.revocations == (("bus-1", 7),)
    raws = trust.lists_after(store, 0, 1 << 20)
    assert len(raws) == 2 and trust.lists_after(store, 1, 1 << 20) == raws[1:]
    assert trust.lists_after(store, 0, len(raws[0]) + 20) == raws[:1], "a long chain comes in parts"


def test_threshold_may_rise_when_old_and_new_agree() -> None:
    held, terminal = held_pair()
    made: TrustList = trust.next_list(held, Changes(threshold=3), NOW_S + 10)
    both_judge(trust.sign_list(made, OLD[:2]), held, terminal, False)
    both_judge(trust.sign_list(made, OLD), held, terminal, True)


def test_key_ids_of_the_list_are_those_of_cose() -> None:
    held, terminal = held_pair()
    for trusted in held.trust_list.trusted_keys():
        assert terminal.candidates(cose.key_id_of(trusted.point))

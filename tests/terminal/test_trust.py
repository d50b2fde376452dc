"""Trust lists: m of n distinct roots, old and new; consecutive, never back, past expiry; look-ups by kid. DESIGN §4."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offline_ledger.errors import (
    AllowanceForged,
    AnswerInvalid,
    BulletinRollback,
    IssuerKeyExpired,
    IssuerRoleWrong,
    NotProvisioned,
    Refusal,
    TrustChainBroken,
    UnknownCity,
    UnknownIssuer,
    VersionUnknown,
)
from offline_ledger.protocol import cbor, city, cose
from offline_ledger.protocol.city import (
    REVOKED,
    SIGNED_TRUST_LIST,
    TIME_ANSWER,
    KeyRole,
    SignedTrustList,
    TimeAnswer,
)
from offline_ledger.protocol.kinds import ZERO_HASH, Kind
from offline_ledger.terminal.sync_wire import read_time_answer
from offline_ledger.terminal.trust import HeldTrust, TrustStore, verify_next, verify_signed
from simulators.keys import SimulatedKey, flipped
from tests.terminal.city_in_test import (
    ACK_TEST_ONLY,
    BULLETIN_TEST_ONLY,
    CITY,
    DEVICE,
    ISSUER_TEST_ONLY,
    NOW_S,
    ROLES,
    ROOTS_TEST_ONLY,
    keys_of,
    sign,
    trust_list,
)

A, B, C = ROOTS_TEST_ONLY
D, E, F = (SimulatedKey(0xD00D + at) for at in range(3))


def first() -> HeldTrust:
    return verify_next(trust_list()[0], None, CITY)


def second(**changes: object) -> bytes:
    """Version 2 after the first, with changes."""
    return trust_list(**{"version": 2, "previous": first().payload_hash, **changes})[0]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("signers", "is_enough"),
    [((A,), False), ((A, B), True), ((A, B, C), True), ((A, A), False), ((A, D), False), ((D, E, F), False)],
)
def test_m_of_n_distinct_roots(signers: tuple[SimulatedKey, ...], is_enough: bool) -> None:
    raw, _ = trust_list(signers=signers)
    if is_enough:
        assert verify_next(raw, None, CITY).trust_list.version == 1
        return
    with pytest.raises(TrustChainBroken):
        verify_next(raw, None, CITY)


def test_flipped_signature_of_one_root_is_not_a_second_root() -> None:
    raw, _ = trust_list(signers=(A,))
    one = city.SIGNED_TRUST_LIST.decode(raw, 10**6).signatures[0]
    other = one[:-64] + flipped(one[-64:])
    with pytest.raises(TrustChainBroken):
        verify_next(city.SIGNED_TRUST_LIST.encode(city.SignedTrustList((one, other))), None, CITY)


def test_different_payloads_do_not_add_up() -> None:
    (one, _), (two, _) = trust_list(signers=(A,)), trust_list(signers=(B,), expires_at_s=NOW_S + 7)
    both = tuple(city.SIGNED_TRUST_LIST.decode(raw, 10**6).signatures[0] for raw in (one, two))
    with pytest.raises(TrustChainBroken):
        verify_next(city.SIGNED_TRUST_LIST.encode(city.SignedTrustList(both)), None, CITY)


@pytest.mark.parametrize(
    ("signers", "is_enough"),
    [
        ((D, E), False),  # the new roots alone
        ((A, B), False),  # the old roots alone
        ((A, B, D), False),
        ((A, D, E), False),
        ((A, B, D, E), True),
        ((B, C, E, F), True),
    ],
)
def test_new_roots_need_old_and_new(signers: tuple[SimulatedKey, ...], is_enough: bool) -> None:
    raw = second(signers=signers, roots=(D, E, F))
    if is_enough:
        assert verify_next(raw, first(), CITY).trust_list.roots == tuple(root.point for root in (D, E, F))
        return
    with pytest.raises(TrustChainBroken):
        verify_next(raw, first(), CITY)


def test_threshold_of_the_new_list_counts_too() -> None:
    with pytest.raises(TrustChainBroken):
        verify_next(second(signers=(A, B), threshold=3), first(), CITY)
    assert verify_next(second(signers=(A, B, C), threshold=3), first(), CITY).trust_list.threshold == 3


def test_lowered_threshold_still_needs_the_old_one() -> None:
    with pytest.raises(TrustChainBroken):
        verify_next(second(signers=(A,), threshold=1), first(), CITY)


@pytest.mark.parametrize(("threshold", "roots"), [(4, ROOTS_TEST_ONLY), (2, (A, A, B))])
def test_impossible_lists(threshold: int, roots: tuple[SimulatedKey, ...]) -> None:
    with pytest.raises(TrustChainBroken):
        verify_next(trust_list(threshold=threshold, roots=roots, signers=ROOTS_TEST_ONLY)[0], None, CITY)


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"version": 3}, TrustChainBroken),
        ({"previous": ZERO_HASH}, TrustChainBroken),
        ({"version": 1}, BulletinRollback),
        ({"name": "TH-99"}, UnknownCity),
    ],
)
def test_only_the_next_list_follows(changes: dict[str, object], refusal: type[Refusal]) -> None:
    with pytest.raises(refusal):
        verify_next(second(**changes), first(), CITY)


def test_anchor_is_version_one() -> None:
    with pytest.raises(TrustChainBroken):
        verify_next(second(), None, CITY)


def test_city_in_the_payload_must_be_ours() -> None:
    raw, _ = trust_list()
    payload = cose.parse_sign1(
        city.SIGNED_TRUST_LIST.decode(raw, 10**6).signatures[0], cose.external_aad(Kind.TRUST_LIST, CITY), 10**6
    ).payload
    foreign = city.TRUST_LIST.decode(payload, 10**6)
    changed = city.TRUST_LIST.encode(foreign._replace(city="TH-99"))
    signed = tuple(sign(Kind.TRUST_LIST, changed, key).raw for key in (A, B))
    with pytest.raises(UnknownCity):
        verify_next(city.SIGNED_TRUST_LIST.encode(city.SignedTrustList(signed)), None, CITY)


def test_unbroken_chain_is_taken_past_expiry(tmp_path: Path) -> None:
    raw, digest = trust_list(expires_at_s=NOW_S - 500)
    store = TrustStore.provision(tmp_path / "t", CITY, [raw])
    second_raw, second_hash = trust_list(2, digest, expires_at_s=NOW_S - 400)
    third_raw, _ = trust_list(3, second_hash)
    assert store.accept([second_raw, third_raw]) == 2
    assert TrustStore.open(tmp_path / "t", CITY).version == 3


def test_sound_lists_before_a_bad_one_are_kept(tmp_path: Path) -> None:
    raw, digest = trust_list()
    store = TrustStore.provision(tmp_path / "t", CITY, [raw])
    second_raw, second_hash = trust_list(2, digest)
    third_raw, _ = trust_list(3, second_hash, signers=(C,))
    with pytest.raises(TrustChainBroken):
        store.accept([second_raw, third_raw])
    assert store.version == TrustStore.open(tmp_path / "t", CITY).version == 2
    with pytest.raises(BulletinRollback):
        store.accept([raw])
    with pytest.raises(BulletinRollback):
        store.accept([second_raw])


def test_missing_or_foreign_file(tmp_path: Path) -> None:
    with pytest.raises(NotProvisioned):
        TrustStore.open(tmp_path / "none", CITY)
    (tmp_path / "t").write_bytes(b"not a list")
    with pytest.raises(TrustChainBroken):
        TrustStore.open(tmp_path / "t", CITY)
    with pytest.raises(NotProvisioned):
        TrustStore.provision(tmp_path / "u", CITY, [])


def test_pinned_anchor(tmp_path: Path) -> None:
    raw, digest = trust_list()
    with pytest.raises(TrustChainBroken):
        TrustStore.provision(tmp_path / "t", CITY, [raw], anchor_sha256=bytes(32))
    assert not (tmp_path / "t").exists()
    assert TrustStore.provision(tmp_path / "t", CITY, [raw], anchor_sha256=digest).version == 1


# --- look-ups


def held_with(*roles: tuple[int, SimulatedKey], start_s: int = NOW_S - 1000, end_s: int = NOW_S + 1000) -> HeldTrust:
    rows = keys_of(*roles, start_s=start_s, end_s=end_s)
    return verify_next(trust_list(keys=rows)[0], None, CITY)


@pytest.mark.parametrize(
    ("at_s", "refusal"),
    [(NOW_S - 1001, IssuerKeyExpired), (NOW_S - 1000, None), (NOW_S + 1000, None), (NOW_S + 1001, IssuerKeyExpired)],
)
def test_validity_is_judged_at_signing(at_s: int, refusal: type[Refusal] | None) -> None:
    held = held_with((KeyRole.ACK, ACK_TEST_ONLY))
    signed = sign(Kind.ACK, b"\xa0", ACK_TEST_ONLY)
    if refusal is None:
        assert verify_signed(held, signed, KeyRole.ACK, at_s, AnswerInvalid).role == KeyRole.ACK
        return
    with pytest.raises(refusal):
        verify_signed(held, signed, KeyRole.ACK, at_s, AnswerInvalid)


def test_unknown_key_is_no_forgery_and_a_known_one_is() -> None:
    held = held_with((KeyRole.ALLOWANCE_ISSUER, ISSUER_TEST_ONLY))
    stranger = sign(Kind.ALLOWANCE, b"\xa0", SimulatedKey(99))
    with pytest.raises(UnknownIssuer) as unknown:
        verify_signed(held, stranger, KeyRole.ALLOWANCE_ISSUER, NOW_S, AllowanceForged)
    assert unknown.value.waiting_helps
    forged = cose.sign1(
        b"\xa0", cose.external_aad(Kind.ALLOWANCE, CITY), ISSUER_TEST_ONLY.key_id, SimulatedKey(99).sign
    )
    with pytest.raises(AllowanceForged):
        verify_signed(held, forged, KeyRole.ALLOWANCE_ISSUER, NOW_S, AllowanceForged)


def test_role_counts() -> None:
    held = held_with((KeyRole.BULLETIN, ACK_TEST_ONLY))
    with pytest.raises(IssuerRoleWrong):
        verify_signed(held, sign(Kind.ACK, b"\xa0", ACK_TEST_ONLY), KeyRole.ACK, NOW_S, AnswerInvalid)


def test_one_key_in_two_rows_every_match_is_tried() -> None:
    rows = (
        *keys_of((KeyRole.ACK, ACK_TEST_ONLY), start_s=NOW_S - 2000, end_s=NOW_S - 1000),
        *keys_of((KeyRole.BULLETIN, ACK_TEST_ONLY)),
        *keys_of((KeyRole.ACK, ACK_TEST_ONLY), start_s=NOW_S - 500, end_s=NOW_S + 500),
    )
    held = verify_next(trust_list(keys=rows)[0], None, CITY)
    signed = sign(Kind.ACK, b"\xa0", ACK_TEST_ONLY)
    for at_s in (NOW_S - 1500, NOW_S):
        assert verify_signed(held, signed, KeyRole.ACK, at_s, AnswerInvalid).role == KeyRole.ACK
    with pytest.raises(IssuerKeyExpired):
        verify_signed(held, signed, KeyRole.ACK, NOW_S - 700, AnswerInvalid)
    assert len(held.candidates(ACK_TEST_ONLY.key_id)) == 3


def test_revocation_names_the_last_sequence(tmp_path: Path) -> None:
    rows = (("bus-9", 7), ("bus-9", 41))  # of two the lower counts, for the city and its audit too
    for name, named in (("t", rows), ("u", rows[::-1])):
        store = TrustStore.provision(tmp_path / name, CITY, [trust_list(revocations=named)[0]])
        assert store.revoked_after("bus-9") == 7 and store.revoked_after("bus-1") is None


@given(data=st.data())
def test_mutated_lists_only_ever_refuse(data: st.DataObject) -> None:
    raw = bytearray(GOOD)
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    cut = data.draw(st.integers(0, len(raw)))
    for mutated in (bytes(raw), bytes(raw[:cut]), bytes(raw) + b"\x00"):
        if mutated == GOOD:
            continue
        try:
            held = verify_next(mutated, None, CITY)
        except Refusal:
            continue
        assert held.payload_hash == GOOD_HASH, "a spoilt third signature may fall away; the payload may not change"


GOOD, GOOD_HASH = trust_list(signers=ROOTS_TEST_ONLY, keys=keys_of(*ROLES))


def versioned(kind: Kind, version: int, payload: bytes, key: SimulatedKey) -> bytes:
    """Signed as an object of this version."""
    return cose.sign1(payload, cbor.encode([int(kind), version, CITY]), key.key_id, key.sign).raw


NEW_SHAPE = cbor.encode({1: CITY, 99: "what a later version adds"})


@pytest.mark.parametrize("version", [2, 3, 5])
@pytest.mark.parametrize("payload", [NEW_SHAPE, cbor.encode([1, 2]), b"\xff\xff"], ids=["map", "list", "not even CBOR"])
def test_a_trust_list_of_a_later_version_is_no_forgery(version: int, payload: bytes) -> None:
    held = verify_next(trust_list()[0], None, CITY)

    def signed(keys: Sequence[SimulatedKey], of_version: int = version) -> bytes:
        parts = tuple(versioned(Kind.TRUST_LIST, of_version, payload, key) for key in keys)
        return SIGNED_TRUST_LIST.encode(SignedTrustList(parts))

    with pytest.raises(VersionUnknown):
        verify_next(signed(ROOTS_TEST_ONLY[:2]), held, CITY)
    for forged in (ROOTS_TEST_ONLY[:1], [ROOTS_TEST_ONLY[0]] * 2, [ROOTS_TEST_ONLY[0], SimulatedKey(9)]):
        with pytest.raises(TrustChainBroken):
            verify_next(signed(forged), held, CITY)
    with pytest.raises(TrustChainBroken):
        verify_next(signed(ROOTS_TEST_ONLY[:2], 200), held, CITY)
    with pytest.raises(TrustChainBroken):
        verify_next(signed(ROOTS_TEST_ONLY[:2]), None, CITY)


def test_whatever_a_key_of_the_city_signed_as_a_later_version_is_said_to_be_so() -> None:
    held = verify_next(trust_list()[0], None, CITY)
    time_2 = versioned(Kind.TIME_ANSWER, 2, NEW_SHAPE, ACK_TEST_ONLY)
    with pytest.raises(VersionUnknown):
        read_time_answer(time_2, CITY, DEVICE, bytes(16), held)
    same_shape = TIME_ANSWER.encode(TimeAnswer(DEVICE, bytes(16), NOW_S))
    with pytest.raises(VersionUnknown):
        read_time_answer(versioned(Kind.TIME_ANSWER, 2, same_shape, ACK_TEST_ONLY), CITY, DEVICE, bytes(16), held)
    assert read_time_answer(versioned(Kind.TIME_ANSWER, 1, same_shape, ACK_TEST_ONLY), CITY, DEVICE, bytes(16), held)
    for wrong in (
        versioned(Kind.TIME_ANSWER, 2, same_shape, BULLETIN_TEST_ONLY),
        versioned(Kind.ACK, 2, same_shape, ACK_TEST_ONLY),
        time_2[:-1] + bytes([time_2[-1] ^ 1]),
        time_2[:-1],
    ):
        with pytest.raises((AnswerInvalid, IssuerRoleWrong)):
            read_time_answer(wrong, CITY, DEVICE, bytes(16), held)


@pytest.mark.parametrize("signed_at_s", [0, 1, NOW_S - 10**6, NOW_S, NOW_S + 10**6])
def test_a_compromised_key_verifies_nothing_whatever_time_is_written(signed_at_s: int) -> None:
    rows = ((int(KeyRole.ACK), ACK_TEST_ONLY.point, NOW_S - 10**6, REVOKED),)
    held = verify_next(trust_list(keys=rows)[0], None, CITY)
    signed = sign(Kind.TIME_ANSWER, b"anything", ACK_TEST_ONLY)
    assert held.trust_list.trusted_keys()[0].is_revoked
    with pytest.raises(IssuerKeyExpired):
        verify_signed(held, signed, KeyRole.ACK, signed_at_s, AnswerInvalid)

"""Wallet and device equivocation: stored whole, denied at once, provable by code that shares nothing with ours."""

from dataclasses import replace
from hashlib import sha256

import cbor2
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from offline_ledger import errors
from offline_ledger.city import allowances, bulletins, decisions, equivocation
from offline_ledger.city.accounts import OwnerKind, owner_account, reserved_account, wallet_account
from offline_ledger.city.audit import audit
from offline_ledger.city.equivocation import ProofKind, ReviewState
from offline_ledger.protocol import cbor, device
from offline_ledger.protocol.city import Outcome
from offline_ledger.protocol.device import DeviceRole, EventKind
from offline_ledger.protocol.kinds import Kind
from offline_ledger.protocol.wallet import Audience, Closing
from tests.city.test_audit import sign_lists
from tests.city.town import BULLETIN_TEST_ONLY, CITY, FARE_KGO, ISSUER_TEST_ONLY, NOW_S, Town, TownTerminal, TownWallet

POSTED = (Outcome.POSTED, 0)
HELD = (Outcome.HELD, errors.DeviceBlocked.number)
OPERATOR = owner_account(OwnerKind.OPERATOR, "transit")


def _payload_if_signed(raw: bytes, kind: int, point: bytes) -> dict:
    """RFC 9052 by hand over cbor2 and cryptography: nothing of ours."""
    protected, _unprotected, payload, signature = cbor2.loads(raw).value
    structure = cbor2.dumps(["Signature1", protected, cbor2.dumps([kind, 1, CITY]), payload], canonical=True)
    key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    half = len(signature) // 2
    der = encode_dss_signature(int.from_bytes(signature[:half], "big"), int.from_bytes(signature[half:], "big"))
    key.verify(der, structure, ec.ECDSA(hashes.SHA256()))
    return cbor2.loads(payload)


def _two_buses(town: Town) -> tuple[TownTerminal, TownTerminal]:
    return town.terminal("bus-1", DeviceRole.VALIDATOR), town.terminal("bus-2", DeviceRole.VALIDATOR)


def _same_counter(rider: TownWallet):
    return rider.sign(rider.presentment(Audience.TRANSIT, NOW_S, cap_kgo=FARE_KGO + 1))


def _understated(rider: TownWallet):
    rider.n += 1
    return rider.sign(rider.presentment(Audience.TRANSIT, NOW_S))


@pytest.mark.parametrize("cheat", [_same_counter, _understated])
@pytest.mark.parametrize("newest_first", [False, True])
def test_a_wallets_contradiction_is_kept_frozen_denied_and_both_terminals_paid(
    town: Town, cheat, newest_first: bool
) -> None:
    rider = town.wallet(balance_kgo=120_000)
    second_pass = town.issue(rider.account, town.new_key(), NOW_S + 1)
    first, second = _two_buses(town)
    first.boarding(rider.ride_code(NOW_S), NOW_S)
    second.boarding(cheat(rider), NOW_S)
    for bus in (second, first) if newest_first else (first, second):
        assert town.send(bus).outcomes == [POSTED]
    assert town.balance(OPERATOR) == 2 * FARE_KGO
    (proof,) = equivocation.proofs(town.store)
    assert (proof.kind, proof.wallet_id, proof.state) == (ProofKind.WALLET, rider.wallet_id, ReviewState.OPEN)
    one, two = (_payload_if_signed(raw, 4, rider.says.wallet_point) for raw in (proof.first, proof.second))
    assert one[1] == two[1] == rider.allowance.identity
    low, high = sorted((one, two), key=lambda shown: shown[2])
    assert (low[2] == high[2] and low != high) or high[3] < low[3] + low[4]
    denied = {row[0] for row in town.store.fetch("SELECT pass_id FROM denied")}
    live = {row[0] for row in town.store.fetch("SELECT pass_id FROM allowances")}
    assert len(denied) == 2 and denied == live and second_pass.identity
    with pytest.raises(errors.AccountFrozen):
        town.issue(rider.account, town.new_key(), NOW_S + 2)
    assert audit(town.store).is_ok
    town.assert_sound()


def test_refreshing_a_code_is_no_contradiction_and_honest_order_is_none(town: Town) -> None:
    rider = town.wallet()
    first, second = _two_buses(town)
    early = rider.ride_code(NOW_S)
    late = rider.ride_code(NOW_S)
    second.boarding(late, NOW_S)
    first.boarding(early, NOW_S + 1)
    town.send(second)
    town.send(first)
    assert equivocation.proofs(town.store) == []


def test_a_rejected_voucher_can_still_be_half_of_a_proof(town: Town) -> None:
    rider = town.wallet()
    first, second = _two_buses(town)
    first.boarding(rider.ride_code(NOW_S - 60), NOW_S)
    second.boarding(_same_counter(rider), NOW_S)
    assert town.send(first).outcomes == [(Outcome.REJECTED, errors.CodeTooOld.number)]
    assert town.send(second).outcomes == [POSTED]
    assert len(equivocation.proofs(town.store)) == 1


def test_a_conflict_event_brings_the_proof_but_only_with_the_wallets_signature(town: Town) -> None:
    rider, victim = town.wallet(), town.wallet()
    bus, _other = _two_buses(town)
    code = rider.ride_code(NOW_S)
    bus.boarding(code, NOW_S)
    bus.boarding(victim.ride_code(NOW_S), NOW_S)
    framed = victim.sign(victim.presentment(Audience.TRANSIT, NOW_S, cap_kgo=1), key=bus.key)
    bus.event(EventKind.CONFLICT, 1402, NOW_S, rider.allowance.raw, code.raw, _same_counter(rider).raw)
    bus.event(EventKind.CONFLICT, 1402, NOW_S, victim.allowance.raw, b"", framed.raw)
    bus.event(EventKind.CONFLICT, "nonsense")
    town.send(bus)
    assert [proof.wallet_id for proof in equivocation.proofs(town.store)] == [rider.wallet_id]


@pytest.mark.parametrize(("confirm", "frozen", "denied"), [(True, 2, 1), (False, 0, 0)])
def test_review_confirms_or_lifts(town: Town, confirm: bool, frozen: int, denied: int) -> None:
    rider = town.wallet()
    first, second = _two_buses(town)
    first.boarding(rider.ride_code(NOW_S), NOW_S)
    second.boarding(_same_counter(rider), NOW_S)
    town.send(first)
    town.send(second)
    equivocation.review(town.store, equivocation.proofs(town.store)[0].equivocation_id, confirm, "seen", NOW_S)
    assert town.store.one("SELECT frozen FROM wallets WHERE wallet_id = ?", (rider.wallet_id,)) == (frozen,)
    assert len(town.store.fetch("SELECT * FROM denied")) == denied
    with pytest.raises(errors.EquivocationUnknown):
        equivocation.review(town.store, 99, confirm, "", NOW_S)


# --- closings


def test_a_closing_frees_the_rest_at_once_and_a_payload_beyond_it_is_equivocation(town: Town) -> None:
    rider = town.wallet()
    bus, other = _two_buses(town)
    bus.boarding(rider.ride_code(NOW_S), NOW_S)
    town.send(bus)
    closing = rider.sign(Closing(rider.allowance.identity, 1, FARE_KGO))
    assert allowances.close(town.store, closing.raw, NOW_S + 1) == 50_000 - FARE_KGO
    assert allowances.close(town.store, closing.raw, NOW_S + 2) == 50_000 - FARE_KGO
    assert town.balance(wallet_account(rider.wallet_id)) == 50_000 - FARE_KGO
    other.boarding(rider.ride_code(NOW_S + 3), NOW_S + 3)
    assert town.send(other).outcomes == [(Outcome.POSTED, errors.AllowanceClosed.number)]
    (proof,) = equivocation.proofs(town.store)
    assert proof.kind is ProofKind.BEYOND_CLOSING and equivocation.is_proven(proof, CITY)
    assert town.balance(OPERATOR) == 2 * FARE_KGO
    assert town.balance(wallet_account(rider.wallet_id)) == 50_000 - 2 * FARE_KGO
    town.assert_sound()


def test_a_closing_below_what_was_spent_returns_nothing(town: Town) -> None:
    rider = town.wallet()
    bus, _ = _two_buses(town)
    bus.boarding(rider.ride_code(NOW_S), NOW_S)
    town.send(bus)
    with pytest.raises(errors.ClosingInvalid):
        allowances.close(town.store, rider.sign(Closing(rider.allowance.identity, 0, 0)).raw, NOW_S + 1)
    assert town.balance(wallet_account(rider.wallet_id)) == 0
    assert [proof.kind for proof in equivocation.proofs(town.store)] == [ProofKind.BEYOND_CLOSING]
    foreign = rider.sign(Closing(rider.allowance.identity, 1, FARE_KGO), key=bus.key)
    with pytest.raises(errors.ClosingInvalid):
        allowances.close(town.store, foreign.raw, NOW_S + 1)


# --- devices


def test_a_cloned_journal_is_stored_held_blocked_and_released_by_the_operator(town: Town) -> None:
    bus, _ = _two_buses(town)
    for _ in range(2):
        bus.boarding(town.wallet().ride_code(NOW_S), NOW_S)
    town.send(bus)
    clone = bus.copy()
    riders = [town.wallet() for _ in range(5)]
    for terminal, rider in zip((bus, bus, clone, clone, clone), riders, strict=True):
        terminal.boarding(rider.ride_code(NOW_S), NOW_S)
    assert town.send(bus, first=3).outcomes == [POSTED, POSTED]
    assert town.send(clone, first=3).outcomes == [HELD] * 3
    bus.boarding(town.wallet().ride_code(NOW_S), NOW_S)
    assert town.send(bus, first=5).outcomes == [HELD]
    clone.boarding(town.wallet().ride_code(NOW_S), NOW_S)
    assert town.send(clone, first=6).outcomes == [HELD]
    assert town.send(clone).outcomes == [POSTED, POSTED] + [HELD] * 4
    for rider in riders[2:]:
        assert town.balance(reserved_account(rider.allowance.identity)) == 50_000
    assert town.balance(OPERATOR) == 4 * FARE_KGO
    (proof,) = equivocation.proofs(town.store)
    assert proof.kind is ProofKind.DEVICE_VOUCHER and proof.device == "bus-1"
    one, two = (_payload_if_signed(raw, 8, bus.key.point) for raw in (proof.first, proof.second))
    assert one[1] == two[1] == "bus-1" and one[2] == two[2] == 3 and one != two
    assert town.store.one("SELECT blocked FROM devices WHERE device = 'bus-1'") == (1,)
    assert decisions.release_held(town.store, town.reader, town.limits, "bus-1", NOW_S + 100) == 5
    assert town.balance(OPERATOR) == 9 * FARE_KGO
    assert town.send(clone).outcomes == [POSTED] * 6
    assert town.send(bus).outcomes == [POSTED] * 5
    decisions.unblock(town.store, "bus-1")
    bus.boarding(town.wallet().ride_code(NOW_S), NOW_S)
    assert town.send(bus, first=6).outcomes == [POSTED]
    assert audit(town.store).findings == ()
    town.assert_sound()


def test_a_fork_of_events_alone_blocks_too_and_proves_itself(town: Town) -> None:
    bus, _ = _two_buses(town)
    bus.event(EventKind.STARTED, 1)
    town.send(bus)
    clone = bus.copy()
    bus.event(EventKind.STARTED, 2)
    clone.event(EventKind.STARTED, 3)
    clone.boarding(town.wallet().ride_code(NOW_S), NOW_S)
    town.send(bus)
    assert town.send(clone, first_event=2).outcomes == [HELD]
    (proof,) = equivocation.proofs(town.store)
    assert proof.kind is ProofKind.DEVICE_EVENT and equivocation.is_proven(proof, CITY)
    certificate, before, first, second = cbor2.loads(proof.context)
    assert _payload_if_signed(certificate, 2, _ca_point())[5] == bus.key.point
    for raw, tail in ((proof.first, first), (proof.second, second)):
        head = before
        for kind, body in tail:
            head = sha256(head + bytes((kind,)) + body).digest()
        assert _payload_if_signed(raw, 9, bus.key.point)[7] == head
    assert first[0] != second[0]
    clone.event(EventKind.STARTED, 4)
    town.send(clone, first=2, first_event=3)
    assert len(town.store.fetch("SELECT * FROM fork_events")) == 2


def test_a_fork_that_goes_on_or_is_sent_again_longer_makes_no_false_proof(town: Town) -> None:
    """A lost journal begins again at event 1; its next batches continue a fork that has its proof already."""
    bus, _ = _two_buses(town)
    again = bus.copy()
    for number in range(4):
        bus.event(EventKind.STARTED, number)
    town.send(bus)
    for number in range(10, 12):
        again.event(EventKind.STARTED, number)
    town.send(again)
    again.event(EventKind.STARTED, 12)
    town.send(again, first_event=3)
    again.event(EventKind.STARTED, 13)
    town.send(again)
    assert len(town.store.fetch("SELECT * FROM fork_events")) == 4
    proofs = equivocation.proofs(town.store)
    assert proofs and all(equivocation.is_proven(proof, CITY) for proof in proofs)
    assert audit(town.store).findings == ()


def _ca_point() -> bytes:
    from tests.city.town import CA_TEST_ONLY

    return CA_TEST_ONLY.point


def test_what_is_no_proof_does_not_pass_for_one(town: Town) -> None:
    rider = town.wallet()
    bus, other = _two_buses(town)
    bus.boarding(rider.ride_code(NOW_S), NOW_S)
    other.boarding(_same_counter(rider), NOW_S)
    town.send(bus)
    town.send(other)
    (proof,) = equivocation.proofs(town.store)
    assert equivocation.is_proven(proof, CITY)
    honest = rider.sign(rider.presentment(Audience.TRANSIT, NOW_S + 9))
    refreshed = replace(proof, second=honest.raw, first=rider.sign(rider.presentment(Audience.TRANSIT, NOW_S)).raw)
    forged = replace(proof, second=rider.sign(rider.presentment(Audience.TRANSIT, NOW_S, cap_kgo=1), bus.key).raw)
    for no_proof in (refreshed, forged, replace(proof, first=proof.second), replace(proof, context=b"\x80")):
        assert not equivocation.is_proven(no_proof, CITY)
    head = device.BATCH_HEAD.encode(bus.head_for(1, 1, 1, 0, NOW_S))
    assert cbor.decode(head, 1024) and Kind.BATCH_HEAD


# --- who is denied, why, and until when


def _denied(town: Town) -> list[tuple[bytes, str]]:
    return [(row[0], row[1]) for row in town.store.fetch("SELECT pass_id, reason FROM denied ORDER BY pass_id, reason")]


def _frozen(town: Town, wallet_id: int) -> int:
    row = town.store.one("SELECT frozen FROM wallets WHERE wallet_id = ?", (wallet_id,))
    assert row is not None
    return row[0]


def _proven(town: Town, cheats: int) -> TownWallet:
    """A wallet with so many proofs against it."""
    rider = town.wallet()
    buses = [town.terminal(f"bus-{at}", DeviceRole.VALIDATOR) for at in range(cheats + 1)]
    buses[0].boarding(rider.ride_code(NOW_S), NOW_S)
    for at, bus in enumerate(buses[1:], 1):
        bus.boarding(rider.sign(rider.presentment(Audience.TRANSIT, NOW_S, cap_kgo=FARE_KGO + at)), NOW_S)
    for bus in buses:
        town.send(bus)
    assert len(equivocation.proofs(town.store)) == cheats
    return rider


def test_lifting_one_of_two_proofs_leaves_the_other_standing(town: Town) -> None:
    rider = _proven(town, 2)
    equivocation.review(town.store, 1, False, "explained", NOW_S)
    assert _frozen(town, rider.wallet_id) == 1
    assert _denied(town) == [(rider.says.pass_id, equivocation.EQUIVOCATION)]
    equivocation.review(town.store, 2, False, "explained", NOW_S)
    assert _frozen(town, rider.wallet_id) == 0 and _denied(town) == []


@pytest.mark.parametrize("duplicates_first", [True, False])
def test_lifting_a_proof_leaves_what_the_policy_on_duplicates_denied(town: Town, duplicates_first: bool) -> None:
    if duplicates_first:
        rider = town.wallet()
        with town.store.transaction():
            equivocation.deny_wallet(town.store, rider.wallet_id, equivocation.DUPLICATES, NOW_S)
        bus, other = _two_buses(town)
        bus.boarding(rider.ride_code(NOW_S), NOW_S)
        other.boarding(_same_counter(rider), NOW_S)
        town.send(bus)
        town.send(other)
    else:
        rider = _proven(town, 1)
        with town.store.transaction():
            equivocation.deny_wallet(town.store, rider.wallet_id, equivocation.DUPLICATES, NOW_S)
    assert len(_denied(town)) == 2
    equivocation.review(town.store, 1, False, "explained", NOW_S)
    assert _denied(town) == [(rider.says.pass_id, equivocation.DUPLICATES)]


def test_a_lifted_proof_that_is_confirmed_after_all_denies_again(town: Town) -> None:
    rider = _proven(town, 1)
    equivocation.review(town.store, 1, False, "explained", NOW_S)
    equivocation.review(town.store, 1, True, "seen again", NOW_S)
    assert _frozen(town, rider.wallet_id) == 2
    assert _denied(town) == [(rider.says.pass_id, equivocation.EQUIVOCATION)]


def test_a_cards_second_denial_lasts_as_long_as_its_newest_allowance(town: Town) -> None:
    """A card has one pass id for all its allowances."""
    card = town.wallet(balance_kgo=100_000)
    pass_id, ends_s = card.says.pass_id, card.says.expires_at_s
    with town.store.transaction():
        equivocation.freeze_wallet(town.store, card.wallet_id, equivocation.EQUIVOCATION, NOW_S)
    town.store.execute("UPDATE wallets SET frozen = 0")
    later_s = ends_s + 60
    card.allowance = allowances.issue(
        town.store, ISSUER_TEST_ONLY, card.account.point, card.key.point, pass_id, town.limits, later_s
    )
    with town.store.transaction():
        equivocation.freeze_wallet(town.store, card.wallet_id, equivocation.EQUIVOCATION, later_s)
    allowances.release_due(town.store, town.limits, ends_s + town.limits.reserve_grace_s + 1)
    assert town.store.fetch("SELECT pass_id, since_s, expires_at_s FROM denied") == [
        (pass_id, NOW_S, card.says.expires_at_s)
    ]
    allowances.release_due(town.store, town.limits, card.says.expires_at_s + town.limits.reserve_grace_s + 1)
    assert _denied(town) == []


def test_a_quiet_ledger_whose_denials_have_run_out_is_sound(town: Town) -> None:
    """The cheat spent all, so its release posts nothing: only the deny list says how late it is."""
    sign_lists(town)
    cheat = town.wallet(FARE_KGO)
    buses = [town.terminal(f"bus-{at}", DeviceRole.VALIDATOR) for at in range(2)]
    cheat.next(FARE_KGO)
    for at, bus in enumerate(buses):
        shown = cheat.presentment(Audience.TRANSIT, NOW_S, cap_kgo=FARE_KGO + at)
        bus.boarding(cheat.sign(shown), NOW_S)
        town.send(bus)
    assert town.store.one("SELECT frozen FROM wallets WHERE wallet_id = ?", (cheat.wallet_id,)) == (1,)
    later_s = cheat.says.expires_at_s + town.limits.reserve_grace_s + 1
    bulletins.publish_deny_list(town.store, BULLETIN_TEST_ONLY, later_s)
    allowances.release_due(town.store, town.limits, later_s)
    bulletins.publish_deny_list(town.store, BULLETIN_TEST_ONLY, later_s)
    assert town.store.fetch("SELECT * FROM denied") == []
    assert audit(town.store).findings == ()

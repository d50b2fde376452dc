"""From QR text to outcome: every refusal in its place, repeats, conflicts, and the green that a crash swallowed."""

from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from offline_ledger import errors
from offline_ledger.errors import Refusal
from offline_ledger.protocol import cbor, cose, device, qr, wallet
from offline_ledger.protocol.city import KeyRole
from offline_ledger.protocol.device import ClockTrust, EventKind
from offline_ledger.protocol.kinds import Kind
from offline_ledger.protocol.wallet import Audience, Presentment
from offline_ledger.rules.clock import TimeNow
from offline_ledger.rules.limits import DAY_S, Limits
from offline_ledger.terminal import journal_events
from offline_ledger.terminal.evidence import EvidenceReader
from offline_ledger.terminal.outcome import Light, Outcome
from simulators.cheats import flipped_signatures
from simulators.keys import SimulatedKey
from tests.terminal.desk import (
    AAD,
    CITY,
    ISSUER_TEST_ONLY,
    NOW_S,
    DeskWallet,
    FlatBus,
    OneIssuer,
    issue,
)
from tests.terminal.door_desk import DoorDesk


class Desk(DoorDesk):
    """With codes for it."""

    def tap(self, code: str, *, is_shown: bool = True) -> Outcome:
        outcome = self.acceptor.accept(code, self.door)
        if is_shown:
            self.acceptor.shown(outcome)
        return outcome

    def events(self, kind: EventKind) -> list[list[object]]:
        self.journal.flush()
        found = [event for event in self.journal.events_after(0, 1000) if event.kind == kind]
        return [cbor.decode(event.body, 8_192) for event in found]  # type: ignore[misc]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def rider(secret: int = 7, *, not_before_s: int = NOW_S - 60, expires_at_s: int = NOW_S + 170_000) -> DeskWallet:
    held = issue(secret, not_before_s=not_before_s, expires_at_s=expires_at_s)
    held.next()
    return held


def test_a_boarding_is_accepted_signed_and_journaled_with_its_presentment(desk: Desk) -> None:
    code = rider().code()
    outcome = desk.tap(code)
    assert outcome.light is Light.ACCEPTED_CASH_DUE and outcome.sequence == 1 and outcome.voucher is not None
    row = desk.journal.voucher_at(1)
    assert row is not None and row.voucher == outcome.voucher.raw
    assert row.wallet_object == qr.decode(code).objects[1]
    said = device.VOUCHER.decode(outcome.voucher.payload, 1024)
    assert (said.kgo, said.satang, said.sequence, said.previous) == (5_000, 100, 1, bytes(32))
    assert desk.journal.allowance_bytes(row.allowance_hash or b"") == qr.decode(code).objects[0]


def presented(held: DeskWallet, **changes: int) -> str:
    shown = Presentment(held.allowance.identity, held.n, held.sum_kgo, held.last_kgo, Audience.TRANSIT, NOW_S, 30)
    signed = cose.sign1(
        wallet.PRESENTMENT.encode(shown._replace(**changes)), AAD[Kind.PRESENTMENT], held.key.key_id, held.key.sign
    )
    return qr.encode(qr.QrType.PRESENTMENT, held.allowance.raw, signed.raw)


def of_another_city() -> str:
    held = rider()
    said = wallet.ALLOWANCE.decode(held.allowance.payload, 1024)._replace(city="TH-10")
    raw = cose.sign1(
        wallet.ALLOWANCE.encode(said), cose.external_aad(Kind.ALLOWANCE, "TH-10"), ISSUER_TEST_ONLY.key_id,
        ISSUER_TEST_ONLY.sign,
    ).raw  # fmt: skip
    return qr.encode(qr.QrType.PRESENTMENT, raw, qr.decode(held.code()).objects[1])


def of_unknown_issuer() -> str:
    held = issue(7, issuer=SimulatedKey(0xE1))
    held.next()
    return held.code()


def forged_allowance() -> str:
    held = rider()
    said = wallet.ALLOWANCE.decode(held.allowance.payload, 1024)._replace(reserve_kgo=10**9)
    forger = SimulatedKey(0xBAD)
    raw = cose.sign1(wallet.ALLOWANCE.encode(said), AAD[Kind.ALLOWANCE], ISSUER_TEST_ONLY.key_id, forger.sign).raw
    return qr.encode(qr.QrType.PRESENTMENT, raw, qr.decode(held.code()).objects[1])


def mixed_allowances() -> str:
    return qr.encode(
        qr.QrType.PRESENTMENT, qr.decode(rider(8).code()).objects[0], qr.decode(rider(9).code()).objects[1]
    )


def wrong_wallet_signature() -> str:
    held = rider()
    thief = DeskWallet(SimulatedKey(0x7EF), held.allowance, held.n, held.sum_kgo, held.last_kgo)
    return thief.code()


PROMPTPAY = "00020101021129370016A000000677010111011300668123456785802TH53037645406120.006304ABCD"

REFUSED: dict[str, tuple[Callable[[], str], type[Refusal]]] = {
    "a url": (lambda: "https://example.org/pay", errors.NotOurCode),
    "a promptpay code": (lambda: PROMPTPAY, errors.NotOurCode),
    "nothing": (lambda: "", errors.NotOurCode),
    "cut short": (lambda: rider().code()[:200], errors.CodeDamaged),
    "too long": (lambda: rider().code() + "A" * 200, errors.TooLarge),
    "a receipt": (lambda: qr.encode(qr.QrType.RECEIPT, b"a voucher"), errors.WrongCodeType),
    "an unknown letter": (lambda: "KGO1Z:" + rider().code()[6:], errors.WrongCodeType),
    "another city": (of_another_city, errors.UnknownCity),
    "unknown issuer": (of_unknown_issuer, errors.UnknownIssuer),
    "forged allowance": (forged_allowance, errors.AllowanceForged),
    "expired": (lambda: rider(expires_at_s=NOW_S - 6).code(), errors.AllowanceExpired),
    "not yet valid": (lambda: rider(not_before_s=NOW_S + 6).code(), errors.AllowanceNotYetValid),
    "another allowance": (mixed_allowances, errors.AllowanceMismatch),
    "wrong wallet": (wrong_wallet_signature, errors.WalletSignatureWrong),
    "for a shop": (lambda: presented(rider(), audience=Audience.SHOP), errors.WrongAudience),
    "too old": (lambda: presented(rider(), at_s=NOW_S - 36), errors.CodeTooOld),
    "from the future": (lambda: presented(rider(), at_s=NOW_S + 6), errors.CodeFromFuture),
    "cap below fare": (lambda: presented(rider(), cap_kgo=4_999), errors.AmountNotAuthorised),
    "over the reserve": (lambda: presented(rider(), sum_kgo=45_001), errors.ReserveExceeded),
}


@pytest.mark.parametrize("name", REFUSED)
def test_each_refusal_is_its_own_and_nothing_is_accepted(desk: Desk, name: str) -> None:
    make, expected = REFUSED[name]
    outcome = desk.tap(make())
    assert type(outcome.refusal) is expected
    assert outcome.light in (Light.REFUSED, Light.TRY_AGAIN) and outcome.voucher is None
    assert desk.journal.tail.sequence == 0
    assert [event[0] for event in desk.events(EventKind.REFUSAL)] == [expected.number]


@pytest.mark.parametrize(
    "make",
    [
        lambda: rider(expires_at_s=NOW_S - 5).code(),
        lambda: rider(not_before_s=NOW_S + 5).code(),
        lambda: presented(rider(), at_s=NOW_S - 35),
        lambda: presented(rider(), at_s=NOW_S + 5),
        lambda: presented(rider(), cap_kgo=5_000),
        lambda: presented(rider(), sum_kgo=45_000),
    ],
)
def test_the_near_side_of_each_edge_is_accepted(desk: Desk, make: Callable[[], str]) -> None:
    assert desk.tap(make()).light is Light.ACCEPTED_CASH_DUE


def test_an_issuer_key_of_another_role_issues_nothing() -> None:
    reader = EvidenceReader(CITY, OneIssuer(role=KeyRole.BULLETIN))
    with pytest.raises(errors.IssuerRoleWrong):
        reader.read(rider().code(), NOW_S, 5)


def test_a_denied_pass_is_refused_even_with_a_warm_cache(desk: Desk) -> None:
    held = rider()
    assert desk.tap(held.code()).light is Light.ACCEPTED_CASH_DUE
    desk.conditions.denied.add((7).to_bytes(8, "big"))
    held.next()
    assert isinstance(desk.tap(held.code()).refusal, errors.Denied)


def test_expiry_is_judged_every_time_with_a_warm_cache(desk: Desk) -> None:
    held = rider()
    desk.tap(held.code())
    held.next()
    desk.conditions.now = TimeNow(NOW_S + 171_000, ClockTrust.SYNCED, 0)
    assert isinstance(desk.tap(held.code(NOW_S + 171_000)).refusal, errors.AllowanceExpired)


def test_the_same_code_again_charges_nothing_and_is_never_green(desk: Desk) -> None:
    held = rider()
    desk.tap(held.code())
    for later_s in (0, 20, 300):
        desk.conditions.now = TimeNow(NOW_S + later_s, ClockTrust.SYNCED, 0)
        again = desk.tap(held.code(NOW_S + later_s))
        assert again.light is Light.ALREADY_ACCEPTED and again.sequence == 1
    assert desk.journal.tail.sequence == 1


def test_flipped_signatures_are_the_same_intent(desk: Desk) -> None:
    code = rider().code()
    desk.tap(code)
    assert desk.tap(flipped_signatures(code, CITY)).light is Light.ALREADY_ACCEPTED
    assert desk.journal.tail.sequence == 1 and not desk.events(EventKind.CONFLICT)


def test_flipped_signatures_first_are_no_fraud_either(desk: Desk) -> None:
    code = rider().code()
    assert desk.tap(flipped_signatures(code, CITY)).light is Light.ACCEPTED_CASH_DUE
    assert desk.tap(code).light is Light.ALREADY_ACCEPTED


def test_the_next_ride_and_a_companion_are_charged(desk: Desk) -> None:
    held = rider()
    for sequence in (1, 2, 3):
        outcome = desk.tap(held.code())
        assert outcome.sequence == sequence and outcome.light is Light.ACCEPTED_CASH_DUE
        held.next()
    assert [row.kgo for row in desk.journal.pending(10)] == [5_000] * 3


def test_an_older_counter_is_refused(desk: Desk) -> None:
    held = rider()
    first = held.code()
    desk.tap(first)
    held.next()
    desk.tap(held.code())
    assert isinstance(desk.tap(first).refusal, errors.CounterUsed)


def test_one_counter_with_two_contents_is_kept_as_proof(desk: Desk) -> None:
    held = rider()
    first, second = held.code(), presented(held, cap_kgo=6_000)
    desk.tap(first)
    outcome = desk.tap(second)
    assert isinstance(outcome.refusal, errors.Conflict)
    ((number, _at_s, allowance, earlier, later),) = desk.events(EventKind.CONFLICT)
    assert number == errors.Conflict.number and allowance == qr.decode(first).objects[0]
    assert earlier == qr.decode(first).objects[1] and later == qr.decode(second).objects[1]


def test_a_proof_is_durable_before_its_light(desk: Desk) -> None:
    held = rider()
    desk.tap(held.code())
    desk.tap(presented(held, cap_kgo=6_000))
    desk.crash()
    assert len(desk.events(EventKind.CONFLICT)) == 1


def test_a_contradiction_held_up_again_and_again_is_one_proof_and_so_many_refusals(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_events, "REFUSALS_A_DAY_MAX", 30)
    for secret in (7, 8):
        held = rider(secret)
        desk.tap(held.code())
        for cap_kgo in range(6_000, 6_030):
            assert isinstance(desk.tap(presented(held, cap_kgo=cap_kgo)).refusal, errors.Conflict)
    proofs = desk.events(EventKind.CONFLICT)
    assert [qr.decode(rider(secret).code()).objects[0] for secret in (7, 8)] == [proof[2] for proof in proofs]
    assert [said[0] for said in desk.events(EventKind.REFUSAL)] == [errors.Conflict.number] * 30
    desk.conditions.now = TimeNow(NOW_S + DAY_S, ClockTrust.SYNCED, 0)
    desk.tap("https://example.org")
    assert len(desk.events(EventKind.REFUSAL)) == 31, "another day"


def test_an_understated_sum_is_kept_as_proof(desk: Desk) -> None:
    held = rider()
    desk.tap(held.code())
    held.next()
    outcome = desk.tap(presented(held, sum_kgo=4_999))
    assert isinstance(outcome.refusal, errors.SumUnderstated)
    assert len(desk.events(EventKind.CONFLICT)) == 1
    assert desk.tap(presented(held, sum_kgo=5_000)).light is Light.ACCEPTED_CASH_DUE


def test_killed_between_commit_and_green_the_rider_gets_it_once_uncharged(desk: Desk) -> None:
    held = rider()
    swallowed = desk.tap(held.code(), is_shown=False)
    assert swallowed.sequence == 1 and swallowed.light is Light.ACCEPTED_CASH_DUE
    desk.crash()
    back = desk.tap(held.code(NOW_S + 3))
    assert (back.light, back.charge) == (Light.ACCEPTED_CASH_DUE, swallowed.charge)
    assert back.is_uncharged_green and back.sequence == 1 and back.voucher is None
    assert desk.tap(held.code(NOW_S + 4)).light is Light.ALREADY_ACCEPTED
    desk.crash()
    assert desk.tap(held.code(NOW_S + 5)).light is Light.ALREADY_ACCEPTED
    assert desk.journal.tail.sequence == 1 and len(desk.events(EventKind.UNCHARGED_GREEN)) == 1


def test_after_the_crash_the_next_counter_of_the_same_trip_gets_the_green_once(desk: Desk) -> None:
    held = rider()
    desk.tap(held.code(), is_shown=False)
    desk.crash()
    held.next()
    back = desk.tap(held.code())
    assert back.is_uncharged_green and back.sequence == 1
    assert desk.tap(held.code()).light is Light.ALREADY_ACCEPTED
    held.next()
    assert desk.tap(held.code()).sequence == 2


def test_another_trip_does_not_ride_on_the_swallowed_green(desk: Desk) -> None:
    held = rider()
    desk.tap(held.code(), is_shown=False)
    desk.crash()
    desk.door = FlatBus(trip="T2")
    held.next()
    assert desk.tap(held.code()).sequence == 2


def test_a_green_that_was_shown_and_flushed_gives_no_second_one(desk: Desk) -> None:
    held = rider()
    desk.tap(held.code())
    desk.acceptor.tick(1_000)
    desk.crash()
    assert desk.tap(held.code()).light is Light.ALREADY_ACCEPTED


def test_powered_time_ends_the_wait_and_a_boarding_is_then_not_charged(desk: Desk) -> None:
    held = rider()
    desk.tap(held.code(), is_shown=False)
    desk.crash()
    wait_ms = Limits().unratified_s * 1000
    desk.acceptor.tick(0)
    desk.acceptor.tick(wait_ms)
    assert [row.sequence for row in desk.acceptor.unratified.waiting()] == [1]
    desk.crash()  # the wait so far is remembered
    desk.acceptor.tick(0)
    desk.acceptor.tick(10_001)
    assert desk.acceptor.unratified.waiting() == []
    assert [event[0::2] for event in desk.events(EventKind.LAPSED)] == [[1, False]]
    assert desk.tap(held.code()).light is Light.ALREADY_ACCEPTED


def test_a_cap_refusal_is_reported_as_it_is(desk: Desk) -> None:
    desk.conditions.cap_refusal = errors.MustReconnect("H")
    assert isinstance(desk.tap(rider().code()).refusal, errors.MustReconnect)
    assert desk.journal.tail.sequence == 0


def test_random_garbage_only_ever_gives_numbered_refusals(desk: Desk) -> None:
    random = Random(5)
    good = rider().code()
    for _ in range(300):
        at = random.randrange(len(good))
        outcome = desk.tap(good[:at] + random.choice("ABC0189 $%*+-./:é\x00") + good[at + 1 :])
        assert (
            outcome.light is Light.ACCEPTED_CASH_DUE
            or outcome.light is Light.ALREADY_ACCEPTED
            or (outcome.refusal is not None and outcome.refusal.number > 0)
        )
    assert desk.journal.tail.sequence <= 1


def test_the_journal_survives_a_close_and_the_chain_goes_on(desk: Desk) -> None:
    held = rider()
    desk.tap(held.code())
    desk.journal.close()
    desk.start()
    held.next()
    outcome = desk.tap(held.code())
    assert outcome.voucher is not None
    first = desk.journal.voucher_at(1)
    assert first is not None
    assert device.VOUCHER.decode(outcome.voucher.payload, 1024).previous == first.identity


@pytest.mark.parametrize("refusal", [errors.TerminalRevoked("after 0"), errors.DeviceBlocked("held from 1")])
def test_a_terminal_that_is_not_paid_shows_no_green_but_still_knows_its_repeats(desk: Desk, refusal: Refusal) -> None:
    held = rider()
    desk.tap(held.code())
    desk.conditions.standing_refusal = refusal
    assert desk.tap(held.code()).light is Light.ALREADY_ACCEPTED
    outcome = desk.tap(rider(8).code())
    assert outcome.light is Light.OUT_OF_SERVICE and outcome.refusal is refusal and desk.journal.tail.sequence == 1

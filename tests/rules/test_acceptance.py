"""The shared steps of acceptance: both sides of each edge, and what two signed objects prove. DESIGN §2, §4, §5."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offline_ledger.errors import (
    AllowanceExpired,
    AllowanceMismatch,
    AllowanceNotYetValid,
    AmountNotAuthorised,
    Conflict,
    CounterUsed,
    IssuerKeyExpired,
    IssuerRoleWrong,
    PassBack,
    Refusal,
    SumUnderstated,
    UnknownCity,
    WrongAudience,
)
from offline_ledger.protocol import wallet
from offline_ledger.protocol.city import KeyRole, TrustedKey
from offline_ledger.protocol.kinds import Kind
from offline_ledger.protocol.wallet import Allowance, Audience, Payment, Presentment
from offline_ledger.rules import acceptance
from offline_ledger.rules.acceptance import WalletObject
from tests.vectors.objects import CITY, EXAMPLES

ALLOWANCE: Allowance = EXAMPLES[Kind.ALLOWANCE].value
SHOWN: Presentment = EXAMPLES[Kind.PRESENTMENT].value
PAID: Payment = EXAMPLES[Kind.PAYMENT].value
SKEW_S = 5
START_S, END_S = ALLOWANCE.not_before_s, ALLOWANCE.expires_at_s


def refused(expected: type[Refusal] | None, step: object, *arguments: object) -> None:
    """Calls a step: it must raise exactly this refusal, or nothing."""
    assert callable(step)
    if expected is None:
        step(*arguments)
        return
    with pytest.raises(Refusal) as raised:
        step(*arguments)
    assert type(raised.value) is expected


@pytest.mark.parametrize(
    ("at_s", "expected"),
    [
        (START_S - SKEW_S - 1, AllowanceNotYetValid),
        (START_S - SKEW_S, None),
        (START_S, None),
        (END_S, None),
        (END_S + SKEW_S, None),
        (END_S + SKEW_S + 1, AllowanceExpired),
    ],
)
def test_validity(at_s: int, expected: type[Refusal] | None) -> None:
    refused(expected, acceptance.check_validity, ALLOWANCE, at_s, SKEW_S)


@pytest.mark.parametrize(
    ("role", "start_s", "end_s", "expected"),
    [
        (KeyRole.ALLOWANCE_ISSUER, START_S, START_S, None),
        (KeyRole.ALLOWANCE_ISSUER, START_S + 1, END_S, IssuerKeyExpired),
        (KeyRole.ALLOWANCE_ISSUER, START_S - 9, START_S - 1, IssuerKeyExpired),
        (KeyRole.ACK, START_S, START_S, IssuerRoleWrong),
        (KeyRole.BULLETIN, START_S - 9, START_S - 1, IssuerRoleWrong),
        (KeyRole.DEVICE_CA, START_S, END_S, IssuerRoleWrong),
        (KeyRole.LOG, START_S, END_S, IssuerRoleWrong),
    ],
)
def test_an_issuer_has_the_role_and_was_valid_when_it_signed(
    role: KeyRole, start_s: int, end_s: int, expected: type[Refusal] | None
) -> None:
    key = TrustedKey(role, ALLOWANCE.wallet_point, start_s, end_s)
    refused(expected, acceptance.check_issuer, key, ALLOWANCE)


def test_an_allowance_of_another_city_is_refused() -> None:
    payload = wallet.ALLOWANCE.encode(ALLOWANCE)
    assert acceptance.read_allowance(payload, CITY) == ALLOWANCE
    refused(UnknownCity, acceptance.read_allowance, payload, "TH-41")


@pytest.mark.parametrize("shown", [SHOWN, PAID])
def test_the_object_names_the_allowance_beside_it(shown: WalletObject) -> None:
    refused(None, acceptance.check_belongs, shown, shown.allowance_hash)
    refused(AllowanceMismatch, acceptance.check_belongs, shown, bytes(32))


@pytest.mark.parametrize("made_for", Audience)
@pytest.mark.parametrize("shown_at", Audience)
def test_audience(made_for: Audience, shown_at: Audience) -> None:
    expected = None if made_for is shown_at else WrongAudience
    refused(expected, acceptance.check_audience, SHOWN._replace(audience=made_for), shown_at)


@pytest.mark.parametrize(
    ("shown", "charge_kgo", "expected"),
    [
        (SHOWN, SHOWN.cap_kgo, None),
        (SHOWN, SHOWN.cap_kgo - 1, None),
        (SHOWN, 0, None),
        (SHOWN, SHOWN.cap_kgo + 1, AmountNotAuthorised),
        (SHOWN._replace(audience=Audience.SHOP), SHOWN.cap_kgo, None),
        (SHOWN._replace(audience=Audience.SHOP), SHOWN.cap_kgo - 1, AmountNotAuthorised),
        (SHOWN._replace(audience=Audience.SHOP), SHOWN.cap_kgo + 1, AmountNotAuthorised),
        (PAID, PAID.amount_kgo, None),
        (PAID, PAID.amount_kgo - 1, AmountNotAuthorised),
        (PAID, PAID.amount_kgo + 1, AmountNotAuthorised),
    ],
)
def test_never_more_than_was_signed_and_in_a_shop_never_less(
    shown: WalletObject, charge_kgo: int, expected: type[Refusal] | None
) -> None:
    refused(expected, acceptance.check_charge, shown, charge_kgo)


@pytest.mark.parametrize(
    ("elapsed_s", "pass_back_s", "expected"),
    [(0, 300, PassBack), (300, 300, PassBack), (301, 300, None), (-1, 300, None), (0, 1, PassBack), (2, 1, None)],
)
def test_pass_back_holds_to_its_last_second(elapsed_s: int, pass_back_s: int, expected: type[Refusal] | None) -> None:
    refused(expected, acceptance.check_pass_back, elapsed_s, pass_back_s)


NEXT_SUM_KGO = SHOWN.sum_kgo + SHOWN.cap_kgo


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"n": SHOWN.n + 1, "sum_kgo": NEXT_SUM_KGO}, None),
        ({"n": SHOWN.n + 9, "sum_kgo": NEXT_SUM_KGO + 1}, None),
        ({"n": SHOWN.n + 1, "sum_kgo": NEXT_SUM_KGO - 1}, SumUnderstated),
        ({"n": SHOWN.n + 1, "sum_kgo": 0}, SumUnderstated),
        ({"n": SHOWN.n - 1}, CounterUsed),
        ({"n": SHOWN.n - 1, "sum_kgo": NEXT_SUM_KGO}, CounterUsed),
        ({"n": SHOWN.n, "cap_kgo": SHOWN.cap_kgo + 1}, Conflict),
        ({"n": SHOWN.n, "sum_kgo": NEXT_SUM_KGO}, Conflict),
    ],
)
def test_counter_and_sum(change: dict[str, int], expected: type[Refusal] | None) -> None:
    refused(expected, acceptance.check_counter, SHOWN._replace(**change), acceptance.seen_of(SHOWN))


def test_nothing_seen_yet_takes_any_counter() -> None:
    refused(None, acceptance.check_counter, SHOWN._replace(n=1, sum_kgo=0), None)


def test_only_the_time_may_differ_in_a_repeat() -> None:
    seen = acceptance.seen_of(SHOWN)
    later = SHOWN._replace(at_s=SHOWN.at_s + 20, valid_s=5)
    assert acceptance.is_same_intent(later, seen)
    assert not acceptance.is_same_intent(later, None)
    for change in ({"n": SHOWN.n + 1}, {"sum_kgo": 0}, {"cap_kgo": 1}, {"audience": Audience.SHOP}):
        assert not acceptance.is_same_intent(SHOWN._replace(**change), seen)
    other = SHOWN._replace(allowance_hash=bytes(32))
    assert not acceptance.is_same_intent(other, seen)


@pytest.mark.parametrize(
    ("second", "is_proof"),
    [
        (SHOWN._replace(at_s=SHOWN.at_s + 1), False),
        (SHOWN._replace(cap_kgo=SHOWN.cap_kgo + 1), True),
        (SHOWN._replace(audience=Audience.SHOP), True),
        (SHOWN._replace(n=SHOWN.n + 1, sum_kgo=NEXT_SUM_KGO), False),
        (SHOWN._replace(n=SHOWN.n + 1, sum_kgo=NEXT_SUM_KGO - 1), True),
        (SHOWN._replace(n=SHOWN.n - 1, sum_kgo=SHOWN.sum_kgo - SHOWN.cap_kgo), False),
        (SHOWN._replace(n=SHOWN.n - 1, sum_kgo=SHOWN.sum_kgo - SHOWN.cap_kgo + 1), True),
        (SHOWN._replace(allowance_hash=bytes(32), cap_kgo=1), False),
        (PAID._replace(n=SHOWN.n, allowance_hash=SHOWN.allowance_hash), True),
        (PAID._replace(n=SHOWN.n + 1, sum_kgo=NEXT_SUM_KGO, allowance_hash=SHOWN.allowance_hash), False),
    ],
)
def test_what_two_objects_prove_in_either_order(second: WalletObject, is_proof: bool) -> None:
    assert acceptance.is_contradiction(SHOWN, second) is is_proof
    assert acceptance.is_contradiction(second, SHOWN) is is_proof


STEP = st.tuples(st.integers(0, 10_000), st.booleans(), st.integers(0, 3), st.sampled_from(Audience))


def honest_life(steps: list[tuple[int, bool, int, Audience]]) -> list[WalletObject]:
    """All that an honest wallet ever signs: intents in order, some refreshed, some abandoned, some two-way."""
    signed: list[WalletObject] = []
    n, sum_kgo, at_s = 0, 0, SHOWN.at_s
    for amount_kgo, is_payment, refreshes, audience in steps:
        n += 1
        for _ in range(1 + refreshes):
            at_s += 7
            if is_payment:
                signed.append(PAID._replace(n=n, sum_kgo=sum_kgo, amount_kgo=amount_kgo, at_s=at_s))
            else:
                change = {"n": n, "sum_kgo": sum_kgo, "cap_kgo": amount_kgo, "audience": audience, "at_s": at_s}
                signed.append(SHOWN._replace(**change))
        sum_kgo += amount_kgo
    return signed


@given(st.lists(STEP, min_size=1, max_size=12), st.randoms(use_true_random=False))
def test_an_honest_wallet_can_never_be_framed_and_is_never_refused(
    steps: list[tuple[int, bool, int, Audience]], random: Random
) -> None:
    signed = honest_life(steps)
    assert not any(acceptance.is_contradiction(one, other) for one in signed for other in signed)
    seen = None
    for shown in signed:
        if random.random() < 0.5 or acceptance.is_same_intent(shown, seen):
            continue  # another terminal saw it, or the same one again
        acceptance.check_counter(shown, seen)
        seen = acceptance.seen_of(shown)


@given(STEP, STEP, st.integers(1, 3), st.integers(0, 30_000))
def test_a_terminal_keeps_as_proof_exactly_what_proves(
    first: tuple[int, bool, int, Audience], second: tuple[int, bool, int, Audience], n: int, sum_kgo: int
) -> None:
    """Conflict and SumUnderstated are raised for contradictions and for nothing else; an older n says nothing yet."""
    earlier = honest_life([first])[0]._replace(n=2, sum_kgo=10_000)
    later = honest_life([second])[0]._replace(n=n, sum_kgo=sum_kgo)
    if acceptance.is_same_intent(later, acceptance.seen_of(earlier)) or n < 2:
        return
    try:
        acceptance.check_counter(later, acceptance.seen_of(earlier))
    except (Conflict, SumUnderstated):
        assert acceptance.is_contradiction(earlier, later)
    else:
        assert not acceptance.is_contradiction(earlier, later)

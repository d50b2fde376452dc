"""An account asks so often in a minute and no oftener; old requests are forgotten by an index. DESIGN §7."""

import random

import pytest

from offline_ledger.city import pace
from offline_ledger.city.pace import ACCOUNTS_MAX, ASKED_MAX, MINUTE_S, Pace
from offline_ledger.city.registering import Mode, Terms
from offline_ledger.city.store import Store
from offline_ledger.city.wallet_desk import REQUEST_AGE_S_MAX, WalletDesk
from offline_ledger.errors import AskedTooOften, Refusal, RequestReplayed, WalletSignatureWrong, WalletUnknown
from offline_ledger.protocol.wallet import WalletAsk
from offline_ledger.rules.limits import Limits
from tests.city_service.test_registering import KEY_TEST_ONLY, NOW_S, SECRETS, request


@pytest.fixture
def desk(store: Store) -> WalletDesk:
    terms = Terms(Mode.OPEN, 10_000, hour_max=1_000, day_max=1_000, source_day_max=0)
    return WalletDesk(store, KEY_TEST_ONLY, KEY_TEST_ONLY, Limits(), terms, random.Random(1).randbytes)


def test_both_sides_of_the_edge(desk: WalletDesk) -> None:
    secret = next(SECRETS)
    for number in range(ASKED_MAX):
        desk.answer(request(secret, NOW_S + number), NOW_S + number)
    for late_s in (ASKED_MAX, MINUTE_S - 1):
        with pytest.raises(AskedTooOften, match=f"again in {MINUTE_S - late_s} s"):
            desk.answer(request(secret, NOW_S + late_s), NOW_S + late_s)
    desk.answer(request(secret, NOW_S + MINUTE_S), NOW_S + MINUTE_S)
    with pytest.raises(AskedTooOften):
        desk.answer(request(secret, NOW_S + MINUTE_S), NOW_S + MINUTE_S)
    desk.answer(request(next(SECRETS), NOW_S + MINUTE_S), NOW_S + MINUTE_S)


@pytest.mark.parametrize(
    ("what", "refusal"), [(WalletAsk.BALANCE, WalletUnknown), (WalletAsk.REGISTER, RequestReplayed)]
)
def test_requests_that_are_refused_count_too(desk: WalletDesk, what: WalletAsk, refusal: type[Refusal]) -> None:
    raw = request(next(SECRETS), what=what)
    if refusal is RequestReplayed:
        desk.answer(raw, NOW_S)
    for _ in range(ASKED_MAX - (refusal is RequestReplayed)):
        with pytest.raises(refusal):
            desk.answer(raw, NOW_S)
    with pytest.raises(AskedTooOften):
        desk.answer(raw, NOW_S)


def test_nobody_uses_up_anothers_requests(desk: WalletDesk) -> None:
    secret = next(SECRETS)
    forged = bytearray(request(secret))
    forged[-1] ^= 1
    for _ in range(2 * ASKED_MAX):
        with pytest.raises(WalletSignatureWrong):
            desk.answer(bytes(forged), NOW_S)
    desk.answer(request(secret), NOW_S)


def test_too_often_is_said_without_the_write_lock(desk: WalletDesk, store: Store) -> None:
    secret = next(SECRETS)
    for _ in range(ASKED_MAX):
        desk.answer(request(secret), NOW_S)
    before = store.fetch("SELECT * FROM wallet_nonces")
    with store.snapshot(), pytest.raises(AskedTooOften):  # a transaction in here would be StoreInvalid
        desk.answer(request(secret), NOW_S)
    assert store.fetch("SELECT * FROM wallet_nonces") == before


def test_a_clock_that_steps_back_locks_nobody_out() -> None:
    counted = Pace()
    for _ in range(ASKED_MAX):
        counted.take(b"a", NOW_S)
    counted.take(b"a", NOW_S - 3_600)


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "ACCOUNTS_MAX", 10)
    counted = Pace()
    for number in range(100):
        for _ in range(ASKED_MAX):
            counted.take(number.to_bytes(2, "big"), NOW_S)
    assert list(counted._asked_at_s) == [number.to_bytes(2, "big") for number in range(90, 100)]
    assert all(len(times) <= ASKED_MAX for times in counted._asked_at_s.values()) and ACCOUNTS_MAX == 20_000


def test_old_nonces_are_found_by_their_time(desk: WalletDesk, store: Store) -> None:
    """What one request costs does not grow with those of others: forgetting looks at what is old alone."""
    plan = store.fetch("EXPLAIN QUERY PLAN DELETE FROM wallet_nonces WHERE at_s < ?", (NOW_S,))
    assert "wallet_nonces_by_time" in str(plan) and "SCAN" not in str(plan)
    others = [(number.to_bytes(33, "big"), bytes(16), NOW_S) for number in range(5_000)]
    store.execute_many("INSERT INTO wallet_nonces(account_point, nonce, at_s) VALUES(?, ?, ?)", others)
    secret = next(SECRETS)
    desk.answer(request(secret), NOW_S)
    later_s = NOW_S + 2 * REQUEST_AGE_S_MAX + 1
    desk.answer(request(secret, later_s), later_s)
    assert store.fetch("SELECT count(*) FROM wallet_nonces") == [(1,)]

"""Reserve before signature, at most two, release, statements; and the audit that finds what was changed."""

import pytest

from offline_ledger import errors
from offline_ledger.city import accounts, allowances, decisions
from offline_ledger.city.accounts import (
    ISSUANCE,
    RISK,
    UNFUNDED,
    OwnerKind,
    campaign_account,
    owner_account,
    reserved_account,
    suspense_account,
    wallet_account,
)
from offline_ledger.city.audit import audit, is_receipt_logged
from offline_ledger.city.log import Log
from offline_ledger.protocol import city, cose, wallet
from offline_ledger.protocol.city import Outcome
from offline_ledger.protocol.device import DeviceRole
from offline_ledger.protocol.kinds import CITY_OBJECT_BYTES_MAX, Kind
from offline_ledger.protocol.wallet import STATEMENT_CHARGES_MAX, Audience, Medium
from offline_ledger.rules.civil import civil_day, day_start_s
from offline_ledger.rules.limits import Limits
from tests.city import town as real
from tests.city.town import AAD, ACK_TEST_ONLY, CA_TEST_ONLY, CITY, FARE_KGO, NOW_S, Town


def test_registering_grants_once(town: Town) -> None:
    key = town.new_key()
    first = allowances.register(town.store, key.point, 1, 0, 10_000, NOW_S)
    again = allowances.register(town.store, key.point, 2, 0, 10_000, NOW_S)
    assert first == again and first.concession == 1
    kept = town.store.one("SELECT registered_at_s FROM wallets WHERE wallet_id = ?", (first.wallet_id,))
    assert kept == (day_start_s(civil_day(NOW_S)),) and kept != (NOW_S,), "the day is enough"
    assert allowances.balances(town.store, first.wallet_id) == (10_000, 0)
    with pytest.raises(errors.WalletUnknown):
        allowances.wallet_of(town.store, town.new_key().point)


def test_reserve_is_what_is_there_and_the_lost_answer_is_given_again(town: Town) -> None:
    poor = town.wallet(balance_kgo=10_000)
    assert poor.says.reserve_kgo == 10_000
    assert allowances.balances(town.store, poor.wallet_id) == (0, 10_000)
    again = town.issue(poor.account, poor.key, NOW_S + 5)
    assert again.raw == poor.allowance.raw
    with pytest.raises(errors.BalanceTooLow):
        town.issue(poor.account, town.new_key(), NOW_S + 5)


def test_at_most_two_unexpired_and_sum_of_reserves_bounded(town: Town) -> None:
    rich = town.wallet(balance_kgo=1_000_000)
    town.issue(rich.account, town.new_key(), NOW_S + 1)
    with pytest.raises(errors.AllowancesAtMost):
        town.issue(rich.account, town.new_key(), NOW_S + 2)
    later_s = rich.says.expires_at_s + 2
    third = town.issue(rich.account, town.new_key(), later_s)
    assert wallet.ALLOWANCE.decode(third.payload, 1024).reserve_kgo == 50_000
    with pytest.raises(errors.BalanceTooLow):
        town.issue(rich.account, town.new_key(), later_s + 1)
    assert allowances.balances(town.store, rich.wallet_id) == (850_000, 150_000)


@pytest.mark.parametrize(("past_s", "released"), [(0, 0), (1, 1)])
def test_release_is_due_after_expiry_and_g(town: Town, past_s: int, released: int) -> None:
    rider = town.wallet()
    at_s = rider.says.expires_at_s + Limits().reserve_grace_s + past_s
    assert allowances.release_due(town.store, town.limits, at_s) == released
    assert allowances.release_due(town.store, town.limits, at_s) == 0
    assert allowances.balances(town.store, rider.wallet_id) == ((50_000, 0) if released else (0, 50_000))


def test_statement_names_each_charge_and_what_returned(town: Town) -> None:
    rider = town.wallet()
    bus = town.terminal("bus-1", DeviceRole.VALIDATOR)
    for _ in range(2):
        bus.boarding(rider.ride_code(NOW_S), NOW_S)
    town.send(bus)
    at_s = rider.says.expires_at_s + Limits().reserve_grace_s + 1
    for now_s, returned_kgo in ((NOW_S + 60, 0), (at_s, 50_000 - 2 * FARE_KGO)):
        allowances.release_due(town.store, town.limits, now_s)
        signed = allowances.statement(town.store, ACK_TEST_ONLY, rider.allowance.identity, now_s)
        assert cose.is_signature_of(signed, cose.verify_key(ACK_TEST_ONLY.point))
        said = wallet.STATEMENT.decode(signed.payload, CITY_OBJECT_BYTES_MAX)
        assert said.charges == ((1, FARE_KGO), (2, FARE_KGO))
        assert said.returned_kgo == returned_kgo
    with pytest.raises(errors.UnknownAllowance):
        allowances.statement(town.store, ACK_TEST_ONLY, bytes(32), NOW_S)


@pytest.mark.parametrize("past", [-1, 0, 1, 40_000])
def test_a_statement_lists_the_highest_n_and_sums_the_rest(town: Town, past: int) -> None:
    """As many as R allows at 1/100 KGO each; the wallet still reads all of it and can add it up."""
    rider, count = town.wallet(), STATEMENT_CHARGES_MAX + past
    with town.store.transaction():
        town.store.execute_many(
            "INSERT INTO spends VALUES('bus-1', ?, ?, ?, ?, 3, x'', x'', 4, ?, 1, ?, 1)",
            ((n, rider.allowance.identity, n, 3 * (n - 1), n % 3, NOW_S) for n in range(1, count + 1)),
        )
        town.store.execute_many(
            "INSERT INTO postings(posting_id, reason, device, sequence, posted_at_s) VALUES(?, 5, 'bus-1', ?, ?)",
            ((100 + n, n, NOW_S) for n in range(1, count + 1)),
        )
        town.store.execute_many(
            "INSERT INTO entries SELECT ?, reserved_id, ? FROM allowances",
            ((100 + n, -(n % 3)) for n in range(1, count + 1)),
        )
    signed = allowances.statement(town.store, ACK_TEST_ONLY, rider.allowance.identity, NOW_S)
    assert len(signed.raw) < CITY_OBJECT_BYTES_MAX
    said = wallet.STATEMENT.decode(signed.payload, CITY_OBJECT_BYTES_MAX)
    first = max(1, past + 1)
    assert said.charges == tuple((n, n % 3) for n in range(first, count + 1))
    assert said.earlier == ((past, sum(n % 3 for n in range(1, first))) if past > 0 else None)


@pytest.mark.parametrize("pay", [True, False])
@pytest.mark.parametrize("from_risk", [True, False])
def test_the_operator_decides_what_waits(town: Town, pay: bool, from_risk: bool) -> None:
    buyer = town.wallet()
    tills = [town.terminal(f"pos-{at}", DeviceRole.SHOP) for at in range(2)]
    buyer.next(2_000)
    for till in tills:
        till.sale(buyer.sign(buyer.presentment(Audience.SHOP, NOW_S)), NOW_S, 12_000, 2_000)
        town.send(till)
    decided = decisions.decide_suspense(
        town.store, "pos-1", 1, pay=pay, from_risk=from_risk, note="asked the shop", now_s=NOW_S
    )
    assert decided == 2_000
    assert town.balance(suspense_account("noodles")) == town.balance(UNFUNDED) == 0
    assert town.balance(owner_account(OwnerKind.MERCHANT, "noodles")) == (4_000 if pay else 2_000)
    assert town.balance(RISK) == (-2_000 if pay and from_risk else 0)
    assert town.balance(wallet_account(buyer.wallet_id)) == (-2_000 if pay and not from_risk else 0)
    with pytest.raises(errors.RefundInvalid):
        decisions.decide_suspense(town.store, "pos-1", 1, pay=pay, from_risk=from_risk, note="", now_s=NOW_S)
    town.assert_sound()


def test_the_operator_names_the_second_shop(town: Town) -> None:
    buyer = town.wallet()
    town.store.execute("INSERT INTO owners VALUES('rice', 1, 'rice', 0, 0)")
    tills = [town.terminal(f"pos-{at}", DeviceRole.SHOP, owner=owner) for at, owner in enumerate(("noodles", "rice"))]
    buyer.next(2_000)
    for till in tills:
        till.sale(buyer.sign(buyer.presentment(Audience.SHOP, NOW_S)), NOW_S, 12_000, 2_000, reward_kgo=200)
        town.send(till)
    assert town.balance(wallet_account(buyer.wallet_id)) == 200
    assert decisions.reconsider(town.store, "pos-0", 1, "customer was at the other", NOW_S) == 2_000
    for record, pay in (("pos-0", False), ("pos-1", True)):
        decisions.decide_suspense(town.store, record, 1, pay=pay, from_risk=False, note="", now_s=NOW_S)
    assert town.balance(owner_account(OwnerKind.MERCHANT, "noodles")) == 0
    assert town.balance(owner_account(OwnerKind.MERCHANT, "rice")) == 2_000
    assert sum(allowances.balances(town.store, buyer.wallet_id)) == 48_000
    assert town.balance(campaign_account("all")) == 100_000, "the first shop's reward went back with the sale"
    assert town.balance(UNFUNDED) == town.balance(RISK) == 0
    assert audit(town.store).findings == ()
    town.assert_sound()


def _busy(town: Town):
    bus = town.terminal("bus-1", DeviceRole.VALIDATOR)
    rider = town.wallet()
    for _ in range(3):
        bus.boarding(rider.ride_code(NOW_S), NOW_S)
    town.send(bus)
    return bus


TAMPERED = [
    "UPDATE accounts SET balance = balance + 1 WHERE kind = 4",
    "UPDATE vouchers SET kgo = 1 WHERE sequence = 2",
    "UPDATE vouchers SET outcome = 3 WHERE sequence = 2",
    "DELETE FROM vouchers WHERE sequence = 2",
    "UPDATE leaves SET data = x'00' WHERE leaf = 1",
    "DELETE FROM leaves WHERE leaf = 2",
    "UPDATE log SET root = x'" + "00" * 32 + "'",
    "UPDATE devices SET through_sequence = 2",
    "INSERT INTO postings VALUES(99, 5, 'bus-1', 2, 0, '')",
]


@pytest.mark.parametrize("tamper", TAMPERED)
def test_the_audit_finds_what_was_changed_in_the_database(town: Town, tamper: str) -> None:
    _busy(town)
    assert audit(town.store).findings == ()
    town.store.execute("DROP TRIGGER one_charge")
    town.store.execute(tamper)
    report = audit(town.store)
    assert report.findings and not report.is_ok


def test_the_audit_finds_an_unbalanced_posting(town: Town) -> None:
    _busy(town)
    row = town.store.one("SELECT posting_id, account_id FROM entries LIMIT 1")
    assert row is not None
    town.store.execute("UPDATE entries SET amount = amount + 1 WHERE posting_id = ? AND account_id = ?", row)
    assert not audit(town.store).is_ok


def test_a_bad_voucher_signature_under_a_good_head_is_flagged_and_posted(town: Town) -> None:
    bus = town.terminal("bus-1", DeviceRole.VALIDATOR)
    rider = town.wallet()
    bus.boarding(rider.ride_code(NOW_S), NOW_S)
    raw, objects = bus.vouchers[0]
    bus.vouchers[0] = (raw[:-64] + bytes(63) + b"\x01", objects)
    assert town.send(bus).outcomes == [(Outcome.POSTED, 0)]
    report = audit(town.store)
    assert report.is_ok and [finding.is_device_fault for finding in report.findings] == [True]


def test_a_receipts_holder_checks_it_alone(town: Town) -> None:
    bus = _busy(town)
    answer = city.ANSWER.decode(town.ingest.ingest(bus.batch(), NOW_S), CITY_OBJECT_BYTES_MAX)
    ack = city.ACK.decode(
        cose.parse_sign1(answer.ack, AAD[Kind.ACK], CITY_OBJECT_BYTES_MAX).payload, CITY_OBJECT_BYTES_MAX
    )
    row = town.store.one("SELECT certificate FROM devices")
    assert row is not None
    outcome, refusal, leaf = ack.outcomes[1]
    place = (leaf - 1, Log(town.store).inclusion_proof(leaf - 1, ack.log_size))
    points = (CA_TEST_ONLY.point, ACK_TEST_ONLY.point)
    voucher = bus.vouchers[1][0]

    def holds(voucher: bytes = voucher, outcome: tuple = (outcome, refusal), points: tuple = points) -> bool:
        return is_receipt_logged(voucher, row[0], outcome, place, answer.ack, points, CITY)

    assert holds()
    assert not holds(voucher=bus.vouchers[0][0])
    assert not holds(outcome=(3, 1))
    assert not holds(points=(ACK_TEST_ONLY.point, ACK_TEST_ONLY.point))
    assert not holds(points=(CA_TEST_ONLY.point, CA_TEST_ONLY.point))
    assert not holds(voucher=b"\xd2")


def test_grants_come_from_issuance(town: Town) -> None:
    rider = town.wallet(balance_kgo=0 + 100)
    accounts.grant(town.store, rider.wallet_id, 40_000, NOW_S, "mission")
    assert town.balance(wallet_account(rider.wallet_id)) == 40_000
    assert town.balance(ISSUANCE) == -100_000 - 100 - 40_000
    assert town.balance(reserved_account(rider.allowance.identity)) == 100
    town.assert_sound()


@pytest.mark.parametrize(("medium", "is_lasting"), [(Medium.CARD, True), (Medium.PHONE, False)])
def test_a_card_keeps_its_pass_id_and_a_phone_does_not(town: Town, medium: Medium, is_lasting: bool) -> None:
    """Its key is the same as well, so a fresh id would hide nothing; and a driver is known by it."""
    account = town.new_key()
    allowances.register(town.store, account.point, 0, medium, 120_000, NOW_S)
    found: list[bytes] = []
    for at, pass_id in enumerate((b"first-id", b"secondid")):
        key = account if medium is Medium.CARD else town.new_key()
        signed = allowances.issue(
            town.store, real.ISSUER_TEST_ONLY, account.point, key.point, pass_id, Limits(), NOW_S + at
        )
        found.append(wallet.ALLOWANCE.decode(signed.payload, 1_024).pass_id)
    assert found == [b"first-id", b"first-id" if is_lasting else b"secondid"]
    town.assert_sound()

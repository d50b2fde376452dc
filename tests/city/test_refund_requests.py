"""A till asks for the KGO of another till's sale: judged, decided by a person, posted once. DESIGN §5, §8."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from offline_ledger import errors
from offline_ledger.city import allowances, decisions, equivocation, open_items, refund_requests, schema
from offline_ledger.city.accounts import OwnerKind, owner_account, wallet_account
from offline_ledger.city.audit import audit
from offline_ledger.city.audit_findings import Findings
from offline_ledger.city.audit_refund_requests import check_refund_requests
from offline_ledger.city.refund_requests import Asked
from offline_ledger.city.returning import RequestState
from offline_ledger.city.spends import PaidBy
from offline_ledger.city.store import Row, SqlValue, Store
from offline_ledger.errors import Refusal
from offline_ledger.protocol import wallet
from offline_ledger.protocol.city import Outcome
from offline_ledger.protocol.cose import Signed
from offline_ledger.protocol.device import BATCH_EVENTS_MAX, DeviceRole, EventKind, PlaceKey, VoucherKind
from offline_ledger.protocol.kinds import CITY_OBJECT_BYTES_MAX, Kind
from offline_ledger.protocol.refund_request import REFUND_REQUEST, RefundRequest, number_of
from offline_ledger.protocol.wallet import Audience
from tests.city.town import ACK_TEST_ONLY, NOW_S, Town, TownTerminal, TownWallet, pay_two_way, signed_by

KGO, SATANG, REWARD_KGO = 2_000, 6_000, 100
LATER_S = NOW_S + 300
K = VoucherKind
BALANCES = "SELECT kind, name, currency, balance FROM accounts WHERE balance <> 0 ORDER BY 1, 2, 3"


@dataclass
class Street:
    """Two tills of one merchant, one of another, and a customer who bought for 20 KGO and 60 baht at the first."""

    town: Town
    sold_at: TownTerminal
    asked_at: TownTerminal
    strange: TownTerminal
    buyer: TownWallet
    sale: Signed

    def request(self, **changes: object) -> RefundRequest:
        plain = RefundRequest("pos-2", "pos-1", 1, self.sale.identity, KGO, NOW_S + 100, 2, 3, "02", "wrong size")
        return plain._replace(**changes)  # pyright: ignore[reportArgumentType]

    def ask(self, by: TownTerminal | None = None, /, **changes: object) -> str:
        """Sent; its number."""
        till = by or self.asked_at
        signed = signed_by(till.key, Kind.REFUND_REQUEST, REFUND_REQUEST.encode(self.request(**changes)))
        till.event(EventKind.REFUND_REQUEST, signed.raw)
        self.send(till)
        return number_of(signed.identity)

    def send(self, *tills: TownTerminal) -> None:
        for till in tills or (self.sold_at,):
            self.town.send(till, LATER_S)

    def listed(self) -> list[Asked]:
        return refund_requests.listed(self.town.store, self.town.limits, LATER_S, closed_too=True)

    def states(self) -> list[tuple[RequestState, int]]:
        return [(one.state, one.refusal) for one in self.listed()]

    def approve(self, number: str, note: str = "") -> None:
        refund_requests.approve(self.town.store, self.town.limits, number, note, LATER_S)

    def refund(self, kgo: int, satang: int) -> Outcome:
        """By the till that sold."""
        place = {int(PlaceKey.SALE): "S0"}
        self.sold_at.voucher(K.REFUND, NOW_S + 200, kgo=kgo, satang=satang, refers_to=1, product="all", place=place)
        return Outcome(self.town.send(self.sold_at, LATER_S).ack.outcomes[-1][0])

    @property
    def wallet_kgo(self) -> int:
        return self.town.balance(wallet_account(self.buyer.wallet_id))

    @property
    def merchant_kgo(self) -> int:
        return self.town.balance(owner_account(OwnerKind.MERCHANT, "noodles"))

    def assert_sound(self) -> None:
        self.town.assert_sound()
        assert audit(self.town.store).findings == ()


def street_in(town: Town) -> Street:
    with town.store.transaction():
        town.store.execute("INSERT INTO owners VALUES('rice', 1, 'rice', 100000, 0)")
    first, second = (town.terminal(f"pos-{at}", DeviceRole.SHOP) for at in (1, 2))
    strange, buyer = town.terminal("rice-1", DeviceRole.SHOP, owner="rice"), town.wallet()
    sale = pay_two_way(first, buyer, KGO, NOW_S)
    return Street(town, first, second, strange, buyer, sale)


@pytest.fixture
def street(town: Town) -> Street:
    return street_in(town)


def test_what_is_asked_goes_back_to_the_wallet_once_a_person_approves(street: Street) -> None:
    street.send()
    before, paid = street.wallet_kgo, street.merchant_kgo
    number = street.ask()
    assert street.wallet_kgo == before and street.states() == [(RequestState.WAITING, 0)]
    (item,) = open_items.items(street.town.store, closed_too=False)
    assert (item.what, item.device, item.sequence, item.kgo, item.note) == ("refund_request", "pos-1", 1, KGO, number)
    street.assert_sound()
    street.approve(number.lower(), "shown at the desk")
    assert (street.wallet_kgo, street.merchant_kgo) == (before + KGO, paid - KGO)
    told = allowances.statement(street.town.store, ACK_TEST_ONLY, street.buyer.allowance.identity, LATER_S)
    assert wallet.STATEMENT.decode(told.payload, CITY_OBJECT_BYTES_MAX).charges == ((1, 0),), "its statement says so"
    assert open_items.items(street.town.store, closed_too=False) == []
    (shown,) = open_items.items(street.town.store, closed_too=True)
    assert shown.closed == "approved: shown at the desk"
    street.assert_sound()


def test_it_posts_what_a_refund_of_the_till_itself_would(street: Street, tmp_path: Path) -> None:
    street.send()
    street.approve(street.ask(kgo=700))
    (tmp_path / "other").mkdir()
    other = street_in(Town(tmp_path / "other"))
    other.send()
    assert other.refund(700, 0) is Outcome.POSTED
    assert street.town.store.fetch(BALANCES) == other.town.store.fetch(BALANCES)


def test_a_reward_goes_back_in_proportion(town: Town) -> None:
    street = street_in(town)
    buyer, till = town.wallet(), street.sold_at
    sale = pay_two_way(till, buyer, KGO, NOW_S, nonce=2, reward_kgo=REWARD_KGO)
    street.send()
    before = town.balance(wallet_account(buyer.wallet_id))
    street.approve(street.ask(original_sequence=2, original=sale.identity))
    stays_kgo = REWARD_KGO * SATANG // (KGO + SATANG)
    assert town.balance(wallet_account(buyer.wallet_id)) == before + KGO - (REWARD_KGO - stays_kgo)
    street.assert_sound()


def test_it_waits_for_the_sale_and_can_come_before_it(street: Street) -> None:
    number = street.ask()
    waits = (RequestState.WAITING, errors.RefundOriginalNotHere.number)
    assert street.states() == [waits]
    with pytest.raises(errors.RefundOriginalNotHere):
        street.approve(number)
    street.send()
    street.approve(number)
    assert street.states() == [(RequestState.APPROVED, 0)]
    street.assert_sound()


AT_ONCE: dict[str, tuple[dict[str, object], type[Refusal]]] = {
    "a sale that says something else": ({"original": bytes(32)}, errors.RefundOriginalUnknown),
    "a terminal that there is not": ({"original_device": "pos-9"}, errors.RefundOriginalUnknown),
    "a return": ({"original_sequence": 2}, errors.RefundOfNoSale),
    "its own sale": ({"original_device": "pos-2"}, errors.RefundInvalid),
    "more than the sale took": ({"kgo": KGO + 1}, errors.RefundAboveRest),
}


@pytest.mark.parametrize("name", AT_ONCE)
def test_what_can_never_be_right_is_declined_when_it_comes(street: Street, name: str) -> None:
    changes, refusal = AT_ONCE[name]
    assert street.refund(500, 0) is Outcome.POSTED
    if name == "a return":
        changes = changes | {"original": street.sold_at.identities[1], "kgo": 500}
    before = street.wallet_kgo
    number = street.ask(**changes)
    assert street.states() == [(RequestState.DECLINED, refusal.number)]
    with pytest.raises(errors.RefundRequestDecided):
        street.approve(number)
    assert street.wallet_kgo == before and open_items.items(street.town.store, closed_too=False) == []
    street.assert_sound()


def test_another_merchants_till_gets_nothing(street: Street) -> None:
    street.send()
    street.ask(street.strange, device="rice-1")
    assert street.states() == [(RequestState.DECLINED, errors.RefundOfOtherOwner.number)]
    street.assert_sound()


def test_a_rejected_sale_returns_nothing(street: Street) -> None:
    forged = street.sold_at.sale(None, NOW_S, 9_000, 3_000)  # KGO that no wallet signed
    street.send()
    street.ask(original_sequence=2, original=forged.identity)
    assert street.states() == [(RequestState.DECLINED, errors.RefundOfNoSale.number)]


@pytest.mark.parametrize(("kgo", "refusal"), [(KGO - 700, None), (KGO - 699, errors.RefundAboveRest)])
def test_no_more_than_is_left(street: Street, kgo: int, refusal: type[Refusal] | None) -> None:
    assert street.refund(700, 0) is Outcome.POSTED
    number = street.ask(kgo=kgo)
    if refusal is None:
        street.approve(number)
        assert street.merchant_kgo == 0
    else:
        assert street.states() == [(RequestState.WAITING, refusal.number)]
        with pytest.raises(refusal, match=r"13\.01 of 13\.00"):
            street.approve(number)
        assert street.merchant_kgo == KGO - 700
    street.assert_sound()


def test_the_till_that_sold_gave_it_back_meanwhile(street: Street) -> None:
    street.send()
    number = street.ask()
    assert street.refund(KGO, SATANG) is Outcome.POSTED
    with pytest.raises(errors.RefundAboveRest):
        street.approve(number)
    refund_requests.decline(street.town.store, number, "back already", LATER_S)
    assert street.merchant_kgo == 0 and street.states() == [(RequestState.DECLINED, 0)]
    street.assert_sound()


def test_the_till_that_sold_gives_it_back_afterwards(street: Street) -> None:
    """It cannot know of the request: what is left goes back, the wallet has it once, and no money is in doubt."""
    street.send()
    street.approve(street.ask(kgo=1_500))
    assert street.refund(1_000, 100) is Outcome.POSTED and street.merchant_kgo == 0
    assert street.refund(KGO - 1_000, SATANG - 100) is Outcome.POSTED and street.merchant_kgo == 0
    assert street.refund(1, 0) is Outcome.REJECTED, "more than it took"
    row = street.town.store.one("SELECT refusal FROM vouchers WHERE device = 'pos-1' AND sequence = 4")
    assert row == (errors.RefundInvalid.number,)
    street.assert_sound()


def test_after_a_decline_the_rest_can_be_asked_for_and_goes_back_once(street: Street) -> None:
    """What 4133 tells to do."""
    assert street.refund(700, 0) is Outcome.POSTED
    first = street.ask()
    refund_requests.decline(street.town.store, first, "13.00 is left", LATER_S)
    second = street.ask(kgo=KGO - 700, at_s=NOW_S + 160)
    assert second != first
    assert sorted(street.states()) == [(RequestState.WAITING, 0), (RequestState.DECLINED, 0)]
    (item,) = open_items.items(street.town.store, closed_too=False)
    assert (item.note, item.kgo) == (second, KGO - 700)
    before = street.wallet_kgo
    street.approve(second)
    for number in (first, second):
        with pytest.raises(errors.RefundRequestDecided):
            street.approve(number)
    assert (street.wallet_kgo, street.merchant_kgo) == (before + KGO - 700, 0)
    street.assert_sound()


@pytest.mark.parametrize(("kgo", "is_paid"), [(700, True), (701, False)])
def test_two_that_one_till_asks_for_one_sale_never_give_back_more_than_it_took(
    street: Street, kgo: int, *, is_paid: bool
) -> None:
    street.send()
    first, second = street.ask(kgo=KGO - 700), street.ask(kgo=kgo, at_s=NOW_S + 160)
    assert street.states() == [(RequestState.WAITING, 0)] * 2
    before = street.wallet_kgo
    street.approve(first)
    if is_paid:
        street.approve(second)
    else:
        with pytest.raises(errors.RefundAboveRest, match=r"7\.01 of 7\.00"):
            street.approve(second)
        assert (RequestState.WAITING, errors.RefundAboveRest.number) in street.states()
    given = KGO if is_paid else KGO - 700
    assert (street.wallet_kgo, street.merchant_kgo) == (before + given, KGO - given)
    street.assert_sound()


def test_two_tills_ask_for_the_same_and_it_goes_back_once(street: Street) -> None:
    street.send()
    third = street.town.terminal("pos-3", DeviceRole.SHOP)
    first, second = street.ask(), street.ask(third, device="pos-3")
    street.approve(first)
    with pytest.raises(errors.RefundAboveRest):
        street.approve(second)
    with pytest.raises(errors.RefundRequestDecided):
        street.approve(first)
    assert street.merchant_kgo == 0
    street.assert_sound()


@pytest.mark.parametrize("is_asked", [True, False])
def test_of_a_duplicate_the_other_is_settled_as_after_a_refund(street: Street, *, is_asked: bool) -> None:
    """One code at two tills: all of the first goes back, by request or by the till, and the wallet pays the second."""
    town, buyer = street.town, street.town.wallet()
    third = town.terminal("pos-3", DeviceRole.SHOP)
    buyer.next(KGO)
    shown = buyer.sign(buyer.presentment(Audience.SHOP, NOW_S))
    first = street.sold_at.sale(shown, NOW_S, 4 * KGO, KGO)
    third.sale(shown, NOW_S, 4 * KGO, KGO)
    street.send(street.sold_at, third)
    assert [item.refusal for item in open_items.items(town.store, closed_too=False)] == [errors.DuplicateIntent.number]
    if is_asked:
        street.approve(street.ask(original_sequence=2, original=first.identity))
        street.assert_sound()
    else:
        place = {int(PlaceKey.SALE): "S1"}
        street.sold_at.voucher(K.REFUND, NOW_S + 9, kgo=KGO, refers_to=2, product="all", place=place)
        street.send()
    noted = "SELECT paid_by FROM spends WHERE device = 'pos-3'"
    assert town.store.fetch(noted) == [(PaidBy.WALLET,)]


def test_sent_again_or_signed_again_it_is_one(street: Street) -> None:
    street.send()
    street.ask()
    street.send(street.asked_at)
    street.ask()
    assert len(street.listed()) == 1
    street.approve(street.listed()[0].number)
    street.ask()
    assert street.states() == [(RequestState.APPROVED, 0)]
    street.assert_sound()


def test_what_another_key_signed_or_nobody_can_read_is_no_request(street: Street) -> None:
    """A till may not ask in another's name."""
    street.send()
    as_other = signed_by(street.strange.key, Kind.REFUND_REQUEST, REFUND_REQUEST.encode(street.request()))
    for till in (street.strange, street.asked_at):
        till.event(EventKind.REFUND_REQUEST, as_other.raw)
    street.asked_at.event(EventKind.REFUND_REQUEST, b"\x01")
    street.asked_at.event(EventKind.REFUND_REQUEST, 7)
    street.asked_at.event(EventKind.REFUND_REQUEST)
    street.send(street.strange, street.asked_at)
    assert street.listed() == []
    street.assert_sound()


def test_one_till_cannot_bury_the_others(street: Street, slice_of: Callable[[int, int], int]) -> None:
    street.send()
    count = slice_of(10_000, refund_requests.WAITING_MAX + 50)
    for at in range(count):
        signed = signed_by(
            street.asked_at.key, Kind.REFUND_REQUEST, REFUND_REQUEST.encode(street.request(at_s=NOW_S + at))
        )
        street.asked_at.event(EventKind.REFUND_REQUEST, signed.raw)
    for first in range(1, count + 1, BATCH_EVENTS_MAX):
        street.town.send(
            street.asked_at, LATER_S, first_event=first, last_event=min(count, first + BATCH_EVENTS_MAX - 1)
        )
    states = street.states()
    assert states.count((RequestState.WAITING, 0)) == refund_requests.WAITING_MAX
    beyond = (RequestState.DECLINED, errors.RefundRequestsTooMany.number)
    assert states.count(beyond) == count - refund_requests.WAITING_MAX
    third = street.town.terminal("pos-3", DeviceRole.SHOP)
    street.approve(street.ask(third, device="pos-3"))
    assert street.merchant_kgo == 0
    street.assert_sound()


def test_a_blocked_tills_requests_wait_until_somebody_looked_at_it(street: Street) -> None:
    street.send()
    number = street.ask()
    with street.town.store.transaction():
        equivocation.block_device(street.town.store, "pos-2", "stolen")
    with pytest.raises(errors.DeviceBlocked):
        street.approve(number)
    decisions.unblock(street.town.store, "pos-2")
    street.approve(number)
    street.assert_sound()


@pytest.mark.parametrize("by_own", [0, KGO])
def test_a_charge_taken_back_and_made_again_still_knows_what_went_back(street: Street, by_own: int) -> None:
    """Its green was not recorded: after some KGO went back the sale fell away, and was shown after all."""
    street.send()
    street.approve(street.ask(kgo=500))
    if by_own:
        assert street.refund(by_own, 0) is Outcome.POSTED
    street.sold_at.event(EventKind.LAPSED, 1, NOW_S + 700, False)
    street.send()
    assert street.merchant_kgo == 0
    street.sold_at.event(EventKind.UNCHARGED_GREEN, 1, NOW_S + 800, 1)
    street.send()
    assert street.merchant_kgo == (0 if by_own else KGO - 500)
    street.assert_sound()


@pytest.mark.parametrize("typed", ["", "7F3A92C", "7F3A92C1", "seven-hundred", "0" * 65])
def test_a_number_that_is_none(street: Street, typed: str) -> None:
    with pytest.raises(errors.RefundRequestUnknown):
        street.approve(typed)


def test_more_of_a_number_names_one_of_several_that_begin_alike(street: Street) -> None:
    street.send()
    number = street.ask()
    row = street.town.store.one("SELECT identity FROM refund_requests")
    assert row is not None
    with street.town.store.transaction():
        street.town.store.execute(
            "INSERT INTO refund_requests SELECT ?, device, number, raw, original_device, original_sequence, kgo, at_s,"
            " received_at_s, state, refusal, decided_at_s, note FROM refund_requests",
            (row[0][:4] + bytes(28),),
        )
    with pytest.raises(errors.RefundRequestUnknown, match="several"):
        street.approve(number)
    street.approve(f"{number[:4]} {row[0].hex()[4:40]}")
    assert street.merchant_kgo == 0


TAMPERED = {
    "approved by hand": ("UPDATE refund_requests SET state = 1 WHERE state = 0", "refund_request_wrong"),
    "no longer approved": ("UPDATE refund_requests SET state = 2 WHERE state = 1", "refund_request_wrong"),
    "another reason": ("UPDATE refund_requests SET note = 'gift' WHERE state = 1", "refund_request_wrong"),
    "more than was asked": ("UPDATE refund_requests SET kgo = kgo + 1", "refund_request_unsigned"),
    "another sale": ("UPDATE refund_requests SET original_sequence = 3", "refund_request_unsigned"),
    "given at another sale": (
        "UPDATE postings SET sequence = 2 WHERE note LIKE 'request %' AND reason = 6",
        "refund_request_wrong",
    ),
    "given at another sale, unasked": (
        "UPDATE postings SET sequence = 2 WHERE note LIKE 'request %' AND reason = 6",
        "refund_unasked",
    ),
    "a request taken out": ("DELETE FROM refund_requests WHERE state = 1", "refund_unasked"),
    "its bytes": ("UPDATE refund_requests SET raw = x'00' WHERE state = 0", "refund_request_unsigned"),
    "its name": ("UPDATE refund_requests SET identity = 1000000000000 WHERE state = 0", "refund_request_unsigned"),
    "its event taken out": ("DELETE FROM events WHERE device = 'pos-2' AND number = 1", "refund_request_unsigned"),
    "another till's": ("UPDATE devices SET owner = 'rice' WHERE device = 'pos-2'", "refund_request_unsigned"),
}


@pytest.mark.parametrize("name", TAMPERED)
def test_the_audit_finds_what_was_changed(street: Street, name: str) -> None:
    statement, what = TAMPERED[name]
    street.send()
    street.approve(street.ask(kgo=500), "seen")
    street.ask(kgo=300)
    street.assert_sound()
    street.town.store.execute(statement)
    assert what in {finding.what for finding in audit(street.town.store).findings}


def test_a_store_of_the_version_before_goes_on_with_its_data(street: Street) -> None:
    town = street.town
    street.send()
    before = town.store.fetch(BALANCES)
    town.store.execute("DROP TABLE refund_requests")
    town.store.execute("PRAGMA user_version=11")
    town.reopen()
    assert town.store.one("PRAGMA user_version") == (schema.SCHEMA_VERSION,) and town.store.fetch(BALANCES) == before
    street.approve(street.ask())
    assert street.merchant_kgo == 0
    street.assert_sound()


def test_the_audit_of_many_requests_looks_at_each_posting_once(street: Street, monkeypatch: pytest.MonkeyPatch) -> None:
    """A till can write requests by the thousand; each of them is not to cost a look at all the postings there are."""
    street.send()
    street.approve(street.ask(kgo=500))
    plans: list[str] = []
    fetch = Store.fetch

    def explained(self: Store, sql: str, bindings: tuple[SqlValue, ...] = ()) -> list[Row]:
        plans.extend(str(row[3]) for row in fetch(self, f"EXPLAIN QUERY PLAN {sql}", bindings))
        return fetch(self, sql, bindings)

    monkeypatch.setattr(Store, "fetch", explained)
    findings = Findings()
    with street.town.store.snapshot():
        check_refund_requests(street.town.store, findings)
    assert findings.count == 0 and plans and not [plan for plan in plans if plan.startswith("SCAN p")], plans

"""A till's own vouchers: one a sale, no more back than was paid, requests that any wallet may answer. DESIGN §4, §5."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from offline_ledger.errors import (
    Denied,
    JournalDamaged,
    NothingLeftToReturn,
    NotToBeReturned,
    Refusal,
    RequestMismatch,
    ReturnTooLarge,
    StorageFailed,
    TerminalRevoked,
)
from offline_ledger.protocol import cbor, qr
from offline_ledger.protocol.device import ClockTrust, PlaceKey, VoucherKind
from offline_ledger.protocol.qr import QrType
from offline_ledger.protocol.wallet import Audience
from offline_ledger.rules.campaign import Campaign, Campaigns, Discount
from offline_ledger.rules.clock import TimeNow
from offline_ledger.rules.limits import Limits
from offline_ledger.terminal.acceptor import Acceptor
from offline_ledger.terminal.journal import Journal
from offline_ledger.terminal.outcome import Charge, Light, Outcome
from offline_ledger.terminal.payment_requests import Asked
from offline_ledger.terminal.till_vouchers import LOOK_BACK_MAX, RETURNED_META, Returned, TillVouchers
from pos_app.sale import OpenSale, Till, charge_without_wallet, place_of
from simulators.storage.disk import DiskFaults, simulated_disk
from tests.terminal.desk import DeskConditions, acceptor_on, issue, open_journal
from tests.terminal.desk_card import DeskCard

CAMPAIGNS = Campaigns(
    (Campaign("noodles", "ก๋วยเตี๋ยว", "Noodles", None, None, None, Discount(100, 500, 50_000, 1), None),)
)
LIFE_S = Limits().request_life_s


def charge(sale: str, bill_satang: int = 12_000, kgo: int = 0) -> Charge:
    """As the till makes it before a wallet is known."""
    return charge_without_wallet(OpenSale(sale, bill_satang, kgo, 0, "01"), CAMPAIGNS, (1, 1), "m1", 1_795_000_000)


def place(sale: str) -> dict[int, object]:
    return place_of(OpenSale(sale, 12_000, 0, 0, "01"))


class Shop:
    """One till on a journal."""

    def __init__(self, journal: Journal, conditions: DeskConditions) -> None:
        self.journal, self.conditions = journal, conditions
        self.acceptor: Acceptor = acceptor_on(journal, conditions)
        self.sale: OpenSale | None = None

    @property
    def till(self) -> TillVouchers:
        return self.acceptor.till

    def counter(self) -> Till:
        return Till(self.sale, CAMPAIGNS, (1, 1), "m1")

    def pay(self, secret: int, sale: str, kgo: int = 2_000, *, is_shown: bool = True) -> Outcome:
        """A phone's code."""
        self.sale = OpenSale(sale, 12_000, kgo, 0, "01")
        held = issue(secret)
        held.next(kgo)
        outcome = self.acceptor.accept(held.code(self.conditions.now.at_s, Audience.SHOP), self.counter())
        if is_shown:
            self.acceptor.shown(outcome)
        return outcome

    def ask(self, sale: str, kgo: int = 2_000) -> Asked:
        self.sale = OpenSale(sale, 12_000, kgo, 0, "01")
        return self.till.ask(charge(sale, kgo=kgo))

    def answer(self, asked: Asked, secret: int = 7) -> Outcome:
        """A wallet's answer, as its screen shows it."""
        card = DeskCard(issue(secret))
        text = qr.encode(QrType.PAYMENT, card.held.allowance.raw, card.pay(asked.signed.raw))
        return self.acceptor.accept(text, self.counter())

    def pass_s(self, seconds: int) -> None:
        self.conditions.now = TimeNow(self.conditions.now.at_s + seconds, ClockTrust.SYNCED, 0)

    @property
    def kinds(self) -> list[VoucherKind]:
        return [VoucherKind(row.kind) for row in self.journal.pending(1_000)]


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(open_journal(tmp_path), DeskConditions())


def restarted(shop: Shop, folder: Path) -> Shop:
    """What is on the disk now lives on in another folder."""
    after = folder.with_name(folder.name + "-again")
    shutil.copytree(folder, after)
    return Shop(open_journal(after), shop.conditions)


S = VoucherKind.SALE


# --- for money alone


def test_a_sale_has_one_voucher_however_often_it_is_asked_for(shop: Shop, tmp_path: Path) -> None:
    assert [shop.till.sell(charge(sale)) for sale in ("s1", "s1", "s2", "s1", "s2")] == [1, 1, 2, 1, 2]
    assert restarted(shop, tmp_path).till.sell(charge("s1")) == 1
    made = shop.till.made(1)
    assert made is not None and (made.kgo, made.satang, made.reward_kgo, made.object_hash) == (0, 12_000, None, None)
    assert made.place == {PlaceKey.SALE: "s1", PlaceKey.BILL_SATANG: 12_000, PlaceKey.CASHIER: "01",
                          PlaceKey.VERIFIED_SATANG: 0}  # fmt: skip
    assert shop.till.made(3) is None and shop.till.voucher_of("s3") is None


def test_nobody_waits_for_its_light(shop: Shop, tmp_path: Path) -> None:
    shop.till.sell(charge("s1"))
    assert shop.acceptor.unratified.sequences() == [] == restarted(shop, tmp_path).acceptor.unratified.sequences()


def test_money_alone_counts_against_no_limit_of_kgo(shop: Shop) -> None:
    before = shop.journal.tail.accepted_value_kgo_unacked
    for number in range(5):
        shop.till.sell(charge(f"s{number}", 9_999_999_999))
    shop.till.give_back(1, 0, 5, VoucherKind.REFUND, place("s0"))
    assert shop.journal.tail.accepted_value_kgo_unacked == before
    assert shop.pay(1, "kgo").light is Light.ACCEPTED
    assert shop.journal.tail.accepted_value_kgo_unacked == before + 2_000
    shop.till.give_back(7, 2_000, 10_000, VoucherKind.VOID, place("kgo"))
    assert shop.journal.tail.accepted_value_kgo_unacked == before + 2_000, "what was given back stays counted"


def test_a_sale_is_looked_for_so_far_back_and_by_its_number_however_far(shop: Shop) -> None:
    first = shop.till.sell(charge("first"))
    for number in range(LOOK_BACK_MAX - 1):
        shop.till.sell(charge(f"s{number}"))
    assert shop.till.voucher_of("first") == first
    last = shop.till.sell(charge("one more"))
    assert shop.till.voucher_of("first") is None
    assert shop.till.sell(charge("first"), known=first) == first and shop.journal.tail.sequence == last
    assert shop.till.sell(charge("other"), known=first) == last + 1, "the number of another sale is none"


def test_a_sale_that_comes_to_something_else_now_has_its_first_voucher_voided(shop: Shop) -> None:
    assert shop.till.sell(charge("s1")) == 1
    assert shop.till.sell(charge("s1", 13_000)) == 3
    assert shop.kinds == [S, VoucherKind.VOID, S]
    assert shop.till.is_taken_back(1) and not shop.till.is_taken_back(3)
    assert shop.till.voucher_of("s1") == 3 == shop.till.sell(charge("s1", 13_000))


def test_a_sale_that_kgo_paid_is_not_closed_as_money_alone_beside_it(shop: Shop) -> None:
    assert shop.pay(1, "s1").sequence == 1
    assert shop.till.sell(charge("s1")) == 3
    assert shop.till.returned(1) == Returned(2_000, 10_000)


@pytest.mark.parametrize("is_shown", [True, False])
def test_what_waited_for_its_green_and_was_voided_is_no_voucher_of_the_sale(shop: Shop, is_shown: bool) -> None:
    """And an earlier one that stands still is."""
    assert shop.pay(1, "s1", is_shown=is_shown).sequence == 1
    outcome = shop.pay(2, "s1", is_shown=False)
    shop.acceptor.not_shown_yet(outcome)
    assert shop.till.voucher_of("s1") == 2
    assert shop.acceptor.void(2)
    assert shop.till.voucher_of("s1") == 1 and shop.till.is_taken_back(2)


def test_voiding_what_waits_for_its_green_charges_nobody_and_writes_no_voucher(shop: Shop) -> None:
    shop.acceptor.not_shown_yet(shop.pay(1, "s1", is_shown=False))
    shop.till.void(1, place("s1"))
    assert shop.journal.is_uncharged(1) and shop.kinds == [S]
    shop.till.void(1, place("s1"))
    shop.till.void(9, place("s1"))
    assert shop.kinds == [S]


# --- given back


def test_a_refund_in_parts_never_exceeds_what_was_paid(shop: Shop, tmp_path: Path) -> None:
    assert shop.pay(1, "s1").sequence == 1
    assert shop.till.returned(1) == Returned(0, 0)
    assert shop.till.give_back(1, 500, 2_500, VoucherKind.REFUND, place("s1")) == 2
    for refused in ((1_501, 0), (0, 7_501), (2_000, 10_000)):
        with pytest.raises(ReturnTooLarge):
            shop.till.give_back(1, *refused, VoucherKind.REFUND, place("s1"))
    shop = restarted(shop, tmp_path)
    assert shop.till.returned(1) == Returned(500, 2_500), "whatever restarts between"
    with pytest.raises(ReturnTooLarge):
        shop.till.give_back(1, 1_501, 0, VoucherKind.REFUND, place("s1"))
    assert shop.till.give_back(1, 1_500, 7_500, VoucherKind.VOID, place("s1")) == 3
    assert shop.till.is_taken_back(1)
    for refused in ((0, 1), (1, 0), (0, 0)):
        with pytest.raises(NothingLeftToReturn):
            shop.till.give_back(1, *refused, VoucherKind.REFUND, place("s1"))
    back = shop.till.made(2)
    assert back is not None and (back.refers_to, back.kgo, back.satang, back.reward_kgo) == (1, 500, 2_500, None)


def test_giving_back_nothing_is_none(shop: Shop) -> None:
    shop.till.sell(charge("s1"))
    with pytest.raises(NothingLeftToReturn):
        shop.till.give_back(1, 0, 0, VoucherKind.REFUND, place("s1"))


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.tuples(st.integers(0, 900), st.integers(0, 6_000)), max_size=8))
def test_whatever_is_tried_no_more_goes_back_than_came(shop: Shop, tries: list[tuple[int, int]]) -> None:
    sequence = shop.pay(shop.journal.tail.sequence + 100, f"s{shop.journal.tail.sequence}").sequence
    assert sequence is not None
    gone = Returned(0, 0)
    for kgo, satang in tries:
        fits = gone.kgo + kgo <= 2_000 and gone.satang + satang <= 10_000 and (kgo or satang)
        try:
            shop.till.give_back(sequence, kgo, satang, VoucherKind.REFUND, place("s1"))
        except (ReturnTooLarge, NothingLeftToReturn):
            assert not fits
        else:
            assert fits
            gone = Returned(gone.kgo + kgo, gone.satang + satang)
        assert shop.till.returned(sequence) == gone


NEVER: dict[str, Callable[[Shop], object]] = {
    "no voucher": lambda shop: None,
    "a refund": lambda shop: (
        shop.till.sell(charge("s0")),
        shop.till.give_back(1, 0, 1, VoucherKind.REFUND, place("s0")),
        shop.till.give_back(1, 0, 1, VoucherKind.REFUND, place("s0")),
    ),
    "one whose green nobody saw": lambda shop: (
        shop.till.sell(charge("s0")),
        shop.acceptor.not_shown_yet(shop.pay(1, "s1", is_shown=False)),
    ),
    "one that was voided before its green": lambda shop: (
        shop.till.sell(charge("s0")),
        shop.acceptor.not_shown_yet(shop.pay(1, "s1", is_shown=False)),
        shop.acceptor.void(2),
    ),
    "a cancelled request": lambda shop: (
        shop.till.sell(charge("s0")),
        shop.ask("s1"),
        shop.till.take_back_requests("s1"),
    ),
}


@pytest.mark.parametrize("never", NEVER)
def test_only_a_sale_that_stands_is_given_back(shop: Shop, never: str) -> None:
    NEVER[never](shop)
    with pytest.raises(NotToBeReturned):
        shop.till.give_back(2, 1, 1, VoucherKind.REFUND, place("s1"))


def test_a_revoked_terminal_sells_for_cash_and_promises_nobody_kgo(shop: Shop) -> None:
    assert shop.pay(1, "s1").sequence == 1
    shop.conditions.standing_refusal = TerminalRevoked()
    assert shop.till.sell(charge("s2")) == 2
    assert shop.till.give_back(2, 0, 12_000, VoucherKind.VOID, place("s2")) == 3
    assert shop.till.give_back(1, 0, 1_000, VoucherKind.REFUND, place("s1")) == 4, "money is the merchant's own"
    for refused in (
        lambda: shop.till.give_back(1, 1, 0, VoucherKind.REFUND, place("s1")),
        lambda: shop.till.void(1, place("s1")),
        lambda: shop.ask("s3"),
    ):
        with pytest.raises(TerminalRevoked):
            refused()
    assert shop.till.returned(1) == Returned(0, 1_000)


def test_what_was_returned_outlives_the_voucher_and_the_voucher_is_then_not_returned(shop: Shop) -> None:
    assert shop.pay(1, "s1").sequence == 1
    shop.till.give_back(1, 500, 0, VoucherKind.REFUND, place("s1"))
    shop.till.sell(charge("s2"))
    shop.journal.flush()
    shop.journal.record_ack(b"ack", 3, shop.journal.tail.event_number)
    while shop.journal.prune(2, 2**39):
        pass
    assert shop.till.made(1) is None
    assert shop.till.returned(1) == Returned(500, 0)
    with pytest.raises(NotToBeReturned):
        shop.till.give_back(1, 1, 0, VoucherKind.REFUND, place("s1"))
    assert shop.till.voucher_of("s1") is None and shop.till.voucher_of("s2") == 3


@pytest.mark.parametrize(
    "kept",
    [b"", b"\xff", cbor.encode(1), cbor.encode([1]), cbor.encode([1, 2, 3]), cbor.encode(["1", 2]), bytes(65)],
    ids=range(7),
)
def test_sums_that_no_till_kept_are_a_damaged_journal(shop: Shop, kept: bytes) -> None:
    shop.till.sell(charge("s1"))
    shop.journal.meta_put(f"{RETURNED_META}1", kept)
    with pytest.raises(JournalDamaged):
        shop.till.give_back(1, 0, 1, VoucherKind.REFUND, place("s1"))


def test_a_return_whose_sync_failed_is_there_once_when_the_journal_is_read_again(tmp_path: Path) -> None:
    faults = DiskFaults()
    with simulated_disk(f"till-{tmp_path.name}", faults) as disk:
        shop = Shop(open_journal(tmp_path, disk.name), DeskConditions())
        shop.till.sell(charge("s1"))
        faults.sync_fails_at = 1
        with pytest.raises(StorageFailed):
            shop.till.give_back(1, 0, 7_000, VoucherKind.REFUND, place("s1"))
        shop.journal.reopen_and_verify()
        assert shop.till.returned(1) == Returned(0, 7_000) and shop.kinds == [S, VoucherKind.REFUND]
        with pytest.raises(ReturnTooLarge):
            shop.till.give_back(1, 0, 7_000, VoucherKind.REFUND, place("s1"))
        faults.sync_fails_at = 1
        with pytest.raises(StorageFailed):
            shop.till.sell(charge("s2"))
        shop.journal.reopen_and_verify()
        assert shop.till.sell(charge("s2")) == 3 == shop.journal.tail.sequence
        shop.journal.close()


# --- requests that any wallet may answer


def test_any_wallet_answers_and_pays_once(shop: Shop) -> None:
    asked = shop.ask("s1")
    assert asked.request.pass_id is None
    assert shop.ask("s1").signed.raw == asked.signed.raw, "the open one again"
    outcome = shop.answer(asked, 7)
    assert outcome.light is Light.ACCEPTED and outcome.charge is not None
    assert (outcome.charge.kgo, outcome.charge.satang) == (2_000, 10_000)
    shop.acceptor.shown(outcome)
    again = shop.answer(asked, 8)
    assert isinstance(again.refusal, RequestMismatch), "it was paid, and asks nobody else"
    assert shop.till.voucher_of("s1") == outcome.sequence == shop.journal.tail.sequence


def test_the_same_answer_shown_twice_is_already_accepted(shop: Shop) -> None:
    asked, card = shop.ask("s1"), DeskCard(issue(7))
    text = qr.encode(QrType.PAYMENT, card.held.allowance.raw, card.pay(asked.signed.raw))
    first = shop.acceptor.accept(text, shop.counter())
    shop.acceptor.shown(first)
    assert shop.acceptor.accept(text, shop.counter()).light is Light.ALREADY_ACCEPTED
    assert shop.kinds == [S]


def test_a_request_taken_back_is_refused_when_it_is_paid(shop: Shop, tmp_path: Path) -> None:
    asked = shop.ask("s1")
    other = shop.till.ask(charge("s2", kgo=100))
    assert shop.till.take_back_requests("s1") == 1
    assert shop.kinds == [VoucherKind.CANCELLED_REQUEST]
    assert shop.till.take_back_requests("s1") == 0 == shop.till.take_back_requests("s3")
    for one in (shop, restarted(shop, tmp_path)):
        one.sale = shop.sale
        assert isinstance(one.answer(asked).refusal, RequestMismatch)
        assert one.till.ask(charge("s2", kgo=100)).signed.raw == other.signed.raw


def test_a_request_is_answered_to_its_last_second_and_after_a_restart(shop: Shop, tmp_path: Path) -> None:
    asked = shop.ask("s1")
    sale, shop = shop.sale, restarted(shop, tmp_path)
    shop.sale = sale
    shop.pass_s(LIFE_S)
    assert shop.answer(asked).light is Light.ACCEPTED


def test_an_answer_that_comes_late_is_refused_and_returns(shop: Shop) -> None:
    asked = shop.ask("s1")
    shop.pass_s(LIFE_S + 1)
    assert shop.answer(asked).light is not Light.ACCEPTED
    assert shop.kinds == [VoucherKind.CANCELLED_REQUEST]
    assert shop.ask("s1").signed.raw != asked.signed.raw


def test_an_answer_for_a_sale_that_is_over_is_refused_and_returns(shop: Shop) -> None:
    asked = shop.ask("s1")
    shop.sale = OpenSale("s2", 12_000, 2_000, 0)
    assert isinstance(shop.answer(asked).refusal, RequestMismatch)
    assert shop.kinds == [VoucherKind.CANCELLED_REQUEST]


def test_a_wallet_that_is_denied_pays_nothing_and_its_amount_returns(shop: Shop) -> None:
    asked = shop.ask("s1")
    shop.conditions.denied.add((7).to_bytes(8, "big"))
    refusal: Refusal | None = shop.answer(asked, 7).refusal
    assert isinstance(refusal, Denied) and shop.kinds == [VoucherKind.CANCELLED_REQUEST]
    assert shop.ask("s1").signed.raw != asked.signed.raw, "the next customer is asked anew"


def test_a_request_for_another_amount_is_another_one(shop: Shop) -> None:
    assert shop.ask("s1").signed.raw != shop.ask("s1", 1_000).signed.raw
    assert shop.till.take_back_requests("s1") == 2

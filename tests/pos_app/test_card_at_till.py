"""A card at the till: it pays the open sale and no other, wherever its tap was torn. DESIGN §5."""

from pathlib import Path

import pytest

from offline_ledger import errors
from offline_ledger.protocol.device import PlaceKey, VoucherKind
from offline_ledger.rules.campaign import Campaigns
from offline_ledger.terminal.outcome import Light
from pos_app.sale import Till, open_sale
from tests.pos_app.test_sale import CAMPAIGN
from tests.terminal.desk import DeskConditions, acceptor_on, issue, open_journal
from tests.terminal.desk_card import DeskCard, tap
from tests.terminal.test_coupon_reading import PAPER, code


class Counter:
    """One till, one card; `open` puts a sale on it."""

    def __init__(self, folder: Path) -> None:
        self.acceptor = acceptor_on(open_journal(folder), DeskConditions())
        self.card = DeskCard(issue(7))
        self.till = Till(None, None, (1, 2), "m1")

    def open(self, sale: str | None, kgo: int = 2_000) -> None:
        found = None if sale is None else open_sale(sale, 12_000, kgo)
        self.till = Till(found, Campaigns((CAMPAIGN,)), (1, 2), "m1")

    def pay_torn(self) -> None:
        """The card pays, and nobody hears it."""
        step = self.acceptor.ask(self.card.offer, self.till)
        assert step.request is not None
        self.card.pay(step.request)

    def sales(self) -> list[tuple[int, object]]:
        """Kind and sale of each voucher."""
        made = [self.acceptor.made(sequence) for sequence in range(1, 20)]
        return [(one.kind, one.place.get(PlaceKey.SALE)) for one in made if one is not None]


@pytest.fixture
def counter(tmp_path: Path) -> Counter:
    return Counter(tmp_path)


def test_it_pays_what_the_customer_chose_and_once(counter: Counter) -> None:
    counter.open("s1")
    outcome = tap(counter.acceptor, counter.card, counter.till)
    assert outcome.light is Light.ACCEPTED and outcome.charge is not None and outcome.charge.kgo == 2_000
    assert tap(counter.acceptor, counter.card, counter.till).light is Light.ALREADY_ACCEPTED
    counter.open(None)
    assert tap(counter.acceptor, counter.card, counter.till).light is Light.ALREADY_ACCEPTED, "held too long"
    counter.open("s2")
    assert tap(counter.acceptor, counter.card, counter.till).light is Light.ACCEPTED
    assert counter.sales() == [(VoucherKind.SALE, "s1"), (VoucherKind.SALE, "s2")]


def test_without_a_sale_it_is_asked_for_nothing(counter: Counter) -> None:
    outcome = tap(counter.acceptor, counter.card, counter.till)
    assert isinstance(outcome.refusal, errors.NoSaleOpen) and counter.card.paid == []


def test_torn_after_it_paid_the_same_sale_is_green_with_the_next_tap(counter: Counter) -> None:
    counter.open("s1")
    counter.pay_torn()
    assert tap(counter.acceptor, counter.card, counter.till).light is Light.ACCEPTED
    assert counter.sales() == [(VoucherKind.SALE, "s1")] and len(counter.card.paid) == 1


def test_what_was_paid_for_a_sale_that_is_gone_pays_no_other(counter: Counter) -> None:
    """The next sale is for the same amount, which makes it no better."""
    counter.open("s1")
    counter.pay_torn()
    counter.open("s2")
    outcome = tap(counter.acceptor, counter.card, counter.till)
    assert outcome.light is Light.REFUSED and isinstance(outcome.refusal, errors.RequestMismatch)
    assert counter.sales() == [(VoucherKind.CANCELLED_REQUEST, None)], "its amount returns"
    assert tap(counter.acceptor, counter.card, counter.till).light is Light.ACCEPTED
    assert counter.sales()[-1] == (VoucherKind.SALE, "s2")


def test_a_coupon_pays_nothing_at_this_till(counter: Counter) -> None:
    counter.open("s1")
    outcome = counter.acceptor.accept(code(PAPER._replace(trip=None)), counter.till)
    assert isinstance(outcome.refusal, errors.WrongCodeType)

"""The sale that a code pays: only the one that its voucher names is closed, and what was cancelled is not charged."""

from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from offline_ledger.errors import AmountTooLong, KgoAboveBillShare
from offline_ledger.protocol.device import PlaceKey, VoucherKind
from offline_ledger.terminal.outcome import Light
from pos_app.sale import OpenSale, check_usable, place_of, sale_of
from tests.pos_app.desk.desks import Desk


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path, Random(7)).begin()
    yield made
    made.check()
    made.close()


def test_what_any_wallet_may_use_and_no_more(desk: Desk) -> None:
    usable = desk.till.usable(12_000)
    assert usable.kgo_max == 6_000
    check_usable(OpenSale("s", 12_000, 6_000, 0), usable)
    with pytest.raises(KgoAboveBillShare):
        check_usable(OpenSale("s", 12_000, 6_001, 0), usable)
    with pytest.raises(AmountTooLong):
        desk.till.usable(10**10)


def test_a_sale_before_a_wallet_is_known_has_its_legs_its_cashier_and_no_reward(desk: Desk) -> None:
    charge = desk.till.charge_without_wallet(OpenSale("s", 12_000, 2_000, 0, "01"))
    assert (charge.kgo, charge.satang, charge.reward_kgo, charge.kind) == (2_000, 10_000, None, VoucherKind.SALE)
    assert (charge.product, charge.bulletin) == ("noodles", (1, 1))
    assert charge.place == {**place_of(OpenSale("s", 12_000, 0, 0, "01")), PlaceKey.VERIFIED_SATANG: 0}
    assert PlaceKey.CASHIER not in place_of(OpenSale("s", 12_000, 0, 0)), "nobody is named by nothing"


def test_a_code_closes_the_sale_that_its_voucher_names_and_no_other(desk: Desk) -> None:
    desk.put("120")
    desk.press("kgo", amount="20")
    first = desk.till.sale
    outcome = desk.show_code(2_000, is_shown=False)
    assert first is not None and desk.till.is_open(first) and outcome.sequence == 1
    desk.till.sale = other = OpenSale("other", 5_000, 0, 0)
    desk.station.acceptor.shown(outcome)
    desk.till.after(outcome)
    assert desk.till.sale is other and desk.till.last_paid is not None and desk.till.last_paid.sale == first.sale
    made = desk.station.acceptor.made(1)
    assert made is not None and sale_of(made) == first._replace(cashier="01")
    assert desk.core.state.sale.due_satang == 10_000
    desk.till.sale = None


def test_a_code_that_was_taken_and_not_seen_is_not_charged_when_the_sale_is_cancelled(desk: Desk) -> None:
    desk.put("120")
    desk.press("kgo", amount="20")
    outcome = desk.show_code(2_000, is_shown=False)
    desk.station.acceptor.not_shown_yet(outcome)
    desk.till.look()
    desk.press("kgo_cancel")
    assert desk.journal.is_uncharged(1) and desk.till.sale is None
    desk.press("cash")
    assert desk.shifts.totals.kgo == 0 and desk.shifts.totals.cash_satang == 12_000


def test_a_code_for_another_amount_pays_nothing(desk: Desk) -> None:
    desk.put("120")
    desk.press("kgo", amount="20")
    assert desk.show_code(1_999).light is Light.REFUSED
    assert desk.till.sale is not None and desk.journal.tail.sequence == 0
    desk.press("kgo_cancel")
    desk.press("cancel_sale")

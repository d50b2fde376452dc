"""Ways to pay: each edge, and whatever the mix, its parts come to the bill and change is cash. DESIGN §2, §5."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offline_ledger.errors import AmountNotPositive, AmountTooLong, NothingDue, Refusal, TenderTooLarge
from offline_ledger.rules.sale import BILL_SATANG_MAX
from pos_app.counter import tender as tenders
from pos_app.counter.tender import Tender, TenderKind


@pytest.mark.parametrize(
    ("due", "given_satang", "pays", "change"),
    [
        (100, 1, 1, 0),
        (100, 99, 99, 0),
        (100, 100, 100, 0),
        (100, 101, 100, 1),
        (1, BILL_SATANG_MAX, 1, BILL_SATANG_MAX - 1),
    ],
)
def test_cash_pays_what_is_due_and_the_rest_is_change(due: int, given_satang: int, pays: int, change: int) -> None:
    part = tenders.cash(due, given_satang)
    assert part == Tender(TenderKind.CASH, pays, given_satang=given_satang)
    assert tenders.change_satang((part,)) == change


@pytest.mark.parametrize(
    ("due", "given_satang", "refusal"),
    [
        (100, 0, AmountNotPositive),
        (100, -1, AmountNotPositive),
        (100, BILL_SATANG_MAX + 1, AmountTooLong),
        (0, 100, NothingDue),
        (-1, 100, NothingDue),
    ],
)
def test_cash_refuses(due: int, given_satang: int, refusal: type[Refusal]) -> None:
    with pytest.raises(refusal):
        tenders.cash(due, given_satang)


def test_nobody_gives_change_on_a_transfer() -> None:
    assert tenders.promptpay(100, 1).satang == 1
    assert tenders.promptpay(100, 100) == Tender(TenderKind.PROMPTPAY, 100)
    with pytest.raises(TenderTooLarge):
        tenders.promptpay(100, 101)


@pytest.mark.parametrize(("due", "satang", "refusal"), [(100, 0, AmountNotPositive), (0, 1, NothingDue)])
def test_a_transfer_refuses(due: int, satang: int, refusal: type[Refusal]) -> None:
    with pytest.raises(refusal):
        tenders.promptpay(due, satang)


PARTS = st.lists(
    st.tuples(st.sampled_from([TenderKind.CASH, TenderKind.PROMPTPAY]), st.integers(-5, 4_000)), max_size=30
)


@given(st.integers(1, 10_000), st.integers(0, 10_000), PARTS)
def test_whatever_the_mix_its_parts_come_to_the_bill(
    bill_satang: int, kgo_satang: int, said: list[tuple[TenderKind, int]]
) -> None:
    made: tuple[Tender, ...] = (Tender(TenderKind.KGO, min(kgo_satang, bill_satang), kgo=kgo_satang, sequence=9),)
    handed = 0
    for kind, satang in [*said, (TenderKind.CASH, bill_satang)]:
        due = tenders.due_satang(bill_satang, made)
        try:
            part = tenders.cash(due, satang) if kind is TenderKind.CASH else tenders.promptpay(due, satang)
        except Refusal:
            continue
        made = (*made, part)
        handed += part.given_satang
    assert tenders.due_satang(bill_satang, made) == 0
    assert sum(tenders.of_kind(made, kind) for kind in TenderKind) == bill_satang
    assert handed - tenders.change_satang(made) == tenders.of_kind(made, TenderKind.CASH)
    assert tenders.kgo_of(made) == kgo_satang
    assert tenders.sequence_of(made, TenderKind.KGO) == 9 and tenders.sequence_of(made, TenderKind.COUPON) == 0


def test_only_a_voucher_stands_for_kgo_and_coupons() -> None:
    assert set(tenders.SIGNED) == {TenderKind.KGO, TenderKind.COUPON}

"""What the demo's reader calls lost or doubled, by what the ledger did with a voucher of a journal. DESIGN §2, §8."""

from dataclasses import replace

import pytest

from offline_ledger.protocol.city import Outcome
from offline_ledger.protocol.device import Voucher, VoucherKind
from offline_ledger.protocol.kinds import Kind
from simulators.demo.reader import TRANSIT_WINDOW_S, PostedVoucher, _doubled, _lost
from simulators.demo.reader_files import JournalCopy, JournalVoucher
from tests.vectors.objects import EXAMPLES

AT_S, FARE_KGO = 1_795_000_000, 5_000
IDENTITY, OTHER = bytes(32), b"\x01" * 32
POSTED = PostedVoucher(IDENTITY, Outcome.POSTED, FARE_KGO, FARE_KGO, spends=1, leaves=1)
AT_BUS, AT_SHOP = ("bus", 1), ("shop", 1)


def held(
    kind: VoucherKind, device: str = "bus", at_s: int = AT_S, identity: bytes = IDENTITY, sequence: int = 1
) -> JournalVoucher:
    value = EXAMPLES[Kind.VOUCHER].value
    assert isinstance(value, Voucher)
    said = value._replace(kind=kind, kgo=FARE_KGO, at_s=at_s, device=device, sequence=sequence)
    return JournalVoucher(device, sequence, identity, said, ("one intent",))


def copy_of(*vouchers: JournalVoucher, not_charged: tuple[int, ...] = ()) -> JournalCopy:
    return JournalCopy(vouchers[0].device, vouchers, 0, 0, (), not_charged, None, ())


@pytest.mark.parametrize(
    ("change", "is_lost"),
    [
        ({}, False),
        ({"outcome": Outcome.SUSPENSE}, False),
        ({"outcome": Outcome.REJECTED}, True),
        ({"outcome": Outcome.HELD}, True),
        ({"identity": OTHER}, True),
        ({"leaves": 0}, True),
        ({"credited_kgo": FARE_KGO - 1}, True),
        ({"charged_kgo": 0}, False),
    ],
)
def test_accepted_is_lost_unless_posted_in_full_and_in_the_log(change: dict[str, object], is_lost: bool) -> None:
    posted = {AT_BUS: replace(POSTED, **change)}  # pyright: ignore[reportArgumentType]
    assert len(list(_lost([copy_of(held(VoucherKind.BOARDING))], posted, {}))) == is_lost


@pytest.mark.parametrize("outcome", [Outcome.REJECTED, Outcome.HELD])
def test_a_cash_sale_that_was_not_posted_is_lost_too(outcome: Outcome) -> None:
    sale = held(VoucherKind.SALE)
    cash = replace(sale, voucher=sale.voucher._replace(kgo=0), intent=None)
    posted = {AT_BUS: replace(POSTED, outcome=outcome, credited_kgo=0, charged_kgo=0)}
    assert len(list(_lost([copy_of(cash)], posted, {}))) == 1


def test_what_was_not_charged_need_not_be_credited() -> None:
    back = replace(POSTED, credited_kgo=0, charged_kgo=0)
    boarding = held(VoucherKind.BOARDING)
    assert list(_lost([copy_of(boarding, not_charged=(1,))], {AT_BUS: back}, {})) == []
    assert len(list(_lost([copy_of(boarding)], {AT_BUS: back}, {}))) == 1
    assert len(list(_doubled([copy_of(boarding, not_charged=(1,))], {AT_BUS: POSTED}))) == 1


def test_a_green_that_somebody_saw_and_no_journal_holds_is_lost() -> None:
    boarding = copy_of(held(VoucherKind.BOARDING))
    assert list(_lost([boarding], {AT_BUS: POSTED}, {"bus": [1, 1]})) == []
    assert len(list(_lost([boarding], {AT_BUS: POSTED}, {"bus": [1, 2]}))) == 1


@pytest.mark.parametrize(
    "change", [{"spends": 2}, {"leaves": 2}, {"credited_kgo": FARE_KGO + 1}, {"charged_kgo": FARE_KGO + 1}]
)
def test_posted_or_charged_beyond_its_word_is_doubled(change: dict[str, int]) -> None:
    boarding = copy_of(held(VoucherKind.BOARDING))
    assert list(_doubled([boarding], {AT_BUS: POSTED})) == []
    assert len(list(_doubled([boarding], {AT_BUS: replace(POSTED, **change)}))) == 1


def test_one_voucher_posted_under_two_numbers_is_doubled() -> None:
    boarding = copy_of(held(VoucherKind.BOARDING))
    assert len(list(_doubled([boarding], {AT_BUS: POSTED, AT_SHOP: POSTED}))) == 1


def test_one_intent_twice_at_the_same_terminal_is_doubled_whenever_it_was() -> None:
    first = held(VoucherKind.BOARDING)
    second = held(VoucherKind.BOARDING, "bus", AT_S + 10**6, OTHER, sequence=2)
    posted = {AT_BUS: POSTED, ("bus", 2): replace(POSTED, identity=OTHER)}
    assert len(list(_doubled([copy_of(first, second)], posted))) == 1


@pytest.mark.parametrize(
    ("kind", "later_s", "is_doubled"),
    [
        (VoucherKind.BOARDING, 0, True),
        (VoucherKind.BOARDING, TRANSIT_WINDOW_S, True),
        (VoucherKind.BOARDING, -TRANSIT_WINDOW_S, True),
        (VoucherKind.BOARDING, TRANSIT_WINDOW_S + 1, False),
        (VoucherKind.SALE, 0, True),
        (VoucherKind.SALE, 86_400, True),
    ],
)
def test_one_intent_at_two_terminals_is_charged_once_within_the_window_and_in_shops_ever(
    kind: VoucherKind, later_s: int, is_doubled: bool
) -> None:
    copies = [copy_of(held(kind)), copy_of(held(kind, "shop", AT_S + later_s, OTHER))]
    second = replace(POSTED, identity=OTHER)
    assert len(list(_doubled(copies, {AT_BUS: POSTED, AT_SHOP: second}))) == is_doubled
    by_the_fund = replace(second, charged_kgo=0)
    assert list(_doubled(copies, {AT_BUS: POSTED, AT_SHOP: by_the_fund})) == []

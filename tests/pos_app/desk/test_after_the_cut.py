"""What the cashier finds after a power cut: the change, the paper and the receipt that were on their way. DESIGN §5."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest

from offline_ledger.errors import NotNow, Refusal, ShiftShut, ShopPeopleGone, StorageFailed
from offline_ledger.protocol import cbor
from offline_ledger.protocol.device import VoucherKind
from pos_app.counter.flow import Screen
from pos_app.counter.shift_book import kept
from pos_app.counter.tender import change_satang
from pos_app.desk.papers import number_text
from pos_app.paper.receipt import ReceiptKind
from pos_app.shift_keeper import SHIFT_META
from simulators.storage.disk import DiskFaults
from tests.pos_app.desk.desks import Desk, Everyone
from tests.pos_app.desk.test_adds_up import html_of
from tests.pos_app.desk.test_power import FAILS_MAX, SCENES, Two, before_the_scene, cash, home


def test_money_that_was_taken_shows_its_change_and_prints_its_receipt_once(tmp_path: Path) -> None:
    """Wherever the power goes while it is closed: nobody is asked for KGO, and the drawer stays shut."""
    closed = 0
    for fails_at in range(1, FAILS_MAX):
        with Two(f"change-{fails_at}-{tmp_path.name}", tmp_path / str(fails_at)) as (desk, journal, _shop):
            desk.begin()
            journal.sync_fails_at = fails_at
            with suppress(Refusal):
                cash(desk)
            if journal.sync_fails_at is not None:
                break
            again = desk.cut(tmp_path / f"{fails_at}-cut")
            again.sign_in()
            assert again.screen is not Screen.WAIT_KGO
            if again.screen is Screen.DONE:
                closed += 1
                done = again.core.state.done
                assert done is not None and change_satang(done.record.tenders) == 38_000
                (paper,) = again.tray.receipts
                assert paper.number == number_text(done.record.number) and not paper.is_copy
                assert paper.change_satang == 38_000 and not again.tray.kicks
                assert again.station.acceptor.unratified.sequences() == []
                again.press("next")
                assert again.screen is Screen.SALE
            again.till.look()
            again.check()
            again.close()
    assert closed, "no cut fell into its closing"


@pytest.mark.parametrize("scene", ["refund", "void"])
def test_what_was_given_back_is_shown_and_has_its_slip(scene: str, tmp_path: Path) -> None:
    acts, act = SCENES[scene]
    found = 0
    for fails_at in range(1, FAILS_MAX):
        with Two(f"slip-{scene}-{fails_at}-{tmp_path.name}", tmp_path / str(fails_at)) as (desk, journal, _shop):
            before_the_scene(desk, acts)
            journal.sync_fails_at = fails_at
            with suppress(Refusal):
                act(desk)
            if journal.sync_fails_at is not None:
                break
            again = desk.cut(tmp_path / f"{fails_at}-cut")
            again.sign_in()
            if any(one.kind in (VoucherKind.REFUND, VoucherKind.VOID) for one in again.vouchers):
                found += 1
                assert again.screen is Screen.RECEIPT and again.core.state.receipt is not None
                assert len(again.core.state.receipt.returns) == 1
                (slip,) = again.tray.receipts
                assert slip.kind is (ReceiptKind.VOID if scene == "void" else ReceiptKind.REFUND)
            again.check()
            again.close()
    assert found, "no cut fell between the voucher and its record"


def test_kgo_can_be_chosen_again_after_the_cut(tmp_path: Path) -> None:
    """When the asking was cancelled, and when the money that was in is taken out again."""
    (tmp_path / "shop").mkdir()
    desk = Desk(tmp_path / "shop", Random(7)).begin()
    desk.put("300")
    desk.press("kgo", amount="20")
    desk.settle()
    asked = desk.cut(tmp_path / "asked")
    asked.sign_in()
    asked.press("kgo_cancel")
    assert asked.core.state.offer is not None and asked.core.state.offer.kgo_max
    asked.press("cash", given="100")
    asked.settle()
    part = asked.cut(tmp_path / "part")
    part.sign_in()
    assert part.screen is Screen.PAY
    part.press("drop_tender", index="0")
    assert part.core.state.offer is not None and part.core.state.offer.kgo_max
    part.press("kgo", amount="20")
    for one in (desk, asked, part):
        one.close()


def test_a_sale_that_was_charged_without_a_green_says_so_until_its_code_is_shown_again(tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    desk = Desk(tmp_path / "shop", Random(7)).begin()
    desk.put("300")
    desk.press("kgo", amount="20")
    assert desk.desk is not None and desk.desk.view()["is_charged"] is False
    desk.show_code(2_000, is_shown=False)
    desk.settle()
    again = desk.cut(tmp_path / "again")
    again.sign_in()
    assert again.desk is not None and again.screen is Screen.WAIT_KGO
    assert again.desk.view()["is_charged"] is True
    for one in (desk, again):
        one.close()


@pytest.mark.parametrize("has_next_start", [True, False], ids=["power cut", "disk error"])
def test_a_shift_that_was_closed_has_its_z_report_once_on_paper_and_on_the_screen(
    has_next_start: bool, tmp_path: Path
) -> None:
    """Also when the disk only said that it had failed, and the till goes on."""
    closed = 0
    for fails_at in range(1, FAILS_MAX):
        with Two(f"z-{has_next_start}-{fails_at}-{tmp_path.name}", tmp_path / str(fails_at)) as (desk, *faults):
            before_the_scene(desk, (cash,))
            before = len(desk.tray.receipts)
            faults[0].sync_fails_at = fails_at
            with suppress(Refusal):
                desk.press("shift")
                desk.press("close_shift")
            if faults[0].sync_fails_at is not None:
                break
            if has_next_start:
                again, before = desk.cut(tmp_path / f"{fails_at}-cut"), 0
            else:
                again = desk
                desk.mend(*faults)
            for _ in range(3):
                again.look()
            if has_next_start:
                again.sign_in()
            made = [one for one in desk.tray.receipts if one.kind is ReceiptKind.Z_REPORT]
            papers = [one for one in again.tray.receipts[before:] if one.kind is ReceiptKind.Z_REPORT]
            if again is not desk and made:  # it was on its way already, and the journal knows
                assert not papers and again.screen is Screen.NO_SHIFT
            elif again.shifts.totals.is_open:
                assert not papers and again.screen is not Screen.REPORT
            else:
                closed += 1
                (paper,) = papers
                assert paper.number == "000001" and paper.cashier == "01" and again.screen is Screen.REPORT
                report = again.core.state.report
                assert report is not None and report.is_z and report.totals.bill_satang == 12_000
                assert paper.at_s == report.at_s
                again.press("back")
                again.press("open_shift", float="500")
            again.check()
            if has_next_start:
                again.close()
    assert closed, "no cut fell behind its closing"


def closed_without_a_word(desk: Desk, journal: DiskFaults) -> None:
    """One sale; then the shift is closed, and the disk says that it is not."""
    before_the_scene(desk, (cash,))
    desk.press("shift")
    journal.sync_fails_at = 1
    with pytest.raises(StorageFailed):
        desk.press("close_shift")


def asked_under_the_report(desk: Desk, faults: Sequence[DiskFaults]) -> None:
    """A customer is asked for KGO before the till knows that its shift is closed; the report came behind the lock."""
    closed_without_a_word(desk, faults[0])
    desk.press("back")
    desk.put("120")
    desk.press("kgo", amount="20")
    desk.mend(*faults)
    desk.press("lock")
    desk.look()
    desk.sign_in()


def test_a_sale_that_was_begun_before_the_till_knew_that_its_shift_was_closed_is_paid_as_it_stood(
    tmp_path: Path,
) -> None:
    """The report waits for the customer, and the counter for the next shift."""
    with Two(f"under-{tmp_path.name}", tmp_path / "shop") as (desk, *faults):
        closed_without_a_word(desk, faults[0])
        desk.press("back")
        desk.put("120")
        desk.press("kgo", amount="20")
        desk.mend(*faults)
        desk.look()
        assert not desk.shifts.totals.is_open and desk.screen is Screen.WAIT_KGO
        desk.show_code(2_000)
        assert desk.screen is Screen.PAY
        desk.look()
        assert desk.screen is Screen.REPORT and desk.tray.receipts[-1].kind is ReceiptKind.Z_REPORT
        desk.press("back")
        assert desk.screen is Screen.NO_SHIFT
        desk.press("open_shift", float="500")
        sale = desk.core.state.sale
        assert desk.screen is Screen.PAY and [part.satang for part in sale.tenders] == [2_000]
        desk.press("cash", given="100")
        assert desk.screen is Screen.DONE and desk.core.state.done is not None
        assert desk.core.state.done.record.shift == 2 and desk.shifts.totals.bill_satang == 12_000
        desk.check()


def test_a_customer_who_still_has_to_pay_is_asked_for_as_much_in_the_next_shift(tmp_path: Path) -> None:
    with Two(f"wait-{tmp_path.name}", tmp_path / "shop") as (desk, *faults):
        asked_under_the_report(desk, faults)
        assert desk.screen is Screen.REPORT
        desk.press("back")
        desk.press("open_shift", float="500")
        assert desk.screen is Screen.WAIT_KGO and desk.core.parts.till.sale is not None
        desk.show_code(2_000)
        assert desk.screen is Screen.PAY and desk.core.state.sale.due_satang == 10_000
        desk.press("cash", given="100")
        desk.check()


def test_a_z_report_is_made_when_somebody_sees_it_and_stays_behind_the_lock(tmp_path: Path) -> None:
    """A till may have no printer: whatever starts it again before, the report is still to be seen."""
    with Two(f"seen-{tmp_path.name}", tmp_path / "shop") as (desk, *faults):
        closed_without_a_word(desk, faults[0])
        first = desk.cut(tmp_path / "first")
        first.look()
        second = first.cut(tmp_path / "second")
        second.look()
        assert not first.tray.receipts and not second.tray.receipts, "nobody was there"
        second.sign_in()
        assert second.screen is Screen.REPORT and len(second.tray.receipts) == 1
        second.press("lock")
        second.look()
        second.sign_in()
        assert second.screen is Screen.REPORT and len(second.tray.receipts) == 1
        second.press("back")
        second.press("open_shift", float="500")
        assert second.screen is Screen.SALE
        for one in (first, second):
            one.close()


def test_the_next_shift_is_not_opened_before_the_report_is_seen(tmp_path: Path) -> None:
    """What the disk could not tell at the start is asked again."""
    with Two(f"open-{tmp_path.name}", tmp_path / "shop") as (desk, *faults):
        closed_without_a_word(desk, faults[0])
        again = desk.cut(tmp_path / "again")
        real_has, asked = again.tray.has, [0]

        def has(number: str, kind: ReceiptKind = ReceiptKind.SALE) -> bool:
            asked[0] += 1
            if asked[0] <= 2:  # at the first look, and when somebody signs in
                raise StorageFailed("the disk")
            return real_has(number, kind)

        again.tray.has = has  # type: ignore[method-assign]
        again.look()
        again.sign_in()
        assert again.screen is Screen.NO_SHIFT
        with pytest.raises(NotNow):
            again.press("open_shift", float="500")
        assert again.screen is Screen.REPORT and len(again.tray.receipts) == 1
        again.press("back")
        again.press("open_shift", float="500")
        assert again.screen is Screen.SALE
        again.close()


def test_a_z_report_that_is_in_the_queue_is_not_made_again(tmp_path: Path) -> None:
    """Nor one of a shift whose closing the journal no longer has, nor where all papers are gone."""
    (tmp_path / "shop").mkdir()
    desk = Desk(tmp_path / "shop", Random(7)).begin()
    cash(desk)
    desk.press("next")
    desk.press("shift")
    desk.press("close_shift")
    again = desk.cut(tmp_path / "again")
    again.tray.receipts = list(desk.tray.receipts)
    printed = len(again.tray.receipts)
    again.look()
    again.sign_in()
    assert again.screen is Screen.NO_SHIFT and len(again.tray.receipts) == printed
    for one in (desk, again):
        one.close()


def test_a_z_report_whose_closing_the_journal_does_not_have_is_not_made(tmp_path: Path) -> None:
    with Two(f"gone-{tmp_path.name}", tmp_path / "shop") as (desk, *faults):
        closed_without_a_word(desk, faults[0])
        again = desk.cut(tmp_path / "again")
        totals = again.shifts.totals._replace(number=9)
        again.journal.meta_put(SHIFT_META, cbor.encode(["", *kept(totals)]))
        again.shifts.totals = totals
        again.look()
        again.sign_in()
        assert again.screen is Screen.NO_SHIFT and not again.tray.receipts
        again.close()


@pytest.mark.parametrize("was_cut", [False, True])
def test_a_z_report_that_was_made_is_not_made_again_when_the_shops_file_is_another(
    was_cut: bool, tmp_path: Path
) -> None:
    """With the file its papers are gone; the journal knows."""
    with Two(f"file-{tmp_path.name}", tmp_path / "shop") as (desk, *faults):
        if was_cut:
            closed_without_a_word(desk, faults[0])
            desk.mend(*faults)
            desk.look()
        else:
            before_the_scene(desk, (cash,))
            desk.press("shift")
            desk.press("close_shift")
        assert [one.kind for one in desk.tray.receipts].count(ReceiptKind.Z_REPORT) == 1
        again = desk.cut(tmp_path / "again")
        again.look()
        again.sign_in()
        assert again.screen is Screen.NO_SHIFT and not again.tray.receipts
        again.close()


@pytest.mark.parametrize("way", ["cash", "kgo", "promptpay"])
def test_a_till_starts_with_a_sale_that_was_paid_when_its_shift_had_closed_under_it(way: str, tmp_path: Path) -> None:
    """It waits for the next shift, and is closed in that one, once."""
    with Two(f"start-{way}-{tmp_path.name}", tmp_path / "shop") as (desk, *faults):
        closed_without_a_word(desk, faults[0])
        desk.press("back")
        desk.put("120")
        match way:
            case "kgo":
                desk.press("kgo", amount="20")
                desk.mend(*faults)
                desk.show_code(2_000)
                desk.journal.flush()  # its green was seen
            case "promptpay":
                desk.press("promptpay")
                desk.mend(*faults)
            case _:
                desk.mend(*faults)
        with pytest.raises(ShiftShut):
            desk.press("promptpay_confirm" if way == "promptpay" else "cash", given="200")
        desk.settle()
        again = desk.cut(tmp_path / "again")
        again.look()
        again.sign_in()
        assert again.screen is Screen.REPORT
        again.press("back")
        again.press("open_shift", float="500")
        assert again.screen is Screen.PAY and again.core.state.sale.tenders
        assert all('data-screen="' in html_of(again, kind) for kind in ("till", "customer"))
        home(again)
        again.settle()
        (closed,) = [one for one in again.sales.receipts(limit=9) if one.shift == 2]
        assert closed.basket.bill_satang == 12_000 and again.shifts.totals.sales == 1
        again.check()
        again.close()


@pytest.mark.parametrize("where", [Screen.REPORT, Screen.NO_SHIFT])
def test_who_pays_while_the_report_stands_has_paid_and_the_next_shift_opens_on_it(
    where: Screen, tmp_path: Path
) -> None:
    with Two(f"pays-{where}-{tmp_path.name}", tmp_path / "shop") as (desk, *faults):
        asked_under_the_report(desk, faults)
        if where is Screen.NO_SHIFT:
            desk.press("back")
        desk.show_code(2_000)
        assert desk.screen is where and desk.core.state.sale.due_satang == 10_000
        if where is Screen.REPORT:
            desk.press("back")
        desk.press("open_shift", float="500")
        assert desk.screen is Screen.PAY
        desk.press("cash", given="100")
        assert desk.screen is Screen.DONE
        desk.check()


def test_a_promptpay_that_was_asked_for_is_there_in_the_next_shift(tmp_path: Path) -> None:
    with Two(f"pp-{tmp_path.name}", tmp_path / "shop") as (desk, *faults):
        closed_without_a_word(desk, faults[0])
        desk.press("back")
        desk.put("120")
        desk.press("promptpay")
        desk.mend(*faults)
        desk.press("lock")
        desk.look()
        desk.sign_in()
        desk.press("back")
        desk.press("open_shift", float="500")
        assert desk.screen is Screen.PROMPTPAY
        desk.press("promptpay_confirm")
        assert desk.screen is Screen.DONE
        desk.check()


def test_whoever_takes_over_a_shift_that_is_closed_after_all_is_signed_in(tmp_path: Path) -> None:
    with Two(f"over-{tmp_path.name}", tmp_path / "shop") as (desk, *faults):
        closed_without_a_word(desk, faults[0])
        desk.press("handover")
        desk.mend(*faults)
        desk.look()
        desk.sign_in()
        assert desk.screen is Screen.REPORT and desk.core.state.cashier is not None


def test_what_is_wrong_with_the_till_stays_on_its_screen_when_a_start_closes_a_sale(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "shop").mkdir()
    desk = Desk(tmp_path / "shop", Random(7)).begin()
    cash(desk)
    trouble = ShopPeopleGone("1 of 2")
    monkeypatch.setattr(Everyone, "trouble", trouble)
    again = desk.cut(tmp_path / "again")  # its paper is not in the queue: as if the power had gone before
    assert again.core.state.behind_lock is Screen.DONE and [one.kind for one in again.tray.receipts] == ["sale"]
    assert again.core.state.notice is trouble
    for one in (desk, again):
        one.close()

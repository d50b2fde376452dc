"""What the cashier finds after a power cut: the change, the paper and the receipt that were on their way. DESIGN §5."""

from contextlib import suppress
from pathlib import Path
from random import Random

import pytest

from offline_ledger.errors import Refusal, ShopPeopleGone
from offline_ledger.protocol.device import VoucherKind
from pos_app.counter.flow import Screen
from pos_app.counter.tender import change_satang
from pos_app.desk.papers import number_text
from pos_app.paper.receipt import ReceiptKind
from tests.pos_app.desk.desks import Desk, Everyone
from tests.pos_app.desk.test_power import FAILS_MAX, SCENES, Two, before_the_scene, cash


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
            papers = [one for one in again.tray.receipts[before:] if one.kind is ReceiptKind.Z_REPORT]
            if again.shifts.totals.is_open:
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


def test_a_z_report_that_is_in_the_queue_is_not_made_again(tmp_path: Path) -> None:
    """Nor one of a shift that the journal no longer has."""
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

"""Wherever a disk refuses or the power goes in a sale, a return or a cancelling: once, or not at all. DESIGN §5, §6."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest

from offline_ledger.errors import Refusal, RequestExpired, RequestMismatch, SaleNotSettled
from offline_ledger.protocol.device import VoucherKind
from offline_ledger.terminal.lights import GREEN
from offline_ledger.texts import Texts
from pos_app.counter.flow import Screen
from pos_app.counter.sale_record import SaleState
from simulators.storage.disk import DiskFaults, simulated_disk
from tests.pos_app.desk.desks import Desk

Act = Callable[[Desk], None]


class Two:
    """A disk for the journal and one for the shop's file."""

    def __init__(self, name: str, folder: Path) -> None:
        self._name, self._folder = name, folder

    def __enter__(self) -> tuple[Desk, DiskFaults, DiskFaults]:
        journal, shop = DiskFaults(), DiskFaults()
        self._disks = [simulated_disk(f"{self._name}-{one}", faults) for one, faults in (("j", journal), ("s", shop))]
        names = [one.__enter__().name for one in self._disks]
        self._folder.mkdir()
        self._desk = Desk(self._folder, Random(7), (names[0], names[1]))
        self._faults = (journal, shop)
        return self._desk, journal, shop

    def __exit__(self, *_: object) -> None:
        self._desk.mend(*self._faults)
        self._desk.close()
        for one in self._disks:
            one.__exit__(None, None, None)


def cash(desk: Desk) -> None:
    """For money alone."""
    desk.put("120")
    desk.press("cash", given="500")


def kgo(desk: Desk) -> None:
    """KGO first, then money."""
    desk.put("120")
    desk.press("kgo", amount="20")
    desk.show_code(2_000)
    desk.press("cash", given="100")


def refund(desk: Desk) -> None:
    desk.press("receipts")
    desk.press("receipt", number="1")
    desk.press("refund_start", number="1")
    desk.press("refund", number="1", amount="50")


def void(desk: Desk) -> None:
    desk.press("receipts")
    desk.press("receipt", number="1")
    desk.press("void", number="1")


def cancel(desk: Desk) -> None:
    desk.put("120")
    desk.press("kgo", amount="20")
    desk.show_code(2_000)
    desk.press("cancel_sale")


def home(desk: Desk) -> None:
    """Back to an empty counter, whatever was left half done: what is paid is closed, what is not is cancelled."""
    for _ in range(8):
        sale = desk.core.state.sale
        match desk.screen:
            case Screen.LOCKED:
                desk.sign_in()
            case Screen.WAIT_KGO:
                desk.press("kgo_cancel")
            case Screen.PAY if sale.tenders:
                try:
                    desk.press("cash")
                except SaleNotSettled:  # it was being cancelled
                    desk.press("cancel_sale")
            case Screen.PAY | Screen.SALE if sale.basket.lines:
                desk.press("cancel_sale")
            case Screen.SALE | Screen.NO_SHIFT:
                return
            case Screen.DONE:
                desk.press("next")
            case _:
                desk.press("back")
    raise AssertionError(f"no way home from {desk.screen}")


SCENES: dict[str, tuple[tuple[Act, ...], Act]] = {
    "cash": ((), cash),
    "kgo": ((), kgo),
    "refund": ((kgo,), refund),
    "void": ((kgo,), void),
    "cancel": ((), cancel),
}
FAILS_MAX = 12


def before_the_scene(desk: Desk, acts: tuple[Act, ...]) -> None:
    desk.begin()
    for act in acts:
        act(desk)
        desk.press("next")
    desk.settle()


@pytest.fixture(params=["journal", "shop"])
def which(request: pytest.FixtureRequest) -> Iterator[int]:
    yield ["journal", "shop"].index(request.param)


@pytest.mark.parametrize("scene", SCENES)
def test_a_sync_that_fails_anywhere_leaves_one_truth(scene: str, which: int, tmp_path: Path) -> None:
    """Once the till goes on with a mended disk, once it is started anew from what the disk then had."""
    acts, act = SCENES[scene]
    failed = 0
    for fails_at in range(1, FAILS_MAX):
        with Two(f"{scene}-{which}-{fails_at}-{tmp_path.name}", tmp_path / str(fails_at)) as (desk, *faults):
            before_the_scene(desk, acts)
            faults[which].sync_fails_at = fails_at
            with suppress(Refusal):
                act(desk)
            if faults[which].sync_fails_at is not None:
                break  # the scene has no more syncs than that
            failed += 1
            again = desk.cut(tmp_path / f"{fails_at}-cut")
            home(again)
            again.check()
            again.close()
            desk.mend(*faults)
            desk.look()
            home(desk)
            desk.check()
    assert failed > (1 if which == 0 else 0), "no sync of it has failed"


@pytest.mark.parametrize("scene", ["refund", "void"])
def test_a_return_that_is_pressed_again_after_an_error_is_given_once(scene: str, which: int, tmp_path: Path) -> None:
    acts, act = SCENES[scene]
    for fails_at in range(1, 5):
        with Two(f"again-{scene}-{which}-{fails_at}-{tmp_path.name}", tmp_path / str(fails_at)) as (desk, *faults):
            before_the_scene(desk, acts)
            faults[which].sync_fails_at = fails_at
            is_done = True
            try:
                act(desk)
            except Refusal:
                is_done = False
            desk.mend(*faults)
            if not is_done:
                home(desk)
                act(desk)
            desk.check()
            record = desk.receipt(1)
            assert len(record.returns) == 1 and record.is_void is (scene == "void")
            assert record.back.goods_satang == (12_000 if scene == "void" else 5_000)


def test_a_closing_that_fails_is_pressed_again_and_closes_once(tmp_path: Path) -> None:
    """Also when the money is handed back, the goods change, and the customer pays another way."""
    with Two(f"closing-{tmp_path.name}", tmp_path / "till") as (desk, journal, _shop):
        desk.begin()
        desk.put("120")
        journal.sync_fails_at = 2  # the voucher is there, its event is not
        with pytest.raises(Refusal):
            desk.press("cash", given="500")
        desk.mend(journal)
        assert desk.screen is Screen.PAY and desk.core.state.sale.number == 1
        desk.press("drop_tender", index="0")
        desk.press("back")
        desk.press("add_amount", amount="10")
        desk.press("pay")
        desk.press("kgo", amount="20")
        desk.show_code(2_000)
        desk.press("cash")
        assert desk.screen is Screen.DONE
        desk.check()
        assert desk.station.acceptor.till.is_taken_back(1)
        assert (desk.shifts.totals.bill_satang, desk.shifts.totals.kgo) == (13_000, 2_000)


def test_a_sale_held_after_its_voucher_closes_once_however_many_come_between(tmp_path: Path) -> None:
    with Two(f"held-{tmp_path.name}", tmp_path / "till") as (desk, journal, _shop):
        desk.begin()
        desk.put("120")
        journal.sync_fails_at = 2
        with pytest.raises(Refusal):
            desk.press("cash", given="500")
        desk.mend(journal)
        name = desk.core.state.sale.sale
        desk.press("hold")
        for number in range(66):
            cash(desk)
            assert desk.core.state.done is not None and desk.core.state.done.record.number == number + 2
        desk.press("next")
        desk.press("held")
        desk.press("recall", sale=name)
        desk.press("cash")
        desk.check()
        assert desk.receipt(1).sale == name and desk.shifts.totals.sales == 67 == desk.journal.tail.sequence


def test_kgo_of_a_held_sale_are_not_lost_however_many_come_between(tmp_path: Path) -> None:
    desk = Desk(tmp_path, Random(7)).begin()
    desk.put("120")
    desk.press("kgo", amount="20")
    desk.show_code(2_000)
    name = desk.core.state.sale.sale
    desk.press("hold")
    for _ in range(66):
        cash(desk)
    desk.settle()
    again = desk.cut(tmp_path.with_name("held-cut"))
    again.sign_in()
    again.press("held")
    again.press("recall", sale=name)
    assert again.screen is Screen.PAY and again.core.state.sale.due_satang == 10_000
    again.press("cash")
    again.check()
    assert again.receipt(1).paid.kgo == 2_000
    again.close()
    desk.close()


def test_a_cancelled_sale_does_not_come_back_with_its_kgo(tmp_path: Path) -> None:
    """The power goes between the voucher that gave them back and the record."""
    with Two(f"cancelled-{tmp_path.name}", tmp_path / "till") as (desk, _journal, shop):
        desk.begin()
        desk.put("120")
        desk.press("kgo", amount="20")
        desk.show_code(2_000)
        desk.settle()
        name = desk.core.state.sale.sale
        shop.writes_fail = True
        desk.press("cancel_sale")
        again = desk.cut(tmp_path / "cut")
        again.settle()
        found = again.sales.get(name)
        assert found is not None and found.state is SaleState.DROPPED
        assert not again.core.state.sale.basket.lines
        again.check()
        again.close()


@pytest.mark.parametrize("is_locked", [True, False])
def test_what_a_wallet_signed_before_the_cut_is_taken_after_it(tmp_path: Path, is_locked: bool) -> None:
    (tmp_path / "shop").mkdir()
    desk = Desk(tmp_path / "shop", Random(7)).begin()
    desk.put("300")
    desk.press("kgo", amount="80")
    request, answer = desk.core.state.request_qr, desk.signed_answer()
    desk.settle()
    again = desk.cut(tmp_path / "again")
    assert again.core.state.request_qr == request, "the same one stands on the display"
    if not is_locked:
        again.sign_in()
        assert again.screen is Screen.WAIT_KGO
    assert again.scan(answer).light in GREEN
    if is_locked:
        again.sign_in()
    assert again.screen is Screen.PAY and again.core.state.sale.due_satang == 22_000
    again.press("cash")
    assert again.receipt(1).paid.kgo == 8_000
    again.check()
    for one in (desk, again):
        one.close()


def test_an_answer_that_comes_back_after_the_requests_end_says_to_ask_anew(tmp_path: Path) -> None:
    """The till was dark for longer than its request lives: the remedy names the button that stands there, and works."""
    (tmp_path / "shop").mkdir()
    desk = Desk(tmp_path / "shop", Random(7)).begin()
    desk.put("300")
    desk.press("kgo", amount="80")
    answer, ends_s = desk.signed_answer(), desk.core.state.request_ends_s
    desk.settle()
    again = desk.cut(tmp_path / "again")
    again.conditions.now = again.conditions.now._replace(at_s=ends_s + 18)
    again.look()
    again.sign_in()
    assert again.screen is Screen.WAIT_KGO and not again.core.state.request_qr
    late = again.scan(answer)
    assert isinstance(late.refusal, RequestExpired)
    assert [one.kind for one in again.vouchers] == [VoucherKind.CANCELLED_REQUEST], (
        "what the wallet set aside comes back"
    )
    for language in ("th", "en"):
        texts = Texts(language)
        assert texts.get("till.page.wait.ask_qr") in texts.remedy(late.refusal)
    again.press("kgo_request")
    assert isinstance(again.scan(answer).refusal, RequestMismatch), "the old answer pays nothing any more"
    assert again.scan(again.signed_answer()).light in GREEN
    assert again.screen is Screen.PAY and again.core.state.sale.due_satang == 22_000
    again.press("cash")
    assert again.receipt(2).paid.kgo == 8_000
    again.check()
    for one in (desk, again):
        one.close()


def test_kgo_that_may_no_longer_be_used_after_the_cut_are_chosen_anew(tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    desk = Desk(tmp_path / "shop", Random(7)).begin()
    desk.put("300")
    desk.press("kgo", amount="20")
    desk.settle()
    sale = desk.core.state.sale
    desk.saver.now(sale._replace(asked_kgo=30_001))
    again = desk.cut(tmp_path / "again")
    again.sign_in()
    assert again.screen is Screen.SALE and not again.core.state.sale.asked_kgo
    assert again.till.sale is None
    for one in (desk, again):
        one.close()


def test_of_two_sales_on_the_counter_nobody_is_asked_to_pay_the_one_that_is_put_aside(tmp_path: Path) -> None:
    """A till makes never two, but a file may come from anywhere."""
    (tmp_path / "shop").mkdir()
    desk = Desk(tmp_path / "shop", Random(7)).begin()
    desk.put("300")
    desk.press("kgo", amount="80")
    answer, asked = desk.signed_answer(), desk.core.state.sale
    desk.saver.now(asked._replace(sale="f" * len(asked.sale), asked_kgo=0, at_s=asked.at_s + 1))
    again = desk.cut(tmp_path / "again")
    again.sign_in()
    assert again.screen is Screen.SALE and again.core.state.sale.sale != asked.sale
    assert again.till.sale is None and not again.core.state.request_qr
    assert again.scan(answer).light not in GREEN, "the customer on the display is another one"
    (aside,) = again.sales.held()
    assert aside.sale == asked.sale and not aside.asked_kgo and not aside.tenders
    again.check()
    for one in (desk, again):
        one.close()

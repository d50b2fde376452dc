"""What at a till keeps a new version waiting: goods, tenders, a request, a screen, paper. FIELD_LESSONS 37."""

from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from offline_ledger.errors import PrinterNoPaper, PrinterPaperLow, Refusal
from pos_app.counter.flow import Screen
from tests.pos_app.desk.desks import Desk

SALE, SCREEN, PAPER, NOTHING = "a sale is open", "somebody works at the screen", "a receipt is being printed", ""


@pytest.fixture
def desk(tmp_path: Path, rng: Random) -> Iterator[Desk]:
    made = Desk(tmp_path, rng)
    yield made
    made.close()


def thing(desk: Desk, papers: int = 0, printer: Refusal | None = None) -> str:
    assert desk.desk is not None
    return desk.desk.open_thing(papers, printer)


def test_a_sale_from_its_first_line_to_its_thanks(desk: Desk) -> None:
    assert (desk.screen, thing(desk)) == (Screen.LOCKED, NOTHING)
    desk.sign_in()
    assert (desk.screen, thing(desk)) == (Screen.NO_SHIFT, NOTHING)
    desk.press("open_shift", float="500")
    assert (desk.screen, thing(desk)) == (Screen.SALE, NOTHING)
    desk.press("add_amount", amount="20")
    assert thing(desk) == SALE
    desk.press("lock")
    assert (desk.screen, thing(desk)) == (Screen.LOCKED, SALE), "behind the lock the goods are still there"
    desk.sign_in()
    desk.press("pay")
    assert thing(desk) == SALE
    desk.press("kgo", kgo="0.5")
    assert (desk.screen, thing(desk)) == (Screen.WAIT_KGO, SALE)
    desk.press("kgo_request")
    assert desk.core.state.request_qr and thing(desk) == SALE
    desk.press("kgo_cancel")
    desk.press("promptpay")
    assert (desk.screen, thing(desk)) == (Screen.PROMPTPAY, SALE)
    desk.press("promptpay_cancel")
    desk.press("cash", given="20")
    assert (desk.screen, thing(desk)) == (Screen.DONE, SCREEN), "the change is on the screen"
    desk.press("next")
    assert thing(desk) == NOTHING


def test_what_is_put_aside_keeps_nobody(desk: Desk) -> None:
    desk.begin()
    desk.press("add_amount", amount="20")
    desk.press("hold")
    assert (desk.screen, thing(desk)) == (Screen.SALE, NOTHING), "it is durable, and comes back to the list"


def test_screens_in_the_middle_of_something(desk: Desk) -> None:
    desk.begin()
    desk.put("20")
    desk.press("cash", given="20")
    desk.press("next")
    for action, screen in (("receipts", Screen.RECEIPTS), ("shift", Screen.SHIFT), ("held", Screen.HELD)):
        desk.press(action)
        assert (desk.screen, thing(desk)) == (screen, SCREEN)
        desk.press("back")
        assert thing(desk) == NOTHING
    desk.press("shift")
    desk.press("close_shift", count="520")
    assert desk.screen in (Screen.REPORT, Screen.SHIFT) and thing(desk) == SCREEN, "the Z report waits to be seen"


def test_paper_on_its_way(desk: Desk) -> None:
    desk.begin()
    assert thing(desk, 1) == PAPER and thing(desk, 1, PrinterPaperLow()) == PAPER
    assert thing(desk, 1, PrinterNoPaper()) == NOTHING, "it is durable, and printed after the next start"
    assert thing(desk, 0) == NOTHING

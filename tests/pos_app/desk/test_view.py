"""What the screens are told of a light: nothing that only the headless till can obey. DESIGN §3."""

from pathlib import Path
from random import Random
from typing import cast

from offline_ledger.errors import SaleWaits
from offline_ledger.texts import Texts
from pos_app.counter.flow import Screen
from pos_app.desk.desk import CALLED_MS
from pos_app.desk.view import Looked, View, customer_view_of, view_of
from tests.pos_app.desk.desks import DEVICE, Desk


def test_the_line_of_a_sale_that_waits_names_commands_and_stays_off_the_page(tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    desk = Desk(tmp_path / "shop", Random(7)).begin()
    desk.put("300")
    desk.press("kgo", amount="20")
    desk.show_code(2_000, is_shown=False)
    again = desk.cut(tmp_path / "again")
    again.sign_in()
    assert again.screen is Screen.WAIT_KGO
    other = again.show_code(2_000)
    assert isinstance(other.refusal, SaleWaits)
    line = Texts("th").get("till.open_waits")
    assert "aside" in line
    looked = Looked(other.light, other, {**again.till.about(other), "line_th": line})
    for view in (view_of(again.core, looked), customer_view_of(again.core, looked)):
        light = cast(View, view["light"])
        assert (light["line"], cast(View, light["refusal"])["number"]) == ("", SaleWaits.number)
    for one in (desk, again):
        one.close()


def test_a_till_that_is_looked_for_says_its_name_for_a_while(tmp_path: Path) -> None:
    desk = Desk(tmp_path, Random(7)).begin()
    assert desk.desk is not None
    assert (desk.desk.view()["called"], desk.desk.customer_view()["called"]) == (None, None)
    before = desk.core.revision
    desk.desk.call()
    desk.look()
    assert (desk.desk.view()["called"], desk.desk.customer_view()["called"]) == (DEVICE, DEVICE)
    desk.put("100")  # and the cashier works on
    assert desk.core.revision != before and desk.desk.view()["called"] == DEVICE
    desk.mono_ms += CALLED_MS
    desk.look()
    assert (desk.desk.view()["called"], desk.desk.customer_view()["called"]) == (None, None)
    desk.close()

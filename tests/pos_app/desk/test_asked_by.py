"""The customer's display names who asks as the wallet will: by the ids in the certificate that the city signed. §4."""

from pathlib import Path
from random import Random

from tests.pos_app.desk.desks import CERTIFICATE, DEVICE, Desk
from tests.pos_app.desk.test_adds_up import html_of


def test_the_display_has_the_ids_that_the_wallet_shows_while_it_asks(tmp_path: Path) -> None:
    desk = Desk(tmp_path, Random(7)).begin()
    desk.put("120")
    desk.press("kgo", amount="10")
    assert "asked-by" not in html_of(desk, "customer"), "a shown code names nobody"
    desk.press("kgo_request")
    html = html_of(desk, "customer")
    said = html[html.index("asked-by") :].partition("</p>")[0]
    assert CERTIFICATE.owner in said and DEVICE in said and "ร้าน" not in said.partition("<b>")[2], said
    assert "ร้าน" in html[: html.index("asked-by")], "the settings' name stands at the top, as ever"
    desk.close()

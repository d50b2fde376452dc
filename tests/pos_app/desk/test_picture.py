"""What one picture shows: of one moment, and of several troubles what the cashier can put right first. DESIGN §1."""

from pathlib import Path
from random import Random
from typing import cast

import pytest

from offline_ledger.errors import AuditLogRewritten, DrawerStuck, PrinterNoPaper, Refusal, ScannerLost
from pos_app.desk.view import AT_HAND, Looked, View, view_of
from tests.pos_app.desk.desks import Desk
from tests.pos_app.page.test_words import TROUBLES


@pytest.mark.parametrize(
    ("what", "refusal"),
    [
        ("printer", PrinterNoPaper()),
        ("drawer", DrawerStuck()),
        *((reader, ScannerLost()) for reader in ("wedge", "device", "card")),
    ],
)
def test_what_the_cashier_can_put_right_is_told_before_what_waits_for_somebody_else(
    tmp_path: Path, what: str, refusal: Refusal
) -> None:
    desk = Desk(tmp_path, Random(7))
    standing: tuple[tuple[str, Refusal], ...] = (("audit_log", AuditLogRewritten()), (what, refusal))
    shown = cast(list[View], view_of(desk.core, Looked(troubles=standing))["troubles"])
    assert [one["what"] for one in shown] == [what, "audit_log"]
    desk.close()


def test_only_troubles_that_there_are_come_first() -> None:
    assert set(TROUBLES) >= AT_HAND


def test_a_screen_that_is_drawn_while_somebody_presses_is_of_one_moment(tmp_path: Path) -> None:
    desk = Desk(tmp_path, Random(7)).begin()
    desk.put("120")
    desk.press("cash", given="500")
    before = desk.core.frozen()
    desk.press("next")
    shown = view_of(before, Looked())
    assert (shown["screen"], shown["change_satang"], shown["revision"]) == ("done", 38_000, before.revision)
    desk.close()

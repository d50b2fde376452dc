"""What a line says about the link: a terminal that has never synced is not told to go on selling. DESIGN §7."""

import json
import os

import pytest

from offline_ledger.errors import CaFileLost, CityCertificateWrong, CityRefused, CityUnreachable, Refusal
from offline_ledger.terminal.headless import LineLamp
from offline_ledger.terminal.status import SyncStatus

AT_S = 1_795_000_000


def status(complete_at_s: int | None, trouble: Refusal) -> SyncStatus:
    return SyncStatus(0, None, 0, None, complete_at_s, False, 3, trouble, (), False)


@pytest.mark.parametrize("trouble", [CityUnreachable(), CityCertificateWrong(), CaFileLost(), CityRefused("4003")])
def test_go_on_selling_is_said_only_to_who_has_sold(trouble: Refusal, monkeypatch: pytest.MonkeyPatch) -> None:
    read, write = os.pipe()
    with os.fdopen(read, encoding="utf-8") as lines, os.fdopen(write, "w") as stream:
        monkeypatch.setattr("sys.stdout", stream)
        lamp = LineLamp()
        for complete_at_s in (None, AT_S):
            lamp.status(status(complete_at_s, trouble), AT_S)
            lamp.trouble("sync", trouble)
        badge, told, later_badge, later = (json.loads(lines.readline()) for _ in range(4))
        monkeypatch.undo()
    for first, second in ((badge, later_badge), (told, later)):
        assert (first["title_th"], first["title_en"]) == (second["title_th"], second["title_en"])
        if isinstance(trouble, CityRefused):
            assert first["remedy_en"] == second["remedy_en"]
            continue
        assert "never synced" in first["remedy_en"] and "รับ KGO ต่อได้" not in first["remedy_th"]
        assert "Go on taking KGO" in second["remedy_en"] and "รับ KGO ต่อได้" in second["remedy_th"]

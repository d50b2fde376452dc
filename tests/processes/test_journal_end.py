"""A bus that kept its key and lost its journal and marks: the city's answer stops it before a light. Decision 0053.

Real processes; the files are removed as somebody who tidies up would.
"""

from pathlib import Path

import pytest

from offline_ledger.errors import JournalLost
from simulators.demo.desk import Desk
from simulators.demo.processes import PYTHON, run_tool
from simulators.demo.reader_files import open_copy, rows
from simulators.demo.story import GREEN
from simulators.fault_link import Mode
from tests.processes.test_kill import small_town, start_again, start_trip
from tests.processes.tills import show

MUST_RECONNECT = (1501, 3007)


def tidy_up(bus: Desk) -> None:
    """All but key, certificate and the city's keys."""
    for path in (*bus.folder.glob("journal.db*"), *bus.folder.glob("device.cert.used")):
        path.unlink()


def run_to_end(bus: Desk) -> str:
    """What it says when it does not start."""
    command = (*PYTHON, bus.kind.module, "--settings", str(bus.settings_file))
    return run_tool("kgo-bus", command, bus.folder / "ended.log", may_fail=True).stderr


@pytest.mark.timeout(300)
def test_no_green_after_the_journal_was_tidied_away(tmp_path: Path, seed: int) -> None:
    with small_town(tmp_path, seed) as (town, crowd, _shop, bus):
        start_trip(bus)
        for _ in range(3):
            assert show(bus, crowd.next(bus))["light"] in GREEN
        town.wait_synced()
        assert bus.stop() == 0
        tidy_up(bus)
        bus.cut(Mode.REFUSE)
        start_again(bus)
        assert show(bus, crowd.next(bus))["refusal"] in MUST_RECONNECT, "offline: nothing that it could sell by"
        mark = bus.program.mark()
        bus.reconnect()
        said = bus.program.wait_for(lambda one: one.get("light") == "out_of_service", mark, "out of service")
        assert said["refusal"] == JournalLost.number
        heard = show(bus, crowd.next(bus))
        assert heard["light"] == "out_of_service" and heard["refusal"] == JournalLost.number
        assert not any(one.get("light") in GREEN for one in bus.program.said_since(mark))
        bus.program.kill()
        assert run_to_end(bus).startswith(f"{JournalLost.number} "), "offline too: the mark says what the city said"
        ledger = open_copy(town.city.ledger, tmp_path / "copy")
        assert rows(ledger, "SELECT count(*) FROM vouchers") == [(3,)]
        assert rows(ledger, "SELECT count(*) FROM fork_vouchers") == [(0,)]
        ledger.close()
        is_content, told = town.city.audit()
        assert is_content, told

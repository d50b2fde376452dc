"""A green is recorded as shown within a second, on a real validator killed before and after. DESIGN §2 "ratified"."""

import time
from pathlib import Path

from offline_ledger.protocol import cbor
from offline_ledger.protocol.device import EventKind
from offline_ledger.terminal.program import EXIT_REFUSED
from simulators.demo.processes import PYTHON, wait_until
from tests.processes.lone_bus import lone_bus, rider

RECORDED_S_MAX = 1.0
"""Of the design; the kill comes a tenth later."""


def test_a_second_after_its_green_a_power_cut_gives_no_second_one(tmp_path: Path) -> None:
    with lone_bus(tmp_path) as bus:
        bus.start()
        held = rider(0x7A7)
        assert bus.tap(held)["light"] == "accepted_cash_due"
        seen_s = time.monotonic()
        wait_until(lambda: time.monotonic() > seen_s + RECORDED_S_MAX + 0.1, "the second to pass")
        bus.program.kill()
        assert bus.start()["unratified"] == []
        assert bus.tap(held)["light"] == "already_accepted"
        bus.program.kill()
        vouchers, events = bus.journal()
    assert [row.sequence for row in vouchers] == [1]
    assert cbor.decode(next(event.body for event in events if event.kind == EventKind.RATIFIED), 100) == [1, [], []]


def test_a_green_that_was_lost_at_once_comes_back_once(tmp_path: Path) -> None:
    """Killed with the voucher durable and its green not recorded: listed at the start, then one uncharged green."""
    with lone_bus(tmp_path) as bus:
        bus.start()
        held = rider(0x7A8)
        bus.tap(held)
        bus.program.kill()  # within the second
        unratified = bus.start()["unratified"]
        first, second = bus.tap(held), bus.tap(held)
        assert second["light"] == "already_accepted"
        if unratified:
            assert unratified == [1] and first["light"] == "accepted_cash_due" and first["uncharged"] is True
        else:  # the record was quicker than the kill
            assert first["light"] == "already_accepted"
        bus.program.kill()
        vouchers, _events = bus.journal()
    assert [row.sequence for row in vouchers] == [1]


def test_a_green_that_nobody_saw_is_not_recorded_as_shown_however_cleanly_the_program_ends(tmp_path: Path) -> None:
    """Who read the lights went away between decision and light: the program ends, and closes its journal well."""
    with lone_bus(tmp_path) as bus:
        bus.start((*PYTHON, "tests.processes.unseen_bus", "--settings", str(bus.settings)))
        held = rider(0x7A9)
        bus.scanner.send(held.code(int(time.time())))
        wait_until(lambda: not bus.program.is_running, "the program to end")
        assert bus.program.exit_code == EXIT_REFUSED
        bus.program.kill()
        assert bus.start()["unratified"] == [1]
        back = bus.tap(held)
        assert (back["light"], back["sequence"], back["uncharged"]) == ("accepted_cash_due", 1, True)
        bus.program.kill()
        vouchers, events = bus.journal()
    assert [row.sequence for row in vouchers] == [1]
    assert [event.kind for event in events if event.kind == EventKind.RATIFIED] == []

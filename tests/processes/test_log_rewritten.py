"""Somebody with the ledger's database and the city's keys rewrites the log: the terminals notice, and go on selling.

Real processes: city, shop, bus. What the roots signed is all that the forger lacks. DESIGN §7, §8.
"""

import shutil
from contextlib import closing
from pathlib import Path

import pytest

from offline_ledger.city import recover
from offline_ledger.city.log import Log, write_checkpoint
from offline_ledger.city.store import Store
from simulators.demo.desk import Desk
from simulators.demo.processes import wait_until
from simulators.demo.story import GREEN
from simulators.demo.town import Town
from tests.processes.test_kill import Crowd, small_town, start_again, start_trip
from tests.processes.tills import settle, show

LOG_REWRITTEN = 3020
RIDES = 3


def forge_log(town: Town) -> None:
    """Another first leaf, all nodes and the checkpoint to fit, and the claim that a recovery explains it."""
    with closing(Store.open(town.city.ledger)) as store:
        leaves = [row[0] for row in store.fetch("SELECT data FROM leaves ORDER BY leaf")]
        assert len(leaves) >= 2 * RIDES
        with store.transaction():
            store.execute("DELETE FROM leaves")
            store.execute("DELETE FROM nodes")
            store.execute("UPDATE log SET size = 0")
            Log(store).append([b"what never was", *leaves[1:]])
            store.put_setting(recover.EXPLAINED, str(len(leaves)).encode())
        write_checkpoint(town.city.folder / "checkpoint", Log(store).head())


def sell(desk: Desk, crowd: Crowd, count: int) -> None:
    for _ in range(count):
        assert show(desk, crowd.next(desk))["light"] in GREEN


def wait_for_alarm(desk: Desk) -> None:
    desk.program.tell("sync")
    wait_until(
        lambda: desk.tell("status", "status").get("refusal") == LOG_REWRITTEN,
        f"{desk.device} to notice",
        30.0,
        step_s=0.2,
    )


@pytest.mark.timeout(300)
def test_a_rewritten_log_is_noticed_by_every_terminal_and_nothing_is_lost(tmp_path: Path, seed: int) -> None:
    with small_town(tmp_path, seed) as (town, crowd, shop, bus):
        start_trip(bus)
        for desk in (shop, bus):
            sell(desk, crowd, RIDES)
        town.wait_synced()
        assert town.city.stop() == 0
        honest = tmp_path / "honest"
        shutil.copytree(town.city.folder, honest)
        forge_log(town)
        town.city.serve()
        for desk in (shop, bus):
            sell(desk, crowd, 1)
            wait_for_alarm(desk)
            said = desk.tell("status", "status")
            assert said["status"] == "attention" and said["waiting"] == 1, said
        sell(bus, crowd, 1)
        assert bus.stop() == 0
        start_again(bus)
        assert bus.tell("status", "status")["waiting"] == 2, "nothing was believed, nothing was dropped"
        wait_for_alarm(bus)
        sell(bus, crowd, 1)
        assert town.city.stop() == 0
        for path in town.city.folder.glob("ledger.db*"):
            path.unlink()
        for name in ("ledger.db", "checkpoint"):
            shutil.copyfile(honest / name, town.city.folder / name)
        town.city.serve()
        figures = settle(town)
        assert figures.accepted == figures.acked == 2 * RIDES + 4

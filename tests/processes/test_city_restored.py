"""A city restored from a backup that lacks the last sales: with their leaves, and without them. DESIGN §7, §8.

Real processes. With the leaves that stopped terminals wrote out the old log goes on; without them a new one begins,
and terminals follow it on the word of the roots alone.
"""

import shutil
import ssl
from collections.abc import Callable
from http.client import HTTPSConnection
from pathlib import Path

import pytest

from offline_ledger.protocol import cose
from offline_ledger.protocol.city import LOG_CHECKPOINT, LogCheckpoint
from offline_ledger.protocol.kinds import OBJECT_BYTES_MAX, Kind
from simulators.demo.city import CITY
from simulators.demo.desk import Desk
from simulators.demo.processes import PYTHON, run_tool, wait_until
from simulators.demo.story import GREEN
from simulators.demo.town import Town
from tests.processes.test_kill import Crowd, small_town, start_again, start_trip
from tests.processes.tills import settle, show

LEDGER_RESTORED = 3009


def sell(desk: Desk, crowd: Crowd, count: int) -> None:
    for _ in range(count):
        assert show(desk, crowd.next(desk))["light"] in GREEN


def wait_until_told(desk: Desk, refusal: int | None) -> None:
    def is_so() -> bool:
        desk.program.tell("sync")
        return desk.tell("status", "status").get("refusal") == refusal

    wait_until(is_so, f"{desk.device} to say {refusal}", 40.0, step_s=0.3)


def checkpoint(town: Town) -> LogCheckpoint:
    context = ssl.create_default_context(cafile=str(town.city.ca_file))
    connection = HTTPSConnection("localhost", town.city.port, timeout=20, context=context)
    connection.request("GET", "/v1/checkpoint")
    raw = connection.getresponse().read(OBJECT_BYTES_MAX)
    connection.close()
    signed = cose.parse_sign1(raw, cose.external_aad(Kind.LOG_CHECKPOINT, CITY))
    return LOG_CHECKPOINT.decode(signed.payload, OBJECT_BYTES_MAX)


def publish_campaigns(town: Town) -> int:
    """An empty list of campaigns; its counter."""
    file = town.folder / "campaigns.json"
    file.write_text('{"campaigns": []}', encoding="utf-8")
    said = town.city.ask("--language", "en", "publish", "campaign", str(file))[1]
    return int(said.split(",")[0].rpartition(".")[2])


def leaves_of(desk: Desk, to: Path) -> None:
    """A stopped terminal writes out what it knows of the log."""
    assert desk.stop() == 0
    words = (*PYTHON, desk.kind.module, "--settings", str(desk.settings_file), "leaves", str(to))
    run_tool(f"{desk.kind.program} leaves", words, desk.folder / "leaves.log")


def recover_with_leaves(town: Town, shop: Desk, bus: Desk) -> str:
    for desk in (shop, bus):
        leaves_of(desk, town.folder / f"{desk.device}.leaves")
    files = [word for desk in (shop, bus) for word in ("--leaves", str(town.folder / f"{desk.device}.leaves"))]
    said = town.city.ask("--language", "en", "recover", *files)[1]
    for desk in (shop, bus):
        start_again(desk)
    return said


def recover_without(town: Town, _shop: Desk, _bus: Desk) -> str:
    keys = town.city.folder / "keys"
    roots = [word for number in (1, 2) for word in ("--root", str(keys / f"root-{number}.key"))]
    return town.city.ask("--language", "en", "recover", "--new-log", *roots)[1]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("recover", [recover_with_leaves, recover_without])
def test_a_city_restored_from_an_older_backup(
    tmp_path: Path, seed: int, recover: Callable[[Town, Desk, Desk], str]
) -> None:
    with small_town(tmp_path, seed) as (town, crowd, shop, bus):
        start_trip(bus)
        sell(shop, crowd, 2)
        sell(bus, crowd, 2)
        town.wait_synced()
        assert town.city.stop() == 0
        shutil.copyfile(town.city.ledger, tmp_path / "backup.db")
        town.city.serve()
        sell(shop, crowd, 2)
        sell(bus, crowd, 3)
        counters = [publish_campaigns(town) for _ in range(2)]
        town.wait_synced()
        before = checkpoint(town)
        assert (before.size, before.begun_after) == (9, None)
        assert town.city.stop() == 0
        for path in town.city.folder.glob("ledger.db*"):
            path.unlink()
        shutil.copyfile(tmp_path / "backup.db", town.city.ledger)
        town.city.serve()
        sell(bus, crowd, 1)
        for desk in (shop, bus):
            wait_until_told(desk, LEDGER_RESTORED)
        said = recover(town, shop, bus)
        assert publish_campaigns(town) > max(counters), "terminals would not take what has a number that they know"
        town.wait_synced()
        after = checkpoint(town)
        if recover is recover_with_leaves:
            assert "5" in said and (after.size, after.begun_after) == (10, None)
        else:
            assert after.begun_after == (before.size, before.root) and "2 is in force" in said
        figures = settle(town)
        assert figures.accepted == figures.acked == 10

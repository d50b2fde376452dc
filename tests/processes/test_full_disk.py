"""A real disk runs full under a real validator: one steady light, and service again by itself. DESIGN §6.

A journal has room laid out beforehand, so a full disk does not stop the first sale; it stops the one for which that
room would not reach any more.
"""

import os
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from offline_ledger.errors import StorageFull
from offline_ledger.terminal.journal import Journal
from offline_ledger.terminal.signers.key_file import open_key_file
from simulators.demo.desk import is_light
from simulators.demo.processes import PYTHON, Said, wait_until
from tests.processes.lone_bus import CHEAP_FARE, LoneBus, lone_bus, rider
from tests.processes.small_disk import FILLER, empty, fill, from_outside, on_small_disk, twice
from tests.terminal.city_in_test import CityInTest, DeviceInTest
from tests.terminal.https_city import HttpsCity, make_authority, server_context
from tests.terminal.provisioned import DEVICE

TAPS_MAX = 2_500
STEADY_LOOKS = 8
SIZE = "24m"
GREEN = "accepted_cash_due"
SILENT = "https://127.0.0.1:9"


@contextmanager
def bus_on_a_disk(folder: Path) -> Iterator[tuple[LoneBus, Path]]:
    """A bus whose files lie on a small disk, started; the disk as seen from outside."""
    place, seed = folder / "disk", folder / "seed"
    place.mkdir(parents=True)
    seed.mkdir()
    with lone_bus(seed, fare=CHEAP_FARE) as bus:
        bus.start(on_small_disk(place, SIZE, seed, program_at(place)))
        yield bus, from_outside(bus.program.pid, place)


def program_at(place: Path) -> tuple[str, ...]:
    return (*PYTHON, "bus_validator", "--settings", str(place / "bus.toml"))


def tap_until_full(bus: LoneBus) -> tuple[list[int], int, Said]:
    """Riders until one is refused for want of room: the greens' sequences, who was refused, and the light."""
    greens: list[int] = []
    for number in range(1, TAPS_MAX):
        said = bus.tap(rider(number))
        if said["light"] == "out_of_service":
            return greens, number, said
        assert said["light"] == GREEN
        greens.append(said["sequence"])
    raise AssertionError("the disk never counted as full")


def copy_at_rest(disk: Path, to: Path) -> None:
    """As a technician copies the card of a terminal that does nothing, without what filled it."""
    shutil.rmtree(to, ignore_errors=True)
    shutil.copytree(disk, to, ignore=shutil.ignore_patterns(FILLER, "*.sock"))


def all_ratified(disk: Path, copy: Path) -> bool:
    copy_at_rest(disk, copy)
    with Journal.open(copy / "journal.db", device_id=DEVICE) as journal:
        return journal.unratified_sequences() == []


def test_one_steady_light_on_a_full_disk_and_service_again_by_itself(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    with bus_on_a_disk(tmp_path) as (bus, disk):
        assert fill(disk) > 0
        greens, number, said = tap_until_full(bus)
        assert said["refusal"] == StorageFull.number and said["remedy_th"] and said["remedy_en"]
        stopped_at = bus.program.mark()

        # it stays so: no wait light in between, the same words for everybody, and it still answers
        for look in range(STEADY_LOOKS):
            badge, troubles = bus.status()
            assert badge["waiting"] == len(greens)
            assert ("journal", StorageFull.number) in [(one["trouble"], one["refusal"]) for one in troubles]
            assert bus.tap(rider(2_000 + look))["refusal"] == StorageFull.number
        lights = [one["light"] for one in bus.program.said_since(stopped_at) if "light" in one]
        assert lights == ["out_of_service"] * STEADY_LOOKS

        mark = bus.program.mark()
        empty(disk)
        bus.program.wait_for(lambda one: one.get("light") == "wait", mark, "service by itself")
        assert [one for one in bus.program.said_since(mark) if is_light(one)] == []
        wait_until(lambda: "journal" not in [one["trouble"] for one in bus.status()[1]], "the end of the trouble")
        back = bus.tap(rider(number))  # who was refused is charged now, once
        assert back["light"] == GREEN and back["sequence"] == greens[-1] + 1
        greens.append(back["sequence"])
        wait_until(lambda: all_ratified(disk, copy), "the last green to be recorded as shown")
        assert bus.program.stop("quit") == 0
    with Journal.open(copy / "journal.db", device_id=DEVICE) as journal:
        rows = journal.pending(TAPS_MAX, 0)
        assert [row.sequence for row in rows] == greens == list(range(1, len(greens) + 1))
        assert len({row.wallet_object for row in rows}) == len(rows)


def program_under(shell_pid: int) -> int:
    """The only child of a shell."""
    (child,) = Path(f"/proc/{shell_pid}/task/{shell_pid}/children").read_text().split()
    return int(child)


def test_started_again_on_a_full_disk_it_reads_sells_and_syncs(tmp_path: Path) -> None:
    """The power fails, and meanwhile the disk is filled to the last byte: no file can be made or grow, not even the
    journal's mark. What was accepted is known after the start, and is sent."""
    place, seed = tmp_path / "disk", tmp_path / "seed"
    place.mkdir()
    seed.mkdir()
    authority = make_authority(tmp_path)
    city = CityInTest(lambda: int(time.time()))
    with (
        HttpsCity(city, server_context(tmp_path, authority)) as server,
        lone_bus(seed, url=SILENT, ca_file=authority.ca_file, fare=CHEAP_FARE) as bus,
    ):
        city.devices[DEVICE] = DeviceInTest(open_key_file(seed / "device.key").point)
        bus.start(on_small_disk(place, SIZE, seed, twice(program_at(place))))
        disk = from_outside(bus.program.pid, place)
        riders = [rider(number) for number in range(1, 4)]
        greens = [bus.tap(held)["sequence"] for held in riders]

        mark = bus.program.mark()
        os.kill(program_under(bus.program.pid), signal.SIGKILL)
        bus.program.wait_for(lambda one: str(one.get("text")).startswith("ended"), mark, "the end of the first")
        (disk / "bus.toml").write_text((disk / "bus.toml").read_text().replace(SILENT, server.url))
        (disk / "journal.db.mark").write_text("1\n")  # it is moved now and then, so it may well say less
        assert fill(disk) > 0
        bus.program.tell("again")
        ready = bus.program.wait_for(lambda one: one.get("ready") is True, mark, "ready on a full disk")
        assert ready["sequence"] == len(greens) == 3
        assert (disk / "journal.db.mark").read_text() == "1\n", "there was room to move it: the disk was not full"

        again = bus.tap(riders[-1])  # the same allowance: its green was recorded as shown before the kill, or not
        assert again["sequence"] == 3 and (again["light"] == "already_accepted" or again["uncharged"])
        assert bus.tap(rider(4))["sequence"] == 4, "a journal keeps room laid out for the next sales"
        wait_until(lambda: bus.status()[0]["waiting"] == 0, "all to be sent", step_s=0.1)
        assert sorted(city.devices[DEVICE].identities) == [1, 2, 3, 4]

        empty(disk)
        bus.program.tell("sync")
        wait_until(lambda: (disk / "journal.db.mark").read_text() == "4\n", "the mark to be moved")
        assert bus.tap(rider(5))["sequence"] == 5
        assert bus.program.stop("quit") == 0

"""A terminal enrolled by token, by file or by codes to and fro takes a fare before it reached its city. DESIGN §4, §8.

Real programs; codes are pictures, read by the device's own scanner on a pty and by the city's command. Decision 0231.
"""

import contextlib
import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import zxingcpp
from PIL import Image

from offline_ledger.city.answer_codes import DPI, pages_of
from offline_ledger.errors import AnswerIncomplete, AnswerPartForeign, ClockBehind, MustReconnect
from offline_ledger.protocol.answer import split_answer
from offline_ledger.protocol.kinds import KEY_ID_BYTES
from offline_ledger.qr_picture import qr_picture
from offline_ledger.raster_pdf import pdf_of
from offline_ledger.terminal.program import EXIT_LATER
from simulators.demo.city import CITY
from simulators.demo.desk import BUS, SHOP, Desk, DeskSettings, Kind
from simulators.demo.processes import PYTHON, Child, run_tool, wait_until
from simulators.demo.story import GREEN
from simulators.demo.town import Person, Town
from simulators.fault_link import Mode, Plan
from simulators.gps import SimulatedGps
from tests.processes.quick_city import QuickCity
from tests.processes.test_kill import Crowd, start_again
from tests.processes.tills import settle, show

LOST = re.compile(r"journal\.db.*|device\.cert\.used|.*deny.*")
OWNERS = {BUS: "city-bus", SHOP: "coffee-1"}


class NewDesk(Desk):
    """A terminal that is not enrolled yet."""

    def command(self, *words: str, may_fail: bool = False) -> tuple[int, str]:
        line = (*PYTHON, self.kind.module, "--settings", str(self.settings_file), *words)
        done = run_tool("enrol", line, self.folder / "enrol.log", may_fail=may_fail)
        return done.returncode, done.stdout + done.stderr


@contextlib.contextmanager
def new_desk(town: Town, kind: Kind, device: str) -> Iterator[NewDesk]:
    settings = DeskSettings(kind, device, CITY, town.city.ca_file, town.city.port, town.folder / device, 1, False)
    with NewDesk(settings) as desk:
        desk.cut(Mode.REFUSE)
        town.desks[device] = desk
        yield desk


@pytest.fixture
def town(tmp_path: Path, seed: int) -> Iterator[Town]:
    with Town(tmp_path, seed, QuickCity) as made:
        made.found()
        yield made


def answer_codes(town: Town, desk: NewDesk, name: str) -> Path:
    """The city reads the picture of the request and draws the answer."""
    request, folder = desk.folder / f"{name}.png", desk.folder / name
    desk.command("enrol", "--request-qr", str(request))
    who = ("enrol", desk.device, "--role", desk.kind.role, "--owner", OWNERS[desk.kind])
    town.city.ask(*who, "--request-code", str(request), "--out-codes", str(folder))
    return folder


@contextlib.contextmanager
def satellites(desk: NewDesk) -> Iterator[SimulatedGps]:
    """A receiver, as buses have one."""
    if "[gps]" not in desk.settings_file.read_text():
        with desk.settings_file.open("a") as file:
            file.write('[gps]\nport = "gps"\n')
    with SimulatedGps(
        desk.folder / "gps", [(16_432_000, 102_834_000), (16_433_000, 102_834_000)], start_utc_s=int(time.time())
    ) as gps:
        yield gps


def wait_for_time(desk: NewDesk, gps: SimulatedGps) -> None:
    def is_heard() -> bool:
        gps.skip(max(0, int(time.time()) - 1 - gps.utc_s))  # the phones have this machine's time
        gps.tick()
        return any(said.get("clock") == "holdover" for said in desk.program.said_since(0))

    wait_until(is_heard, "the time", step_s=1.0)


def first_fare(town: Town, desk: NewDesk, gps: SimulatedGps | None = None) -> None:
    """Without a network, never synced; then all of it is posted. The time is the satellites', or the clock chip's."""
    start_again(desk)
    person = Crowd(town).next(desk)
    if gps is not None:
        wait_for_time(desk, gps)
    said = show(desk, person)
    assert said["light"] in GREEN, said
    assert desk.tell("status", "status")["status"] != "synced"
    desk.reconnect()
    desk.wait_synced()


@contextlib.contextmanager
def scan(desk: NewDesk) -> Iterator[tuple[Child, Path]]:
    """`enrol --scan`, ready; and what it says."""
    log = desk.folder / "scan.log"
    log.unlink(missing_ok=True)
    words = (*PYTHON, "bus_validator", "--settings", str(desk.settings_file), "--language", "en", "enrol", "--scan")
    with Child("enrol", words, log) as scanning:
        wait_until(lambda: "in any order" in log.read_text(), "the command to be ready")
        yield scanning, log


def check_half_keeps_nothing(desk: NewDesk, part: Path) -> None:
    key = (desk.folder / "device.key").read_bytes()
    with scan(desk) as (scanning, log):
        desk.scanner.scan(Image.open(part))
        wait_until(lambda: "still missing 1 " in log.read_text(), "a part")
        os.kill(scanning.pid, signal.SIGINT)
        wait_until(lambda: scanning.exit_code == EXIT_LATER, "its end")
    assert f"{AnswerIncomplete.number} " in log.read_text() and "missing 1 " in log.read_text()
    assert not (desk.folder / "device.cert").exists() and (desk.folder / "device.key").read_bytes() == key


def check_paper(folder: Path, pictures: list[Path]) -> None:
    """As somebody prints it: the page as a picture, all codes in it found."""
    codes = (folder / "codes.txt").read_text().splitlines()
    (page,) = pages_of([Image.open(one) for one in pictures])
    found = zxingcpp.read_barcodes(page.convert("L"))
    assert sorted(one.text for one in found) == sorted(codes)
    assert (folder / "sheet.pdf").read_bytes() == pdf_of([page], DPI, "KGO")


@pytest.mark.timeout(300)
def test_by_codes_and_then_a_fare_before_the_first_sync(town: Town) -> None:
    with new_desk(town, BUS, "by-codes") as desk:
        folder = answer_codes(town, desk, "answer")
        pictures = sorted(folder.glob("*.png"))
        count = len(pictures)
        assert 2 <= count <= 24
        check_paper(folder, pictures)
        check_half_keeps_nothing(desk, pictures[1])
        with scan(desk) as (scanning, log):
            desk.scanner.scan(qr_picture(split_answer(b"another device's answer", bytes(KEY_ID_BYTES))[0]))
            wait_until(lambda: f"{AnswerPartForeign.number} " in log.read_text(), "the other device's to be refused")
            for have, picture in enumerate(reversed(pictures), 1):
                for _ in range(1 + have % 2):  # some are shown twice
                    desk.scanner.scan(Image.open(picture))
                wait_until(lambda have=have: f" {have}/{count}" in log.read_text(), f"code {have} of {count}")
            wait_until(lambda: scanning.exit_code == 0, "the command to end")
        said = log.read_text()
        assert re.search(r"first bulletins held: .*deny_list", said) and f"({ClockBehind.number})" in said
        with satellites(desk) as gps:
            first_fare(town, desk, gps)
        assert settle(town).accepted == 1


def check_old_answer_is_no_sync(desk: NewDesk, answer: Path, person: Person) -> None:
    """Its journal, marks and bulletins were lost, its key and the answer's file were not: nothing is sold under numbers
    that were used, before the city was heard. Decision 0246."""
    lost = [one for one in desk.folder.iterdir() if one.is_file() and LOST.match(one.name)]
    assert {"journal.db", "journal.db.mark", "device.cert.used"} <= {one.name for one in lost}, lost
    for one in lost:
        one.unlink()
    assert "deny_list" in desk.command("enrol", "--answer", str(answer))[1]
    with satellites(desk) as gps:
        start_again(desk)
        wait_for_time(desk, gps)
        said = show(desk, person)
    assert said["light"] not in GREEN and said["refusal"] == MustReconnect.number, said
    assert desk.stop() == 0


@pytest.mark.timeout(300)
def test_by_file_and_by_token_too(town: Town, soak: bool) -> None:
    """What both bring; in the soak each takes a fare, by satellites and by the clock chip."""
    with new_desk(town, BUS, "by-file") as desk, new_desk(town, SHOP, "by-token") as other:
        request, answer = desk.folder / "request", desk.folder / "answer"
        desk.command("enrol", "--request", str(request))
        who = ("enrol", desk.device, "--role", "validator", "--owner", "city-bus")
        town.city.ask(*who, "--request", str(request), "--out", str(answer))
        said = desk.command("enrol", "--answer", str(answer))[1]
        assert "deny_list" in said and f"({ClockBehind.number})" in said, "it does not know the time"
        other.network.apply(Plan())
        token = town.city.token("by-token", "shop", "coffee-1")
        said = other.command("enrol", "--token", token)[1]
        assert "deny_list" in said and f"({ClockBehind.number})" not in said, "the city said it"
        assert "deny_list" in other.command("enrol", "--token", token)[1], "again, to the same end"
        other.cut(Mode.REFUSE)
        if not soak:
            town.desks.clear()
            return
        with satellites(desk) as gps:
            first_fare(town, desk, gps)
        first_fare(town, other)
        again = Crowd(town).next(desk)
        assert settle(town).accepted == 2
        check_old_answer_is_no_sync(desk, answer, again)

"""A whole simulated bus for the self-test in this process: head, scanner, GPS, chip, city, screen, and a technician."""

import contextlib
import json
import os
import time
from argparse import Namespace
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread
from typing import Any

from bus_validator.self_test_parts import TAKING
from bus_validator.settings import SETTINGS
from offline_ledger.protocol.device import DeviceRole
from offline_ledger.terminal.program import Place, Program, read_terminal_settings
from offline_ledger.terminal.selftest.command import Bench, act
from offline_ledger.terminal.selftest.disk_part import DiskBounds
from offline_ledger.terminal.selftest.report import Proved, check_report
from offline_ledger.terminal.selftest.turn import Times
from offline_ledger.terminal.signers.key_file import open_key_file
from offline_ledger.texts import Texts
from simulators.clock import SimulatedRtc
from simulators.gps import SimulatedGps, path_of
from simulators.head.device import SimulatedHead
from simulators.technician import Technician
from tests.terminal.city_in_test import DEVICE, CityInTest, DeviceInTest
from tests.terminal.https_city import HttpsCity, make_authority, server_context
from tests.terminal.provisioned import provision_bus

QUICK = Times(ask_s=5.0, hand_s=1.5, look_s=0.15, fix_s=3.0, sentence_s=2.0, disk_s=2.0, dns_s=5.0, fill_s=0.05)
PATIENT = DiskBounds(median_ms=2_000, p99_ms=8_000)
"""This machine's disk has other tests to serve."""
KGO_BUS = Program("kgo-bus", "help.bus", DeviceRole.VALIDATOR, lambda _opened: 0, SETTINGS)
Steps = dict[str, dict[str, object]]


@dataclass
class Ended:
    """What came of a self-test."""

    code: int
    report: dict[str, Any]
    technician: Technician
    proved: Proved | None
    """None: the device has no key yet, or cannot open its journal."""

    @property
    def steps(self) -> Steps:
        """By id."""
        return {step["step"]: step for step in self.report["steps"]}

    def of(self, verdict: str) -> set[str]:
        """The ids of the steps with that verdict."""
        return {name for name, step in self.steps.items() if step["verdict"] == verdict}

    @property
    def failed(self) -> dict[str, object]:
        """Steps that failed, with their numbers."""
        return {name: step["refusal"] for name, step in self.steps.items() if step["verdict"] == "failed"}


@dataclass
class BusBench:
    """Parts that a test may break before it calls `test`."""

    folder: Path
    head: SimulatedHead
    gps: SimulatedGps
    chip: SimulatedRtc
    city: HttpsCity
    settings: Path
    hands: dict[str, Callable[[], None]] = field(default_factory=dict[str, Callable[[], None]])
    eyes: dict[str, Callable[[], bool | None]] = field(default_factory=dict[str, Callable[[], bool | None]])

    @contextlib.contextmanager
    def satellites(self) -> Iterator[None]:
        """The receiver's seconds pass, ten times as fast as ours."""
        ending = Event()

        def tick() -> None:
            while not ending.wait(0.1):
                self.gps.tick()

        ticking = Thread(target=tick, name="satellites", daemon=True)
        ticking.start()
        try:
            yield
        finally:
            ending.set()
            ticking.join()

    def scan(self, text: str) -> None:
        """There is no scanner but the head's."""

    def change(self, before: str, after: str) -> None:
        """In the settings file."""
        text = self.settings.read_text()
        assert before in text
        self.settings.write_text(text.replace(before, after))

    def test(
        self,
        *only: str,
        alone: bool = False,
        by_buttons: bool = False,
        disk: DiskBounds = PATIENT,
        times: Times = QUICK,
        language: str = "en",
    ) -> Ended:
        """The command, in this process, with the technician at its other end."""
        values = read_terminal_settings(KGO_BUS, self.settings)
        place = Place(KGO_BUS, values, self.settings)
        lines, out = os.pipe()
        keys, typed = os.pipe()
        report = self.folder / f"report-{time.monotonic_ns()}.json"
        with contextlib.ExitStack() as stack:
            for end in (lines, keys, typed):
                stack.callback(os.close, end)
            writing = stack.enter_context(os.fdopen(out, "w", encoding="utf-8"))
            technician = Technician(
                *(lines, typed, self.head),
                screen=self.folder / "screen.png" if "screen.png" in self.settings.read_text() else None,
                by_buttons=by_buttons,
                scan=self.scan,
                hands=self.hands,
                eyes=self.eyes,
            )
            given = Namespace(only=list(only), alone=alone, json=report, who="Somchai")
            try:
                code = act(TAKING, place, given, Texts(language), Bench(times, disk, keys, writing))
            finally:
                writing.close()
                technician.join()
        file = json.loads(report.read_bytes())
        proved = check_report(report.read_bytes()) if file["signature"] else None
        return Ended(code, file["report"], technician, proved)


@contextlib.contextmanager
def bus_bench(folder: Path) -> Iterator[BusBench]:
    """With head, GPS, chip, screen and a city that answers; no scanner of its own, no card reader."""
    authority = make_authority(folder)
    city = CityInTest(lambda: int(time.time()))
    with (
        HttpsCity(city, server_context(folder, authority)) as server,
        SimulatedHead(folder / "head") as head,
        SimulatedGps(folder / "gps", path_of("8", 0)) as gps,
        SimulatedRtc(folder / "chip") as chip,
    ):
        settings = provision_bus(
            folder, int(time.time()), folder / "no", url=server.url, ca_file=authority.ca_file, trip=None
        )
        city.devices[DEVICE] = DeviceInTest(open_key_file(folder / "device.key").point)
        text = settings.read_text().replace(f'[scanner]\nport = "{folder / "no"}"\n', "").replace('"rtc"', '"chip"')
        settings.write_text(
            text + '[head]\nport = "head"\n[screen]\naddress = "file:screen.png"\n[gps]\nport = "gps"\n'
        )
        bench = BusBench(folder, head, gps, chip, server, settings)
        with bench.satellites():
            yield bench

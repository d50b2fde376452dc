"""What `diagnose` tells goes over the wire as it is, and every trouble stands in one part with its remedy."""

import json
from collections.abc import Iterator
from enum import IntEnum, StrEnum
from pathlib import Path
from typing import NamedTuple, cast

import pytest

from bus_validator.drivers.gps import GpsSettings, SerialGps
from bus_validator.drivers.screen import Screen
from bus_validator.face import Theme
from offline_ledger.errors import CityUnreachable, DenyListLost, HeadLost, Refusal, ScannerLost, ScreenLost, TwoHeads
from offline_ledger.terminal.card_desk import CardDesk
from offline_ledger.terminal.control_commands import lines_of
from offline_ledger.terminal.diagnosis import Part, device_part, parts_of
from offline_ledger.terminal.drivers.camera import Camera, CameraSettings
from offline_ledger.terminal.drivers.card import CardReader, CardSettings
from offline_ledger.terminal.drivers.head import HeadSettings, ReaderHead
from offline_ledger.terminal.drivers.head_session import HeadStatus
from offline_ledger.terminal.drivers.scanner import ScannerSettings, SerialScanner
from offline_ledger.terminal.headless import LineLamp
from offline_ledger.terminal.program import MachineClock, Opened
from offline_ledger.terminal.uplink import HttpsUplink
from offline_ledger.texts import Texts
from simulators.clock import FakeClock
from tests.bus_validator.crewed import open_station, provision
from tests.terminal.city_in_test import DEVICE, NOW_S
from tests.terminal.desk import FlatBus, issue


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opened]:
    provision(tmp_path)
    clock = FakeClock(NOW_S)
    values: dict[str, object] = {"files.journal": "journal.db", "city.url": "https://127.0.0.1:9"}
    with open_station(tmp_path, clock) as station:
        nothing = cast(HttpsUplink, None)
        yield Opened(station, nothing, cast(MachineClock, clock), values, tmp_path / "bus.toml")


def told(parts: list[Part]) -> dict[str, dict[str, object]]:
    """As a caller reads them: strict JSON, one object a line."""
    lamp = LineLamp()
    lines = [json.dumps(lamp.part_words(part), allow_nan=False) for part in parts]
    return {part["part"]: part for part in map(json.loads, lines)}


def healths(folder: Path) -> dict[str, object]:
    """Of every driver there is, none of whose devices are there."""
    head = ReaderHead(HeadSettings(str(folder / "head")))
    head.open()
    status = HeadStatus(*(0 for _ in HeadStatus._fields))
    gps = SerialGps(GpsSettings(str(folder / "gps"), 9_600), monotonic_s=lambda: 0.0)
    scanner = SerialScanner(ScannerSettings(str(folder / "scanner")))
    screen = Screen(lambda: (_ for _ in ()).throw(ScreenLost("none")))
    found = {
        "head": head.health(),
        "head that spoke": head.health()._replace(status=status),
        "gps": gps.health(),
        "scanner": scanner.health(),
        "camera": Camera(CameraSettings(f"unix://{folder}/camera", 640, 480)).health(),
        "card": CardReader(CardSettings(), cast(CardDesk, None)).health()._replace(readers=("A 00", "B 01")),
        "screen": screen.health(),
        "lost screen": screen.health()._replace(trouble=ScreenLost("x"), size=(800, 480), theme=Theme.NIGHT),
    }
    for one in (head, gps, scanner):
        one.close()
    return found


def test_the_health_of_every_driver_goes_over_the_wire(tmp_path: Path) -> None:
    found = healths(tmp_path)
    parts = told([device_part(name, health) for name, health in found.items()])
    assert set(parts) == set(found)
    for name, health in found.items():
        fields = getattr(health, "_fields", None) or health.__dataclass_fields__  # type: ignore[attr-defined]
        assert set(cast(dict[str, object], parts[name]["facts"])) == set(fields), name
    facts = {name: cast(dict[str, object], part["facts"]) for name, part in parts.items()}
    assert facts["card"]["readers"] == ["A 00", "B 01"] and facts["lost screen"]["size"] == [800, 480]
    assert isinstance(facts["head that spoke"]["status"], dict) and facts["head"]["status"] is None


class Kind(StrEnum):
    A = "a"


class Number(IntEnum):
    ONE = 1


class Inner(NamedTuple):
    key: bytes
    rows: tuple[object, ...]


class Health(NamedTuple):
    value: object


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (None, None),
        (True, True),
        (7, 7),
        ("ก\ud800\n", "ก\ud800\n"),
        (b"\x00\xff", "00ff"),
        (Kind.A, "a"),
        (Number.ONE, 1),
        (("a", b"\x01", (1, None)), ["a", "01", [1, None]]),
        ([1, 2], [1, 2]),
        (Inner(b"\x02", (b"\x03",)), {"key": "02", "rows": ["03"]}),
        (Path("/dev/x"), "/dev/x"),
        (HeadLost("gone"), str(HeadLost("gone"))),
        ({"a": 1}, str({"a": 1})),
    ],
)
def test_whatever_a_driver_keeps_is_told(value: object, plain: object) -> None:
    part = device_part("x", Health(value))
    assert json.loads(json.dumps(LineLamp().part_words(part), allow_nan=False))["facts"] == {"value": plain}


def test_a_well_terminal_is_well_in_every_part(opened: Opened) -> None:
    held = issue(7)
    held.next()
    opened.station.acceptor.shown(opened.station.acceptor.accept(held.code(), FlatBus()))
    parts = told(parts_of(opened, [], None, [Part("trip", {"route": "8"})]))
    assert list(parts) == ["program", "journal", "link", "clock", "city_data", "deny_list", "trip"]
    assert all(part["is_well"] is True and part["troubles"] == [] for part in parts.values())
    facts = {name: cast(dict[str, object], part["facts"]) for name, part in parts.items()}
    assert (facts["program"]["device"], facts["journal"]["sequence"], facts["journal"]["unratified"]) == (DEVICE, 1, 0)
    assert (facts["clock"]["trust"], facts["link"]["loaded"], facts["trip"]["route"]) == ("synced", False, "8")
    assert isinstance(facts["program"]["memory_kb"], int) and isinstance(facts["journal"]["disk_free_mb"], int)


def test_each_trouble_stands_once_in_its_part_with_number_and_remedy(opened: Opened) -> None:
    standing: list[tuple[str, Refusal]] = [
        ("sync", CityUnreachable("no route")),
        ("deny_list_in_use", DenyListLost("not there")),
        ("deny_list_changes", DenyListLost("no changes")),
        ("head", HeadLost("ก: no answer")),
        ("second_head", TwoHeads("/dev/kgo-head-*: 2")),
        ("device", ScannerLost("gone")),
        ("something new", ScannerLost("x")),
    ]
    parts = told(parts_of(opened, standing, None, [Part("head", {}), Part("screen", {}, (ScreenLost("dark"),))]))
    numbers = {
        name: [trouble["refusal"] for trouble in cast(list[dict[str, object]], part["troubles"])]
        for name, part in parts.items()
        if not part["is_well"]
    }
    assert numbers == {
        "link": [CityUnreachable.number],
        "deny_list": [DenyListLost.number] * 2,
        "head": [HeadLost.number, TwoHeads.number],
        "screen": [ScreenLost.number],
        "readers": [ScannerLost.number],
        "something new": [ScannerLost.number],
    }
    for part in parts.values():
        for trouble in cast(list[dict[str, object]], part["troubles"]):
            assert all(trouble[f"{what}_{one}"] for what in ("title", "remedy") for one in ("th", "en"))
            assert trouble["detail"]


@pytest.mark.parametrize("language", ["th", "en"])
def test_every_part_has_lines_that_a_technician_reads(opened: Opened, language: str, tmp_path: Path) -> None:
    devices = [device_part(name, health) for name, health in healths(tmp_path).items()]
    standing: list[tuple[str, Refusal]] = [("sync", CityUnreachable("no route"))]
    for part in told(parts_of(opened, standing, None, devices)).values():
        lines = lines_of(part, Texts(language))
        assert lines[0].startswith("✓ " if part["is_well"] else "✗ ") and len(lines[0]) > 2
        assert part["is_well"] or f"{CityUnreachable.number} " in lines[2]


@pytest.mark.parametrize(
    ("language", "line"),
    [
        ("th", "version 1.1 · certificate_until 31/01/2572 00:00 · connected ใช่ · lost ไม่ · readers A 00, B 01"),
        ("en", "version 1.1 · certificate_until 2029-01-31 00:00 · connected yes · lost no · readers A 00, B 01"),
    ],
)
def test_figures_are_for_people(language: str, line: str) -> None:
    facts: dict[str, object] = {
        "version": [1, 1],
        "certificate_until_s": 1_864_486_800,
        "connected": True,
        "lost": False,
        "readers": ["A 00", "B 01"],
        "last_error": "",
        "fix_age_s": None,
        "rows": [],
        "status": {"old": None},
    }
    part = told([Part("card", facts)])["card"]
    assert lines_of(part, Texts(language))[1:] == [f"    {line}"]


@pytest.mark.parametrize(
    ("facts", "line"),
    [
        ({"oldest_age_s": 1_864_425_245, "at_s": -(10**12)}, "oldest_age_s 1864425245 · at_s -1000000000000"),
        ({"at_s": 10**15, "status": {"at_s": 0, "up": 0}}, f"at_s {10**15} · status (at 1970-01-01 07:00, up 0)"),
        ({"last_error": "6061 gone"}, "last_error 6061 gone"),
    ],
)
def test_what_is_no_moment_stays_a_figure(facts: dict[str, object], line: str) -> None:
    part = told([Part("card", facts, (ScreenLost("dark"),))])["card"]
    assert lines_of(part, Texts("en"))[1] == f"    {line}"


def test_the_last_error_of_a_part_that_is_well_is_for_programs_alone() -> None:
    part = told([Part("card", {"last_error": "6061 gone"})])["card"]
    assert len(lines_of(part, Texts("en"))) == 1 and part["facts"] == {"last_error": "6061 gone"}

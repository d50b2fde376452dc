"""The simulated wedge gives the bytes that a kernel's event node gives, and obeys its control lines."""

import struct
import subprocess
import sys
from pathlib import Path

import pytest

from offline_ledger.errors import WedgeIncomplete
from pos_app.drivers.wedge import WedgeScanner, WedgeSettings
from simulators.qr_picture import qr_picture
from simulators.wedge import Fault, SimulatedWedge, german_key, us_key
from tests.qr_texts import BASE45

SHIFT, ENTER = 42, 28


def events(data: bytes, layout: str = "=qqHHi") -> list[tuple[int, int, int]]:
    return [event[2:] for event in struct.iter_unpack(layout, data)]


def test_a_capital_is_four_reports_and_ends_with_enter(tmp_path: Path) -> None:
    made = SimulatedWedge(tmp_path / "unused").reports("K", set())
    pressed = [(SHIFT, 1), (37, 1), (37, 0), (SHIFT, 0), (ENTER, 1), (ENTER, 0)]
    assert [events(packet) for packet in made] == [
        [(4, 4, 0x70000 + code), (1, code, value), (0, 0, 0)] for code, value in pressed
    ]
    narrow = SimulatedWedge(tmp_path / "unused", long_bytes=4).reports("K", set())
    assert [events(packet, "=llHHi") for packet in narrow] == [events(packet) for packet in made]


@pytest.mark.parametrize(
    ("fault", "is_seen"),
    [
        (Fault.KEY_REPEAT, (1, 30, 2)),
        (Fault.CAPS_LOCK, (1, 58, 1)),
    ],
)
def test_faults_stand_in_the_bytes(tmp_path: Path, fault: Fault, is_seen: tuple[int, int, int]) -> None:
    device = SimulatedWedge(tmp_path / "unused")
    assert is_seen in events(b"".join(device.reports("A", {fault})))
    assert is_seen not in events(b"".join(device.reports("A", set())))


def test_a_packet_without_its_end(tmp_path: Path) -> None:
    made = SimulatedWedge(tmp_path / "unused").reports("A", {Fault.SYN_LOST})
    assert all(kind != 0 for packet in made for kind, _, _ in events(packet))


def test_layouts_press_other_places() -> None:
    differ = [char for char in BASE45 if us_key(char) != german_key(char)]
    assert differ == list("YZ*+-/:")
    with pytest.raises(KeyError):
        us_key("ก")


def test_without_a_cable_all_is_lost(tmp_path: Path) -> None:
    device = SimulatedWedge(tmp_path / "wedge0")
    device.send("A")
    device.send_raw(b"A")
    device.unplug()
    assert not device.is_plugged and not (tmp_path / "wedge0").exists()


def test_words_that_it_does_not_know(tmp_path: Path) -> None:
    with SimulatedWedge(tmp_path / "wedge0") as device:
        assert device.obey("dance").startswith("error unknown command")
        assert device.obey("fault dance").startswith("error")
        assert device.obey("text ก").startswith("error no key for")
        assert device.obey(f"scan {tmp_path / 'none.png'}").startswith("error")
        assert [device.obey(word) for word in ("unplug", "plug", "fault half doubled")] == ["ok"] * 3


def test_a_process_of_its_own(tmp_path: Path) -> None:
    picture = tmp_path / "code.png"
    qr_picture("KGO1P:ABC-Z $%*+./:9", module_px=4).save(picture)
    command = [sys.executable, "-m", "simulators.wedge", "--link", str(tmp_path / "wedge0"), "--report-ms", "0"]
    driver = WedgeScanner(WedgeSettings(str(tmp_path / "wedge0"), 0.2, 8))
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as device:
        assert device.stdin is not None and device.stdout is not None
        assert device.stdout.readline() == "ready\n" and driver.open()
        device.stdin.write(f"scan {picture}\ntext 8850999320014\nfault half\ntext 12345678\n")
        device.stdin.flush()
        texts: list[str] = []
        while not (told := driver.take_refusals()):
            texts += driver.poll(5.0)
        assert texts == ["KGO1P:ABC-Z $%*+./:9", "8850999320014"]
        assert [type(refusal) for refusal in told] == [WedgeIncomplete]
        device.stdin.write("quit\n")
        device.stdin.flush()
        assert device.wait(10) == 0
    driver.close()

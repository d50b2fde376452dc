"""The simulated printer reads ESC/POS as the command reference has it: in pieces, in its turn or at once, and nothing
that it does not know is passed over in silence."""

import random
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from simulators.demo.processes import wait_until
from simulators.printer.device import Fault, Pulse, SimulatedPrinter
from simulators.printer.interpreter import Interpreter, Kind
from simulators.printer.lines import NetworkPrinter
from simulators.printer.samples import sale

ROOT = Path(__file__).parents[2]
INIT, CUT, PULSE_2, PULSE_5 = b"\x1b@", b"\x1dV\x42\x00", b"\x1bp\x00\x19\x19", b"\x1bp\x31\x32\x64"
DONE = b"\x1dr\x01"


def raster(rows: int, byte: int = 0xFF, width_bytes: int = 72) -> bytes:
    return b"\x1dv0\x00" + bytes((width_bytes, 0, rows, 0)) + bytes([byte]) * width_bytes * rows


def ask(question: int) -> bytes:
    return bytes((0x10, 0x04, question))


ANSWERS: list[tuple[tuple[Fault, ...], bytes]] = [
    ((), b"\x12\x12\x12\x12"),
    ((Fault.NO_PAPER,), b"\x1a\x32\x12\x7e"),
    ((Fault.PAPER_NEAR_END,), b"\x12\x12\x12\x1e"),
    ((Fault.COVER_OPEN,), b"\x1a\x16\x12\x12"),
    ((Fault.CUTTER_JAMMED,), b"\x1a\x52\x1a\x12"),
    ((Fault.HOT,), b"\x1a\x52\x52\x12"),
    ((Fault.PAUSED,), b"\x1a\x12\x12\x12"),
    ((Fault.COVER_OPEN, Fault.NO_PAPER), b"\x1a\x36\x12\x7e"),
]


@pytest.mark.parametrize(("faults", "answers"), ANSWERS)
def test_status_bits(faults: tuple[Fault, ...], answers: bytes) -> None:
    printer = SimulatedPrinter()
    printer.fault(*faults)
    assert b"".join(printer.receive(ask(question)) for question in (1, 2, 3, 4)) == answers


def test_the_drawer_is_seen_in_the_status() -> None:
    printer = SimulatedPrinter()
    assert printer.receive(PULSE_2 + PULSE_5) == b"" and printer.is_drawer_open
    assert printer.pulses == [Pulse(2, 50, 50), Pulse(5, 100, 200)]
    assert printer.receive(ask(1)) == b"\x16"
    printer.close_drawer()
    assert printer.receive(ask(1)) == b"\x12"
    printer.fault(Fault.DRAWER_STUCK)
    printer.receive(PULSE_2)
    assert not printer.is_drawer_open and len(printer.pulses) == 3


def test_bytes_come_in_any_pieces(rng: random.Random) -> None:
    said = INIT + raster(24) + b"\x1bd\x02" + raster(7, 0x0F) + DONE + CUT + ask(4) + DONE
    whole = SimulatedPrinter()
    answers = whole.receive(said)
    assert answers == b"\x12\x00\x00"  # the real-time one first, as it is seen first
    for _ in range(20):
        pieces = SimulatedPrinter()
        heard = bytearray()
        at = 0
        while at < len(said):
            size = rng.randint(1, 300)
            heard += pieces.receive(said[at : at + size])
            at += size
        assert sorted(heard) == sorted(answers)
        assert pieces.sheets[0].tobytes() == whole.sheets[0].tobytes()
    sheet = whole.sheets[0]
    assert sheet.height == 24 + 60 + 7 + 40
    assert sheet.crop((0, 0, 576, 24)).convert("L").getextrema() == (0, 0)
    assert sheet.crop((0, 84, 8, 85)).tobytes() == bytes([0xF0])  # 1 = ink


def test_a_real_time_command_inside_a_picture_is_obeyed() -> None:
    """So the reference says, and so a picture must not hold one."""
    printer = SimulatedPrinter()
    picture = bytearray(raster(24))
    picture[100:105] = b"\x10\x14\x01\x00\x01"
    printer.receive(bytes(picture))
    assert printer.pulses == [Pulse(2, 100, 100)] and printer.bands_on_sheet == 0  # five bytes are missing in it
    printer.receive(b"\xff" * 5)
    assert printer.bands_on_sheet == 1


def test_offline_it_answers_and_prints_later() -> None:
    printer = SimulatedPrinter()
    printer.fault(Fault.COVER_OPEN)
    assert printer.receive(raster(24) + DONE + ask(1)) == b"\x1a" and printer.bands_on_sheet == 0
    assert printer.well() == b"\x00" and printer.bands_on_sheet == 1


def test_what_is_over_its_buffer_is_lost_and_counted() -> None:
    printer = SimulatedPrinter()
    printer.fault(Fault.NO_PAPER)
    printer.receive(raster(24) * 4)
    assert printer.lost_bytes > 0


UNKNOWN: list[tuple[bytes, int]] = [
    (b"\x1b\x99", 2),
    (b"\x00", 1),
    (b"\xe0\xb8\x81", 3),  # Thai as UTF-8: no printer knows it
    (b"\x1dV\x07", 3),
    (b"\x1dv0\x09\x01\x00\x01\x00", 8),
    (b"\x1dv0\x00\x00\x00\x01\x00", 8),
    (b"\x1dv0\x00\xff\xff\xff\xff", 8),
]


@pytest.mark.parametrize(("data", "count"), UNKNOWN)
def test_unknown_bytes_are_counted(data: bytes, count: int) -> None:
    printer = SimulatedPrinter()
    printer.receive(data + INIT)
    assert printer.unknown_bytes == count and printer.starts == 1
    assert b"".join(printer.unknown) == data


def test_letters_are_kept_and_settings_are_known() -> None:
    printer = SimulatedPrinter()
    printer.receive(b"\x1b!\x00\x1ba\x01\x1bt\x14Hello\n\x1bE\x01\x1b2")
    assert printer.texts == "Hello" and printer.unknown == []


def test_random_bytes_never_stop_it(rng: random.Random) -> None:
    for _ in range(30):
        printer = SimulatedPrinter()
        for _ in range(20):
            printer.receive(rng.randbytes(200))
        assert printer.receive(ask(1))[-1:] != b"" or printer.unknown_bytes > 0


def test_what_is_wider_than_the_head_is_cut_off() -> None:
    printer = SimulatedPrinter(58)
    printer.receive(raster(8, width_bytes=72) + CUT)
    assert printer.sheets[0].width == 384


def test_the_interpreter_holds_back_what_may_become_a_command() -> None:
    interpreter = Interpreter()
    assert interpreter.receive(b"A\x10") == [] and [one.kind for one in interpreter.commands()] == [Kind.TEXT]
    (found,) = interpreter.receive(b"\x04\x02")
    assert (found.kind, found.values) == (Kind.STATUS, (2,))
    assert interpreter.receive(b"\x10B") == []
    assert [one.kind for one in interpreter.commands()] == [Kind.UNKNOWN, Kind.TEXT]


def test_a_network_printer_serves_one_after_the_other() -> None:
    with NetworkPrinter(SimulatedPrinter()) as desk:
        for _ in range(3):
            with socket.create_connection(("127.0.0.1", desk.port), timeout=5) as line:
                line.sendall(ask(1))
                assert line.recv(1) == b"\x12"


def test_a_printer_that_was_switched_on_again_gets_nothing_of_the_line_before() -> None:
    """Half a picture that came after the switch would be read as letters, and printed."""
    printer = SimulatedPrinter()
    for _ in range(60):
        printer.bands_on_sheet = 0
        with NetworkPrinter(printer) as desk:
            with socket.create_connection(("127.0.0.1", desk.port), timeout=5) as line:
                line.sendall(raster(24) * 12)
                wait_until(lambda: printer.bands_on_sheet > 2, "the picture's beginning", step_s=0.0005)
                desk.switch_off_and_on()
            with socket.create_connection(("127.0.0.1", desk.port), timeout=5) as line:
                line.sendall(ask(1))
                assert line.recv(1) == b"\x12"
            assert (printer.texts, printer.unknown) == ("", [])


def test_the_command_obeys_lines_and_saves_sheets(tmp_path: Path) -> None:
    """As somebody tries it by hand: a printer in a process of its own, printed on by the driver."""
    from offline_ledger.terminal.drivers.printer import EscposPrinter
    from offline_ledger.terminal.printer_address import printer_settings
    from pos_app.paper.raster import ReceiptPainter

    command = [sys.executable, "-m", "simulators.printer", "--folder", str(tmp_path), "--port", "0", "--paper", "58"]
    program = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert program.stdin is not None and program.stdout is not None

    def tell(line: str) -> str:
        assert program.stdin is not None and program.stdout is not None
        program.stdin.write(line + "\n")
        program.stdin.flush()
        return program.stdout.readline().strip()

    with program:
        settings = printer_settings(program.stdout.readline().strip(), 58)
        assert settings is not None
        driver = EscposPrinter(settings)
        picture = ReceiptPainter(58).draw(sale())
        driver.print(picture, lambda: None, lambda: None)
        driver.pulse()
        assert driver.check() is None
        driver.close()
        assert tell("state") == "ok well sheets=1 drawer=open pulses=1 unknown=0"
        assert tell("fault no_paper hang") == "ok" and tell("close_drawer") == "ok"
        assert tell("state") == "ok hang,no_paper sheets=1 drawer=shut pulses=1 unknown=0"
        assert tell("well hang") == "ok" and tell("unplug") == "ok" and tell("plug") == "ok"
        assert tell("off_and_on") == "ok" and tell("well") == "ok"
        assert tell("fault rain").startswith("error") and tell("dance").startswith("error unknown command")
        assert tell("quit") == "ok receipt-0001.png"
    with Image.open(tmp_path / "receipt-0001.png") as saved:
        assert picture.tobytes() in saved.tobytes()
    assert program.returncode == 0

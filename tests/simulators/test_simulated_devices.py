"""The simulated scanner and camera speak the real wire, and obey their control lines as processes of their own."""

import os
import random
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import serial
from PIL import Image

from simulators.camera import NEUTRAL_CHROMA, SimulatedCamera
from simulators.qr_picture import qr_picture, save_picture
from simulators.scanner import SimulatedScanner, Suffix, read_picture
from tests.qr_texts import sample_text

DEADLINE_S = 10.0
FRAME_BYTES = 640 * 480 * 3 // 2


def read_until(port: serial.Serial, end: bytes) -> bytes:
    until_s, received = time.monotonic() + DEADLINE_S, b""
    while not received.endswith(end):
        assert time.monotonic() < until_s, received
        received += port.read(4_096)
    return received


def chunks_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int, text: str) -> list[int]:
    """Sizes of the writes that a seeded scanner makes."""
    sizes: list[int] = []
    write = os.write

    def noting(descriptor: int, data: bytes) -> int:
        sizes.append(len(data))
        return write(descriptor, data)

    with SimulatedScanner(tmp_path / "s", seed=seed) as device, monkeypatch.context() as patch:
        patch.setattr(os, "write", noting)
        device.send(text)
    return sizes


def test_a_seed_repeats_the_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rng: random.Random) -> None:
    text = sample_text(rng)
    first, again, other = (chunks_of(tmp_path, monkeypatch, seed, text) for seed in (3, 3, 4))
    assert first == again != other
    assert sum(first) == len(text) + 2
    assert len(first) > 5


@pytest.mark.parametrize("suffix", list(Suffix))
def test_the_bytes_on_the_wire(tmp_path: Path, rng: random.Random, suffix: Suffix) -> None:
    text = sample_text(rng)
    with (
        SimulatedScanner(tmp_path / "s", suffix=suffix) as device,
        serial.Serial(str(tmp_path / "s"), timeout=0.05) as port,
    ):
        device.scan(qr_picture(text))
        assert read_until(port, text[-1].encode() + suffix.value) == text.encode() + suffix.value


def test_unplugging_is_what_a_pulled_cable_gives(tmp_path: Path) -> None:
    device = SimulatedScanner(tmp_path / "s")
    device.plug()
    assert (tmp_path / "s").is_symlink()
    with serial.Serial(str(tmp_path / "s"), timeout=1) as port:
        device.unplug()
        assert not (tmp_path / "s").is_symlink()
        with pytest.raises(serial.SerialException):
            port.read(1)
    device.send("KGO1P:LOST")  # without a cable nothing happens
    device.close()


def test_nobody_reads(tmp_path: Path) -> None:
    """Bytes beyond what the kernel holds are lost after a while; the device does not hang for ever."""
    with SimulatedScanner(tmp_path / "s", seed=1) as device:
        sender = threading.Thread(target=device.send_raw, args=(b"x" * 100_000,))
        sender.start()
        sender.join(DEADLINE_S)
        assert not sender.is_alive()


@contextmanager
def program(module: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    ) as process:
        yield process
        tell(process, "quit")
        assert process.wait(DEADLINE_S) == 0


def tell(process: subprocess.Popen[str], command: str) -> None:
    assert process.stdin is not None
    process.stdin.write(command + "\n")
    process.stdin.flush()


def ask(process: subprocess.Popen[str], command: str) -> str:
    tell(process, command)
    return heard(process)


def heard(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_scanner_program(tmp_path: Path, rng: random.Random) -> None:
    text, picture, link = sample_text(rng), tmp_path / "code.png", tmp_path / "s"
    save_picture(text, picture)
    with program("simulators.scanner", "--link", str(link), "--suffix", "cr") as process:
        assert heard(process) == "ready"
        with serial.Serial(str(link), timeout=0.05) as port:
            assert ask(process, f"scan {picture}") == f"ok {text}"
            assert read_until(port, b"\r") == text.encode() + b"\r"
            assert ask(process, "text จ่าย 🙂") == "ok"
            assert read_until(port, b"\r") == "จ่าย 🙂".encode() + b"\r", "what other people's codes hold"
            assert ask(process, "fault doubled") == "ok"
            assert ask(process, "text KGO1P:A B") == "ok"
            assert read_until(port, b"B\rKGO1P:A B\r") == b"KGO1P:A B\rKGO1P:A B\r"
        assert ask(process, "unplug") == "ok"
        assert not link.exists()
        assert ask(process, "plug") == "ok"
        assert link.exists()
        for wrong in ("dance", "fault dance", f"scan {tmp_path}/none.png"):
            assert ask(process, wrong).startswith("error")


def take_frame(link: socket.socket) -> bytes:
    frame = b""
    while len(frame) < FRAME_BYTES:
        chunk = link.recv(FRAME_BYTES - len(frame))
        assert chunk
        frame += chunk
    return frame


def test_the_camera_gives_whole_frames_from_the_first_byte(rng: random.Random) -> None:
    text = sample_text(rng)
    with SimulatedCamera(fps=50) as device:
        host, port = device.address.removeprefix("tcp://").split(":")
        device.show(qr_picture(text))
        for _ in range(2):  # a client that leaves in mid-frame is nobody's loss
            with socket.create_connection((host, int(port)), DEADLINE_S) as link:
                first, second = take_frame(link), take_frame(link)
                for frame in (first, second):
                    luma = Image.frombytes("L", (640, 480), frame[: 640 * 480])
                    assert read_picture(luma) == text
                    assert frame[640 * 480 :] == NEUTRAL_CHROMA * (640 * 240)
                assert first != second  # the sensor's noise
                link.recv(1_000)


def test_the_camera_keeps_its_rate() -> None:
    with SimulatedCamera(fps=20) as device:
        host, port = device.address.removeprefix("tcp://").split(":")
        with socket.create_connection((host, int(port)), DEADLINE_S) as link:
            take_frame(link)
            started_s = time.monotonic()
            for _ in range(10):
                take_frame(link)
            assert 0.4 < time.monotonic() - started_s < DEADLINE_S


def test_a_slow_client_delays_frames_and_memory_stays(rng: random.Random) -> None:
    with SimulatedCamera(fps=200) as device:
        host, port = device.address.removeprefix("tcp://").split(":")
        with socket.create_connection((host, int(port)), DEADLINE_S) as link:
            take_frame(link)
            sent = device.frames_sent
            assert select.select([link], (), (), DEADLINE_S)[0]
            for _ in range(3):
                take_frame(link)
            assert device.frames_sent - sent < 50


def test_camera_program(tmp_path: Path, rng: random.Random) -> None:
    text, picture, path = sample_text(rng), tmp_path / "code.png", tmp_path / "camera"
    save_picture(text, picture)
    with program("simulators.camera", "--unix", str(path), "--fps", "30") as process:
        assert heard(process) == f"ready unix://{path}"
        assert ask(process, f"show inverted {picture}") == "ok"
        with socket.socket(socket.AF_UNIX) as link:
            link.connect(str(path))
            luma = Image.frombytes("L", (640, 480), take_frame(link)[: 640 * 480])
            assert read_picture(luma) == text
        for wrong in ("dance", "fault dance", f"show dance {picture}", f"show clear {tmp_path}/none.png"):
            assert ask(process, wrong).startswith("error")
        assert ask(process, "clear") == "ok"
        assert ask(process, "fault stall") == "ok"

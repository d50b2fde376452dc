"""The camera driver on real streams: sockets, FIFO and command; losses, stalls, back-pressure, what is reported."""

import contextlib
import os
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from offline_ledger.errors import (
    CameraLost,
    CameraProgramMissing,
    CameraStalled,
    CodeUnreadable,
    DeviceSupportMissing,
    Refusal,
    ScanTooLong,
)
from offline_ledger.terminal.camera_address import SourceAddress, parse_address
from offline_ledger.terminal.drivers.camera import FRAME_BYTES_MAX, Camera, CameraSettings
from simulators.camera import Fault, SimulatedCamera
from simulators.qr_picture import qr_picture
from simulators.scene import HOPELESS, READABLE, render
from tests.qr_texts import sample_text
from tests.terminal.drivers.poll_bench import PollBench

DEADLINE_S = 20.0
FPS = 40


class Bench(PollBench[Camera]):
    """With time for pictures."""

    def __init__(self, driver: Camera) -> None:
        super().__init__(driver, DEADLINE_S)

    def frames(self, count: int) -> None:
        """Poll through that many more frames."""
        goal = self.driver.health().frames + count
        self.until(lambda: self.driver.health().frames >= goal)


def settings(address: str) -> CameraSettings:
    """What stays in view is not seen anew, however long this machine has no time for the next picture."""
    return CameraSettings(
        address, back_off_first_s=0.01, back_off_last_s=0.05, stall_s=1.5, left_view_s=DEADLINE_S, again_s=0
    )


@pytest.fixture
def device() -> Iterator[SimulatedCamera]:
    with SimulatedCamera(fps=FPS, seed=11) as made:
        yield made


@pytest.fixture
def bench(device: SimulatedCamera) -> Iterator[Bench]:
    driver = Camera(settings(device.address))
    driver.open()
    yield Bench(driver)
    driver.close()


@pytest.mark.arm64
@pytest.mark.parametrize("name", READABLE)
def test_a_wallet_in_front_of_the_camera(device: SimulatedCamera, bench: Bench, rng: random.Random, name: str) -> None:
    bench.frames(2)
    text = sample_text(rng)
    device.show(qr_picture(text), READABLE[name])
    bench.until(lambda: bool(bench.texts))
    bench.frames(3)
    assert bench.texts == [text]  # once, however many frames show it
    assert not bench.told()


def test_shown_again_after_it_left(device: SimulatedCamera, rng: random.Random) -> None:
    bench = Bench(Camera(replace(settings(device.address), left_view_s=0.5)))
    bench.driver.open()
    text = sample_text(rng)
    for shown in (1, 2):
        device.show(qr_picture(text))
        bench.until(lambda shown=shown: len(bench.texts) == shown)
        device.clear()
        bench.frames(FPS)
    bench.driver.close()
    assert bench.texts == [text, text]


def test_one_wallet_after_another(device: SimulatedCamera, bench: Bench, rng: random.Random) -> None:
    texts = [sample_text(rng) for _ in range(3)]
    for count, text in enumerate(texts, 1):
        device.show(qr_picture(text))
        bench.until(lambda count=count: len(bench.texts) == count)
    assert bench.texts == texts


def test_held_in_view_is_reported_again_when_asked_for(device: SimulatedCamera, rng: random.Random) -> None:
    bench = Bench(Camera(replace(settings(device.address), again_s=0.2)))
    bench.driver.open()
    text = sample_text(rng)
    device.show(qr_picture(text))
    bench.until(lambda: len(bench.texts) >= 3)
    assert set(bench.texts) == {text}
    bench.driver.close()


@pytest.mark.parametrize("name", HOPELESS)
def test_hopeless_frames_report_no_text(device: SimulatedCamera, bench: Bench, rng: random.Random, name: str) -> None:
    device.show(qr_picture(sample_text(rng)), HOPELESS[name])
    bench.frames(12)
    assert bench.texts == []


def test_an_unreadable_code_is_told_once(device: SimulatedCamera, bench: Bench, rng: random.Random) -> None:
    text = sample_text(rng)
    device.show(qr_picture(text), HOPELESS["glare_all"])
    bench.until(lambda: bool(bench.refusals))
    bench.frames(30)
    assert bench.told() == [CodeUnreadable]
    assert bench.driver.health().unreadable >= 15
    device.show(qr_picture(text))
    bench.until(lambda: bench.texts == [text])


def test_a_code_of_another_system_is_told_once(device: SimulatedCamera, bench: Bench, rng: random.Random) -> None:
    device.show(qr_picture("9" * 1500, version_max=40), replace(READABLE["clear"], height_share=0.95, noise=0.0))
    bench.until(lambda: bool(bench.refusals))
    bench.frames(5)
    assert (bench.told(), bench.texts) == ([ScanTooLong], [])
    text = sample_text(rng)
    device.show(qr_picture(text))  # and the next one is read
    bench.until(lambda: bench.texts == [text])


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (Fault.STALL, CameraStalled),
        (Fault.TRICKLE, CameraStalled),
        (Fault.CUT_MID_FRAME, CameraLost),
        (Fault.REFUSE, CameraLost),
    ],
)
def test_every_fault_then_a_good_frame(
    device: SimulatedCamera, bench: Bench, rng: random.Random, fault: Fault, told: type[Refusal]
) -> None:
    bench.frames(2)
    device.fail(fault)
    bench.until(lambda: bool(bench.refusals))
    assert bench.told() == [told]
    text = sample_text(rng)
    device.show(qr_picture(text))
    device.fail(Fault.NONE)
    bench.until(lambda: bench.texts == [text])
    assert bench.told() == [told]  # once per loss
    assert bench.driver.health().connected
    assert bench.driver.health().last_error == ""
    assert bench.driver.health().connects >= 2


def test_a_camera_that_comes_late(tmp_path: Path, rng: random.Random) -> None:
    path, text = tmp_path / "camera.sock", sample_text(rng)
    bench = Bench(Camera(settings(f"unix://{path}")))
    bench.driver.open()
    bench.until(lambda: bench.told() == [CameraLost])
    with SimulatedCamera(path=path, fps=FPS) as device:
        device.show(qr_picture(text))
        bench.until(lambda: bench.texts == [text])
    bench.driver.close()


def test_the_newest_frame_wins(device: SimulatedCamera, bench: Bench, rng: random.Random) -> None:
    """While nobody polls, frames are read and dropped; what is then looked at is what is in view now."""
    old, new = sample_text(rng), sample_text(rng)
    device.show(qr_picture(old))
    wait_for(lambda: bench.driver.health().frames >= 5)
    device.show(qr_picture(new))
    goal = device.frames_sent + 2  # one may be on its way, and others in the socket: from this one on they are new
    wait_for(lambda: bench.driver.health().frames >= goal)
    bench.until(lambda: bool(bench.texts))
    assert bench.texts == [new]
    assert bench.driver.health().frames_dropped >= 5


def test_padded_rows(rng: random.Random) -> None:
    text = sample_text(rng)
    with SimulatedCamera(fps=FPS, width_px=624, stride_px=640) as device:
        bench = Bench(Camera(replace(settings(device.address), width_px=624, stride_px=640)))
        bench.driver.open()
        device.show(qr_picture(text))
        bench.until(lambda: bench.texts == [text])
        bench.driver.close()


def i420(text: str) -> bytes:
    return render(qr_picture(text)).tobytes() + b"\x80" * (640 * 240)


def test_fifo(tmp_path: Path, rng: random.Random) -> None:
    path, text = tmp_path / "fifo", sample_text(rng)
    os.mkfifo(path)
    bench = Bench(Camera(settings(f"fifo://{path}")))
    bench.driver.open()

    frame, is_read = i420(text), threading.Event()

    def film() -> None:
        while not is_read.is_set():
            with contextlib.suppress(BrokenPipeError), path.open("wb", buffering=0) as fifo:  # a slow reader comes back
                while not is_read.is_set():
                    left = memoryview(frame)
                    while left:
                        left = left[fifo.write(left) :]

    writer = threading.Thread(target=film, daemon=True)
    writer.start()
    bench.until(lambda: bench.texts == [text])
    is_read.set()  # a camera goes on filming until then: frames from before an end of the stream are old, and dropped
    bench.until(lambda: not writer.is_alive())
    bench.driver.close()


def test_command(tmp_path: Path, rng: random.Random) -> None:
    text, picture, pids = sample_text(rng), tmp_path / "frame", tmp_path / "pids"
    picture.write_bytes(i420(text))
    script = (
        f"import os,sys,time; open({str(pids)!r}, 'a').write(f'{{os.getpid()}} ')\n"
        f"sys.stdout.buffer.write(open({str(picture)!r}, 'rb').read()); sys.stdout.flush(); time.sleep(600)"
    )
    program = tmp_path / "camera.py"
    program.write_text(script)
    bench = Bench(Camera(settings(f"exec:{sys.executable} {program}")))
    bench.driver.open()
    bench.until(lambda: bench.texts == [text])
    bench.until(lambda: CameraStalled in bench.told())
    bench.until(lambda: bench.driver.health().connects >= 2)
    bench.driver.close()
    for pid in pids.read_text().split():  # the camera's program ends with its reader
        assert not Path(f"/proc/{pid}").exists()


def test_command_that_does_not_exist() -> None:
    bench = Bench(Camera(settings("exec:/nonexistent/rpicam-vid -o -")))
    bench.driver.open()
    bench.until(lambda: bench.told() == [CameraProgramMissing])
    bench.driver.close()


def test_no_right_to_the_program(tmp_path: Path) -> None:
    program = tmp_path / "camera"
    program.write_text("not executable")
    bench = Bench(Camera(settings(f"exec:{program}")))
    bench.driver.open()
    bench.until(lambda: bench.told() == [CameraProgramMissing])
    program.write_text("#!/bin/sh\nexec cat /dev/zero\n")
    program.chmod(0o755)  # installed at last: found by itself
    bench.until(lambda: bench.driver.health().frames > 0)
    bench.driver.close()


def test_decoder_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zxingcpp", None)
    driver = Camera(settings("tcp://127.0.0.1:1"))
    with pytest.raises(DeviceSupportMissing):
        driver.open()
    driver.close()


def test_wake_ends_a_long_poll(bench: Bench) -> None:
    waker = threading.Timer(0.05, bench.driver.wake)
    started_s = time.monotonic()
    waker.start()
    assert bench.driver.poll(DEADLINE_S) == []
    assert time.monotonic() - started_s < DEADLINE_S / 2
    waker.join()


def test_refusals_nobody_takes_do_not_make_poll_spin(device: SimulatedCamera, bench: Bench) -> None:
    bench.frames(1)
    device.fail(Fault.REFUSE)
    wait_for(lambda: not bench.driver.health().connected)
    bench.driver.poll(0)
    started_s = time.monotonic()
    assert bench.driver.poll(0.2) == []
    assert time.monotonic() - started_s > 0.15


@pytest.mark.parametrize(
    ("address", "parsed"),
    [
        ("tcp://127.0.0.1:8888", SourceAddress("tcp", host="127.0.0.1", port=8888)),
        ("unix:///run/c.sock", SourceAddress("unix", path="/run/c.sock")),
        ("fifo:///run/c", SourceAddress("fifo", path="/run/c")),
        ("exec:rpicam-vid -n -o -", SourceAddress("exec", command=("rpicam-vid", "-n", "-o", "-"))),
    ],
)
def test_addresses(address: str, parsed: SourceAddress) -> None:
    assert parse_address(address) == parsed


@pytest.mark.parametrize(
    "address",
    [
        "",
        "tcp:",
        "tcp://",
        "tcp://host",
        "tcp://host:",
        "tcp://:1",
        "tcp://h:0",
        "tcp://h:65536",
        "tcp://h:x",
        "tcp://h:١",
        "unix://relative",
        "fifo:",
        "exec:",
        "exec: ",
        "http://127.0.0.1:80",
    ],
)
def test_bad_addresses(address: str) -> None:
    with pytest.raises(ValueError, match="camera address"):
        CameraSettings(address)


@pytest.mark.parametrize(
    ("change", "is_good"),
    [
        ({"width_px": 16, "height_px": 16}, True),
        ({"width_px": 14}, False),
        ({"width_px": 641}, False),
        ({"height_px": 14}, False),
        ({"height_px": 481}, False),
        ({"stride_px": 640}, True),
        ({"stride_px": 638}, False),
        ({"padding_bytes": -1}, False),
        ({"width_px": 1920, "height_px": 1080}, True),
        ({"width_px": 1920, "height_px": 1080, "padding_bytes": 1}, False),
    ],
)
def test_frame_sizes(change: dict[str, int], is_good: bool) -> None:
    if is_good:
        made = replace(settings("fifo:///c"), **change)
        assert made.frame_bytes <= FRAME_BYTES_MAX
    else:
        with pytest.raises(ValueError, match=r"frame|stride"):
            replace(settings("fifo:///c"), **change)


def wait_for(condition: Callable[[], bool]) -> None:
    until_s = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < until_s
        threading.Event().wait(0.005)

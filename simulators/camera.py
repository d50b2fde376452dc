"""A camera: serves raw I420 frames over TCP or a unix socket exactly as `rpicam-vid --codec yuv420` does. DESIGN §11.

No handshake and no framing: a client gets whole frames from its first byte on, at the set rate, and one client at a
time is served. What the camera sees is set by `show` and `clear`; the sensor's noise differs from frame to frame. How
the code is held is a `Scene` (`scene.py`); how the camera itself fails is named in `Fault`. A slow client delays
frames, as the blocking write of the real program does.

    python -m simulators.camera --tcp 8888
    show clear picture.png | clear | fault stall | fault none | quit      (one a line)
"""

import argparse
import random
import select
import socket
import sys
import time
from enum import Enum
from pathlib import Path
from threading import Event, Lock, Thread

from PIL import Image

from simulators.obeying import obey, obey_standard_input
from simulators.scene import CLEAR, HEIGHT_PX, SCENES, WIDTH_PX, Scene, add_noise, render

FPS = 15
NOISE_FRAMES = 4  # differently noisy pictures of one scene, shown in turn
NEUTRAL_CHROMA = b"\x80"
JOIN_S_MAX = 5.0


class Fault(Enum):
    """How a camera fails; each lasts until another is set."""

    NONE = "none"
    STALL = "stall"  # connected, but no more bytes
    CUT_MID_FRAME = "cut_mid_frame"  # the connection ends inside a frame, each time
    REFUSE = "refuse"  # the program is gone: nobody listens
    TRICKLE = "trickle"  # bytes come, but far too slowly for a frame


class SimulatedCamera:
    """One camera at `tcp://127.0.0.1:port` or `unix:///path`; starts with `start`, frames come from its thread."""

    def __init__(
        self,
        *,
        port: int = 0,
        path: Path | None = None,
        width_px: int = WIDTH_PX,
        height_px: int = HEIGHT_PX,
        stride_px: int = 0,
        fps: int = FPS,
        seed: int = 0,
    ) -> None:
        self._path = path
        self._port = port
        self._size = width_px, height_px
        self._stride_px = stride_px or width_px
        self._frame_s = 1 / fps
        self._rng = random.Random(seed)
        self._frames: list[bytes] = []
        self._fault = Fault.NONE
        self._lock = Lock()
        self._stopping = Event()
        self._listener: socket.socket | None = None
        self._thread = Thread(target=self._run, name="simulated-camera", daemon=True)
        self.frames_sent = 0
        self.clear()

    @property
    def address(self) -> str:
        """The address for the camera driver's settings."""
        return f"unix://{self._path}" if self._path else f"tcp://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Listen and serve."""
        self._listen()
        self._thread.start()

    def show(self, picture: Image.Image, scene: Scene = CLEAR) -> None:
        """From the next frame on, this picture is held in front of the camera."""
        self._set_frames(picture, scene)

    def clear(self) -> None:
        """Nothing is held in front of the camera."""
        self._set_frames(None, CLEAR)

    def fail(self, fault: Fault) -> None:
        """Fail like this from now on (`Fault.NONE`: work again)."""
        with self._lock:
            self._fault = fault

    def close(self) -> None:
        """Stop serving and forget the address."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(JOIN_S_MAX)
        self._unlisten()

    def obey(self, command: str) -> str:
        """Carry out one line of the control language; the answer is `ok` or `error ...`."""
        return obey(
            {
                "show": self._show_file,
                "clear": lambda _: self.clear(),
                "fault": lambda name: self.fail(Fault(name)),
            },
            command,
        )

    def __enter__(self) -> "SimulatedCamera":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _show_file(self, scene_and_path: str) -> None:
        scene, _, path = scene_and_path.partition(" ")
        if scene not in SCENES:
            raise ValueError(f"no scene {scene!r}")
        with Image.open(path) as picture:
            self.show(picture, SCENES[scene])

    def _set_frames(self, picture: Image.Image | None, scene: Scene) -> None:
        still = render(picture, scene, seed=self._rng.getrandbits(32), size=self._size)
        frames = [self._i420(add_noise(still, 1.5, self._rng)) for _ in range(NOISE_FRAMES)]
        with self._lock:
            self._frames = frames

    def _i420(self, frame: Image.Image) -> bytes:
        width, height = self._size
        luma = frame.tobytes()
        if self._stride_px != width:
            tail = bytes(self._stride_px - width)
            luma = b"".join(luma[row * width : (row + 1) * width] + tail for row in range(height))
        return luma + NEUTRAL_CHROMA * (self._stride_px * height // 2)

    def _listen(self) -> None:
        if self._path:
            self._path.unlink(missing_ok=True)
            self._listener = socket.socket(socket.AF_UNIX)
            self._listener.bind(str(self._path))
        else:
            self._listener = socket.socket()
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._listener.bind(("127.0.0.1", self._port))
            self._port = self._listener.getsockname()[1]
        self._listener.listen(1)

    def _unlisten(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        if self._path:
            self._path.unlink(missing_ok=True)

    def _now(self) -> tuple[Fault, bytes]:
        with self._lock:
            return self._fault, self._frames[self.frames_sent % len(self._frames)]

    def _run(self) -> None:
        while not self._stopping.is_set():
            fault, _ = self._now()
            if fault is Fault.REFUSE:
                self._unlisten()
                self._stopping.wait(self._frame_s)
                continue
            if self._listener is None:
                self._listen()
            assert self._listener is not None
            if select.select([self._listener], (), (), self._frame_s)[0]:
                client, _ = self._listener.accept()
                with client:
                    self._serve(client)

    def _serve(self, client: socket.socket) -> None:
        client.setblocking(False)
        due_s, in_step = time.monotonic(), True
        while not self._stopping.wait(max(0.0, due_s - time.monotonic())):
            fault, frame = self._now()
            due_s = max(due_s, time.monotonic() - self._frame_s) + self._frame_s
            match fault:
                case Fault.NONE:
                    if not in_step or not self._send(client, frame):
                        return
                    self.frames_sent += 1
                case Fault.TRICKLE:
                    in_step = False
                    if not self._send(client, frame[:100]):
                        return
                case Fault.CUT_MID_FRAME:
                    self._send(client, frame[: len(frame) // 3])
                    return
                case Fault.REFUSE:
                    return
                case Fault.STALL:
                    if _has_left(client):
                        return

    def _send(self, client: socket.socket, data: bytes) -> bool:
        view = memoryview(data)
        while view and not self._stopping.is_set():
            if self._now()[0] is Fault.REFUSE:
                return False
            if not select.select((), [client], (), self._frame_s)[1]:
                continue
            try:
                view = view[client.send(view) :]
            except BlockingIOError:
                continue
            except OSError:
                return False
        return not view


def _has_left(client: socket.socket) -> bool:
    try:
        return client.recv(1) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def main() -> int:
    """Run a camera that obeys its standard input until `quit` or its end."""
    parser = argparse.ArgumentParser(prog="simulators.camera", description="raw I420 frames, as rpicam-vid sends them")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--tcp", type=int, help="port on 127.0.0.1 (0: any)")
    where.add_argument("--unix", type=Path, help="path of a unix socket")
    parser.add_argument("--fps", type=int, default=FPS)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with SimulatedCamera(port=options.tcp or 0, path=options.unix, fps=options.fps, seed=options.seed) as camera:
        print(f"ready {camera.address}", flush=True)
        obey_standard_input(camera.obey)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""One terminal of the town with its devices: the program, a scanner on a pty, a camera over TCP, a clock chip, and the
network between it and the city. DESIGN §11.

A code reaches the program only as a picture: the scanner's own decoder reads it, or the camera's frames show it.
"""

import contextlib
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Self

from PIL import Image

from simulators.camera import SimulatedCamera
from simulators.clock import SimulatedRtc
from simulators.demo.processes import PYTHON, Child, DeadlinePassed, Said, run_tool, wait_until
from simulators.fault_link import Mode, Plan
from simulators.fault_proxy import FaultProxy
from simulators.qr_picture import qr_picture
from simulators.scanner import SimulatedScanner
from simulators.scene import CLEAR, READABLE, Scene

LIGHT_S_MAX = 15.0
CAMERA_TRY_S_MAX = 4.0
QUIET_S = 0.8
"""A journal untouched for so long has nothing waiting to be written."""
FRAME_S_MAX = 5.0


class Reader(StrEnum):
    """How a code is read."""

    SERIAL = "serial"
    CAMERA = "camera"

    @property
    def thai(self) -> str:
        """As Thai readers call it."""
        return {"serial": "เครื่องสแกน", "camera": "กล้อง"}[self.value]

    @property
    def english(self) -> str:
        """As English readers call it."""
        return {"serial": "scanner", "camera": "camera"}[self.value]


@dataclass(frozen=True, slots=True)
class Kind:
    """What program a desk runs, and its names."""

    program: str
    module: str
    role: str
    thai: str
    english: str


SHOP = Kind("kgo-pos", "pos_app", "shop", "ร้านกาแฟ", "Coffee shop")
BUS = Kind("kgo-bus", "bus_validator", "validator", "รถเมล์สาย 8", "Bus line 8")


@dataclass(frozen=True, slots=True)
class DeskSettings:
    """Who the terminal is and where the city is."""

    kind: Kind
    device: str
    city: str
    ca_file: Path
    city_port: int
    folder: Path
    seed: int
    has_camera: bool = True
    more: str = ""
    """Further tables of the settings file."""


class Desk:
    """One terminal. `start` and `kill` as often as you like; devices and network stay up in between."""

    def __init__(self, settings: DeskSettings) -> None:
        self._settings = settings
        self.folder = settings.folder
        self.folder.mkdir(parents=True, exist_ok=True)
        self.device = settings.device
        self.kind = settings.kind
        self.journal = self.folder / "journal.db"
        self._random = random.Random(f"{settings.seed}:{settings.device}")
        self._open = contextlib.ExitStack()
        scanner = SimulatedScanner(self.folder / "scanner", seed=self._random.getrandbits(32))
        self.scanner = self._open.enter_context(scanner)
        self.camera = self._open.enter_context(SimulatedCamera(seed=self._random.getrandbits(32)))
        self.network = self._open.enter_context(FaultProxy(("127.0.0.1", settings.city_port)))
        self.rtc = self._open.enter_context(SimulatedRtc(self.folder / "clock"))
        self.settings_file = self.folder / "settings.toml"
        self.write_settings()
        self._child: Child | None = None

    # --- the program

    def write_settings(self, *, url: str | None = None, ca_file: Path | None = None) -> None:
        """The settings file that the program reads."""
        url = url or f"https://localhost:{self.network.port}"
        lines = [
            f'[device]\ncity = "{self._settings.city}"\nid = "{self.device}"\nlanguage = "th"',
            f'[city]\nurl = "{url}"\nca_file = "{ca_file or self._settings.ca_file}"',
            f'[scanner]\nport = "{self.folder / "scanner"}"',
            f'[clock]\nrtc = "{self.folder / "clock"}"',
            "[sync]\nrest_s = 1",
        ]
        if self._settings.has_camera:
            lines.append(f'[camera]\naddress = "{self.camera.address}"')
        lines.append(self._settings.more)
        self.settings_file.write_text("\n".join(lines) + "\n", encoding="utf-8")

    def enrol(self, token: str) -> None:
        """Make the key and enrol over the network."""
        words = (*PYTHON, self.kind.module, "--settings", str(self.settings_file), "enrol", "--token", token)
        run_tool(f"{self.kind.program} enrol", words, self.folder / "enrol.log")

    @property
    def program(self) -> Child:
        """The running program."""
        assert self._child is not None
        return self._child

    def start(self) -> Said:
        """Start the program; what it said when it was ready."""
        words = (*PYTHON, self.kind.module, "--settings", str(self.settings_file))
        self._child = Child(self.device, words, self.folder / "program.log")
        ready = self.program.wait_for(lambda said: said.get("ready") is True, 0, "that it is ready")
        if self._settings.has_camera:
            self.wait_for_frame()
        return ready

    def wait_for_frame(self) -> None:
        """Until the program takes the camera's frames."""
        before = self.camera.frames_sent
        wait_until(lambda: self.camera.frames_sent > before + 1, f"{self.device} to take camera frames", FRAME_S_MAX)

    def tell(self, line: str, answer: str) -> Said:
        """A command, and the first line after it that has `answer` as a key."""
        mark = self.program.mark()
        self.program.tell(line)
        return self.program.wait_for(lambda said: answer in said, mark, f"an answer to {line!r}")

    def stop(self) -> int:
        """A clean end; the exit code."""
        return self.program.stop("quit")

    def close(self) -> None:
        """End what runs and take the devices away."""
        if self._child is not None:
            self._child.kill()
        self._open.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- codes

    def show(self, code: Callable[[], str], reader: Reader) -> Said:
        """Hold a code up until there is a light. `code` gives the text anew when the wallet refreshes its screen."""
        picture = qr_picture(code())
        if reader is Reader.SERIAL:
            mark = self.program.mark()
            self.scanner.scan(picture)
            return self._light(mark, LIGHT_S_MAX)
        try:
            return self._hold(picture, self._random.choice(list(READABLE.values())), CAMERA_TRY_S_MAX)
        except DeadlinePassed:
            return self._hold(qr_picture(code()), CLEAR, LIGHT_S_MAX)  # "hold it a little straighter, please"

    def begin_show(self, text: str) -> int:
        """Scan a code and wait for nothing; the mark from which its light is to be looked for."""
        mark = self.program.mark()
        self.scanner.scan(qr_picture(text))
        return mark

    def _hold(self, picture: Image.Image, scene: Scene, wait_s: float) -> Said:
        mark = self.program.mark()
        self.camera.show(picture, scene)
        try:
            return self._light(mark, wait_s)
        finally:
            self.camera.clear()
            self.wait_for_frame()

    def _light(self, mark: int, wait_s: float) -> Said:
        return self.program.wait_for(is_light, mark, "a light", wait_s)

    # --- network

    def cut(self, mode: Mode) -> None:
        """Take the network away, open connections too."""
        self.network.apply(Plan(mode=mode))
        self.network.reset_links()

    def reconnect(self) -> None:
        """Give it back and do not wait for the back-off."""
        self.network.apply(Plan())
        self.network.reset_links()
        self.program.tell("sync")

    def wait_synced(self, wait_s: float = 30.0) -> None:
        """Until the badge is green: a whole exchange, and nothing waiting."""
        until_s = time.monotonic() + wait_s
        while time.monotonic() < until_s:
            if self.tell("status", "status")["status"] == "synced":
                return
            mark = self.program.mark()
            self.program.tell("sync")
            with contextlib.suppress(DeadlinePassed):
                self.program.wait_for(lambda said: said.get("status") == "synced", mark, "synced", 0.5)
        raise DeadlinePassed(f"{self.device} did not sync in {wait_s:.0f} s; see {self.folder / 'program.log'}")

    def ask_exchange(self) -> int:
        """Ask for one, and do not wait; how many connections there were."""
        before = self.network.counts().connections
        self.program.tell("sync")
        return before

    def wait_exchange(self, before: int | None = None) -> None:
        """Until a whole exchange has begun and ended since it was asked for, or from now on: each one is a connection
        of its own."""
        before = self.ask_exchange() if before is None else before
        wait_until(lambda: self.network.counts().connections >= before + 2, f"{self.device} to exchange twice")

    # --- the journal's file, as somebody who only sees the disk

    def journal_touched_ns(self) -> int:
        """When the journal's log was last written."""
        log = self.journal.with_name(self.journal.name + "-wal")
        return log.stat().st_mtime_ns if log.exists() else 0

    def wait_quiet(self) -> None:
        """Until the journal has written what it had to write."""
        wait_until(lambda: time.time_ns() - self.journal_touched_ns() > QUIET_S * 1e9, f"{self.device} to come to rest")

    def kill_at(self, delay_s: float, since_ns: int, give_up_s: float) -> bool:
        """SIGKILL this long after the journal is written, or after `give_up_s`; whether it was written before."""
        until_s = time.monotonic() + give_up_s
        while self.journal_touched_ns() == since_ns and time.monotonic() < until_s:
            pass  # a commit and its light are less than a millisecond apart: no time to sleep
        kill_s = time.monotonic() + delay_s
        while time.monotonic() < kill_s:
            pass
        self.program.kill()
        return self.journal_touched_ns() != since_ns  # what was written until its very end counts


def is_light(said: Said) -> bool:
    """A line that shows a customer's light."""
    return said.get("light") not in (None, "wait")

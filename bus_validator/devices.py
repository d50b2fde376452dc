"""The validator's devices as its settings name them: head, card readers, screen. DESIGN §3, §11.

Part of the composition root: the only room of this program, beside `validator`, that builds drivers. What no first
decision needs is imported where it is built, on the loading thread.
"""

from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

from bus_validator.face import Theme
from offline_ledger.rules.training import is_training_city
from offline_ledger.terminal.drivers.head import HeadSettings, ReaderHead
from offline_ledger.terminal.drivers.head_lamp import HeadLight
from offline_ledger.terminal.program import Opened
from offline_ledger.terminal.running import Running

if TYPE_CHECKING:
    from bus_validator.drivers.gps import SerialGps
    from bus_validator.drivers.screen import Screen
    from bus_validator.stops import Position
    from offline_ledger.errors import Refusal

HEAD_S_MAX = 0.05
"""So long a start waits for its head: the first customer's light needs it, and a sound one answers in 1 ms."""
LOOK_S = 0.005
CLOCK_MS = 60_000
"""How often satellites are asked the time: a clock drifts by less than it takes to notice."""


def add_head(opened: Opened, running: Running, on_button: Callable[[int, int], None]) -> ReaderHead | None:
    """The reader head, if one is named: customers look at it, and its scanner gives codes. `on_button` comes on its
    thread. None: none is named."""
    port = opened.text("head.port")
    if not port:
        return None
    suffix = opened.text("scanner.suffix") == "any"
    head = ReaderHead(
        HeadSettings(str(opened.folder / port), suffix=suffix),
        on_button=on_button,
        on_tamper=lambda is_open: running.do(lambda: running.lamp.say(cover_open=is_open)),
        on_second=lambda two: running.note("second_head", two),
    )
    head.set_theme(Theme(opened.text("screen.theme")) is Theme.NIGHT)
    head.open()
    left_s = HEAD_S_MAX
    while not head.is_linked and not head.is_lost and left_s > 0:
        for text in head.poll(LOOK_S):
            running.code(text)
        left_s -= LOOK_S
    running.with_head(HeadLight(head, is_training=is_training_city(opened.text("device.city"))))
    running.add_device("head", head, takes_payments=True)
    return head


def add_gps(opened: Opened, running: Running, hear: "Callable[[Position], None]") -> None:
    """The receiver, if one is named; `hear` is called on the deciding thread."""
    if opened.text("gps.port"):
        source = GpsSource(opened, running, hear)
        running.add_device("gps", source)
        running.load_later(source.load)


def open_screen(opened: Opened, running: Running) -> "Screen | None":
    """The screen, if one is named, started. On the loading thread."""
    named = opened.text("screen.address")
    if not named:
        return None
    from bus_validator.drivers.displays import FILE, opener_of, parse_screen
    from bus_validator.drivers.screen import Screen

    address = parse_screen(named)
    if address.kind == FILE:
        address = address._replace(where=str(opened.folder / Path(address.where)))
    size = opened.number("screen.width_px"), opened.number("screen.height_px")
    screen = Screen(
        opener_of(address, *size), Theme(opened.text("screen.theme")), lambda trouble: running.note("screen", trouble)
    )
    screen.start()
    return screen


class GpsSource:
    """The receiver as a device of the running program: where the bus is goes to `hear`, its time to the clock."""

    def __init__(self, opened: Opened, running: Running, hear: "Callable[[Position], None]") -> None:
        self._opened, self._running, self._hear = opened, running, hear
        self._keeper = opened.station.keeper
        self._gps: SerialGps | None = None
        self._loaded = Event()
        self._heard_mono_ms: int | None = None
        """When the clock was told last; None: not since the start, and a machine's counter may begin at 0 with it."""

    def load(self) -> None:
        """No first passenger waits for satellites. On the loading thread."""
        from bus_validator.drivers.gps import GpsSettings, SerialGps

        clock, port = self._opened.clock, str(self._opened.folder / self._opened.text("gps.port"))
        settings = GpsSettings(port, self._opened.number("gps.baud"))
        self._gps = SerialGps(settings, monotonic_s=lambda: clock.mono_ms() / 1_000)
        self._loaded.set()

    def poll(self, timeout_s: float) -> list[str]:
        """Never a code."""
        gps = self._gps
        if gps is None:
            self._loaded.wait(timeout_s)
            return []
        from bus_validator.stops import Position

        for fix in gps.poll(timeout_s):
            at = Position(fix.latitude_e6, fix.longitude_e6, fix.at_mono_ms // 1_000, fix.speed_mm_s)
            self._running.do(lambda at=at: self._hear(at))
        said = gps.time
        last_ms = self._heard_mono_ms
        if said is not None and (last_ms is None or said.mono_ms - last_ms >= CLOCK_MS):
            self._heard_mono_ms = said.mono_ms
            self._running.do(lambda: self._keeper.heard_gps(said.said_ms, said.error_ms, said.mono_ms))
        return []

    @property
    def is_lost(self) -> bool:
        """Its loss was told, and it is not back."""
        return self._gps is not None and self._gps.is_lost

    def take_refusals(self) -> "list[Refusal]":
        """Of the receiver."""
        return [] if self._gps is None else self._gps.take_refusals()

    def wake(self) -> None:
        """A poll ends now."""
        self._loaded.set()
        if self._gps is not None:
            self._gps.wake()

    def close(self) -> None:
        """For good."""
        if self._gps is not None:
            self._gps.close()

    def health(self) -> object:
        """For `diagnose`, which is answered when all is loaded."""
        assert self._gps is not None
        return self._gps.health()

"""Who stands beside the bus on the desk and writes down what is seen and heard, each with its time. DESIGN §11.

Lights come from the head's pixels and sounds from its buzzer, with the recorder's own microseconds; screens from the
picture file and lines from standard output, each seen within LOOK_S. Nothing that a program says about itself counts
as a light.
"""

import contextlib
import time
from collections import deque
from hashlib import sha256
from pathlib import Path
from threading import Event as Signal
from threading import RLock, Thread
from typing import NamedTuple

from firmware.link import messages
from simulators.bus_desk.desk import BusDesk
from simulators.demo.processes import Child, Said
from simulators.head.recording import DARK as NO_PIXELS
from simulators.head.recording import STATE_NAMES, Pixels, state_of

LOOK_S = 0.005
"""Half of what a person could tell from nothing; what it costs is one `stat`."""
EVENTS_MAX = 50_000
PICTURES_MAX = 2_000
LINES_MAX = 100
"""So many lines, and sounds of one light, are at hand at once; a page shows fewer."""
JOIN_S_MAX = 5.0
DARK = "dark"
CUSTOMER_LIGHTS = frozenset(
    STATE_NAMES[state]
    for state in (
        *(messages.ACCEPTED, messages.ACCEPTED_CASH_DUE, messages.ALREADY_ACCEPTED, messages.REFUSED),
        *(messages.TRY_AGAIN, messages.OUT_OF_SERVICE, messages.TRAINING),
    )
)
LIGHTS = frozenset(STATE_NAMES.values()) | {DARK}
_US, _MS = 1_000_000, 1_000


class Seen(NamedTuple):
    """`at_us` on the monotonic clock. `what`: light, tone (hertz; 0 is silence), link (LED), screen (file), line."""

    at_us: int
    what: str
    value: object


class Ring(NamedTuple):
    """The brightest picture of a light, from `at_us` until the next one."""

    at_us: int
    light: str
    pixels: Pixels


class Watch:
    """`with Watch(desk, folder):` from now on everything is noted; screens are kept in `folder`, if one is named."""

    def __init__(self, desk: BusDesk, folder: Path | None = None) -> None:
        self._desk = desk
        self._folder = folder
        self.began_us = time.monotonic_ns() // _MS
        self._seen: list[Seen] = []
        self._lines: deque[Seen] = deque(maxlen=LINES_MAX)
        self._after_light: deque[Seen] = deque(maxlen=LINES_MAX)
        self._rings = [Ring(self.began_us, DARK, NO_PIXELS)]
        self._lock = RLock()
        self._ended = Signal()
        self._light, self._head_us = DARK, 0
        self._child: Child | None = None
        self._mark = 0
        self._changed_us = self.began_us
        self._screen_ns = 0
        self._screen: str | None = None
        self._pictures: dict[bytes, str] = {}
        self._thread = Thread(target=self._run, name="watch", daemon=True)

    def __enter__(self) -> "Watch":
        if self._folder is not None:
            self._folder.mkdir(parents=True, exist_ok=True)
        self._look_at_head()
        self._seen.clear()  # what shows already did not come on now
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join(JOIN_S_MAX)

    @property
    def light(self) -> str:
        """What the ring shows now; the dark half of a blink is still its light."""
        return self._light

    @property
    def screen(self) -> str | None:
        """The name of the picture that the screen shows now."""
        return self._screen

    @property
    def screen_ns(self) -> str:
        """When the screen's picture was written; another one for each picture."""
        return str(self._screen_ns)

    @property
    def changed_us(self) -> int:
        """When light or screen were last another one."""
        return self._changed_us

    def now_us(self) -> int:
        """The clock that everything is noted by."""
        return time.monotonic_ns() // _MS

    def since(self, at_us: int) -> list[Seen]:
        """What was noted from then on, oldest first."""
        with self._lock:
            return sorted((one for one in self._seen if one.at_us >= at_us), key=lambda one: one.at_us)

    def since_last_light(self) -> list[Seen]:
        """The last light, and the sounds after it."""
        with self._lock:
            return list(self._after_light)

    def first_light(self, since_us: int) -> Seen | None:
        """The first light for a customer that came on."""
        found = (one for one in self.since(since_us) if one.what == "light")
        return next((one for one in found if one.value in CUSTOMER_LIGHTS), None)

    def ring_at(self, at_us: int) -> Ring:
        """The light of then."""
        with self._lock:
            return next((one for one in reversed(self._rings) if one.at_us <= at_us), self._rings[0])

    def lines(self, last: int) -> list[Seen]:
        """What the program said last."""
        with self._lock:
            return list(self._lines)[-last:]

    def wait_screen(self, since_us: int, wait_s: float) -> Seen | None:
        """The first picture drawn after that, once it is there; None: nothing new was drawn in this time."""
        until_s = time.monotonic() + wait_s
        while time.monotonic() < until_s:
            found = next((one for one in self.since(since_us) if one.what == "screen"), None)
            if found is not None:
                return found
            time.sleep(LOOK_S)
        return None

    # --- the thread

    def _run(self) -> None:
        while not self._ended.wait(LOOK_S):
            self._look()

    def _look(self) -> None:
        with contextlib.suppress(RuntimeError):  # the head is being closed
            self._look_at_head()
        self._look_at_screen()
        self._hear_program()

    def _look_at_head(self) -> None:
        for event in self._desk.head.timeline(self._head_us):
            self._head_us = event.at_us + 1
            if event.what == "pixels":
                state = state_of(event.pixels)
                if state:  # neither between two pictures nor the dark half of a blink
                    self._is_light(event.at_us, STATE_NAMES[state], event.pixels)
            elif event.what == "off":
                self._is_light(event.at_us, DARK, NO_PIXELS)
            elif event.what in ("tone", "led"):
                self._note(Seen(event.at_us, "tone" if event.what == "tone" else "link", event.number))

    def _is_light(self, at_us: int, name: str, pixels: Pixels) -> None:
        with self._lock:
            if name != self._light:
                self._rings.append(Ring(at_us, name, pixels))
            elif _brightness(pixels) > _brightness(self._rings[-1].pixels):
                self._rings[-1] = self._rings[-1]._replace(pixels=pixels)
            del self._rings[:-EVENTS_MAX]
        if name != self._light:
            self._light = name
            self._note(Seen(at_us, "light", name))

    def _look_at_screen(self) -> None:
        try:
            written_ns = self._desk.screen.stat().st_mtime_ns
            if written_ns == self._screen_ns:
                return
            picture = self._desk.screen.read_bytes()
        except OSError:
            return  # not drawn yet
        self._screen_ns = written_ns
        self._screen = self._kept(picture)
        self._note(Seen(self.now_us(), "screen", self._screen))

    def _kept(self, picture: bytes) -> str:
        digest = sha256(picture).digest()
        if digest not in self._pictures and len(self._pictures) < PICTURES_MAX:
            self._pictures[digest] = f"{len(self._pictures) + 1:04d}.png"
            if self._folder is not None:
                (self._folder / self._pictures[digest]).write_bytes(picture)
        return self._pictures.get(digest, "")

    def _hear_program(self) -> None:
        if not self._desk.is_started:
            return
        child = self._desk.program
        if child is not self._child:
            self._child, self._mark = child, 0
        said: list[Said] = child.said_since(self._mark)
        self._mark += len(said)
        for line in said:
            self._note(Seen(self.now_us(), "line", line))

    def _note(self, seen: Seen) -> None:
        with self._lock:
            if seen.what in ("light", "screen"):
                self._changed_us = max(self._changed_us, seen.at_us)
            if seen.what == "light":
                self._after_light.clear()
            if seen.what in ("light", "tone"):
                self._after_light.append(seen)
            if seen.what == "line":
                self._lines.append(seen)
            self._seen.append(seen)
            if len(self._seen) > 2 * EVENTS_MAX:
                del self._seen[:EVENTS_MAX]


def _brightness(pixels: Pixels) -> int:
    return sum(map(sum, pixels))

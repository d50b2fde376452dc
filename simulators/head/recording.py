"""What a simulated head did, line by line, read back: pixels, tones, LED, boots, each with its time. DESIGN §11.

Holds a bounded history; the firmware's own heap holds none of it.
"""

from collections import deque
from itertools import takewhile
from typing import NamedTuple

from firmware.link import messages
from firmware.reader_head.lights import BRIGHTNESS_DAY, BRIGHTNESS_NIGHT, LIGHTS
from firmware.reader_head.pins import PIXELS

EVENTS_MAX = 20_000
LINE_BYTES_MAX = 1_000

Pixels = tuple[tuple[int, int, int], ...]
DARK: Pixels = ((0, 0, 0),) * PIXELS

STATE_NAMES = {
    messages.WAIT: "wait",
    messages.READING: "reading",
    messages.ACCEPTED: "accepted",
    messages.ACCEPTED_CASH_DUE: "accepted_cash_due",
    messages.ALREADY_ACCEPTED: "already_accepted",
    messages.REFUSED: "refused",
    messages.TRY_AGAIN: "try_again",
    messages.OUT_OF_SERVICE: "out_of_service",
    messages.TRAINING: "training",
    messages.LOCKED: "locked",
}


class Event(NamedTuple):
    """`at_us` on the machine's monotonic clock, that of `time.monotonic_ns`. `number`: hertz of a tone (0: silence),
    level of the LED, cause of a boot, milliseconds of the watchdog. `pixels` for the ring alone."""

    at_us: int
    what: str
    number: int = 0
    pixels: Pixels = ()


def pixels_of(state: int, step: int, brightness: int) -> Pixels:
    """What the ring shows of this state at this step of its pattern, by the firmware's own table."""
    one, two, _, steps = LIGHTS[state]
    masks = steps[step]
    colours = [one if masks[0] >> pixel & 1 else two if masks[1] >> pixel & 1 else (0, 0, 0) for pixel in range(PIXELS)]
    return tuple(
        (red * brightness // 255, green * brightness // 255, blue * brightness // 255) for red, green, blue in colours
    )


def _all_pictures() -> dict[Pixels, int]:
    pictures: dict[Pixels, int] = {DARK: messages.DARK}
    for state, light in LIGHTS.items():
        for step in range(len(light[3])):
            for brightness in (BRIGHTNESS_DAY, BRIGHTNESS_NIGHT):
                pictures.setdefault(pixels_of(state, step, brightness), state)
    return pictures


_PICTURES = _all_pictures()


def state_of(pixels: Pixels) -> int | None:
    """The state (number of `firmware.link.messages`) that shows so; DARK for none; None for what no state shows. The
    dark half of a blink reads as DARK."""
    return _PICTURES.get(pixels)


class Recording:
    """The lines of one head, over all its boots. Not thread-safe."""

    def __init__(self) -> None:
        self._rest = b""
        self.dark: set[int] = set()
        """Lamps that are burnt out, whatever they are told."""
        self.is_mute = False
        """The buzzer's wire is off."""
        self.events: deque[Event] = deque(maxlen=EVENTS_MAX)
        self.count = 0
        self.ring = DARK
        self.tone_hertz = 0
        self.led = 0
        self.watchdog_ms = 0
        self.scratch = 0
        self.flash_changes = 0
        self.is_cut = False
        self.is_at_prompt = False
        self.is_foreign = False
        """A program runs that is no head's."""

    def push(self, data: bytes) -> list[Event]:
        """The events of these bytes, oldest first."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        self._rest = self._rest[-LINE_BYTES_MAX:]
        return [self._note(_event(line)) for line in lines]

    def since(self, at_us: int) -> list[Event]:
        """What happened from then on, oldest first. Looks at nothing older: a watcher asks 200 times a second."""
        found = list(takewhile(lambda event: event.at_us >= at_us, reversed(self.events)))
        return found[::-1]

    def power_gone(self, at_us: int) -> None:
        """The board is without power: the ring is dark, the buzzer still."""
        self._rest = b""
        self._note(Event(at_us, "off"))
        self.ring, self.tone_hertz, self.led, self.watchdog_ms = DARK, 0, 0, 0

    def _note(self, event: Event) -> Event:
        if event.what == "pixels":
            if self.dark:
                lit = (DARK[0] if at in self.dark else pixel for at, pixel in enumerate(event.pixels))
                event = event._replace(pixels=tuple(lit))
            self.ring = event.pixels
        elif event.what == "tone":
            if self.is_mute:
                event = event._replace(number=0)
            self.tone_hertz = event.number
        elif event.what == "led":
            self.led = event.number
        elif event.what == "watchdog":
            self.watchdog_ms = event.number
        elif event.what == "scratch":
            self.scratch = event.number
        elif event.what == "wrote":
            self.flash_changes = event.number
        elif event.what == "cut":
            self.is_cut = True
        elif event.what in ("boot", "ended", "foreign"):
            self.is_at_prompt, self.is_foreign = event.what == "ended", event.what == "foreign" and event.number == 1
        if event.what not in ("feed", "wrote"):
            self.events.append(event)
            self.count += 1
        return event


def _event(line: bytes) -> Event:
    at_us, what, value = line.decode("ascii").split(" ", 2)
    if what == "pixels":
        raw = bytes.fromhex(value)
        return Event(int(at_us), what, 0, tuple((raw[at], raw[at + 1], raw[at + 2]) for at in range(0, len(raw), 3)))
    return Event(int(at_us), what, int(value))

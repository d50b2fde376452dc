"""A technician at a self-test: reads the lines of its terminal, looks at the ring, listens, presses, holds, answers.

Eyes and ears are the head's pixels and tones, and a code is read from the picture on the screen or from the blocks on
the terminal by a real decoder: what is broken is seen as broken, whatever the program believes. DESIGN §11.
"""

import os
import re
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from threading import Thread

from PIL import Image

from firmware.link import messages
from firmware.reader_head.lights import FINDING, SOUNDS
from simulators.head.device import SimulatedHead
from simulators.head.recording import Event, Pixels, state_of
from simulators.scanner import PictureUnreadable, read_picture

READ_BYTES = 4_096
MODULE_PX = 6
SCREEN_S_MAX = 3.0
PATIENCE_S = 1.0
_LINE = re.compile(r"^([?!>]) \[([a-z_]+)\.([a-z0-9_]+)\]")
_BLOCKS = {" ": (0, 0), "▀": (255, 0), "▄": (0, 255), "█": (255, 255)}
STATES = {
    "ring_wait": messages.WAIT,
    "ring_reading": messages.READING,
    "ring_already": messages.ALREADY_ACCEPTED,
    "ring_refused": messages.REFUSED,
    "ring_try_again": messages.TRY_AGAIN,
    "ring_out_of_service": messages.OUT_OF_SERVICE,
    "ring_training": messages.TRAINING,
    "ring_locked": messages.LOCKED,
    "ring_accepted": messages.ACCEPTED,
    "ring_cash_due": messages.ACCEPTED_CASH_DUE,
}

Hand = Callable[[], None]
Eye = Callable[[], bool | None]


class Technician:
    """Reads `lines` (what the program writes) until it ends, on a thread; types into `keys`, or answers with the head's
    buttons where `by_buttons`."""

    def __init__(
        self,
        lines: int,
        keys: int,
        head: SimulatedHead | None = None,
        *,
        screen: Path | None = None,
        by_buttons: bool = False,
        scan: Callable[[str], None] | None = None,
        hands: Mapping[str, Hand] | None = None,
        eyes: Mapping[str, Eye] | None = None,
    ) -> None:
        """`scan`: holds a text before a scanner of its own; `hands` and `eyes`: what to do at a wish and to say to a
        question, by the step's id, beside what the head gives."""
        self._lines, self._keys, self._head, self._screen = lines, keys, head, screen
        self._by_buttons, self._scan = by_buttons, scan
        self._hands, self._eyes = dict(hands or {}), dict(eyes or {})
        self._since_us = self._answered_us = 0
        self._blocks: list[str] = []
        self._wish = ""
        self.read = ""
        """All that stood on the terminal."""
        self.asked: list[str] = []
        self.greens_us: list[tuple[int, int]] = []
        """From and to, when the technician had said that nobody boards."""
        self._thread = Thread(target=self._work, name="technician", daemon=True)
        self._thread.start()

    def join(self, wait_s: float = 30.0) -> None:
        """Until the program writes no more."""
        self._thread.join(wait_s)

    # --- inside

    def _work(self) -> None:
        held = b""
        while True:
            try:
                found = os.read(self._lines, READ_BYTES)
            except OSError:
                return
            if not found:
                return
            *lines, held = (held + found).split(b"\n")
            for raw in lines:
                line = raw.decode("utf-8", "replace")
                self.read += line + "\n"
                self._hear(line)

    def _hear(self, line: str) -> None:
        if line and set(line) <= set(_BLOCKS) and len(line) > 20:
            self._blocks.append(line)
            if self._is_whole():
                self._hold_code(self._wish)
            return
        found = _LINE.match(line)
        if found is None:
            return
        sign, part, name = found.groups()
        step = f"{part}.{name}"
        if sign == ">":
            since_us, self._answered_us = self._answered_us or time.monotonic_ns() // 1_000, 0
            self._since_us, self._blocks, self._wish = since_us, [], step
        elif sign == "!":
            self._do(step)
        else:
            self.asked.append(step)
            self._answer(self._sees(step))

    def _do(self, step: str) -> None:
        if step in self._hands:
            self._hands[step]()
        elif self._head is not None and step in ("head.button_1", "head.button_2"):
            self._head.press(int(step[-1]))
        elif self._head is not None and step == "head.cover":
            self._head.tamper(True)
            time.sleep(0.1)  # as fast as a hand is
            self._head.tamper(False)

    def _answer(self, is_yes: bool | None) -> None:
        """None: nothing is said."""
        if is_yes is None:
            return
        self._answered_us = time.monotonic_ns() // 1_000  # from here on it looks at what comes next
        if self._by_buttons and self._head is not None:
            self._head.press(1 if is_yes else 2)
        else:
            with suppress(OSError):
                os.write(self._keys, b"y\n" if is_yes else b"n\n")

    # --- eyes and ears

    def _sees(self, step: str) -> bool | None:
        if step in self._eyes:
            return self._eyes[step]()
        head = self._head
        if head is None or step == "head.green":
            return True
        match step.removeprefix("head."):
            case "ring_all":
                return self._comes(_is_all_white)
            case "brightness":
                return self._comes(_is_dim_and_bright)
            case "buzzer":
                return self._comes(_is_low_then_short)
            case name if name in STATES:
                events = head.timeline(self._since_us)
                rings = [*(event.pixels for event in events if event.what == "pixels"), head.ring()]
                is_strange = any(state_of(ring) is None and not _is_white(ring) for ring in rings)
                return not is_strange and STATES[name] in {state_of(ring) for ring in rings}
            case _:
                return True

    def _comes(self, is_so: Callable[[list[Event]], bool]) -> bool:
        """What takes its time is watched for as long as a person would."""
        assert self._head is not None
        until_s = time.monotonic() + PATIENCE_S
        while not is_so(self._head.timeline(self._since_us)):
            if time.monotonic() > until_s:
                return False
            time.sleep(0.02)
        return True

    # --- codes

    def _is_whole(self) -> bool:
        """A code is as high as it is wide, two modules in a line."""
        return len(self._blocks) * 2 >= len(self._blocks[0])

    def _hold_code(self, step: str) -> None:
        """From the device's own screen where it shows one, else from the terminal."""
        if step in self._hands:
            return
        is_on_glass = self._screen is not None and self._screen.exists()
        text = self._read_screen() if is_on_glass else read_picture(picture_of(self._blocks))
        self._blocks = []
        if step.startswith("head_scanner") and self._head is not None:
            self._head.scan(text)
        elif self._scan is not None:
            self._scan(text)

    def _read_screen(self) -> str:
        """When the page with the code is on the glass."""
        assert self._screen is not None
        until_s = time.monotonic() + SCREEN_S_MAX
        while True:
            try:
                with Image.open(self._screen) as picture:
                    return read_picture(picture)
            except (OSError, PictureUnreadable):
                if time.monotonic() > until_s:
                    raise
                time.sleep(0.05)


def picture_of(blocks: list[str]) -> Image.Image:
    """The code on a dark terminal as an eye sees it."""
    picture = Image.new("L", (len(blocks[0]), 2 * len(blocks)))
    for down, line in enumerate(blocks):
        for across, char in enumerate(line):
            for half, shade in enumerate(_BLOCKS[char]):
                picture.putpixel((across, 2 * down + half), shade)
    return picture.resize((picture.width * MODULE_PX, picture.height * MODULE_PX), Image.Resampling.NEAREST)


def _tones(state: int) -> set[int]:
    return {hertz for hertz, _ in SOUNDS[state] if hertz}


def _is_dim_and_bright(events: list[Event]) -> bool:
    return len({event.pixels for event in events if state_of(event.pixels) == messages.WAIT}) == 2


def _is_low_then_short(events: list[Event]) -> bool:
    heard = {event.number for event in events if event.what == "tone"}
    return _tones(messages.REFUSED) | _tones(messages.TRAINING) <= heard


def _is_all_white(events: list[Event]) -> bool:
    """Every lamp lit alike, in the colour of a head that wants to be found."""
    red, green, blue = FINDING[0]
    assert red == green == blue
    return any(_is_white(event.pixels) for event in events if event.what == "pixels")


def _is_white(ring: Pixels) -> bool:
    return len(set(ring)) == 1 and ring[0][0] == ring[0][1] == ring[0][2] > 0

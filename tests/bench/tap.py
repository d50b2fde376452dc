"""`tap_to_green_*`: a passenger's wait with all parts real, and where it goes; `screen_after_green`; `queue_60`.

A code: from its first byte on the wire between the head's scanner and its board, through the firmware in MicroPython,
the cable, `kgo-bus` and its journal, to the ring's pixels being green. A card: from the driver beginning to speak with
a card in its reader, over a real pcscd, to the same pixels. Not in it: what a scanner's own wire takes (39 ms for 450
characters at 115,200 baud) and the card service's polling. Every passenger is new, so nothing is cached. The split:

  transport  code: bytes to a whole text in the host; card: all APDUs, and so what the simulated chip thinks
  decode     the two signatures and all parsing (EvidenceReader)
  decision   all between: the rules, the voucher's signature, the hand-over between threads
  commit     the journal's durable writes: one for a code; request and voucher for a card
  link       from the host's LIGHT to the pixels that have taken their colour

`screen_after_green`: from those pixels to the picture being whole (800×480, PNG in memory: no screen waits for a disk);
none may be before. Goals: p99 < 50 ms; screen < 30 ms; no tap of the queue above 300 ms. DESIGN §10.
"""

import contextlib
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from firmware.link import messages
from simulators.demo.processes import Said, wait_until
from simulators.head.recording import state_of
from tests.bench.measure import Row, row_of
from tests.bench.traced_bus import COMMIT, DECODE, LANE, LIT, PICTURE, SERVE, SHOW, TEXT, Mark, read_marks
from tests.processes.flapping_bus import flapping_bus, start_traced
from tests.processes.full_bus import GREEN, FullBus, full_bus, loaded_card
from tests.processes.lone_bus import rider

CODES, CARDS, QUEUE = 200, 100, 60
WARM_UP = 5
QUEUE_S = 1.0
PAUSE_S = 0.1, 0.2
"""Between two passengers, never in step with what the program does now and then."""
SWITCH_S = 0.0005
"""This process is the cable too: its threads must not wait 5 ms for each other."""
NS_PER_MS = 1e6
MEMORY = "/dev/shm"
SPLIT = ("transport", "decode", "decision", "commit", "link")


class Tap(NamedTuple):
    """One passenger's, in ms. `screen_ms` is after the green; None: the picture of the one before stood still."""

    total_ms: float
    transport_ms: float
    decode_ms: float
    decision_ms: float
    commit_ms: float
    link_ms: float
    screen_ms: float | None


class TapUnseen(Exception):
    """A tap without its green or its picture: the figures would mean nothing."""


def rows(folder: Path, codes: int = CODES, cards: int = CARDS, queue: int = QUEUE) -> list[Row]:
    """All of them; `folder` is made."""
    before_s = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_S)
    try:
        by_code = code_taps(folder / "codes", codes)
        by_card = card_taps(folder / "cards", cards)
        waited_ms = [tap.total_ms for tap in queue_taps(folder / "queue", queue, QUEUE_S, random.Random(60))]
    finally:
        sys.setswitchinterval(before_s)
    drawn_ms = [tap.screen_ms for tap in (*by_code, *by_card)]
    return [
        *_split_rows("tap_to_green_qr", by_code),
        *_split_rows("tap_to_green_card", by_card),
        row_of("screen_after_green", "ms", [one for one in drawn_ms if one is not None]),
        row_of(f"queue_{queue}", "ms", waited_ms),
        row_of(f"queue_{queue}_longest", "ms", [max(waited_ms)]),
    ]


def code_taps(folder: Path, count: int) -> list[Tap]:
    """So many passengers with phones, one after another."""
    folder.mkdir(parents=True)
    rng = random.Random(count)
    with full_bus(folder, cards=False) as bus, _screen_in_memory(bus):
        begun_ns: list[int] = []
        for number in range(count + WARM_UP):
            code = rider(1_000 + number).code(int(time.time()))
            begun_ns.append(send(bus, code))
            _another(bus, code, rng)
        return _taps_of(bus, folder / "marks", begun_ns, _transport_of_code)[WARM_UP:]


def card_taps(folder: Path, count: int) -> list[Tap]:
    """So many passengers with cards."""
    folder.mkdir(parents=True)
    rng = random.Random(count)
    with full_bus(folder) as bus, _screen_in_memory(bus):
        phone = rider(1_000).code(int(time.time()))
        send(bus, phone)
        for number in range(count + WARM_UP):
            _another(bus, phone, rng)
            with loaded_card(folder / "purses", 1_000 + number) as card:
                _check(bus.tap(card, reader=number % len(bus.readers)))
        begun_ns = [mark.begun_ns for mark in read_marks(folder / "marks") if mark.name == SERVE]
        return _taps_of(bus, folder / "marks", begun_ns, _transport_of_card)[WARM_UP:]


@contextlib.contextmanager
def _screen_in_memory(bus: FullBus) -> Iterator[None]:
    """Started, traced, and everything loaded."""
    with tempfile.TemporaryDirectory(dir=MEMORY) as name:
        screen = Path(name) / "screen.png"
        bus.settings.write_text(bus.settings.read_text().replace("file:screen.png", f"file:{screen}"))
        start_traced(bus, bus.folder / "marks")
        bus.head.wait_for(messages.WAIT)
        wait_until(screen.exists, "the screen")
        yield


def queue_taps(folder: Path, count: int, apart_s: float, rng: random.Random) -> list[Tap]:
    """So many passengers, one every `apart_s`, while the network comes and goes: each comes under the green of the one
    before, so that only the head's own word tells one from the other."""
    with flapping_bus(folder, rng) as (bus, _city, _weather):
        start_traced(bus, folder / "marks")
        bus.ready()
        begun_ns = queue_up(bus, count, apart_s)
        return _taps_of(bus, folder / "marks", begun_ns, _transport_of_code, is_queue=True)


def queue_up(bus: FullBus, count: int, apart_s: float) -> list[int]:
    """The passengers' codes at their times, each with its green; when each began."""
    begins_s = time.monotonic()
    begun_ns: list[int] = []
    for number in range(count):
        code = rider(5_000 + number).code(int(time.time()))
        _pause(begins_s + number * apart_s - time.monotonic())
        begun_ns.append(send(bus, code))
    return begun_ns


def send(bus: FullBus, code: str) -> int:
    """A code and its green; when it began."""
    mark = bus.program.mark()
    begun_ns = time.perf_counter_ns()
    bus.head.scan(code)
    _check(bus.light(mark))
    return begun_ns


def _check(said: Said) -> None:
    if said["light"] != "accepted_cash_due":
        raise TapUnseen(str(said))


def _another(bus: FullBus, code: str, rng: random.Random) -> None:
    """Somebody shows a code that has paid: head and screen change, so that the next green is a new one to see."""
    _pause(rng.uniform(*PAUSE_S))
    if bus.scan(code)["light"] != "already_accepted":
        raise TapUnseen("a code paid twice")
    _pause(rng.uniform(*PAUSE_S))


def _pause(seconds: float) -> None:
    until_s = time.monotonic() + seconds
    while (left_s := until_s - time.monotonic()) > 0:
        time.sleep(left_s)


def _taps_of(
    bus: FullBus,
    file: Path,
    begun_ns: Sequence[int],
    transport: Callable[[Sequence[Mark], int, int], int],
    *,
    is_queue: bool = False,
) -> list[Tap]:
    """Each between its own begin and the next one's."""
    _pause(PAUSE_S[1])  # the last picture
    greens_ns = _greens_ns(bus)
    if bus.program.stop("quit"):
        raise TapUnseen("the program did not end well")
    marks = read_marks(file)
    found: list[Tap] = []
    for begin_ns, end_ns in zip(begun_ns, [*begun_ns[1:], sys.maxsize], strict=True):
        mine = [mark for mark in marks if begin_ns <= mark.ended_ns < end_ns]  # a wait for a text begins before it
        shown_ns = next((mark.begun_ns for mark in mine if mark.name == SHOW), end_ns)
        confirmed_ns = next((mark.begun_ns for mark in mine if mark.name == LIT), end_ns)
        lit_ns = confirmed_ns if is_queue else next((at for at in greens_ns if shown_ns <= at), end_ns)
        picture_ns = next((mark.ended_ns for mark in mine if mark.name == PICTURE), None)
        if lit_ns >= end_ns or confirmed_ns < lit_ns:
            raise TapUnseen(f"no green, or its word came before it: {mine}")
        if not is_queue and (picture_ns is None or picture_ns <= lit_ns):
            raise TapUnseen(f"no picture, or before the green: {mine}")
        transport_ns = transport(mine, begin_ns, lit_ns)
        decode_ns, commit_ns = _sum_ns(mine, DECODE, lit_ns), _sum_ns(mine, COMMIT, lit_ns)
        decision_ns = shown_ns - begin_ns - transport_ns - decode_ns - commit_ns
        found.append(
            Tap(
                total_ms=(lit_ns - begin_ns) / NS_PER_MS,
                transport_ms=transport_ns / NS_PER_MS,
                decode_ms=decode_ns / NS_PER_MS,
                decision_ms=decision_ns / NS_PER_MS,
                commit_ms=commit_ns / NS_PER_MS,
                link_ms=(lit_ns - shown_ns) / NS_PER_MS,
                screen_ms=None if is_queue or picture_ns is None else (picture_ns - lit_ns) / NS_PER_MS,
            )
        )
    return found


def _greens_ns(bus: FullBus) -> list[int]:
    """When the ring turned to a green, or to another step of one."""
    seen = (event for event in bus.head.timeline() if event.what == "pixels")
    return [event.at_us * 1_000 for event in seen if state_of(event.pixels) in GREEN]


def _transport_of_code(marks: Sequence[Mark], begun_ns: int, lit_ns: int) -> int:
    return next(mark.ended_ns for mark in marks if mark.name == TEXT and mark.ended_ns < lit_ns) - begun_ns


def _transport_of_card(marks: Sequence[Mark], _begun_ns: int, lit_ns: int) -> int:
    return _sum_ns(marks, LANE, lit_ns)


def _sum_ns(marks: Sequence[Mark], name: str, until_ns: int) -> int:
    return sum(mark.ended_ns - mark.begun_ns for mark in marks if mark.name == name and mark.ended_ns <= until_ns)


def _split_rows(name: str, taps: Sequence[Tap]) -> list[Row]:
    total = row_of(name, "ms", [tap.total_ms for tap in taps])
    return [total, *(row_of(f"{name}_{part}", "ms", [getattr(tap, f"{part}_ms") for tap in taps]) for part in SPLIT)]

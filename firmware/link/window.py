"""What must arrive once and in order: sequence numbers, acknowledgements, repetition, back-pressure. Pure. DESIGN §3.

Both ends have one. A frame in it has a sequence of 1 to 255, one outside has 0. The receiver takes only the next one
and acknowledges the last it took; the sender repeats what was not acknowledged, and takes no more than `SLOTS` before
that: who has more to say must wait, so nothing is overrun. A new session starts both at 1.
"""

from firmware.link.const import const
from firmware.link.frames import encode

SLOTS = const(6)  # 6 × 200 bytes: two of our largest codes, while one acknowledgement is under way
RETRY_MS = const(40)  # many round trips of a cable; a repeated frame that was not lost costs only its bytes
_TICKS = const(0x3FFFFFFF)  # MicroPython's milliseconds wrap here


def elapsed_ms(now_ms: int, then_ms: int) -> int:
    """Milliseconds from then to now on a clock that wraps; right up to 12 days."""
    return (now_ms - then_ms) & _TICKS


def following(sequence: int) -> int:
    """The sequence after this one: 255 is followed by 1."""
    return sequence % 255 + 1


class Window:
    """Sender and receiver of one end."""

    def __init__(self) -> None:
        self._waiting: list[bytearray] = []
        self._first = 1  # sequence of the oldest that waits
        self._next = 1
        self._taken = 0
        self._sent_ms = 0
        self.duplicates = 0

    def restart(self) -> int:
        """A new session: forgets what waits and says how many that were."""
        lost = len(self._waiting)
        self._waiting = []
        self._first = self._next = 1
        self._taken = 0
        return lost

    def room(self) -> int:
        """So many more may be sent now."""
        return SLOTS - len(self._waiting)

    def put(self, kind: int, payload: bytes, now_ms: int) -> bytearray:
        """The frame to send now; it is kept until it is acknowledged. Ask `room` first."""
        if len(self._waiting) >= SLOTS:
            raise ValueError("window full")
        frame = encode(kind, self._next, payload)
        if not self._waiting:
            self._sent_ms = now_ms
        self._waiting.append(frame)
        self._next = following(self._next)
        return frame

    def acknowledged(self, sequence: int, now_ms: int) -> None:
        """The other end has all up to this one; an old or foreign number changes nothing."""
        at = self._first
        for count in range(1, len(self._waiting) + 1):
            if at == sequence:
                self._waiting = self._waiting[count:]
                self._first = following(sequence)
                self._sent_ms = now_ms
                return
            at = following(at)

    def left_ms(self, now_ms: int) -> int:
        """Milliseconds until something is to be repeated; -1 if nothing waits."""
        if not self._waiting:
            return -1
        return max(0, RETRY_MS - elapsed_ms(now_ms, self._sent_ms))

    def repeats(self, now_ms: int) -> list[bytearray]:
        """The frames to send again now, oldest first."""
        if not self._waiting or elapsed_ms(now_ms, self._sent_ms) < RETRY_MS:
            return []
        self._sent_ms = now_ms
        return self._waiting

    def take(self, sequence: int) -> bool:
        """Is this the next one? Otherwise it is a duplicate, or follows one that was damaged and will be repeated."""
        if sequence != following(self._taken):
            self.duplicates += 1
            return False
        self._taken = sequence
        return True

    def taken(self) -> int:
        """What an acknowledgement says: the last one taken, 0 for none."""
        return self._taken

"""The terminal's end of the cable to a reader head: bytes and time in, bytes and events out. Pure. DESIGN §3.

Knows no port, thread or callback. A session begins when the head has answered our HELLO by the same number; what a
light of an older session was, the head never confirms. `docs/head.md` describes the cable.
"""

from typing import NamedTuple

from firmware.link import messages
from firmware.link.frames import Decoder, encode
from firmware.link.window import RETRY_MS, Window, elapsed_ms

HELLO_MS = 200  # between greetings, until one is answered
UNFIT_MS = 2_000  # between greetings to a head that speaks another version: it may be flashed meanwhile
SILENT_MS = 1_500  # so long without an answer to a ping, and the head counts as lost; three pings were sent
TELL_MS = 3_000  # so long without a session is told: a board that resets needs less
STATUS_MS = 10_000
OUT_BYTES_MAX = 1_024  # that the port has not taken; beyond it nothing is added but repeated later
SESSION_MAX = 0xFFFFFFFF
NUMBER_MAX = 0xFFFF
_GREEN = (messages.ACCEPTED, messages.ACCEPTED_CASH_DUE)


class Scanned(NamedTuple):
    """Bytes of the head's QR scanner."""

    data: bytes


class Pressed(NamedTuple):
    """`kind`: BUTTON_PRESSED, BUTTON_RELEASED or BUTTON_LONG of `firmware.link.messages`."""

    button: int
    kind: int


class Cover(NamedTuple):
    """The cover's switch."""

    is_open: bool


class Lit(NamedTuple):
    """The light of this token is on."""

    token: int


class Begun(NamedTuple):
    """The head is there and understands us."""

    reset_cause: int
    firmware: tuple[int, int, int]
    board: bytes


class Ended(NamedTuple):
    """The session is over: the head restarted or went silent. No light of it will be confirmed."""

    why: str


class Unfit(NamedTuple):
    """The head speaks only these versions of the protocol."""

    oldest: int
    newest: int


class ScansLost(NamedTuple):
    """So often the head's scanner port overran since the last word about it."""

    times: int


class HeadStatus(NamedTuple):
    """What the head says of itself; counts are since it booted."""

    uptime_ms: int
    free_bytes: int
    free_bytes_least: int
    frame_errors: int
    duplicates: int
    overruns: int
    discarded_bytes: int
    reset_cause: int
    major: int
    minor: int
    patch: int


HeadEvent = Scanned | Pressed | Cover | Lit | Begun | Ended | Unfit | ScansLost | HeadStatus


class HeadSession:
    """One head on one cable, over all its restarts. Not thread-safe."""

    def __init__(self, first_session: int) -> None:
        """`first_session` should differ between two starts of the program: an answer to the last one's is then no
        answer to ours."""
        self._session = first_session % SESSION_MAX
        self._decoder = Decoder()
        self._window = Window()
        self.out = bytearray()
        self.is_open = False
        self._greeted_ms: int | None = None
        self._greet_again_ms = HELLO_MS
        self._pinged_ms = self._asked_ms = 0
        self._unanswered_ms: int | None = None
        self._number = 0
        self._token = 0
        self._light = messages.OUT_OF_SERVICE
        self._lit = False
        self._light_ms: int | None = None
        self._brightness: int | None = None
        self._overruns: int | None = None
        self.refused_frames = 0

    @property
    def frame_errors(self) -> int:
        """Damaged frames and messages that make no sense, since the session was made."""
        return self._decoder.errors + self.refused_frames

    @property
    def frames(self) -> int:
        """Whole frames received."""
        return self._decoder.frames

    def greet(self, now_ms: int) -> None:
        """Begin a session anew; what was on its way is forgotten. Call it when a port was opened."""
        self._close()
        self.out.clear()
        self._session = self._session % SESSION_MAX + 1
        self._greet_again_ms = HELLO_MS
        self._hello(now_ms)

    def lose(self) -> None:
        """The port is gone."""
        self._close()
        self.out.clear()
        self._decoder.push(b"\0")  # half a frame of the old cable is no beginning of the next
        self._greeted_ms = None

    def light(self, state: int, now_ms: int) -> int:
        """Show this from now on; the token by which `Lit` will name it. The latest light wins: one that the port has
        not taken yet is never shown. Without a session: 0; the head shows it when it is there, a green as *wait*."""
        if not self.is_open:
            self._light = messages.WAIT if state in _GREEN else state
            return 0
        self._token += 1
        self._light, self._lit, self._light_ms = state, False, None
        self.pump(now_ms)
        return self._token

    def set_brightness(self, brightness: int, now_ms: int) -> None:
        """0 to 255; told to each new session as well."""
        self._brightness = brightness
        if self.is_open:
            self._put(messages.BRIGHTNESS, messages.one_byte(brightness), now_ms)

    def identify(self, blink_ms: int, now_ms: int) -> bool:
        """Blink, to be found. False if there is no session to say it in."""
        return self.is_open and self._put(messages.IDENTIFY, messages.identify(blink_ms), now_ms)

    def ask(self, now_ms: int) -> None:
        """Let the head say its state; without a session nothing happens."""
        if self.is_open:
            self._asked_ms = now_ms
            self._send(messages.ASK, b"")

    def receive(self, data: bytes, now_ms: int) -> list[HeadEvent]:
        """What these bytes say, in order."""
        events: list[HeadEvent] = []
        for kind, sequence, payload in self._decoder.push(data):
            try:
                self._take(kind, sequence, payload, now_ms, events)
            except ValueError:
                self.refused_frames += 1
        self.pump(now_ms)
        return events

    def tick(self, now_ms: int) -> list[HeadEvent]:
        """What the passing of time brings: repeats, pings, and the end of a session that nobody answers."""
        events: list[HeadEvent] = []
        if not self.is_open:
            if self._greeted_ms is not None and elapsed_ms(now_ms, self._greeted_ms) >= self._greet_again_ms:
                self._hello(now_ms)
            return events
        if self._unanswered_ms is not None and elapsed_ms(now_ms, self._unanswered_ms) >= SILENT_MS:
            events.append(Ended(f"no answer for {SILENT_MS} ms"))
            self.greet(now_ms)
            return events
        if elapsed_ms(now_ms, self._pinged_ms) >= messages.PING_MS:
            self._ping(now_ms)
        if elapsed_ms(now_ms, self._asked_ms) >= STATUS_MS:
            self.ask(now_ms)
        for frame in self._window.repeats(now_ms):
            self._add(frame)
        if not self._lit and self._light_ms is not None and elapsed_ms(now_ms, self._light_ms) >= RETRY_MS:
            self._light_ms = None
        self.pump(now_ms)
        return events

    def left_ms(self, now_ms: int) -> int:
        """Milliseconds until `tick` has something to do."""
        if not self.is_open:
            if self._greeted_ms is None:
                return STATUS_MS
            return max(0, self._greet_again_ms - elapsed_ms(now_ms, self._greeted_ms))
        left = [messages.PING_MS - elapsed_ms(now_ms, self._pinged_ms)]
        if self._light_ms is not None and not self._lit:
            left.append(RETRY_MS - elapsed_ms(now_ms, self._light_ms))
        waiting = self._window.left_ms(now_ms)
        if waiting >= 0:
            left.append(waiting)
        return max(0, min(left))

    def pump(self, now_ms: int) -> None:
        """Put the light among the bytes to send, if it is not there and they are few."""
        if self.is_open and not self._lit and self._light_ms is None and len(self.out) < OUT_BYTES_MAX:
            self.out += encode(messages.LIGHT, 0, messages.light(self._token, self._light))
            self._light_ms = now_ms

    def _close(self) -> None:
        self.is_open = False
        self._window.restart()
        self._unanswered_ms = None
        self._overruns = None
        if self._light in _GREEN:  # a cable that is pulled and plugged again must not let a second passenger on
            self._light = messages.WAIT
        self._token += 1
        self._lit, self._light_ms = False, None

    def _hello(self, now_ms: int) -> None:
        self._greeted_ms = now_ms
        hello = messages.host_hello(messages.PROTOCOL_OLDEST, messages.PROTOCOL_NEWEST, self._session)
        self._send(messages.HELLO, hello)

    def _ping(self, now_ms: int) -> None:
        self._pinged_ms = now_ms
        self._number = (self._number + 1) % NUMBER_MAX
        if self._unanswered_ms is None:
            self._unanswered_ms = now_ms
        self._send(messages.PING, messages.ping(self._number))

    def _take(self, kind: int, sequence: int, payload: bytes, now_ms: int, events: list[HeadEvent]) -> None:
        if kind == messages.HELLO:
            self._greeted_by_head(payload, now_ms, events)
            return
        if not self.is_open:
            return  # of a session that is over
        self._unanswered_ms = None
        if sequence:
            if self._window.take(sequence):
                self._heard(kind, payload, events)
            self._send(messages.ACK, messages.one_byte(self._window.taken()))
        elif kind == messages.LIT:
            self._confirmed(messages.read_lit(payload), events)
        elif kind == messages.ACK:
            self._window.acknowledged(messages.read_one_byte(payload), now_ms)
        elif kind == messages.PONG:
            self._pong(payload, events)
        elif kind == messages.STATUS:
            events.append(HeadStatus(*messages.read_status(payload)))

    def _greeted_by_head(self, payload: bytes, now_ms: int, events: list[HeadEvent]) -> None:
        oldest, newest, session = messages.read_opening(payload)
        if messages.common_version(messages.PROTOCOL_OLDEST, messages.PROTOCOL_NEWEST, oldest, newest) < 0:
            if self.is_open:
                events.append(Ended("another version"))
                self._close()
            self._greet_again_ms = UNFIT_MS
            events.append(Unfit(oldest, newest))
        elif session == self._session and not self.is_open:
            events.append(Begun(*messages.read_head_hello(payload)))
            self.is_open = True
            self._begin(now_ms)
        elif session != self._session and (self.is_open or session == 0):
            if self.is_open:
                events.append(Ended("the head restarted"))
            self.greet(now_ms)

    def _begin(self, now_ms: int) -> None:
        self._ping(now_ms)  # its answer says where the count of overruns stands
        if self._brightness is not None:
            self._put(messages.BRIGHTNESS, messages.one_byte(self._brightness), now_ms)
        self.pump(now_ms)
        self.ask(now_ms)

    def _heard(self, kind: int, payload: bytes, events: list[HeadEvent]) -> None:
        if kind == messages.SCAN:
            events.append(Scanned(payload))
        elif kind == messages.BUTTON:
            events.append(Pressed(*messages.read_button(payload)))
        elif kind == messages.TAMPER:
            events.append(Cover(messages.read_one_byte(payload) != 0))

    def _confirmed(self, token: int, events: list[HeadEvent]) -> None:
        if token == self._token:
            self._lit = True
        events.append(Lit(token))

    def _pong(self, payload: bytes, events: list[HeadEvent]) -> None:
        _, _, _, overruns = messages.read_pong(payload)
        if self._overruns is not None and overruns != self._overruns:
            events.append(ScansLost((overruns - self._overruns) & 0xFFFF))
        self._overruns = overruns

    def _put(self, kind: int, payload: bytes, now_ms: int) -> bool:
        if not self._window.room():
            return False
        self._add(self._window.put(kind, payload, now_ms))
        return True

    def _send(self, kind: int, payload: bytes) -> None:
        self._add(encode(kind, 0, payload))

    def _add(self, frame: bytearray) -> None:
        if len(self.out) < OUT_BYTES_MAX:
            self.out += frame

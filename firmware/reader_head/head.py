"""The head's one loop: cable, scanner, buttons, light. It decides nothing and never looks into a scan. DESIGN §3, §5.

A session begins with the terminal's HELLO and ends when the terminal is silent for HOST_SILENT_MS; then the head shows
out of service by itself. Any later word of the terminal is answered by a HELLO of session 0: "open a new one".
"""

import gc

from firmware.link import frames, messages
from firmware.link.const import const
from firmware.link.window import Window, elapsed_ms
from firmware.reader_head.clock import now_ms as clock_ms
from firmware.reader_head.keys import Button, Switch
from firmware.reader_head.lamp import Lamp
from firmware.reader_head.version import VERSION

_TICK_MS = const(10)  # buttons are looked at and patterns step this often; a byte is answered at once
_SPARE_SLOTS = const(2)  # of the window: a flood of scans leaves room for buttons
_OUT_FRAMES_MAX = const(24)  # answers that wait for the cable; beyond that they are dropped and asked for again
_COLLECT_MS = const(1000)
_QUIET_MS = const(50)  # memory is tidied when nothing came for so long: nobody waits for a light then
_READ_BYTES = const(256)
_BLINK_MS = const(250)


class Head:
    def __init__(self, board, oldest: int, newest: int) -> None:
        now_ms = clock_ms()
        self._board = board
        self._oldest = oldest
        self._newest = newest
        self._lamp = Lamp(board.ring, board.buzzer)
        self._decoder = frames.Decoder()
        self._window = Window()
        self._out = []
        self._buffer = bytearray(_READ_BYTES)
        self._view = memoryview(self._buffer)
        self._buttons = (Button(), Button())
        self._tamper = Switch(board.tamper.value())
        self._tamper_told = -1
        self._started_ms = now_ms
        self._linked = False
        self._session = self._version = 0
        self._token = 0
        self._heard_ms = self._busy_ms = self._collected_ms = self._ticked_ms = now_ms
        self._overruns = self._discarded = 0
        self._free_bytes = self._free_least = 0
        self._led = -1
        self._lamp.show(messages.OUT_OF_SERVICE, now_ms, False)
        self._collect(now_ms)
        self._ask_session()

    def run(self) -> None:
        # For ever; returns only where the cable can end.
        self._board.guard()
        while not self._board.cable.gone:
            self.step()

    def step(self) -> None:
        board = self._board
        board.alive()
        now_ms = clock_ms()
        self._read_cable(now_ms)
        self._read_scanner(now_ms)
        if elapsed_ms(now_ms, self._ticked_ms) >= _TICK_MS:
            self._ticked_ms = now_ms
            self._tick(now_ms)
        self._flush()
        if self._window.room() > _SPARE_SLOTS or not self._linked:
            board.wait(1 if self._out else _TICK_MS)
        else:
            board.pause(1 if self._out else _TICK_MS)

    # --- in

    def _read_cable(self, now_ms: int) -> None:
        count = self._board.cable.read(self._view)
        if not count:
            return
        self._busy_ms = now_ms
        for kind, sequence, payload in self._decoder.push(self._buffer, count):
            try:
                self._take(kind, sequence, payload, now_ms)
            except ValueError:
                self._decoder.errors += 1

    def _take(self, kind: int, sequence: int, payload: bytes, now_ms: int) -> None:
        if kind == messages.HELLO:
            self._greet(payload, now_ms)
            return
        if not self._linked:
            self._ask_session()
            return
        self._heard_ms = now_ms
        if sequence:
            if self._window.take(sequence):
                self._obey(kind, payload, now_ms)
            self._send(messages.ACK, messages.one_byte(self._window.taken()))
        elif kind == messages.LIGHT:
            self._light(payload, now_ms)
        elif kind == messages.ACK:
            self._window.acknowledged(messages.read_one_byte(payload), now_ms)
        elif kind == messages.PING:
            number = messages.read_ping(payload)
            self._send(messages.PONG, messages.pong(number, self._lamp.state, self._token, self._overruns))
        elif kind == messages.ASK:
            self._send_status(now_ms)
        elif kind == messages.SERVICE and self._version >= messages.SERVICE_SINCE:
            messages.check_service(payload)
            self._lamp.show(messages.OUT_OF_SERVICE, now_ms, False)  # the ring keeps its picture through a reset
            self._board.reset_for_service()

    def _light(self, payload: bytes, now_ms: int) -> None:
        token, state = messages.read_light(payload)
        if token > self._token:
            self._lamp.show(state, now_ms, True)
            self._token = token
        if token == self._token:  # also for a repeat, whose first answer was lost; an older one is not shown again
            self._send(messages.LIT, messages.lit(token))
            self._flush()

    def _obey(self, kind: int, payload: bytes, now_ms: int) -> None:
        if kind == messages.BRIGHTNESS:
            self._lamp.dim(messages.read_one_byte(payload))
        elif kind == messages.IDENTIFY:
            self._lamp.identify(messages.read_identify(payload), now_ms)

    def _greet(self, payload: bytes, now_ms: int) -> None:
        oldest, newest, session = messages.read_opening(payload)
        version = messages.common_version(self._oldest, self._newest, oldest, newest)
        fits = version >= 0
        if fits and session and session != self._session:  # a repeat, whose first answer was late, restarts nothing
            self._session = session
            self._version = version
            self._window.restart()
            self._token = 0
            self._linked = True
            self._discard_scans()  # an old customer's
            self._out = []
            self._tamper_told = -1  # the first thing a new session hears
        if fits:
            self._heard_ms = now_ms
        self._send_hello(session)

    def _ask_session(self) -> None:
        self._send_hello(0)

    def _send_hello(self, session: int) -> None:
        board = self._board
        hello = messages.head_hello(self._oldest, self._newest, session, board.reset_cause, VERSION, board.name)
        self._send(messages.HELLO, hello)

    def _read_scanner(self, now_ms: int) -> None:
        scanner = self._board.scanner
        if not scanner.any():
            return
        if not self._linked:
            self._discard_scans()
            return
        while self._window.room() > _SPARE_SLOTS:
            count = scanner.readinto(self._view[: frames.PAYLOAD_BYTES_MAX])
            if not count:
                break
            self._busy_ms = now_ms
            self._put(messages.SCAN, bytes(self._view[:count]), now_ms)
        if self._board.scanner_overran():
            self._overruns += 1

    def _discard_scans(self) -> None:
        count = self._board.scanner.readinto(self._view)
        while count:
            self._discarded += count
            count = self._board.scanner.readinto(self._view)

    # --- by time

    def _tick(self, now_ms: int) -> None:
        if self._linked and elapsed_ms(now_ms, self._heard_ms) >= messages.HOST_SILENT_MS:
            self._linked = False
            self._session = self._token = 0
            self._out = []
            self._window.restart()
            self._lamp.show(messages.OUT_OF_SERVICE, now_ms, True)
        self._look(now_ms)
        self._lamp.tick(now_ms)
        self._blink(now_ms)
        for frame in self._window.repeats(now_ms):
            self._queue(frame)
        if elapsed_ms(now_ms, self._collected_ms) >= _COLLECT_MS and elapsed_ms(now_ms, self._busy_ms) >= _QUIET_MS:
            self._collect(now_ms)

    def _look(self, now_ms: int) -> None:
        for number, button in enumerate(self._buttons):
            kind = button.look(self._board.buttons[number].value(), now_ms)
            if kind and self._linked:
                self._put(messages.BUTTON, messages.button(number + 1, kind), now_ms)
        self._tamper.look(self._board.tamper.value(), now_ms)
        if self._linked and self._tamper_told != self._tamper.level and self._window.room():
            self._tamper_told = self._tamper.level
            self._put(messages.TAMPER, messages.one_byte(self._tamper.level), now_ms)

    def _blink(self, now_ms: int) -> None:
        level = 1 if self._linked else elapsed_ms(now_ms, self._started_ms) // _BLINK_MS & 1
        if level != self._led:
            self._led = level
            self._board.led.value(level)

    def _collect(self, now_ms: int) -> None:
        self._collected_ms = now_ms
        gc.collect()
        self._free_bytes = gc.mem_free()
        if not self._free_least or self._free_bytes < self._free_least:
            self._free_least = self._free_bytes

    # --- out

    def _send_status(self, now_ms: int) -> None:
        # Memory as it was when last tidied: doing it now would keep a light waiting.
        counts = (
            elapsed_ms(now_ms, self._started_ms),
            self._free_bytes,
            self._free_least,
            self._decoder.errors,
            self._window.duplicates,
            self._overruns,
            self._discarded,
        )
        self._send(messages.STATUS, messages.status(counts, self._board.reset_cause, VERSION))

    def _send(self, kind: int, payload: bytes) -> None:
        self._queue(frames.encode(kind, 0, payload))

    def _put(self, kind: int, payload: bytes, now_ms: int) -> None:
        # In the window: arrives once and in order. A button that finds no room, because the terminal answers nothing,
        # is dropped: it would act on a screen that nobody sees any more.
        if self._window.room():
            self._queue(self._window.put(kind, payload, now_ms))

    def _queue(self, frame) -> None:
        if len(self._out) < _OUT_FRAMES_MAX:
            self._out.append(frame)

    def _flush(self) -> None:
        cable = self._board.cable
        while self._out and cable.write(self._out[0]):
            self._out.pop(0)

"""Keeps the newest whole frame of a raw video stream; a thread reads, one consumer takes. DESIGN §11.

The consumer may be busy (a decision, a slow disk) for longer than a frame lasts. What it then takes is the newest
whole frame, never a queue of old ones: the thread reads on, and a frame nobody took is dropped and counted. Memory is
three frames, allotted once: one being filled, one ready, one with the consumer.

It opens the stream again, with back-off, when it ends, fails, or gives no whole frame for `stall_s`.
"""

import os
import select
import time
from collections import deque
from collections.abc import Callable
from threading import Condition, Thread
from typing import NamedTuple

from offline_ledger.errors import CameraLost, CameraProgramMissing, CameraStalled, DevicePortForbidden, Refusal
from offline_ledger.terminal.backoff import BackOff
from offline_ledger.terminal.drivers.frame_source import FrameSource, ProgramMissing

REFUSALS_MAX = 32
JOIN_S_MAX = 5.0


class FrameCounts(NamedTuple):
    """Counts since the reader was made."""

    connected: bool
    last_error: str
    frames: int
    dropped: int
    connects: int


class FrameReader:
    """Reads frames of exactly `frame_bytes` from what `open_source` opens."""

    def __init__(
        self,
        open_source: Callable[[], FrameSource],
        frame_bytes: int,
        *,
        stall_s: float,
        back_off: BackOff,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._open_source = open_source
        self._stall_s = stall_s
        self._back_off = back_off
        self._now_s = monotonic_s
        self._filling, self._ready, self._held = (memoryview(bytearray(frame_bytes)) for _ in range(3))
        self._changed = Condition()
        self._has_ready = self._stopping = self._woken = self._connected = False
        self._lost_told = False
        self._last_error = ""
        self._frames = self._dropped = self._connects = 0
        self._refusals: deque[Refusal] = deque(maxlen=REFUSALS_MAX)
        self._stop_fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._ready_fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._thread = Thread(target=self._run, name="camera-frames", daemon=True)

    def start(self) -> None:
        """Start reading."""
        self._thread.start()

    def fileno(self) -> int:
        """Readable for a selector when a frame or a refusal can be taken."""
        return self._ready_fd

    def take(self, timeout_s: float) -> memoryview | None:
        """The newest whole frame not yet taken, valid until the next `take`; None after the time, a wake, a refusal."""
        with self._changed:
            self._changed.wait_for(lambda: self._has_ready or self._woken, timeout_s)
            if self._woken:  # a frame that is ready stays for the next take, and the descriptor readable
                self._woken = False
                return None
            _clear(self._ready_fd)
            if not self._has_ready:
                return None
            self._has_ready = False
            self._held, self._ready = self._ready, self._held
            return self._held

    def take_refusals(self) -> list[Refusal]:
        """Losses and stalls since the last call, oldest first."""
        with self._changed:
            taken = list(self._refusals)
            self._refusals.clear()
            return taken

    def wake(self) -> None:
        """Make a `take` in another thread return now."""
        with self._changed:
            self._woken = True
            self._changed.notify()

    @property
    def is_lost(self) -> bool:
        """Its loss was told, and no whole frame came since."""
        with self._changed:
            return self._lost_told

    def counts(self) -> FrameCounts:
        """The state now."""
        with self._changed:
            return FrameCounts(self._connected, self._last_error, self._frames, self._dropped, self._connects)

    def close(self) -> None:
        """Stop reading and close the stream."""
        self._stopping = True
        os.eventfd_write(self._stop_fd, 1)
        if self._thread.is_alive():
            self._thread.join(JOIN_S_MAX)
        os.close(self._stop_fd)
        os.close(self._ready_fd)

    def _run(self) -> None:
        while not self._stopping:
            if select.select([self._stop_fd], (), (), self._back_off.left_s(self._now_s()))[0]:
                return
            try:
                source = self._open_source()
            except OSError as error:
                self._lose(_refusal_for(error))
                continue
            with self._changed:
                self._connected = True
                self._connects += 1
            try:
                self._lose(self._read_frames(source))
            finally:
                source.close()

    def _read_frames(self, source: FrameSource) -> Refusal | None:
        """Read until the stream is lost (says how) or reading is to stop (None)."""
        fd, filled, due_s = source.fileno(), 0, self._now_s() + self._stall_s
        while not self._stopping:
            ready = select.select([fd, self._stop_fd], (), (), max(0.0, due_s - self._now_s()))[0]
            if self._stop_fd in ready:
                return None
            if not ready:
                return CameraStalled(f"no whole frame for {self._stall_s} s")
            try:
                got = os.readv(fd, [self._filling[filled:]])
            except BlockingIOError:
                continue
            except OSError as error:
                return CameraLost(str(error))
            if not got:
                return CameraLost(f"the stream ended, {filled} bytes into a frame")
            filled += got
            if filled == len(self._filling):
                filled, due_s = 0, self._now_s() + self._stall_s
                self._frame_done()
            elif self._now_s() >= due_s:
                return CameraStalled(f"no whole frame for {self._stall_s} s")
        return None

    def _frame_done(self) -> None:
        self._back_off.worked()
        with self._changed:
            self._filling, self._ready = self._ready, self._filling
            self._dropped += self._has_ready
            self._frames += 1
            self._has_ready, self._lost_told, self._last_error = True, False, ""
            os.eventfd_write(self._ready_fd, 1)
            self._changed.notify()

    def _lose(self, refusal: Refusal | None) -> None:
        if refusal is None:
            return
        self._back_off.failed(self._now_s())
        with self._changed:
            self._connected, self._last_error = False, str(refusal)
            self._has_ready = False  # a frame from before the loss is old
            if not self._lost_told:  # once per loss, not once per try
                self._lost_told = True
                self._refusals.append(refusal)
                self._woken = True
                os.eventfd_write(self._ready_fd, 1)
                self._changed.notify()


def _refusal_for(error: OSError) -> Refusal:
    if isinstance(error, ProgramMissing):
        return CameraProgramMissing(str(error))
    return (DevicePortForbidden if isinstance(error, PermissionError) else CameraLost)(str(error))


def _clear(event_fd: int) -> None:
    try:
        os.eventfd_read(event_fd)
    except BlockingIOError:
        return

"""Driver of a camera: raw I420 frames in, QR texts out. DESIGN §3, §11.

Takes what `rpicam-vid --codec yuv420` writes (`frame_source.py`), always the newest frame (`frames.py`), reads the QR
codes in its luma plane (`luma.py`) and reports each text once while it is in view (`seen.py`). It never keeps or
sends a picture, and never judges a text: that is the acceptor's.

`rpicam-vid` writes rows as wide as the camera stack aligns them: when it reports a stride above the width (widths
that are no multiple of 64), set `stride_px`; `padding_bytes` covers a tail after each frame.
"""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from offline_ledger.errors import CodeUnreadable, Refusal, ScanTooLong
from offline_ledger.terminal.backoff import BackOff
from offline_ledger.terminal.camera_address import parse_address
from offline_ledger.terminal.drivers.frame_source import FrameSource, open_source
from offline_ledger.terminal.drivers.frames import FrameReader
from offline_ledger.terminal.drivers.luma import Look, load_decoder, look_at
from offline_ledger.terminal.drivers.seen import SeenFilter

FRAME_BYTES_MAX = 1_920 * 1_080 * 3 // 2
SIDE_PX_MIN = 16
STALL_S = 2.0
LEFT_VIEW_S = 1.0
AGAIN_S = 3.0
UNREADABLE_FRAMES = 15  # one second at 15 frames/s: until then it is a phone on its way into view
BACK_OFF_FIRST_S = 0.1
BACK_OFF_LAST_S = 2.0
REFUSALS_MAX = 32


@dataclass(frozen=True, slots=True)
class CameraSettings:
    """`address` as in `frame_source.py`; sizes in pixels, `stride_px` 0 = `width_px`. Raises ValueError."""

    address: str
    width_px: int = 640
    height_px: int = 480
    stride_px: int = 0
    padding_bytes: int = 0
    stall_s: float = STALL_S
    left_view_s: float = LEFT_VIEW_S
    again_s: float = AGAIN_S
    unreadable_frames: int = UNREADABLE_FRAMES
    back_off_first_s: float = BACK_OFF_FIRST_S
    back_off_last_s: float = BACK_OFF_LAST_S

    def __post_init__(self) -> None:
        parse_address(self.address)
        if self.width_px < SIDE_PX_MIN or self.height_px < SIDE_PX_MIN or self.width_px % 2 or self.height_px % 2:
            raise ValueError(f"a frame of {self.width_px}x{self.height_px} pixels is too small or has an odd side")
        if 0 != self.stride_px < self.width_px or self.stride_px % 2 or self.padding_bytes < 0:
            raise ValueError("stride_px is an even number of at least width_px, or 0; padding_bytes is 0 or more")
        if self.frame_bytes > FRAME_BYTES_MAX:
            raise ValueError(f"a frame of {self.frame_bytes} bytes is over the limit of {FRAME_BYTES_MAX}")

    @property
    def frame_bytes(self) -> int:
        """Bytes of one I420 frame: luma, and two chroma planes of half its width and height."""
        return (self.stride_px or self.width_px) * self.height_px * 3 // 2 + self.padding_bytes


@dataclass(frozen=True, slots=True)
class CameraHealth:
    """What a technician asks of a camera. Counts are since the driver was made."""

    address: str
    connected: bool
    last_error: str
    frames: int
    frames_dropped: int
    texts: int
    unreadable: int
    refused: int
    connects: int


class Camera:
    """QR texts from a stream of frames. One thread polls; `wake` may come from any."""

    def __init__(self, settings: CameraSettings, *, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._now_s = monotonic_s
        self._address = parse_address(settings.address)
        self._seen = SeenFilter(left_view_s=settings.left_view_s, again_s=settings.again_s)
        self._reader = FrameReader(
            self._open_source,
            settings.frame_bytes,
            stall_s=settings.stall_s,
            back_off=BackOff(settings.back_off_first_s, settings.back_off_last_s),
            monotonic_s=monotonic_s,
        )
        self._refusals: deque[Refusal] = deque(maxlen=REFUSALS_MAX)
        self._was_too_long = False
        self._unreadable_run = self._texts = self._unreadable = self._refused = 0

    def open(self) -> None:
        """Load the decoder (raises `DeviceSupportMissing`) and start reading; the stream may come later."""
        load_decoder()
        self._reader.start()

    @property
    def is_lost(self) -> bool:
        """Its loss was told, and no picture came since."""
        return self._reader.is_lost

    def fileno(self) -> int:
        """Readable for a selector when there is a frame to look at; then `poll(0)`."""
        return self._reader.fileno()

    def poll(self, timeout_s: float) -> list[str]:
        """Texts to report within `timeout_s`, at once when there are any; empty after it, a wake, or a refusal."""
        until_s = self._now_s() + timeout_s
        while True:
            frame = self._reader.take(max(0.0, until_s - self._now_s()))
            if frame is None:
                return []
            refused_before = self._refused
            texts = self._look(frame)
            if texts or self._refused > refused_before or self._now_s() >= until_s:
                return texts

    def take_refusals(self) -> list[Refusal]:
        """Refusals since the last call: losses of the stream (once per loss), then codes that were of no use."""
        lost = self._reader.take_refusals()
        self._refused += len(lost)
        taken = lost + list(self._refusals)
        self._refusals.clear()
        return taken

    def wake(self) -> None:
        """Make a `poll` in another thread return now."""
        self._reader.wake()

    def close(self) -> None:
        """Stop reading and close the stream."""
        self._reader.close()

    def health(self) -> CameraHealth:
        """The state now, for screens and `diagnose`."""
        counts = self._reader.counts()
        return CameraHealth(
            address=self._settings.address,
            connected=counts.connected,
            last_error=counts.last_error,
            frames=counts.frames,
            frames_dropped=counts.dropped,
            texts=self._texts,
            unreadable=self._unreadable,
            refused=self._refused,
            connects=counts.connects,
        )

    def _open_source(self) -> FrameSource:
        return open_source(self._address)

    def _look(self, frame: memoryview) -> list[str]:
        settings = self._settings
        look = look_at(frame, settings.width_px, settings.height_px, settings.stride_px)
        self._count_unreadable(look)
        if look.too_long and not self._was_too_long:  # once while it is in view
            self._refuse(ScanTooLong("a QR code of another system"))
        self._was_too_long = look.too_long
        fresh = self._seen.fresh(look.texts, self._now_s())
        self._texts += len(fresh)
        return fresh

    def _count_unreadable(self, look: Look) -> None:
        """A code in view that cannot be read for `unreadable_frames` in a row is told once."""
        if not look.unreadable:
            self._unreadable_run = 0
            return
        self._unreadable += 1
        self._unreadable_run += 1
        if self._unreadable_run == self._settings.unreadable_frames:
            self._refuse(CodeUnreadable(f"{self._unreadable_run} frames in a row"))

    def _refuse(self, refusal: Refusal) -> None:
        self._refused += 1
        self._refusals.append(refusal)

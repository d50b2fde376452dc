"""Bytes on the cable to frames and back; knows no message and no clock. Pure. DESIGN §3.

    00 COBS(kind, sequence, length, payload, CRC-32 of all before it, little-endian) 00

COBS (Cheshire and Baker, 1999) takes every zero out of a frame, so a zero is always an edge: whatever garbage came
before, the next whole frame is read. The zero in front makes sure that garbage without an edge swallows nothing.
CRC-32 is that of `binascii` (zlib, IEEE 802.3), which is C in both interpreters; see decision 0110.
"""

from binascii import crc32

from firmware.link.const import const

PAYLOAD_BYTES_MAX = const(200)  # with head and check below 254, so COBS costs one byte and no second block
EDGE = b"\0"
_HEAD_BYTES = const(3)
_CHECK_BYTES = const(4)
_BODY_BYTES_MAX = const(207)  # _HEAD_BYTES + PAYLOAD_BYTES_MAX + _CHECK_BYTES
FRAME_BYTES_MAX = const(210)  # the body, COBS's one byte and two edges


def encode(kind: int, sequence: int, payload: bytes) -> bytearray:
    """The frame as it goes on the wire. `payload` has at most `PAYLOAD_BYTES_MAX` bytes."""
    size = len(payload)
    if size > PAYLOAD_BYTES_MAX:
        raise ValueError("payload too long")
    checked = _HEAD_BYTES + size
    end = 2 + checked + _CHECK_BYTES
    frame = bytearray(end + 1)
    frame[2] = kind
    frame[3] = sequence
    frame[4] = size
    frame[5 : 5 + size] = payload
    frame[2 + checked : end] = crc32(memoryview(frame)[2 : 2 + checked]).to_bytes(_CHECK_BYTES, "little")
    at = 1
    zero = frame.find(EDGE, 2, end)
    while zero >= 0:  # each zero becomes the distance to the next one
        frame[at] = zero - at
        at = zero
        zero = frame.find(EDGE, at + 1, end)
    frame[at] = end - at
    return frame


class Decoder:
    """Cuts bytes into frames. Holds one frame at most; what is damaged is counted and dropped."""

    def __init__(self) -> None:
        self._held = bytearray(_BODY_BYTES_MAX + 1)
        self._used = 0
        self._skipping = False
        self.errors = 0  # runs of bytes between two edges that were no frame
        self.frames = 0

    def push(self, data: bytes | bytearray, size: int = -1) -> list[tuple[int, int, bytes]]:
        """The frames that the first `size` bytes of `data` complete: kind, sequence, payload."""
        if size < 0:
            size = len(data)
        found: list[tuple[int, int, bytes]] = []
        start = 0
        while start < size:
            zero = data.find(EDGE, start, size)
            end = size if zero < 0 else zero
            self._hold(data, start, end)
            if zero >= 0:
                frame = self._take()
                if frame is not None:
                    found.append(frame)
            start = end + 1
        return found

    def _hold(self, data: bytes | bytearray, start: int, end: int) -> None:
        used = self._used + end - start
        if used > len(self._held):
            self._skipping = True  # no frame is so long: nothing is kept until the next edge
        elif not self._skipping:
            self._held[self._used : used] = data[start:end]
            self._used = used

    def _take(self) -> tuple[int, int, bytes] | None:
        used, skipped = self._used, self._skipping
        self._used = 0
        self._skipping = False
        if not used and not skipped:
            return None  # two edges side by side
        frame = None if skipped else self._open(used)
        if frame is None:
            self.errors += 1
        else:
            self.frames += 1
        return frame

    def _open(self, used: int) -> tuple[int, int, bytes] | None:
        held = self._held
        at = 0
        while at < used:
            step = held[at]
            held[at] = 0
            at += step
        body_bytes = used - 1
        if at != used or body_bytes < _HEAD_BYTES + _CHECK_BYTES:
            return None
        size = held[3]
        if _HEAD_BYTES + size + _CHECK_BYTES != body_bytes:
            return None
        check = 1 + _HEAD_BYTES + size
        if crc32(memoryview(held)[1:check]) != int.from_bytes(held[check:used], "little"):
            return None
        return held[1], held[2], bytes(held[4:check])

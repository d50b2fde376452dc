"""Serial bytes to scan texts. Pure. DESIGN §4 (QR text), §11.

A scanner sends a text and, if it was set up well, CR, LF or CRLF after it. This file cuts the byte stream into texts:
it never guesses what a garbled text was meant to be, and never holds more than one line.

- NUL bytes are dropped anywhere: a serial break or an idle line reads as NUL, and no text of ours contains one.
- Every other byte outside printable ASCII becomes U+FFFD, so a garbled scan is still delivered and the acceptor
  refuses it with its own number: the rider learns that something was read and was bad.
- A line over `LINE_BYTES_MAX` is dropped whole, told once, and the next suffix (or pause) starts afresh.
- Bytes that stop without a suffix: with `pause_ends_line` the pause is the suffix; otherwise they are told as
  incomplete and dropped, so that noise from plugging in does not spoil the next scan.
"""

from collections.abc import Iterator

from offline_ledger.errors import Refusal, ScanIncomplete, ScanTooLong

LINE_BYTES_MAX = 1_024  # our largest code (version 15-M) has 600 characters

_LF = 0x0A
_TABLE = {code: "\N{REPLACEMENT CHARACTER}" for code in range(256) if not 0x20 <= code < 0x7F}


def text_of(line: bytes) -> str:
    """The text of one line: printable ASCII as it is, every other byte as U+FFFD."""
    return line.decode("latin-1").translate(_TABLE)


class LineSplitter:
    """Cuts pushed bytes into texts; `now_s` is any monotonic clock, in seconds."""

    def __init__(self, *, pause_s: float, pause_ends_line: bool) -> None:
        self._pause_s = pause_s
        self._pause_ends_line = pause_ends_line
        self._line = bytearray()
        self._skipping = False
        self._last_byte_s = 0.0

    @property
    def is_idle(self) -> bool:
        """True when no unfinished line is held, so no pause need be watched."""
        return not self._line and not self._skipping

    def pause_left_s(self, now_s: float) -> float:
        """Seconds until the current line counts as ended by a pause (0 or more)."""
        return max(0.0, self._last_byte_s + self._pause_s - now_s)

    def push(self, received: bytes, now_s: float) -> Iterator[str | Refusal]:
        """Texts and refusals that these bytes complete, in order."""
        yield from self.tick(now_s)
        self._last_byte_s = now_s
        for piece in received.replace(b"\0", b"").replace(b"\r", b"\n").splitlines(keepends=True):
            yield from self._take(piece)

    def tick(self, now_s: float) -> Iterator[str | Refusal]:
        """What the passing of time completes: a pause ends a line, or shows that it was cut short."""
        if self.is_idle or self.pause_left_s(now_s) > 0:
            return
        if self._pause_ends_line or self._skipping:
            yield from self._finish()
        else:
            yield from self.drop()

    def drop(self) -> Iterator[Refusal]:
        """Forget the unfinished line (a pause, a pulled cable), and tell it if it held anything."""
        held, self._skipping = len(self._line), False
        self._line.clear()
        if held:
            yield ScanIncomplete(f"{held} bytes without an end")

    def _take(self, piece: bytes) -> Iterator[str | Refusal]:
        ended = piece[-1] == _LF
        body = piece[:-1] if ended else piece
        if not self._skipping and len(self._line) + len(body) > LINE_BYTES_MAX:
            self._line.clear()
            self._skipping = True
            yield ScanTooLong(f"over {LINE_BYTES_MAX} bytes without an end")
        if not self._skipping:
            self._line += body
        if ended:
            yield from self._finish()

    def _finish(self) -> Iterator[str]:
        line, self._skipping = bytes(self._line), False
        self._line.clear()
        if line:
            yield text_of(line)

"""A serial QR scanner on a pseudo-terminal: reads a picture with a real decoder and sends the text. DESIGN §11.

The program under test opens `link` as it would open `/dev/serial/by-id/...`. `plug` makes the port, `unplug` takes it
away (the program then sees what a pulled USB cable gives), and every misbehaviour of real scanners has a name in
`Fault`. It speaks by bytes on the pty only, and a seed fixes its chunks and its noise.

    python -m simulators.scanner --link /tmp/scanner0
    scan picture.png | text KGO1P:... | fault noise_before | unplug | plug | quit      (one a line)
"""

import argparse
import random
import sys
import time
from abc import ABC, abstractmethod
from enum import Enum
from pathlib import Path
from typing import Generic, TypeVar

import zxingcpp
from PIL import Image

from simulators.obeying import obey, obey_standard_input
from simulators.pty_port import PtyDevice

F = TypeVar("F", bound=Enum)

CHUNK_BYTES_MAX = 64
GARBLED_BYTES = 3
FLOOD_BYTES = 8_192
NOISE_BYTES = 12
DUMB_PAUSE_S = 0.25  # after a text without a suffix, longer than the driver's pause


class Suffix(Enum):
    """What a scanner is set up to send after a text."""

    CR = b"\r"
    LF = b"\n"
    CRLF = b"\r\n"
    NONE = b""


class Fault(Enum):
    """What goes wrong with the next scan."""

    NOISE_BEFORE = "noise_before"  # bytes outside ASCII on the same line
    NOISE_LINE = "noise_line"  # a line of its own
    NULS = "nuls"  # serial breaks around and inside
    GARBLED = "garbled"  # flipped bits inside
    TRUNCATED = "truncated"  # the second half and the suffix are missing
    DOUBLED = "doubled"  # the trigger bounced: the text twice
    FLOOD = "flood"  # far more bytes than any code, then the text
    BYTE_BY_BYTE = "byte_by_byte"  # wedge speed: a pause after each byte
    UNPLUG_MID_LINE = "unplug_mid_line"  # the cable goes when half is sent


class PictureUnreadable(ValueError):
    """The decoder finds no QR code in the picture: a real scanner would stay silent."""


class PtyScanner(PtyDevice, ABC, Generic[F]):
    """A scanner of whatever wire, whose faults are `F`. Methods block until the bytes are on the wire. Not for use from
    two threads at once."""

    def __init__(self, link: Path, seed: int, fault: type[F]) -> None:
        super().__init__(link)
        self._rng = random.Random(seed)
        self._fault = fault
        self._faults: set[F] = set()

    def inject(self, *faults: F) -> None:
        """These go wrong with the next scan, together."""
        self._faults.update(faults)

    def scan(self, picture: Image.Image) -> str:
        """Read the picture as a scanner's lens would and send its text; the text, for the caller's books."""
        text = read_picture(picture)
        self.send(text)
        return text

    @abstractmethod
    def send(self, text: str) -> None:
        """Send a text as if it had been scanned, with the injected faults; without a cable it is lost."""

    def obey(self, command: str) -> str:
        """Carry out one line of the control language; the answer is `ok` or `error ...`."""
        return obey(
            {
                "scan": self._scan_file,
                "text": self.send,
                "fault": lambda names: self.inject(*(self._fault(name) for name in names.split())),
                "plug": lambda _: self.plug(),
                "unplug": lambda _: self.unplug(),
            },
            command,
        )

    def _scan_file(self, path: str) -> str:
        with Image.open(path) as picture:
            return self.scan(picture)

    def _taken_faults(self) -> set[F]:
        """What goes wrong with this scan, and not with the next."""
        faults, self._faults = self._faults, set()
        return faults


class SimulatedScanner(PtyScanner[Fault]):
    """One serial scanner."""

    def __init__(
        self,
        link: Path,
        *,
        suffix: Suffix = Suffix.CRLF,
        seed: int = 0,
        chunk_bytes_max: int = CHUNK_BYTES_MAX,
        byte_pause_s: float = 0.001,
    ) -> None:
        super().__init__(link, seed, Fault)
        self._suffix = suffix
        self._chunk_bytes_max = chunk_bytes_max
        self._byte_pause_s = byte_pause_s

    def send(self, text: str) -> None:
        """As bytes and the suffix."""
        faults = self._taken_faults()
        line = self._spoil(text.encode("utf-8"), faults)
        if not self.is_plugged:
            return
        if Fault.NOISE_LINE in faults:
            self._write(self._noise() + self._suffix.value, faults)
        if Fault.FLOOD in faults:
            self._write(self._rng.randbytes(FLOOD_BYTES).replace(b"\r", b"x").replace(b"\n", b"x") + b"\r\n", faults)
        if Fault.UNPLUG_MID_LINE in faults:
            self._write(line[: len(line) // 2], faults)
            self._port.settle()
            self.unplug()
            return
        for _ in range(1 + (Fault.DOUBLED in faults)):
            self._write(line, faults)
            if self._suffix is Suffix.NONE:
                time.sleep(DUMB_PAUSE_S)

    def send_raw(self, data: bytes) -> None:
        """Put these very bytes on the wire."""
        if self.is_plugged:
            self._write(data, set())

    def _spoil(self, body: bytes, faults: set[Fault]) -> bytes:
        if Fault.GARBLED in faults:
            spoilt = bytearray(body)
            for place in self._rng.sample(range(len(spoilt)), min(GARBLED_BYTES, len(spoilt))):
                spoilt[place] |= 0x80
            body = bytes(spoilt)
        if Fault.NULS in faults:
            middle = len(body) // 2
            body = b"\0\0" + body[:middle] + b"\0" + body[middle:] + b"\0"
        if Fault.NOISE_BEFORE in faults:
            body = self._noise() + body
        if Fault.TRUNCATED in faults:
            return body[: len(body) // 2]
        return body + self._suffix.value

    def _noise(self) -> bytes:
        return bytes(self._rng.randrange(0x80, 0x100) for _ in range(NOISE_BYTES))

    def _write(self, data: bytes, faults: set[Fault]) -> None:
        if Fault.BYTE_BY_BYTE in faults:
            self._port.write(data, lambda: 1, self._byte_pause_s)
        else:
            self._port.write(data, lambda: self._rng.randint(1, self._chunk_bytes_max))


def read_picture(picture: Image.Image) -> str:
    """The text of the one QR code in the picture; raises `PictureUnreadable`."""
    code = zxingcpp.read_barcode(picture.convert("L"), zxingcpp.BarcodeFormats(zxingcpp.BarcodeFormat.QRCodeModel2))
    if code is None:
        raise PictureUnreadable("no QR code in the picture")
    return code.text


def main() -> int:
    """Run a scanner that obeys its standard input until `quit` or its end."""
    parser = argparse.ArgumentParser(prog="simulators.scanner", description="a serial QR scanner on a pty")
    parser.add_argument("--link", type=Path, required=True, help="path under which programs find the port")
    parser.add_argument("--suffix", choices=[suffix.name.lower() for suffix in Suffix], default="crlf")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with SimulatedScanner(options.link, suffix=Suffix[options.suffix.upper()], seed=options.seed) as scanner:
        print("ready", flush=True)
        obey_standard_input(scanner.obey)
    return 0


if __name__ == "__main__":
    sys.exit(main())

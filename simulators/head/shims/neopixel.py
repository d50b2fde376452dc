"""`neopixel` that says what the ring shows, once its wire would have carried it."""

import time
from binascii import hexlify

from board_pipes import PIPES

_PIXEL_US = 30  # 24 bits of 1.25 µs; the WS2812 then takes over within 50 more
_LATCH_US = 50


class NeoPixel:
    def __init__(self, pin, n) -> None:
        self.n = n
        self.buf = bytearray(3 * n)

    def __setitem__(self, pixel, colour) -> None:
        at = 3 * pixel
        self.buf[at], self.buf[at + 1], self.buf[at + 2] = colour

    def write(self) -> None:
        time.sleep_us(_PIXEL_US * self.n + _LATCH_US)
        PIPES.say("pixels", hexlify(self.buf).decode())

"""The board's clock: milliseconds since it started, which wrap. Compare with `elapsed_ms` of `firmware/link` alone."""

import time


def now_ms() -> int:
    return time.ticks_ms()  # pyright: ignore[reportReturnType] - the stubs keep these apart from other integers

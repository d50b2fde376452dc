"""Where every program begins. Ctrl-C before it looks after that itself ends it without a word. DESIGN §3.

Loads nothing but the program that was called: what is here is paid at each start.
"""

import os
import signal
from collections.abc import Callable
from importlib import import_module
from types import FrameType
from typing import cast

EXIT_INTERRUPTED = 130
"""What a shell says of a program that Ctrl-C ended."""


def pos() -> int:
    """`kgo-pos`. Returns the exit code."""
    return begin("pos_app.__main__")


def bus() -> int:
    """`kgo-bus`. Returns the exit code."""
    return begin("bus_validator.__main__")


def city() -> int:
    """`kgo-city`. Returns the exit code."""
    return begin("offline_ledger.city.__main__")


def flash() -> int:
    """`kgo-flash`. Returns the exit code."""
    return begin("firmware.flash.__main__")


def sim() -> int:
    """`kgo-sim`. Returns the exit code."""
    return begin("simulators.__main__")


def begin(module: str) -> int:
    """Loads a program and runs it. While it loads no KeyboardInterrupt comes: what is being imported may swallow or
    rename one. In the background, where SIGINT is ignored, it stays so."""
    is_heeded = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if is_heeded:
        signal.signal(signal.SIGINT, _end)
    main = cast(Callable[[], int], import_module(module).main)
    if is_heeded:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return main()
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED


def _end(_number: int, _frame: FrameType | None) -> None:
    os._exit(EXIT_INTERRUPTED)  # nothing was said or opened yet

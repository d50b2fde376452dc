"""Start of the firmware: the board's own `main.py` calls `main()`. DESIGN §3.

A fault restarts the board instead of leaving a dark or, worse, a green ring: `machine.reset` for one that is caught,
the watchdog for a loop that stands still.
"""

import gc
import sys

import machine

from firmware.link.const import const
from firmware.link.messages import PROTOCOL_NEWEST, PROTOCOL_OLDEST
from firmware.reader_head.board import Board, is_service_wanted
from firmware.reader_head.head import Head

_COLLECT_BYTES = const(32768)  # memory is tidied at the latest after so many: no long pause, no fragments


def main(oldest: int = PROTOCOL_OLDEST, newest: int = PROTOCOL_NEWEST, cause: int = -1) -> None:
    # `cause`: what HELLO says instead of the chip's reset cause. By TRIAL a flash knows the run that it started itself.
    gc.threshold(_COLLECT_BYTES)
    if is_service_wanted():
        return
    board = Board()
    if cause >= 0:
        board.reset_cause = cause
    try:
        Head(board, oldest, newest).run()
    except Exception as error:  # noqa: BLE001 - whatever it was, the passenger sees out of service a moment later
        # On the board this goes down the cable, where the terminal takes it for noise and a technician reads it.
        sys.print_exception(error, sys.stderr)  # pyright: ignore[reportArgumentType]
        machine.reset()

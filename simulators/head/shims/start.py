"""What the board's own `main.py` does; a simulated board may speak the protocol versions of another firmware,
and its memory may be full."""

import gc
import os

from board_pipes import PIPES

from firmware.link.messages import PROTOCOL_NEWEST, PROTOCOL_OLDEST
from firmware.reader_head.main import main

_PIECE_BYTES = 512


def filled(free_bytes: int) -> list:
    # What holds all but so many bytes, in pieces that leave no hole between the firmware's own.
    held = []
    gc.collect()
    while gc.mem_free() > free_bytes + _PIECE_BYTES:
        held.append(bytearray(_PIECE_BYTES))
    return held


kept_free_bytes = int(os.getenv("KGO_HEAD_FREE") or 0)
ballast = filled(kept_free_bytes) if kept_free_bytes else None

PIPES.say("boot", os.getenv("KGO_HEAD_CAUSE"))
main(int(os.getenv("KGO_HEAD_OLDEST") or PROTOCOL_OLDEST), int(os.getenv("KGO_HEAD_NEWEST") or PROTOCOL_NEWEST))
PIPES.say("ended", 0)

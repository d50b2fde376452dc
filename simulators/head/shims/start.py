"""What the board's own `main.py` does; a simulated board may speak the protocol versions of another firmware."""

import os

from board_pipes import PIPES

from firmware.link.messages import PROTOCOL_NEWEST, PROTOCOL_OLDEST
from firmware.reader_head.main import main

PIPES.say("boot", os.getenv("KGO_HEAD_CAUSE"))
main(int(os.getenv("KGO_HEAD_OLDEST") or PROTOCOL_OLDEST), int(os.getenv("KGO_HEAD_NEWEST") or PROTOCOL_NEWEST))
PIPES.say("ended", 0)

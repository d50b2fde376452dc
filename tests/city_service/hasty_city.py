"""`kgo-city` with a fifth of its patience for who connects and does not go on, half of it for who reads nothing.

All else is the program itself.
"""

import sys

from offline_ledger.city import door, serving
from offline_ledger.city.__main__ import main

HEAD_S, UNREAD_S, HANDSHAKE_S = door.HEAD_S_MAX // 5, door.UNREAD_S_MAX // 2, serving.HANDSHAKE_S_MAX // 5


def make_hasty() -> None:
    """Before the service begins."""
    door.GuardedProtocol.head_s_max = HEAD_S
    door.UNREAD_S_MAX = UNREAD_S
    serving.HANDSHAKE_S_MAX = HANDSHAKE_S


if __name__ == "__main__":
    make_hasty()
    sys.exit(main(sys.argv[1:]))

"""Standard streams, there and in UTF-8 whatever the shell and the locale say. For composition roots. DESIGN §3.

A byte that is none comes in as a mark, never as an error.
"""

import os
import sys
from io import TextIOWrapper

LAST_STANDARD = 2
"""Descriptors 0, 1 and 2 are standard input, output and error."""


def speak_utf8() -> None:
    """From here on."""
    _fill_standard()
    for stream, errors in ((sys.stdin, "replace"), (sys.stdout, "backslashreplace"), (sys.stderr, "backslashreplace")):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors=errors)


def _fill_standard() -> None:
    """Where the shell closed one (`<&-`), the next file that is opened would be taken for it: a journal for a
    keyboard."""
    while (free := os.open(os.devnull, os.O_RDWR)) <= LAST_STANDARD:
        os.set_inheritable(free, True)
    os.close(free)

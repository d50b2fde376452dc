"""Standard streams in UTF-8 whatever the locale says. For composition roots. DESIGN §3.

A byte that is none comes in as a mark, never as an error.
"""

import sys
from io import TextIOWrapper


def speak_utf8() -> None:
    """From here on."""
    for stream, errors in ((sys.stdin, "replace"), (sys.stdout, "backslashreplace"), (sys.stderr, "backslashreplace")):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors=errors)

"""Standard output of a command, which may be a file on a full disk. DESIGN §3.

Who reads no further (`| head`) is no error; `rich` ends the command then.
"""

import os
import sys
from typing import IO, Any, cast

from offline_ledger.errors import OutputLost

STDOUT = 1


class Output:
    """What `rich` writes to. Raises OutputLost where the system takes no more."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """All of it."""
        try:
            return self._stream.write(text)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise _lost(error) from error

    def flush(self) -> None:
        """Out of this program."""
        try:
            self._stream.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise _lost(error) from error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def standard_output() -> IO[str] | None:
    """For a console; None where it was closed before the program began: `rich` writes nothing then."""
    return None if sys.stdout is None else cast(IO[str], Output(sys.stdout))  # pyright: ignore[reportUnnecessaryComparison]


def _lost(error: OSError) -> OutputLost:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, STDOUT)  # what is left of it is not tried once more when the program ends
    os.close(nowhere)
    return OutputLost(f"standard output: {error.strerror}")

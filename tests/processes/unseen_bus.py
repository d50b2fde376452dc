"""`kgo-bus` whose reader of lines goes away while its next code is being judged: the green is decided, nobody sees it.

Everything else is the program itself. Its lines go through a pipe to whoever started it, until the pipe's reader goes.
"""

import os
import select
import sys
from threading import Event, Thread

from bus_validator.boarding import BusDoor
from bus_validator.settings import SETTINGS
from bus_validator.validator import Validator
from offline_ledger.protocol.device import DeviceRole
from offline_ledger.terminal import program
from offline_ledger.terminal.program import Opened, Program

STDOUT = 1
LOOK_MS = 10


class Reader:
    """Reads what the program says and passes it on, until it goes away."""

    def __init__(self) -> None:
        self._outside = os.dup(STDOUT)
        self._inside, writer = os.pipe()
        os.dup2(writer, STDOUT)
        os.close(writer)
        self._is_going = Event()
        self._thread = Thread(target=self._pass_on, daemon=True)
        self._thread.start()

    def _pass_on(self) -> None:
        room = select.poll()
        room.register(self._inside, select.POLLIN)
        while not self._is_going.is_set():
            if room.poll(LOOK_MS):
                os.write(self._outside, os.read(self._inside, 4_096))

    def go(self) -> None:
        """From here on nobody reads."""
        if not self._is_going.is_set():
            self._is_going.set()
            self._thread.join()
            os.close(self._inside)


class UnseenValidator(Validator):
    """Loses its reader at the moment it asks for the door."""

    def __init__(self, opened: Opened, reader: Reader) -> None:
        super().__init__(opened)
        self._reader = reader

    def _door(self) -> BusDoor:
        self._reader.go()
        return super()._door()


def run(opened: Opened) -> int:
    """The validator, with a reader that goes."""
    return UnseenValidator(opened, Reader()).run()


if __name__ == "__main__":
    sys.exit(program.main(Program("kgo-bus", "help.bus", DeviceRole.VALIDATOR, run, SETTINGS), sys.argv[1:]))

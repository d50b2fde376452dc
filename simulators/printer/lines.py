"""A simulated printer on a real wire: a TCP port as network printers have, or a pseudo-terminal. DESIGN §11.

A thread of its own reads the line, so that a program under test meets what it meets in a shop: a printer that takes no
more bytes fills up the buffers on the way, one that is pulled out hangs up.
"""

import os
import select
import socket
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from simulators.printer.device import Fault, SimulatedPrinter
from simulators.pty_port import PtyPort

READ_BYTES_MAX = 2_048
RECEIVE_BUFFER_BYTES = 4_096
POLL_S = 0.02
SLOW_BYTES, SLOW_PAUSE_S = 256, 0.004
"""60 kB/s: a line at some 100 mm/s."""


class _OnLine:
    """The printer and whoever reads for it take turns by `lock`."""

    def __init__(self, printer: SimulatedPrinter) -> None:
        self.printer = printer
        self.lock = threading.RLock()
        self._is_closing = False
        self._breaks = 0
        self._thread = threading.Thread(target=self._run, name="simulated printer", daemon=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def fault(self, *faults: Fault) -> None:
        """From now on."""
        with self.lock:
            self.printer.fault(*faults)

    def well(self, *faults: Fault) -> None:
        """No longer; without any named: all."""
        with self.lock:
            answers = self.printer.well(*faults)
        self._answer(answers)

    def switch_off_and_on(self) -> None:
        """Whoever was connected is not any more, and what it had not printed is gone."""
        with self.lock:
            self.printer.switch_off_and_on()
            self.hang_up()

    def close(self) -> None:
        """For good."""
        self._is_closing = True
        self._thread.join()

    def hang_up(self) -> None:
        """The line breaks."""
        raise NotImplementedError

    def _run(self) -> None:
        raise NotImplementedError

    def _answer(self, answers: bytes) -> None:
        raise NotImplementedError

    def _take(self, data: bytes, breaks: int) -> None:
        """What came over one line, `breaks` ago; of one that broke meanwhile the rest never arrives."""
        for at in range(0, len(data), SLOW_BYTES):
            with self.lock:
                if self._breaks != breaks:
                    return
                answers = self.printer.receive(data[at : at + SLOW_BYTES])
                if self._breaks != breaks:
                    return  # nobody is there to hear it
            self._answer(answers)
            if Fault.SLOW in self.printer.faults:
                time.sleep(SLOW_PAUSE_S)


class NetworkPrinter(_OnLine):
    """On a TCP port of loopback; one connection at a time, as most have."""

    def __init__(self, printer: SimulatedPrinter, port: int = 0) -> None:
        super().__init__(printer)
        self._listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        self._listening.bind(("127.0.0.1", port))
        self.port: int = self._listening.getsockname()[1]
        self._line: socket.socket | None = None
        printer.disconnect = self.hang_up
        self.plug()
        self._thread.start()

    @property
    def address(self) -> str:
        """For a till's settings."""
        return f"network:127.0.0.1:{self.port}"

    def plug(self) -> None:
        """It can be reached."""
        self._listening.listen(4)
        self._is_plugged = True

    def unplug(self) -> None:
        """It cannot be reached any more."""
        self._is_plugged = False
        self.hang_up()

    def hang_up(self) -> None:
        """Resets the connection that there is."""
        self._breaks += 1
        line, self._line = self._line, None
        if line is not None:
            try:
                line.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # the other end was first
            line.close()

    def close(self) -> None:
        """For good."""
        super().close()
        self.hang_up()
        self._listening.close()

    def _run(self) -> None:
        while not self._is_closing:
            breaks, line = self._breaks, self._line
            watched = [self._listening] if line is None else [line]
            if line is not None and not self.printer.takes_bytes:
                time.sleep(POLL_S)
                continue
            try:
                ready, _, _ = select.select(watched, (), (), POLL_S)
                if not ready:
                    continue
                if line is None:
                    self._accept()
                elif data := line.recv(READ_BYTES_MAX):
                    self._take(data, breaks)
                elif self._line is line:
                    self.hang_up()
            except (OSError, ValueError):
                if self._line is line:
                    self.hang_up()

    def _accept(self) -> None:
        line, _ = self._listening.accept()
        if self._is_plugged:
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._line = line
        else:
            line.close()

    def _answer(self, answers: bytes) -> None:
        line = self._line
        if answers and line is not None:
            try:
                line.sendall(answers)
            except OSError:
                pass  # nobody listens any more


class SerialPrinter(_OnLine):
    """Behind a name that leads to a pseudo-terminal: a serial port, or in the place of /dev/usb/lp0."""

    def __init__(self, printer: SimulatedPrinter, link: Path) -> None:
        super().__init__(printer)
        self._link = link
        self._port = PtyPort(link)
        printer.disconnect = self.hang_up
        self.plug()
        self._thread.start()

    @property
    def address(self) -> str:
        """For a till's settings, as a serial port."""
        return f"serial:{self._link}@115200"

    @property
    def usb_address(self) -> str:
        """For a till's settings, as usblp."""
        return f"usb:{self._link}"

    def plug(self) -> None:
        """It is there."""
        with self.lock:
            self._port.plug()

    def unplug(self) -> None:
        """It is pulled out."""
        with self.lock:
            self._breaks += 1
            self._port.unplug()

    def hang_up(self) -> None:
        """Pulled out and put back."""
        with self.lock:
            self._breaks += 1
            self._port.unplug()
            self._port.plug()

    def close(self) -> None:
        """For good."""
        super().close()
        self.unplug()

    def _run(self) -> None:
        while not self._is_closing:
            data = b""
            with self.lock:
                breaks = self._breaks
                if self._port.is_plugged and self.printer.takes_bytes:
                    if select.select([self._port.master], (), (), 0)[0]:
                        try:
                            data = os.read(self._port.master, READ_BYTES_MAX)
                        except OSError:
                            pass  # nobody has the other end open
            if data:
                self._take(data, breaks)
            else:
                time.sleep(POLL_S / 10)

    def _answer(self, answers: bytes) -> None:
        with self.lock:
            if answers and self._port.is_plugged:
                self._port.write(answers, lambda: len(answers))

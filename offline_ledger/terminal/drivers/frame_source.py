"""Where a camera's raw bytes come from: one file descriptor per address. DESIGN §11.

    tcp://127.0.0.1:8888      rpicam-vid --codec yuv420 --listen -o tcp://127.0.0.1:8888
    unix:///run/camera.sock   a local relay
    fifo:///run/camera        rpicam-vid --codec yuv420 -o /run/camera
    exec:rpicam-vid -n -t 0 --codec yuv420 --width 640 --height 480 --framerate 15 --flush -o -

Raw video has no handshake and no framing: a stream is whole frames from its first byte on, and after a loss only a
new connection is in step again. A FIFO keeps what was in it, so prefer the others.
"""

import os
import socket
import subprocess
from typing import Protocol

from offline_ledger.terminal.camera_address import SourceAddress

CONNECT_S_MAX = 2.0
EXIT_S_MAX = 2.0


class ProgramMissing(OSError):
    """The camera's command is not installed, or is no program that we may run."""


class FrameSource(Protocol):
    """An open stream of raw bytes."""

    def fileno(self) -> int: ...
    def close(self) -> None: ...


def open_source(address: SourceAddress) -> FrameSource:
    """Open the stream, not blocking from then on; raises OSError, ProgramMissing among them."""
    if address.kind == "exec":
        return _Command(address.command)
    if address.kind == "fifo":
        return _Fifo(address.path)
    if address.kind == "tcp":
        stream = socket.create_connection((address.host, address.port), CONNECT_S_MAX)
    else:
        stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            stream.settimeout(CONNECT_S_MAX)
            stream.connect(address.path)
        except OSError:
            stream.close()
            raise
    stream.setblocking(False)
    return stream


class _Fifo:
    def __init__(self, path: str) -> None:
        self._fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)

    def fileno(self) -> int:
        return self._fd

    def close(self) -> None:
        os.close(self._fd)


class _Command:
    """A camera program of our own; its messages go where ours go, and it ends with us."""

    def __init__(self, command: tuple[str, ...]) -> None:
        try:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, bufsize=0)
        except (FileNotFoundError, PermissionError) as error:
            raise ProgramMissing(f"{command[0]}: {error.strerror}") from error
        assert self._process.stdout is not None
        self._stdout = self._process.stdout
        os.set_blocking(self._stdout.fileno(), False)

    def fileno(self) -> int:
        return self._stdout.fileno()

    def close(self) -> None:
        self._stdout.close()
        self._process.terminate()
        try:
            self._process.wait(EXIT_S_MAX)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

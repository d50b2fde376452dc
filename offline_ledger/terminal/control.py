"""The running program's own door on this machine: a local socket for one line of command, answered in lines. DESIGN §6.

    {"do": ["diagnose"]}     ->  the answer's lines, one JSON object each, and the end

Only the user that the program runs as may open it (mode 0600). One caller at a time, each for a short while: a caller
that hangs costs the next one that while and no customer anything. Executes nothing itself.
"""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from errno import EADDRINUSE
from pathlib import Path
from threading import Event, Thread
from time import monotonic
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from socket import socket

QUESTION_BYTES_MAX = 4_096
ANSWER_BYTES_MAX = 1_048_576
WORDS_MAX = 16
CALLER_S_MAX = 2.0
"""So long a caller may take to say its line, and again to read the answer."""
CALLERS_MAX = 64
"""So many wait for their turn; one more would hear that nobody is there."""
ANSWER_S_MAX = 30.0
"""So long a caller waits for its answer: two hanging callers before it, and its own turn (`turns.TURN_S_MAX`)."""
STOP_S_MAX = 0.5
Said = Mapping[str, object]
Answer = Callable[[list[str]], Sequence[Said]]
MISUNDERSTOOD: Said = {"misunderstood": True}


class ControlDoor:
    """Listens until closed. `answer` is called on the door's own thread and may wait for the deciding one."""

    def __init__(self, path: Path, answer: Answer) -> None:
        """Raises OSError when the socket cannot be made. A socket that a power cut left behind is replaced: the journal
        lets no second program come as far as this. Anything else that lies there stays: a slip in the settings. The
        name is there when somebody listens, and never sooner."""
        import socket as sockets  # none of this is needed before the first customer

        self._path, self._answer = path, answer
        self._stopping = Event()
        self._socket = sockets.socket(sockets.AF_UNIX, sockets.SOCK_STREAM | sockets.SOCK_CLOEXEC)
        try:
            waiting = path.with_name(f".{path.name}.new")
            for one in (path, waiting):
                if os.path.lexists(one) and not one.is_socket():
                    raise OSError(EADDRINUSE, os.strerror(EADDRINUSE), str(one))
            waiting.unlink(missing_ok=True)
            with opened_folder(waiting) as name:
                before = os.umask(0o177)
                try:
                    self._socket.bind(name)
                finally:
                    os.umask(before)
            self._socket.listen(CALLERS_MAX)
            self._socket.settimeout(STOP_S_MAX)
            waiting.replace(path)
        except OSError:
            self._socket.close()
            raise
        self._thread = Thread(target=self._serve, name="control", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """No more callers; the name goes."""
        self._stopping.set()
        self._thread.join(CALLER_S_MAX)
        self._socket.close()
        self._path.unlink(missing_ok=True)

    def _serve(self) -> None:
        while not self._stopping.is_set():
            try:
                caller, _ = self._socket.accept()
            except TimeoutError:
                continue
            except OSError:
                self._stopping.wait(STOP_S_MAX)  # too many files are open, say: the next caller may be luckier
                continue
            with caller:
                try:
                    self._hear(caller)
                except OSError:
                    continue  # it went away, or said nothing in time

    def _hear(self, caller: "socket") -> None:
        words = words_of(read_line(caller))
        said = [MISUNDERSTOOD] if words is None else self._answer(words)
        caller.settimeout(CALLER_S_MAX)
        caller.sendall("".join(json.dumps(one) + "\n" for one in said).encode())  # ASCII: any word goes through


class opened_folder:
    """A socket's name may have 107 bytes only; through its open folder the path to it may be of any length."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> str:
        self._descriptor = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        return f"/proc/self/fd/{self._descriptor}/{self._path.name}"

    def __exit__(self, *_error: object) -> None:
        os.close(self._descriptor)


def read_line(stream: "socket") -> bytes:
    """Up to the first line's end, the stream's, or the cap. Raises TimeoutError for who speaks too slowly."""
    got, until_s = b"", monotonic() + CALLER_S_MAX
    while len(got) < QUESTION_BYTES_MAX and b"\n" not in got:
        stream.settimeout(max(0.001, until_s - monotonic()))
        more = stream.recv(QUESTION_BYTES_MAX - len(got))
        if not more:
            break
        got += more
    return got.partition(b"\n")[0]


def words_of(line: bytes) -> list[str] | None:
    """What a caller wants done; None for anything else."""
    try:
        said: object = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(said, dict):
        return None
    words = cast(dict[str, object], said).get("do")
    if not isinstance(words, list):
        return None
    found = cast(list[object], words)
    if not 0 < len(found) <= WORDS_MAX or not all(isinstance(one, str) and one for one in found):
        return None
    return cast(list[str], found)


def ask(path: Path, words: list[str], seconds_max: float = ANSWER_S_MAX) -> list[Said]:
    """What the program that listens at `path` answers. Raises OSError when none does, ValueError for no such answer:
    it has the question then, and may act on it."""
    import socket as sockets

    line = json.dumps({"do": words}).encode() + b"\n"
    if len(line) > QUESTION_BYTES_MAX:
        return [MISUNDERSTOOD]  # it would hang up in the middle
    with sockets.socket(sockets.AF_UNIX, sockets.SOCK_STREAM) as stream, opened_folder(path) as name:
        stream.settimeout(seconds_max)
        stream.connect(name)
        try:
            stream.sendall(line)
            got = _read_answer(stream, monotonic() + seconds_max)
        except OSError as error:
            raise ValueError(f"no whole answer: {error}") from error
    if not got.endswith(b"\n"):
        raise ValueError("no whole answer")
    return [cast(Said, json.loads(line)) for line in got.splitlines()]


def _read_answer(stream: "socket", until_s: float) -> bytes:
    """To its end. Raises TimeoutError, OSError, ValueError for one that is too long."""
    got = b""
    while True:
        stream.settimeout(max(0.001, until_s - monotonic()))
        more = stream.recv(65_536)
        if not more:
            return got
        got += more
        if len(got) > ANSWER_BYTES_MAX:
            raise ValueError("an answer without an end")

"""The local door alone: any words go through it, no caller shuts it for the next, and no half an answer counts."""

import json
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from threading import Event, Thread
from time import monotonic

import pytest

from offline_ledger.errors import (
    CommandTakenBack,
    CommandTooLong,
    CommandUnknown,
    CommandUnsettled,
    NotRunning,
    Refusal,
)
from offline_ledger.terminal import control
from offline_ledger.terminal.control import ANSWER_BYTES_MAX, QUESTION_BYTES_MAX, WORDS_MAX, ControlDoor, Said, ask
from offline_ledger.terminal.control_commands import asked, diagnose, tell
from offline_ledger.terminal.service_manager import ALIVE, READY, ServiceManager
from offline_ledger.texts import Texts

CALLER_S = 0.3
UNHEARD = [{"misunderstood": True}]


class Program:
    """What a program answers; by itself, the words that it heard."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.heard: list[list[str]] = []
        self.answer: Callable[[list[str]], Sequence[Said]] = lambda words: [{"heard": words}]
        self.door = ControlDoor(path, self._answer)

    def _answer(self, words: list[str]) -> Sequence[Said]:
        self.heard.append(words)
        return self.answer(words)

    def raw(self, line: bytes, *, is_ended: bool = True) -> bytes:
        """What a caller that says these bytes reads."""
        with self.caller() as caller:
            caller.sendall(line)
            if is_ended:
                caller.shutdown(socket.SHUT_WR)
            got = b""
            while more := caller.recv(65_536):
                got += more
            return got

    def caller(self) -> socket.socket:
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        made.settimeout(10)
        with control.opened_folder(self.path) as name:
            made.connect(name)
        return made


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Program]:
    monkeypatch.setattr(control, "CALLER_S_MAX", CALLER_S)
    monkeypatch.setattr(control, "STOP_S_MAX", 0.05)
    made = Program(tmp_path / "control.sock")
    with closing(made.door):
        yield made


@pytest.mark.parametrize(
    "words",
    [
        ["trip", "8", "two words", "line\nand line", "\r\n\t\0"],
        ["trip", "a\u2028b", "c\x85d", "e\x1ef"],
        ["do", "รถเมล์สาย ๘", "👍🏽"],
        [os.fsdecode(b"\xff\xfe not utf-8"), "\ud800"],
        ["x"] * WORDS_MAX,
    ],
    ids=["spaces and ends of lines", "other ends of lines", "Thai", "not UTF-8", "many"],
)
def test_any_words_go_there_and_back(program: Program, words: list[str]) -> None:
    assert ask(program.path, words) == [{"heard": words}]
    assert program.heard == [words]
    assert ask(program.path, ["next"]) == [{"heard": ["next"]}], "the door still hears"


@pytest.mark.parametrize(
    "line",
    [
        b"[" * (QUESTION_BYTES_MAX - 1),
        b'{"do":' * 600,
        json.dumps({"do": ["x"] * (WORDS_MAX + 1)}).encode(),
        b'{"do": [""]}',
        b'{"do": ["x", null]}',
        b'{"do": {"x": 1}}',
        b"1" * 4_000,
        b"NaN",
        b"\xed\xa0\x80",
        b"",
    ],
)
def test_what_is_no_question_is_said_so_and_the_next_is_heard(program: Program, line: bytes) -> None:
    assert [json.loads(program.raw(line + b"\n"))] == UNHEARD
    assert [json.loads(program.raw(line))] == UNHEARD
    assert program.heard == []
    assert ask(program.path, ["next"]) == [{"heard": ["next"]}]


def test_a_question_that_is_too_long_is_said_so(program: Program) -> None:
    fits = QUESTION_BYTES_MAX - len(json.dumps({"do": [""]})) - 1
    assert ask(program.path, ["x" * fits]) == [{"heard": ["x" * fits]}]
    assert ask(program.path, ["x" * (fits + 1)]) == UNHEARD
    with program.caller() as caller:
        caller.sendall(b"x" * 2 * QUESTION_BYTES_MAX)
    assert ask(program.path, ["next"]) == [{"heard": ["next"]}]


@pytest.mark.parametrize("words", [["x"] * (WORDS_MAX + 1), [""], ["trip", "", "x"], ["x" * QUESTION_BYTES_MAX]])
def test_words_that_no_program_takes_are_refused_by_number(program: Program, words: list[str]) -> None:
    with pytest.raises(CommandTooLong):
        tell(program.path, words)
    assert program.heard == []


def test_a_question_in_pieces_is_one(program: Program) -> None:
    with program.caller() as caller:
        for piece in (b'{"do"', b': ["st', b'atus"]}', b"\n"):
            caller.sendall(piece)
        assert json.loads(caller.recv(4_096)) == {"heard": ["status"]}


def test_who_speaks_a_letter_at_a_time_keeps_the_next_waiting_no_longer_than_one_who_is_silent(
    program: Program,
) -> None:
    with program.caller() as slow, ThreadPoolExecutor(1) as pool:
        slow.setblocking(False)
        begun_s = monotonic()
        asked = pool.submit(ask, program.path, ["next"])
        while not asked.done() and monotonic() - begun_s < 20 * CALLER_S:
            try:
                slow.send(b" ")
            except (BlockingIOError, BrokenPipeError, ConnectionResetError):
                break
            try:
                asked.result(CALLER_S / 5)
            except TimeoutError:
                continue
        assert asked.result(10) == [{"heard": ["next"]}]
        assert monotonic() - begun_s < 6 * CALLER_S


def test_who_reads_nothing_of_a_huge_answer_keeps_nobody_out(program: Program) -> None:
    program.answer = lambda words: [{"much": "x" * 4_000_000}] if words == ["much"] else [{"heard": words}]
    with program.caller() as caller:
        caller.sendall(b'{"do": ["much"]}\n')
        assert ask(program.path, ["next"]) == [{"heard": ["next"]}]


def test_who_goes_before_the_answer_keeps_nobody_out(program: Program) -> None:
    for line in (b"", b'{"do": ["status"]}\n', b"x" * 100):
        with program.caller() as caller:
            caller.sendall(line)
    assert ask(program.path, ["next"]) == [{"heard": ["next"]}]


def test_many_callers_at_once_each_get_their_own_answer(program: Program) -> None:
    with ThreadPoolExecutor(16) as pool:
        answers = pool.map(lambda number: ask(program.path, ["who", str(number)]), range(40))
        assert list(answers) == [[{"heard": ["who", str(number)]}] for number in range(40)]


def test_a_huge_answer_is_read_whole_and_one_without_an_end_is_none(program: Program) -> None:
    lines = [{"line": number, "text": "ก" * 1_000} for number in range(100)]
    program.answer = lambda _words: lines
    assert ask(program.path, ["all"]) == lines
    program.answer = lambda _words: [{"text": "x" * (ANSWER_BYTES_MAX + 1)}]
    with pytest.raises(ValueError, match="without an end"):
        ask(program.path, ["all"])


@pytest.mark.parametrize("said", [b"", b'{"done": "quit"}', b'{"done": "quit"}\n{"trouble"', b"no json\n"])
def test_half_an_answer_is_none(tmp_path: Path, said: bytes) -> None:
    """A program that ends in the middle: nobody may read "done" into that."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        with control.opened_folder(tmp_path / "control.sock") as name:
            listening.bind(name)
        listening.listen()

        def answer() -> None:
            caller, _ = listening.accept()
            with caller:
                caller.recv(4_096)
                caller.sendall(said)

        serving = Thread(target=answer)
        serving.start()
        with pytest.raises(ValueError):
            ask(tmp_path / "control.sock", ["quit"])
        serving.join()


def refused(refusal: type[Refusal]) -> Said:
    return {"command_refused": refusal.key, "refusal": refusal.number}


@pytest.mark.parametrize("refusal", [CommandTakenBack, CommandUnsettled])
def test_a_command_that_had_no_turn_is_told_with_its_number(program: Program, refusal: type[Refusal]) -> None:
    program.answer = lambda _words: [refused(refusal)]
    with pytest.raises(refusal):
        tell(program.path, ["quit"])
    with pytest.raises(refusal):
        diagnose(program.path, Texts("en"), as_json=True)
    program.answer = lambda _words: [refused(CommandUnknown)]
    assert asked(program.path, ["fly"]) == [refused(CommandUnknown)]


def test_who_is_not_answered_does_not_hear_that_nobody_runs(program: Program, tmp_path: Path) -> None:
    """It has the command, and may do it yet."""
    let_go = Event()

    def answer(_words: list[str]) -> Sequence[Said]:
        let_go.wait(10)
        return []

    program.answer = answer
    with pytest.raises(ValueError, match="no whole answer"):
        ask(program.path, ["quit"], 0.05)
    let_go.set()
    with pytest.raises(CommandUnsettled):
        asked(program.path, ["quit"])
    with pytest.raises(NotRunning):
        asked(tmp_path / "nobody.sock", ["quit"])


def test_nobody_there_is_an_error_of_the_system(tmp_path: Path) -> None:
    with pytest.raises(OSError):
        ask(tmp_path / "control.sock", ["status"])


def test_closed_it_is_gone_and_another_takes_the_place_of_one_a_power_cut_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "STOP_S_MAX", 0.05)
    path = tmp_path / ("long" * 30) / "control.sock"
    path.parent.mkdir()
    first = Program(path)
    assert path.stat().st_mode & 0o777 == 0o600
    second = Program(path)  # a power cut left the first one's name
    assert ask(path, ["who"]) == [{"heard": ["who"]}] and second.heard and not first.heard
    second.door.close()
    assert not path.exists()
    first.door.close()


def test_a_file_of_somebody_elses_in_its_place_stays(tmp_path: Path) -> None:
    """A slip in the settings: the door is not made, and nothing is lost."""
    path = tmp_path / "notes.txt"
    path.write_text("mine")
    with pytest.raises(OSError, match="in use"):
        ControlDoor(path, lambda _words: [])
    assert path.read_text() == "mine"


def test_its_name_is_there_when_it_listens_and_never_sooner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever sees the name and asks would hear that nothing runs."""
    path, listen = tmp_path / "control.sock", socket.socket.listen
    (tmp_path / ".control.sock.new").symlink_to("nowhere")  # somebody else's, not ours to take
    with pytest.raises(OSError, match="in use"):
        Program(path)
    (tmp_path / ".control.sock.new").unlink()
    with socket.socket(socket.AF_UNIX) as left:  # by a power cut before it had its name
        left.bind(str(tmp_path / ".control.sock.new"))
    there: list[bool] = []

    def watched(one: socket.socket, count: int) -> None:
        there.append(path.exists())
        listen(one, count)

    monkeypatch.setattr(socket.socket, "listen", watched)
    program = Program(path)
    assert there == [False] and ask(path, ["who"]) == [{"heard": ["who"]}]
    assert [one.name for one in tmp_path.iterdir()] == ["control.sock"]
    program.door.close()


def test_a_manager_hears_in_time_and_one_that_is_away_harms_nothing(tmp_path: Path) -> None:
    name = str(tmp_path / "notify")
    away = ServiceManager({"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "1000000"})
    away.tell(READY)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(name)
        manager.settimeout(10)
        for mono_ms in (0, 499, 500, 501, 999, 1_000):
            away.alive(mono_ms)
        away.tell(READY)
        assert [manager.recv(64) for _ in range(4)] == [ALIVE, ALIVE, ALIVE, READY]


def test_a_machine_without_a_free_file_lets_the_program_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(*_given: object) -> socket.socket:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(socket, "socket", none_left)
    ServiceManager({"NOTIFY_SOCKET": str(tmp_path / "notify")}).tell(READY)

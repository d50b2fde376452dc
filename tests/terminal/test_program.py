"""A terminal program beside taking payments: its commands, and its standard streams when they are not as they should.

Real processes; nothing here reaches a city.
"""

import json
import os
import socket
import subprocess
import sys
from fcntl import F_GETPIPE_SZ, fcntl, ioctl
from pathlib import Path
from select import select
from signal import SIGTERM
from termios import FIONREAD
from time import monotonic, time

import pytest

from bus_validator.settings import SETTINGS
from offline_ledger.errors import CommandUnknown, FileTaken, FileWithoutRoom, JournalUnavailable, SettingsInvalid
from offline_ledger.protocol.device import DeviceRole
from offline_ledger.terminal.headless import STUCK_S_MAX
from offline_ledger.terminal.program import Program, read_terminal_settings
from simulators.storage.vouchers import fill_journal
from tests.forked import BUS, run_forked
from tests.processes.small_disk import on_small_disk
from tests.terminal.provisioned import DEVICE, provision_bus

ROWS = 30


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    fill_journal(tmp_path / "journal.db", DEVICE, ROWS, seed=1)
    return provision_bus(tmp_path, int(time()), tmp_path / "no-scanner")


RUN_S_MAX = 30
NOTICED_S_MAX = 5.0
"""It takes a quarter of a second, and the end of the program as long as its threads; a busy machine longer."""


def kgo_bus(settings: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    return run_forked(BUS, ("--settings", str(settings), *words), None, RUN_S_MAX)


def test_a_terminal_without_a_reader_of_codes_does_not_start(settings: Path) -> None:
    """It would wait for ever for codes that nothing can read."""
    scanner = f'[scanner]\nport = "{settings.parent / "no-scanner"}"\n'
    settings.write_text(settings.read_text().replace(scanner, ""))
    ended = kgo_bus(settings, "--language", "en")
    assert ended.returncode == 2 and ended.stdout == ""
    assert "line 10: there is no reader of codes or cards; name scanner.port" in ended.stderr


@pytest.mark.parametrize("name", ["trip.routes_file", "trip.crew_file"])
def test_routes_without_a_crew_or_a_crew_without_routes_is_told_at_the_start(settings: Path, name: str) -> None:
    """The door would stay shut for good: nobody could sign on, or no trip be started."""
    table, key = name.split(".")
    lines = len(settings.read_text().splitlines())
    settings.write_text(settings.read_text() + f'[{table}]\n{key} = "one.kgo"\n')
    program = Program("kgo-bus", "help.bus", DeviceRole.VALIDATOR, lambda _opened: 0, SETTINGS)
    with pytest.raises(SettingsInvalid) as wrong:
        read_terminal_settings(program, settings, "en")
    assert wrong.value.problems == (f"{settings}: line {lines + 2}: {HALF_A_TRIP.format(name=name)}",)


HALF_A_TRIP = "{name} alone starts no trip: name trip.routes_file and trip.crew_file, or neither"


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("files.key", "device.cert"), ("files.key", "device.cert.used"), ("files.key", "journal.db.mark"),
        ("files.certificate", "./device.key"), ("files.certificate", "journal.db-wal"), ("files.journal", "device.key"),
        ("files.trust_list", "device.key"), ("files.deny_list", "device.key"), ("files.key", "deny/deny_list"),
        ("files.certificate", "ca.pem"), ("files.key", "bus.toml"), ("files.certificate", "linked"),
        ("files.certificate", "hard"), ("files.update_root", "device.key"), ("files.updates", "device.key"),
    ],
)  # fmt: skip
def test_two_settings_never_name_one_file(settings: Path, name: str, file: str) -> None:
    """However the name is written, and whatever lies there: nothing is opened, and the key stays as it is."""
    folder = settings.parent
    key = (folder / "device.key").read_bytes()
    (folder / "linked").symlink_to(folder / "device.key")
    (folder / "hard").hardlink_to(folder / "device.key")
    lines = [line for line in settings.read_text().splitlines() if not line.startswith(f"{name.split('.')[1]} =")]
    lines.insert(lines.index("[files]") + 1, f'{name.split(".")[1]} = "{file}"')
    settings.write_text("\n".join(lines) + "\n")
    ended = kgo_bus(settings, "--language", "en")
    assert ended.returncode == 2 and ended.stdout == "", ended
    wrong = ended.stderr.splitlines()
    assert len(wrong) == 1 and name in wrong[0] and f"line {lines.index('[files]') + 2}" in wrong[0], wrong
    assert (folder / "device.key").read_bytes() == key


@pytest.mark.parametrize(
    ("line", "device"),
    [
        ("port =", 'port = "FOLDER/journal.db"'), ("port =", 'port = "FOLDER/journal.db-wal"'),
        ("port =", 'port = "FOLDER/device.key"'), ("port =", 'port = "FOLDER/bus.toml"'),
        ("rtc =", 'rtc = "journal.db"'), ("rtc =", 'rtc = "FOLDER/no-scanner"'),
        ("port =", '[camera]\naddress = "fifo://FOLDER/journal.db"'),
        ("port =", '[camera]\naddress = "unix://FOLDER/deny"'),
    ],
)  # fmt: skip
def test_no_device_is_a_file_of_the_terminal(settings: Path, line: str, device: str) -> None:
    """A journal that is opened as a device and closed again has lost its lock: a second program would write in it."""
    device = device.replace("FOLDER", str(settings.parent))
    lines = settings.read_text().splitlines()
    at = next(at for at, one in enumerate(lines) if one.startswith(line))
    lines[at] = device
    settings.write_text("\n".join(lines) + "\n")
    number = at + device.count("\n") + 1
    ended = kgo_bus(settings, "--language", "en")
    assert ended.returncode == 2 and ended.stdout == "", ended
    wrong = ended.stderr.splitlines()
    assert len(wrong) == 1 and f"line {number}: " in wrong[0] and "a file of its own" in wrong[0], wrong


def test_export_writes_the_rows_of_a_journal(settings: Path, tmp_path: Path) -> None:
    ended = kgo_bus(settings, "--language", "en", "export", str(tmp_path / "rows"))
    assert ended.returncode == 0 and ended.stdout.startswith(f"vouchers {ROWS} ")
    thai = kgo_bus(settings, "--language", "th", "export", str(tmp_path / "rows.th"))
    assert thai.returncode == 0 and thai.stdout.startswith(f"ใบสำคัญ {ROWS} ")
    assert (tmp_path / "rows").stat().st_size > 0
    assert (tmp_path / "rows").stat().st_mode & 0o777 == 0o600, "it holds what wallets signed"
    assert (tmp_path / "rows").read_bytes() == (tmp_path / "rows.th").read_bytes()


OWN = ("device.key", "device.cert", "trust.list", "journal.db", "bus.toml", "rtc")
NOT_THERE_YET = ("journal.db.part", "journal.db-journal", "deny/other")
WRITING = (("export",), ("leaves",), ("enrol", "--request"))


@pytest.mark.parametrize("words", WRITING)
def test_no_command_writes_over_a_file_or_takes_a_name_of_the_terminals_own(
    settings: Path, tmp_path: Path, words: tuple[str, ...]
) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "device.key")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    for name in (*OWN, *NOT_THERE_YET, "link"):
        ended = kgo_bus(settings, *words, str(tmp_path / name))
        assert ended.returncode == 1 and ended.stderr.startswith(f"{FileTaken.number} "), (name, ended)
        assert len(ended.stderr.splitlines()) == 3 and name in ended.stderr
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    assert kgo_bus(settings, *words, str(tmp_path / "new")).returncode == 0
    written = (tmp_path / "new").read_bytes()
    again = kgo_bus(settings, *words, str(tmp_path / "new"))
    if words == ("enrol", "--request"):  # it is this device's request already: a power cut came in between
        assert again.returncode == 0 and not again.stderr
    else:
        assert again.stderr.startswith(f"{FileTaken.number} ")
    assert (tmp_path / "new").read_bytes() == written


def test_export_makes_no_journal_where_there_is_none(settings: Path, tmp_path: Path) -> None:
    """A journal that was lost must stay lost for whoever starts next."""
    for path in tmp_path.glob("journal.db*"):
        path.unlink()
    ended = kgo_bus(settings, "--language", "en", "export", str(tmp_path / "rows"))
    assert ended.returncode == 1 and ended.stderr.startswith(f"{JournalUnavailable.number} "), ended.stderr
    assert "journal.db: No such file or directory" in ended.stderr
    assert not list(tmp_path.glob("journal.db*")) and not (tmp_path / "rows").exists()


def test_export_works_on_a_journal_that_does_not_open(settings: Path, tmp_path: Path) -> None:
    journal = tmp_path / "journal.db"
    data = bytearray(journal.read_bytes())
    at = len(data) * 2 // 3
    data[at : at + 64] = b"\xff" * 64
    journal.write_bytes(data)
    ended = kgo_bus(settings, "export", str(tmp_path / "rows"))
    assert ended.returncode == 0, ended.stderr
    words = ended.stdout.split()
    assert 0 < int(words[1]) <= ROWS


def test_leaves_are_written_for_the_city(settings: Path, tmp_path: Path) -> None:
    ended = kgo_bus(settings, "leaves", str(tmp_path / "leaves"))
    assert ended.returncode == 0, ended.stderr
    lines = (tmp_path / "leaves").read_text().splitlines()
    assert ended.stdout.split()[0] == str(len(lines))


@pytest.mark.parametrize(
    "words", [("leaves", "no/such/folder/x"), ("export", "no/such/folder/x"), ("enrol", "--answer", "no-such-file")]
)
def test_a_file_that_cannot_be_used_is_a_numbered_refusal(settings: Path, words: tuple[str, ...]) -> None:
    ended = kgo_bus(settings, *words)
    assert ended.returncode == 1 and "Traceback" not in ended.stderr
    assert ended.stderr.split()[0] in ("5004", "2003", "2004"), ended.stderr


@pytest.mark.parametrize("words", [("diagnose", "--bundle"), ("export",)])
def test_a_full_stick_is_said_to_be_full(settings: Path, tmp_path: Path, words: tuple[str, ...]) -> None:
    stick, nothing = tmp_path / "stick", tmp_path / "nothing"
    stick.mkdir()
    nothing.mkdir()
    bus = (sys.executable, "-m", "bus_validator", "--settings", str(settings), "--language", "en")
    filled = ("sh", "-c", 'cat /dev/zero >filler 2>/dev/null; "$@"; echo $? *', "sh")
    command = on_small_disk(stick, "64k", nothing, (*filled, *bus, *words, str(stick / "new")))
    around = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    ended = subprocess.run(command, capture_output=True, text=True, timeout=RUN_S_MAX, check=False, env=around)
    assert ended.stderr.startswith(f"{FileWithoutRoom.number} ") and "another place" in ended.stderr, ended.stderr
    assert ended.stdout == "1 filler\n", "no half of a file is left"


def running_bus(settings: Path, encoding: str) -> "subprocess.Popen[bytes]":
    command = (sys.executable, "-m", "bus_validator", "--settings", str(settings))
    pipe = subprocess.PIPE
    environment = os.environ | {"PYTHONIOENCODING": encoding}
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, env=environment)


def told(bus: "subprocess.Popen[bytes]", commands: bytes) -> list[dict[str, object]]:
    """What a bus says to commands that end in `quit`; the input stays open until it has ended."""
    with bus:
        assert bus.stdin is not None and bus.stdout is not None and bus.stderr is not None
        bus.stdin.write(commands)
        bus.stdin.flush()
        lines = [json.loads(line.decode("utf-8")) for line in bus.stdout]
        wrong = bus.stderr.read()
        assert bus.wait(RUN_S_MAX) == 0 and b"Traceback" not in wrong, wrong
        return lines


def test_a_bad_byte_among_the_commands_stops_nothing(settings: Path) -> None:
    lines = told(running_bus(settings, "utf-8:strict"), b"\xff\xfe\ntrip 8 evening\nquit\n")
    unknown = next(line for line in lines if line.get("command_refused") == "command_unknown")
    assert unknown["refusal"] == CommandUnknown.number and "trip" in str(unknown["line_th"])
    assert {"trip": "evening", "route": "8"} in lines


def test_lines_are_utf8_whatever_the_locale(settings: Path) -> None:
    lines = told(running_bus(settings, "ascii:strict"), "trip สาย8 เช้า\nquit\n".encode())
    assert {"trip": "เช้า", "route": "สาย8"} in lines


def test_a_terminal_whose_lights_nobody_sees_stops(settings: Path) -> None:
    with running_bus(settings, "utf-8") as bus:
        assert bus.stdin is not None and bus.stdout is not None and bus.stderr is not None
        for line in bus.stdout:
            if b'"ready"' in line:
                break
        bus.stdout.close()
        bus.stdin.write(b"trip 8 evening\n")
        bus.stdin.flush()
        wrong = bus.stderr.read()  # to its end, with the input still open: the program stops by itself
        assert bus.wait(RUN_S_MAX) == 1
    assert b"Traceback" not in wrong and b"6031 " in wrong, wrong


@pytest.mark.parametrize("kind", ["pipe", "socket"])  # a socket is what a service manager gives
def test_a_lost_reader_is_noticed_while_nothing_is_said(settings: Path, kind: str) -> None:
    ours, theirs = socket.socketpair()
    command = (sys.executable, "-m", "bus_validator", "--settings", str(settings))
    output = subprocess.PIPE if kind == "pipe" else theirs.fileno()
    with ours, subprocess.Popen(command, stdin=subprocess.PIPE, stdout=output, stderr=subprocess.PIPE) as bus:
        theirs.close()
        assert bus.stderr is not None
        lines = bus.stdout if bus.stdout is not None else ours.makefile("rb")
        awaited = [b'"ready"', b'"scanner_lost"', b'"status"']  # after these a terminal alone has nothing to say
        with lines:
            while awaited:
                line = lines.readline()
                assert line, "it ended before it had said all"
                awaited = [word for word in awaited if word not in line]
        ours.close()
        lost_s = monotonic()
        wrong = bus.stderr.read()  # to its end, with the input still open and nothing to be said
        assert bus.wait(RUN_S_MAX) == 1
        assert monotonic() - lost_s < NOTICED_S_MAX
    assert b"Traceback" not in wrong and b"6031 " in wrong and b"standard output" in wrong, wrong


ENDED_S_MAX = 3.0
"""A second until the reader counts as lost, half a one for the end; a busy machine longer."""


class StuckReader:
    """A validator whose lines nobody reads from the first one on: alive, with a full pipe or terminal."""

    def __init__(self, settings: Path, kind: str) -> None:
        self.ours, theirs = os.openpty() if kind == "terminal" else os.pipe()
        command = (sys.executable, "-m", "bus_validator", "--settings", str(settings))
        error = theirs if kind == "errors too" else subprocess.DEVNULL
        self.bus = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=theirs, stderr=error)
        os.close(theirs)

    def wait_ready(self) -> None:
        """Reads as far as it must to know that the program is at work, and nothing after that."""
        heard = b""
        while b'"status"' not in heard:
            heard += os.read(self.ours, 4_096)

    def ask(self, count: int) -> None:
        """So many lines more in the pipe."""
        assert self.bus.stdin is not None
        self.bus.stdin.write(b"status\n" * count)
        self.bus.stdin.flush()

    def unread_bytes(self) -> int:
        return int.from_bytes(ioctl(self.ours, FIONREAD, bytes(4)), sys.byteorder)

    def wait_full(self) -> None:
        """Until no light fits any more: a page of 4 KiB keeps back up to a line, so three quarters count as full."""
        full_bytes, until_s = fcntl(self.ours, F_GETPIPE_SZ) * 3 // 4, monotonic() + RUN_S_MAX
        while self.unread_bytes() < full_bytes:
            assert monotonic() < until_s
            select([], [], [], 0.01)

    def __enter__(self) -> "StuckReader":
        return self

    def __exit__(self, *_error: object) -> None:
        if self.bus.poll() is None:
            self.bus.kill()
        self.bus.communicate()
        os.close(self.ours)


ASKED_PAST_FULL = 2_000
"""Answers of 150 bytes and more: several times what any pipe or terminal here holds."""


@pytest.mark.parametrize("kind", ["pipe", "terminal", "errors too"])
def test_a_stuck_reader_ends_the_selling(settings: Path, kind: str) -> None:
    """Nobody took the lights out of the full pipe: the terminal ends by itself, with the input still open."""
    with StuckReader(settings, kind) as stuck:
        stuck.wait_ready()
        stuck.ask(ASKED_PAST_FULL)
        assert stuck.bus.wait(RUN_S_MAX) == 1
        assert stuck.unread_bytes() > 1_000, "somebody read"


@pytest.mark.parametrize("how", ["SIGTERM", "quit"])
def test_a_stuck_reader_keeps_nobody_from_ending_it(settings: Path, how: str) -> None:
    with StuckReader(settings, "pipe") as stuck:
        stuck.wait_ready()
        stuck.ask(ASKED_PAST_FULL)
        stuck.wait_full()
        asked_s = monotonic()
        if how == "quit":
            assert stuck.bus.stdin is not None
            stuck.bus.stdin.write(b"quit\n")
            stuck.bus.stdin.flush()
        else:
            stuck.bus.send_signal(SIGTERM)
        stuck.bus.wait(RUN_S_MAX)
        assert monotonic() - asked_s < ENDED_S_MAX


def test_a_reader_that_pauses_is_waited_for(settings: Path) -> None:
    """Half a second without reading is a busy reader, no lost one; every line arrives whole."""
    with StuckReader(settings, "pipe") as slow:
        slow.wait_ready()
        slow.ask(1_000)
        slow.wait_full()
        select([], [], [], STUCK_S_MAX / 2)
        assert slow.bus.stdin is not None
        slow.bus.stdin.write(b"quit\n")
        slow.bus.stdin.flush()
        heard = b""
        while piece := os.read(slow.ours, 65_536):
            heard += piece
        assert slow.bus.wait(RUN_S_MAX) == 0
        lines = heard[heard.index(b"\n") + 1 :].splitlines()
        assert len([one for line in lines if "status" in (one := json.loads(line))]) >= 900


@pytest.mark.parametrize(("closed", "code", "said"), [(">&-", 1, "6031 "), ("<&-", 0, "")])
def test_streams_that_were_closed_before_the_start(settings: Path, closed: str, code: int, said: str) -> None:
    """No lights to be seen: it does not begin. No commands to come: it ends, as at the end of its input."""
    line = f'exec "$0" -m bus_validator --settings "$1" {closed}'
    words = ("sh", "-c", line, sys.executable, str(settings))
    ended = subprocess.run(words, capture_output=True, text=True, timeout=RUN_S_MAX, check=False)
    assert ended.returncode == code and "Traceback" not in ended.stderr, ended.stderr
    assert ended.stderr.startswith(said), ended.stderr


def test_a_flood_of_questions_before_the_link_is_loaded_blocks_nothing(settings: Path) -> None:
    command = (sys.executable, "-m", "bus_validator", "--settings", str(settings))
    flood = "status\n" * 300 + "quit\n"
    ended = subprocess.run(command, input=flood, capture_output=True, text=True, timeout=20, check=False)
    assert ended.returncode == 0, ended.stderr

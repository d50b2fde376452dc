"""`diagnose` and `do` reach the running program by its local socket; a service manager hears that it lives."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from offline_ledger.errors import ControlUnavailable
from offline_ledger.terminal import control
from offline_ledger.terminal.service_manager import ServiceManager
from simulators.demo.processes import PYTHON, wait_until
from tests.processes.lone_bus import LoneBus, lone_bus, rider, started_bus

TOOL_S_MAX = 20


def asked(bus: LoneBus, *words: str) -> subprocess.CompletedProcess[str]:
    """The technician's command beside the running program."""
    command = [*PYTHON, "bus_validator", "--settings", str(bus.settings), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=TOOL_S_MAX, check=False)


def parts(bus: LoneBus) -> dict[str, dict[str, object]]:
    return {part["part"]: part for part in map(json.loads, asked(bus, "diagnose", "--json").stdout.splitlines())}


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[LoneBus]:
    with started_bus(tmp_path) as made:
        yield made


def test_every_part_tells_how_it_is(bus: LoneBus) -> None:
    assert bus.tap(rider(5))["light"] == "accepted_cash_due"
    wait_until(lambda: "troubles" in parts(bus)["link"] and parts(bus)["link"]["troubles"] != [], "the link's trouble")
    told = parts(bus)
    assert told["journal"]["facts"]["sequence"] == 1 and told["journal"]["is_well"]  # type: ignore[index]
    assert told["reader_0"]["facts"]["connected"] is True  # type: ignore[index]
    assert told["program"]["facts"]["process"] == bus.program.pid  # type: ignore[index]
    assert told["clock"]["facts"]["trust"] == "holdover"  # type: ignore[index]
    (trouble,) = told["link"]["troubles"]  # type: ignore[misc]
    assert trouble["refusal"] == 3002 and trouble["remedy_th"] and trouble["remedy_en"]


def test_it_is_said_in_words_with_shapes_and_remedies(bus: LoneBus) -> None:
    bus.scanner.unplug()
    wait_until(lambda: "✗ เครื่องอ่านโค้ด" in asked(bus, "diagnose").stdout, "the scanner's trouble")
    found = asked(bus, "diagnose")
    assert found.returncode == 1
    assert "6003 " in found.stdout and "✓ สมุดบันทึก" in found.stdout
    english = asked(bus, "--language", "en", "diagnose").stdout
    assert "✗ Code readers" in english and "✓ Journal" in english


def test_a_command_is_obeyed_as_if_it_were_typed(bus: LoneBus) -> None:
    done = asked(bus, "do", "trip", "9", "evening")
    assert done.returncode == 0 and json.loads(done.stdout)["trip"] == "evening"
    assert bus.program.wait_for(lambda said: said.get("trip") == "evening", 0, "the line")["route"] == "9"
    wrong = asked(bus, "do", "fly")
    assert wrong.returncode == 1 and json.loads(wrong.stdout)["refusal"] == 5023


def test_nobody_running_is_said_so_and_worth_another_try(bus: LoneBus) -> None:
    bus.program.kill()
    for words in (("diagnose",), ("do", "status")):
        found = asked(bus, *words)
        assert found.returncode == 75 and "6034 " in found.stderr


def test_the_door_a_power_cut_left_behind_is_made_anew(bus: LoneBus) -> None:
    bus.program.kill()
    assert (bus.folder / "control.sock").exists()
    bus.start()
    wait_until(lambda: asked(bus, "diagnose").returncode != 75, "the new door")
    assert bus.program.stop("quit") == 0
    assert not (bus.folder / "control.sock").exists()


@pytest.mark.parametrize(
    "line",
    [b"", b"\n", b"diagnose\n", b"[]\n", b'{"do": []}\n', b'{"do": [1]}\n', b"\xff" * 5_000, b'{"do": "quit"}\n'],
)
def test_what_is_no_question_is_answered_as_such(bus: LoneBus, line: bytes) -> None:
    wait_until(lambda: asked(bus, "diagnose").returncode != 75, "the door")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as caller:
        caller.settimeout(TOOL_S_MAX)
        with control.opened_folder(bus.folder / "control.sock") as name:
            caller.connect(name)
        caller.sendall(line)
        caller.shutdown(socket.SHUT_WR)
        assert json.loads(caller.recv(4_096)) == {"misunderstood": True}
    assert bus.tap(rider(6))["light"] == "accepted_cash_due"


def test_a_caller_that_hangs_keeps_no_customer_waiting(bus: LoneBus) -> None:
    wait_until(lambda: asked(bus, "diagnose").returncode != 75, "the door")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as caller:
        with control.opened_folder(bus.folder / "control.sock") as name:
            caller.connect(name)
        begun_s = time.monotonic()
        assert bus.tap(rider(7))["light"] == "accepted_cash_due"
        assert time.monotonic() - begun_s < control.CALLER_S_MAX
        assert asked(bus, "diagnose").stdout, "the next caller is heard after it"


def test_only_its_own_user_may_open_the_door(bus: LoneBus) -> None:
    assert (bus.folder / "control.sock").stat().st_mode & 0o777 == 0o600


def test_a_door_that_cannot_be_made_is_a_trouble_and_payments_go_on(tmp_path: Path) -> None:
    with lone_bus(tmp_path) as bus:
        text = bus.settings.read_text()
        bus.settings.write_text(text + '\n[control]\nsocket = "nowhere/control.sock"\n')
        bus.start()
        told = bus.program.wait_for(lambda said: said.get("trouble") == "control", 0, "the trouble")
        assert told["refusal"] == ControlUnavailable.number
        assert bus.tap(rider(5))["light"] == "accepted_cash_due"


def test_without_input_as_a_service_it_goes_on(tmp_path: Path) -> None:
    """Standard input is /dev/null under a service manager: nobody ever speaks there, and nobody ends it by that."""
    with lone_bus(tmp_path) as bus:
        bus.start((sys.executable, "-c", AS_A_SERVICE, str(bus.settings)))
        assert bus.tap(rider(5))["light"] == "accepted_cash_due"
        os.kill(bus.program.pid, signal.SIGTERM)
        wait_until(lambda: not bus.program.is_running, "its end")
        assert bus.program.exit_code == 0


AS_A_SERVICE = """
import os, sys
null = os.open(os.devnull, os.O_RDONLY)
os.dup2(null, 0)
os.execv(sys.executable, [sys.executable, "-m", "bus_validator", "--settings", sys.argv[1]])
"""


def test_the_service_manager_hears_that_it_is_ready_and_alive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        name = f"@kgo-test-{os.getpid()}-{tmp_path.name}"
        manager.bind("\0" + name[1:])
        manager.settimeout(TOOL_S_MAX)
        monkeypatch.setenv("NOTIFY_SOCKET", name)
        monkeypatch.setenv("WATCHDOG_USEC", "600000")
        with lone_bus(tmp_path) as bus:
            bus.start()
            heard = [manager.recv(64) for _ in range(4)]
            assert heard == [b"READY=1", b"WATCHDOG=1", b"WATCHDOG=1", b"WATCHDOG=1"]
            os.kill(bus.program.pid, signal.SIGSTOP)  # a program that hangs says nothing
            manager.settimeout(1.0)
            with pytest.raises(TimeoutError):
                while True:
                    manager.recv(64)
            os.kill(bus.program.pid, signal.SIGCONT)
            bus.program.stop("quit")
            manager.settimeout(TOOL_S_MAX)
            while manager.recv(64) != b"STOPPING=1":
                pass


@pytest.mark.parametrize("said", [{}, {"NOTIFY_SOCKET": "/nowhere/at/all", "WATCHDOG_USEC": "soon"}])
def test_without_a_service_manager_nothing_happens(said: dict[str, str]) -> None:
    manager = ServiceManager(said)
    manager.tell(b"READY=1")
    manager.alive(0)

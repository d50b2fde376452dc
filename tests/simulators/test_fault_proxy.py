"""Every network fault by name, on real sockets, in a thread and as a process of its own."""

import asyncio
import contextlib
import gc
import socket
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from simulators import fault_proxy
from simulators.fault_link import DELAY_MS_MAX, IN_FLIGHT_BYTES_MAX, Mode, Plan, parse_plan
from simulators.fault_proxy import FaultProxy, send_command

DEADLINE_S = 10.0
QUIET_S = 0.2
REQUEST_BYTES = 40_000


class Town(socketserver.ThreadingTCPServer):
    """A server that reads a length line and that many bytes, and answers with as many."""

    daemon_threads = True
    allow_reuse_address = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answerer)
        self.received: list[int] = []


class Answerer(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        assert isinstance(self.server, Town)
        with contextlib.suppress(OSError):
            while line := self.rfile.readline():
                body = self.rfile.read(int(line))
                self.server.received.append(len(body))
                self.wfile.write(body[::-1])


@pytest.fixture
def town() -> Iterator[Town]:
    with Town() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


class BusyProxy(FaultProxy):
    def be_busy(self) -> None:
        """Its thread does nothing for a while: what arrives meanwhile is all seen in one turn."""
        self._loop.call_soon_threadsafe(time.sleep, QUIET_S)


@pytest.fixture
def proxy(town: Town) -> Iterator[BusyProxy]:
    with BusyProxy(("127.0.0.1", town.server_address[1])) as made:
        yield made


@contextlib.contextmanager
def connection(port: int) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), DEADLINE_S) as link:
        yield link


def ask(link: socket.socket, body: bytes) -> bytes:
    """One request and its whole answer, or what came before the end."""
    link.sendall(f"{len(body)}\n".encode() + body)
    answer = b""
    while len(answer) < len(body) and (chunk := link.recv(65_536)):
        answer += chunk
    return answer


def wait_for(condition: Callable[[], bool]) -> None:
    until_s = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < until_s
        threading.Event().wait(0.005)


def test_pass(proxy: FaultProxy) -> None:
    body = bytes(range(256)) * 4_000
    with connection(proxy.port) as link:
        for _ in range(3):
            assert ask(link, body) == body[::-1]
        assert proxy.counts().open == 1
    wait_for(lambda: proxy.counts().open == 0)
    counts = proxy.counts()
    assert counts.down_bytes == 3 * len(body) < counts.up_bytes
    assert counts.connections == 1


def test_half_close_passes(proxy: FaultProxy) -> None:
    with connection(proxy.port) as link:
        link.sendall(b"3\nabc")
        link.shutdown(socket.SHUT_WR)
        assert link.makefile("rb").read() == b"cba"


def test_refuse_and_back(proxy: FaultProxy) -> None:
    with connection(proxy.port) as link:
        assert ask(link, b"abc") == b"cba"
        proxy.apply(Plan(Mode.REFUSE))
        with pytest.raises(ConnectionResetError):
            link.recv(1)
    for _ in range(3):
        with pytest.raises(ConnectionRefusedError), connection(proxy.port):
            pass
    proxy.apply(Plan())
    with connection(proxy.port) as link:
        assert ask(link, b"abc") == b"cba"


def test_black_hole_accepts_and_keeps_silent(proxy: FaultProxy, town: Town) -> None:
    with connection(proxy.port) as old:
        assert ask(old, b"abc") == b"cba"
        proxy.apply(Plan(Mode.BLACK_HOLE))
        with connection(proxy.port) as fresh:
            for link in (old, fresh):
                link.settimeout(QUIET_S)
                with pytest.raises(TimeoutError):
                    ask(link, b"abc")
    assert town.received == [3]
    proxy.apply(Plan())
    with connection(proxy.port) as link:
        assert ask(link, b"abc") == b"cba"


def test_delay_holds_each_way_and_does_not_slow_the_flow(proxy: FaultProxy) -> None:
    proxy.apply(Plan(delay_ms=100))
    body = b"x" * (3 * IN_FLIGHT_BYTES_MAX)
    with connection(proxy.port) as link:
        started_s = time.monotonic()
        assert ask(link, b"abc") == b"cba"
        assert 0.2 <= time.monotonic() - started_s < DEADLINE_S
        assert ask(link, body) == body


@pytest.mark.parametrize("limit", [1, 5_000, 16_384, 30_000])
def test_cut_down_resets_after_so_many_bytes(proxy: FaultProxy, limit: int) -> None:
    proxy.apply(Plan(cut_down_bytes=limit))
    with connection(proxy.port) as link:
        link.sendall(f"{REQUEST_BYTES}\n".encode() + b"x" * REQUEST_BYTES)
        got = 0
        with pytest.raises(ConnectionResetError):
            while True:
                got += len(link.recv(65_536))
    assert got <= limit
    assert proxy.counts().down_bytes == limit


@pytest.mark.parametrize("limit", [0, 1, 5_000, 30_000])
def test_cut_up_resets_after_so_many_bytes(proxy: FaultProxy, town: Town, limit: int) -> None:
    proxy.apply(Plan(cut_up_bytes=limit))
    with connection(proxy.port) as link, pytest.raises(ConnectionError):
        ask(link, b"x" * REQUEST_BYTES)
        raise AssertionError("an answer to half a request")
    assert proxy.counts().up_bytes == limit
    assert sum(town.received) < REQUEST_BYTES


@pytest.mark.parametrize("limit", [0, 1, 5_000, 30_000])
def test_truncated_answers_end_as_if_whole(proxy: FaultProxy, town: Town, limit: int) -> None:
    proxy.apply(Plan(truncate_bytes=limit))
    with connection(proxy.port) as link:
        assert len(ask(link, b"x" * REQUEST_BYTES)) == limit
    assert town.received == [REQUEST_BYTES]


def test_lost_answers(proxy: FaultProxy, town: Town) -> None:
    """The dangerous one: the city has it, and the terminal does not know."""
    proxy.apply(Plan(Mode.LOSE_ANSWERS))
    with connection(proxy.port) as link, pytest.raises(ConnectionResetError):
        ask(link, b"x" * REQUEST_BYTES)
    assert town.received == [REQUEST_BYTES]
    assert proxy.counts().down_bytes == 0


def test_reset_links_leaves_the_plan(proxy: FaultProxy) -> None:
    with connection(proxy.port) as link:
        assert ask(link, b"abc") == b"cba"
        proxy.reset_links()
        with pytest.raises(ConnectionResetError):
            link.recv(1)
    with connection(proxy.port) as link:
        assert ask(link, b"abc") == b"cba"


def test_a_dead_target_resets(proxy: FaultProxy, town: Town) -> None:
    town.shutdown()
    town.server_close()
    with pytest.raises(ConnectionResetError), connection(proxy.port) as link:  # the reset may come while connecting
        ask(link, b"abc")
        link.recv(1)


@pytest.mark.parametrize(
    ("command", "plan"),
    [
        ("pass", Plan()),
        ("refuse", Plan(Mode.REFUSE)),
        ("black_hole", Plan(Mode.BLACK_HOLE)),
        ("lose_answers", Plan(Mode.LOSE_ANSWERS)),
        ("delay 0", Plan()),
        (f"delay {DELAY_MS_MAX}", Plan(delay_ms=DELAY_MS_MAX)),
        ("cut up 10", Plan(cut_up_bytes=10)),
        ("cut down 0", Plan(cut_down_bytes=0)),
        ("truncate 7", Plan(truncate_bytes=7)),
    ],
)
def test_commands(command: str, plan: Plan) -> None:
    assert parse_plan(command.split()) == plan


@pytest.mark.parametrize(
    "command",
    ["", "explode", "delay", "delay x", "delay -1", f"delay {DELAY_MS_MAX + 1}", "cut up", "cut side 3", "cut up -1"],
)
def test_bad_commands(command: str) -> None:
    with pytest.raises(ValueError):
        parse_plan(command.split())


def test_as_a_process(town: Town, tmp_path: Path) -> None:
    control = tmp_path / "net.sock"
    arguments = ["--target", f"127.0.0.1:{town.server_address[1]}", "--control", str(control)]
    with subprocess.Popen(
        [sys.executable, "-m", "simulators.fault_proxy", *arguments], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        word, port = process.stdout.readline().split()
        assert word == "ready"
        with connection(int(port)) as link:
            assert ask(link, b"abc") == b"cba"
        assert send_command(control, "refuse") == "ok"
        with pytest.raises(ConnectionRefusedError), connection(int(port)):
            pass
        assert send_command(control, "explode").startswith("error")
        assert send_command(control, "pass") == "ok"
        with connection(int(port)) as link:
            assert ask(link, b"abc") == b"cba"
        assert "connections=2" in send_command(control, "status")
        assert send_command(control, "quit") == "ok"
        assert process.wait(DEADLINE_S) == 0
    assert not control.exists()


@pytest.mark.parametrize("is_over", [False, True], ids=["refuse", "close"])
def test_a_connection_taken_as_the_network_goes_is_reset(proxy: BusyProxy, is_over: bool) -> None:
    """asyncio's own server loses such a connection when it is closed between accept and attach."""
    proxy.be_busy()
    with socket.create_connection(("127.0.0.1", proxy.port), DEADLINE_S) as link:
        proxy.close() if is_over else proxy.apply(Plan(mode=Mode.REFUSE))
        with pytest.raises(ConnectionResetError):
            link.recv(1)
    gc.collect()  # an unclosed socket is an error then


def test_who_connects_while_it_stops_listening_is_reset(proxy: BusyProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    late, turns, give_way = list[socket.socket](), iter(range(1, 100)), asyncio.sleep

    async def turn(seconds: float) -> None:
        if next(turns) == fault_proxy.ACCEPT_TURNS - 1:
            late.append(socket.create_connection(("127.0.0.1", proxy.port), DEADLINE_S))
        await give_way(seconds)

    with monkeypatch.context() as patched:
        patched.setattr(asyncio, "sleep", turn)
        proxy.apply(Plan(mode=Mode.REFUSE))
    with late.pop() as link, pytest.raises(ConnectionResetError):
        link.recv(1)
    gc.collect()


def test_what_is_open_is_reset_even_when_its_task_is_cancelled(
    town: Town, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A busy machine: no turn is left for a connection to see its own reset."""
    monkeypatch.setattr(fault_proxy, "END_TURNS", 0)
    with connection(proxy.port) as link:
        assert ask(link, b"abc") == b"cba"
        proxy.close()
        with contextlib.suppress(ConnectionResetError):
            assert link.recv(1) == b""
    gc.collect()  # an unclosed socket is an error then

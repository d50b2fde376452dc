"""A TCP proxy between two ports of 127.0.0.1 that breaks the network in named ways, at run time. DESIGN §11.

It knows nothing of what passes: TLS and HTTP break in it as they would on a bad mobile link. `up` is from the client
to the target, `down` is the answer. A change of plan holds for new bytes on old connections too.

    python -m simulators.fault_proxy --target 127.0.0.1:8443 --control /tmp/net.sock      (prints `ready PORT`)

The control socket takes one command a line, and answers `ok ...` or `error ...`:

    pass                 a good network
    refuse               nobody listens (connection refused); open connections are reset
    black_hole           connections open, bytes vanish
    delay MS             each direction is MS later
    cut up|down BYTES    each connection is reset after that many bytes of that direction
    truncate BYTES       each answer ends after that many bytes, as if it were whole
    lose_answers         requests arrive, answers do not: the connection is reset at the answer's first byte
    reset                reset the open connections now; the plan stays
    status | quit
"""

import argparse
import asyncio
import contextlib
import socket
import sys
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any, Self, TypeVar

from simulators.fault_link import Link, Mode, Network, Plan, parse_plan

CONNECTIONS_MAX = 256  # more are reset
COMMAND_BYTES_MAX = 256
CONTROL_S_MAX = 10.0
END_TURNS, END_TURN_S = 50, 0.01
ACCEPT_TURNS = 4  # accepted, attached, made, a link
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Counts:
    """What passed since the start."""

    connections: int
    open: int
    up_bytes: int
    down_bytes: int


class FaultProxy:
    """The proxy, in a thread of its own; its methods may be called from any thread."""

    def __init__(self, target: tuple[str, int], *, port: int = 0, control: Path | None = None) -> None:
        self._network = Network(target)
        self._control = control
        self._links: dict[Link, asyncio.Task[None]] = {}
        self._connections = 0
        self._hold = _bound(port)  # bound but not listening = connection refused, and the port stays ours
        self.port: int = self._hold.getsockname()[1]
        self._server: asyncio.Server | None = None
        self._control_server: asyncio.Server | None = None
        self._loop = asyncio.new_event_loop()
        self._quit = asyncio.Event()
        self._thread = Thread(target=self._loop.run_forever, name="fault-proxy", daemon=True)

    def start(self) -> None:
        """Listen; returns when connections are taken."""
        self._thread.start()
        self._call(self._start())

    def apply(self, plan: Plan) -> None:
        """From now on the network is like this; returns when it is."""
        self._call(self._apply(plan))

    def reset_links(self) -> None:
        """Reset the open connections."""
        self._call(self._reset_links())

    def counts(self) -> Counts:
        """What passed so far."""
        return Counts(self._connections, len(self._links), self._network.up_bytes, self._network.down_bytes)

    def wait_for_quit(self) -> None:
        """Block until the control socket is told `quit`."""
        self._call(self._quit.wait(), timeout_s=None)

    def close(self) -> None:
        """Reset what is open and stop."""
        if self._thread.is_alive():
            self._call(self._stop())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
        self._hold.close()
        self._loop.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _call(self, work: Coroutine[Any, Any, _T], timeout_s: float | None = CONTROL_S_MAX) -> _T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout_s)

    async def _start(self) -> None:
        await self._listen()
        if self._control is not None:
            self._control.unlink(missing_ok=True)
            self._control_server = await asyncio.start_unix_server(
                self._obey, str(self._control), limit=COMMAND_BYTES_MAX
            )

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._accept, sock=self._hold, backlog=CONNECTIONS_MAX)

    async def _refuse(self) -> None:
        if self._server is not None:
            await _close(self._server)
            self._server = None
            self._hold = _bound(self.port)

    async def _apply(self, plan: Plan) -> None:
        self._network.apply(plan)
        if plan.mode is Mode.REFUSE:
            await self._refuse()
            await self._reset_links()
        elif self._server is None:
            await self._listen()

    async def _reset_links(self) -> None:
        for link in list(self._links):
            link.reset()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = Link(self._network, writer)
        self._connections += 1
        if len(self._links) >= CONNECTIONS_MAX:
            return link.reset()
        task = self._loop.create_task(link.run(reader))
        self._links[link] = task
        task.add_done_callback(lambda _done: self._forget(link))

    def _forget(self, link: Link) -> None:
        link.reset()  # also when its task was cancelled on a busy machine before it saw its own reset
        del self._links[link]

    async def _obey(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, ValueError):  # ValueError: a line over the limit
            while line := await reader.readline():
                writer.write(await self._answer(line.decode("ascii", "replace").split()) + b"\n")
                await writer.drain()
        writer.close()

    async def _answer(self, words: list[str]) -> bytes:
        try:
            if words == ["status"]:
                return f"ok {self._network.plan} {self.counts()}".encode()
            if words == ["quit"]:
                self._quit.set()
            elif words == ["reset"]:
                await self._reset_links()
            else:
                await self._apply(parse_plan(words))
        except ValueError as error:
            return f"error {error}".encode()
        return b"ok"

    async def _stop(self) -> None:
        for server in (self._server, self._control_server):
            if server is not None:
                await _close(server)
        for _ in range(END_TURNS):  # a connection taken just before the end is a link soon, and ends by its reset
            await asyncio.sleep(END_TURN_S)
            if not self._links:
                break
            await self._reset_links()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._control is not None:
            self._control.unlink(missing_ok=True)


async def _close(server: asyncio.Server) -> None:
    """Listen no longer, and let what was just accepted become a connection first: asyncio loses it otherwise, open."""
    for listening in server.sockets:
        asyncio.get_running_loop().remove_reader(listening.fileno())
    for _ in range(ACCEPT_TURNS):
        await asyncio.sleep(0)
    server.close()


def _bound(port: int) -> socket.socket:
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind(("127.0.0.1", port))
    return bound


def send_command(control: Path, command: str) -> str:
    """Give a proxy in another process one command; its answer."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(CONTROL_S_MAX)
        connection.connect(str(control))
        connection.sendall(command.encode() + b"\n")
        with connection.makefile("rb") as answers:
            return answers.readline(COMMAND_BYTES_MAX * 4).decode().strip()


def main() -> int:
    """Run a proxy until its control socket is told `quit`."""
    parser = argparse.ArgumentParser(prog="simulators.fault_proxy", description="a TCP proxy that breaks on command")
    parser.add_argument("--target", required=True, help="HOST:PORT to forward to")
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1 to listen on (0: any)")
    parser.add_argument("--control", type=Path, required=True, help="path of the control socket")
    options = parser.parse_args()
    host, _, port = options.target.rpartition(":")
    with FaultProxy((host, int(port)), port=options.port, control=options.control) as proxy:
        print(f"ready {proxy.port}", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            proxy.wait_for_quit()
    return 0


if __name__ == "__main__":
    sys.exit(main())

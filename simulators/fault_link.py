"""One connection through the fault proxy, and the plan that says how it breaks. DESIGN §11.

`up` is from the client to the target, `down` is the answer. It knows nothing of what passes.
"""

import asyncio
import contextlib
import socket
import struct
from dataclasses import dataclass, field
from enum import Enum

CHUNK_BYTES_MAX = 16_384
IN_FLIGHT_BYTES_MAX = 4 * CHUNK_BYTES_MAX  # on the way in one direction of one connection; then the sender waits
DELAY_MS_MAX = 60_000


class Mode(Enum):
    """What happens to connections."""

    PASS = "pass"
    REFUSE = "refuse"
    BLACK_HOLE = "black_hole"
    LOSE_ANSWERS = "lose_answers"


@dataclass(frozen=True, slots=True)
class Plan:
    """How the network is now. None: no limit."""

    mode: Mode = Mode.PASS
    delay_ms: int = 0
    cut_up_bytes: int | None = None
    cut_down_bytes: int | None = None
    truncate_bytes: int | None = None


@dataclass(slots=True)
class Network:
    """The state all links share; `changed` is set (and replaced) when the plan changes."""

    target: tuple[str, int]
    plan: Plan = Plan()
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    up_bytes: int = 0
    down_bytes: int = 0

    def apply(self, plan: Plan) -> None:
        """Follow this plan from the next byte on."""
        self.plan = plan
        changed, self.changed = self.changed, asyncio.Event()
        changed.set()


def parse_plan(words: list[str]) -> Plan:
    """The plan of a control command; raises ValueError."""
    match words:
        case ["delay", ms] if 0 <= int(ms) <= DELAY_MS_MAX:
            return Plan(delay_ms=int(ms))
        case ["cut", "up", size] if int(size) >= 0:
            return Plan(cut_up_bytes=int(size))
        case ["cut", "down", size] if int(size) >= 0:
            return Plan(cut_down_bytes=int(size))
        case ["truncate", size] if int(size) >= 0:
            return Plan(truncate_bytes=int(size))
        case [name]:
            return Plan(mode=Mode(name))
        case _:
            raise ValueError(f"unknown command {' '.join(words)!r}")


class _Broken(Exception):
    """The plan says that this connection ends here; `gently` as if it were whole."""

    def __init__(self, *, gently: bool = False) -> None:
        super().__init__()
        self.gently = gently


class Link:
    """One connection through the proxy."""

    def __init__(self, network: Network, client: asyncio.StreamWriter) -> None:
        self.network = network
        self.client = client
        self.target: asyncio.StreamWriter | None = None
        self.up_bytes = self.down_bytes = 0

    async def run(self, from_client: asyncio.StreamReader) -> None:
        """Carry bytes both ways until an end or a fault."""
        while self.network.plan.mode is Mode.BLACK_HOLE:
            await self.network.changed.wait()
        try:
            from_target, self.target = await asyncio.open_connection(*self.network.target)
        except OSError:
            return self.reset()
        ways = (self._carry(from_client, self.target, up=True), self._carry(from_target, self.client, up=False))
        tasks = [asyncio.ensure_future(way) for way in ways]
        try:
            await asyncio.gather(*tasks)
            await self._close()
        except _Broken as broken:
            if broken.gently:
                await self._close()
            else:
                self.reset()
        except OSError:
            self.reset()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def reset(self) -> None:
        """End both sides at once, with RST."""
        for writer in (self.client, self.target):
            if writer is not None and not writer.transport.is_closing():
                link = writer.get_extra_info("socket")
                with contextlib.suppress(OSError):
                    link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()

    async def _close(self) -> None:
        for writer in (self.client, self.target):
            if writer is not None:
                with contextlib.suppress(OSError):
                    writer.close()
                    await writer.wait_closed()

    async def _carry(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, up: bool) -> None:
        """Read at once, deliver when due: a delay adds latency, not slowness, within `IN_FLIGHT_BYTES_MAX`."""
        queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(IN_FLIGHT_BYTES_MAX // CHUNK_BYTES_MAX)
        delivery = asyncio.ensure_future(self._deliver(queue, sink, up=up))
        try:
            while True:
                chunk = await source.read(CHUNK_BYTES_MAX)
                due_s = asyncio.get_running_loop().time() + self.network.plan.delay_ms / 1000
                putting = asyncio.ensure_future(queue.put((due_s, chunk)))
                await asyncio.wait((putting, delivery), return_when=asyncio.FIRST_COMPLETED)
                if not chunk or delivery.done():
                    putting.cancel() if delivery.done() else await putting
                    await delivery
                    return
        finally:
            delivery.cancel()
            await asyncio.gather(delivery, return_exceptions=True)

    async def _deliver(
        self, queue: asyncio.Queue[tuple[float, bytes]], sink: asyncio.StreamWriter, *, up: bool
    ) -> None:
        while True:
            due_s, chunk = await queue.get()
            await asyncio.sleep(due_s - asyncio.get_running_loop().time())
            if not chunk:
                with contextlib.suppress(OSError):
                    sink.write_eof()
                return
            kept, broken = self._judge(chunk, up=up)
            if kept:
                sink.write(kept)
                await sink.drain()
                self._count(len(kept), up=up)
            if broken is not None:
                raise broken

    def _judge(self, chunk: bytes, *, up: bool) -> tuple[bytes, _Broken | None]:
        """What of the chunk still passes, and how the connection then ends, if it does."""
        plan = self.network.plan
        if plan.mode is Mode.BLACK_HOLE:
            return b"", None
        if plan.mode is Mode.REFUSE or (plan.mode is Mode.LOSE_ANSWERS and not up):
            return b"", _Broken()
        passed = self.up_bytes if up else self.down_bytes
        limits = [(plan.cut_up_bytes, False)] if up else [(plan.cut_down_bytes, False), (plan.truncate_bytes, True)]
        for limit, gently in limits:
            if limit is not None and passed + len(chunk) >= limit:
                return chunk[: max(0, limit - passed)], _Broken(gently=gently)
        return chunk, None

    def _count(self, size: int, *, up: bool) -> None:
        if up:
            self.up_bytes += size
            self.network.up_bytes += size
        else:
            self.down_bytes += size
            self.network.down_bytes += size

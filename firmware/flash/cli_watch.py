"""`kgo-flash watch`: a box of boards, each flashed, tested and told by its own ring as it is plugged in. DESIGN §3.

Nothing is typed between two boards. What a board is told by its ring stays until it is unplugged; then it is forgotten,
and plugged in again it is done again. Ctrl-C ends it when the boards that are at work are done. Decision 0169.
"""

import io
import os
import time
from argparse import Namespace
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache
from threading import Lock

from rich.console import Console

from firmware.flash.base_copy import BaseFile
from firmware.flash.bench import OK, REFUSED, AddCommand, Bench
from firmware.flash.bench_words import WatchTexts
from firmware.flash.board_ports import POLL_S, BoardPort
from firmware.flash.boards import AWAY_S_MAX, Board, Kind, check_drive, drives, look
from firmware.flash.cli_head import (
    SIDE_BY_SIDE_MAX,
    Bars,
    Copy,
    Result,
    base_named,
    copy_one,
    end_copy,
    flash_one,
    ports_of,
    shared,
    tell_one,
)
from firmware.flash.cli_test import head_at, try_head
from firmware.flash.flashing import FlashRun
from firmware.link import messages
from offline_ledger.errors import BoardLost, BootDriveGone, HeadLost, NoBoardFound, Refusal
from offline_ledger.terminal.selftest.head_watch import LINK_S_MAX, WatchedHead
from offline_ledger.terminal.selftest.plan import Verdict

GONE_S = 3.0
"""So long the port of a board that shows nothing is away before it counts as unplugged: one that was refused may still
restart, and would be tried for ever. One that shows its light restarts no more."""
AGAIN_MAX = 2
"""So often in a row a board that went away in the middle is taken up again without having been away so long."""
_LOST = (BoardLost, HeadLost, NoBoardFound)
"""What a board that is pulled out at work ends with."""


def add(add_command: AddCommand) -> None:
    """The command."""
    made = add_command("watch", run_watch)
    made.add_argument("--base", default="", metavar="FILE")
    made.add_argument("--sha256", default="", metavar="HEX")


def run_watch(bench: Bench, said: Namespace) -> int:
    """Until Ctrl-C; REFUSED if any board was."""
    bench = replace(bench, texts=WatchTexts(bench.texts.language))
    with shared(bench, ports_of(bench)) as run, bench.progress() as progress:
        watch = Watch(bench, run, Bars(bench, progress), cache(lambda: base_named(bench, said)))
        bench.say("watch.ready")
        try:
            while True:
                watch.look_round()
                time.sleep(POLL_S)
        except KeyboardInterrupt:
            bench.say("watch.ending")
        finally:
            watch.close()
    bench.say("head_sum", good=watch.good, failed=watch.failed)
    return OK if not watch.failed else REFUSED


@dataclass
class _Done:
    """What came of one board and when that was told; its ring, while that shows it."""

    refusal: Refusal | None
    told_s: float
    light: WatchedHead | None = None


@dataclass
class _Seen:
    """One board. `at_s`: when its port was last there; `away`: from when to when it was not."""

    port: BoardPort
    work: "Future[_Done]"
    at_s: float
    away: list[tuple[float, float]] = field(default_factory=list)


@dataclass
class _Coming:
    """A copied base whose board is still to come: when its drive was found, and when it was known to be done."""

    copy: Copy
    found_s: float
    done_s: float


class Watch:
    """What is plugged in, and what is done with it. `look_round` and `close` are for one thread."""

    def __init__(self, bench: Bench, run: FlashRun, bars: Bars, base: Callable[[], BaseFile]) -> None:
        self._bench, self._run, self._bars, self._base = bench, run, bars, base
        self._threads = ThreadPoolExecutor(SIDE_BY_SIDE_MAX)
        self._boards: dict[str, _Seen] = {}
        self._drives: dict[str, Future[_Coming | None] | None] = {}
        self._coming: list[_Coming] = []
        self._again: dict[str, int] = {}
        self._round_s = 0.0
        self._telling = Lock()
        self.good = self.failed = 0

    def look_round(self) -> None:
        """Work for what is new; what has gone is forgotten."""
        now_s = time.monotonic()
        ports = self._run.ports.all()  # before the drives: a board whose port is here has left its drive
        found = {os.path.realpath(str(drive.drive)): drive for drive in drives(self._pattern)}
        is_leaving = False
        for name, work in list(self._drives.items()):
            if work is not None and work.done():
                if (coming := work.result()) is not None:
                    self._coming.append(replace(coming, done_s=now_s))
                self._drives[name] = work = None
            if name not in found:
                if work is None:
                    del self._drives[name]
                else:  # its thread has not seen it yet, and a new port may be its board's
                    is_leaving = True
        for name, drive in found.items():
            if name not in self._drives:
                self._drives[name] = self._threads.submit(self._copied, drive, now_s)
        self._look_at_ports(ports, now_s, may_be_new=not is_leaving)
        for late in [one for one in self._coming if now_s > one.done_s + AWAY_S_MAX]:
            self._coming.remove(late)
            refusal = None if self._has_come_back(late) else BootDriveGone()
            self._end_copy(late.copy, refusal)
            if refusal is not None:
                self._tell(Result(late.copy.name, None, refusal))
        self._round_s = now_s

    def close(self) -> None:
        """When what is at work is done; the rings go out. A board that has its base and nothing else yet: the record
        says interrupted."""
        self._threads.shutdown()
        for seen in self._boards.values():
            if (light := seen.work.result().light) is not None:
                light.close()

    # --- inside

    @property
    def _pattern(self) -> str:
        return self._bench.settings.text("head.drives")

    def _look_at_ports(self, ports: Iterable[BoardPort], now_s: float, *, may_be_new: bool) -> None:
        for port in ports:
            name = port.serial or port.name
            if (seen := self._boards.get(name)) is not None and seen.at_s == self._round_s:
                seen.at_s = now_s
                continue
            if not may_be_new:
                continue
            if seen is not None:
                seen.away.append((seen.at_s, now_s))
                seen.at_s = now_s
                continue
            run = self._run
            if self._coming:  # nothing tells which drive a board was; the first one that came back ends the first copy
                self._end_copy(self._coming.pop(0).copy, None)
                run = run._replace(base_sha256=self._base().sha256)
            self._boards[name] = _Seen(port, self._threads.submit(self._done, run, port), now_s)
        for name, seen in list(self._boards.items()):
            if seen.work.done() and self._is_over(name, seen, now_s):
                if (light := seen.work.result().light) is not None:
                    light.close()
                self._bars.drop(seen.port.name)
                del self._boards[name]

    def _is_over(self, name: str, seen: _Seen, now_s: float) -> bool:
        """Is it unplugged, or was it, and is what is there now to be done anew?"""
        done = seen.work.result()
        if now_s - seen.at_s > (GONE_S if done.light is None else 0):
            self._again.pop(name, None)
            return True
        if seen.at_s != now_s or self._again.get(name, 0) >= AGAIN_MAX:
            return False
        if done.refusal is None:  # no board restarts after its test
            is_again = any(from_s >= done.told_s for from_s, _ in seen.away)
        else:
            is_lost = isinstance(done.refusal, _LOST)
            is_again = any(is_lost or until_s - from_s > GONE_S for from_s, until_s in seen.away)
        self._again[name] = self._again.get(name, 0) + is_again
        return is_again

    def _has_come_back(self, late: _Coming) -> bool:
        """Was it the drive of a board that was at work? That one was away from before the drive to after its copy."""
        away = (one for seen in self._boards.values() for one in seen.away)
        return any(from_s <= late.found_s and late.done_s <= until_s for from_s, until_s in away)

    def _copied(self, drive: Board, found_s: float) -> _Coming | None:
        """On a thread. None: refused."""
        try:
            check_drive(drive)
            base = self._base()
        except Refusal as refusal:
            self._tell(Result(drive.name, None, refusal))
            return None
        copy = copy_one(self._run, self._bars, drive, base)
        if copy.refusal is None:
            return _Coming(copy, found_s, found_s)
        self._bars.forget(copy.bar)
        self._tell(Result(copy.name, None, copy.refusal))
        return None

    def _end_copy(self, copy: Copy, refusal: Refusal | None) -> None:
        """Its bar goes, for a box of boards would fill the screen with those."""
        end_copy(self._run, self._bars, copy, refusal)
        self._bars.forget(copy.bar)

    def _done(self, run: FlashRun, port: BoardPort) -> _Done:
        """On a thread: all that is done with one board."""
        result = flash_one(run, self._bars, port)
        if result.refusal is None:
            result = result._replace(refusal=self._tested(port))
        self._tell(result)
        done = _Done(result.refusal, time.monotonic())
        with suppress(Refusal, OSError):  # its line has told it
            done.light = ring_of(run, port, is_good=result.refusal is None)
        return done

    def _tested(self, port: BoardPort) -> Refusal | None:
        """What needs nobody: cable, link, memory. Its lines are those of the bars, not of a test."""
        self._bars.note(port.name, "testing")
        quiet = replace(self._bench, console=Console(file=io.StringIO()))
        try:
            with head_at(self._run.ports, port) as greeting:
                path = self._run.ports.path(port)
                _, results = try_head(quiet, self._run.record, path, greeting, Namespace(alone=True))
        except FileNotFoundError:
            refusal: Refusal | None = HeadLost(port.name)
        except Refusal as trouble:
            refusal = trouble
        else:
            wrong = (one.refusal for one in results if one.verdict is Verdict.FAILED)
            refusal = next((one for one in wrong if one is not None), None)
        self._bars.note(port.name, "failed" if refusal is not None else "done")
        return refusal

    def _tell(self, result: Result) -> None:
        """Its line; what helps, when something is wrong."""
        with self._telling:
            tell_one(self._bench, result)
            if result.refusal is None:
                self.good += 1
            else:
                self.failed += 1
                self._bench.print(f"  {self._bench.texts.remedy(result.refusal)}")


def ring_of(run: FlashRun, port: BoardPort, *, is_good: bool) -> WatchedHead | None:
    """The ring says it, in colour and in shape: accepted, or refused. None: no firmware runs that could."""
    if look(run.ports, port).kind is not Kind.HEAD:
        return None
    head = WatchedHead(run.ports.path(port))
    until_s = time.monotonic() + LINK_S_MAX
    while not head.is_linked:
        if time.monotonic() > until_s:
            head.close()
            return None
        time.sleep(POLL_S)
    head.rest(messages.ACCEPTED if is_good else messages.REFUSED)
    return head

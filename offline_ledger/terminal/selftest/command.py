"""`self-test`: tries every part of a terminal whose program is stopped, and writes a signed report. Decision 0240.

It opens the journal as every start does and holds it to the end, so that the program cannot start in the middle of it.
Nothing is taken and no voucher is made. Exit codes: 0 everything that is fitted passed, 1 something failed, was not
tried to its end, or the test was refused.
"""

import json
import os
import pwd
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, TextIO

from offline_ledger.errors import JournalInUse, NotRunning, Refusal, SelfTestWhileRunning, UsageWrong
from offline_ledger.terminal.commands import check_free, write_new
from offline_ledger.terminal.control_commands import asked
from offline_ledger.terminal.program import EXIT_REFUSED, MachineClock, Place
from offline_ledger.terminal.selftest.card_part import CardPart
from offline_ledger.terminal.selftest.city_part import CityPart
from offline_ledger.terminal.selftest.clock_part import ClockPart
from offline_ledger.terminal.selftest.desk import Console, Keyboard
from offline_ledger.terminal.selftest.disk_part import DiskBounds, DiskPart
from offline_ledger.terminal.selftest.head_part import HeadPart
from offline_ledger.terminal.selftest.head_watch import WatchedHead
from offline_ledger.terminal.selftest.own_part import hashes_of, own_part, versions_of
from offline_ledger.terminal.selftest.plan import Result, Step, Whole, verdict_of
from offline_ledger.terminal.selftest.report import Head, report_of, signed_report, summary_of
from offline_ledger.terminal.selftest.runner import Part, run
from offline_ledger.terminal.selftest.scanner_part import PolledReader, ScannerPart, own_label
from offline_ledger.terminal.selftest.turn import AnswerSource, Board, Times, Turn
from offline_ledger.terminal.station import Station
from offline_ledger.texts import Texts

WHO_CHARACTERS_MAX = 60


class Ground(NamedTuple):
    """What a program's own parts are built on. `station` None: `why_closed` says why it cannot be opened."""

    place: Place
    clock: MachineClock
    station: Station | None
    why_closed: Refusal | None
    texts: Texts


def no_screen() -> Refusal | None:
    """The technician alone says that nobody boards."""
    return None


class More(NamedTuple):
    """What one program adds. `screens` show every step on the device itself; `seen` comes behind the head, `parts`
    behind the readers; `close` is called at the end."""

    screens: Sequence[Board] = ()
    seen: Sequence[Part] = ()
    parts: Sequence[Part] = ()
    sources: Sequence[AnswerSource] = ()
    head_port: str = ""
    has_scanner: bool = True
    """The scanner that the settings name is a serial one, which is tried here."""
    is_covered: Callable[[], Refusal | None] = no_screen
    """Why people do not see the word TEST; None: they do, or there is no screen to say it on."""
    close: Callable[[], None] = lambda: None


class Taking(NamedTuple):
    """How one program takes part: `check_idle` raises SelfTestTripOpen, `more` opens what it adds."""

    check_idle: Callable[[Ground], None]
    more: Callable[[Ground], More]


class Bench(NamedTuple):
    """How long things may take, and where the technician reads and types: this process's own streams."""

    times: Times = Times()
    disk: DiskBounds = DiskBounds()
    keys: int = 0
    out: TextIO | None = None


def act(program: Taking, place: Place, given: Namespace, texts: Texts, bench: Bench | None = None) -> int:
    """Returns the exit code. Raises SelfTestWhileRunning, SelfTestTripOpen, UsageWrong, FileTaken, FileUnusable."""
    file: Path | None = given.json
    if file is not None:
        check_free(place, file)
    ground = _opened(place, texts)
    try:
        program.check_idle(ground)
        bench = bench or Bench()
        console = Console(texts, bench.out)
        results, report = _tried(program, ground, console, given, bench)
        console.tell(summary_of(results, texts))
        if file is not None:
            sign = None if ground.station is None else ground.station.sign
            raw = b"" if ground.station is None else ground.station.own_certificate.raw
            made = signed_report(report, sign, raw)
            write_new(file, (json.dumps(made, ensure_ascii=False, indent=1) + "\n").encode())
            console.tell(
                texts.get("selftest.written" if sign else "selftest.unsigned", file=str(file), sha256=made["sha256"])
            )
    finally:
        if ground.station is not None:
            ground.station.close()
    return 0 if verdict_of(results) is Whole.PASSED else EXIT_REFUSED


def _opened(place: Place, texts: Texts) -> Ground:
    """The station, held; or why there is none. Raises SelfTestWhileRunning."""
    socket, clock = place.path("control.socket"), MachineClock()
    try:
        asked(socket, ["diagnose"])
    except NotRunning:
        pass
    except Refusal as refusal:  # it listens, whatever it says
        raise SelfTestWhileRunning(str(refusal)) from refusal
    else:
        raise SelfTestWhileRunning(str(socket))
    try:
        return Ground(place, clock, place.station(clock), None, texts)
    except JournalInUse as refusal:
        raise SelfTestWhileRunning(refusal.detail) from refusal
    except Refusal as refusal:
        return Ground(place, clock, None, refusal, texts)


def _tried(
    program: Taking, ground: Ground, console: Console, given: Namespace, bench: Bench
) -> tuple[tuple[Result, ...], dict[str, object]]:
    texts, place = ground.texts, ground.place
    only: tuple[str, ...] = tuple(given.only)
    more = program.more(ground)
    keyboard: Keyboard | None = None
    try:
        turn = Turn(texts, [console, *more.screens], [*more.sources], bench.times)
        parts = list(_parts(ground, more, turn, bench))
        known = sorted({part.name for part in parts})
        if strange := [name for name in only if name not in known]:
            raise UsageWrong((texts.get("usage.part", part=strange[0][:40], parts=", ".join(known)),))
        if not given.alone:
            keyboard = Keyboard(console, texts, bench.keys)
            turn.sources.append(keyboard)
            turn.is_deserted = keyboard.has_ended.is_set

        def is_wanted(step: Step) -> bool:
            return (not only or step.part in only) and not (given.alone and step.needs_hands)

        results = run(parts, turn, is_wanted, console.hear)
    finally:
        more.close()
        if keyboard is not None:
            keyboard.close()
    who = (given.who or pwd.getpwuid(os.getuid()).pw_name)[:WHO_CHARACTERS_MAX]
    head = Head(
        *(place.text("device.id"), place.text("device.city"), place.program.name, who, ground.clock.wall_s()),
        *(only, bool(given.alone), versions_of(place), hashes_of(place, ground.station)),
    )
    return results, report_of(head, results)


def _parts(ground: Ground, more: More, turn: Turn, bench: Bench) -> Iterator[Part]:
    """In the order in which a technician goes round: what needs nobody first, hands in the middle, the network last."""
    place, station = ground.place, ground.station
    journal = place.path("files.journal")

    def is_free() -> Refusal | None:
        """A journal that cannot be read may hold an open trip, and a green needs its cover."""
        return ground.why_closed if station is None and journal.exists() else more.is_covered()

    def on_head(head: WatchedHead) -> None:
        turn.sources.append(head)

    suffix = place.text("scanner.suffix") == "any"
    scanner, camera = place.text("scanner.port"), place.text("camera.address")
    head = HeadPart(more.head_port, suffix=suffix, is_free=is_free, on_head=on_head)
    city = CityPart(place.text("city.url"), place.uplink(ground.clock), ground.clock, station, ground.why_closed)
    not_before_s = 0 if station is None else station.certificate.not_before_s
    yield own_part(station, ground.why_closed)
    yield DiskPart(journal, bench.disk).part()
    yield head.part()
    yield from more.seen
    label = own_label(place.text("device.id"), place.text("device.city"))
    is_by_head = bool(more.head_port) and not scanner and not camera
    yield ScannerPart(
        "head_scanner", head.linked, is_fitted=is_by_head, needs=("head.link",), is_own_label=label
    ).part()
    if more.has_scanner:
        yield ScannerPart(
            "scanner", lambda _turn: _serial(scanner, suffix=suffix), is_fitted=bool(scanner), is_own_label=label
        ).part()
    size = (place.number("camera.width_px"), place.number("camera.height_px"))
    yield ScannerPart("camera", lambda _turn: _camera(camera, size), is_fitted=bool(camera), is_own_label=label).part()
    yield CardPart(is_fitted=place.text("card.reader") != "none").part()
    yield from more.parts
    yield city.network()
    yield ClockPart(
        str(place.settings_file.parent / place.text("clock.rtc")), ground.clock, city.city_now_s, not_before_s
    ).part()
    yield city.sync()


def _serial(port: str, *, suffix: bool) -> PolledReader:
    from offline_ledger.terminal.drivers.scanner import ScannerSettings, SerialScanner

    return PolledReader(SerialScanner(ScannerSettings(port, suffix=suffix)))


def _camera(address: str, size: tuple[int, int]) -> PolledReader:
    from offline_ledger.terminal.drivers.camera import Camera, CameraSettings

    return PolledReader(Camera(CameraSettings(address, *size)))

"""`kgo-flash test`: a head's self-test on the bench, and a terminal's signed report into the record. Decision 0242.

The head's checks are the terminal's own, over the same driver. A report is believed for its signature alone: the
record, or the city's trust list, must know the key that made it.
"""

from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import cast

from firmware.flash.bench import OK, REFUSED, AddCommand, Bench, adding
from firmware.flash.board_ports import BoardPort, Ports, claimed, names_of
from firmware.flash.boards import Kind, look
from firmware.flash.cli_head import ports_of
from firmware.flash.head_talk import Greeting
from firmware.flash.record import DONE, FAILED, Record
from firmware.flash.record_export import iso_time
from firmware.flash.record_reading import IN_PARTS, Job, facts_about, jobs_about
from offline_ledger.errors import (
    FileUnusable,
    HeadLost,
    NotProvisioned,
    RecordNothing,
    Refusal,
    ReportInPart,
    ReportOfAnother,
    ReportOlder,
    ReportTaken,
    StorageFailed,
)
from offline_ledger.seen_text import shown
from offline_ledger.terminal.own_identity import verify_certificate
from offline_ledger.terminal.selftest.desk import Console, Keyboard
from offline_ledger.terminal.selftest.head_part import HeadPart
from offline_ledger.terminal.selftest.plan import Result, Step, Verdict, Whole, verdict_of
from offline_ledger.terminal.selftest.report import REPORT_BYTES_MAX, Proved, check_report, summary_of
from offline_ledger.terminal.selftest.runner import run
from offline_ledger.terminal.selftest.scanner_part import ScannerPart
from offline_ledger.terminal.selftest.turn import Asked, Times, Turn
from offline_ledger.terminal.trust import TrustStore
from offline_ledger.texts.command_line import Commands

WHAT = "self-test"
AHEAD_S_MAX = 60
"""A device's time further ahead of the bench's than this was wrong, and says nothing of what was tested first."""


def add(add_command: AddCommand) -> None:
    """The two commands."""
    add_one = adding(Commands(add_command("test", run_head), dest="test_command"))
    head = add_one("head", run_head)
    head.add_argument("port", metavar="PORT")
    head.add_argument("--alone", action="store_true")
    report = add_one("report", run_report)
    report.add_argument("file", type=Path, metavar="FILE")
    report.add_argument("--device", metavar="ID")
    report.add_argument("--trust-list", type=Path, metavar="FILE")


# --- head


class Recorded:
    """A board of the self-test that writes down each step before it is begun."""

    def __init__(self, step: Callable[[str], None]) -> None:
        self._step, self._last = step, ""

    def show(self, asked: Asked) -> None:
        """Once for each step."""
        if asked.id != self._last and not asked.is_question:
            self._last = asked.id
            self._step(asked.id)


def run_head(bench: Bench, said: Namespace, times: Times | None = None, keys: int = 0) -> int:
    """Everything that a head has, with the technician. Raises what `head_at` does, and what a port can."""
    path: str = said.port
    ports = ports_of(bench)
    with (
        head_at(ports, ports.named(path)) as greeting,
        closing(Record.open(bench.settings.path("bench.record"))) as record,
    ):
        whole, results = try_head(bench, record, path, greeting, said, times, keys)
    bench.print(summary_of(results, bench.texts))
    return OK if whole is Whole.PASSED else REFUSED


@contextmanager
def head_at(ports: Ports, port: BoardPort) -> Iterator[Greeting]:
    """What the head on this port says of itself; no other run of the bench has it meanwhile. Raises HeadLost,
    BoardPortInUse, and what a look can."""
    with claimed(*names_of(port)):
        board = look(ports, port)
        if board.refusal is not None:
            raise board.refusal
        if board.kind is not Kind.HEAD or board.greeting is None:
            raise HeadLost(f"{port.name}: no firmware of ours on it")
        yield board.greeting


def try_head(
    bench: Bench,
    record: Record,
    path: str,
    greeting: Greeting,
    said: Namespace,
    times: Times | None = None,
    keys: int = 0,
) -> tuple[Whole, tuple[Result, ...]]:
    """Its test, a job of the record. Raises what `run_head` does."""
    kind = IN_PARTS if said.alone else ""
    known = {"serial": greeting.board, "result": kind + Whole.PASSED.value}
    job = record.begin(WHAT, greeting.board, known, bench.settings.text("bench.technician"), bench.now_s())
    begun = Recorded(lambda step: record.step(job, step, bench.now_s()))
    try:
        results = _tried(bench, path, said.alone, begun, times or Times(), keys)
    except Refusal as refusal:
        record.end(job, FAILED, {}, bench.now_s(), refusal.number)
        raise
    whole = verdict_of(results)
    found = {
        "serial": greeting.board,
        "firmware_version": ".".join(map(str, greeting.version)),
        "result": kind + whole.value,
    }
    record.end(job, DONE if whole is Whole.PASSED else FAILED, found, bench.now_s(), _first_number(results))
    return whole, results


def _tried(bench: Bench, port: str, alone: bool, begun: Recorded, times: Times, keys: int) -> tuple[Result, ...]:
    console = Console(bench.texts, bench.console.file)
    turn = Turn(bench.texts, [console, begun], [], times)
    head = HeadPart(port, suffix=True, is_free=lambda: None, on_head=turn.sources.append)
    scanner = ScannerPart("head_scanner", head.linked, is_fitted=True, needs=("head.link",))
    keyboard = None if alone else Keyboard(console, bench.texts, keys)
    if keyboard is not None:
        turn.sources.append(keyboard)
        turn.is_deserted = keyboard.has_ended.is_set

    def is_wanted(step: Step) -> bool:
        return not (alone and step.needs_hands)

    try:
        return run((head.part(), scanner.part()), turn, is_wanted, console.hear)
    finally:
        if keyboard is not None:
            keyboard.close()


def _first_number(results: tuple[Result, ...]) -> int:
    return next((one.refusal.number for one in results if one.verdict is Verdict.FAILED and one.refusal is not None), 0)


# --- report


def run_report(bench: Bench, said: Namespace) -> int:
    """Raises ReportUnfit, ReportOfAnother, ReportTaken, ReportOlder, ReportInPart, FileUnusable, and what the record
    does."""
    file: Path = said.file
    proved = check_report(_read(file))
    device = str(proved.report["device"])
    if said.device and said.device != device:
        raise ReportOfAnother(f"{device}, and {said.device} was named")
    if said.trust_list is not None:
        _check_issued(proved, said.trust_list)
    with closing(Record.open(bench.settings.path("bench.record"))) as record:
        _check_known(record, proved, device, is_issued=said.trust_list is not None)
        _check_new(record, proved, device)
        key_id, whole = proved.key_id.hex(), Whole(str(proved.report["verdict"]))
        known = {"device_id": device, "key_fingerprint": key_id, "result": Whole.PASSED.value}
        at_s = bench.now_s()
        job = record.begin(WHAT, device, known, str(proved.report["who"]), at_s)
        is_good = whole is Whole.PASSED and proved.report["is_whole"] is True
        numbers = [number for _step, number in proved.failures()]
        is_in_part = not is_good and not numbers
        found = {
            "device_id": device,
            "city": proved.certificate.city,
            "key_fingerprint": key_id,
            "certificate_sha256": sha256(proved.certificate_raw).hexdigest(),
            "version": str(cast(dict[str, object], proved.report["versions"]).get("program", "")),
            "settings_sha256": str(cast(dict[str, object], proved.report["hashes"]).get("settings_sha256", "")),
            "report_sha256": proved.sha256.hex(),
            "tested_at": iso_time(cast(int, proved.report["at_s"])),  # as the device signed it; the job's time is now
            "result": ("" if proved.report["is_whole"] is True else IN_PARTS) + whole.value,
        }
        number = ReportInPart.number if is_in_part else next(iter(numbers), 0)
        record.end(job, DONE if is_good else FAILED, found, at_s, number)
    if is_in_part:
        raise ReportInPart(device)
    failed = ", ".join(f"{shown(step)} ({number})" for step, number in proved.failures()) or "-"
    result = bench.texts.get(f"flash.test.result.{whole}")
    bench.say("test.taken", device=device, result=result, failed=failed)
    return OK if is_good else REFUSED


def _read(file: Path) -> bytes:
    try:
        with file.open("rb") as stream:
            return stream.read(REPORT_BYTES_MAX + 1)
    except OSError as error:
        raise FileUnusable(f"{file}: {error.strerror}") from error


def _check_issued(proved: Proved, trust_list: Path) -> None:
    """The city's device CA signed the certificate. Raises DeviceCertificateInvalid, FileUnusable, TrustChainBroken."""
    city = proved.certificate.city
    try:
        held = TrustStore.open(trust_list, city).held
    except (NotProvisioned, StorageFailed) as refusal:
        raise FileUnusable(refusal.detail) from refusal
    verify_certificate(proved.certificate_raw, held, city)


def _check_known(record: Record, proved: Proved, device: str, *, is_issued: bool) -> None:
    """Key and city are those that this bench saw; a key that it never saw needs the city's word. Raises
    ReportOfAnother."""
    try:
        facts = facts_about(record, device)
    except RecordNothing:
        facts = dict[str, str]()
    known, city = facts.get("key_fingerprint"), proved.certificate.city
    if known is None and not is_issued:
        raise ReportOfAnother(f"{device}: its key is in no job of the record; name --trust-list")
    if known is not None and known != proved.key_id.hex():
        raise ReportOfAnother(f"{device}: key {proved.key_id.hex()}, the record has {known}")
    if city != facts.get("city", city):  # without a trust list the device alone says it
        raise ReportOfAnother(f"{device}: city {city}, the record has {facts['city']}")


def _check_new(record: Record, proved: Proved, device: str) -> None:
    """A test counts once, however often its file is carried here, and the last one stays the last. Raises ReportTaken,
    ReportOlder."""
    try:
        earlier = [job for job in jobs_about(record, device) if job.what == WHAT]
    except RecordNothing:
        return
    digest, at_s = proved.sha256.hex(), cast(int, proved.report["at_s"])
    for job in earlier:
        if job.verified("report_sha256") == digest:
            raise ReportTaken(f"{device}: job {job.number}")
    for job in earlier:
        if (tested_s := _tested_s(job)) is not None and tested_s > at_s:
            raise ReportOlder(f"{device}: {iso_time(at_s)}, job {job.number}: {iso_time(tested_s)}")


def _tested_s(job: Job) -> int | None:
    """When the device says that it was tested; None: it says nothing, or a time that had not come yet."""
    try:
        tested_s = int(datetime.fromisoformat(job.verified("tested_at") or "").timestamp())
    except (ValueError, OverflowError):  # a record that somebody else wrote
        return None
    return tested_s if tested_s <= job.begun_s + AHEAD_S_MAX else None

"""`kgo-flash provision`: a device is enrolled from the bench, and the record says how far it came. DESIGN §4, §8.

With `--via` it runs the device's own program there (over ssh, or here) and does all of it; without, request and answer
are files or codes that somebody carries. The key never comes here.
"""

import os
import re
import shlex
import subprocess
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path

from firmware.flash import provisioning
from firmware.flash.bench import OK, AddCommand, Bench
from firmware.flash.provisioning import Checked, Wanted
from firmware.flash.record import DONE, FAILED, Record
from offline_ledger.errors import (
    DeviceNotNow,
    DeviceProgramOther,
    DeviceSaidNo,
    DeviceSettingsWrong,
    DeviceUnreached,
    Refusal,
    UsageWrong,
)
from offline_ledger.named_files import check_named, read_named, write_named
from offline_ledger.protocol import cose, qr
from offline_ledger.protocol.answer import ANSWER_BYTES_MAX, split_answer
from offline_ledger.protocol.kinds import OBJECT_BYTES_MAX
from offline_ledger.protocol.qr import QrType
from offline_ledger.protocol.wallet import ID_CHARACTERS_MAX
from offline_ledger.terminal.enrol import send_request
from offline_ledger.terminal.program import EXIT_LATER, EXIT_WRONG, MachineClock
from offline_ledger.terminal.uplink import HttpsUplink
from offline_ledger.texts.command_line import short

DEVICE_S_MAX = 120
"""So long a device may take for one command; a token or TPM makes its key in seconds."""
TOLD_CHARACTERS_MAX = 600
NOT_RUN = (126, 127, 255)
"""What shells and ssh end with when the program itself was not run."""
_NUMBERED = re.compile(r"[0-9]{4} ")


def add(add_command: AddCommand) -> None:
    """The command."""
    made = add_command("provision", _provision)
    made.add_argument("device", type=short(made.texts, ID_CHARACTERS_MAX), metavar="DEVICE")
    made.add_argument("--role", choices=tuple(provisioning.ROLES), required=True)
    where = made.add_mutually_exclusive_group(required=True)
    where.add_argument("--via", metavar="COMMAND")
    where.add_argument("--request", type=Path, metavar="FILE")
    how = made.add_mutually_exclusive_group()
    how.add_argument("--token")
    how.add_argument("--answer", type=Path, metavar="FILE")
    made.add_argument("--out", type=Path, metavar="FILE")
    made.add_argument("--codes", action="store_true")
    made.add_argument("--said", metavar="KEY_ID")


class _Job:
    """One job of the record, from its begin to its end."""

    def __init__(self, bench: Bench, record: Record, meant: Wanted) -> None:
        self._bench, self._record, self._meant = bench, record, meant
        who = bench.settings.text("bench.technician")
        self._job = record.begin("provision", meant.device, meant.facts(), who, bench.now_s())

    def step(self, name: str) -> None:
        """Durable, and told."""
        self._record.step(self._job, name, self._bench.now_s())
        self._bench.say(f"provision.step.{name}")

    def end(self, checked: Checked) -> None:
        """The device holds what was checked."""
        self._record.end(self._job, DONE, checked.facts(self._meant), self._bench.now_s())

    def failed(self, refusal: Refusal) -> None:
        """With its number."""
        self._record.end(self._job, FAILED, {}, self._bench.now_s(), refusal.number)


def _provision(bench: Bench, said: Namespace) -> int:
    meant = provisioning.wanted(said.device, said.role, bench.settings.text("city.id"))
    _check_words(bench, said)
    record = Record.open(bench.settings.path("bench.record"))
    try:
        job = _Job(bench, record, meant)
        try:
            return _carried(bench, said, meant, job)
        except Refusal as refusal:
            job.failed(refusal)
            raise
    finally:
        record.close()


def _check_words(bench: Bench, said: Namespace) -> None:
    """What does not go together is told before anything is done. Raises UsageWrong, FileTaken, FileUnusable."""
    problems: list[str] = []
    if said.token is not None and not bench.settings.text("city.url"):
        problems.append(bench.texts.get("flash.provision.no_url"))
    if said.via is not None and said.token is None and said.answer is None:
        problems.append(bench.texts.get("usage.one_of_these", first="--token", second="--answer"))
    carried = (("--out", said.out is not None), ("--codes", said.codes), ("--said", said.said is not None))
    if said.via is not None:
        problems += [
            bench.texts.get("flash.provision.carried_only", option=option) for option, is_given in carried if is_given
        ]
    if problems:
        raise UsageWrong(tuple(problems))
    if said.out is not None and not os.path.lexists(said.out):
        check_named(said.out)


def _carried(bench: Bench, said: Namespace, meant: Wanted, job: _Job) -> int:
    job.step("request")
    raw = _request_of(bench, said)
    asked = provisioning.check_request(raw, meant)
    key_id = cose.key_id_of(asked.point)
    bench.say("provision.asked", device=meant.device, key_id=key_id.hex())
    if said.token is None and said.answer is None:
        return _hand_over(bench, said, meant, job, raw)
    job.step("city")
    body = _answer_of(bench, said, raw)
    checked = provisioning.check_answer(body, asked, meant)
    bench.say("provision.answered", owner=checked.owner, version=checked.trust_list_version)
    job.step("answer")
    if said.via is not None:
        provisioning.check_heard(_last_line(_run(bench, said.via, "--answer", body)), meant, checked)
    else:
        _give(bench, said, body, key_id)
        if said.said is None:
            bench.say("provision.unsaid", device=meant.device, key_id=checked.key_id)
            return OK  # the record goes on saying that the answer is under way
        provisioning.check_said(said.said, meant, checked)
    job.end(checked)
    bench.say("provision.done", device=meant.device, owner=checked.owner, key_id=checked.key_id)
    return OK


def _hand_over(bench: Bench, said: Namespace, meant: Wanted, job: _Job, raw: bytes) -> int:
    """No network and no answer yet: the request for the operator, as file and as a code."""
    from offline_ledger.qr_picture import qr_blocks

    job.step("operator")
    if said.out is not None:
        _write_once(said.out, raw)
    bench.print(qr_blocks(qr.encode(QrType.ENROLMENT, raw)))
    named = said.out or said.request
    bench.say("provision.operator", device=meant.device, role=said.role, file=named)
    return OK


def _request_of(bench: Bench, said: Namespace) -> bytes:
    """From the device's own program, or as it was carried."""
    from offline_ledger.request_picture import request_in

    if said.via is None:
        raw = read_named(said.request, OBJECT_BYTES_MAX) if _is_raw(said.request) else request_in(said.request)
        return raw
    text = _last_line(_run(bench, said.via, "--request", b""))
    try:
        code = qr.decode(text)
    except Refusal as refusal:
        raise DeviceProgramOther(text[: provisioning.SHOWN_CHARACTERS_MAX] or "it said nothing") from refusal
    if code.type is not QrType.ENROLMENT:
        raise DeviceProgramOther(f"a code of type {code.type.value}")
    return code.objects[0]


def _is_raw(file: Path) -> bool:
    """A request as `enrol --request FILE` writes it, not its picture or text."""
    try:
        with file.open("rb") as stream:
            return stream.read(1) == b"\xd2"
    except OSError:
        return True  # who reads it says what is wrong


def _answer_of(bench: Bench, said: Namespace, raw: bytes) -> bytes:
    if said.answer is not None:
        return read_named(said.answer, ANSWER_BYTES_MAX)
    settings = bench.settings
    uplink = HttpsUplink(settings.text("city.url"), settings.path("city.ca_file"), MachineClock())
    try:
        return send_request(uplink, raw, said.token)
    finally:
        uplink.close()


def _give(bench: Bench, said: Namespace, body: bytes, key_id: bytes) -> None:
    """As a file, as codes on this screen, or both."""
    if said.out is not None:
        _write_once(said.out, body)
        bench.say("provision.file", file=said.out)
    if said.codes:
        _show(bench, split_answer(body, key_id))


def _write_once(file: Path, data: bytes) -> None:
    """The same command wrote it already, before the power went? Then it is left as it is. Raises FileTaken: another
    file is there; FileUnusable."""
    if not (file.is_file() and file.stat().st_size == len(data) and read_named(file, len(data)) == data):
        write_named(file, data)


def _show(bench: Bench, texts: list[str], wait: Callable[[str], str] = input) -> None:
    """One code after the other; Enter shows the next."""
    from offline_ledger.qr_picture import qr_blocks

    for at, text in enumerate(texts, 1):
        bench.print(qr_blocks(text))
        wait(bench.texts.get("flash.provision.code", number=at, count=len(texts)) + " ")


def _run(bench: Bench, via: str, way: str, given: bytes) -> str:
    """What the device's program says, in the bench's language where it refuses. Raises DeviceUnreached,
    DeviceSettingsWrong, DeviceNotNow, DeviceSaidNo, DeviceProgramOther: it ended otherwise than well."""
    words = ("--language", bench.texts.language, "enrol", way, "-")
    try:
        done = subprocess.run((*shlex.split(via), *words), input=given, capture_output=True, timeout=DEVICE_S_MAX)
    except subprocess.TimeoutExpired as error:
        raise DeviceNotNow(f"no answer within {DEVICE_S_MAX} s") from error
    except (OSError, ValueError) as error:
        raise DeviceUnreached(f"{via}: {getattr(error, 'strerror', None) or error}") from error
    if done.returncode:
        raise _why(done.returncode, done.stderr.decode(errors="replace").strip())
    return done.stdout.decode(errors="replace")


def _why(code: int, told: str) -> Refusal:
    """Why the device's program ended otherwise than well. Its refusals begin with a number; before one it may tell
    other things."""
    lines = [line.strip() for line in told.splitlines()]
    if code == EXIT_WRONG:
        return DeviceSettingsWrong("; ".join(lines)[:TOLD_CHARACTERS_MAX] or f"exit code {code}")
    ours = next((at for at, line in enumerate(lines) if _NUMBERED.match(line)), None)
    if ours is None:
        shown = (lines[-1] if lines else f"exit code {code}")[: provisioning.SHOWN_CHARACTERS_MAX]
        return DeviceUnreached(shown) if code in NOT_RUN else DeviceProgramOther(shown)
    shown = " ".join(lines[ours:])[:TOLD_CHARACTERS_MAX]
    return DeviceNotNow(shown) if code == EXIT_LATER else DeviceSaidNo(shown)


def _last_line(said: str) -> str:
    """What a program said at its end; before it a login may greet."""
    return (said.strip().splitlines() or [""])[-1].strip()

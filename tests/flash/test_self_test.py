"""`kgo-flash test`: a head on the bench with a technician, and a terminal's report that must be its own."""

import io
import json
import os
import time
from argparse import Namespace
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TextIO

import pytest
from rich.console import Console

from firmware.flash.bench import Bench
from firmware.flash.bench_settings import read_bench_settings
from firmware.flash.cli_test import run_head, run_report
from firmware.flash.record import DONE, Record
from firmware.flash.record import FAILED as FAILED_JOB
from firmware.flash.record_reading import Job, jobs
from offline_ledger.errors import (
    BuzzerWrong,
    CableNoisy,
    DeviceCertificateInvalid,
    FileUnusable,
    ReportInPart,
    ReportOfAnother,
    ReportOlder,
    ReportTaken,
    ReportUnfit,
    TrustChainBroken,
)
from offline_ledger.protocol import cose
from offline_ledger.protocol.kinds import Kind
from offline_ledger.terminal.selftest.plan import Result, Step, Verdict
from offline_ledger.terminal.selftest.report import REPORT_BYTES_MAX, Head, check_report, report_of, signed_report
from offline_ledger.terminal.signers.key_file import KeySigner, make_key_file
from offline_ledger.terminal.trust import TrustStore
from offline_ledger.texts import Texts
from simulators.head.device import SimulatedHead
from simulators.keys import SimulatedKey
from simulators.technician import Technician
from tests.terminal.city_in_test import CITY, certificate, trust_list
from tests.terminal.selftest.bus_bench import QUICK

DEVICE = "bus-7"
PASSED = Result(Step("disk", "room"), Verdict.PASSED, facts={"free_mb": 900, "share": 0.5, "bytes": b"\1"})
FAILED = Result(Step("head", "buzzer"), Verdict.FAILED, refusal=BuzzerWrong("head.buzzer"))


def bench_in(folder: Path, out: TextIO | None = None) -> Bench:
    settings = folder / "bench.toml"
    settings.write_text('[bench]\ntechnician = "Malee"\nrecord = "bench.db"\n')
    console = Console(file=out or io.StringIO(), width=200)
    return Bench(Texts("en"), console, read_bench_settings(settings, "en"), lambda: int(time.time()))


def only_job(folder: Path) -> Job:
    record = Record.open(folder / "bench.db")
    try:
        (job,) = jobs(record)
    finally:
        record.close()
    return job


# --- a head


def after_test(folder: Path, head: SimulatedHead, *, alone: bool = False) -> tuple[int, Job]:
    """The command in this process, its lines read by a technician."""
    lines, out = os.pipe()
    keys, typed = os.pipe()
    technician = Technician(lines, typed, head)
    given = Namespace(port=str(head.port), alone=alone)
    try:
        with os.fdopen(out, "w", encoding="utf-8") as console:
            code = run_head(bench_in(folder, console), given, QUICK, keys)
    finally:
        technician.join()
        for end in (lines, keys, typed):
            os.close(end)
    return code, only_job(folder)


@pytest.fixture
def head(tmp_path: Path) -> Iterator[SimulatedHead]:
    with SimulatedHead(tmp_path / "head") as simulated:
        yield simulated


def test_a_sound_head_is_recorded_step_by_step(tmp_path: Path, head: SimulatedHead) -> None:
    code, job = after_test(tmp_path, head)
    assert code == 0 and job.outcome == DONE and job.subject == "e660583883000001"
    assert job.verified("result") == "passed" and job.verified("firmware_version")
    names = [step.name for step in job.steps]
    assert names[:3] == ["head.cable", "head.link", "head.state"] and names[-1] == "head_scanner.reads"
    assert {"head.ring_accepted", "head.green", "head.buzzer"} <= set(names)


def test_alone_and_on_a_bad_cable(tmp_path: Path, head: SimulatedHead) -> None:
    head.set_noise(1_500)
    code, job = after_test(tmp_path, head, alone=True)
    assert code == 1 and job.refusal_number == CableNoisy.number
    assert job.verified("result") == "parts: failed"


# --- a report


@pytest.fixture
def signer(tmp_path: Path) -> KeySigner:
    return make_key_file(tmp_path / "device.key")


def made_report(
    signer: KeySigner,
    *results: Result,
    only: tuple[str, ...] = (),
    at_s: int | None = None,
    spoil: Callable[[dict[str, Any]], object] = lambda _report: None,
) -> dict[str, Any]:
    """`spoil`: by a device whose program writes reports otherwise, and signs them."""
    tested_s = int(time.time()) if at_s is None else at_s
    head = Head(DEVICE, CITY, "kgo-bus", "Somchai", tested_s, only, False, {"program": "kgo-bus 0.1.0"}, {})
    report = report_of(head, results)
    spoil(report)

    def sign(kind: Kind, payload: bytes) -> bytes:
        return cose.sign1(payload, cose.external_aad(kind, CITY), cose.key_id_of(signer.point), signer.sign).raw

    return signed_report(report, sign, certificate(signer.point, DEVICE))


def taken(folder: Path, report: dict[str, Any] | bytes, **more: Any) -> int:
    file = folder / "report.json"
    file.write_bytes(report if isinstance(report, bytes) else json.dumps(report, indent=2).encode())
    given: dict[str, Any] = {"file": file, "device": None, "trust_list": None} | more
    return run_report(bench_in(folder), Namespace(**given))


def seen(folder: Path, key_id: bytes, device: str = DEVICE) -> None:
    """This bench saw the key made."""
    record = Record.open(folder / "bench.db")
    job = record.begin("provision", device, {}, "Malee", 1)
    record.end(job, DONE, {"device_id": device, "key_fingerprint": key_id.hex()}, 2)
    record.close()


def last_job(folder: Path) -> Job:
    record = Record.open(folder / "bench.db")
    try:
        return jobs(record)[-1]
    finally:
        record.close()


def test_a_report_of_a_device_that_this_bench_provisioned(tmp_path: Path, signer: KeySigner) -> None:
    seen(tmp_path, cose.key_id_of(signer.point))
    assert taken(tmp_path, made_report(signer, PASSED), device=DEVICE) == 0
    job = last_job(tmp_path)
    assert (job.what, job.subject, job.outcome, job.who) == ("self-test", DEVICE, DONE, "Somchai")
    assert job.verified("result") == "passed" and not job.differences


def test_a_test_counts_once_and_when_it_was_done(tmp_path: Path, signer: KeySigner) -> None:
    """A file of last year says nothing about today, however often it is carried here."""
    seen(tmp_path, cose.key_id_of(signer.point))
    old = made_report(signer, PASSED, at_s=1_750_000_000)
    assert taken(tmp_path, old) == 0
    job = last_job(tmp_path)
    assert job.verified("tested_at") == "2025-06-15T22:06:40+07:00" and job.begun_s > 1_750_000_000
    with pytest.raises(ReportTaken, match=f"bus-7: job {job.number}"):
        taken(tmp_path, old)
    assert last_job(tmp_path).number == job.number, "nothing was recorded"
    assert taken(tmp_path, made_report(signer, PASSED, at_s=1_750_000_001)) == 0


def test_the_last_test_stays_the_last(tmp_path: Path, signer: KeySigner) -> None:
    """A pass from before a failure, carried here after it, does not make the device good."""
    seen(tmp_path, cose.key_id_of(signer.point))
    assert taken(tmp_path, made_report(signer, FAILED, at_s=1_750_000_000)) == 1
    job = last_job(tmp_path)
    with pytest.raises(ReportOlder, match=rf"bus-7: 2025-06-15T22:06:39\+07:00, job {job.number}: 2025-06-15T22:06:40"):
        taken(tmp_path, made_report(signer, PASSED, at_s=1_749_999_999))
    assert last_job(tmp_path).number == job.number, "nothing was recorded"
    assert taken(tmp_path, made_report(signer, PASSED, at_s=1_750_000_000)) == 0, "two in one second"


@pytest.mark.parametrize(("ahead_s", "is_believed"), [(30, True), (3_600, False)])
def test_a_time_that_had_not_come_yet_is_no_last_test(
    tmp_path: Path, signer: KeySigner, ahead_s: int, is_believed: bool
) -> None:
    """A device whose clock was years ahead is tested again when it is mended, and is not refused until then."""
    seen(tmp_path, cose.key_id_of(signer.point))
    now_s = int(time.time())
    assert taken(tmp_path, made_report(signer, FAILED, at_s=now_s + ahead_s)) == 1
    if is_believed:
        with pytest.raises(ReportOlder):
            taken(tmp_path, made_report(signer, PASSED, at_s=now_s))
    else:
        assert taken(tmp_path, made_report(signer, PASSED, at_s=now_s)) == 0


@pytest.mark.parametrize(
    "wrong",
    [
        *({"who": None}, {"who": 7}, {"versions": None}, {"versions": []}, {"versions": {"program": 1}}),
        *({"hashes": None}, {"hashes": "x"}, {"hashes": {"settings_sha256": []}}, {"is_whole": None}),
        *({"is_whole": "yes"}, {"at_s": 253_402_300_000}),
        *({"steps": [{"step": "x", "verdict": "failed", "refusal": one}]} for one in (2**63, 0, -1, True, "7336")),
    ],
)
def test_a_signed_report_of_another_shape(tmp_path: Path, signer: KeySigner, wrong: dict[str, Any]) -> None:
    """None: it is not there at all."""
    seen(tmp_path, cose.key_id_of(signer.point))
    (name,) = wrong

    def spoil(report: dict[str, Any]) -> None:
        report.pop(name)
        report.update({key: value for key, value in wrong.items() if value is not None})

    made = made_report(signer, PASSED, spoil=spoil)
    with pytest.raises(ReportUnfit):
        taken(tmp_path, made)


def test_a_failure_and_a_part_alone_are_no_pass(tmp_path: Path, signer: KeySigner) -> None:
    seen(tmp_path, cose.key_id_of(signer.point))
    assert taken(tmp_path, made_report(signer, PASSED, FAILED)) == 1
    assert last_job(tmp_path).refusal_number == BuzzerWrong.number
    with pytest.raises(ReportInPart):
        taken(tmp_path, made_report(signer, PASSED, only=("disk",)))
    job = last_job(tmp_path)
    assert (job.outcome, job.refusal_number) == (FAILED_JOB, ReportInPart.number)
    assert job.verified("result") == "parts: passed"


def test_a_key_that_nobody_vouches_for(tmp_path: Path, signer: KeySigner) -> None:
    report = made_report(signer, PASSED)
    with pytest.raises(ReportOfAnother, match="name --trust-list"):
        taken(tmp_path, report)
    trusted = tmp_path / "trust.list"
    raw, _ = trust_list()
    TrustStore.provision(trusted, CITY, [raw])
    assert taken(tmp_path, report, trust_list=trusted) == 0
    for bad, refusal in ((b"", TrustChainBroken), (b"\xd2 no list", TrustChainBroken), (None, FileUnusable)):
        spoilt = tmp_path / "spoilt.list"
        spoilt.unlink(missing_ok=True) if bad is None else spoilt.write_bytes(bad)
        with pytest.raises(refusal):
            taken(tmp_path, report, trust_list=spoilt)
    with pytest.raises(FileUnusable, match="directory"):
        taken(tmp_path, report, trust_list=tmp_path)
    stranger = made_report(signer, PASSED)
    stranger["certificate"] = certificate(signer.point, DEVICE, key=SimulatedKey(0x666)).hex()
    with pytest.raises(DeviceCertificateInvalid):
        taken(tmp_path, stranger, trust_list=trusted)


def test_a_report_of_another_device_or_key(tmp_path: Path, signer: KeySigner) -> None:
    seen(tmp_path, bytes(8))
    with pytest.raises(ReportOfAnother, match="the record has"):
        taken(tmp_path, made_report(signer, PASSED))
    with pytest.raises(ReportOfAnother, match="was named"):
        taken(tmp_path, made_report(signer, PASSED), device="bus-8")
    record = Record.open(tmp_path / "bench.db")
    record.end(record.begin("provision", DEVICE, {}, "Malee", 3), DONE, {"city": "TH-41"}, 4)
    record.end(
        record.begin("provision", DEVICE, {}, "Malee", 5),
        DONE,
        {"key_fingerprint": cose.key_id_of(signer.point).hex()},
        6,
    )
    record.close()
    with pytest.raises(ReportOfAnother, match=f"city {CITY}, the record has TH-41"):
        taken(tmp_path, made_report(signer, PASSED))
    mixed = made_report(signer, PASSED)
    mixed["certificate"] = certificate(signer.point, "bus-8").hex()
    with pytest.raises(ReportOfAnother, match="signed by bus-8"):
        taken(tmp_path, mixed)


def test_whatever_is_changed_it_is_no_report(tmp_path: Path, signer: KeySigner) -> None:
    whole = made_report(signer, PASSED, FAILED)
    better: dict[str, Any] = json.loads(json.dumps(whole))
    better["report"]["steps"][1]["verdict"] = "passed"
    better["report"]["verdict"] = "passed"
    renamed: dict[str, Any] = json.loads(json.dumps(whole))
    renamed["report"]["who"] = "Nobody"
    other = make_key_file(tmp_path / "other.key")
    swapped = whole | {"certificate": certificate(other.point, DEVICE).hex()}
    for spoilt in (
        *(better, renamed, swapped, whole | {"signature": ""}, whole | {"signature": "zz"}, whole | {"report": []}),
        *(
            whole | {"report": whole["report"] | {"who": "\ud800"}},
            whole | {"report": whole["report"] | {"city": "\udfff"}},
        ),
        *({}, [], b"", b"{", b'{"report": {}}', b"[" * 100_000, b" " * (REPORT_BYTES_MAX + 1)),
    ):
        with pytest.raises(ReportUnfit):
            taken(tmp_path, spoilt)  # type: ignore[arg-type]
    assert not (tmp_path / "bench.db").exists(), "nothing was recorded"
    with pytest.raises(FileUnusable):
        run_report(bench_in(tmp_path), Namespace(file=tmp_path / "none.json", device=None, trust_list=None))


def test_a_report_survives_another_programs_json(signer: KeySigner) -> None:
    """Other spaces, other order, escaped letters: the canonical bytes are the same."""
    made = made_report(signer, PASSED, FAILED)
    again = json.dumps(made, ensure_ascii=True, sort_keys=True, indent=7).encode()
    assert check_report(again).failures() == [("head.buzzer", BuzzerWrong.number)]

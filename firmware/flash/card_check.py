"""What a first boot reported, read from the card into the record as verified. DESIGN §3, decision 0227.

Never takes a report's word for another device or another preparation: the report names the card that it was made with.
"""

import json
from collections.abc import Mapping
from typing import cast

from firmware.flash.bench import OK, Bench
from firmware.flash.card import ANSWER_NAME, CARD_NAME, REPORT_NAME, REQUEST_NAME, described, report_of
from firmware.flash.card_files import card_errors, sha256_of
from firmware.flash.card_layout import Card
from firmware.flash.record import DONE, FAILED, Record
from offline_ledger.errors import (
    CardNotPrepared,
    CardNotStarted,
    CardReportWrong,
    FirstBootDiskFull,
    FirstBootEnrolmentRefused,
    FirstBootFilesWrong,
    FirstBootInstallFailed,
    FirstBootMachineWrong,
    FirstBootNoCity,
    FirstBootSettingsRefused,
    FirstBootStepFailed,
    FirstBootSystemPackages,
    FirstBootWaits,
    Refusal,
)
from offline_ledger.seen_text import shown

JOB = "provision"
FORMAT = 1
FIRST_BOOT_REFUSALS: tuple[type[Refusal], ...] = (
    FirstBootFilesWrong,
    FirstBootMachineWrong,
    FirstBootSystemPackages,
    FirstBootInstallFailed,
    FirstBootSettingsRefused,
    FirstBootNoCity,
    FirstBootEnrolmentRefused,
    FirstBootWaits,
    FirstBootDiskFull,
    FirstBootStepFailed,
)
"""What a report can say; the program of the first boot knows them by number."""
_KNOWN = ("version", "settings_sha256", "key_fingerprint", "certificate_sha256", "trust_list_version", "result")
VALUE_CHARACTERS_MAX = 200
_OF_MACHINE = ("serial", "model")


def check_report(bench: Bench, card: Card) -> int:
    """Shows and records it. Raises CardNotPrepared, CardNotStarted, CardReportWrong, and what the first boot was
    refused (`FIRST_BOOT_REFUSALS`)."""
    said = described(card)
    if not said:
        raise CardNotPrepared(str(card.kgo / CARD_NAME))
    report = _report(card, said)
    device, role = str(said.get("device", "")), str(said.get("role", ""))
    refusal = _refusal_of(report)
    verified = _verified(report) | {"device_id": device, "role": role}
    record = Record.open(bench.settings.path("bench.record"))
    try:
        intended = {"device_id": device, "role": role, "version": str(said.get("version", ""))}
        job = record.begin(JOB, device, intended, bench.settings.text("bench.technician"), bench.now_s())
        outcome, number = (DONE, 0) if refusal is None else (FAILED, refusal.number)
        record.end(job, outcome, verified, bench.now_s(), number)
    finally:
        record.close()
    for key, value in verified.items():
        bench.print(f"  {key}: {value}")
    if isinstance(refusal, FirstBootWaits):
        bench.say("card.carry", request=card.kgo / REQUEST_NAME, answer=card.kgo / ANSWER_NAME, device=device)
    if refusal is not None:
        raise refusal
    bench.say("card.in_service", device=device, job=job)
    return OK


def _report(card: Card, said: Mapping[str, object]) -> Mapping[str, object]:
    report = report_of(card)
    if not report:
        with card_errors(card.kgo):
            if (card.kgo / REPORT_NAME).exists():
                raise CardReportWrong("it cannot be read")
        raise CardNotStarted(str(card.kgo / REPORT_NAME))
    if report.get("format") != FORMAT or report.get("device") != said.get("device"):
        raise CardReportWrong(f"of {report.get('device')}, format {report.get('format')}")
    with card_errors(card.kgo):
        if report.get("card_sha256") != sha256_of(card.kgo / CARD_NAME):
            raise CardReportWrong("of an earlier preparation of this card")
    return report


def _verified(report: Mapping[str, object]) -> dict[str, str]:
    found = {key: _plain(report[key]) for key in _KNOWN if report.get(key)}
    machine = report.get("machine")
    if isinstance(machine, dict):
        facts = cast(Mapping[str, object], machine)
        found |= {key: _plain(facts[key]) for key in _OF_MACHINE if facts.get(key)}
        macs = facts.get("macs")
        if isinstance(macs, dict) and macs:
            found["mac"] = json.dumps(macs, sort_keys=True) if len(macs) > 1 else _plain(next(iter(macs.values())))
    return found


def _plain(value: object) -> str:
    """One line for the screen and the record, whatever somebody wrote onto the card."""
    return shown(str(value)).replace("\n", " ")[:VALUE_CHARACTERS_MAX]


def _refusal_of(report: Mapping[str, object]) -> Refusal | None:
    """What the report says went wrong. Raises CardReportWrong for a number that is none of the first boot's."""
    number, result = report.get("refusal"), report.get("result")
    if number == 0 and result == "done":
        return None
    for kind in FIRST_BOOT_REFUSALS:
        if kind.number == number:
            return kind(str(report.get("detail", "")))
    raise CardReportWrong(f"{result}, {number}")

"""`kgo-city audit`: replays everything and says what it found. DESIGN §8. Never writes."""

from argparse import Namespace
from pathlib import Path

from offline_ledger.city import audit as auditing
from offline_ledger.city import audit_findings, recover
from offline_ledger.city.audit import AuditReport
from offline_ledger.city.audit_findings import Finding, Findings, Place
from offline_ledger.city.audit_links import check_kept_mark
from offline_ledger.city.console import OK, REFUSED, Console
from offline_ledger.city.log import Log, read_mark
from offline_ledger.city.store import Store
from offline_ledger.errors import RecoveryNeeded, Refusal
from offline_ledger.money import format_minor


def audit(console: Console, said: Namespace) -> int:
    """Exit code 1 on findings against the ledger; a device's bad signature alone is none."""
    with console.store() as store:
        report = auditing.audit(store)
        outside = _outside(store, console.city.checkpoint)
        begun = Log(store).begun_after()
        gaps = store.fetch("SELECT device, first, last FROM event_gaps ORDER BY device, first")
    findings = [*report.findings, *outside]
    count, is_ok = report.count + len(outside), report.is_ok and not outside
    if said.json:
        rows = [_as_map(console, finding) for finding in findings]
        lost = [{"device": device_id, "first": first, "last": last} for device_id, first, last in gaps]
        known = {"audit_ok": is_ok, "findings_count": count, "findings": rows, "events_lost": lost}
        console.json({**known, **_numbers(report)})
        return OK if is_ok else REFUSED
    counts = {"vouchers": report.vouchers, "signatures": report.signatures, "entries": report.entries}
    console.say(console.text("audit.counts", **counts, leaves=report.leaves))
    kgo, thb = format_minor(report.kgo_sum), format_minor(report.satang_sum)
    console.say(console.text("audit.sums", kgo=kgo, thb=thb))
    console.say(console.text("audit.linked", posting=report.mark.posting_id, link=report.mark.link.hex()))
    if findings:
        texts = console.texts
        rows_said = [
            (
                audit_findings.place_of(texts, finding),
                audit_findings.text_of(texts, finding),
                console.text("yes" if finding.is_device_fault else "no"),
            )
            for finding in findings
        ]
        console.table(["audit.where", "audit.what", "audit.fault"], rows_said)
        if count > len(findings):
            console.say(console.text("audit.more", shown=len(findings), count=count))
    for device_id, first, last in gaps:
        console.say(console.text("audit.events_lost", device=device_id, first=first, last=last))
    if begun is not None:
        console.say(console.text("recover.begun", size=begun.size))
    console.say(console.text("audit.ok") if is_ok else console.text("audit.bad", count=count))
    return OK if is_ok else REFUSED


def _as_map(console: Console, finding: Finding) -> dict[str, object]:
    return {
        "what": finding.what,
        "kind": finding.where.kind,
        "where": finding.where.name,
        "values": dict(finding.values),
        "refusal": finding.refusal.number if finding.refusal is not None else 0,
        "is_device_fault": finding.is_device_fault,
        "text": audit_findings.text_of(console.texts, finding),
    }


def _numbers(report: AuditReport) -> dict[str, object]:
    return {
        "vouchers": report.vouchers,
        "signatures": report.signatures,
        "entries": report.entries,
        "leaves": report.leaves,
        "log_root": report.log_root.hex(),
        "linked_through": report.mark.posting_id,
        "link": report.mark.link.hex(),
        "kgo_sum": report.kgo_sum,
        "thb_sum": report.satang_sum,
    }


def _outside(store: Store, checkpoint: Path) -> list[Finding]:
    """The log's checkpoint and the newest link of postings, as kept outside the database, must be in it."""
    found = Findings()
    try:
        recover.check_may_sign(store, checkpoint)
    except RecoveryNeeded as refusal:
        found.add("checkpoint", Place("log", str(checkpoint)), refusal=RecoveryNeeded, detail=refusal.detail)
    except audit_findings.DAMAGED as error:
        refused = type(error) if isinstance(error, Refusal) else None
        found.add("row_damaged", Place("log", str(checkpoint)), refusal=refused)
    with found.unharmed(Place("log", str(checkpoint))):
        kept = read_mark(checkpoint)
        if kept is not None:
            check_kept_mark(store, kept, found)
    return found.kept

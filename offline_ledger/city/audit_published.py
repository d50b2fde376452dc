"""The audit of what was published: no number left out, deny lists and revocations as signed. DESIGN §8.

Signatures of bulletins and trust lists are `audit_papers`. Deny lists are summed as they are read; one row at a time.
"""

from collections.abc import Iterator, Mapping
from hashlib import sha256
from itertools import groupby

from offline_ledger.city import trust
from offline_ledger.city.accounts import Reason
from offline_ledger.city.audit_findings import DAMAGED, Findings, Place, voucher_at
from offline_ledger.city.store import Store
from offline_ledger.protocol import city, cose
from offline_ledger.protocol.city import BulletinKind
from offline_ledger.protocol.deny_list import decode_ids
from offline_ledger.protocol.kinds import CITY_OBJECT_BYTES_MAX, Kind


def check_published(store: Store, findings: Findings) -> None:
    """Within one snapshot."""
    rows = store.stream("SELECT kind, trust_version, counter FROM bulletins ORDER BY kind, trust_version, counter")
    for kind, versions in groupby(rows, key=lambda row: row[0]):
        counters = ((version, counter) for _kind, version, counter in versions)
        _check_counters(store, findings, kind, counters)
    _check_deny_lists(store, findings)
    _check_revocations(store, findings)
    _check_days(store, findings)


def _check_counters(store: Store, findings: Findings, kind: int, counters: Iterator[tuple[int, int]]) -> None:
    """Each kind counts from 1 without a gap, but for numbers that a restore left out; old deny lists are dropped."""
    floor = store.setting(f"bulletin.counter_floor.{kind}")
    skipped = int(floor) if floor is not None else 0
    last = None if kind == BulletinKind.DENY_LIST else 0
    for version, counter in counters:
        is_skip = last is not None and last < counter - 1 and counter <= skipped + 1
        if last is not None and counter != last + 1 and not is_skip:
            findings.add("bulletin_gap", Place("bulletin", f"{kind}.{version}.{counter}"), before=last)
        last = counter


def _check_deny_lists(store: Store, findings: Findings) -> None:
    for counter, full_list, ids, as_of_s, raw in store.stream(
        "SELECT d.counter, d.full_list, d.ids, d.as_of_s, (SELECT b.raw FROM bulletins b WHERE b.kind = ?"
        " AND b.counter = d.counter) FROM deny_lists d ORDER BY d.counter",
        (BulletinKind.DENY_LIST,),
    ):
        where = Place("bulletin", f"{BulletinKind.DENY_LIST:d}.{counter}")
        with findings.unharmed(where):
            total, count = sha256(), 0
            for one in decode_ids(full_list):
                total.update(one)
                count += 1
            body = _body(store, raw)
            if (
                body is None
                or (body.get(1), body.get(2), body.get(3)) != (total.digest(), count, as_of_s)
                or ids != count
            ):
                findings.add("deny_list_wrong", where)
    for (counter,) in store.stream(
        "SELECT counter FROM bulletins b WHERE kind = ? AND NOT EXISTS"
        "(SELECT 1 FROM deny_lists d WHERE d.counter = b.counter)",
        (BulletinKind.DENY_LIST,),
    ):
        findings.add("deny_list_wrong", Place("bulletin", f"{BulletinKind.DENY_LIST:d}.{counter}"))


def _body(store: Store, raw: bytes | None) -> Mapping[int, object] | None:
    if raw is None:
        return None
    signed = cose.parse_sign1(raw, cose.external_aad(Kind.BULLETIN, store.city), CITY_OBJECT_BYTES_MAX)
    return city.BULLETIN.decode(signed.payload, CITY_OBJECT_BYTES_MAX).body


def _check_revocations(store: Store, findings: Findings) -> None:
    """A device's last accepted sequence is what the roots signed last, whenever it was enrolled."""
    revoked: dict[str, int] = {}
    for (raw,) in store.stream("SELECT raw FROM trust_lists ORDER BY version"):
        try:
            found = trust.read_list(raw, store.city).trust_list
        except DAMAGED:  # a finding of its own: `audit_papers`
            continue
        revoked.update(found.revoked_after())
    for device, revoked_after in store.stream("SELECT device, revoked_after FROM devices ORDER BY device"):
        sequence = revoked.get(device)
        if revoked_after != sequence:
            noted, expected = ("-" if one is None else one for one in (revoked_after, sequence))
            findings.add("revocation_wrong", Place("device", str(device)), noted=noted, expected=expected)


def _check_days(store: Store, findings: Findings) -> None:
    """What day close gave back belongs to a day that is closed, once a later run has ended."""
    through = store.setting("day_close.through_posting")
    for device, sequence in store.stream(
        "SELECT r.device, r.sequence FROM rebates r WHERE NOT EXISTS(SELECT 1 FROM closed_days c WHERE c.day = r.day)"
        " AND EXISTS(SELECT 1 FROM postings p WHERE p.device = r.device AND p.sequence = r.sequence AND p.reason = ?"
        " AND (p.posting_id <= ? OR NOT EXISTS(SELECT 1 FROM closed_days)))",
        (Reason.REBATE, int(through) if through is not None else 0),
    ):
        if through is not None:
            findings.add("day_not_closed", voucher_at(device, sequence))

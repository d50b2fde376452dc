"""What `diagnose` tells of a running terminal: each part, well or with its trouble and remedy, and its figures.

Put together on the deciding thread from what is known already: it opens nothing, waits for nothing and changes nothing.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, cast

from offline_ledger.errors import Refusal
from offline_ledger.protocol.city import BulletinKind
from offline_ledger.terminal.program import VERSION, Opened
from offline_ledger.terminal.status import SyncStatus

PART_OF_TROUBLE = {
    "sync": "link",
    "deny_list_in_use": "deny_list",
    "deny_list_changes": "deny_list",
    "device": "readers",
    "second_head": "head",
}
"""Troubles whose part has another name; every other trouble is a part of its own name."""


class Part(NamedTuple):
    """One part. `facts`: figures and states as a technician reads them; `refusals`: what is wrong, none: well."""

    name: str
    facts: Mapping[str, object]
    refusals: Sequence[Refusal] = ()


def parts_of(
    opened: Opened, standing: Sequence[tuple[str, Refusal]], status: SyncStatus | None, more: Sequence[Part]
) -> list[Part]:
    """All parts, in the order in which a technician looks; `more`: the program's own, its devices among them."""
    found = [_program(opened), _journal(opened), _link(status, opened), _clock(opened), *_city_data(opened), *more]
    troubles: dict[str, list[Refusal]] = {}
    for what, refusal in standing:
        troubles.setdefault(PART_OF_TROUBLE.get(what, what), []).append(refusal)
    named = [part._replace(refusals=(*part.refusals, *troubles.pop(part.name, []))) for part in found]
    return named + [Part(name, {}, tuple(refusals)) for name, refusals in troubles.items()]


def device_part(name: str, health: object) -> Part:
    """A driver's `health()`, a value with named fields."""
    fields = cast(tuple[str, ...], getattr(health, "_fields", ())) or tuple(getattr(health, "__dataclass_fields__", ()))
    return Part(name, {field: _plain(getattr(health, field)) for field in fields})


def _plain(value: object) -> object:
    """As JSON has it: a value within a value as its own fields, a row as a list."""
    fields = cast(tuple[str, ...], getattr(value, "_fields", ()))
    if fields:
        return {field: _plain(getattr(value, field)) for field in fields}
    if isinstance(value, tuple | list):
        return [_plain(one) for one in cast(Sequence[object], value)]
    if isinstance(value, bytes):
        return value.hex()
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def _program(opened: Opened) -> Part:
    certificate = opened.station.certificate
    facts = {
        "version": VERSION,
        "device": certificate.device,
        "city": certificate.city,
        "owner": certificate.owner,
        "certificate_until_s": certificate.expires_at_s,
        "process": os.getpid(),
        "memory_kb": _memory_kb(),
    }
    return Part("program", facts)


def _memory_kb() -> int | None:
    """What the process holds in memory; None where the system does not say."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) for line in lines if line.startswith("VmRSS:")), None)


def _journal(opened: Opened) -> Part:
    journal = opened.station.journal
    tail = journal.tail
    facts = {
        "sequence": tail.sequence,
        "acknowledged": tail.acked_sequence,
        "unacknowledged_kgo": tail.accepted_value_kgo_unacked,
        "unratified": len(opened.station.acceptor.unratified.sequences()),
        "disk_free_mb": _free_mb(opened.folder / opened.text("files.journal")),
    }
    return Part("journal", facts)


def _free_mb(path: Path) -> int | None:
    try:
        found = os.statvfs(path.parent)
    except OSError:
        return None
    return found.f_bavail * found.f_frsize // 1_000_000


def _link(status: SyncStatus | None, opened: Opened) -> Part:
    if status is None:
        return Part("link", {"loaded": False})
    now_s = opened.station.keeper.time().at_s
    facts = {
        "badge": status.badge.value,
        "waiting": status.pending_count,
        "oldest_age_s": status.oldest_pending_age_s(now_s),
        "synced_age_s": status.synced_age_s(now_s),
        "failures": status.failures,
        "rejected": len(status.rejected),
        "rejected_newest": list(status.rejected_newest),
        "url": opened.text("city.url"),
    }
    return Part("link", facts)


def _clock(opened: Opened) -> Part:
    at = opened.station.keeper.time()
    floor_s = opened.station.keeper.floor_s
    facts = {"at_s": at.at_s, "trust": at.trust.name.lower(), "error_ms": at.error_ms, "floor_at_s": floor_s}
    return Part("clock", facts)


def _city_data(opened: Opened) -> list[Part]:
    station = opened.station
    tariff = station.bulletin(BulletinKind.TARIFF)
    held: dict[str, object] = {
        "trust_list": station.trust.version,
        "tariff": None if tariff is None else list(tariff.version),
    }
    return [Part("city_data", held), Part("deny_list", {"counter": station.deny.counter})]

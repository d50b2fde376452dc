"""Bytes that rot: whatever stored blob is damaged, the audit lists a finding and goes on to its end. DESIGN §8."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest

from offline_ledger.city.audit import AuditReport, audit
from offline_ledger.city.store import SqlValue, Store
from tests.city.test_audit import busy
from tests.city_service.desk import found, run

UNCHECKED = {
    ("settings", "value"),
    ("devices", "state"),
    ("wallets", "account_point"),
    ("wallet_nonces", "account_point"),
    ("wallet_nonces", "nonce"),
    ("wallet_nonces", "answer"),
    ("enrolment_tokens", "token_hash"),
    ("requests", "request_hash"),
    ("coupons", "coupon_id"),
    ("equivocations", "pair"),
    ("denied", "pass_id"),
    ("deny_lists", "full_list"),
    ("reviewed", "identity"),
    ("invitations", "code_hash"),
    ("invitations", "account_point"),
    ("fork_vouchers", "objects"),
    ("equivocations", "context"),
}
"""Nobody signed these, and nothing else is reckoned from them: damage is not seen, but never ends the audit.
A proof's context is checked as far as the proof needs it; what a released fork spent is noted under a name with `~`."""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    town = busy(tmp_path_factory.mktemp("damage"))
    yield town.store
    town.store.close()


def blob_columns(store: Store) -> list[tuple[str, str]]:
    tables = [row[0] for row in store.fetch("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")]
    return [
        (table, row[1])
        for table in tables
        for row in store.fetch(f"PRAGMA table_info({table})")
        if row[2].upper() == "BLOB"
    ]


def key_columns(store: Store, table: str) -> list[str]:
    return [row[1] for row in store.fetch(f"PRAGMA table_info({table})") if row[5]]


def audited_with(store: Store, place: tuple[str, str], names: list[str], row: tuple[SqlValue, ...], to: bytes):
    """The report while one blob of one row is something else."""
    table, column = place
    before, keys = row[0], row[1:]
    where = " AND ".join(f"{name} IS ?" for name in names)
    store.execute(f"UPDATE {table} SET {column} = ? WHERE {where}", (to, *keys))
    changed = tuple(to if name == column else key for name, key in zip(names, keys, strict=True))
    try:
        return audit(store)
    finally:
        store.execute(f"UPDATE {table} SET {column} = ? WHERE {where}", (before, *changed))


def damages(raw: bytes) -> Iterator[bytes]:
    for at in {0, 1, len(raw) // 3, len(raw) // 2, len(raw) - 1}:
        if 0 <= at < len(raw):
            yield raw[:at] + bytes((raw[at] ^ 0x5A,)) + raw[at + 1 :]
    yield raw[: len(raw) // 2]
    yield b""


def test_no_damaged_blob_ends_the_audit_and_none_that_was_signed_or_chained_is_overlooked(
    store: Store, rng: Random, slice_of: Callable[[int, int], int]
) -> None:
    assert audit(store).count == 0
    seen: set[tuple[str, str]] = set()
    overlooked: set[tuple[str, str]] = set()
    for table, column in blob_columns(store):
        names = key_columns(store, table)
        rows = store.fetch(f"SELECT {column}, {', '.join(names)} FROM {table} WHERE {column} IS NOT NULL LIMIT 8")
        for row in rng.sample(rows, min(len(rows), slice_of(8, 3))):
            if table == "spends" and "~" in str(row[1]):
                continue
            for damaged in damages(row[0]):
                if damaged == row[0]:
                    continue
                report: AuditReport = audited_with(store, (table, column), names, row, damaged)
                seen.add((table, column))
                if not report.count:
                    overlooked.add((table, column))
                assert report.vouchers >= 3 or not report.is_ok
    assert overlooked <= UNCHECKED, sorted(overlooked - UNCHECKED)
    assert {
        ("devices", "certificate"),
        ("devices", "point"),
        ("allowances", "raw"),
        ("allowances", "closing"),
        ("statements", "raw"),
        ("vouchers", "raw"),
        ("vouchers", "objects"),
        ("fork_vouchers", "raw"),
        ("events", "body"),
        ("batches", "head"),
        ("equivocations", "first"),
        ("equivocations", "second"),
        ("leaves", "data"),
        ("nodes", "hash"),
        ("trust_lists", "raw"),
        ("bulletins", "raw"),
    } <= seen - overlooked
    assert audit(store).count == 0, "all of it was put back"


def test_the_command_lists_damage_and_goes_on(tmp_path: Path) -> None:
    """As a person meets it: the table, the exit code 1, and no traceback."""
    folder = tmp_path / "city-test-only"
    found(folder)
    opened = Store.open(folder / "ledger.db")
    try:
        opened.execute("UPDATE trust_lists SET raw = substr(raw, 1, 40)")
        opened.execute("UPDATE bulletins SET raw = x'd2'")
    finally:
        opened.close()
    for language in ("th", "en"):
        done = run("audit", "--settings", str(folder / "city.toml"), "--language", language)
        assert done.returncode == 1 and "Traceback" not in done.stderr, done.stderr
        assert ("รายการกุญแจ 1" if language == "th" else "trust list 1") in done.stdout
    said = json.loads(run("audit", "--json", "--settings", str(folder / "city.toml")).stdout)
    assert {"trust_list_wrong", "bulletin_wrong"} <= {one["what"] for one in said["findings"]}

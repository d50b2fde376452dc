"""Keys, the trust list and certificates near their end are said 30 days before, in both languages. DESIGN §4."""

import contextlib
import json
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from offline_ledger.city import ending, trust
from offline_ledger.city.__main__ import _console
from offline_ledger.city.ending import Daily, Ending, endings
from offline_ledger.city.serving import keep_house
from offline_ledger.city.settings import read_city_settings
from offline_ledger.city.store import Store
from offline_ledger.city.trust import KEY_LIFE_S, LIST_LIFE_S, Changes
from offline_ledger.errors import StorageFailed
from offline_ledger.key_files import open_key_file
from offline_ledger.protocol.city import KeyRole
from offline_ledger.rules.limits import DAY_S
from offline_ledger.texts import Texts
from simulators.keys import SimulatedKey
from tests.city_service.desk import found, run, serving

CITY = "TH-40"
NOW_S = 1_795_000_000
ROOT_TEST_ONLY = SimulatedKey(0x5551)
POINTS = {role: SimulatedKey(0x5560 + role).point for role in KeyRole}


@pytest.fixture
def listed(store: Store) -> Store:
    made = trust.first_list(CITY, [ROOT_TEST_ONLY.point], 1, POINTS, NOW_S)
    trust.add_list(store, trust.sign_list(made, [ROOT_TEST_ONLY]))
    return store


def test_what_ends_is_named_from_thirty_days_before(listed: Store) -> None:
    ends_s = NOW_S + LIST_LIFE_S
    assert endings(listed, ends_s - ending.WARN_S - 1) == []
    assert endings(listed, ends_s - ending.WARN_S) == [Ending(None, ends_s)]
    held = trust.newest(listed)
    assert held is not None
    renewed_s = NOW_S + KEY_LIFE_S - 40 * DAY_S
    closing = Changes(closed=frozenset({POINTS[KeyRole.LOG]}))
    trust.add_list(listed, trust.sign_list(trust.next_list(held, closing, renewed_s), [ROOT_TEST_ONLY]))
    assert endings(listed, renewed_s) == [Ending(KeyRole.LOG, renewed_s)]
    assert {one.role for one in endings(listed, renewed_s + 10 * DAY_S)} == set(KeyRole)
    assert None not in {one.role for one in endings(listed, renewed_s + 10 * DAY_S)}, "the list was renewed"


@pytest.fixture
def old_city(tmp_path: Path) -> Iterator[Path]:
    """A real city whose trust list was signed so long ago that 20 days are left, and a device in its last days."""
    folder = tmp_path / "city-test-only"
    found(folder)
    from_s = int(time.time()) - LIST_LIFE_S + 20 * DAY_S
    opened = Store.open(folder / "ledger.db")
    held = trust.newest(opened)
    assert held is not None
    opened.close()
    made = held.trust_list._replace(issued_at_s=from_s, expires_at_s=from_s + LIST_LIFE_S)
    roots = [open_key_file(folder / "keys" / f"root-{at}.key") for at in (1, 2)]
    with contextlib.closing(sqlite3.connect(folder / "ledger.db")) as ledger, ledger:
        row = (trust.sign_list(made, roots), made.issued_at_s, made.expires_at_s)
        ledger.execute("UPDATE trust_lists SET raw = ?, issued_at_s = ?, expires_at_s = ?", row)
        for name, days in (("bus-old", 9), ("bus-due", 90), ("bus-past", -1), ("bus-new", 500)):
            ledger.execute(
                "INSERT INTO devices(device, role, owner, point, certificate, not_before_s, expires_at_s,"
                " offline_value_kgo, offline_hours, enrolled_at_s) VALUES(?, 2, 'bus', ?, x'00', 0, ?, 0, 24, 1)",
                (name, name.encode(), int(time.time()) + days * DAY_S - 1),  # a last day has begun
            )
    yield folder


def test_keys_fleet_and_serve_warn(old_city: Path) -> None:
    for language, what in (("th", "รายการกุญแจของราก"), ("en", "the roots' trust list")):
        for command in ("keys", "fleet"):
            words = (command, "--settings", str(old_city / "city.toml"), "--language", language)
            done = run(*words)
            assert done.returncode == 0 and "4093" in done.stderr and what in done.stderr, (command, done.stderr)
    table = run("fleet", "--settings", str(old_city / "city.toml"), "--language", "en").stdout
    old, due, past, new = (
        next(line for line in table.splitlines() if name in line).rstrip()
        for name in ("bus-old", "bus-due", "bus-past", "bus-new")
    )
    assert old.endswith(", 8 days left") and due.endswith(", 89 days left"), "whole days"
    assert past.endswith(", ended") and new.endswith("-")
    lines = json.loads(run("fleet", "--json", "--settings", str(old_city / "city.toml")).stdout)
    assert [line["device"] for line in lines if line["expires_at_s"] < time.time()] == ["bus-past"]
    with serving(old_city):
        pass
    assert "4093" in (old_city.parent / f"{old_city.name}.log").read_text("utf-8")


def test_serve_warns_again_each_day(old_city: Path) -> None:
    """The rounds of the running service, by its own clock: a day apart, whatever else is refused in between."""
    told: list[str] = []
    at_s = [int(time.time())]
    settings = read_city_settings(old_city / "city.toml", "th")
    console = replace(_console(Texts("th"), settings), warn=told.append, now_s=lambda: at_s[0])
    with console.store() as store:
        service = console.service(store)
        endings_said = Daily(console.now_s, lambda: console.warn_of_endings(store))
        counts: list[int] = []
        for step_s in (0, 60, DAY_S - 61, 1, 60, DAY_S, -3 * DAY_S, 60):
            at_s[0] += step_s
            keep_house(service, endings_said)
            counts.append(sum("4093" in line for line in told))
    assert counts == [1, 1, 1, 2, 2, 3, 4, 4]
    assert all("รายการกุญแจของราก" in line for line in told if "4093" in line)


def test_a_refused_round_still_warns(old_city: Path) -> None:
    told: list[str] = []
    settings = read_city_settings(old_city / "city.toml", "th")
    console = replace(_console(Texts("th"), settings), warn=told.append)
    with console.store() as store:
        service = console.service(store)
        with contextlib.closing(sqlite3.connect(settings.database)) as ledger, ledger:
            ledger.execute("DROP TABLE allowances")
        with pytest.raises(StorageFailed):
            [chore() for chore in service.chores]
        keep_house(service, Daily(console.now_s, lambda: console.warn_of_endings(store)))
    assert any("4093" in line for line in told)


def test_a_young_city_is_quiet(tmp_path: Path) -> None:
    found(tmp_path / "city-test-only")
    for command in ("keys", "fleet"):
        done = run(command, "--settings", str(tmp_path / "city-test-only" / "city.toml"))
        assert done.returncode == 0 and not done.stderr

"""The bus on the desk as a program: a scenario that holds, and one that does not.

Everything runs for real: city, validator, MicroPython head, PC/SC. Each run ends all that it started.
"""

import json
import socket
import subprocess
import sys
from pathlib import Path

import apsw

from simulators.bus_desk.figures import read_figures
from simulators.bus_desk.town import BUS
from simulators.demo.city import CITY

SECONDS_MAX = 120
"""A scenario waits its turn for the machine's one card service."""
SLICE = """
name = "slice"
seed = 11
size = "small"
{steps}
[expect]
boardings = 3
coupons = 1
annulled = 2
coins_satang = 200
kgo = 10000
refusals_min = 1
"""
STEPS = (
    ("ride Mali", "out_of_service", 1617),
    ("driver sign-on D-01 274905", "out_of_service", 0),
    ("driver route 8 0", "wait", 0),
    ("again Mali", "accepted_cash_due", 0),
    ("again Mali", "already_accepted", 0),
    ("card Kaew", "accepted_cash_due", 0),
    ("sync", "wait", 0),
    ("driver annul", "wait", 0),
    ("network cut", "wait", 0),
    ("coupon good", "accepted_cash_due", 0),
    ("coupon yesterday", "refused", 1801),
    ("drive", "wait", 0),
    ("kill_mid_tap Somchai", "any", 0),
    ("start", "wait", 0),
    ("again Somchai", "accepted_cash_due|already_accepted", 0),
    ("driver annul", "wait", 0),
    ("driver end-trip", "out_of_service", 0),
    ("network restore", "out_of_service", 0),
    ("sync", "out_of_service", 0),
)

TO_OPERATOR = "amount > 0 AND account_id = (SELECT account_id FROM accounts WHERE kind = 4 AND currency = 1)"
LAST_POSTING = "posting_id = (SELECT max(posting_id) FROM entries)"


def scenario(file: Path, head: str, steps: tuple[tuple[str, str, int], ...]) -> Path:
    listed = (
        f'[[step]]\nname = "{number}"\ndo = "{do}"\nlight = "{light}"\nrefusal = {refusal}\n'
        for number, (do, light, refusal) in enumerate(steps)
    )
    file.write_text(head.replace("{steps}", "".join(listed)), encoding="utf-8")
    return file


def sim(*words: str) -> subprocess.CompletedProcess[str]:
    command = (sys.executable, "-m", "simulators", "bus", "--language", "en", *words)
    return subprocess.run(command, capture_output=True, text=True, timeout=SECONDS_MAX, check=False)


def test_a_trip_leaves_a_timeline_that_journal_and_ledger_confirm(tmp_path: Path) -> None:
    file, out = scenario(tmp_path / "slice.toml", SLICE, STEPS), tmp_path / "out"
    ended = sim("--scenario", str(file), "--folder", str(tmp_path / "b"), "--out", str(out))
    assert ended.returncode == 0, ended.stdout + ended.stderr
    said = json.loads((out / "timeline.json").read_text(encoding="utf-8"))
    assert said["broken"] == [] and said["figures"]["acked"] == said["figures"]["vouchers"] == 6
    assert said["figures"]["credited_kgo"] == 10000, "of both annulments nothing stays, posted before or with them"
    steps = {one["number"]: one for one in said["steps"]}
    green, card = steps[4], steps[6]
    assert green["light"] == card["light"] == "accepted_cash_due"
    assert [voucher["voucher"] for voucher in (green, steps[5], card)] == [1, 1, 2]
    assert green["light_ms"] < green["screen_ms"], "the screen comes after the light"
    assert [hertz for hertz, _ms in green["sound"]] != [hertz for hertz, _ms in steps[5]["sound"]]
    assert len(set(bytes.fromhex(green["ring"]))) > 1, "the ring was lit"
    pictures = {one["screen"] for one in said["steps"]}
    assert all((out / "screens" / str(name)).exists() for name in pictures)
    assert "| 4 | 3 | accepted_cash_due |" in (out / "timeline.md").read_text(encoding="utf-8")
    assert (out / "sheet-1.png").exists() and (out / "timeline.csv").read_text(encoding="utf-8").count("\n") == 20
    rows = (out / "events.csv").read_text(encoding="utf-8").splitlines()
    assert {row.split(",")[2] for row in rows[1:]} >= {"light", "tone", "screen", "line"}
    books_that_lie_are_noticed(tmp_path / "b", tmp_path / "read")


def books_that_lie_are_noticed(folder: Path, scratch: Path) -> None:
    """The figures' own reader, over copies that somebody has changed."""
    ledger, journal = folder / "city" / "ledger.db", folder / "bus" / "journal.db"

    def faults(*greens: int) -> str:
        return "; ".join(read_figures(journal, ledger, BUS, CITY, scratch, greens).faults)

    assert faults(1, 2, 4) == ""
    assert faults(1, 99) == "a green for voucher 99, which the journal does not hold"
    for change, said in (
        (f"UPDATE entries SET amount = amount + 1 WHERE {LAST_POSTING} AND amount > 0", "sum to 1"),
        (f"UPDATE entries SET amount = amount + 7 WHERE {TO_OPERATOR}", "the journal took 10000 net, its owner was"),
        ("UPDATE vouchers SET outcome = 7 WHERE sequence = 2", "voucher 2: outcome 7"),
        ("UPDATE vouchers SET identity = zeroblob(32) WHERE sequence = 1", "does not hold voucher 1"),
    ):
        books = apsw.Connection(str(ledger))
        books.execute("PRAGMA foreign_keys = OFF")
        for (name,) in books.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            books.execute(f"DROP TRIGGER {name}")
        books.execute(change)
        books.close()
        assert said in faults(1), change


def test_what_was_not_as_expected_is_said_and_ends_with_1(tmp_path: Path) -> None:
    head = "cards = false\n{steps}[expect]\nboardings = 5\ncoins_satang = 0\n"
    steps = (("ride Mali", "accepted", 0), ("card Kaew", "refused", 0), ("head unplug", "dark", 0))
    file = scenario(tmp_path / "wrong.toml", head, steps)
    ended = sim("--scenario", str(file), "--folder", str(tmp_path / "b"))
    assert ended.returncode == 1, ended.stdout + ended.stderr
    faults = [line for line in ended.stderr.splitlines() if line.startswith("Not as expected: ")]
    assert len(faults) == 3, faults
    assert "accepted was due, came out_of_service (refusal 1617)" in faults[0]
    assert "no card reader" in faults[1] and "boardings: 5 expected" in faults[2]


def test_a_file_with_mistakes_starts_nothing(tmp_path: Path) -> None:
    file = scenario(tmp_path / "bad.toml", "{steps}", (("fly", "wait", 0), ("ride Mali", "green", 0)))
    ended = sim("--scenario", str(file), "--folder", str(tmp_path / "b"))
    assert ended.returncode == 2 and not (tmp_path / "b").exists()
    assert [line.split(":")[0] for line in ended.stderr.splitlines()[1:]] == ["line 3", "line 9"]


def test_a_port_that_is_taken_is_told_before_a_city_is_founded(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = sim("--port", str(port), "--folder", str(tmp_path / "b"))
    assert (ended.returncode, ended.stdout) == (2, "") and not (tmp_path / "b").exists()
    assert f"port {port} " in ended.stderr and "--port" in ended.stderr

"""The bus on the desk as a program: a scenario that holds, one that does not, and the page with its buttons.

Everything runs for real: city, validator, MicroPython head, PC/SC. Each run ends all that it started.
"""

import json
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import cast

import apsw
import pytest

from simulators.bus_desk.figures import read_figures
from simulators.bus_desk.town import BUS
from simulators.demo.city import CITY

SECONDS_MAX = 120
"""A scenario waits its turn for the machine's one card service."""
PAGE_S_MAX = 60
SLICE = """
name = "slice"
seed = 11
size = "small"
{steps}
[expect]
boardings = 3
coupons = 1
annulled = 1
coins_satang = 300
kgo = 15000
refusals_min = 2
"""
STEPS = (
    ("ride Mali", "out_of_service", 1617),
    ("driver sign-on D-01 274905", "out_of_service", 0),
    ("driver route 8 0", "wait", 0),
    ("again Mali", "accepted_cash_due", 0),
    ("again Mali", "already_accepted", 0),
    ("card Kaew", "accepted_cash_due", 0),
    ("network cut", "wait", 0),
    ("coupon good", "accepted_cash_due", 0),
    ("coupon yesterday", "refused", 1801),
    ("promptpay", "refused", 1002),
    ("drive", "wait", 0),
    ("kill_mid_tap Somchai", "any", 0),
    ("start", "wait", 0),
    ("again Somchai", "accepted_cash_due|already_accepted", 0),
    ("driver annul", "wait", 0),
    ("driver end-trip", "out_of_service", 0),
    ("network restore", "out_of_service", 0),
    ("sync", "out_of_service", 0),
)

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
    assert said["broken"] == [] and said["figures"]["acked"] == said["figures"]["vouchers"] == 5
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
    assert (out / "sheet-1.png").exists() and (out / "timeline.csv").read_text(encoding="utf-8").count("\n") == 19
    rows = (out / "events.csv").read_text(encoding="utf-8").splitlines()
    assert {row.split(",")[2] for row in rows[1:]} >= {"light", "tone", "screen", "line"}
    books_that_lie_are_noticed(tmp_path / "b", tmp_path / "read")


def books_that_lie_are_noticed(folder: Path, scratch: Path) -> None:
    """The figures' own reader, over copies that somebody has changed."""
    ledger, journal = folder / "city" / "ledger.db", folder / "bus" / "journal.db"

    def faults(*greens: int) -> str:
        return "; ".join(read_figures(journal, ledger, BUS, CITY, scratch, greens).faults)

    assert faults(1, 2, 3) == ""
    assert faults(1, 99) == "a green for voucher 99, which the journal does not hold"
    for change, said in (
        (f"UPDATE entries SET amount = amount + 1 WHERE {LAST_POSTING} AND amount > 0", "sum to 1"),
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


# --- the page


class Browser:
    """Asks one page, with the headers that a browser would send."""

    def __init__(self, port: int) -> None:
        self.port = port

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, bytes, str]:
        """Status, body, content security policy."""
        link = HTTPConnection("127.0.0.1", self.port, timeout=PAGE_S_MAX)
        try:
            link.request(method, path, body, headers)
            answer = link.getresponse()
            return answer.status, answer.read(), answer.headers.get("content-security-policy", "")
        finally:
            link.close()

    def press(self, line: object) -> tuple[int, str]:
        own = f"http://127.0.0.1:{self.port}"
        status, body, _policy = self.ask("POST", "/act", json.dumps({"do": line}).encode(), Origin=own)
        return status, body.decode()

    def state(self) -> dict[str, object]:
        return json.loads(self.ask("GET", "/state")[1])


@pytest.fixture
def page(tmp_path: Path) -> Iterator[tuple[Browser, "subprocess.Popen[bytes]"]]:
    words = ("bus", "--language", "en", "--no-cards", "--small", "--folder", str(tmp_path / "b"), "--seed", "3")
    program = subprocess.Popen((sys.executable, "-m", "simulators", *words), stdout=subprocess.PIPE)
    try:
        yield Browser(_port(program)), program
    finally:
        if program.poll() is None:
            program.send_signal(signal.SIGTERM)
        program.communicate(timeout=PAGE_S_MAX)


def _port(program: "subprocess.Popen[bytes]") -> int:
    assert program.stdout is not None
    until_s, heard = time.monotonic() + PAGE_S_MAX, b""
    while time.monotonic() < until_s:
        if select.select([program.stdout], (), (), 0.2)[0]:
            heard += program.stdout.read1(4_096)  # type: ignore[attr-defined]
        found = re.search(rb"http://127\.0\.0\.1:(\d+)/", heard)
        if found is not None:
            return int(found[1])
    raise AssertionError(heard)


def _wait_for_light(browser: Browser, light: str, last_screen: object = None) -> dict[str, object]:
    """Until the ring shows it and, since that is drawn after it, the screen another picture than the last one."""
    until_s = time.monotonic() + 10
    while True:
        state = browser.state()
        if state["light"] == light and state["screen"] != last_screen:
            return state
        assert time.monotonic() < until_s, (state["light"], state["screen"])
        time.sleep(0.05)


def test_the_page_shows_what_is_pressed_and_takes_presses_from_itself_alone(
    page: tuple[Browser, "subprocess.Popen[bytes]"],
) -> None:
    browser, program = page
    own = f"http://127.0.0.1:{browser.port}"
    for path in ("/", "/page.js", "/page.css", "/icon.svg", "/actions"):
        status, body, policy = browser.ask("GET", path)
        assert status == 200 and body and "default-src 'none'" in policy, path
        assert b"https://" not in body and b"//cdn" not in body, "nothing from elsewhere"
    assert browser.ask("GET", "/screen.png")[1].startswith(b"\x89PNG")
    assert browser.state()["light"] == "out_of_service"
    assert browser.press("driver sign-on D-01 274905")[0] == 200
    assert browser.press("driver route 8 0")[0] == 200
    before = _wait_for_light(browser, "wait")
    status, said = browser.press("ride Mali")
    assert status == 200 and json.loads(said)["said"]["light"] == "accepted_cash_due"
    green = _wait_for_light(browser, "accepted_cash_due", before["screen"])
    assert green["ring"] != before["ring"]
    assert cast(dict[str, bool], green["is"])["cards"] is False
    # what is none of ours
    assert browser.press("fly")[0] == 400 and browser.press("driver quit")[0] == 400
    assert browser.press(7)[0] == 400 and browser.press(None)[0] == 400
    assert browser.press("card Kaew")[0] == 409, "no reader here"
    assert browser.press("x" * 2_000)[0] == 413
    good = b'{"do": "ride Mali"}'
    assert browser.ask("POST", "/act", b"no JSON", Origin=own)[0] == 400
    assert browser.ask("POST", "/act", good, Origin="http://elsewhere.example")[0] == 403
    assert browser.ask("POST", "/act", good, Origin="null")[0] == 403
    assert browser.ask("POST", "/act", good)[0] == 403, "no Origin: not a page"
    assert browser.ask("GET", "/state", Host="elsewhere.example")[0] == 403, "a name that was bent to this machine"
    assert browser.ask("GET", "/act")[0] == 405 and browser.ask("GET", "/nothing")[0] == 404
    assert browser.ask("GET", "/../town.py")[0] == 404
    # plugs
    assert browser.press("head unplug")[0] == 200
    assert cast(dict[str, bool], _wait_for_light(browser, "dark")["is"])["head"] is False
    assert browser.press("head plug")[0] == 200
    _wait_for_light(browser, "wait")
    threads = Path(f"/proc/{program.pid}/task").glob("*/children")
    children = [child for thread in threads for child in thread.read_text().split()]
    assert len(children) >= 3, "city, validator, head"
    program.send_signal(signal.SIGTERM)
    assert program.wait(PAGE_S_MAX) == 0
    assert not [child for child in children if Path(f"/proc/{child}").exists()], "every process has ended"

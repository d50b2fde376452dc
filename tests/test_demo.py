"""The demo as a program, and proof that its reader would notice: each promise is broken in a copy of the files.

One demo is run for all tests, in whichever processes they run; every tampering is done to its own copy. DESIGN §2, §8.
"""

import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import apsw
import pytest

from simulators.demo.reader import Figures, broken_promises, read_figures
from simulators.demo.run import BUS_ID, MARKER, SHOP_ID, FolderNotOurs, alone, empty
from simulators.demo.table import padded, table, width_of

DEMO_S_MAX = 150
BUSY_MS = 10_000
ACCEPTED = 40


@dataclass(frozen=True, slots=True)
class Run:
    """A demo that ended."""

    folder: Path
    said: str
    result: dict[str, object]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory, seed: int) -> Run:
    own = tmp_path_factory.getbasetemp()
    build = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "one-demo"
    build.mkdir(exist_ok=True)
    folder, story = build / "demo", build / "said.txt"
    words = (sys.executable, "-m", "simulators", "demo", "--seed", str(seed), "--folder", str(folder))
    with (build / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # whoever comes first plays it, the others wait for the end
        if not story.exists():
            ended = subprocess.run(words, capture_output=True, text=True, timeout=DEMO_S_MAX, check=False)
            assert ended.returncode == 0, ended.stdout + ended.stderr
            story.write_text(ended.stdout, encoding="utf-8")
    result = json.loads((folder / "demo.json").read_text(encoding="utf-8"))
    return Run(folder, story.read_text(encoding="utf-8"), result)


@dataclass(frozen=True, slots=True)
class Files:
    """A copy of what the demo left, to be tampered with."""

    folder: Path

    @property
    def ledger(self) -> Path:
        return self.folder / "city" / "ledger.db"

    def journal(self, device: str) -> Path:
        return self.folder / device / "journal.db"

    def read(self) -> Figures:
        journals = {device: self.journal(device) for device in (SHOP_ID, BUS_ID)}
        return read_figures(journals, self.ledger, self.folder / "again", {})


@pytest.fixture
def files(demo: Run, tmp_path: Path) -> Files:
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in ("city", SHOP_ID, BUS_ID):
        shutil.copytree(demo.folder / name, copy / name, ignore=shutil.ignore_patterns("scanner", "keys"))
    return Files(copy)


def change(database: Path, *statements: str) -> None:
    """Tamper: each statement that changes rows must touch some."""
    connection = apsw.Connection(str(database))
    connection.set_busy_timeout(BUSY_MS)
    for statement in statements:
        before = connection.total_changes()
        connection.execute(statement).fetchall()
        assert statement.startswith("DROP TRIGGER ") or connection.total_changes() > before, statement
    connection.close()


def test_the_figures(demo: Run, seed: int) -> None:
    seconds = demo.result["seconds"]
    assert isinstance(seconds, float) and seconds < 60
    refused = demo.result["refused"]
    assert isinstance(refused, int) and refused >= 6
    assert {key: value for key, value in demo.result.items() if key not in ("seconds", "refused")} == {
        "seed": seed,
        "accepted": ACCEPTED,
        "acked": ACCEPTED,
        "lost": 0,
        "doubled": 0,
        "equivocations_proven": 1,
        "kgo_sum": 0,
        "thb_sum": 0,
        "audit_ok": True,
        "broken": [],
    }


def test_the_table_is_in_both_languages(demo: Run) -> None:
    for words in (f"seed {demo.result['seed']}", "รับแล้ว", "Accepted", "สูญหาย Lost", "Every promise was kept."):
        assert words in demo.said


THAI, LATIN = re.compile("[\u0e01-\u0e4e]"), re.compile("[A-Za-z]{2}")


def test_every_line_of_the_story_is_in_both_languages(demo: Run) -> None:
    """Thai with English beside it, or in the line below; a line that is ruled or empty says nothing."""
    lines = [line for line in demo.said.splitlines() if line.strip("- ")]
    assert len(lines) > ACCEPTED
    for above, line, below in zip(["", *lines], lines, [*lines[1:], ""], strict=False):
        is_below = line.startswith((" ", "Terminal ", "Promise "))
        assert THAI.search(line) or (is_below and THAI.search(above)), f"no Thai: {line}"
        assert LATIN.search(line) or LATIN.search(below), f"no English: {line}"


def test_the_untouched_copy_keeps_every_promise(files: Files) -> None:
    figures = files.read()
    assert broken_promises(figures, audit_ok=True, cheats=1) == []
    assert [one.accepted for one in figures.terminals] == [ACCEPTED // 2, ACCEPTED // 2]


def test_a_voucher_missing_in_the_ledger_is_lost(files: Files) -> None:
    change(files.ledger, f"DELETE FROM vouchers WHERE device = '{BUS_ID}' AND sequence = 7")
    found = files.read()
    assert found.lost == 1
    assert any(f"the ledger does not hold {BUS_ID} voucher 7" in fault for fault in found.faults)


def test_a_voucher_missing_in_the_journal_is_seen(files: Files) -> None:
    change(files.journal(BUS_ID), f"DELETE FROM entries WHERE id >> 24 = {ACCEPTED // 2}")
    found = files.read()
    assert found.lost == 1
    assert found.accepted == ACCEPTED - 1


def test_a_hole_in_the_journal_breaks_its_chain(files: Files) -> None:
    change(files.journal(SHOP_ID), "DELETE FROM entries WHERE id >> 24 = 5")
    assert any("does not follow" in fault for fault in files.read().faults)


def test_a_changed_voucher_is_not_the_devices_word(files: Files) -> None:
    changed = one_byte_changed("body", 5, from_end=True)
    change(files.journal(SHOP_ID), f"UPDATE entries SET body = {changed} WHERE id = 3 << 24")
    found = files.read()
    assert any(f"{SHOP_ID}: voucher 3 is not signed by this device" in fault for fault in found.faults)


def test_a_green_without_a_voucher_is_lost(files: Files) -> None:
    journals = {device: files.journal(device) for device in (SHOP_ID, BUS_ID)}
    found = read_figures(journals, files.ledger, files.folder / "again", {SHOP_ID: [1, ACCEPTED // 2 + 1]})
    assert found.lost == 1


def test_a_voucher_posted_twice_is_doubled(files: Files) -> None:
    posting = f"SELECT posting_id FROM postings WHERE device = '{SHOP_ID}' AND sequence = 2 AND reason = 5"
    change(
        files.ledger,
        "DROP TRIGGER one_charge",
        "INSERT INTO postings SELECT 900001, reason, device, sequence, posted_at_s, note FROM postings"
        f" WHERE posting_id IN ({posting})",
        f"INSERT INTO entries SELECT 900001, account_id, amount FROM entries WHERE posting_id IN ({posting} LIMIT 1)",
        "UPDATE accounts SET balance = (SELECT sum(amount) FROM entries WHERE entries.account_id = accounts.account_id)"
        " WHERE account_id IN (SELECT account_id FROM entries)",
    )
    found = files.read()
    assert (found.doubled, found.kgo_sum, found.thb_sum) == (1, 0, 0)


def test_a_charge_taken_back_though_its_green_was_shown_is_lost(files: Files) -> None:
    posting = f"SELECT posting_id FROM postings WHERE device = '{SHOP_ID}' AND sequence = 2 AND reason = 5"
    change(
        files.ledger,
        "INSERT INTO postings SELECT 900002, 10, device, sequence, posted_at_s, note FROM postings"
        f" WHERE posting_id IN ({posting})",
        f"INSERT INTO entries SELECT 900002, account_id, -amount FROM entries WHERE posting_id IN ({posting})",
        "UPDATE accounts SET balance = (SELECT sum(amount) FROM entries WHERE entries.account_id = accounts.account_id)"
        " WHERE account_id IN (SELECT account_id FROM entries)",
    )
    found = files.read()
    assert (found.lost, found.doubled, found.kgo_sum, found.thb_sum) == (1, 0, 0, 0)


def test_one_intent_charged_at_two_vouchers_is_doubled(files: Files) -> None:
    """The second voucher is given the first one's wallet object, as a terminal that forgot would have."""
    source = "(SELECT wallet_object FROM entries WHERE id = 1 << 24)"
    change(files.journal(SHOP_ID), f"UPDATE entries SET wallet_object = {source} WHERE id = 2 << 24")
    found = files.read()
    assert found.doubled == 1
    assert any("one intent was charged" in fault for fault in found.faults)


@pytest.mark.parametrize(("currency", "name"), [(1, "kgo_sum"), (2, "thb_sum")])
def test_money_from_nowhere_is_seen(files: Files, currency: int, name: str) -> None:
    first = f"SELECT min(account_id) FROM accounts WHERE currency = {currency}"
    change(files.ledger, f"UPDATE accounts SET balance = balance + 1 WHERE account_id = ({first})")
    found = files.read()
    assert getattr(found, name) == 1
    assert any("its entries give" in fault for fault in found.faults)
    assert any("do not sum to zero" in broken for broken in broken_promises(found, audit_ok=True, cheats=1))


def test_an_unbalanced_posting_is_seen(files: Files) -> None:
    change(files.ledger, "UPDATE entries SET amount = amount + 1 WHERE posting_id = 1 AND amount > 0")
    assert any("posting 1 is off by" in fault for fault in files.read().faults)


@pytest.mark.parametrize("column", ["first", "second", "context"])
def test_a_forged_proof_proves_nothing(files: Files, column: str) -> None:
    last = one_byte_changed(column, 5, from_end=True)
    change(files.ledger, f"UPDATE equivocations SET {column} = {last}")
    assert files.read().equivocations_proven == 0


def test_the_same_signed_twice_is_no_proof(files: Files) -> None:
    change(files.ledger, "UPDATE equivocations SET second = first")
    assert files.read().equivocations_proven == 0


def test_an_older_ack_shows_in_acked(files: Files) -> None:
    change(files.journal(BUS_ID), "DELETE FROM acks")
    found = files.read()
    assert found.acked == ACCEPTED // 2
    assert f"{ACCEPTED} accepted, but {ACCEPTED // 2} acknowledged" in broken_promises(found, audit_ok=True, cheats=1)


def test_a_failed_audit_and_an_unproven_cheat_break_promises(files: Files) -> None:
    found = files.read()
    assert broken_promises(found, audit_ok=False, cheats=1) == ["the city's own audit failed"]
    assert broken_promises(found, audit_ok=True, cheats=2) == ["2 wallets cheated, 1 are proven"]


def test_the_reader_shares_nothing_with_acceptor_or_posting() -> None:
    code = "import sys, simulators.demo.reader; print(*(n for n in sys.modules if n.startswith('offline_ledger.')))"
    ended = subprocess.run((sys.executable, "-c", code), capture_output=True, text=True, timeout=60, check=True)
    rooms = {name.split(".")[1] for name in ended.stdout.split()}
    assert rooms == {"protocol", "errors", "money"}


def test_columns_line_up_under_thai_marks() -> None:
    assert width_of("ที่นี่") == 2
    assert padded("กี่", 4, right=True) == "   กี่"
    lines = table((("น้ำ", "1"), ("tea", "12")), (("ชื่อ", "Name"), ("จำนวน", "Count"))).splitlines()
    assert len({width_of(line) for line in lines}) == 1


def one_byte_changed(column: str, at: int, *, from_end: bool = False) -> str:
    """An SQL expression: the same bytes with one of them replaced by another."""
    place = f"length({column}) - {at}" if from_end else str(at)
    flipped = f"CASE substr({column}, {place}, 1) WHEN x'00' THEN x'01' ELSE x'00' END"
    before, after = f"substr({column}, 1, {place} - 1)", f"substr({column}, {place} + 1)"
    return f"CAST({before} || {flipped} || {after} AS BLOB)"


def heeds_interrupts() -> None:
    """A shell lets what it starts in the background ignore SIGINT, and whatever that starts."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demo_leaves_no_process(tmp_path: Path, number: signal.Signals) -> None:
    folder = tmp_path / "build" / "demo"
    words = (sys.executable, "-m", "simulators", "demo", "--seed", "1", "--folder", str(folder))
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, preexec_fn=heeds_interrupts
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "The network is cut" in line:
                break
        assert len(processes_of(folder)) == 4  # the demo, the city, two terminals
        process.send_signal(number)
        process.stdout.read()
        assert process.wait(DEMO_S_MAX) == 130
    assert processes_of(folder) == []


def test_a_demo_whose_promise_is_broken_says_so_and_ends_with_1(tmp_path: Path) -> None:
    """The real program from beginning to end; somebody gives himself a hundredth of a KGO in the city's database."""
    folder = tmp_path / "build" / "demo"
    words = (sys.executable, "-m", "simulators", "demo", "--seed", "1", "--folder", str(folder))
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stderr is not None
        for line in process.stdout:
            if "The network is cut" in line:  # nothing reaches the ledger now
                break
        first = "SELECT min(account_id) FROM accounts WHERE currency = 1"
        change(folder / "city" / "ledger.db", f"UPDATE accounts SET balance = balance + 1 WHERE account_id = ({first})")
        said, wrong = process.communicate(timeout=DEMO_S_MAX)
    assert process.returncode == 1, wrong
    assert "Every promise was kept" not in said and "BROKEN: the accounts do not sum to zero: KGO 1" in wrong
    result = json.loads((folder / "demo.json").read_text(encoding="utf-8"))
    assert result["kgo_sum"] == 1 and result["accepted"] == ACCEPTED
    assert all(f"BROKEN: {one}" in wrong for one in result["broken"]) and len(result["broken"]) >= 2


def test_two_demos_do_not_share_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    for what, language, said in (
        ("demo", "en", f"{folder} is in use by another run"),
        ("bus", "th", f"มีโปรแกรมอื่นใช้ {folder} อยู่"),
    ):
        words = (sys.executable, "-m", "simulators", what, "--language", language, "--folder", str(folder))
        with alone(folder):
            ended = subprocess.run(words, capture_output=True, text=True, timeout=DEMO_S_MAX, check=False)
        assert (ended.returncode, ended.stdout) == (2, "")
        assert ended.stderr.startswith(said) and len(ended.stderr.splitlines()) == 1
    assert not folder.exists()


def test_a_folder_that_no_demo_made_is_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    kept = folder / "2569.jpg"
    kept.write_bytes(b"the only copy")
    for named in (folder, kept):
        words = (sys.executable, "-m", "simulators", "demo", "--seed", "1", "--folder", str(named))
        for language, said in (("en", "holds something that no demo made"), ("th", "มีสิ่งที่การสาธิตไม่ได้สร้าง")):
            asked = (*words, "--language", language)
            ended = subprocess.run(asked, capture_output=True, text=True, timeout=DEMO_S_MAX, check=False)
            assert (ended.returncode, ended.stdout) == (2, "")
            assert f"{named} {said}" in ended.stderr
        assert "Traceback" not in ended.stderr
    assert [path.name for path in folder.iterdir()] == [kept.name]
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]
    assert kept.read_bytes() == b"the only copy"


def test_only_an_empty_folder_or_a_demos_own_is_emptied(tmp_path: Path) -> None:
    folder, other = tmp_path / "demo", tmp_path / "other"
    other.mkdir()
    (other / "kept").touch()
    empty(folder)
    (folder / "city").mkdir()
    (folder / "city" / "ledger.db").touch()
    (folder / "link").symlink_to(other)
    empty(folder)
    assert [path.name for path in folder.iterdir()] == [MARKER]
    with pytest.raises(FolderNotOurs):
        empty(other)
    assert (other / "kept").exists()


def test_the_folder_of_the_demo_is_marked(demo: Run) -> None:
    assert (demo.folder / MARKER).is_file()
    assert not (demo.folder.parent / "demo.json").exists()


def processes_of(folder: Path) -> list[str]:
    """Command lines of running processes that name this folder."""
    found: list[str] = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = file.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
        except OSError:
            continue  # it has just ended
        if str(folder) in words:
            found.append(words)
    return found

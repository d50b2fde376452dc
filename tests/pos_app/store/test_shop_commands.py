"""`kgo-pos catalogue`, `cashiers` and `audit-log` as somebody types them, in processes of their own."""

import csv
import io
import json
import os
import pty
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from offline_ledger.errors import FileUnusable, GoodsFileWrong, UsageWrong
from offline_ledger.protocol.device import ClockTrust, DeviceRole
from offline_ledger.terminal import commands
from offline_ledger.terminal.program import Program
from offline_ledger.texts import LANGUAGES, Texts
from pos_app.goods_commands import own_commands as goods_commands
from pos_app.people_commands import action_text, text_of, written_audit
from pos_app.people_commands import own_commands as people_commands
from pos_app.settings import SETTINGS
from pos_app.store.audit_log import AuditLog, Entry
from pos_app.store.cashiers import Cashiers
from pos_app.store.catalogue import Catalogue
from pos_app.store.goods import Item
from pos_app.store.shop_file import ShopFile
from tests.forked import SHOP, run_forked
from tests.test_command_texts import THAI, actions

ROOT = Path(__file__).parents[3]
RUN_S_MAX = 20
TOML = """
[device]
city = "TH-40"
id = "shop-1"
[city]
url = "https://127.0.0.1:9"
ca_file = "ca.crt"
[scanner]
port = "/dev/null"
"""


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    made = tmp_path / "pos.toml"
    made.write_text(TOML, encoding="utf-8")
    return made


def kgo_pos(settings: Path, *words: str, typed: str = "") -> "subprocess.CompletedProcess[str]":
    asked = ("--settings", str(settings), "--language", "en", *words)
    return run_forked(SHOP, asked, ROOT, RUN_S_MAX, typed)


def test_goods_come_in_are_listed_and_go_out(settings: Path, tmp_path: Path) -> None:
    sample, out = ROOT / "pos_app/sample_goods.csv", tmp_path / "out.csv"
    came = kgo_pos(settings, "catalogue", "import", str(sample))
    assert came.returncode == 0, came.stderr
    assert came.stdout.splitlines()[0].startswith("imported: 96 new, 0 changed, 0 as before; 96 items are sold")
    assert "1 without a price" in came.stdout
    found = kgo_pos(settings, "catalogue", "list", "--search", "เกี๊ยว")
    assert [line.split("\t")[:2] for line in found.stdout.splitlines()] == [
        ["K11", "45.00"],
        ["K10", "55.00"],
        ["2 of 96 items"],
    ]
    went = kgo_pos(settings, "catalogue", "export", str(out))
    assert went.returncode == 0 and out.read_bytes() == sample.read_bytes()
    again = kgo_pos(settings, "catalogue", "export", str(out))
    assert again.returncode == 1 and again.stderr.startswith("5010 ")
    logged = kgo_pos(settings, "audit-log", "--format", "json")
    (row,) = map(json.loads, logged.stdout.splitlines())
    values = {"file": "sample_goods.csv", "new": 96, "changed": 0, "same": 0}
    assert (row["action"], row["values"], row["trust"]) == ("catalogue.import", values, "floor")
    assert stat.S_IMODE((tmp_path / "shop.db").stat().st_mode) == 0o600


def test_a_bad_file_is_told_line_by_line_and_leaves_nothing(settings: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.csv"
    bad.write_text("sku,name,price\n1,ก,0\n2,ข,5\n3,,-1\n", encoding="cp874")
    told = kgo_pos(settings, "catalogue", "import", str(bad))
    lines = told.stderr.splitlines()
    assert told.returncode == 1 and told.stdout == ""
    assert lines[0].startswith(f"{bad}: line 2, price: the price is zero") and "line 4, name_th" in lines[2]
    assert lines[3].startswith(f"{GoodsFileWrong.number} ")
    file = ShopFile(tmp_path / "shop.db")
    assert Catalogue(file).count_all() == 0 and AuditLog(file).head()[0] == 0
    file.close()


@pytest.mark.parametrize("name", ["none.csv", ".", "shop.db-wal", "journal.db"])
def test_files_that_cannot_be_used_are_refused(settings: Path, tmp_path: Path, name: str) -> None:
    into = kgo_pos(settings, "catalogue", "import" if name in ("none.csv", ".") else "export", str(tmp_path / name))
    assert into.returncode == 1 and into.stderr[:5] in ("5004 ", "5010 ")


def test_a_name_that_no_file_can_have_is_no_output_that_was_lost(settings: Path, tmp_path: Path) -> None:
    told = kgo_pos(settings, "catalogue", "import", str(tmp_path / ("x" * 300)))
    assert told.returncode == 1 and told.stderr.startswith(f"{FileUnusable.number} "), told


def test_goods_from_a_pipe_that_nobody_writes_are_not_waited_for(settings: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    told = kgo_pos(settings, "catalogue", "import", str(tmp_path / "pipe"))
    assert told.returncode == 1 and told.stderr.startswith(f"{FileUnusable.number} "), told
    assert "not a plain file" in told.stderr


def test_a_file_that_cannot_be_written_is_no_disk_error(settings: Path, tmp_path: Path) -> None:
    """Only the name is wrong: nobody is told to replace the card."""
    nowhere = tmp_path / "none" / "x.csv"
    for words in (("catalogue", "export", str(nowhere)), ("catalogue", "export", "/proc/x.csv")):
        lost = kgo_pos(settings, *words)
        assert lost.returncode == 1 and lost.stderr.startswith("5004 ") and words[2] in lost.stderr, lost.stderr


@pytest.mark.parametrize("name", ["folder", "none/shop.db"])
def test_a_shop_file_that_is_a_folder_or_in_none_is_named(settings: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    settings.write_text(f'{TOML}[files]\nshop = "{name}"\n', encoding="utf-8")
    for words in (("catalogue", "list"), ("cashiers", "list"), ("audit-log",)):
        wrong = kgo_pos(settings, *words)
        assert wrong.returncode == 1 and wrong.stderr.startswith("5004 ") and name in wrong.stderr, wrong.stderr


def test_while_the_program_holds_the_file_no_command_touches_it(settings: Path, tmp_path: Path) -> None:
    """Also the way back: what the command made is the program's own file."""
    file = ShopFile(tmp_path / "shop.db")
    for words in (("catalogue", "list"), ("cashiers", "list"), ("audit-log",)):
        refused = kgo_pos(settings, *words)
        assert refused.returncode == 75 and refused.stderr.startswith("2012 ")
    file.close()
    assert kgo_pos(settings, "cashiers", "list").stdout.startswith("no cashier yet")


def test_cashiers_from_the_first_manager_on(settings: Path) -> None:
    weak = kgo_pos(settings, "cashiers", "add", "9", "สมศรี", typed="1234\n")
    assert weak.returncode == 1 and weak.stderr.startswith("1947 ")
    first = kgo_pos(settings, "cashiers", "add", "9", "สมศรี", typed="5820\r\n")
    assert (first.returncode, first.stdout) == (0, "9\tสมศรี\tmanager\n")
    next_one = kgo_pos(settings, "cashiers", "add", "1", "สมชาย", "--role", "supervisor", typed="7391")
    assert next_one.stdout == "1\tสมชาย\tsupervisor\n"
    assert kgo_pos(settings, "cashiers", "set-pin", "1", typed="8264\n").returncode == 0
    assert kgo_pos(settings, "cashiers", "retire", "1").stdout == "1\tสมชาย\tsupervisor\thas left\n"
    assert kgo_pos(settings, "cashiers", "retire", "9").stderr.startswith("1951 ")
    shown = kgo_pos(settings, "audit-log")
    assert [line.split("\t")[2:4] for line in shown.stdout.splitlines()] == [
        ["machine", "cashier added"],
        ["machine", "cashier added"],
        ["machine", "PIN set"],
        ["machine", "cashier retired"],
    ]
    for pin in ("1234", "5820", "7391", "8264"):
        assert pin not in shown.stdout


@pytest.mark.parametrize("typed", ["abcd\n", "123\n", "", "123456789\n", "12 34\n"])
def test_what_is_no_pin_is_not_called_easy_to_guess(settings: Path, typed: str) -> None:
    refused = kgo_pos(settings, "cashiers", "add", "9", "สมศรี", typed=typed)
    assert refused.returncode == 1 and refused.stderr.startswith("1958 "), refused.stderr
    assert not typed.strip() or typed.strip() not in refused.stderr.replace("1958", "")


def test_thai_digits_are_digits(settings: Path) -> None:
    """As on the page, whose keys are read the same."""
    assert kgo_pos(settings, "cashiers", "add", "9", "สมศรี", typed="๕๘๒๐\n").returncode == 0
    file = ShopFile(settings.parent / "shop.db")
    assert Cashiers(file, 0).check_pin("9", "5820", 0).name == "สมศรี"
    file.close()


@pytest.mark.parametrize("name", ["\u3164", "ก" + "้" * 20, "\x1b[31mแดง", "ก\u202eข"])
def test_a_cashiers_name_can_be_read_and_steers_no_terminal(settings: Path, name: str) -> None:
    refused = kgo_pos(settings, "cashiers", "add", "9", name, typed="5820\n")
    assert refused.returncode == 1 and refused.stderr.startswith("1953 ")
    assert not set("\x1b\u202e") & set(refused.stderr)
    usage = kgo_pos(settings, "catalogue", name)
    assert usage.returncode == 2 and not set("\x1b\u202e") & set(usage.stderr)


def test_a_pin_is_typed_twice_and_never_shown(settings: Path) -> None:
    """On a terminal of its own, as a person types it."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "pos_app", "--settings", str(settings), "cashiers", "add", "9", "สมศรี"]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    ) as process:
        os.close(theirs)
        seen = _until(ours, b":")
        os.write(ours, b"5820\n")
        seen += _until(ours, b":")
        os.write(ours, b"5821\n")
        seen += _until(ours, b"5020")
        assert process.wait(RUN_S_MAX) == 1
    os.close(ours)
    assert b"5820" not in seen and "PIN" in seen.decode() and UsageWrong.number == 5020


def _until(terminal: int, needle: bytes) -> bytes:
    seen = b""
    while needle not in seen:
        seen += os.read(terminal, 1024)
    return seen


@pytest.mark.parametrize(
    ("end", "code", "number"), [("| head -c 1 >/dev/null", 0, ""), (">/dev/full", 1, "4095 "), (">&-", 1, "4095 ")]
)
def test_output_that_nobody_reads_is_no_stack_trace(
    settings: Path, tmp_path: Path, end: str, code: int, number: str
) -> None:
    file = ShopFile(tmp_path / "shop.db")
    Catalogue(file).put_all([Item(f"I{n}", "x" * 70, price_satang=1) for n in range(2_000)])
    file.close()
    words = [sys.executable, "-m", "pos_app", "--settings", str(settings), "--language", "en", "catalogue", "list"]
    line = ["bash", "-o", "pipefail", "-c", f'"$@" {end}', "bash", *words]
    ended = subprocess.run(line, cwd=ROOT, stderr=subprocess.PIPE, text=True, timeout=RUN_S_MAX, check=False)
    assert (ended.returncode, ended.stderr[:5]) == (code, number), ended.stderr
    assert "Traceback" not in ended.stderr


# --- the log in three forms


def test_a_changed_log_is_told_and_still_written(settings: Path, tmp_path: Path) -> None:
    file = ShopFile(tmp_path / "shop.db")
    log = AuditLog(file)
    for number in range(3):
        log.add(Entry(1_795_000_000 + number, ClockTrust(number), "1", "sale.void", {"text": "=1+1", "n": number}))
    file.close()
    sound = kgo_pos(settings, "audit-log", "--verify").stdout
    assert sound == "all 3 rows stand as they were written\nthe signed journal knows nothing of them yet\n"
    file = ShopFile(tmp_path / "shop.db")
    file.write([("UPDATE audit SET who = '2' WHERE number = 2", ())])
    file.close()
    broken = kgo_pos(settings, "audit-log", "--verify")
    assert broken.returncode == 1 and broken.stderr.startswith("1952 ") and "row 2 is not" in broken.stderr
    assert len(kgo_pos(settings, "audit-log").stdout.splitlines()) == 3


def test_the_log_as_text_csv_and_json(tmp_path: Path) -> None:
    file = ShopFile(tmp_path / "shop.db")
    log = AuditLog(file)
    log.add(Entry(1_795_000_000, ClockTrust.FLOOR, "", "cashier.add", {"code": "1"}))
    log.add(Entry(1_795_000_000, ClockTrust.SYNCED, "1", "new.one", {"name": "=1+1", "ok": True}))
    thai, english = ("".join(written_audit(file, "text", Texts(language))) for language in LANGUAGES)
    assert thai.splitlines()[0] == "1\t~18/11/2569 18:06:40\tเครื่อง\tเพิ่มแคชเชียร์\tcode 1"
    assert english.splitlines()[1] == "2\t2026-11-18 18:06:40\t1\tnew.one\tname =1+1, ok True"
    rows = list(csv.reader(io.StringIO("".join(written_audit(file, "csv", Texts("en"))))))
    assert rows[0][:3] == ["number", "at_s", "trust"] and rows[2][3:5] == ["1", "new.one"]
    assert json.loads(rows[2][5]) == {"name": "=1+1", "ok": True} and len(rows[2][6]) == 64
    members = [json.loads(line) for line in written_audit(file, "json", Texts("en"))]
    assert members[1]["values"] == {"name": "=1+1", "ok": True} and members[0]["link"] == rows[1][6]
    file.close()


@pytest.mark.parametrize("at_s", [-(2**62), 2**62])
def test_an_impossible_time_is_shown_as_a_number(tmp_path: Path, at_s: int) -> None:
    file = ShopFile(tmp_path / "shop.db")
    AuditLog(file).add(Entry(at_s, ClockTrust.HOLDOVER, "1", "x"))
    assert f"\t{at_s}\t" in text_of(next(AuditLog(file).rows()), Texts("th"))
    assert action_text("x", Texts("th")) == "x"
    file.close()


# --- texts


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_word_of_help_is_in_its_language(language: str) -> None:
    def own() -> tuple[commands.OwnCommand, ...]:
        return *goods_commands(), *people_commands()

    about = Program("kgo-pos", "help.pos", DeviceRole.SHOP, lambda _opened: 0, SETTINGS, own)
    parser = commands.build_parser(about, Texts(language))
    found = list(actions(parser))
    assert {"kgo-pos catalogue import", "kgo-pos cashiers set-pin", "kgo-pos audit-log verify"} <= {
        where for where, _action, _text in found
    }
    assert [where for where, _, text in found if bool(THAI.search(text or "")) is not (language == "th")] == []

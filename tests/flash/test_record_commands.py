"""`kgo-flash record` as it is typed: what is seen in Thai and English, what a spreadsheet gets, and each refusal."""

import ast
import csv
import os
import re
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest

from firmware.flash.flashing import STEPS
from firmware.flash.record import DONE, FAILED, Record
from firmware.flash.record_export import exported
from firmware.flash.record_reading import jobs
from tests.flash.bench_program import ROOT, kgo_flash, kgo_flash_alone
from tests.processes.small_disk import on_small_disk

NOW_S = 1_795_312_345
"""22 November 2026, 08:52:25 in Bangkok."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A bench that flashed one head, failed at another, and lost its power while it prepared a card."""
    record = Record.open(tmp_path / "bench.db")
    job = record.begin("flash-head", "E661", {"serial": "E661", "firmware_version": "0.3.0"}, "สมชาย", NOW_S)
    record.step(job, "base", NOW_S)
    record.end(job, DONE, {"serial": "E661", "firmware_version": "0.2.9", "mac": "28:cd:c1:00:11:22"}, NOW_S + 9)
    record.end(record.begin("flash-head", "[bold]E662", {}, "som", NOW_S), FAILED, {}, NOW_S, 7_001)
    card = record.begin("prepare-card", "BUS-0012", {"settings_sha256": "ab" * 32}, "som", NOW_S)
    record.step(card, "wheels", NOW_S)
    record.close()
    return tmp_path


def test_the_list_names_what_is_wrong(folder: Path) -> None:
    thai, english = (kgo_flash(folder, "record", "list", "--language", one).stdout for one in ("th", "en"))
    assert "22/11/2569 08:52" in thai and "2026-11-22 08:52" in english
    for said in ("ลงโปรแกรมหัวอ่าน", "ไม่ตรงกัน: firmware_version", "ไม่สำเร็จ (7001)", "ค้างที่ขั้น wheels"):
        assert said in thai
    for said in ("flash a head", "Differs: firmware_version", "Failed (7001)", "Interrupted at wheels", "[bold]E662"):
        assert said in english


@pytest.mark.parametrize(
    ("state", "subjects"),
    [("done", {"E661"}), ("failed", {"[bold]E662"}), ("interrupted", {"BUS-0012"}), ("differs", {"E661"})],
)
def test_the_list_of_one_state(folder: Path, state: str, subjects: set[str]) -> None:
    said = kgo_flash(folder, "record", "list", "--state", state).stdout
    assert {one for one in ("E661", "[bold]E662", "BUS-0012") if f" {one} " in said} == subjects


def test_the_last_good_job_counts_and_is_named(folder: Path) -> None:
    """Of the same kind, about the same device, however its serial is written; and nothing before it is forgotten."""
    record = Record.open(folder / "bench.db")
    record.end(record.begin("label", "BUS-0012", {}, "som", NOW_S), DONE, {}, NOW_S)
    record.end(record.begin("prepare-card", "bus-0012", {}, "som", NOW_S), FAILED, {}, NOW_S, 7_001)
    record.end(record.begin("prepare-card", "BUS-0012", {"a": "1"}, "som", NOW_S), DONE, {"a": "2"}, NOW_S)
    record.close()
    said = kgo_flash(folder, "record", "check", "--language", "en").stdout
    assert "6 jobs, 1 interrupted, 2 failed, 2 whose records differ; 0 more" in said
    record = Record.open(folder / "bench.db")
    record.end(record.begin("prepare-card", "bus-0012", {"a": "1"}, "som", NOW_S), DONE, {"a": "1"}, NOW_S)
    record.begin("prepare-card", "BUS-0012", {}, "som", NOW_S)
    record.close()
    said = kgo_flash(folder, "record", "check", "--language", "en").stdout
    assert "8 jobs, 1 interrupted, 1 failed, 1 whose records differ; 3 more were made good" in said
    for command in (("list",), ("show", "BUS-0012")):
        said = kgo_flash(folder, "record", *command, "--language", "en").stdout
        assert said.count("made good by job 7") == 3, said
    assert "ทำใหม่สำเร็จแล้วในงาน 7" in kgo_flash(folder, "record", "list").stdout


def steps_in_the_source() -> set[str]:
    """Every step that the bench's own code names in so many letters."""
    found = {name for name in STEPS}
    for path in (ROOT / "firmware" / "flash").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and re.fullmatch(r"(.*\.)?_?step", ast.unparse(node.func)):
                words = (argument.value for argument in node.args if isinstance(argument, ast.Constant))
                found |= {word for word in words if isinstance(word, str)}
    return found


def test_each_step_has_words_in_both_languages(tmp_path: Path) -> None:
    names = sorted({*steps_in_the_source(), "write png", "write pdf", "head.cable", "head.green"})
    assert {"copy_base", "operator", "tidy", "print", "read_back"} <= set(names)
    record = Record.open(tmp_path / "bench.db")
    job = record.begin("flash-head", "E661", {}, "som", NOW_S)
    for name in names:
        record.step(job, name, NOW_S)
    record.close()
    for language, begins in (("th", "ขั้นตอน: "), ("en", "Steps: ")):
        said = kgo_flash(tmp_path, "record", "show", "E661", "--language", language).stdout
        line = next(line for line in said.splitlines() if line.startswith(begins))
        words = line.removeprefix(begins).split(" → ")
        assert len(words) == len(names)
        raw = [name for name, word in zip(names, words, strict=True) if name == word]
        assert raw == (["print"] if language == "en" else [])


def test_the_newest_only(folder: Path) -> None:
    said = kgo_flash_alone(folder, "record", "list", "--last", "1").stdout
    assert "BUS-0012" in said and "E661" not in said and "แสดง 1 จาก 3" in said


def test_one_device_with_both_records(folder: Path) -> None:
    said = kgo_flash(folder, "record", "show", "28:cd:c1:00:11:22", "--language", "en").stdout
    assert [line for line in said.splitlines() if "firmware_version" in line and "NO" in line and "0.2.9" in line]
    assert "Steps: base" in said and "found" in said


@pytest.mark.parametrize(
    ("words", "number"),
    [
        (("show", "NOBODY"), "7308"),
        (("export", "bench.db"), "5010"),
        (("export", "nowhere/out.csv"), "5004"),
        (("copy", "bench.db"), "5010"),
    ],
)
def test_refusals(folder: Path, words: tuple[str, ...], number: str) -> None:
    done = kgo_flash(folder, "record", *words)
    assert done.returncode == 1 and done.stderr.startswith(number), done.stderr


@pytest.mark.parametrize(("word", "file"), [("export", "jobs.csv"), ("copy", "copy.db")])
def test_a_full_stick_is_told_in_the_benchs_words(folder: Path, word: str, file: str) -> None:
    (folder / "stick").mkdir()
    (folder / "photos").mkdir()
    words = ("record", word, file, "--language", "en", "--settings", str(folder / "bench.toml"))
    (folder / "bench.toml").write_text("")
    filled = ("sh", "-c", 'cat /dev/zero > photo; exec "$@"', "sh", sys.executable, "-m", "firmware.flash", *words)
    done = subprocess.run(
        on_small_disk(folder / "stick", "64k", folder / "photos", filled),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 75 and "2003 The disk or stick that was named is full" in done.stderr, done.stderr
    assert file in done.stderr and "bench.db" not in done.stderr
    assert "No half of a file" in done.stderr and "sync" not in done.stderr


def test_looking_makes_no_record(tmp_path: Path) -> None:
    done = kgo_flash(tmp_path, "record", "list")
    assert done.returncode == 1 and done.stderr.startswith("5004") and not (tmp_path / "bench.db").exists()


def test_a_damaged_record_is_told_with_what_is_wrong(folder: Path) -> None:
    record = Record.open(folder / "bench.db")
    record.write([("INSERT INTO ending VALUES (9, 'done', 1, 0)", ())])
    record.close()
    done = kgo_flash(folder, "record", "check")
    assert done.returncode == 1 and done.stderr.startswith("7301") and "มี ending ของงาน 9" in done.stdout
    for language in ("th", "en"):  # what to do next, and not what was just done
        said = kgo_flash(folder, "record", "check", "--language", language).stderr
        assert "kgo-flash record copy" in said and "record check" not in said


def test_a_sound_record_is_counted_and_copied(folder: Path) -> None:
    said = kgo_flash(folder, "record", "check", "--language", "en").stdout
    assert "3 jobs, 1 interrupted, 1 failed, 1 whose records differ; 0 more" in said
    assert kgo_flash(folder, "record", "copy", "copy.db").returncode == 0
    os.replace(folder / "copy.db", folder / "bench.db")
    assert kgo_flash(folder, "record", "check", "--language", "en").stdout == said


def test_a_file_that_somebody_else_wrote_steers_no_terminal(folder: Path) -> None:
    record = Record.open(folder / "bench.db")
    bad = "\x1b]0;x\x07\r\n=1"
    record.write(
        [
            ("INSERT INTO job VALUES (4, ?, ?, ?, 1)", (bad, f"A{bad}", bad)),
            ("INSERT INTO step VALUES (4, 1, ?, 1)", (bad,)),
            ("INSERT INTO intended VALUES (4, ?, ?)", (bad, bad)),
        ]
    )
    record.close()
    said = kgo_flash(folder, "record", "list").stdout + kgo_flash(folder, "record", "show", f"A{bad}").stdout
    assert "\\x1b]0;x" in said and "\x1b" not in said and "\x07" not in said
    kgo_flash(folder, "record", "export", "out.csv")
    raw = (folder / "out.csv").read_bytes()
    assert raw.count(b"\n") == 7 and b"\x1b" not in raw


def test_the_export_is_what_a_spreadsheet_opens(folder: Path) -> None:
    assert kgo_flash(folder, "record", "export", "out.csv").returncode == 0
    raw = (folder / "out.csv").read_bytes()
    assert raw.startswith(b"\xef\xbb\xbf") and raw.count(b"\r\n") == raw.count(b"\n") == 6
    rows = list(csv.DictReader(StringIO(raw.decode("utf-8-sig"), newline="")))
    assert rows[0] == {
        **{"job": "1", "what": "flash-head", "subject": "E661", "who": "สมชาย", "outcome": "done", "refusal": ""},
        **{"begun": "2026-11-22T08:52:25+07:00", "ended": "2026-11-22T08:52:34+07:00", "last_step": "base"},
        **{"key": "firmware_version", "intended": "0.3.0", "verified": "0.2.9", "agrees": "no"},
    }
    assert [row["agrees"] for row in rows] == ["no", "not intended", "yes", "", "not verified"]
    assert rows[3]["refusal"] == "7001" and (rows[4]["outcome"], rows[4]["ended"]) == ("interrupted", "")
    assert oct((folder / "out.csv").stat().st_mode)[-3:] == "600"


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
        ("+66", "'+66"),
        ("-1", "'-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("1E52", "'1E52"),
        ("00012345", "'00012345"),
        ("1234567890123456", "'1234567890123456"),
        ("0.10", "'0.10"),
        ("1-2", "'1-2"),
        ("00:11:22", "'00:11:22"),
        ("0.3.0", "0.3.0"),
        ("E6614103E7452D2F", "E6614103E7452D2F"),
        ("28:cd:c1:00:11:22", "28:cd:c1:00:11:22"),
        ("123456", "123456"),
        ('a "b", c', '"a ""b"", c"'),
        ("หัวอ่าน; ตัวที่ 2", '"หัวอ่าน; ตัวที่ 2"'),
    ],
)
def test_no_cell_is_a_formula_or_becomes_another_number(tmp_path: Path, value: str, cell: str) -> None:
    record = Record.open(tmp_path / "bench.db")
    record.end(record.begin("flash-head", "E661", {"serial": value}, "som", NOW_S), DONE, {"serial": value}, NOW_S)
    line = b"".join(exported(jobs(record))).decode("utf-8-sig").splitlines()[1]
    assert line.endswith(f",serial,{cell},{cell},yes")
    record.close()


def test_what_is_left_of_a_record_is_not_taken_for_a_new_one(tmp_path: Path) -> None:
    """Looking at an empty file found a sound record without jobs; a name that no file can have ended in a traceback."""
    (tmp_path / "bench.db").touch()
    done = kgo_flash(tmp_path, "record", "check", "--language", "en")
    assert done.returncode == 1 and done.stderr.startswith("7301 "), done.stderr
    (tmp_path / "bench.toml").write_text(f'[bench]\nrecord = "{"a" * 300}"\n')
    done = kgo_flash(tmp_path, "record", "list", "--language", "en")
    assert done.returncode == 1 and done.stderr.startswith("5004 "), done.stderr


def test_a_serial_stays_in_one_piece_on_a_narrow_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = Record.open(tmp_path / "bench.db")
    for outcome in (FAILED, DONE):
        job = record.begin("flash-head", "e660583883000002", {}, "som", NOW_S)
        record.end(job, outcome, {}, NOW_S, 7_001)
    record.close()
    monkeypatch.setenv("COLUMNS", "80")
    for language in ("th", "en"):
        assert kgo_flash(tmp_path, "record", "list", "--language", language).stdout.count("e660583883000002") == 2


def test_a_full_output_is_told_and_ends_with_no_traceback(tmp_path: Path) -> None:
    Record.open(tmp_path / "bench.db").close()
    words = (sys.executable, "-m", "firmware.flash", "--language", "en", "record", "check")
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            words,
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1 and done.stderr.splitlines()[0].startswith("4095 ")
    assert len(done.stderr.splitlines()) == 3, done.stderr

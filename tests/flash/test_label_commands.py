"""`kgo-flash label` as it is typed: files, a simulated printer on its wire, a simulated scanner on its port."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from firmware.flash.label_picture import codes_in
from firmware.flash.record import DONE, FAILED, Record
from firmware.flash.record_reading import Job, jobs
from offline_ledger.protocol.label import Label, encode_label
from simulators.demo.processes import wait_until
from simulators.printer.device import Fault, SimulatedPrinter
from simulators.printer.lines import NetworkPrinter, SerialPrinter
from simulators.scanner import SimulatedScanner
from tests.flash.bench_program import kgo_flash

NOW_S = 1_795_312_345
FACTS = {
    **{"device_id": "BUS-0012", "serial": "10000000abcdef01", "mac": "dc:a6:32:01:02:03"},
    **{"key_fingerprint": "ab12cd34ef567890", "role": "bus", "city": "TH-40"},
}
TEXT = encode_label(Label("BUS-0012", "TH-40", FACTS["serial"], bytes.fromhex(FACTS["key_fingerprint"])))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A bench that provisioned two devices."""
    record = Record.open(tmp_path / "bench.db")
    for facts in (FACTS, {"device_id": "SHOP-7", "serial": "S7", "role": "pos"}):
        record.end(record.begin("provision", facts["device_id"], {}, "som", NOW_S), DONE, facts, NOW_S)
    record.close()
    return tmp_path


@pytest.fixture
def network() -> Iterator[NetworkPrinter]:
    with NetworkPrinter(SimulatedPrinter(58)) as made:
        yield made


def last_job(folder: Path) -> Job:
    record = Record.open(folder / "bench.db")
    job = jobs(record)[-1]
    record.close()
    return job


def test_a_picture_and_a_page_and_the_record_of_them(folder: Path) -> None:
    (folder / "bench.toml").write_text('[bench]\ntechnician = "สมชาย"\n[label]\nfound = "โทร. 043-271-123"\n')
    done = kgo_flash(folder, "label", "BUS-0012", "--out", "a.png", "--out", "a.pdf")
    assert done.returncode == 0 and "เขียนป้ายของ BUS-0012" in done.stdout, done.stderr
    with Image.open(folder / "a.png") as picture:
        assert codes_in(picture) == [TEXT] and picture.size == (400, 240)
        assert [round(one) for one in picture.info["dpi"]] == [203, 203]
    page = re.search(rb"MediaBox \[0 0 ([\d.]+) ([\d.]+)\]", (folder / "a.pdf").read_bytes())
    assert page is not None
    assert [round(float(points) * 254 / 72) for points in page.groups()] == [500, 300], "tenths of a millimetre"
    job = last_job(folder)
    assert (job.what, job.subject, job.who, job.outcome) == ("label", "BUS-0012", "สมชาย", DONE)
    assert job.verified("label_text") == TEXT and not job.differences and not job.unverified
    assert [step.name for step in job.steps] == ["write png", "write pdf"]


def test_without_a_word_about_where_it_is_a_file_here(folder: Path) -> None:
    assert kgo_flash(folder, "label", "SHOP-7").returncode == 0
    assert (folder / "label-SHOP-7.png").exists()
    again = kgo_flash(folder, "label", "SHOP-7")
    assert again.returncode == 1 and again.stderr.startswith("5010"), "nothing is overwritten"


@pytest.mark.parametrize("size", ["50x30", "58mm", "80mm"])
def test_what_is_printed_reads_as_it_was_drawn(folder: Path, size: str) -> None:
    printer = SimulatedPrinter(80)
    with NetworkPrinter(printer) as desk:
        done = kgo_flash(folder, "label", "BUS-0012", "--printer", desk.address, "--size", size, "--out", "a.png")
        assert done.returncode == 0, done.stderr
        wait_until(lambda: bool(printer.sheets), "paper")
    (sheet,) = printer.sheets
    with Image.open(folder / "a.png") as picture:
        assert sheet.crop((0, 0, *picture.size)).tobytes() == picture.tobytes()
    assert codes_in(sheet) == [TEXT] and printer.unknown_bytes == 0
    assert [step.name for step in last_job(folder).steps] == ["write png", "print"]


def test_a_label_printer_in_the_settings_on_a_serial_port(folder: Path, tmp_path: Path) -> None:
    printer = SimulatedPrinter(58)
    with SerialPrinter(printer, tmp_path / "printer0") as desk:
        (folder / "bench.toml").write_text(f'[label]\nprinter = "{desk.address}"\n')
        done = kgo_flash(folder, "label", "BUS-0012")
        assert done.returncode == 0, done.stderr
        wait_until(lambda: bool(printer.sheets), "paper")
    assert codes_in(printer.sheets[0]) == [TEXT] and not list(folder.glob("*.png"))


@pytest.mark.parametrize(
    ("fault", "number"), [(Fault.NO_PAPER, 6096), (Fault.COVER_OPEN, 6098), (Fault.NO_PAPER_MID_PRINT_ONCE, 6096)]
)
def test_a_printer_that_does_not_print_is_told_and_recorded(
    folder: Path, network: NetworkPrinter, fault: Fault, number: int
) -> None:
    network.fault(fault)
    done = kgo_flash(folder, "label", "BUS-0012", "--printer", network.address)
    assert done.returncode == 1 and done.stderr.startswith(str(number))
    job = last_job(folder)
    assert (job.outcome, job.refusal_number, job.steps[-1].name) == (FAILED, number, "print")


def test_a_printer_that_never_answers_is_printed_on_blindly(folder: Path, network: NetworkPrinter) -> None:
    network.fault(Fault.SILENT)
    (folder / "bench.toml").write_text(f'[label]\nprinter = "{network.address}"\nprinter_answers = false\n')
    assert kgo_flash(folder, "label", "BUS-0012").returncode == 0
    wait_until(lambda: bool(network.printer.sheets), "paper")


@pytest.mark.parametrize(("subject", "said"), [("BUS-0012", "ป้ายถูกต้อง"), ("SHOP-7", "7317"), ("", "ป้ายถูกต้อง")])
def test_a_scanner_reads_the_label(folder: Path, tmp_path: Path, subject: str, said: str) -> None:
    port = tmp_path / "scanner0"
    words = ("label", *filter(None, [subject]), "--scanner", str(port), "--wait", "20")
    with SimulatedScanner(port, seed=1) as scanner:
        command = [sys.executable, "-m", "firmware.flash", *words]
        asking = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert asking.stdout is not None and "สแกนป้ายได้เลย" in asking.stdout.readline()
        scanner.send(TEXT)
        told, _ = asking.communicate(timeout=60)
    assert said in told


def test_a_scanner_that_reads_nothing(folder: Path, tmp_path: Path) -> None:
    with SimulatedScanner(tmp_path / "scanner0", seed=1):
        done = kgo_flash(folder, "label", "--scanner", str(tmp_path / "scanner0"), "--wait", "1")
    assert done.returncode == 75 and done.stderr.startswith("7315"), "worth trying again"


def test_a_scanner_that_is_not_there_is_told_at_once_with_what_the_bench_can_do(folder: Path) -> None:
    done = kgo_flash(folder, "label", "--scanner", str(folder / "scanner0"), "--wait", "60", "--language", "en")
    assert done.returncode == 75 and done.stderr.startswith("6003") and "behind --scanner" in done.stderr
    assert "Scan the label now" not in done.stdout


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--check", TEXT), 0, "ป้ายถูกต้อง"),
        (("--check", TEXT.lower()), 0, "ป้ายถูกต้อง"),
        (("SHOP-7", "--check", TEXT), 1, "7317"),
        (("--check", TEXT[:-1]), 1, "7314"),
        (("--check", "8850006330012"), 1, "7313"),
        (("--image", "nowhere.png"), 1, "5004"),
        ((), 2, "บอกรหัสเครื่อง"),
        (("NOBODY",), 1, "7308"),
        (("BUS-0012", "--size", "20x10"), 1, "7311"),
        (("BUS-0012", "--out", "a.gif"), 2, "a.gif ไม่ใช่ไฟล์ .png หรือ .pdf"),
        (("BUS-0012", "--printer", "lpt1"), 2, "lpt1 ไม่ใช่ที่อยู่เครื่องพิมพ์"),
        (("--check", TEXT, "--image", "a.png"), 2, "--image"),
        (("BUS-0012", "--printer", "usb:/dev/usb/nowhere", "--language", "en"), 75, "ask for the label again"),
    ],
)
def test_what_is_typed(folder: Path, words: tuple[str, ...], code: int, said: str) -> None:
    done = kgo_flash(folder, "label", *words)
    assert done.returncode == code and said in done.stdout + done.stderr


def test_settings_that_are_none(folder: Path) -> None:
    (folder / "bench.toml").write_text('[label]\nprinter = "lpt1"\nsize = "50x30x20"\nprinter_answers = "yes"\n')
    done = kgo_flash(folder, "label", "BUS-0012")
    assert done.returncode == 2
    assert all(name in done.stderr for name in ("label.printer", "label.size", "label.printer_answers"))

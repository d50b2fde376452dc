"""From a bare board to a label that is checked: the record in between is the only thing that carries it. DESIGN §11."""

from pathlib import Path

from firmware.flash.label_check import judge, label_in
from firmware.flash.record import Record
from firmware.flash.record_reading import jobs_about
from offline_ledger.protocol.label import Label
from tests.flash.bench_program import kgo_flash
from tests.flash.heads import HeadBench, board_at


def test_a_head_that_was_flashed_has_a_label_of_its_own(head_bench: HeadBench, head_image: bytes) -> None:
    with board_at(head_bench.link, head_image):
        head_bench.flash()
    head_bench.record.close()
    folder: Path = head_bench.folder
    serial = "e660583883000001"
    done = kgo_flash(folder, "label", serial.upper(), "--out", "head.png", "--size", "40x30")
    assert done.returncode == 0, done.stderr
    record = Record.open(folder / "bench.db")
    label, facts = judge(label_in(folder / "head.png"), record, "TH-40", serial)
    assert label == Label(serial, "TH-40", serial, b"") and facts["serial"] == serial
    assert [job.what for job in jobs_about(record, serial)] == ["flash-head", "label"]
    record.close()

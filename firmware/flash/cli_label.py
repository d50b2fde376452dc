"""`kgo-flash label`: a device's label as picture, PDF or print, and is this label the device's own? FIELD_LESSONS 35.

What was drawn is read back before it is printed, and the record says so. Checking writes nothing.
"""

from argparse import ArgumentTypeError, Namespace
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from firmware.flash.bench import OK, USAGE, AddCommand, Bench
from firmware.flash.label_check import judge, label_among, label_in
from firmware.flash.label_facts import label_facts
from firmware.flash.record import DONE, FAILED
from firmware.flash.record_opening import opened_record
from firmware.flash.record_reading import LABEL
from offline_ledger.errors import LabelNotSeen, LabelSizeWrong, Refusal
from offline_ledger.named_files import check_named, write_named
from offline_ledger.terminal.printer_address import PrinterSettings, parse_address
from offline_ledger.texts import Texts
from offline_ledger.texts.command_line import whole

if TYPE_CHECKING:
    from PIL.Image import Image


DPI = 203
DPIS = (203, 300)
DOTS_58_MAX, DOTS_80_MAX = 384, 576
SCAN_S_MAX = 600
SCAN_S = 30


def add(add_command: AddCommand) -> None:
    """The command of labels."""
    parser = add_command("label", _label)
    parser.add_argument("subject", nargs="?", default="", metavar="SUBJECT")
    parser.add_argument("--out", type=_out(parser.texts), action="append", default=[], metavar="FILE")
    parser.add_argument("--printer", type=_printer(parser.texts), metavar="ADDRESS")
    parser.add_argument("--size", metavar="SIZE")
    parser.add_argument("--dpi", type=int, choices=DPIS, default=DPI)
    checked = parser.add_mutually_exclusive_group()
    checked.add_argument("--check", metavar="TEXT")
    checked.add_argument("--image", type=Path, metavar="FILE")
    checked.add_argument("--scanner", metavar="PORT")
    parser.add_argument("--wait", type=whole(parser.texts, 1, SCAN_S_MAX), default=SCAN_S, metavar="SECONDS")


def _label(bench: Bench, said: Namespace) -> int:
    if said.check is not None or said.image is not None or said.scanner is not None:
        return _check(bench, said)
    if not said.subject:
        bench.say("label.subject_missing")
        return USAGE
    return _make(bench, said)


def _make(bench: Bench, said: Namespace) -> int:
    from firmware.flash.label_picture import LabelPainter, parse_size

    size = parse_size(said.size or bench.settings.text("label.size"))
    address = parse_address(said.printer if said.printer is not None else bench.settings.text("label.printer"))
    files: list[Path] = said.out or ([] if address else [Path(f"label-{_file_name(said.subject)}.png")])
    for file in files:
        check_named(file)
    with opened_record(bench) as record:
        facts = label_facts(record, said.subject, bench.settings.text("city.id"), bench.now_s())
        intended = facts.said | {"label_size": size.name}
        job = record.begin(LABEL, facts.label.device, intended, bench.settings.text("bench.technician"), bench.now_s())
        try:
            picture = LabelPainter(said.dpi).draw(facts, size, bench.settings.text("label.found"))
            for file in files:
                record.step(job, f"write {file.suffix[1:]}", bench.now_s())
                write_named(file, _encoded(picture, file, said.dpi))
                bench.say("label.written", file=file, device=facts.label.device)
            if address is not None:
                record.step(job, "print", bench.now_s())
                is_asked = bench.settings.values["label.printer_answers"] is True
                _print(picture, PrinterSettings(address, 58 if picture.width <= DOTS_58_MAX else 80, is_asked))
                bench.say("label.printed", printer=address, device=facts.label.device)
        except Refusal as refusal:
            record.end(job, FAILED, {}, bench.now_s(), refusal.number)
            raise
        record.end(job, DONE, _read_back(picture) | {"label_size": size.name}, bench.now_s())
    return OK


def _check(bench: Bench, said: Namespace) -> int:
    if said.image is not None:
        text = label_in(said.image)
    else:
        text = said.check if said.check is not None else _scanned(bench, said.scanner, said.wait)
    with opened_record(bench) as record:
        label, facts = judge(text, record, bench.settings.text("city.id"), said.subject)
    bench.say("label.sound", device=label.device, city=label.city, serial=label.serial or "-")
    for key in ("mac", "firmware_version", "version", "trust_list_version"):
        if key in facts:
            bench.print(f"  {key}: {facts[key]}")
    return OK


# --- inside


def _encoded(picture: "Image", file: Path, dpi: int) -> bytes:
    if file.suffix == ".pdf":
        from offline_ledger.raster_pdf import pdf_of

        return pdf_of([picture], dpi, "KGO device label")
    out = BytesIO()
    picture.save(out, "PNG", dpi=(dpi, dpi), optimize=True)
    return out.getvalue()


def _read_back(picture: "Image") -> dict[str, str]:
    from firmware.flash.label_picture import codes_in
    from offline_ledger.protocol.label import decode_label

    (text,) = codes_in(picture)
    label = decode_label(text)
    known = {"serial": label.serial, "key_fingerprint": label.key_id.hex()}
    return {"label_text": text, "city": label.city} | {key: value for key, value in known.items() if value}


def _print(picture: "Image", settings: PrinterSettings) -> None:
    from offline_ledger.terminal.drivers.printer import EscposPrinter
    from offline_ledger.terminal.drivers.printer_commands import defused

    if picture.width > DOTS_80_MAX:
        raise LabelSizeWrong(f"{picture.width} dots, and the printer has {DOTS_80_MAX}")
    printer = EscposPrinter(settings)
    try:
        printer.print(defused(picture), _nothing, _nothing)
    finally:
        printer.close()


def _nothing() -> None: ...


def _scanned(bench: Bench, port: str, wait_s: int) -> str:
    """The first code that the scanner reads. Raises LabelNotSeen, ScannerLost."""
    from offline_ledger.terminal.drivers.scanner import ScannerSettings, SerialScanner

    scanner = SerialScanner(ScannerSettings(port))
    try:
        if not scanner.open():
            raise scanner.take_refusals()[0]
        bench.say("label.scan_now", seconds=wait_s)
        for _second in range(wait_s):
            if texts := scanner.poll(1.0):
                return label_among(texts)
        if refused := scanner.take_refusals():
            raise refused[0]
        raise LabelNotSeen(port)
    finally:
        scanner.close()


def _out(texts: Texts) -> Callable[[str], Path]:
    def check(text: str) -> Path:
        if Path(text).suffix not in (".png", ".pdf"):
            raise ArgumentTypeError(texts.get("flash.label.not_out", text=text[:40]))
        return Path(text)

    return check


def _printer(texts: Texts) -> Callable[[str], str]:
    def check(text: str) -> str:
        try:
            parse_address(text)
        except ValueError:
            raise ArgumentTypeError(texts.get("settings.not_printer", name=text[:40])) from None
        return text

    return check


def _file_name(subject: str) -> str:
    return "".join(one if one.isalnum() or one in "-_" else "_" for one in subject)[:60]

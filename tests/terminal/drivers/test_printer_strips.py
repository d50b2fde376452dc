"""The short way of sending a picture, for slow lines: the same dots, in fewer bytes, and nothing that is a command."""

import random

import pytest
from PIL import Image, ImageChops

from offline_ledger.terminal.drivers.printer_commands import BAND_ROWS, REAL_TIME, Commands, defused
from pos_app.paper.raster import DOTS_OF_MM, ReceiptPainter
from pos_app.paper.receipt import Language
from simulators.printer.device import BUFFER_BYTES, SimulatedPrinter
from simulators.printer.samples import of_every_kind, sale

COMMANDS = Commands()


def printed(picture: Image.Image) -> tuple[Image.Image, SimulatedPrinter, list[bytes]]:
    """What a printer makes of the bytes."""
    printer = SimulatedPrinter({dots: mm for mm, dots in DOTS_OF_MM.items()}[picture.width])
    bands = list(COMMANDS.bands(picture, is_trimmed=True))
    end = COMMANDS.start()  # a last byte that may begin a command is held back until another comes
    answers = b"".join(printer.receive(data) for data in (*bands, end))
    paper = printer.paper()
    assert paper is not None and (answers, printer.unknown, printer.texts) == (b"", [], "")
    return paper, printer, bands


@pytest.mark.parametrize("paper", sorted(DOTS_OF_MM))
@pytest.mark.parametrize("name", list(of_every_kind(Language.TH)))
def test_every_dot_is_where_it_was(name: str, paper: int) -> None:
    picture = ReceiptPainter(paper).draw(of_every_kind(Language.BOTH)[name])
    out, _printer, bands = printed(picture)
    assert out.size == picture.size and out.tobytes() == picture.tobytes()
    assert len(bands) == -(-picture.height // BAND_ROWS) and max(map(len, bands)) * 2 <= BUFFER_BYTES


@pytest.mark.parametrize("paper", sorted(DOTS_OF_MM))
def test_a_receipt_takes_two_thirds_of_the_bytes(paper: int) -> None:
    picture = ReceiptPainter(paper).draw(sale())
    whole = sum(map(len, COMMANDS.bands(picture)))
    trimmed = sum(map(len, COMMANDS.bands(picture, is_trimmed=True)))
    assert trimmed * 3 < whole * 2


def test_pictures_of_chance_come_out_as_they_are(rng: random.Random) -> None:
    """Rows of any width, ink at either edge or nowhere, and the bytes of commands as often as they come."""
    for _ in range(60):
        rows = bytearray()
        for _row in range(rng.randrange(1, 60)):
            used = rng.choice((0, 0, 1, 2, 30, 71, 72))
            dots = bytes(rng.choice((0x00, 0x04, 0x05, 0x10, 0x14, 0x01, 0xFF)) for _ in range(used))
            rows += dots.ljust(72, b"\0")
        picture = ImageChops.invert(Image.frombytes("1", (576, len(rows) // 72), bytes(rows)))
        safe = defused(picture)
        out, printer, _bands = printed(safe)
        assert out.tobytes() == safe.tobytes() and printer.pulses == []


@pytest.mark.parametrize("command", REAL_TIME)
def test_two_rows_that_are_cut_off_do_not_become_a_command(command: bytes) -> None:
    """The end of a row and the beginning of the next, once no blank is between: DLE DC4 opens the drawer."""
    rows = (b"\x01" * 9 + command[:1]).ljust(72, b"\0") + (command[1:] + b"\x01" * 9).ljust(72, b"\0")
    picture = ImageChops.invert(Image.frombytes("1", (576, 24), rows * 12))
    assert defused(picture) is picture, "with its blanks it is harmless"
    out, printer, bands = printed(picture)
    assert out.tobytes() == picture.tobytes() and printer.pulses == []
    assert not any(command in band for band in bands)

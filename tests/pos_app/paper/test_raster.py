"""Receipts as dots: nothing cut, nothing meets, amounts at the edge, and a code that another program reads."""

import random
from itertools import pairwise
from pathlib import Path
from shutil import copytree

import pytest
import zxingcpp
from PIL import Image, ImageChops

from offline_ledger.errors import ReceiptUnreadable, ScreenFontWrong
from offline_ledger.money import format_minor
from offline_ledger.terminal.drivers.printer_commands import defused
from offline_ledger.texts.typeface import BOLD, FOLDER
from pos_app.paper import raster
from pos_app.paper.layout import EITHER, Pair, Part, Size, Words
from pos_app.paper.raster import DOTS_OF_MM, MARGIN_DOTS, ReceiptPainter, code_picture
from pos_app.paper.receipt import Item, Language, Shop
from simulators.printer.samples import draw_samples, long_sale, of_every_kind, printer_test, sale, voucher_text

PAPERS = sorted(DOTS_OF_MM)
ALL = list(of_every_kind(Language.TH))


@pytest.fixture(scope="module")
def painters() -> dict[int, ReceiptPainter]:
    return {paper: ReceiptPainter(paper) for paper in PAPERS}


def ink_box(picture: Image.Image) -> tuple[int, int, int, int]:
    box = ImageChops.invert(picture.convert("L")).getbbox()
    assert box is not None
    return box


def rows_with_ink(picture: Image.Image) -> list[bool]:
    ink = ImageChops.invert(picture.convert("L"))
    return [ink.crop((0, at, ink.width, at + 1)).getbbox() is not None for at in range(ink.height)]


@pytest.mark.parametrize("paper", PAPERS)
@pytest.mark.parametrize("name", ALL)
def test_every_kind_fits_the_paper(painters: dict[int, ReceiptPainter], name: str, paper: int) -> None:
    for language in Language:
        picture = painters[paper].draw(of_every_kind(language)[name])
        assert picture.mode == "1" and picture.width == DOTS_OF_MM[paper]
        _left, top, _right, bottom = ink_box(picture)
        assert 0 < top or name in ("training", "copy", "doubtful")
        assert bottom <= picture.height


def test_letters_never_touch_the_edge_of_the_paper(painters: dict[int, ReceiptPainter]) -> None:
    for paper, painter in painters.items():
        for language in Language:
            left, top, right, bottom = ink_box(painter.draw(sale(language)))
            assert left >= MARGIN_DOTS - 1 and right <= DOTS_OF_MM[paper] - MARGIN_DOTS + 1
            assert top >= raster.TOP_DOTS and bottom > 0


@pytest.mark.arm64
@pytest.mark.parametrize("paper", PAPERS)
@pytest.mark.parametrize("name", ["sale", "refund", "void", "copy", "doubtful", "training"])
def test_the_voucher_can_be_read_off_the_paper(painters: dict[int, ReceiptPainter], name: str, paper: int) -> None:
    receipt = of_every_kind(Language.BOTH)[name]
    found = zxingcpp.read_barcodes(painters[paper].draw(receipt).convert("L"))
    assert [code.text for code in found] == [receipt.voucher]


def test_the_code_is_the_one_that_another_maker_draws() -> None:
    """`qrcode` is somebody else's: the same version and level, and each reads the other's."""
    import qrcode

    for seed in range(3):
        text = voucher_text(seed)
        picture = code_picture(text, 576)
        (found,) = zxingcpp.read_barcodes(picture)
        assert found.text == text and found.ec_level == "M"
        other = qrcode.QRCode(error_correction=qrcode.ERROR_CORRECT_M)
        other.add_data(text)
        other.make(fit=True)
        dots = picture.width // (picture.width // (other.modules_count + 8))
        assert dots == other.modules_count + 8


@pytest.mark.parametrize(("characters", "width"), [(600, 384), (600, 576), (1, 384)])
def test_the_longest_code_fits_the_narrowest_paper(characters: int, width: int) -> None:
    picture = code_picture("A" * characters, width)
    assert picture.width <= width
    assert zxingcpp.read_barcodes(picture)[0].text == "A" * characters


def test_a_code_that_cannot_be_drawn_is_refused() -> None:
    for text, width in (("", 384), ("A" * 5_000, 384), ("A" * 600, 100)):
        with pytest.raises(ReceiptUnreadable):
            code_picture(text, width)


def test_sixty_lines_print_whole(painters: dict[int, ReceiptPainter]) -> None:
    for painter in painters.values():
        receipt = long_sale(60)
        picture = painter.draw(receipt)
        assert picture.height > 60 * 26
        (found,) = zxingcpp.read_barcodes(picture.convert("L"))
        assert found.text == receipt.voucher
        for item in (receipt.items[2], receipt.items[57]):  # drawn as it is drawn alone, first and last
            band = trimmed(page_of(painter, Pair(item.name, format_minor(item.total_satang))))
            assert band.height > 15 and band.tobytes() in picture.tobytes()


def page_of(painter: ReceiptPainter, *parts: Part) -> Image.Image:
    page = raster._Page(painter, "")  # pyright: ignore[reportPrivateUsage]
    for part in parts:
        page.add(part)
    return page.finished()


def trimmed(picture: Image.Image) -> Image.Image:
    """From its first row with ink to its last."""
    rows = rows_with_ink(picture)
    return picture.crop((0, rows.index(True), picture.width, len(rows) - rows[::-1].index(True)))


@pytest.mark.parametrize("size", [Size.SMALL, Size.NORMAL, Size.LARGE])
@pytest.mark.parametrize("text", ["ที่ปู่ กู้ ญู ฐุ ฎู ฟ้า", "yjgqp ÅÄÖ ฏฎ"])
def test_marks_of_two_lines_never_meet(painters: dict[int, ReceiptPainter], text: str, size: Size) -> None:
    """Three lines of the highest and lowest marks are three times the picture of one, with white between."""
    painter = painters[58]
    line = Words(text, size, is_bold=True)
    one, three = trimmed(page_of(painter, line)), trimmed(page_of(painter, line, line, line))
    row_bytes = three.width // 8
    tops = [at for at in range(three.height) if three.tobytes()[at * row_bytes :].startswith(one.tobytes())]
    assert len(tops) == 3 and all(after - before > one.height for before, after in pairwise(tops))
    assert sum(rows_with_ink(three)) == 3 * sum(rows_with_ink(one))


def test_amounts_stand_at_the_right_edge(painters: dict[int, ReceiptPainter]) -> None:
    painter = painters[58]
    for amount in (1, 99_999, 1_234_567_890_12):
        _left, _top, right, _bottom = ink_box(page_of(painter, Pair("ข้าว", format_minor(amount))))
        assert DOTS_OF_MM[58] - MARGIN_DOTS - 3 <= right <= DOTS_OF_MM[58] - MARGIN_DOTS


@pytest.mark.parametrize("width", [60, 120, 376])
def test_lines_break_between_words_and_never_inside_a_letter(painters: dict[int, ReceiptPainter], width: int) -> None:
    painter = painters[58]
    font = painter.font(Size.NORMAL, is_bold=False)
    for text in ("ก๋วยเตี๋ยวเรือน้ำตกหมู เส้นเล็ก พิเศษ", "ปลาดุกฟูผัดพริกขิงฎฐญูปู่กุ้ง", "Supercalifragilistic", "กกกกกกกกก้้้้"):
        found = painter.lines(text, Size.NORMAL, width, is_bold=False)
        assert "".join(found).replace(" ", "") == text.replace(" ", "")
        for line in found:
            assert font.width(line) <= width or len(line) == 1
            assert not line.startswith(tuple("ะาำิีึืุูั็่้๊๋์ๆ")), found
    wide = painter.lines("ก๋วยเตี๋ยวเรือน้ำตกหมู เส้นเล็ก พิเศษ", Size.NORMAL, 240, is_bold=False)
    assert wide == ["ก๋วยเตี๋ยวเรือน้ำตกหมู", "เส้นเล็ก พิเศษ"]


def test_two_languages_share_a_line_or_have_one_each(painters: dict[int, ReceiptPainter]) -> None:
    lines = painters[58].lines
    assert lines(f"วันที่{EITHER}Date", Size.NORMAL, 300, is_bold=False) == ["วันที่ / Date"]
    assert lines(f"วันที่{EITHER}Date", Size.NORMAL, 90, is_bold=False) == ["วันที่", "Date"]


HOSTILE = [
    "",
    " ",
    "\u200b" * 5,
    "😀🍜 ก๋วยเตี๋ยว",
    "ก" + "้" * 300,
    "x" * 900,
    "\u202eabc",
    "\x1b@\x10\x14\x01",
    "שלום",
    "ﷺ",
    "漢字",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_strange_names_print_and_stay_on_the_paper(painters: dict[int, ReceiptPainter], name: str) -> None:
    for paper, painter in painters.items():
        receipt = sale(Language.TH)._replace(
            shop=Shop(name, name, name, name), number=name, cashier=name, note=name, campaign=name
        )
        receipt = receipt._replace(items=(Item(name, -3, -1, 10**15),), rows=((name, name), (name, "")))
        picture = painter.draw(receipt)
        _left, top, right, bottom = ink_box(picture)
        assert 0 <= top < bottom <= picture.height and right <= DOTS_OF_MM[paper]
        assert zxingcpp.read_barcodes(picture.convert("L"))[0].text == receipt.voucher


def test_a_receipt_without_an_end_is_refused(painters: dict[int, ReceiptPainter]) -> None:
    items = (Item("ยาวมาก " * 40, 2, 1, 1),) * 300
    with pytest.raises(ReceiptUnreadable, match="dots long"):
        painters[58].draw(sale(Language.TH)._replace(items=items))


def test_training_is_all_over_the_paper(painters: dict[int, ReceiptPainter]) -> None:
    """Whoever tears off a piece as long as a hand is wide still sees it."""
    for painter in painters.values():
        usual, training = (painter.draw(one) for one in (sale(), sale()._replace(is_training=True)))
        assert training.height > usual.height
        blank = painter.draw(printer_test()._replace(is_training=True))
        assert all(any(rows_with_ink(blank)[at : at + 60]) for at in range(0, blank.height - 60, 60))


def test_a_picture_holds_no_command_that_a_printer_obeys_at_once(rng: random.Random) -> None:
    """DLE EOT, DLE ENQ, DLE DC4 are obeyed in the middle of a picture; the last opens a drawer."""
    commands = (b"\x10\x04", b"\x10\x05", b"\x10\x14")
    raw = bytearray(rng.randbytes(72 * 40))
    for at, command in enumerate(commands * 3):
        raw[at * 200 + at : at * 200 + at + 2] = command
    raw[71:73] = commands[0]  # over the end of a row
    picture = ImageChops.invert(Image.frombytes("1", (576, 40), bytes(raw)))
    safe = ImageChops.invert(defused(picture)).tobytes()
    assert not any(command in safe for command in commands)
    changed = sum((a ^ b).bit_count() for a, b in zip(bytes(raw), safe, strict=True))
    assert 10 <= changed <= 40  # one dot for each
    assert all(b & a == a for a, b in zip(bytes(raw), safe, strict=True))  # dots are added, never taken away
    harmless = Image.new("1", (576, 10), 1)
    assert defused(harmless) is harmless


def test_another_font_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "fonts"
    copytree(FOLDER, folder)
    painter = ReceiptPainter(58, folder)
    (folder / BOLD).unlink()
    with pytest.raises(ScreenFontWrong, match="6083"):
        painter.draw(sale())
    with pytest.raises(ScreenFontWrong):
        ReceiptPainter(58, folder)


@pytest.mark.arm64
def test_the_samples_in_the_docs_are_what_is_drawn(tmp_path: Path) -> None:
    docs = Path(__file__).parents[3] / "docs" / "receipts"
    for drawn in draw_samples(tmp_path):
        with Image.open(drawn) as now, Image.open(docs / drawn.name) as kept:
            assert now.tobytes() == kept.tobytes(), (
                f"python -m simulators.printer --samples docs/receipts: {drawn.name}"
            )

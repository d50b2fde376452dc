"""The printed sheet: every code reads from the page, also copied, dim and crooked; every text fits. DESIGN §2."""

import re
import zlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
import zxingcpp
from PIL import Image, ImageChops, ImageFilter, ImageOps, features

from offline_ledger import errors
from offline_ledger.city import coupon_sheet, coupons
from offline_ledger.city.coupon_sheet import DPI, PAGE_PX, Line, Pens, px
from offline_ledger.city.coupons import Device, Order, Printed
from offline_ledger.protocol import qr
from offline_ledger.protocol.device import DeviceRole
from offline_ledger.protocol.wallet import ID_CHARACTERS_MAX
from offline_ledger.qr_picture import QUIET_MODULES, code_picture
from offline_ledger.raster_pdf import pdf_of
from offline_ledger.rules.civil import day_of
from offline_ledger.rules.tariff import NAME_CHARACTERS_MAX, Product
from tests.city.town import CITY, ISSUER_TEST_ONLY

FARE = Product("city-bus", 1, "ซิตี้บัส", "City Bus", 5_000, 100, None, None, None)
BUS = Device("bus-8", DeviceRole.VALIDATOR, "ขอนแก่นซิตี้บัส", 2_000_000)
SHOP = Device("shop-1", DeviceRole.SHOP, "ก๋วยเตี๋ยวหน้ามอ", 2_000_000)
RIDE = Order("bus-8", "0.20261130.0735", "city-bus", 5_000, day_of(20261130), 10, "")
LONG_ID = "W" * ID_CHARACTERS_MAX
LONGEST = Order(LONG_ID, LONG_ID, LONG_ID, 99_999_999, day_of(20261130), 1, "")
SEED = 2565
QR_CODES = zxingcpp.BarcodeFormats(zxingcpp.BarcodeFormat.QRCode)
TO_BLACK_AND_WHITE = [255 if dot > 120 else 0 for dot in range(256)]
TO_GREY = [90 + dot * 60 // 255 for dot in range(256)]


def coupons_for(order: Order, city: str = CITY) -> list[Printed]:
    chance = Random(SEED)
    return coupons.sign(city, ISSUER_TEST_ONLY, order, [chance.randbytes(8) for _ in range(order.count)])


@pytest.fixture(scope="module")
def pens() -> Pens:
    return Pens()


@pytest.fixture(scope="module")
def pages(pens: Pens) -> list[Image.Image]:
    """Ten ride coupons: one full page and two more on the second."""
    face = coupon_sheet.face_of(CITY, 12, RIDE, BUS, FARE, "head")
    return list(coupon_sheet.pages_of(face, coupons_for(RIDE), pens))


def texts(made: Sequence[Printed]) -> set[str]:
    return {qr.encode(qr.QrType.COUPON, one.signed.raw) for one in made}


def read(page: Image.Image) -> set[str]:
    return {found.text for found in zxingcpp.read_barcodes(page.convert("L"), formats=QR_CODES)}


def test_every_code_reads_from_its_page(pages: list[Image.Image]) -> None:
    made = coupons_for(RIDE)
    assert [page.size for page in pages] == [PAGE_PX] * 2 and {page.mode for page in pages} == {"1"}
    assert [read(page) for page in pages] == [texts(made[:8]), texts(made[8:])]


def photographed(page: Image.Image) -> Image.Image:
    """One coupon as a small camera at arm's length has it: 100 dots an inch."""
    cell = page.convert("L").crop((px(100), px(100), px(100 + coupon_sheet.CELL[0]), px(100 + coupon_sheet.CELL[1])))
    return cell.resize((cell.width * 100 // DPI, cell.height * 100 // DPI), Image.Resampling.BOX)


def copied(page: Image.Image) -> Image.Image:
    """An office copier with little toner: 200 dots an inch, grey, speckled, black and white again."""
    cell = page.convert("L").crop((px(100), px(100), px(100 + coupon_sheet.CELL[0]), px(100 + coupon_sheet.CELL[1])))
    small = cell.resize((cell.width * 200 // DPI, cell.height * 200 // DPI), Image.Resampling.BOX)
    chance = Random(SEED)
    noise = Image.frombytes("L", small.size, bytes(chance.randrange(90) for _ in range(small.width * small.height)))
    return ImageChops.add(small.filter(ImageFilter.GaussianBlur(1)), noise).point(TO_BLACK_AND_WHITE)


AS_SEEN = {
    "photographed": photographed,
    "blurred": lambda page: photographed(page).filter(ImageFilter.GaussianBlur(1)),
    "crooked": lambda page: photographed(page).rotate(17, expand=True, fillcolor=255),
    "upside down": lambda page: photographed(page).rotate(180),
    "grey on grey": lambda page: photographed(page).point(TO_GREY),
    "copied": copied,
    "a copy of a copy, crooked": lambda page: copied(page).rotate(-8, expand=True, fillcolor=255),
}


@pytest.mark.parametrize("how", AS_SEEN)
def test_a_coupon_reads_as_paper_is_shown(pages: list[Image.Image], how: str) -> None:
    seen = AS_SEEN[how](pages[0])
    assert read(seen) == texts(coupons_for(RIDE)[:1])


def test_a_module_of_the_longest_coupon_is_half_a_millimetre() -> None:
    (longest,) = coupons_for(LONGEST, "C" * 16)
    text = qr.encode(qr.QrType.COUPON, longest.signed.raw)
    picture = code_picture(
        text,
        coupon_sheet.px(coupon_sheet.QR_BOX),
        version_max=coupon_sheet.QR_VERSION_MAX,
        module_px_min=coupon_sheet.MODULE_PX_MIN,
    )
    assert read(picture) == {text}
    dark = next(at for at in range(picture.width) if picture.getpixel((at, at)) == 0)
    module_px = dark // QUIET_MODULES
    assert dark % QUIET_MODULES == 0 and module_px * 254 >= 5 * DPI
    assert picture.width <= px(coupon_sheet.QR_BOX)


@pytest.mark.parametrize("device", [BUS, SHOP])
@pytest.mark.parametrize("trip", [None, "T1", "0.20261130.0735"])
def test_the_lines_fit_their_coupon(device: Device, trip: str | None) -> None:
    order = Order(device.device, trip, "city-bus", 5_000, day_of(20261130), 1, "")
    face = coupon_sheet.face_of(CITY, 1, order, device, FARE, "")
    height = sum(line.size + line.gap for line in (*face.lines, *face.foot))
    assert height <= coupon_sheet.CELL[1] - 2 * coupon_sheet.PAD
    assert coupon_sheet.TEXT_DOWN < face.foot[-1].gap


def test_the_highest_mark_stays_clear_of_the_cut(pages: list[Image.Image]) -> None:
    left, top = px(coupon_sheet.MARGIN + coupon_sheet.TEXT_AT), px(coupon_sheet.MARGIN + 5)
    below = pages[0].crop((left, top, left + px(coupon_sheet.TEXT_WIDTH), top + px(200)))
    ink = ImageOps.invert(below.convert("L")).getbbox()
    assert ink is not None and ink[1] >= px(12), "hands with scissors stray"


def test_a_coupon_says_what_it_is_worth_where_and_until_when() -> None:
    face = coupon_sheet.face_of(CITY, 12, RIDE, BUS, FARE, "")
    said = " ".join(line.text for line in (*face.lines, *face.foot))
    for part in (
        "คูปองขึ้นรถ",
        "50.00 KGO",
        "1.00 บาท",
        "bus-8",
        "เที่ยว 07:35 น. 30 พ.ย. 2569",
        "07:35, 30 Nov 2026",
        "0.20261130.0735",
        "single use",
    ):
        assert part in said
    shop = coupon_sheet.face_of(CITY, 12, Order("shop-1", None, "x", 2_000, day_of(20270101), 1, ""), SHOP, None, "")
    said = " ".join(line.text for line in (*shop.lines, *shop.foot))
    for part in ("ร้าน ก๋วยเตี๋ยวหน้ามอ", "shop-1", "20.00 KGO", "1 ม.ค. 2570", "1 Jan 2027"):
        assert part in said
    assert "บาท" not in said
    other = coupon_sheet.face_of(CITY, 12, replace(RIDE, trip="CB 7"), BUS, FARE, "")
    assert {"เที่ยว CB 7 เท่านั้น", "trip CB 7 only"} <= {line.text for line in other.lines}
    free = coupon_sheet.face_of(CITY, 12, RIDE, BUS, FARE._replace(thb_satang=0), "")
    assert "บาท" not in " ".join(line.text for line in free.lines)


@pytest.mark.parametrize("text", ["กี่" * NAME_CHARACTERS_MAX, "W" * 500, "x", ""])
def test_a_long_text_shrinks_and_is_cut(pens: Pens, text: str) -> None:
    pen, shown = pens.fitted(Line(text, 34), px(coupon_sheet.TEXT_WIDTH))
    assert pen.getlength(shown) <= px(coupon_sheet.TEXT_WIDTH)
    assert shown == text if len(text) < 2 else shown.endswith("…")


def test_a_name_with_control_characters_is_no_layout() -> None:
    device = Device("shop-1", DeviceRole.SHOP, "a\nb\u202ec", 1)
    face = coupon_sheet.face_of(CITY, 1, RIDE, device, None, "")
    assert all(line.text.isprintable() for line in (*face.lines, *face.foot))


def test_thai_is_shaped_and_in_its_own_font(pens: Pens) -> None:
    """A tone mark stands over its vowel: it adds no width, which a font without shaping does not promise."""
    assert features.check("raqm")
    pen = pens.pen(200, is_bold=False)
    assert pen.getname()[0] == "Sarabun"
    assert pen.getlength("ที่") == pen.getlength("ที") == pen.getlength("ท")
    above = pen.getbbox("ที่")[1]
    assert above < pen.getbbox("ที")[1] < pen.getbbox("ท")[1]


def test_without_its_font_nothing_is_printed(tmp_path: Path) -> None:
    with pytest.raises(errors.PrintImpossible):
        Pens(tmp_path)
    for name in coupon_sheet.FONT_FILES:
        (tmp_path / name).write_bytes((coupon_sheet.FONTS / name).read_bytes())
    Pens(tmp_path)
    (tmp_path / "Sarabun-Bold.ttf").write_bytes(b"another")
    with pytest.raises(errors.PrintImpossible):
        Pens(tmp_path)


def test_without_shaping_nothing_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    def check(_feature: str) -> bool:
        return False

    monkeypatch.setattr(features, "check", check)
    with pytest.raises(errors.PrintImpossible):
        Pens()


# --- the file


def objects_of(pdf: bytes) -> dict[int, bytes]:
    """Each object as the cross-reference table finds it."""
    table = int(pdf[pdf.rindex(b"startxref") :].split()[1])
    lines = pdf[table:].split(b"\n")
    assert lines[0] == b"xref"
    found: dict[int, bytes] = {}
    for number in range(1, int(lines[1].split()[1])):
        row = lines[2 + number]
        assert len(row) == 19  # and its newline: 20 bytes (ISO 32000-1 7.5.4)
        place = int(row[:10])
        assert pdf[place:].startswith(b"%d 0 obj\n" % number)
        found[number] = pdf[place : pdf.index(b"\nendobj", place)]
    return found


def test_the_file_holds_the_pages_to_the_dot(pages: list[Image.Image]) -> None:
    pdf = pdf_of(pages, DPI, "KGO coupons, sheet 12")
    assert pdf == pdf_of(pages, DPI, "KGO coupons, sheet 12"), "the same sheet, the same bytes"
    assert pdf.startswith(b"%PDF-1.4\n") and pdf.endswith(b"%%EOF\n")
    objects = objects_of(pdf)
    pictures = [body for body in objects.values() if b"/Subtype /Image" in body]
    for page, body in zip(pages, pictures, strict=True):
        said = re.search(rb"/Width (\d+) /Height (\d+) .*/Length (\d+) >>\nstream\n", body)
        assert said is not None
        width, height, length = map(int, said.groups())
        data = zlib.decompress(body[said.end() : said.end() + length])
        assert Image.frombytes("1", (width, height), data).tobytes() == page.tobytes()
    boxes = re.findall(rb"/MediaBox \[0 0 ([\d.]+) ([\d.]+)\]", pdf)
    assert boxes == [(b"595.200", b"841.800")] * 2, "A4 to a fifth of a millimetre"
    assert len(pdf) < 40_000 * RIDE.count, "small enough to send"

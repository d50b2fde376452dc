"""An enrolment answer as QR codes: a picture for each part, and all of them on paper. DESIGN §4, §8.

Each code has the device's name, its number and the answer's mark beneath, so that two answers are not mixed on a desk.
The folder is there whole or not at all. Signs nothing, decides nothing.
"""

import shutil
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from offline_ledger.errors import FileTaken, FileUnusable
from offline_ledger.protocol import qr
from offline_ledger.protocol.answer import split_answer
from offline_ledger.qr_picture import qr_picture
from offline_ledger.raster_pdf import pdf_of
from offline_ledger.texts.typeface import FOLDER, MEDIUM

DPI = 300
PAGE_PX = (2_480, 3_508)
COLUMNS, ROWS = 3, 4
MODULE_PX = 7
"""0.6 mm: what a scanner at arm's length reads."""
CAPTION_PX = 44
MARGIN_PX = 160


def draw_answer(folder: Path, device: str, answer: bytes, key_id: bytes) -> int:
    """The pictures and the sheet in a new folder; how many codes. Raises AnswerTooLong, FileTaken, FileUnusable."""
    texts = split_answer(answer, key_id)
    mark = qr.decode(texts[0]).objects[1].hex()[:4]
    pictures = [_captioned(text, f"{device}  {at}/{len(texts)}  {mark}") for at, text in enumerate(texts, 1)]
    waiting = folder.with_name(f".{folder.name}.new")
    try:
        shutil.rmtree(waiting, ignore_errors=True)  # left by a power cut
        waiting.mkdir()
        for at, picture in enumerate(pictures, 1):
            picture.save(waiting / f"{at:02d}.png", format="PNG")
        (waiting / "sheet.pdf").write_bytes(pdf_of(pages_of(pictures), DPI, "KGO"))
        (waiting / "codes.txt").write_text("\n".join(texts) + "\n", encoding="ascii")
        if folder.exists():
            raise FileTaken(str(folder))
        waiting.rename(folder)
    except OSError as error:
        raise FileUnusable(f"{folder}: {error.strerror}") from error
    return len(texts)


def _captioned(text: str, caption: str) -> Image.Image:
    code = qr_picture(text, module_px=MODULE_PX)
    made = Image.new("L", (code.width, code.height + CAPTION_PX), 255)
    made.paste(code, (0, 0))
    pen = ImageFont.truetype(str(FOLDER / MEDIUM), CAPTION_PX * 3 // 4, layout_engine=ImageFont.Layout.BASIC)
    ImageDraw.Draw(made).text((made.width // 2, code.height - MODULE_PX), caption, 0, pen, anchor="mt")
    return made


def pages_of(pictures: list[Image.Image]) -> list[Image.Image]:
    """On A4 paper, in mode "1"."""
    pages: list[Image.Image] = []
    across, down = (PAGE_PX[0] - 2 * MARGIN_PX) // COLUMNS, (PAGE_PX[1] - 2 * MARGIN_PX) // ROWS
    for first in range(0, len(pictures), COLUMNS * ROWS):
        page = Image.new("L", PAGE_PX, 255)
        for place, picture in enumerate(pictures[first : first + COLUMNS * ROWS]):
            row, column = divmod(place, COLUMNS)
            page.paste(picture, (MARGIN_PX + column * across, MARGIN_PX + row * down))
        pages.append(page.convert("1", dither=Image.Dither.NONE))
    return pages

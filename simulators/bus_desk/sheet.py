"""Pictures of a played scenario for people to look at: each step's ring and screen side by side, with its words.

Draws what was recorded, nothing else: the ring's own 24 pixels at their brightest, the validator's own picture.
"""

import math
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from offline_ledger import texts
from simulators.bus_desk.play import Shown
from simulators.head.recording import Pixels

COLUMNS, ROWS = 3, 4
SCREEN = (240, 144)
RING_PX = 144
TEXT_PX = 58
CELL = (SCREEN[0] + RING_PX + 8, SCREEN[1] + TEXT_PX)
GAP_PX = 8
GROUND, INK, PALE, RED = (245, 245, 245), (20, 20, 20), (110, 110, 110), (190, 0, 0)
COLOURS = 256
"""Fewer would trade the few dots of the ring for shades of letters."""
_FONT = Path(texts.__file__).parent / "fonts" / "Sarabun-Medium.ttf"
_RADIUS_SHARE, _LED_SHARE = 0.39, 0.038


def draw_sheets(steps: Sequence[Shown], screens: Path, out: Path) -> list[Path]:
    """`sheet-1.png` and so on, twelve steps each."""
    each = COLUMNS * ROWS
    made: list[Path] = []
    for first in range(0, len(steps), each):
        sheet = _sheet(steps[first : first + each], screens)
        made.append(out / f"sheet-{first // each + 1}.png")
        sheet.quantize(COLOURS, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE).save(
            made[-1], optimize=True
        )
    return made


def ring_picture(pixels: Pixels, size: int = RING_PX) -> Image.Image:
    """The head from the front: pixel 0 at the top, then clockwise. The brightest is drawn at full strength, for paper
    does not shine."""
    picture = Image.new("RGB", (size, size), (24, 24, 28))
    draw = ImageDraw.Draw(picture)
    brightest = max((value for pixel in pixels for value in pixel), default=0) or 1
    radius, led = size * _RADIUS_SHARE, size * _LED_SHARE
    for number, colour in enumerate(pixels):
        angle = 2 * math.pi * number / len(pixels)
        x, y = size / 2 + radius * math.sin(angle), size / 2 - radius * math.cos(angle)
        shown = tuple(value * 255 // brightest for value in colour) if any(colour) else (50, 50, 55)
        draw.ellipse((x - led, y - led, x + led, y + led), fill=shown)
    return picture


def _sheet(steps: Sequence[Shown], screens: Path) -> Image.Image:
    rows = -(-len(steps) // COLUMNS)
    size = (COLUMNS * (CELL[0] + GAP_PX) + GAP_PX, rows * (CELL[1] + GAP_PX) + GAP_PX)
    sheet = Image.new("RGB", size, GROUND)
    fonts = [ImageFont.truetype(str(_FONT), points, layout_engine=ImageFont.Layout.RAQM) for points in (15, 12)]
    for at, step in enumerate(steps):
        x = GAP_PX + at % COLUMNS * (CELL[0] + GAP_PX)
        y = GAP_PX + at // COLUMNS * (CELL[1] + GAP_PX)
        _cell(sheet, (x, y), step, screens, fonts)
    return sheet


def _cell(
    sheet: Image.Image, place: tuple[int, int], step: Shown, screens: Path, fonts: Sequence[ImageFont.FreeTypeFont]
) -> None:
    (x, y), draw = place, ImageDraw.Draw(sheet)
    big, small = fonts
    draw.text((x, y), f"{step.number}. {step.thai}", fill=INK, font=big)
    late = "" if step.light_ms is None else f" · {step.light_ms:.0f} ms"
    voucher = "" if step.voucher is None else f" · voucher {step.voucher}"
    refusal = f" · {step.refusal}" if step.refusal else ""
    draw.text((x, y + 20), step.name, fill=PALE, font=small)
    draw.text((x, y + 35), f"{step.light}{refusal}{late}{voucher}", fill=RED if step.wrong else INK, font=small)
    sheet.paste(ring_picture(step.ring), (x, y + TEXT_PX))
    if step.screen and (screens / step.screen).exists():
        picture = Image.open(screens / step.screen).convert("RGB").resize(SCREEN, Image.Resampling.LANCZOS)
        sheet.paste(picture, (x + RING_PX + 8, y + TEXT_PX))

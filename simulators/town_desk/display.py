"""A phone's camera before the customer's display: the code that the page shows, as a picture, and nothing else of it.

The display's own page is asked for over HTTP, as its browser asks; its SVG is drawn anew in pixels, which a decoder
then reads. What the till knows reaches a phone by no other way. DESIGN §4, §11.
"""

import re
from http.client import HTTPConnection, HTTPException

from PIL import Image, ImageDraw

ANSWER_S_MAX = 5.0
PAGE_BYTES_MAX = 400_000
MODULE_PX = 6
SIDE_MAX = 200
"""Modules; the largest QR code has 177 and a quiet zone."""
BARS_MAX = 20_000
_CODE = re.compile(
    r'<svg class="qr" viewBox="0 0 (\d{1,3}) (\d{1,3})"[^>]*>\s*<path fill="#fff" d="[^"]*"/>\s*'
    r'<path fill="#000" d="((?:M\d{1,3} \d{1,3}h\d{1,3}v1h-\d{1,3}z)*)"/>'
)
_BAR = re.compile(r"M(\d+) (\d+)h(\d+)v1h-(\d+)z")


class NothingShown(Exception):
    """The display shows no code, or cannot be seen."""


def photographed(port: int) -> Image.Image:
    """The code on the customer's display of the till whose page is at this port. Raises NothingShown."""
    return drawn(_page(port))


def drawn(html: str) -> Image.Image:
    """The code in a page, in pixels. Raises NothingShown."""
    found = _CODE.search(html)
    if found is None:
        raise NothingShown("the customer's display shows no code")
    across, down = int(found[1]), int(found[2])
    bars = _BAR.findall(found[3])
    if not 0 < across == down <= SIDE_MAX or len(bars) > BARS_MAX:
        raise NothingShown("what the customer's display shows is no QR code")
    picture = Image.new("L", (across * MODULE_PX, down * MODULE_PX), 255)
    draw = ImageDraw.Draw(picture)
    for x, y, width, _back in ((int(one) for one in bar) for bar in bars):
        left, top = x * MODULE_PX, y * MODULE_PX
        draw.rectangle((left, top, left + width * MODULE_PX - 1, top + MODULE_PX - 1), fill=0)
    return picture


def _page(port: int) -> str:
    connection = HTTPConnection("127.0.0.1", port, timeout=ANSWER_S_MAX)
    try:
        connection.request("GET", "/customer")
        answer = connection.getresponse()
        body = answer.read(PAGE_BYTES_MAX)
    except (OSError, HTTPException) as gone:
        raise NothingShown("the customer's display is dark") from gone
    finally:
        connection.close()
    if answer.status != 200:
        raise NothingShown("the customer's display is dark")
    return body.decode("utf-8", "replace")

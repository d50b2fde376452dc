"""Black and white pages as a PDF file: one 1-bit picture a page, at its size in points. ISO 32000-1. Pure.

No dates, no program's name: the same pages give the same bytes. Pages are packed one by one, so that a long sheet is
never in memory as pictures.
"""

import zlib
from collections.abc import Iterable

from PIL import Image

POINTS_PER_INCH = 72
_HEADER = b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n"
_CATALOGUE, _PAGES, _INFO, _FIRST_FREE = 1, 2, 3, 4


def pdf_of(pages: Iterable[Image.Image], dpi: int, title: str) -> bytes:
    """A PDF of pictures in mode "1". `title`: printable ASCII without brackets and backslashes."""
    assert title.isascii() and title.isprintable() and not set(title) & set("()\\")
    bodies: dict[int, bytes] = {}
    kids: list[int] = []
    for page in pages:
        assert page.mode == "1"
        leaf, contents, picture = (_FIRST_FREE + 3 * len(kids) + at for at in range(3))
        width, height = (_points(pixels, dpi) for pixels in page.size)
        placed = f"q {width} 0 0 {height} 0 0 cm /P Do Q".encode()
        bodies[leaf] = (
            f"<< /Type /Page /Parent {_PAGES} 0 R /MediaBox [0 0 {width} {height}] /Contents {contents} 0 R"
            f" /Resources << /XObject << /P {picture} 0 R >> >> >>"
        ).encode()
        bodies[contents] = _stream("", placed)
        facts = (
            f"/Type /XObject /Subtype /Image /Width {page.width} /Height {page.height} /ColorSpace /DeviceGray"
            " /BitsPerComponent 1 /Filter /FlateDecode "
        )
        bodies[picture] = _stream(facts, zlib.compress(page.tobytes("raw", "1"), 9))
        kids.append(leaf)
    bodies[_CATALOGUE] = f"<< /Type /Catalog /Pages {_PAGES} 0 R >>".encode()
    listed = " ".join(f"{leaf} 0 R" for leaf in kids)
    bodies[_PAGES] = f"<< /Type /Pages /Count {len(kids)} /Kids [{listed}] >>".encode()
    bodies[_INFO] = f"<< /Title ({title}) >>".encode()
    return _file(bodies)


def _file(bodies: dict[int, bytes]) -> bytes:
    out = bytearray(_HEADER)
    places: list[int] = []
    for number in range(1, len(bodies) + 1):
        places.append(len(out))
        out += b"%d 0 obj\n%b\nendobj\n" % (number, bodies[number])
    table = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(bodies) + 1)
    for place in places:
        out += b"%010d 00000 n \n" % place
    trailer = f"trailer\n<< /Size {len(bodies) + 1} /Root {_CATALOGUE} 0 R /Info {_INFO} 0 R >>\nstartxref\n{table}\n"
    return bytes(out + trailer.encode() + b"%%EOF\n")


def _stream(facts: str, data: bytes) -> bytes:
    return f"<< {facts}/Length {len(data)} >>\nstream\n".encode() + data + b"\nendstream"


def _points(pixels: int, dpi: int) -> str:
    """In points, to the thousandth."""
    whole, part = divmod(pixels * POINTS_PER_INCH * 1000 // dpi, 1000)
    return f"{whole}.{part:03d}"

"""A QR code as SVG: one path of whole modules with the quiet zone kept. ISO/IEC 18004; DESIGN §4. Pure.

Black on white whatever the page's colours are: scanners expect it.
"""

from functools import lru_cache

QUIET_MODULES = 4
TEXT_MAX = 1_400
"""The signed request is the longest text that is shown; beyond this no code of level M fits a small screen."""
KEPT_MAX = 4


@lru_cache(maxsize=KEPT_MAX)
def qr_svg(text: str, title: str) -> str:
    """The `<svg>`; `title` names it for who does not see it. ValueError when the text is empty or too long."""
    if not 0 < len(text) <= TEXT_MAX:
        raise ValueError(f"a code of {len(text)} characters")
    from markupsafe import escape
    from qrcode.constants import ERROR_CORRECT_M
    from qrcode.main import QRCode

    code = QRCode(error_correction=ERROR_CORRECT_M, border=0)
    code.add_data(text)
    code.make(fit=True)
    rows = code.get_matrix()
    side = len(rows) + 2 * QUIET_MODULES
    path: list[str] = []
    for down, row in enumerate(rows):
        across = 0
        while across < len(row):
            width = 0
            while across + width < len(row) and row[across + width]:
                width += 1
            if width:
                path.append(f"M{across + QUIET_MODULES} {down + QUIET_MODULES}h{width}v1h-{width}z")
            across += max(width, 1)
    return (
        f'<svg class="qr" viewBox="0 0 {side} {side}" role="img" aria-label="{escape(title)}"'
        f' shape-rendering="crispEdges" data-modules="{side}"><path fill="#fff" d="M0 0h{side}v{side}H0z"/>'
        f'<path fill="#000" d="{"".join(path)}"/></svg>'
    )

"""What stands where on the pages of a self-test: a barred TEST on top, the words, a code. Pure: handed a ruler."""

from itertools import groupby

from bus_validator.face import FaceState
from bus_validator.screen.plan import MARGIN_UNITS, Box, Canvas, Fill, Item, Stripes, place
from bus_validator.self_test_page import BLACK, DARK, WHITE, FillPage, SelfTestPage

BAR_UNITS, STRIPE_UNITS, FOOT_UNITS, BAND_UNITS = 40, 8, 30, 30


def plan_self_test(canvas: Canvas, page: SelfTestPage) -> list[Item]:
    """TEST above, what is done or asked in the middle (beside the code, if there is one), how to answer below."""
    colours = canvas.colours
    look = colours.looks[FaceState.TRAINING]
    whole = Box(0, 0, canvas.width_px, canvas.height_px)
    bar = whole._replace(bottom=canvas.px(BAR_UNITS))
    stripes = Box(0, bar.bottom, whole.right, bar.bottom + canvas.px(STRIPE_UNITS))
    inner = bar.inset(canvas.px(MARGIN_UNITS), canvas.px(4))
    items: list[Item] = [Fill(whole, colours.paper), Fill(bar, look.flood), Stripes(stripes, look.shape, look.flood)]
    items.append(
        place(canvas, page.words, inner, canvas.sizes(30, 22, 14), look.on_flood, look.flood, is_bold=True, across=50)
    )
    foot = whole._replace(top=whole.bottom - canvas.px(FOOT_UNITS))
    items.append(Fill(foot, colours.badge))
    inside = foot.inset(canvas.px(MARGIN_UNITS), canvas.px(2))
    said = page.how or page.id
    items.append(place(canvas, said, inside, canvas.sizes(17, 14, 10), colours.on_badge, colours.badge, across=50))
    body = Box(0, stripes.bottom, whole.right, foot.top).inset(canvas.px(MARGIN_UNITS), canvas.px(5))
    if page.code:
        side = min(body.height, body.width * 60 // 100)
        items += _code(page.code, Box(body.left, body.top, body.left + side, body.top + side))
        body = body._replace(left=body.left + side + canvas.px(MARGIN_UNITS))
    items.append(place(canvas, page.line, body, canvas.sizes(34, 20, 12), colours.ink, colours.paper, across=0))
    return items


def plan_fill(canvas: Canvas, page: FillPage) -> list[Item]:
    """The colour, and a band with TEST."""
    whole = Box(0, 0, canvas.width_px, canvas.height_px)
    height = canvas.px(BAND_UNITS)
    band = whole._replace(top=whole.bottom - height) if page.is_band_below else whole._replace(bottom=height)
    ground, ink = (WHITE, BLACK) if page.colour == BLACK else (BLACK, WHITE)
    inside = band.inset(canvas.px(MARGIN_UNITS), canvas.px(3))
    said = place(canvas, page.words, inside, canvas.sizes(22, 16, 12), ink, ground, is_bold=True, across=50)
    return [Fill(whole, page.colour), Fill(band, ground), said]


def _code(rows: tuple[str, ...], box: Box) -> list[Item]:
    """Whole modules, black on white whatever the theme is: scanners expect it."""
    side = max(1, box.width // len(rows))
    left, top = box.left + (box.width - side * len(rows)) // 2, box.top + (box.height - side * len(rows)) // 2
    items: list[Item] = [Fill(Box(left, top, left + side * len(rows), top + side * len(rows)), WHITE)]
    for down, row in enumerate(rows):
        across = 0
        for module, run in groupby(row):
            width = len(list(run))
            if module == DARK:
                begin = left + across * side
                items.append(Fill(Box(begin, top + down * side, begin + width * side, top + (down + 1) * side), BLACK))
            across += width
    return items

"""The driver's faces: a list to choose from, a PIN, a report. Pure. FIELD_LESSONS 27.

A list or report longer than the screen shows the part around what is marked, with arrows where there is more and how
far down it is: nothing is left out unseen.
"""

from bus_validator.face import Face, FaceState
from bus_validator.screen.fitting import EM, Sizes, fit
from bus_validator.screen.plan import LETTER_PERCENT, MARGIN_UNITS, Box, Canvas, Fill, Item, Shape, Text, frame, place
from bus_validator.screen.shapes import DOWN, HERE, UP, Disc, Stroke, shape_of

GIVEN, TO_COME = "•●*", "○◦_"
"""In a PIN's line: a digit given, a digit to come."""
LIST_ROW_UNITS, REPORT_ROW_UNITS, REPORT_TEXT_UNITS = 29, 22, 16
LIST_TEXT_UNITS = 18
"""The largest whose highest and lowest marks have room in one row, so that every entry stands on the row's line."""
_ALL_MARKS = "ที่ญู"
LINES_MAX = 200
"""Of a list or report; the route with the most stops has fewer."""
_RING: tuple[Stroke, ...] = (Disc((50, 50), 46, True), Disc((50, 50), 34, False))
_DOT: tuple[Stroke, ...] = (Disc((50, 50), 46, True),)


def plan_list(canvas: Canvas, face: Face) -> list[Item]:
    """Entries below a title; the marked one stands on a bar, with an arrow before it."""
    items, body, first, count = _titled(canvas, face, LIST_ROW_UNITS)
    colours = canvas.colours
    look = colours.looks[face.state]
    row_px = body.height // count
    sizes = canvas.sizes(LIST_TEXT_UNITS, 17, 12)
    marks = canvas.ruler.ink(_ALL_MARKS, sizes.largest_px, is_bold=True)
    baseline = (row_px - marks.top - marks.bottom) // 2
    side = canvas.px(15)
    here = max(0, baseline - (sizes.largest_px * LETTER_PERCENT // 100 + side) // 2)
    for number, line in enumerate(face.lines[first : first + count]):
        row = Box(0, body.top + number * row_px, canvas.width_px, body.top + (number + 1) * row_px)
        is_marked = first + number == face.selected
        ink, ground = (colours.on_mark, colours.mark) if is_marked else (colours.ink, colours.paper)
        items.append(Fill(row, ground))
        if is_marked:
            items.append(Shape(HERE, canvas.px(MARGIN_UNITS), row.top + here, side, colours.on_mark))
        elif number:
            items.append(Fill(row._replace(bottom=row.top + max(1, canvas.px(1) // 2)), look.shape))
        text = row.inset(canvas.px(MARGIN_UNITS), 1)
        text = text._replace(left=text.left + side + canvas.px(7), right=text.right - canvas.px(10))
        placed = place(canvas, line, text, sizes, ink, ground, is_bold=is_marked)
        if len(placed.fitted.lines) == 1:
            top = min(row.top + baseline - placed.fitted.baselines[0], text.bottom - placed.fitted.height_px)
            placed = placed._replace(top=max(text.top, top))
        items.append(placed)
    return items + _arrows(canvas, face, body, first, count)


def plan_report(canvas: Canvas, face: Face) -> list[Item]:
    """Lines below a title, broken where they are too long; what follows a tab stands at the right edge."""
    width_px = canvas.width_px - canvas.px(2 * MARGIN_UNITS + 10)
    rows = _report_rows(canvas, face, width_px)
    top = min(face.selected or 0, max(0, len(face.lines[:LINES_MAX]) - 1))
    begins = next((at for at, (line, _) in enumerate(rows) if line == top), 0)
    scrolled = face._replace(lines=tuple(text for _, text in rows), selected=begins)
    items, body, first, count = _titled(canvas, scrolled, REPORT_ROW_UNITS)
    colours = canvas.colours
    sizes = canvas.sizes(REPORT_TEXT_UNITS, REPORT_TEXT_UNITS, 11)
    row_px = body.height // count
    for number, line in enumerate(scrolled.lines[first : first + count]):
        row = Box(0, body.top + number * row_px, canvas.width_px, body.top + (number + 1) * row_px)
        text = row.inset(canvas.px(MARGIN_UNITS), -canvas.px(4))  # rows share the room for marks: all have one size
        text = text._replace(right=text.left + width_px)
        name, _tab, value = line.partition("\t")
        if value:
            placed = place(canvas, value, text, sizes, colours.ink, colours.paper, is_bold=True, across=100)
            items.append(placed)
            text = text._replace(right=placed.left - canvas.px(8))
        if name:
            items.append(place(canvas, name, text, sizes, colours.ink, colours.paper))
    return items + _arrows(canvas, scrolled, body, first, count)


def _report_rows(canvas: Canvas, face: Face, width_px: int) -> list[tuple[int, str]]:
    """Each row with the number of the line that it is of."""
    size_px = canvas.px(REPORT_TEXT_UNITS)
    rows: list[tuple[int, str]] = []
    for number, line in enumerate(face.lines[:LINES_MAX]):
        if "\t" in line or canvas.ruler.advance(line, is_bold=False) * size_px <= width_px * EM:
            rows.append((number, line))
        else:
            sizes = Sizes(size_px, size_px, size_px)
            broken = fit(line, width_px, canvas.height_px * 4, sizes, canvas.ruler, is_bold=False)
            rows += [(number, part) for part in broken.lines]
    return rows[:LINES_MAX]


def plan_pin(canvas: Canvas, face: Face) -> list[Item]:
    """A lock and a title, dots below them, the first of the lines large (the digit that is turned to), then hints."""
    items, body = frame(canvas, face)
    colours = canvas.colours
    look = colours.looks[face.state]
    head = body._replace(bottom=body.top + body.height * 45 // 100)
    items.append(Fill(head, look.flood))
    inner = head.inset(canvas.px(MARGIN_UNITS), canvas.px(7))
    side = min(inner.height, canvas.width_px * 25 // 100)
    items.append(Shape(shape_of(face.state), inner.left, inner.top + (inner.height - side) // 2, side, look.shape))
    title = inner._replace(left=inner.left + side + canvas.px(12))
    items.append(place(canvas, face.title, title, canvas.sizes(44, 26, 15), look.on_flood, look.flood, is_bold=True))
    rest = body._replace(top=head.bottom).inset(canvas.px(MARGIN_UNITS), canvas.px(5))
    dots = rest if not face.lines else rest._replace(bottom=rest.top + rest.height * 38 // 100)
    if face.line and all(char in GIVEN + TO_COME for char in face.line):
        items += _dots(canvas, face.line, dots)
    elif face.line:
        items.append(_plain(canvas, face.line, dots, 26))
    if face.lines:
        first = rest._replace(
            top=dots.bottom, bottom=rest.bottom if len(face.lines) == 1 else rest.bottom - canvas.px(24)
        )
        items.append(_plain(canvas, face.lines[0], first, 40, is_bold=True))
        rest = rest._replace(top=first.bottom)
    if len(face.lines) > 1:
        items.append(_plain(canvas, " · ".join(face.lines[1:LINES_MAX]), rest, 17))
    return items


def _dots(canvas: Canvas, said: str, box: Box) -> list[Item]:
    step = min(box.width // len(said), canvas.px(44))
    side = max(2, min(box.height, step * 70 // 100, canvas.px(28)))
    left = box.left + (box.width - step * (len(said) - 1) - side) // 2
    top = box.top + (box.height - side) // 2
    return [
        Shape(_DOT if char in GIVEN else _RING, left + number * step, top, side, canvas.colours.ink)
        for number, char in enumerate(said)
    ]


def _plain(canvas: Canvas, text: str, box: Box, largest: int, *, is_bold: bool = False) -> Text:
    sizes = canvas.sizes(largest, min(largest, 15), 11)
    return place(canvas, text, box, sizes, canvas.colours.ink, canvas.colours.paper, is_bold=is_bold, across=50)


def _titled(canvas: Canvas, face: Face, row_units: int) -> tuple[list[Item], Box, int, int]:
    """Strip, badge, title and hint; the room for rows, the first line that is shown, and how many are."""
    items, body = frame(canvas, face)
    colours = canvas.colours
    look = colours.looks[face.state]
    bar = body._replace(bottom=body.top + canvas.px(38))
    items += [Fill(bar, look.flood), Fill(bar._replace(top=bar.bottom - canvas.px(2)), look.shape)]
    inner = bar.inset(canvas.px(MARGIN_UNITS), canvas.px(4))
    side = inner.height
    items.append(Shape(shape_of(face.state), inner.left, inner.top, side, look.shape))
    title = inner._replace(left=inner.left + side + canvas.px(8))
    body = body._replace(top=bar.bottom + (canvas.px(4) if face.state is FaceState.REPORT else 0))
    if face.line:
        hint = body._replace(top=body.bottom - canvas.px(24))
        body = body._replace(bottom=hint.top)
        items.append(_plain(canvas, face.line, hint.inset(canvas.px(MARGIN_UNITS), canvas.px(2)), 16))
    is_list = face.state is FaceState.LIST
    count = max(1, body.height // canvas.px(row_units))
    lines = min(len(face.lines), LINES_MAX)
    marked = min(face.selected or 0, max(0, lines - 1))
    middle = marked - count // 2 if is_list else marked
    first = max(0, min(middle, lines - count))
    if lines > count:
        where = title._replace(left=title.right - canvas.px(54))
        says = f"{marked + 1}/{lines}" if is_list else f"{first + count}/{lines}"
        items.append(place(canvas, says, where, canvas.sizes(16, 14, 10), look.on_flood, look.flood, across=100))
        title = title._replace(right=where.left - canvas.px(4))
    items.append(place(canvas, face.title, title, canvas.sizes(24, 18, 12), look.on_flood, look.flood, is_bold=True))
    return items, body, first, count


def _arrows(canvas: Canvas, face: Face, body: Box, first: int, count: int) -> list[Item]:
    side = canvas.px(12)
    left = canvas.width_px - side - canvas.px(4)
    colour = canvas.colours.looks[face.state].shape
    found: list[Item] = []
    if first > 0:
        found += [
            Fill(Box(left - 1, body.top + 1, left + side + 1, body.top + side + 3), canvas.colours.paper),
            Shape(UP, left, body.top + 2, side, colour),
        ]
    if first + count < min(len(face.lines), LINES_MAX):
        found += [
            Fill(Box(left - 1, body.bottom - side - 3, left + side + 1, body.bottom - 1), canvas.colours.paper),
            Shape(DOWN, left, body.bottom - side - 2, side, colour),
        ]
    return found

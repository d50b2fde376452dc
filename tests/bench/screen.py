"""`screen_draw_*`: a face whose words are new, from `Face` to picture, at both sizes; goal < 30 ms, after the green.
`screen_push_*`: the picture to a framebuffer's bytes and to a PNG. Issue budget; no reference, so no ratio."""

from pathlib import Path
from time import perf_counter_ns

from bus_validator.drivers.displays import FileDisplay, rgb565
from bus_validator.face import Theme
from bus_validator.screen.fonts import Fonts
from bus_validator.screen.painter import Painter
from simulators.contact_sheet import SIZES, faces
from tests.bench.measure import Row, row_of

NS_PER_MS = 1_000_000


def rows(folder: Path, rounds: int = 10) -> list[Row]:
    """Every face of a contact sheet in two languages, its clock and its words another each time."""
    found: list[Row] = []
    shown = [*faces("th"), *faces("en")]
    for width_px, height_px in SIZES:
        painter = Painter(width_px, height_px, Theme.DAY, Fonts())
        file = FileDisplay(folder / "screen.png", width_px, height_px)
        drawn: list[float] = []
        packed: list[float] = []
        written: list[float] = []
        for turn in range(rounds):
            for face in shown:
                new = face._replace(clock=f"{turn:02d}:{len(drawn) % 60:02d}", line=f"{face.line} {turn}")
                began = perf_counter_ns()
                image = painter.draw(new)
                drawn_at = perf_counter_ns()
                rgb565(image)
                packed_at = perf_counter_ns()
                file.display(image)
                drawn.append((drawn_at - began) / NS_PER_MS)
                packed.append((packed_at - drawn_at) / NS_PER_MS)
                written.append((perf_counter_ns() - packed_at) / NS_PER_MS)
        name = f"{width_px}x{height_px}"
        found += [
            row_of(f"screen_draw_{name}", "ms", drawn),
            row_of(f"screen_push_565_{name}", "ms", packed),
            row_of(f"screen_push_png_{name}", "ms", written),
        ]
    return found

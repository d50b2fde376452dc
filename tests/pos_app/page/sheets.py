"""Pictures of every state of both displays in both languages, as a browser shows them, for people to look at.

    python -m tests.pos_app.page.sheets docs/counter

One picture for each state on the terminal of 1024×600, and contact sheets: of these, of the customer's display, of the
larger terminal and of a phone. The states are those that the tests judge (`views.py`).
"""

import io
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, expect, sync_playwright

from tests.conftest import CHROMIUM, CHROMIUM_OPTIONS
from tests.pos_app.page import fingers, views
from tests.pos_app.page.served import Served

SIZES = {"1024x600": (1024, 600), "1280x800": (1280, 800), "phone": (390, 844)}
GUIDE = (
    "sale",
    "pay",
    "wait-request",
    "promptpay",
    "done",
    "refund",
    "shift",
    "sale-refused",
    "training",
    "letters-thai",
)
CUSTOMER = ("basket", "ask-request", "thanks", "refused")
"""Of these there is a picture alone, for guides."""
COLUMNS = {"1024x600": 3, "1280x800": 3, "phone": 8}
SHEET_WIDTH_PX = 1_536
GAP_PX, COLOURS, REFINED = 8, 256, 3
GROUND = (128, 128, 128)


def pictures(
    page: Page, served: Served, kind: str, language: str, *, is_long: bool
) -> Iterator[tuple[str, Image.Image]]:
    """Name and picture of each state."""
    page.goto(f"{served.origin}/{kind}")
    for name, view in (views.customers() if kind else views.tills()).items():
        served.desk.show(**{"customer" if kind else "till": views.spoken(view, language)})
        expect(page.locator(f'#till[data-revision="{served.desk.revision}"]')).to_be_attached()
        yield name, picture_of(page, is_long=is_long)
    if not kind:
        yield from letters(page, served, language)


def letters(page: Page, served: Served, language: str) -> Iterator[tuple[str, Image.Image]]:
    """The letters on the screen, with what they found."""
    served.desk.show({**views.selling(views.BASKET), "language": language})
    expect(page.locator(f'#till[data-revision="{served.desk.revision}"]')).to_be_attached()
    fingers.write(page, "search", "ชา" if language == "th" else "tea")
    expect(page.locator("#found .good")).to_have_count(1)
    if language == "en":
        fingers.does(page, "switch")
    yield "letters-thai", picture_of(page)
    fingers.does(page, "shift")
    yield "letters-thai-shift", picture_of(page)
    fingers.does(page, "switch")
    yield "letters-english", picture_of(page)
    fingers.does(page, "done")
    page.locator("#b-hold").tap()
    fingers.write(page, "label", "โต๊ะ 4")
    yield "letters-hold", picture_of(page)


def picture_of(page: Page, *, is_long: bool = False) -> Image.Image:
    """Of the window; `is_long`: of all that one can scroll to."""
    return Image.open(io.BytesIO(page.screenshot(full_page=is_long))).convert("RGB")


def sheet_of(made: list[Image.Image], columns: int) -> Image.Image:
    """All of them side by side, as wide as a page of a guide."""
    width = (SHEET_WIDTH_PX - GAP_PX) // columns - GAP_PX
    small = [one.resize((width, one.height * width // one.width), Image.Resampling.LANCZOS) for one in made]
    rows = [small[at : at + columns] for at in range(0, len(small), columns)]
    height = sum(max(one.height for one in row) + GAP_PX for row in rows) + GAP_PX
    sheet = Image.new("RGB", (SHEET_WIDTH_PX, height), GROUND)
    top = GAP_PX
    for row in rows:
        for at, one in enumerate(row):
            sheet.paste(one, (GAP_PX + at * (width + GAP_PX), top))
        top += max(one.height for one in row) + GAP_PX
    return sheet


def write(folder: Path) -> list[Path]:
    """All sheets, and the pictures for guides; as small as they get."""
    folder.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []

    def keep(name: str, made: Image.Image) -> None:
        small = made.quantize(COLOURS, Image.Quantize.MAXCOVERAGE, kmeans=REFINED, dither=Image.Dither.NONE)
        small.save(folder / f"{name}.png", optimize=True)
        written.append(folder / f"{name}.png")

    with ExitStack() as stack:
        served = Served()
        stack.callback(served.close)
        playwright = stack.enter_context(sync_playwright())
        sandbox = ("--no-sandbox",) if os.geteuid() == 0 else ()
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*CHROMIUM_OPTIONS, *sandbox])
        stack.callback(browser.close)
        for size, (width, height) in SIZES.items():
            page = browser.new_page(viewport={"width": width, "height": height}, has_touch=True)
            for language in ("th", "en"):
                for kind in ("", "customer"):
                    made = dict(pictures(page, served, kind, language, is_long=size == "phone" and not kind))
                    keep(f"{kind or 'till'}-{size}-{language}", sheet_of(list(made.values()), COLUMNS[size]))
                    if size == "1024x600":
                        for name in CUSTOMER if kind else GUIDE:
                            keep(f"{kind or 'till'}-{name}-{language}", made[name])
            page.close()
    return written


def main() -> None:
    """Writes into the folder that is named, or `docs/counter`."""
    for path in write(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/counter")):
        sys.stdout.write(f"{path} {path.stat().st_size // 1024} KB\n")


if __name__ == "__main__":
    main()

"""Whatever is cut in a flash, the board starts the old firmware or the new one, and the next flash succeeds."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from firmware.flash.head_files import HeadFiles
from tests.flash.head_cuts import NEITHER, PROMPT, CutDesk, Point, image_with, table

TABLE = Path("build/head-cuts.md")


@pytest.fixture
def cut_desk(tmp_path: Path, head_image: bytes, head_files: HeadFiles, newer_files: HeadFiles) -> CutDesk:
    return CutDesk(tmp_path, head_image, head_files, newer_files)


def switching(points: list[Point]) -> list[Point]:
    """The changes of the boot in which main.py is switched."""
    boots = sorted({point.boot for point in points if point.what == "board"})
    return [point for point in points if point.what == "board" and point.boot == boots[-1]]


def test_a_cut_leaves_the_old_firmware_or_the_new_one(
    cut_desk: CutDesk,
    rng: random.Random,
    soak: bool,
    slice_of: Callable[[int, int], int],
    report: Callable[[str], None],
) -> None:
    points = cut_desk.points()
    filling = [point for point in points if point.what == "board" and point not in switching(points)]
    laptop = [point for point in points if point.what == "laptop"]
    assert len(filling) > 20 and len(switching(points)) > 2 and len(laptop) > 8
    some = [rng.choice(filling), switching(points)[-1], rng.choice(laptop)]
    chosen = points if soak else some[: slice_of(len(points), len(some))]
    cuts = [cut_desk.cut(point) for point in chosen]
    assert {cut.starts for cut in cuts} <= {"old", "new"}, cuts
    for cut in cuts:
        state, _, step = cut.record.partition(" ")
        assert state == ("failed" if cut.point.what == "board" else "interrupted") and step, cut
        assert cut.starts == "old" or step in ("switch", "restart", "greet"), cut
    if soak:
        assert {cut.starts for cut in cuts} == {"old", "new"}
        TABLE.parent.mkdir(exist_ok=True)
        TABLE.write_text("\n".join(table(cuts)) + "\n", encoding="utf-8")
    report(f"flash of a head: {len(cuts)} of {len(points)} cut points, old or new after each")


def test_a_cut_leaves_a_new_board_its_prompt_or_the_firmware(
    tmp_path: Path,
    head_files: HeadFiles,
    rng: random.Random,
    soak: bool,
    slice_of: Callable[[int, int], int],
    report: Callable[[str], None],
) -> None:
    desk = CutDesk(tmp_path, image_with(tmp_path / "image", None), head_files, head_files)
    points = desk.points()
    chosen = points if soak else [rng.choice(points) for _ in range(slice_of(len(points), 1))]
    cuts = [desk.cut(point) for point in chosen]
    assert {cut.starts for cut in cuts} <= {PROMPT, "new"}, cuts
    assert all(cut.starts == PROMPT or cut.record.split()[1] in ("restart", "greet") for cut in cuts), cuts
    report(f"flash of a new board: {len(cuts)} of {len(points)} cut points, prompt or firmware after each")


def test_after_a_kill_the_next_flash_needs_no_hand_at_the_board(
    cut_desk: CutDesk, rng: random.Random, soak: bool, slice_of: Callable[[int, int], int]
) -> None:
    """Wherever mpremote was left: at its prompt, in the middle of a file, or with the trial running."""
    points = [point.at for point in cut_desk.points() if point.what == "laptop"]
    chosen = points if soak else [rng.choice(points) for _ in range(slice_of(len(points), 1))]
    for at in chosen:
        said = cut_desk.kill_and_flash_at_once(at)
        assert said[-1] in ("new", "unchanged"), (at, said)


def test_main_py_first_would_be_caught(cut_desk: CutDesk) -> None:
    """The control: the same cut and the same judge, with the switch before the files."""
    assert cut_desk.cut_in_wrong_order(30) == NEITHER

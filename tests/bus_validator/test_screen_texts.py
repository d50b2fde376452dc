"""Every refusal fits both sizes in both languages, whole; the font and the shaping are those that were looked at."""

from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from shutil import copytree

import pytest
from PIL import Image, ImageDraw, ImageFont, features

from bus_validator.face import Face, FaceState, Theme
from bus_validator.faces import Faces
from bus_validator.screen.fitting import Sizes, fit
from bus_validator.screen.fonts import Fonts
from bus_validator.screen.painter import Painter
from bus_validator.screen.plan import Text
from offline_ledger.errors import ScreenFontWrong, ThaiShapingMissing
from offline_ledger.terminal.outcome import Light, Outcome
from offline_ledger.texts import Texts, typeface
from offline_ledger.texts.typeface import BOLD, FOLDER, MEDIUM, SOURCES, check_fonts, check_shaping, wanted_sums
from tests.bus_validator.drawn import SIZES, face_of, ink_box, texts_of
from tests.test_refusal_texts import KINDS


@pytest.fixture(scope="module")
def ruler() -> Fonts:
    return Fonts()


@pytest.fixture(scope="module", params=SIZES, ids=["320x240", "800x480"])
def painter(request: pytest.FixtureRequest, ruler: Fonts) -> Painter:
    width_px, height_px = request.param
    return Painter(width_px, height_px, Theme.DAY, ruler)


def pixels(font: ImageFont.FreeTypeFont, text: str) -> bytes:
    left, top, right, bottom = (int(edge) for edge in font.getbbox(text, anchor="ls"))
    image = Image.new("L", (max(1, right - left), max(1, bottom - top)))
    ImageDraw.Draw(image).text((-left, -top), text, fill=255, font=font, anchor="ls")
    return image.width.to_bytes(4, "big") + image.tobytes()


def refused_faces(language: str) -> Iterator[Face]:
    other = "en" if language == "th" else "th"
    faces = Faces(Texts(language), Texts(other))
    sample = face_of(FaceState.WAIT)
    for kind in KINDS:
        light = Light.TRY_AGAIN if kind.waiting_helps else Light.REFUSED
        face = faces.decided(Outcome(light, refusal=kind.__new__(kind)))
        yield face._replace(header=sample.header, clock=sample.clock, badge=sample.badge)


def check_inside(placed: Text) -> None:
    """By the font's own measure: no line's ink leaves the box."""
    for baseline, ink in zip(placed.fitted.baselines, placed.fitted.inks, strict=True):
        left = placed.left - min(0, ink.left)
        assert placed.box.left <= left + ink.left and left + ink.right <= placed.box.right, placed
        top = placed.top + baseline
        assert placed.box.top <= top + ink.top and top + ink.bottom <= placed.box.bottom, placed


@pytest.mark.parametrize("language", ["th", "en"])
def test_every_refusal_fits_whole_and_large_enough(
    painter: Painter, language: str, rng: Random, slice_of: Callable[[int, int], int]
) -> None:
    """On the small screen, which is the tighter one, all of them each time."""
    unit = painter.size[1] // 240
    faces = list(refused_faces(language))
    for face in faces if unit == 1 else rng.sample(faces, slice_of(len(faces), len(faces) // 4)):
        texts = texts_of(painter.plan(face))
        for placed in texts:
            assert not placed.fitted.is_shortened, (face, placed)
            check_inside(placed)
        title = next(one for one in texts if one.fitted.is_bold and face.title.startswith(one.fitted.lines[0]))
        assert title.fitted.size_px >= 17 * unit, face
        said = "".join(title.fitted.lines).replace(" ", "")
        assert said == face.title.replace(" ", "").replace("\u200b", "")
        line = next(one for one in texts if one is not title and face.line.startswith(one.fitted.lines[0]))
        assert line.fitted.size_px >= 12 * unit, face
        assert "".join(line.fitted.lines).replace(" ", "") == face.line.replace(" ", "").replace("\u200b", "")


def test_the_ink_that_is_painted_is_the_ink_that_was_measured(ruler: Fonts) -> None:
    """Painted alone on a large black ground; a mark that left the measured box would show."""
    text = "ปู่ ญู ฐุ ที่นี้ กำลังซื้อ ป้ำ ฎุฏู"
    for size_px in (12, 17, 30, 61):
        for is_bold in (False, True):
            fitted = fit(text, size_px * 7, size_px * 8, Sizes(size_px, size_px, size_px), ruler, is_bold=is_bold)
            image = Image.new("RGB", (size_px * 20, size_px * 20))
            font = ruler.font(size_px, is_bold=is_bold)
            at = 5 * size_px
            for line, baseline, ink in zip(fitted.lines, fitted.baselines, fitted.inks, strict=True):
                ImageDraw.Draw(image).text(
                    (at - min(0, ink.left), at + baseline), line, fill="white", font=font, anchor="ls"
                )
            box = ink_box(image)
            assert box is not None and len(fitted.lines) > 1
            assert box[0] >= at - 1 and box[1] >= at - 1
            assert box[2] <= at + fitted.width_px + 1 and box[3] <= at + fitted.height_px + 1


def test_lines_never_touch(ruler: Fonts) -> None:
    """Marks below a line and above the next one keep apart."""
    for size_px in (12, 20, 48):
        sizes = Sizes(size_px, size_px, size_px)
        fitted = fit("ญู่ฐุ ปี่ที่ ฎุฏู ป้ำนี้", size_px * 3, size_px * 9, sizes, ruler, is_bold=True)
        assert len(fitted.lines) >= 3
        for number in range(1, len(fitted.lines)):
            above = fitted.baselines[number - 1] + fitted.inks[number - 1].bottom
            assert above < fitted.baselines[number] + fitted.inks[number].top


def test_what_cannot_fit_says_so_with_an_ellipsis(painter: Painter) -> None:
    for text in ("ก" * 5_000, "W" * 5_000, "ผู้โดยสาร " * 300, "็" * 700):
        for state in FaceState:
            face = face_of(state, text, text, header=text, lines=(text,) * 3)
            for placed in texts_of(painter.plan(face)):
                check_inside(placed)
                if placed.fitted.is_shortened:
                    assert placed.fitted.lines[-1].endswith("…")
            painter.draw(face)


def test_empty_and_odd_texts_are_drawn(painter: Painter) -> None:
    for text in ("", " ", "\u200b", "\n\t", "\x00\ufffe", "😀", "\u202eกข"):
        for state in FaceState:
            painter.draw(face_of(state, text, text, header=text, clock=text, lines=(text, text), line_second=text))


@pytest.mark.parametrize("text", ["ปู่", "ญู", "ฐุ"])
def test_raqm_shapes_what_basic_layout_breaks(ruler: Fonts, text: str) -> None:
    shaped = ruler.font(60, is_bold=True)
    basic = ImageFont.truetype(FOLDER / BOLD, 60, layout_engine=ImageFont.Layout.BASIC)
    assert shaped.layout_engine == ImageFont.Layout.RAQM
    assert pixels(shaped, text) != pixels(basic, text)


def test_a_tone_mark_stands_clear_above_its_vowel_and_left_of_a_tall_stem(ruler: Fonts) -> None:
    """ที่: rows without ink between the vowel above and its tone mark. ป่: the mark does not stand on the tall stem."""
    font = ruler.font(100, is_bold=True)

    def rows(text: str) -> list[bool]:
        raw = pixels(font, text)
        width, body = int.from_bytes(raw[:4], "big"), raw[4:]
        return [max(body[at : at + width]) > 127 for at in range(0, len(body), width)]

    assert rows("ที").count(True) < rows("ที่").count(True)
    ink = rows("ที่")
    first_gap = ink.index(False)
    assert 0 < first_gap < ink.index(True, first_gap) < len(ink), "no gap below the tone mark"
    low = ruler.ink("ปา", 100, is_bold=True)
    marked = ruler.ink("ป่า", 100, is_bold=True)
    assert marked.right == low.right and marked.top < low.top + 2


def test_no_text_of_ours_lacks_a_letter_in_the_font(ruler: Fonts) -> None:
    missing = {pixels(ruler.font(40, is_bold=is_bold), "\uffff") for is_bold in (False, True)}
    letters = {
        char
        for language in ("th", "en")
        for face in refused_faces(language)
        for char in face.title + face.line + face.header + (face.badge.text if face.badge else "")
    } - {" ", "\u200b"}
    assert len(letters) > 100
    for is_bold in (False, True):
        font = ruler.font(40, is_bold=is_bold)
        assert [char for char in sorted(letters) if pixels(font, char) in missing] == []


def test_the_fonts_are_those_that_were_taken() -> None:
    sums = wanted_sums(FOLDER / SOURCES)
    assert {MEDIUM, BOLD, "OFL.txt"} <= set(sums)
    check_fonts()
    assert "SIL OPEN FONT LICENSE" in (FOLDER / "OFL.txt").read_text(encoding="utf-8").upper()
    font = ImageFont.truetype(FOLDER / BOLD, 20)
    assert font.getname() == ("Sarabun", "Bold")


@pytest.mark.parametrize("name", [MEDIUM, BOLD])
def test_another_font_or_none_is_refused(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "fonts"
    copytree(FOLDER, folder)
    check_fonts(folder)
    raw = bytearray((folder / name).read_bytes())
    raw[1_000] ^= 1
    (folder / name).write_bytes(raw)
    with pytest.raises(ScreenFontWrong, match="6083"):
        Fonts(folder)
    (folder / name).unlink()
    with pytest.raises(ScreenFontWrong, match=name):
        Fonts(folder)
    (folder / SOURCES).unlink()
    with pytest.raises(ScreenFontWrong):
        Fonts(folder)


def test_without_raqm_nothing_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    check_shaping()
    monkeypatch.setattr(typeface.features, "check", lambda name: name != "raqm" and features.version("freetype2"))
    with pytest.raises(ThaiShapingMissing, match="6082"):
        Painter(320, 240, Theme.DAY)

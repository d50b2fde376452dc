"""Names with signs that Sarabun lacks: emoji come out whole, all else is said, nothing is a missing glyph's box."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import zxingcpp
from PIL import Image, ImageChops, ImageDraw, ImageFont

from offline_ledger.errors import ScreenFontWrong
from offline_ledger.texts.font_letters import letters_of
from offline_ledger.texts.typeface import BOLD, EMOJI, FOLDER, MEDIUM
from pos_app.paper.letters import FIRST_EMOJI, LAST_EMOJI
from pos_app.paper.raster import DOTS_OF_MM, MARGIN_DOTS, ReceiptPainter
from pos_app.paper.receipt import Item, Language, Shop
from simulators.printer.samples import sale

FAMILY, COOK, FLAG, ENGLAND = (
    "👨\u200d👩\u200d👧\u200d👦",
    "👩🏽\u200d🍳",
    "🇹🇭",
    "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
)
NAMES = {
    "emoji": "😀🍜 ก๋วยเตี๋ยว🦐เผ็ด🌶️",
    "family": f"ชุด{FAMILY}ครอบครัว",
    "joined with colour": f"{COOK}แม่ครัว {COOK}{COOK}",
    "flags": f"{FLAG}🇱🇦🇯🇵{ENGLAND} 🇹",
    "keys": "1️⃣ 2️⃣ #️⃣ 1⃣",
    "forty": "🍜" * 40,
    "forty families": FAMILY * 40,
    "younger than this Python": "\U0001fae9\U0001fae8\U0001f6d8",
    "no emoji at all": "\U0001faff\U0001f02f",
    "joined what nobody joins": "🍜\u200d🦐\u200d🐟",
    "Chinese": "北京烤鸭 大份",
    "Japanese": "ラーメン と すし",
    "Korean": "김치찌개",
    "Arabic": "كباب بالأرز ٣ قطع",
    "Hebrew": "פלאפל",
    "Lao and Khmer": "ຕຳໝາກຫຸ່ງ ស៊ុប",
    "Cyrillic": "Борщ",
    "zalgo": "ก" + "\u0335\u0321\u035c\u0489" * 60 + "Z" + "\u0300\u0316\u0334" * 60 + "ข" + "้" * 90,
    "wide letters": "ＡＢＣ１２３ ① ℃ ｶﾚｰ",
    "signs": "★☆✓✗♡●■► ⌘ ⁂ ⚑",
    "turned round": "\u202eabc\u2066\u200f\u061c",
    "control": "\x1b@\x10\x14\x01\x00\x7f\x85",
    "private use": "a\uf8ff\U000f0000\U000f0001\ue000\U0010fffd",
    "joiners alone": "\u200d\ufe0f\u20e3\U000e0067",
}


@cache
def painter(paper: int) -> ReceiptPainter:
    return ReceiptPainter(paper)


def said(text: str, language: Language = Language.TH) -> str:
    """What stands on paper, emoji as themselves."""
    made = painter(58)
    made.draw(sale(language))
    letters = made._letters  # pyright: ignore[reportPrivateUsage]
    return "".join(letters.emoji(s) if FIRST_EMOJI <= s <= LAST_EMOJI else s for s in made.drawn(text))


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, str]]]:
    """File of the font and text of everything that is drawn, while it is drawn."""
    found: list[tuple[str, str]] = []
    real = ImageDraw.ImageDraw.text

    def text(self: ImageDraw.ImageDraw, at: tuple[int, int], words: str, **more: object) -> None:
        font = more["font"]
        assert isinstance(font, ImageFont.FreeTypeFont)
        found.append((Path(str(font.path)).name, words))
        real(self, at, words, **more)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(ImageDraw.ImageDraw, "text", text)
    yield found


@pytest.mark.parametrize("paper", sorted(DOTS_OF_MM))
@pytest.mark.parametrize("name", NAMES.values(), ids=list(NAMES))
def test_no_name_prints_the_box_of_a_missing_glyph(name: str, paper: int, drawn: list[tuple[str, str]]) -> None:
    has = {file: letters_of(FOLDER / file) for file in (MEDIUM, BOLD, EMOJI)}
    receipt = sale(Language.TH)._replace(
        shop=Shop(name, name, name, name), number=name, cashier=name, note=name, campaign=name
    )
    receipt = receipt._replace(items=(Item(name, 2, 6_000, 12_000),), rows=((name, name), (name, "")))
    picture = painter(paper).draw(receipt)
    boxes = {(file, sign) for file, words in drawn for sign in words if sign not in has[file]}
    assert not boxes and drawn
    box = ImageChops.invert(picture.convert("L")).getbbox()
    assert box is not None and box[0] >= MARGIN_DOTS - 1 and box[2] <= DOTS_OF_MM[paper] - MARGIN_DOTS + 1
    assert any("120.00" in words for _file, words in drawn), "the amount stands beside it"
    assert zxingcpp.read_barcodes(picture.convert("L"))[0].text == receipt.voucher


@pytest.mark.parametrize("file", [MEDIUM, BOLD, EMOJI])
def test_the_signs_of_a_font_are_those_that_freetype_draws(file: str) -> None:
    """FreeType is somebody else's reader of the same table: what is not in it is drawn as the box."""
    face = ImageFont.truetype(FOLDER / file, 40, layout_engine=ImageFont.Layout.BASIC)
    signs = letters_of(FOLDER / file)

    def looks(sign: str) -> tuple[bytes, float]:
        picture = Image.new("L", (80, 60))
        ImageDraw.Draw(picture).text((10, 50), sign, fill=255, font=face, anchor="ls")
        return picture.tobytes(), face.getlength(sign)

    box = looks("\U0010ffff")
    assert any(box[0]) and len(signs) > 700, "the box is seen"
    assert [sign for sign in signs if looks(sign) == box] in ([], ["\uf8ff"]), "private use, never drawn"
    others = [chr(at) for at in (*range(0x20, 0x3000), *range(0x1F000, 0x1FB00)) if chr(at) not in signs]
    assert [sign for sign in others if looks(sign) != box] == []


@pytest.mark.parametrize("emoji", [FAMILY, COOK, FLAG, ENGLAND, "👍🏿", "1️⃣", "❤️\u200d🔥", "🏳️\u200d🌈"])
def test_an_emoji_of_many_signs_is_one(emoji: str, drawn: list[tuple[str, str]]) -> None:
    made = painter(58)
    sign = made.drawn(emoji)
    assert len(sign) == 1 and FIRST_EMOJI <= sign <= LAST_EMOJI
    receipt = sale(Language.TH)._replace(items=(Item(emoji * 30, 1, 1, 1),))
    made.draw(receipt)
    assert [words for file, words in drawn if file == EMOJI] == [emoji] * 30, "never divided, none lost"


def test_forty_emoji_all_come_out_over_lines(drawn: list[tuple[str, str]]) -> None:
    name = "".join(chr(0x1F345 + at) for at in range(40))
    for paper in DOTS_OF_MM:
        drawn.clear()
        painter(paper).draw(sale(Language.TH)._replace(items=(Item(name, 1, 1, 1),)))
        assert "".join(words for file, words in drawn if file == EMOJI) == name


@pytest.mark.parametrize(
    ("name", "stands"),
    [
        ("北京烤鸭", "[จีน 4]"),
        ("北京 烤鸭 x", "[จีน 4] x"),
        ("ก๋วยเตี๋ยว 北京 😀", "ก๋วยเตี๋ยว [จีน 2] 😀"),
        ("كباب", "[อาหรับ 4]"),
        ("ｶﾚｰ", "[ญี่ปุ่น 3]"),
        ("٣๓3", "3๓3"),
        ("ＡＢＣ①℃", "ABC1°C"),
        ("★✓♡", "⭐✔♥"),
        ("⁂", "[asterism]"),
        ("ᏣᎳᎩ", "[cherokee 3]"),
        ("\U0001faff", "[U+1FAFF]"),
        ("🍜\u200d🦐", "🍜🦐"),
        ("👨🏽\u200d🦐", "👨🏽🦐"),
        ("a\u200d\ufe0fb\u0489", "ab"),
        ("\U000f0000x", "x"),
        ("น้ำ 5°C × 2 – 10 ฿ …", "น้ำ 5°C × 2 – 10 ฿ …"),
    ],
)
def test_what_no_font_has_is_said(name: str, stands: str) -> None:
    found = said(name)
    assert found.replace("\u200d", "") == stands.replace("\u200d", "")


def test_scripts_are_named_in_the_receipts_language() -> None:
    assert said("北京", Language.EN) == "[Chinese 2]" and said("北京", Language.BOTH) == "[จีน 2]"


def test_a_font_that_is_none_is_refused(tmp_path: Path) -> None:
    whole = (FOLDER / MEDIUM).read_bytes()
    for number, data in enumerate((b"", b"\0" * 64, whole[:300], whole.replace(b"cmap", b"cmop", 1))):
        file = tmp_path / f"{number}.ttf"
        file.write_bytes(data)
        with pytest.raises(ScreenFontWrong):
            letters_of(file)

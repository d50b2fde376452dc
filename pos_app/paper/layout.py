"""A receipt as rows: which words, how large, on which side. Pure. DESIGN §1, §9; issue "Thai raster receipt".

Knows no dots: how wide a word is and where a line ends is the raster's. Words of ours come from the catalogue by
`receipt.…`; names are printed as they were keyed in, without what could turn a line round or stack marks on it.
"""

import re
from collections.abc import Callable, Iterator
from datetime import date
from enum import Enum
from typing import NamedTuple
from unicodedata import category

from offline_ledger.money import format_minor
from offline_ledger.rules.civil import BANGKOK_AHEAD_S, EPOCH_ORDINAL, civil_day, format_buddhist
from offline_ledger.rules.limits import DAY_S
from pos_app.paper.receipt import Item, Language, Receipt, ReceiptKind, Tender

NAME_CHARACTERS_MAX = 160
"""Four lines on narrow paper; more is no name."""
EXPLANATION_CHARACTERS_MAX = 250
MARKS_MAX = 3
"""A Thai consonant carries a vowel, a tone mark and at most a cancellation mark; a tower of them is no word."""
ZERO_WIDTH_SPACE = "\u200b"
_PICTURE = "[\u203c\u2049\u2122\u2139\u2190-\u2bff\u3030\u303d\u3297\u3299\U0001f000-\U0001faff]"
_DRESSED = f"{_PICTURE}\ufe0f?[\U0001f3fb-\U0001f3ff]?"
EMOJI_SEQUENCE = (
    "[\U0001f1e6-\U0001f1ff]{2}"
    "|[0-9#*]\ufe0f?\u20e3"
    "|\U0001f3f4[\U000e0020-\U000e007e]{1,8}\U000e007f"
    f"|{_DRESSED}(?:\u200d{_DRESSED}){{0,7}}"
)
"""One emoji, as Unicode's technical standard 51 puts it together: a flag, a key, a region's flag, people joined."""
_SIGNS = re.compile(f"{EMOJI_SEQUENCE}|.", re.DOTALL)
SIGNATURE_DOTS = 32
MONEY_BACK = (ReceiptKind.REFUND, ReceiptKind.VOID)
SLIPS = (ReceiptKind.CASH_IN, ReceiptKind.CASH_OUT)

Say = Callable[..., str]
"""`say(key, **values)`: the catalogue in the receipt's language, or in both with `EITHER` between."""
EITHER = "\x1f"
"""Between Thai and English: a stroke where both go on one line, else a new line. Rows, campaign and note may have it;
from names it is taken out."""


class Size(Enum):
    """Of letters; the raster knows what each is in dots."""

    SMALL = "small"
    NORMAL = "normal"
    LARGE = "large"
    HUGE = "huge"


class Side(Enum):
    """Where a line stands."""

    LEFT = "left"
    CENTRE = "centre"
    RIGHT = "right"


class Words(NamedTuple):
    """A text that goes over as many lines as it needs."""

    text: str
    size: Size = Size.NORMAL
    side: Side = Side.LEFT
    is_bold: bool = False
    is_indented: bool = False


class Pair(NamedTuple):
    """Words on the left, an amount on the right of their last line."""

    left: str
    right: str
    size: Size = Size.NORMAL
    is_bold: bool = False
    is_indented: bool = False


class Rule(NamedTuple):
    """A line across; `is_heavy` around the total."""

    is_heavy: bool = False


class Banner(NamedTuple):
    """White on black across the whole paper, so that nobody overlooks it."""

    text: str


class Code(NamedTuple):
    """A QR code, as large as the paper allows."""

    text: str


class Space(NamedTuple):
    """Half an empty line."""


Part = Words | Pair | Rule | Banner | Code | Space


class Sheet(NamedTuple):
    """Everything from top to bottom; `behind`: words that stand pale behind all of it, or none."""

    parts: tuple[Part, ...]
    behind: str = ""


def lay_out(receipt: Receipt, say: Say) -> Sheet:
    """The rows of a receipt."""
    banners = tuple(_banners(receipt, say))
    parts = (*banners, *_head(receipt, say), *_body(receipt, say), *_tail(receipt, say), *banners)
    return Sheet(parts, say("receipt.training") if receipt.is_training else "")


def plain(name: str, characters_max: int = NAME_CHARACTERS_MAX) -> str:
    """A name as it may stand on paper: on one line, without signs that are not seen, and not endless; an emoji of
    several signs is one."""
    kept: list[str] = []
    marks = 0
    for sign in _SIGNS.findall(name):
        kind = "So" if len(sign) > 1 else category(sign)
        if kind == "Cn" and "\U0001f000" <= sign <= "\U0001faff":
            kind = "So"  # an emoji that is younger than this Python
        if sign in "\t\n\r" or kind in ("Zl", "Zp"):
            sign, kind = " ", "Zs"
        if kind in ("Cc", "Cf", "Cs", "Co", "Cn") and sign != ZERO_WIDTH_SPACE:
            continue
        marks = marks + 1 if kind in ("Mn", "Me") else 0
        if marks > MARKS_MAX or (len(sign) == 1 and "\ufe00" <= sign <= "\ufe0f"):
            continue
        kept.append(sign)
        if len(kept) > characters_max:
            return "".join(kept[: characters_max - 1]).rstrip() + "…"
    return "".join(kept).strip()


def when(at_s: int, language: Language) -> str:
    """Civil time in Bangkok: Buddhist year in Thai, common era in English, `22/11/2569 (2026) 08:48` in both."""
    day = civil_day(at_s)
    thai, common = format_buddhist(day), date.fromordinal(day + EPOCH_ORDINAL)
    minutes = (at_s + BANGKOK_AHEAD_S) % DAY_S // 60
    clock = f"{minutes // 60:02d}:{minutes % 60:02d}"
    if language is Language.TH:
        return f"{thai} {clock}"
    if language is Language.EN:
        return f"{common.day:02d}/{common.month:02d}/{common.year} {clock}"
    return f"{thai} ({common.year}) {clock}"


# --- inside


def _either(text: str) -> str:
    return EITHER.join(plain(part, EXPLANATION_CHARACTERS_MAX) for part in text.split(EITHER)[:2])


def _banners(receipt: Receipt, say: Say) -> Iterator[Part]:
    if receipt.is_training:
        yield Banner(say("receipt.training"))
    if receipt.is_copy:
        yield Banner(say("receipt.copy"))
    if receipt.is_doubtful:
        yield Banner(say("receipt.doubtful"))


def _head(receipt: Receipt, say: Say) -> Iterator[Part]:
    shop = receipt.shop
    yield Words(plain(shop.name), Size.LARGE, Side.CENTRE, is_bold=True)
    if shop.branch:
        yield Words(plain(shop.branch), side=Side.CENTRE)
    if shop.address:
        yield Words(plain(shop.address), Size.SMALL, Side.CENTRE)
    if shop.tax_id:
        yield Words(f"{say('receipt.tax_id')} {plain(shop.tax_id)}", Size.SMALL, Side.CENTRE)
    yield Space()
    is_tax_invoice = receipt.kind is ReceiptKind.SALE and receipt.vat_satang is not None and shop.tax_id
    title = "tax_invoice" if is_tax_invoice else receipt.kind.value
    is_usual = receipt.kind is ReceiptKind.SALE
    yield Words(say(f"receipt.title.{title}"), Size.NORMAL if is_usual else Size.LARGE, Side.CENTRE, is_bold=True)
    yield Space()
    if receipt.number:
        yield Pair(say("receipt.number"), plain(receipt.number))
    if receipt.original:
        yield Pair(say("receipt.original"), plain(receipt.original))
    yield Pair(say("receipt.time"), when(receipt.at_s, receipt.language))
    if receipt.cashier:
        yield Pair(say("receipt.cashier"), plain(receipt.cashier))


def _body(receipt: Receipt, say: Say) -> Iterator[Part]:
    if receipt.items:
        yield Rule()
        for item in receipt.items:
            yield from _item(item, say)
    if receipt.rows:
        yield Rule()
        for label, value in receipt.rows:
            yield from _row(_either(label), _either(value))
    yield from _sums(receipt, say)


def _item(item: Item, say: Say) -> Iterator[Part]:
    yield Pair(plain(item.name) or "–", format_minor(item.total_satang))
    if item.quantity != 1 or item.discount_satang:
        yield Words(f"{item.quantity:,} × {format_minor(item.unit_satang)}", Size.SMALL, is_indented=True)
    if item.discount_satang:
        said = f"{say('receipt.discount')} {format_minor(-item.discount_satang)}"
        yield Words(said, Size.SMALL, is_indented=True)


def _row(label: str, value: str) -> Iterator[Part]:
    if not label and not value:
        yield Rule()
    elif not value:
        yield Words(label, is_bold=True)
    else:
        yield Pair(label, value)


def _sums(receipt: Receipt, say: Say) -> Iterator[Part]:
    if receipt.total_satang is None:
        return
    yield Rule(is_heavy=True)
    has_less = receipt.discount_satang or receipt.kgo_discount_satang
    if receipt.subtotal_satang is not None and (has_less or receipt.subtotal_satang != receipt.total_satang):
        yield Pair(say("receipt.subtotal"), format_minor(receipt.subtotal_satang))
    if receipt.discount_satang:
        yield Pair(say("receipt.discount"), format_minor(-receipt.discount_satang))
    back = "_back" if receipt.kind in MONEY_BACK else ""
    if receipt.kgo:
        said = say(f"receipt.kgo{back}", kgo=format_minor(receipt.kgo))
        yield Pair(said, format_minor(-receipt.kgo_discount_satang) if receipt.kgo_discount_satang else "")
    if receipt.campaign:
        yield Words(_either(receipt.campaign), Size.SMALL, is_indented=True)
    total = "receipt.amount" if receipt.kind in SLIPS else f"receipt.total{back}"
    yield Pair(say(total), format_minor(receipt.total_satang), Size.LARGE, is_bold=True)
    for tender in receipt.tenders:
        yield from _tender(tender, say)
    if receipt.change_satang is not None:
        yield Pair(say("receipt.change"), format_minor(receipt.change_satang), is_bold=True)
    if receipt.vat_satang is not None:
        yield Pair(say("receipt.vat"), format_minor(receipt.vat_satang), Size.SMALL)


def _tender(tender: Tender, say: Say) -> Iterator[Part]:
    yield Pair(say(f"receipt.tender.{tender.kind}"), format_minor(tender.satang))
    if tender.is_unverified:
        yield Words(say("receipt.unverified"), Size.SMALL, is_indented=True)


def _tail(receipt: Receipt, say: Say) -> Iterator[Part]:
    if receipt.reward_kgo:
        yield Rule()
        key = "receipt.reward_back" if receipt.kind in MONEY_BACK else "receipt.reward"
        yield Words(say(key, kgo=format_minor(receipt.reward_kgo)), side=Side.CENTRE)
    if receipt.note:
        yield Rule()
        yield Words(_either(receipt.note))
    if receipt.kind in (*SLIPS, *MONEY_BACK, ReceiptKind.REFUND_REQUEST):
        yield Space()
        yield Space()
        yield Pair(say("receipt.signature"), "." * SIGNATURE_DOTS, Size.SMALL)
    if receipt.voucher is not None:
        yield Rule()
        yield Code(receipt.voucher)
        yield Words(say("receipt.check"), Size.SMALL, Side.CENTRE)
    if receipt.kind is ReceiptKind.SALE:
        yield Space()
        yield Words(say("receipt.thanks"), side=Side.CENTRE, is_bold=True)
    if receipt.kind is ReceiptKind.TEST:
        yield Rule()
        yield Words("กู้ ปู่ ญู ฐุ น้ำ ปี่ ฟ้า ก๋วยเตี๋ยว ๐๑๒๓๔๕๖๗๘๙", Size.LARGE, Side.CENTRE)
        yield Words("ABC xyz 0123456789 ฿ × – …", side=Side.CENTRE)

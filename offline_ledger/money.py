"""Integer money: KGO in 1/100 KGO, THB in satang. Never a float, never `/`. DESIGN §2.

Rounding is always named: `share_down` gives the part rounded towards zero, the rest stays with the whole; `share_up`
the other way; `share_nearest` is for a tax, which the law rounds to the nearest satang, a half up.
"""

import re

KGO = 100
"""Minor units in one KGO."""
THB = 100
"""Satang in one baht."""
AMOUNT_MINOR_MAX = 10**12
"""No single amount in this system is larger; a bigger number is a mistake or an attack."""
WHOLE_DIGITS_MAX = 10
ARABIC = {0x0E50 + digit: str(digit) for digit in range(10)}
"""For `str.translate`: Thai digits as the keypads of Thai phones and spreadsheets write them. No other script's."""
_AMOUNT = r"([0-9]+|[0-9]{1,3}(,[0-9]{3})+)(\.[0-9]{1,2})?"


def share_down(amount_minor: int, part: int, whole: int) -> int:
    """`amount_minor · part ⁄ whole`, rounded down; amounts ≥ 0, whole > 0."""
    if amount_minor < 0 or part < 0 or whole <= 0:
        raise ValueError("share_down takes amounts of zero or more and a positive whole")
    return amount_minor * part // whole


def share_up(amount_minor: int, part: int, whole: int) -> int:
    """`amount_minor · part ⁄ whole`, rounded up; amounts ≥ 0, whole > 0."""
    return share_down(amount_minor * part + whole - 1, 1, whole)


def share_nearest(amount_minor: int, part: int, whole: int) -> int:
    """`amount_minor · part ⁄ whole`, rounded to the nearest, a half up; amounts ≥ 0, whole > 0."""
    return share_down(2 * amount_minor * part + whole, 1, 2 * whole)


def format_minor(amount_minor: int) -> str:
    """`12345` → `123.45`, `-50` → `-0.50`: two decimals always, thousands grouped."""
    sign = "-" if amount_minor < 0 else ""
    whole, minor = divmod(abs(amount_minor), 100)
    return f"{sign}{whole:,}.{minor:02d}"


def parse_minor(text: str) -> int:
    """`"120"`, `"120.5"`, `"1,120.50"`, `"๑๒๐"` → minor units ≥ 0. A comma only where it groups thousands: `120,50` and
    `3,0` mean something else to who wrote them. ValueError for these and all else (signs, three decimals)."""
    plain = text.strip().translate(ARABIC)
    if not re.fullmatch(_AMOUNT, plain):
        raise ValueError(f"not an amount: {text[:20]!r}")
    whole, _, decimals = plain.replace(",", "").partition(".")
    if len(whole) > WHOLE_DIGITS_MAX:
        raise ValueError(f"not an amount: {text[:20]!r}")
    return int(whole) * 100 + int(decimals.ljust(2, "0"))

"""Integer money: KGO in 1/100 KGO, THB in satang. Never a float, never `/`. DESIGN §2.

Rounding is always named: `share_down` gives the part rounded towards zero, the rest stays with the whole.
"""

KGO = 100
"""Minor units in one KGO."""
THB = 100
"""Satang in one baht."""
AMOUNT_MINOR_MAX = 10**12
"""No single amount in this system is larger; a bigger number is a mistake or an attack."""


def share_down(amount_minor: int, part: int, whole: int) -> int:
    """`amount_minor · part ⁄ whole`, rounded down; amounts ≥ 0, whole > 0."""
    if amount_minor < 0 or part < 0 or whole <= 0:
        raise ValueError("share_down takes amounts of zero or more and a positive whole")
    return amount_minor * part // whole


def format_minor(amount_minor: int) -> str:
    """`12345` → `123.45`, `-50` → `-0.50`: two decimals always, thousands grouped."""
    sign = "-" if amount_minor < 0 else ""
    whole, minor = divmod(abs(amount_minor), 100)
    return f"{sign}{whole:,}.{minor:02d}"


def parse_minor(text: str) -> int:
    """`"120"`, `"120.5"`, `"1,120.50"` → minor units ≥ 0; ValueError for anything else (signs, three decimals)."""
    plain = text.strip().replace(",", "")
    whole, _, decimals = plain.partition(".")
    if not (whole.isascii() and whole.isdigit()) or len(whole) > 10:
        raise ValueError(f"not an amount: {text[:20]!r}")
    if "." in plain and not (decimals.isascii() and decimals.isdigit() and len(decimals) <= 2):
        raise ValueError(f"not an amount: {text[:20]!r}")
    return int(whole) * 100 + int(decimals.ljust(2, "0") or "0")

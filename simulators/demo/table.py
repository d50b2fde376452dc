"""The table that a shop owner understands, in Thai and English. Pure: figures in, text out."""

import unicodedata
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from offline_ledger.money import format_minor
from simulators.demo.reader import Figures

HEADINGS = (
    ("เครื่อง", "Terminal"),
    ("รับแล้ว", "Accepted"),
    ("ปฏิเสธ", "Refused"),
    ("KGO", "KGO"),
    ("บาท", "Baht"),
    ("เมืองยืนยัน", "Settled"),
)


class Words(NamedTuple):
    """One thing said in both languages."""

    thai: str
    english: str


def width_of(text: str) -> int:
    """Columns on a terminal: Thai vowels and tone marks above and below take none."""
    return sum(unicodedata.category(one) not in ("Mn", "Me", "Cf") for one in text)


def padded(text: str, width: int, *, right: bool) -> str:
    """Filled with spaces to `width` columns."""
    fill = " " * (width - width_of(text))
    return fill + text if right else text + fill


def table(rows: Sequence[Sequence[str]], headings: Sequence[tuple[str, str]] = HEADINGS) -> str:
    """Both headings, a line, the rows; the first column to the left, the others to the right."""
    lines = [[thai for thai, _ in headings], [english for _, english in headings], *rows]
    widths = [max(width_of(line[at]) for line in lines) for at in range(len(headings))]
    drawn = ["  ".join(padded(cell, widths[at], right=at > 0) for at, cell in enumerate(line)) for line in lines]
    drawn.insert(2, "-" * (sum(widths) + 2 * (len(widths) - 1)))
    return "\n".join(drawn)


def sales_table(figures: Figures, names: Mapping[str, str]) -> str:
    """One line per terminal and the total."""
    rows = [
        (
            names[one.device],
            str(one.accepted),
            str(one.refused),
            format_minor(one.kgo),
            format_minor(one.satang),
            str(one.acked),
        )
        for one in figures.terminals
    ]
    total = (
        "รวม Total",
        str(figures.accepted),
        str(figures.refused),
        format_minor(sum(one.kgo for one in figures.terminals)),
        format_minor(sum(one.satang for one in figures.terminals)),
        str(figures.acked),
    )
    return table([*rows, total])


def promises_table(figures: Figures, *, audit_ok: bool) -> str:
    """What was promised, and what came out."""
    yes = "ผ่าน passed" if audit_ok else "ไม่ผ่าน FAILED"
    rows = (
        ("สูญหาย Lost", str(figures.lost)),
        ("เก็บเงินซ้ำ Charged twice", str(figures.doubled)),
        ("ใช้เงินซ้ำที่พิสูจน์ได้ Double spending proven", str(figures.equivocations_proven)),
        ("ผลรวมทุกบัญชี KGO / บาท  Sum of all accounts", f"{figures.kgo_sum} / {figures.thb_sum}"),
        ("ตรวจสอบบัญชี Audit", yes),
    )
    return table(rows, (("สัญญา", "Promise"), ("ผล", "Result")))

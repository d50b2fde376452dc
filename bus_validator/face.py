"""What the validator's screen says at one moment, as values: the boarding rules fill it, the screen draws it. Pure.

Every face names its shape and its sound by `state`; nothing on it is told by colour alone. DESIGN §2; FIELD_LESSONS 21.
"""

from enum import StrEnum
from typing import NamedTuple


class FaceState(StrEnum):
    """What the screen is about; each has its own glyph, shape, colour and sound."""

    WAIT = "wait"
    READING = "reading"
    """A code or card is read and its light is late: hold still."""
    ACCEPTED = "accepted"
    ACCEPTED_CASH_DUE = "accepted_cash_due"
    ALREADY_ACCEPTED = "already_accepted"
    REFUSED = "refused"
    PRESENT_AGAIN = "present_again"
    OUT_OF_SERVICE = "out_of_service"
    TRAINING = "training"
    """A training device's would-be green: its own look, never green."""
    LIST = "list"
    """A driver's menu or a choice of route, direction or stop."""
    PIN = "pin"
    """A driver signs on: `line` has a dot "●" for each digit given and a ring "○" for each to come;
    the first of `lines` is drawn large (the digit that is turned to), the others are hints."""
    REPORT = "report"
    """The waybill: lines of text; a tab in a line puts what follows at the right edge."""


class Theme(StrEnum):
    """How it is drawn."""

    DAY = "day"
    NIGHT = "night"
    HIGH_CONTRAST = "high_contrast"


class Badge(NamedTuple):
    """The link in words that are always readable: "synced N min ago, M waiting". `is_offline` is its shape."""

    text: str
    is_offline: bool


class Face(NamedTuple):
    """One picture. Texts are whole and in the language they are to be shown in; the drawing shortens nothing silently.

    `title`: the big line ("ผ่าน", "เก็บ 1 บาท"); `line`: one line below (why, remedy, amount); `lines`: a list's entries
    or a report's lines; `selected`: which entry of a list is marked; `header`: route, direction and stop, or nothing;
    `clock`: "14:05", or "--:--" while the clock is not trusted. `title_second`, `line_second`: the same in the second
    language, small, drawn only where they fit whole. Of a report `selected` is the line that stands on top.
    """

    state: FaceState
    title: str
    line: str = ""
    lines: tuple[str, ...] = ()
    selected: int | None = None
    header: str = ""
    clock: str = ""
    badge: Badge | None = None
    title_second: str = ""
    line_second: str = ""

"""The colours of each state in each theme, and the contrast that they must keep. Pure. WCAG 2.2, 1.4.3 and 1.4.11.

Colour is never the only sign: each state has a shape of its own (`shapes`). Day is for the sun: floods of colour with
white or black on them, and black on white below. Night keeps light off the windscreen: dark grounds, no white floods.
High contrast is black, white and one yellow, for eyes that tell few colours.
"""

from typing import NamedTuple

from bus_validator.face import FaceState, Theme

Colour = tuple[int, int, int]

TEXT_CONTRAST_MIN_PERCENT = 700
"""WCAG AAA for all text (7:1), in percent: a screen in the sun loses half of what it has."""
SHAPE_CONTRAST_MIN_PERCENT = 450
"""Above WCAG's 3:1 for graphics, for the same reason."""


class Look(NamedTuple):
    """One state: the flood behind its shape and title, what stands on it, and the shape itself."""

    flood: Colour
    on_flood: Colour
    shape: Colour


class Colours(NamedTuple):
    """A theme: looks by state, the paper below, the strip above and the badge."""

    looks: dict[FaceState, Look]
    paper: Colour
    ink: Colour
    ink_second: Colour
    strip: Colour
    on_strip: Colour
    badge: Colour
    on_badge: Colour
    mark: Colour
    on_mark: Colour


def _rgb(hexed: str) -> Colour:
    return int(hexed[0:2], 16), int(hexed[2:4], 16), int(hexed[4:6], 16)


def _looks(flood_on_shape: dict[FaceState, tuple[str, str, str]]) -> dict[FaceState, Look]:
    return {state: Look(*(_rgb(one) for one in three)) for state, three in flood_on_shape.items()}


def _colours(looks: dict[FaceState, tuple[str, str, str]], *nine: str) -> Colours:
    return Colours(_looks(looks), *(_rgb(one) for one in nine))


_QUIET_DAY = ("F2F5F9", "0B1F33", "0B3A66")
_QUIET_NIGHT = ("070B10", "D5E0EA", "8FB4D6")
_QUIET_CONTRAST = ("000000", "FFFFFF", "FFFFFF")

_DAY = _colours(
    {
        FaceState.WAIT: _QUIET_DAY,
        FaceState.READING: _QUIET_DAY,
        FaceState.ACCEPTED: ("00612F", "FFFFFF", "FFFFFF"),
        FaceState.ACCEPTED_CASH_DUE: ("00612F", "FFFFFF", "FFD84D"),
        FaceState.ALREADY_ACCEPTED: ("0B4BA8", "FFFFFF", "FFFFFF"),
        FaceState.REFUSED: ("A3001A", "FFFFFF", "FFFFFF"),
        FaceState.PRESENT_AGAIN: ("FFB61A", "000000", "000000"),
        FaceState.OUT_OF_SERVICE: ("33383F", "FFFFFF", "FFD84D"),
        FaceState.TRAINING: ("5A1780", "FFFFFF", "FFFFFF"),
        FaceState.LIST: _QUIET_DAY,
        FaceState.PIN: _QUIET_DAY,
        FaceState.REPORT: _QUIET_DAY,
    },
    *("FFFFFF", "000000", "333A42", "10161D", "FFFFFF", "E3E8EE", "111820", "0B3A66", "FFFFFF"),
)
_NIGHT = _colours(
    {
        FaceState.WAIT: _QUIET_NIGHT,
        FaceState.READING: _QUIET_NIGHT,
        FaceState.ACCEPTED: ("00281A", "C9F7DE", "35D98B"),
        FaceState.ACCEPTED_CASH_DUE: ("00281A", "FFF0C2", "F2B632"),
        FaceState.ALREADY_ACCEPTED: ("061C3F", "D3E4FF", "7FB2FF"),
        FaceState.REFUSED: ("36060C", "FFDADD", "FF8086"),
        FaceState.PRESENT_AGAIN: ("2E2000", "FFE7B3", "F2B632"),
        FaceState.OUT_OF_SERVICE: ("16181B", "E6E8EA", "E0A92E"),
        FaceState.TRAINING: ("230A33", "F0DCFF", "C99BF0"),
        FaceState.LIST: _QUIET_NIGHT,
        FaceState.PIN: _QUIET_NIGHT,
        FaceState.REPORT: _QUIET_NIGHT,
    },
    *("000000", "D9DEE3", "A9B4BF", "0C1117", "BFCBD6", "0C1117", "BFCBD6", "8FB4D6", "000000"),
)
_HIGH_CONTRAST = _colours(
    {
        FaceState.WAIT: _QUIET_CONTRAST,
        FaceState.READING: _QUIET_CONTRAST,
        FaceState.ACCEPTED: ("FFFFFF", "000000", "000000"),
        FaceState.ACCEPTED_CASH_DUE: ("FFEB3B", "000000", "000000"),
        FaceState.ALREADY_ACCEPTED: _QUIET_CONTRAST,
        FaceState.REFUSED: ("000000", "FFFFFF", "FFEB3B"),
        FaceState.PRESENT_AGAIN: _QUIET_CONTRAST,
        FaceState.OUT_OF_SERVICE: ("000000", "FFFFFF", "FFEB3B"),
        FaceState.TRAINING: _QUIET_CONTRAST,
        FaceState.LIST: _QUIET_CONTRAST,
        FaceState.PIN: _QUIET_CONTRAST,
        FaceState.REPORT: _QUIET_CONTRAST,
    },
    *("000000", "FFFFFF", "FFFFFF", "000000", "FFFFFF", "000000", "FFFFFF", "FFEB3B", "000000"),
)


def colours_of(theme: Theme) -> Colours:
    """The colours of a theme."""
    return {Theme.DAY: _DAY, Theme.NIGHT: _NIGHT, Theme.HIGH_CONTRAST: _HIGH_CONTRAST}[theme]


def contrast_percent(one: Colour, other: Colour) -> int:
    """WCAG's contrast ratio times 100, rounded down: 100 (the same) to 2100 (black on white)."""
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return int((lighter + 0.05) / (darker + 0.05) * 100)


def _luminance(colour: Colour) -> float:
    red, green, blue = (_linear(channel / 255) for channel in colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(channel: float) -> float:
    return channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4

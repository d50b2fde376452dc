"""What the validator's screen says while its parts are tried, as values: never a face that a passenger knows. Pure.

Every page bears the word TEST in both languages, so that no light beside it is taken for a ride. Decision 0241.
"""

from typing import NamedTuple

from bus_validator.face import Face

DARK, LIGHT = "#", "."


class SelfTestPage(NamedTuple):
    """`words`: TEST, in both languages; `line`: what is done or asked; `how`: how to answer, only of a question; `id`:
    of the step. `code`: rows of a QR code's modules, DARK or LIGHT, its quiet zone included."""

    words: str
    line: str
    how: str = ""
    id: str = ""
    code: tuple[str, ...] = ()


class FillPage(NamedTuple):
    """One colour all over, to look for dark and stuck dots; the band with `words` stands at the top or the bottom, so
    that two pages show every dot."""

    words: str
    colour: tuple[int, int, int]
    is_band_below: bool


Picture = Face | SelfTestPage | FillPage
"""All that a screen can be told to show."""

WHITE, BLACK = (255, 255, 255), (0, 0, 0)
FILLS: tuple[tuple[tuple[int, int, int], bool], ...] = (
    ((255, 0, 0), False),
    ((0, 255, 0), False),
    ((0, 0, 255), False),
    (WHITE, True),
    (BLACK, True),
)
"""Colour, and whether the band stands below: what it hides in the first three, white and black show."""

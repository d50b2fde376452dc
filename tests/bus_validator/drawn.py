"""Faces for the tests of the screen: one of each state, and where the ink of a picture is."""

from PIL import Image

from bus_validator.face import Badge, Face, FaceState
from bus_validator.screen.plan import Item, Text

SIZES = ((320, 240), (800, 480))
BADGE = Badge("ซิงก์เมื่อ 12 นาทีก่อน · รอส่ง 148", True)


def face_of(state: FaceState, title: str = "ปู่ ญู ฐุ", line: str = "ที่นี้ก็ได้", **more: object) -> Face:
    """A face with everything on it."""
    lines = ("ป้าย 1", "ป้าย 2", "ป้าย 3") if state in (FaceState.LIST, FaceState.REPORT) else ()
    face = Face(state, title, line, lines, 1 if state is FaceState.LIST else None, "สาย 8 → มข. · ตลาด", "14:05", BADGE)
    return face._replace(**more)


def texts_of(plan: list[Item]) -> list[Text]:
    """The texts of a plan."""
    return [item for item in plan if isinstance(item, Text)]


def ink_box(image: Image.Image) -> tuple[int, int, int, int] | None:
    """Around all that differs from black."""
    return image.convert("L").getbbox()

"""What a camera sees: a phone with a code, held badly in named ways. Seeded; Pillow only. DESIGN §11.

A scene is a plain description; `render` makes the grey picture. One perspective map puts the phone into the frame
(size, rotation, tilt), then light falls on it (contrast, glare, a thumb), then the optics and the sensor spoil it
(blur, noise). Sizes are relative to the frame or to one module of the code, so a scene means the same at any size.
"""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

from PIL import Image, ImageChops, ImageDraw, ImageFilter

WIDTH_PX, HEIGHT_PX = 640, 480
_BEZEL = 40  # of the phone, in its own pixels
_Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Scene:
    """How the code is held. `height_share`: code with its quiet zone over frame height, when upright."""

    height_share: float = 0.75
    rotation_deg: float = 0.0
    tilt: float = 0.0  # the far edge is this share shorter than the near one
    inverted: bool = False
    black: int = 25
    white: int = 225
    glare_share: float = 0.0  # diameter of the saturated spot over the code's side
    covered_share: float = 0.0  # part of the code's side under a thumb, from its lower left corner
    blur_px: float = 0.0  # sigma
    smear_px: int = 0  # motion during exposure, sideways
    noise: float = 2.0  # sigma in grey levels


CLEAR = Scene()
READABLE: dict[str, Scene] = {
    "clear": CLEAR,
    "blur": replace(CLEAR, blur_px=1.2),
    "rotated_left": replace(CLEAR, rotation_deg=30, height_share=0.7),
    "rotated_right": replace(CLEAR, rotation_deg=-30, height_share=0.7),
    "sideways": replace(CLEAR, rotation_deg=90),
    "upside_down": replace(CLEAR, rotation_deg=180),
    "perspective": replace(CLEAR, tilt=0.25),
    "glare": replace(CLEAR, glare_share=0.25),
    "inverted": replace(CLEAR, inverted=True),
    "low_contrast": replace(CLEAR, black=95, white=140),
    "dim": replace(CLEAR, black=8, white=45),
    "noise": replace(CLEAR, noise=18.0),
    "off_centre": replace(CLEAR, height_share=0.62, tilt=0.12, rotation_deg=-12, blur_px=0.6, noise=5.0),
}
"""Faults that a rider may cause and must not notice."""

HOPELESS: dict[str, Scene] = {
    "covered": replace(CLEAR, covered_share=0.6),
    "glare_all": replace(CLEAR, glare_share=0.9),
    "out_of_focus": replace(CLEAR, blur_px=4.0),
    "too_far": replace(CLEAR, height_share=0.2),
    "smeared": replace(CLEAR, smear_px=16),
    "no_contrast": replace(CLEAR, black=120, white=121, noise=8.0),
}
"""Faults beyond repair: nothing may be read, least of all something wrong."""

SCENES = READABLE | HOPELESS


def render(
    picture: Image.Image | None, scene: Scene = CLEAR, *, seed: int = 0, size: tuple[int, int] = (WIDTH_PX, HEIGHT_PX)
) -> Image.Image:
    """The grey frame of `picture` (a QR picture with its quiet zone) in `scene`; None is the empty place."""
    rng = random.Random(seed)
    frame = _background(size)
    if picture is not None:
        _place(frame, _light_on(picture.convert("L"), scene, rng), scene)
    if scene.smear_px:
        frame = _smear(frame, scene.smear_px)
    if scene.blur_px:
        frame = frame.filter(ImageFilter.GaussianBlur(scene.blur_px))
    return add_noise(frame, scene.noise, rng) if scene.noise else frame


def add_noise(frame: Image.Image, sigma: float, rng: random.Random) -> Image.Image:
    """Sensor noise: the difference of two uniform fields (triangular, near enough to normal)."""
    pixels = frame.width * frame.height
    first, second = (Image.frombytes("L", frame.size, rng.randbytes(pixels)) for _ in range(2))
    field = ImageChops.subtract(first, second, scale=2, offset=128)  # sigma 52 around 128
    field = field.point([round(128 + (level - 128) * sigma / 52) for level in range(256)])
    return ImageChops.add(frame, field, 1, -128)


def _background(size: tuple[int, int]) -> Image.Image:
    """A grey wall with light from above and a few things on it, none of them a code."""
    wall = Image.linear_gradient("L").resize(size).point([150 - level // 3 for level in range(256)])
    draw = ImageDraw.Draw(wall)
    width, height = size
    draw.rectangle((0, height * 0.82, width, height), fill=70)
    draw.ellipse((width * 0.03, height * 0.1, width * 0.13, height * 0.25), fill=170)
    for stripe in range(6):
        draw.line(
            (width * 0.9, height * (0.1 + stripe * 0.03), width, height * (0.1 + stripe * 0.03)), fill=60, width=3
        )
    return wall


def _light_on(code: Image.Image, scene: Scene, rng: random.Random) -> Image.Image:
    """The code as the screen shows it and the light falls on it."""
    if scene.inverted:
        code = ImageChops.invert(code)
    span = scene.white - scene.black
    code = code.point([scene.black + level * span // 255 for level in range(256)])
    side = code.width
    if scene.glare_share:
        spot = Image.new("L", code.size, 0)
        radius = side * scene.glare_share / 2
        # In the data area: a repairable spot does not hide a finder pattern.
        x, y = (side * rng.uniform(0.48, 0.58) for _ in range(2))
        ImageDraw.Draw(spot).ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
        code = ImageChops.lighter(code, spot.filter(ImageFilter.GaussianBlur(side / 60)))
    if scene.covered_share:
        part = side * scene.covered_share
        ImageDraw.Draw(code).ellipse((-part, side - part, part, side + part), fill=90)
    return code


def _place(frame: Image.Image, code: Image.Image, scene: Scene) -> None:
    """Draw a phone showing `code` and map it into `frame`."""
    side = code.width
    phone = Image.new("L", (side + 2 * _BEZEL, side + 4 * _BEZEL), 18)
    screen = scene.black if scene.inverted else scene.white
    ImageDraw.Draw(phone).rectangle(
        (_BEZEL // 2, _BEZEL, phone.width - _BEZEL // 2, phone.height - _BEZEL), fill=screen
    )
    phone.paste(code, (_BEZEL, 2 * _BEZEL))
    scale = frame.height * scene.height_share / side
    corners = _corners(phone.width * scale, phone.height * scale, frame, scene)
    if scale < 1:  # the map does not average, a lens does: leave it nothing to shrink
        phone = phone.resize((round(phone.width * scale), round(phone.height * scale)), Image.Resampling.BOX)
    coefficients = _perspective(corners, [(0, 0), (phone.width, 0), (phone.width, phone.height), (0, phone.height)])
    how = Image.Transform.PERSPECTIVE, coefficients, Image.Resampling.BICUBIC
    mapped = phone.transform(frame.size, *how)
    mask = Image.new("L", phone.size, 255).transform(frame.size, *how)
    frame.paste(mapped, (0, 0), mask)


def _corners(width_px: float, height_px: float, frame: Image.Image, scene: Scene) -> list[_Point]:
    """Where the phone's corners come to lie in the frame: tilted away at the top, then turned."""
    half_w, half_h = width_px / 2, height_px / 2
    far = 1 - scene.tilt
    flat = [(-half_w * far, -half_h), (half_w * far, -half_h), (half_w, half_h), (-half_w, half_h)]
    turn = math.radians(-scene.rotation_deg)
    cos, sin = math.cos(turn), math.sin(turn)
    return [(frame.width / 2 + x * cos - y * sin, frame.height / 2 + x * sin + y * cos) for x, y in flat]


def _perspective(of: Sequence[_Point], to: Sequence[_Point]) -> list[float]:
    """The eight numbers that map each point of `of` to the one of `to` (Pillow asks for frame to source)."""
    rows: list[list[float]] = []
    for (x, y), (u, v) in zip(of, to, strict=True):
        rows.append([x, y, 1, 0, 0, 0, -u * x, -u * y, u])
        rows.append([0, 0, 0, x, y, 1, -v * x, -v * y, v])
    return _solve(rows)


def _solve(rows: list[list[float]]) -> list[float]:
    """Gauss-Jordan with pivoting; each row is the coefficients and the right-hand side."""
    for column in range(len(rows)):
        pivot = max(range(column, len(rows)), key=lambda row: abs(rows[row][column]))
        rows[column], rows[pivot] = rows[pivot], rows[column]
        rows[column] = [value / rows[column][column] for value in rows[column]]
        for other in range(len(rows)):
            if other != column:
                factor = rows[other][column]
                rows[other] = [a - factor * b for a, b in zip(rows[other], rows[column], strict=True)]
    return [row[-1] for row in rows]


def _smear(frame: Image.Image, length_px: int) -> Image.Image:
    """The mean of the frame at each place along a sideways movement."""
    total = frame
    for step in range(1, length_px):
        total = Image.blend(total, ImageChops.offset(frame, step, 0), 1 / (step + 1))
    return total

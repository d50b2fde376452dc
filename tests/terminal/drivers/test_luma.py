"""What is read in a frame and what is not: every named scene, strides, foreign codes."""

import random

import pytest
import zxingcpp
from PIL import Image

from offline_ledger.terminal.drivers.luma import TEXT_CHARS_MAX, Look, decode_luma, look_at
from simulators.qr_picture import qr_picture, qr_version
from simulators.scene import HEIGHT_PX, HOPELESS, READABLE, WIDTH_PX, Scene, render
from tests.qr_texts import sample_text

ROUNDS_FULL, ROUNDS = 60, 3


def look(frame: Image.Image) -> Look:
    return look_at(frame.tobytes(), frame.width, frame.height)


@pytest.mark.parametrize("name", READABLE)
def test_readable_scenes(name: str, rng: random.Random, slice_of) -> None:
    for _ in range(slice_of(ROUNDS_FULL, ROUNDS)):
        text = sample_text(rng)
        assert qr_version(text) == 13
        frame = render(qr_picture(text), READABLE[name], seed=rng.getrandbits(32))
        assert look(frame) == Look([text])


@pytest.mark.parametrize("name", HOPELESS)
def test_hopeless_scenes_give_nothing(name: str, rng: random.Random, slice_of) -> None:
    for _ in range(slice_of(ROUNDS_FULL, ROUNDS)):
        frame = render(qr_picture(sample_text(rng)), HOPELESS[name], seed=rng.getrandbits(32))
        assert not look(frame).texts


@pytest.mark.parametrize("name", ["glare_all", "too_far"])
def test_a_damaged_code_in_view_is_noticed(name: str, rng: random.Random) -> None:
    assert look(render(qr_picture(sample_text(rng)), HOPELESS[name], seed=1)).unreadable


@pytest.mark.parametrize("noise", [0.0, 20.0, 90.0])
def test_an_empty_scene_shows_nothing(noise: float) -> None:
    assert look(render(None, Scene(noise=noise), seed=3)) == Look()


def test_largest_code_at_its_smallest(rng: random.Random) -> None:
    """Version 15-M at 75 % of VGA height: 4.2 pixels per module, what the design promises."""
    text = sample_text(rng, 600)
    assert qr_version(text) == 15
    assert decode_luma(render(qr_picture(text), seed=4).tobytes(), WIDTH_PX, HEIGHT_PX) == [text]


def test_two_codes_in_view() -> None:
    frame = Image.new("L", (WIDTH_PX, HEIGHT_PX), 255)
    frame.paste(qr_picture("KGO1P:ONE", module_px=6), (10, 10))
    frame.paste(qr_picture("KGO1P:TWO", module_px=6), (330, 250))
    assert sorted(look(frame).texts) == ["KGO1P:ONE", "KGO1P:TWO"]


def test_other_symbologies_are_not_read() -> None:
    kinds = zxingcpp.BarcodeFormat
    for symbology in (kinds.DataMatrix, kinds.Aztec, kinds.MicroQRCode, kinds.RMQRCode):
        code = Image.fromarray(zxingcpp.create_barcode("49", symbology).to_image(scale=6))
        frame = Image.new("L", (WIDTH_PX, HEIGHT_PX), 255)
        frame.paste(code, (100, 100))
        assert not look(frame).texts


def test_a_code_longer_than_ours() -> None:
    frame = qr_picture("9" * (TEXT_CHARS_MAX + 1), module_px=4, version_max=40)
    assert look(frame) == Look([], too_long=True)
    frame = qr_picture("9" * TEXT_CHARS_MAX, module_px=4, version_max=40)
    assert look(frame) == Look(["9" * TEXT_CHARS_MAX])


def test_stride_and_chroma_are_skipped(rng: random.Random) -> None:
    text = sample_text(rng)
    frame = render(qr_picture(text), size=(624, 480))
    rows = [frame.tobytes()[row * 624 : row * 624 + 624] + b"\xaa" * 16 for row in range(480)]
    padded = b"".join(rows) + b"\x80" * (640 * 240)
    assert look_at(padded, 624, 480, 640).texts == [text]
    assert look_at(bytearray(padded), 624, 480, 640).texts == [text]
    assert look_at(memoryview(padded), 624, 480, 640).texts == [text]


def test_a_frame_too_short() -> None:
    with pytest.raises(ValueError, match="luma plane"):
        look_at(bytes(100), 640, 480)

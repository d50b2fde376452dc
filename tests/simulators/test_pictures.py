"""QR pictures and scenes: the right mode and size, seeded, and really spoilt."""

import random
from pathlib import Path

import pytest
import zxingcpp
from PIL import Image, ImageChops, ImageStat

from simulators.qr_picture import PictureTooDense, check_version, qr_picture, qr_version, save_picture
from simulators.scanner import read_picture
from simulators.scene import CLEAR, HEIGHT_PX, SCENES, WIDTH_PX, Scene, add_noise, render
from tests.qr_texts import sample_text


def test_a_presentment_is_version_13_in_alphanumeric_mode_at_level_m(rng: random.Random) -> None:
    text = sample_text(rng)
    picture = qr_picture(text, module_px=4)
    assert picture.mode == "L"
    assert picture.size == ((69 + 8) * 4, (69 + 8) * 4)  # 17 + 4 * 13 modules and the quiet zone
    code = zxingcpp.read_barcode(picture)
    assert code is not None
    assert (code.text, code.ec_level) == (text, "M")
    assert check_version(text) == 13


@pytest.mark.parametrize(("chars", "version"), [(600, 15), (601, 16)])
def test_versions_at_the_edge(rng: random.Random, chars: int, version: int) -> None:
    text = sample_text(rng, chars)
    assert qr_version(text) == version
    if version > 15:
        with pytest.raises(PictureTooDense):
            check_version(text)
        with pytest.raises(PictureTooDense):
            qr_picture(text)


@pytest.mark.parametrize("text", ["", "kgo1p:x", "KGO1P:ก", "A\r", "A_B"])
def test_only_what_alphanumeric_mode_holds(text: str) -> None:
    with pytest.raises(ValueError, match="alphanumeric"):
        qr_picture(text)


def test_save_picture(tmp_path: Path, rng: random.Random) -> None:
    text = sample_text(rng)
    save_picture(text, tmp_path / "code.png")
    with Image.open(tmp_path / "code.png") as picture:
        assert read_picture(picture) == text


@pytest.mark.parametrize("name", SCENES)
def test_a_seed_repeats_a_scene_to_the_byte(name: str) -> None:
    picture = qr_picture("KGO1P:SAME")
    first, again = (render(picture, SCENES[name], seed=5) for _ in range(2))
    assert first.size == (WIDTH_PX, HEIGHT_PX)
    assert first.tobytes() == again.tobytes()


@pytest.mark.parametrize("name", [name for name in SCENES if name != "clear"])
def test_every_fault_changes_the_picture(name: str) -> None:
    picture = qr_picture("KGO1P:SAME")
    difference = ImageChops.difference(render(picture, CLEAR, seed=5), render(picture, SCENES[name], seed=5))
    assert ImageStat.Stat(difference).mean[0] > 1


def test_the_code_fills_its_share_of_the_frame(rng: random.Random) -> None:
    frame = render(qr_picture(sample_text(rng)), Scene(noise=0), seed=1)
    code = zxingcpp.read_barcode(frame)
    assert code is not None
    side_px = code.position.bottom_left.y - code.position.top_left.y
    assert abs(side_px - HEIGHT_PX * 0.75 * 69 / 77) <= 3


@pytest.mark.parametrize("sigma", [2.0, 10.0, 30.0])
def test_noise_has_the_asked_strength(sigma: float) -> None:
    noisy = add_noise(Image.new("L", (300, 300), 128), sigma, random.Random(1))
    stat = ImageStat.Stat(noisy)
    assert stat.stddev[0] == pytest.approx(sigma, rel=0.15)
    assert stat.mean[0] == pytest.approx(128, abs=1)

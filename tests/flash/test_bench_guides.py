"""The guides of record and label are true: each command is one, settings and numbers exist, pictures are as drawn."""

import re
import shlex
from pathlib import Path

import pytest
from PIL import Image, ImageChops

from firmware.flash.bench_settings import FIELDS
from firmware.flash.cli import build_parser
from offline_ledger import errors
from offline_ledger.texts import Texts
from simulators.sample_labels import draw_samples

GUIDES = Path(__file__).parents[2] / "docs/bench"
NUMBERS = {
    "record.md": set(range(7300, 7309)),
    "label.md": {7310, 7311, *range(7313, 7321)},
}


@pytest.mark.parametrize("name", NUMBERS)
def test_every_command_of_the_guide_is_one(name: str) -> None:
    found = re.findall(r"`(kgo-flash (?:record|label)[^`]*)`", (GUIDES / name).read_text("utf-8"))
    assert len(found) > 5
    for command in found:
        build_parser(Texts("en")).parse_args(shlex.split(command)[1:])


@pytest.mark.parametrize("name", NUMBERS)
def test_the_guide_names_each_refusal_once_it_can_be_met(name: str) -> None:
    named = {int(number) for number in re.findall(r"\b73[0-2][0-9]\b", (GUIDES / name).read_text("utf-8"))}
    known = {getattr(kind, "number", 0) for kind in vars(errors).values()}
    assert named == NUMBERS[name] and named <= known


def test_the_guide_names_every_setting_of_labels() -> None:
    named = dict(re.findall(r"^\| `(label\.\w+)` \| (\S+) \|", (GUIDES / "label.md").read_text("utf-8"), re.MULTILINE))
    usual = {field.name: field.default for field in FIELDS if field.name.startswith("label.")}
    shown = {"empty": "", "`true`": True}
    assert {name: shown.get(text, text.strip("`")) for name, text in named.items()} == usual


def test_the_pictures_are_as_the_bench_draws_them_now(tmp_path: Path) -> None:
    drawn = draw_samples(tmp_path)
    assert sorted(one.name for one in drawn) == sorted(one.name for one in (GUIDES / "labels").iterdir())
    for one in drawn:
        with Image.open(one) as now, Image.open(GUIDES / "labels" / one.name) as shown:
            assert now.size == shown.size, f"{one.name}: draw the labels again"
            changed = ImageChops.logical_xor(now, shown).histogram()[-1]
            assert changed * 100 < now.width * now.height, f"{one.name}: draw the labels again"

"""docs/terminal.md tells the truth: its settings, defaults, examples, lights and commands are those of the programs."""

import re
from pathlib import Path

import pytest

from offline_ledger.settings_file import REQUIRED, SettingField, load_settings
from offline_ledger.terminal.headless import SETTINGS
from offline_ledger.terminal.outcome import Light
from offline_ledger.terminal.status import Badge

GUIDE = (Path(__file__).parents[2] / "docs" / "terminal.md").read_text(encoding="utf-8")
EXAMPLE = re.compile(r"^```toml (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ROW = re.compile(r"^\| `([a-z_.]+)` \|.*\| (.+) \|$", re.MULTILINE)


def default_of(field: SettingField) -> str:
    if field.default is REQUIRED:
        return "must be named"
    return f"`{field.default}`" if field.default != "" else "none"


def test_every_setting_stands_in_the_table_with_its_default() -> None:
    rows = {name: default for name, default in ROW.findall(GUIDE) if "." in name}
    assert rows == {field.name: default_of(field) for field in SETTINGS}


@pytest.mark.parametrize("name", ["pos.toml", "bus.toml"])
def test_the_examples_are_good_settings(tmp_path: Path, name: str) -> None:
    examples: dict[str, str] = dict(EXAMPLE.findall(GUIDE))
    (tmp_path / name).write_text(examples[name], encoding="utf-8")
    values = load_settings(tmp_path / name, SETTINGS, "en")
    assert values["device.city"] == "TH-40" and (values["scanner.port"] or values["camera.address"])


def test_every_light_and_badge_is_explained() -> None:
    rows = {name for name, _ in ROW.findall(GUIDE)}
    assert {light.value for light in Light} <= rows
    assert [badge.value for badge in Badge if f"`{badge.value}`" not in GUIDE] == []

"""docs/terminal.md tells the truth: its settings, defaults, examples, lights and commands are those of the programs."""

import ast
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from bus_validator import settings as bus_settings
from offline_ledger import errors
from offline_ledger.errors import Refusal
from offline_ledger.settings_file import REQUIRED, SettingField, load_settings
from offline_ledger.terminal.headless import SETTINGS
from offline_ledger.terminal.outcome import Light
from offline_ledger.terminal.status import Badge
from offline_ledger.texts import Texts
from pos_app import settings as pos_settings

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "terminal.md").read_text(encoding="utf-8")
PROGRAMS = ("pos_app.__main__", "bus_validator.__main__")
NUMBER_ROW = re.compile(r"^\| [1-9][0-9]{3} \| .*$", re.MULTILINE)
EXAMPLE = re.compile(r"^```toml (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ROW = re.compile(r"^\| `([a-z_.]+)` \|.*\| (.+) \|$", re.MULTILINE)


def default_of(field: SettingField) -> str:
    if field.default is REQUIRED:
        return "must be named"
    default = str(field.default).lower() if isinstance(field.default, bool) else field.default
    return f"`{default}`" if default != "" else "none"


def test_every_setting_stands_in_the_table_with_its_default() -> None:
    rows = {name: default for name, default in ROW.findall(GUIDE) if "." in name}
    fields = (*SETTINGS, *bus_settings.SETTINGS, *pos_settings.SETTINGS)
    assert rows == {field.name: default_of(field) for field in fields}


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


def imports_of(module: str) -> Iterator[tuple[str, str]]:
    """(module, name) of every import in it, those inside functions too."""
    origin = import_module(module).__file__
    assert origin is not None
    for node in ast.walk(ast.parse(Path(origin).read_text())):
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            for alias in node.names:
                yield node.module, alias.name


def what_a_terminal_can_show() -> list[type[Refusal]]:
    """Every refusal that some module of the two programs names, wherever they import it from."""
    todo, seen, named = list(PROGRAMS), set[str](), set[str]()
    while todo:
        module = todo.pop()
        seen.add(module)
        for source, name in imports_of(module):
            if source == errors.__name__:
                named.add(name)
            else:
                inner = f"{source}.{name}"
                is_module = (ROOT / (inner.replace(".", "/") + ".py")).is_file()
                found = inner if is_module else source
                is_ours = found.split(".")[0] in ("offline_ledger", "pos_app", "bus_validator")
                todo += [found] if is_ours and found not in seen and found not in todo else []
    kinds = (getattr(errors, name) for name in named - {"Refusal", "Blame"})
    return sorted(kinds, key=lambda kind: kind.number)


def row_of(kind: type[Refusal]) -> str:
    thai, english = Texts("th"), Texts("en")
    happened = f"{thai.title(kind)}<br>{english.title(kind)}"
    todo = f"{thai.remedy(kind)}<br>{english.remedy(kind)}"
    return f"| {kind.number} | {happened} | {todo} |"


def test_every_number_that_a_terminal_can_show_stands_in_the_table_with_its_words() -> None:
    rows = [row_of(kind) for kind in what_a_terminal_can_show()]
    assert len(rows) > 90 and any(row.startswith("| 3020 |") for row in rows)
    assert NUMBER_ROW.findall(GUIDE) == rows, "the table must be:\n" + "\n".join(rows)

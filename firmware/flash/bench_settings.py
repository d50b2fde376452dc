"""The bench's settings file: its fields, and the checked values by name. DESIGN §3.

Every setting has a default: a bench works without a file. Relative names are beside the file, or in the
current folder.
"""

from pathlib import Path
from typing import NamedTuple, cast

from offline_ledger.settings_file import SettingField, boolean, choice, load_settings, path, plain_name, text, url
from offline_ledger.terminal.printer_address import printer_address

SETTINGS_NAME = "bench.toml"
FIELDS = (
    SettingField("bench.language", choice("th", "en"), "th"),
    SettingField("bench.technician", text(60), "-"),
    SettingField("bench.record", path(), "bench.db"),
    SettingField("head.base", text(400, 0), ""),
    SettingField("head.base_sha256", text(64, 0), ""),
    SettingField("head.ports", text(400, 0), ""),
    SettingField("head.drives", text(400, 0), ""),
    SettingField("city.id", plain_name(16), "TH-40"),
    SettingField("city.url", url(), ""),
    SettingField("city.ca_file", path(), "ca.crt"),
    SettingField("label.size", text(7, 4), "50x30"),
    SettingField("label.found", text(60, 0), ""),
    SettingField("label.printer", printer_address(), ""),
    SettingField("label.printer_answers", boolean(), True),
)


class BenchSettings(NamedTuple):
    """The checked settings. `folder`: what relative names are beside."""

    values: dict[str, object]
    folder: Path

    def text(self, name: str) -> str:
        """A text setting."""
        return cast(str, self.values[name])

    def number(self, name: str) -> int:
        """A whole-number setting."""
        return cast(int, self.values[name])

    def path(self, name: str) -> Path:
        """A file or folder, beside the settings file unless its name says where."""
        return self.folder / self.text(name)


def read_bench_settings(file: Path | None, language: str) -> BenchSettings:
    """The settings of `file`, of `bench.toml` here when none is named and there is one, else the defaults. Raises
    SettingsInvalid."""
    if file is None and not Path(SETTINGS_NAME).exists():
        return BenchSettings({field.name: field.default for field in FIELDS}, Path.cwd())
    named = file or Path(SETTINGS_NAME)
    return BenchSettings(load_settings(named, FIELDS, language), named.resolve().parent)

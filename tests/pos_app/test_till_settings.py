"""The settings that a till alone has: its printer and its drawer. Every mistake at once, each with its line."""

from pathlib import Path

import pytest

from offline_ledger.errors import SettingsInvalid
from offline_ledger.protocol.device import DeviceRole
from offline_ledger.terminal.printer_address import Address, Kind, PrinterSettings
from offline_ledger.terminal.program import Program, read_terminal_settings
from pos_app.settings import SETTINGS, printer_of

TOML = """[device]
city = "TH-40"
id = "shop-1"
[city]
url = "https://127.0.0.1:9"
ca_file = "ca.crt"
[scanner]
port = "/dev/null"
"""
LINES = TOML.count("\n")
USB = Address(Kind.USB, "/dev/usb/lp0")


def read(folder: Path, more: str) -> dict[str, object]:
    file = folder / "pos.toml"
    file.write_text(TOML + more, encoding="utf-8")
    program = Program("kgo-pos", "help.pos", DeviceRole.SHOP, lambda _opened: 0, SETTINGS)
    return read_terminal_settings(program, file, "en")


@pytest.mark.parametrize(
    ("more", "found"),
    [
        ("", None),
        ('[drawer]\npin = 5\nsensor = "low"\n', None),
        ('[printer]\naddress = "usb:/dev/usb/lp0"\n', PrinterSettings(USB)),
        (
            '[printer]\naddress = "usb:/dev/usb/lp0"\npaper_mm = 58\n[drawer]\npin = 5\nsensor = "low"\n',
            PrinterSettings(USB, 58, True, 5, 0),
        ),
        (
            '[printer]\naddress = "usb:/dev/usb/lp0"\n[drawer]\npin = 2\nsensor = "high"\n',
            PrinterSettings(USB, drawer_open_level=1),
        ),
        (
            '[printer]\naddress = "usb:/dev/usb/lp0"\nanswers = false\n[drawer]\nsensor = "none"\n',
            PrinterSettings(USB, is_asked=False),
        ),
    ],
)
def test_what_is_written_is_what_the_driver_gets(tmp_path: Path, more: str, found: PrinterSettings | None) -> None:
    assert printer_of(read(tmp_path, more)) == found


def test_every_mistake_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid) as wrong:
        read(tmp_path, '[printer]\npaper_mm = 76\nanswers = "no"\n[drawer]\npin = 3\nsensor = 1\n')
    file = tmp_path / "pos.toml"
    assert wrong.value.problems == (
        f"{file}: line {LINES + 2}: printer.paper_mm cannot be that; choose one of 58, 80",
        f"{file}: line {LINES + 3}: printer.answers must be true or false; write it without quotes",
        f"{file}: line {LINES + 5}: drawer.pin cannot be that; choose one of 2, 5",
        f"{file}: line {LINES + 6}: drawer.sensor cannot be that; choose one of none, low, high",
    )


@pytest.mark.parametrize("pin", ["0", "2.0", '"2"', "true", "[2]"])
def test_a_pin_is_one_of_two_numbers(tmp_path: Path, pin: str) -> None:
    with pytest.raises(SettingsInvalid, match=r"drawer\.pin"):
        read(tmp_path, f"[drawer]\npin = {pin}\n")


def test_a_sensor_does_not_go_with_a_printer_that_is_never_asked(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid) as wrong:
        read(tmp_path, '[printer]\nanswers = false\n[drawer]\nsensor = "high"\n')
    (problem,) = wrong.value.problems
    assert f"line {LINES + 4}: drawer.sensor does not go with printer.answers = false" in problem


@pytest.mark.parametrize(
    ("shop", "wrong"),
    [
        ('tax_id = "0105536000011"', ""),
        ('tax_id = "0-1055-36000-01-1"\nvat_per_mille = 70', ""),
        ('tax_id = ""', ""),
        ('tax_id = "123"', "shop.tax_id"),
        ('tax_id = "0105536000012"', "shop.tax_id"),
        ('tax_id = "x105536000011"', "shop.tax_id"),
        ("vat_per_mille = 70", "shop.vat_per_mille"),
        ("vat_per_mille = 0", ""),
    ],
)
def test_a_tax_id_is_one_and_value_added_tax_has_one(tmp_path: Path, shop: str, wrong: str) -> None:
    more = f"[shop]\n{shop}\n"
    if not wrong:
        read(tmp_path, more)
        return
    with pytest.raises(SettingsInvalid) as told:
        read(tmp_path, more)
    (problem,) = told.value.problems
    assert f"line {LINES + 2}" in problem and wrong in problem, problem

"""The settings that a till has beside every terminal's: its file, page and words, its printer and drawer."""

from collections.abc import Mapping
from typing import cast

from offline_ledger.errors import Refusal
from offline_ledger.money import ARABIC
from offline_ledger.settings_file import Check, SettingField, SettingWrong, boolean, choice, integer, path, text
from offline_ledger.terminal.printer_address import (
    DRAWER_PINS,
    PAPERS_MM,
    PrinterSettings,
    printer_address,
    printer_settings,
)

PORT_MAX = 65_535
VAT_PER_MILLE_MAX = 300
ADDRESS_CHARACTERS_MAX = 200
DRAWER_LEVELS = {"none": None, "low": 0, "high": 1}
"""What the sensor says when the drawer is open: as `drawer.sensor` names it, and as the driver does."""


def promptpay_account() -> Check:
    """An account that money can be sent to; empty: none."""

    def check(value: object) -> object:
        from pos_app.promptpay import parse_target  # a headless till has none

        given = str(text(ADDRESS_CHARACTERS_MAX, 0)(value))
        if given:
            try:
                parse_target(given)
            except Refusal:
                raise SettingWrong("not_promptpay") from None
        return given

    return check


def tax_id() -> Check:
    """Thirteen digits, the last of them over the others, with hyphens or spaces as they are printed; empty: none."""

    def check(value: object) -> object:
        from pos_app.promptpay import check_digit  # a headless till prints no receipt

        given = str(text(20, 0)(value))
        digits = given.replace("-", "").replace(" ", "").translate(ARABIC)
        if given and not (digits.isascii() and digits.isdigit() and len(digits) == 13):
            raise SettingWrong("not_tax_id")
        if given and check_digit(digits[:12]) != digits[12]:
            raise SettingWrong("not_tax_id")
        return given

    return check


def one_of(*numbers: int) -> Check:
    """One of the few numbers that a device has."""

    def check(value: object) -> object:
        if type(value) is not int or value not in numbers:
            raise SettingWrong("not_choice", allowed=", ".join(str(one) for one in numbers))
        return value

    return check


SETTINGS = (
    SettingField("files.shop", path(), "shop.db"),
    SettingField("page.port", integer(0, PORT_MAX), 0),
    SettingField("shop.name", text(60, 0), ""),
    SettingField("shop.branch", text(60, 0), ""),
    SettingField("shop.address", text(120, 0), ""),
    SettingField("shop.tax_id", tax_id(), ""),
    SettingField("shop.vat_per_mille", integer(0, VAT_PER_MILLE_MAX), 0),
    SettingField("shop.promptpay", promptpay_account(), ""),
    SettingField("printer.address", printer_address(), ""),
    SettingField("printer.paper_mm", one_of(*PAPERS_MM), 80),
    SettingField("printer.answers", boolean(), True),
    SettingField("drawer.pin", one_of(*DRAWER_PINS), DRAWER_PINS[0]),
    SettingField("drawer.sensor", choice(*DRAWER_LEVELS), "none"),
)
"""`page.port` 0: no page; the till takes its commands on standard input. `printer.answers` false: it is never asked."""


def printer_of(values: Mapping[str, object]) -> PrinterSettings | None:
    """The printer and its drawer, from checked values; None: there is none."""
    return printer_settings(
        str(values["printer.address"]),
        cast(int, values["printer.paper_mm"]),
        is_asked=values["printer.answers"] is True,
        drawer_pin=cast(int, values["drawer.pin"]),
        drawer_open_level=DRAWER_LEVELS[str(values["drawer.sensor"])],
    )

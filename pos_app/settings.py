"""The settings that a till has beside every terminal's: its file, its page, the shop's own words, its printer."""

from offline_ledger.errors import Refusal
from offline_ledger.settings_file import Check, SettingField, SettingWrong, integer, path, text

PORT_MAX = 65_535
VAT_PER_MILLE_MAX = 300
ADDRESS_CHARACTERS_MAX = 200
PAPERS_MM = (58, 80)


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


def printer_address() -> Check:
    """A printer that can be reached; empty: none."""

    def check(value: object) -> object:
        from pos_app.drivers.printer import printer_settings  # a headless till has none

        given = str(text(ADDRESS_CHARACTERS_MAX, 0)(value))
        if given:
            try:
                printer_settings(given)
            except (Refusal, ValueError):
                raise SettingWrong("not_printer") from None
        return given

    return check


def paper_width() -> Check:
    """The two widths that receipt printers have."""

    def check(value: object) -> object:
        if type(value) is not int or value not in PAPERS_MM:
            raise SettingWrong("not_choice", allowed=", ".join(str(one) for one in PAPERS_MM))
        return value

    return check


SETTINGS = (
    SettingField("files.shop", path(), "shop.db"),
    SettingField("page.port", integer(0, PORT_MAX), 0),
    SettingField("shop.name", text(60, 0), ""),
    SettingField("shop.branch", text(60, 0), ""),
    SettingField("shop.address", text(120, 0), ""),
    SettingField("shop.tax_id", text(20, 0), ""),
    SettingField("shop.vat_per_mille", integer(0, VAT_PER_MILLE_MAX), 0),
    SettingField("shop.promptpay", promptpay_account(), ""),
    SettingField("printer.address", printer_address(), ""),
    SettingField("printer.paper_mm", paper_width(), 80),
)
"""`page.port` 0: no page; the till takes its commands on standard input."""

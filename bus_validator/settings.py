"""The settings that a validator has beside every terminal's: its head, screen, card reader, GPS, routes and crew."""

from offline_ledger.settings_file import Check, SettingField, SettingWrong, boolean, choice, integer, path, text

SCREEN_CHARACTERS_MAX = 300


def screen_address() -> Check:
    """A screen that can be opened: `framebuffer:/dev/fb0`, `ili9341:0.0` or `file:PATH`."""

    def check(value: object) -> object:
        from bus_validator.drivers.displays import parse_screen  # many validators have a head alone

        given = str(text(SCREEN_CHARACTERS_MAX)(value))
        try:
            parse_screen(given)
        except ValueError:
            raise SettingWrong("not_screen") from None
        return given

    return check


SETTINGS = (
    SettingField("head.port", path(), ""),
    SettingField("gps.port", path(), ""),
    SettingField("gps.baud", integer(4_800, 921_600), 9_600),
    SettingField("screen.address", screen_address(), ""),
    SettingField("screen.width_px", integer(320, 1_280), 800),
    SettingField("screen.height_px", integer(240, 800), 480),
    SettingField("screen.theme", choice("day", "night", "high_contrast"), "day"),
    SettingField("screen.second_language", boolean(), True),
    SettingField("trip.routes_file", path(), ""),
    SettingField("trip.crew_file", path(), ""),
)
"""A name that is empty: there is none of it. Without `trip.routes_file` and `trip.crew_file` nobody signs on, and the
trip is typed (decision 0144); one of them alone is refused."""

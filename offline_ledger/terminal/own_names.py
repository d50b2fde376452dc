"""Settings that are good one by one and not together: one file twice, no reader of codes, half a trip. DESIGN §3, §4.

A certificate written where the key lies would be the end of the key, so every file that a terminal writes, and the
small ones that it keeps beside them, must be another one; and no device is one of them: a journal that is opened as a
scanner or a clock and closed again has lost its lock, and a second program would write beside the first.
"""

from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path

from offline_ledger.same_file import check_same_file, places, places_of_files
from offline_ledger.settings_file import Together
from offline_ledger.terminal.deny_list import CHANGES_NAME, LIST_NAME

FILES: Mapping[str, tuple[str, ...]] = {
    "files.key": ("",),
    "key.pin_file": ("", ".refused"),
    "files.certificate": ("", ".used", ".new-key"),
    "files.journal": ("", "-wal", "-shm", "-journal", ".mark"),
    "files.trust_list": ("",),
    "files.deny_list": ("", f"/{LIST_NAME}", f"/{CHANGES_NAME}"),
    "files.shop": ("", "-wal", "-shm", "-journal"),
    "files.update_root": ("",),
    "files.updates": ("",),
    "city.ca_file": ("",),
    "control.socket": ("",),
    "trip.routes_file": ("",),
    "trip.crew_file": ("",),
}
"""What each setting takes: its own name, and what is kept beside it or in it."""
DEVICES = ("scanner.port", "camera.address", "clock.rtc", "head.port", "gps.port", "screen.address")
READERS = ("scanner.port", "camera.address")
_TRIP_FILES = ("trip.routes_file", "trip.crew_file")
"""With one alone nobody could sign on, or no trip be started: the door would stay shut."""
DRAWER_SENSOR, PRINTER_ANSWERS = "drawer.sensor", "printer.answers"
"""A sensor is heard through the printer: one that is never asked tells nothing of it."""
KEY_IN_FILE, KEY_IN_TOKEN = "file", "pkcs11"
_OF_TOKEN = ("key.module", "key.token", "key.pin_file")
NO_CARDS = NO_SENSOR = "none"
WEDGE = "wedge:"
"""A scanner that types as a keyboard does is a till's own (`pos_app.drivers.wedge`)."""
SCREEN_FILE = "file:"
"""A screen that is a picture in a file: it is replaced with every light."""


def check_together(values: Mapping[str, object], settings_file: Path) -> Iterator[Together]:
    """What is wrong between settings. `values` holds those that are good by themselves; unnamed ones by default."""
    has_cards = values.get("card.reader", NO_CARDS) != NO_CARDS
    if all(values.get(name) == "" for name in READERS) and not has_cards and not values.get("head.port", ""):
        yield Together(READERS[0], "no_reader")
    for name, other in (_TRIP_FILES, _TRIP_FILES[::-1]):
        if values.get(name, "") and values.get(other, "") == "":
            yield Together(name, "half_a_trip")
    if values.get(DRAWER_SENSOR, NO_SENSOR) != NO_SENSOR and values.get(PRINTER_ANSWERS) is False:
        yield Together(DRAWER_SENSOR, "sensor_unheard")
    if values.get("shop.vat_per_mille", 0) and values.get("shop.tax_id") == "":
        yield Together("shop.vat_per_mille", "vat_without_id")
    if values.get("key.kind", KEY_IN_FILE) != KEY_IN_FILE:
        yield from (Together(name, "no_token") for name in _OF_TOKEN if values.get(name, "") == "")
    folder = settings_file.resolve().parent
    taking = chain(places_of_files(FILES, values, folder), _places_of_devices(values, folder))
    yield from check_same_file(taking, settings_file)


def _places_of_devices(values: Mapping[str, object], folder: Path) -> Iterator[tuple[str, set[object]]]:
    for name in DEVICES:
        given = values.get(name)
        device = _device(name, given, folder) if isinstance(given, str) and given else None
        if device is not None:
            yield name, set(places(device))


def _device(name: str, given: str, folder: Path) -> Path | None:
    """Where the device is opened; None when it is no file."""
    if name in ("clock.rtc", "head.port", "gps.port"):
        return folder / given
    if name == "screen.address":
        return folder / given.removeprefix(SCREEN_FILE) if given.startswith(SCREEN_FILE) else None
    if name == "scanner.port":
        return Path(given.removeprefix(WEDGE))  # as it stands
    from offline_ledger.terminal.camera_address import parse_address  # most terminals have no camera

    path = parse_address(given).path
    return Path(path) if path else None

"""Where an ESC/POS printer hangs, and what it is, as a settings file writes it. Pure: opens nothing. DESIGN §11."""

from enum import StrEnum
from typing import NamedTuple

from offline_ledger.settings_file import Check, SettingWrong, text

BAUD_DEFAULT = 9_600
BAUDS = (9_600, 19_200, 38_400, 57_600, 115_200, 230_400)
PORT_DEFAULT = 9_100
TARGET_CHARACTERS_MAX = 200
PAPERS_MM = (58, 80)
DRAWER_PINS = (2, 5)


class Kind(StrEnum):
    """How the printer hangs on this machine."""

    NETWORK = "network"
    USB = "usb"
    SERIAL = "serial"


class Address(NamedTuple):
    """`target`: host or device; `number`: port or baud, 0 for usblp."""

    kind: Kind
    target: str
    number: int = 0

    def __str__(self) -> str:
        mark = {Kind.NETWORK: ":", Kind.SERIAL: "@", Kind.USB: ""}[self.kind]
        return f"{self.kind.value}:{self.target}" + (f"{mark}{self.number}" if mark else "")


def parse_address(text: str) -> Address | None:
    """`network:HOST[:PORT]`, `usb:/dev/usb/lp0`, `serial:/dev/ttyUSB0[@BAUD]`; empty: None. ValueError for all else."""
    if not text:
        return None
    kind_name, _, rest = text.partition(":")
    kind = Kind(kind_name)
    if not rest or len(rest) > TARGET_CHARACTERS_MAX or any(sign.isspace() for sign in rest):
        raise ValueError("no printer's address")
    if kind is Kind.NETWORK:
        host, _, port_text = rest.rpartition(":") if ":" in rest else (rest, "", str(PORT_DEFAULT))
        port = int(port_text) if port_text.isascii() and port_text.isdigit() else 0
        if not host or not 0 < port < 65_536:
            raise ValueError("no host and port")
        return Address(kind, host.strip("[]"), port)
    device, _, baud_text = rest.partition("@")
    if not device.startswith("/") or (kind is Kind.USB and baud_text):
        raise ValueError("no device")
    if kind is Kind.USB:
        return Address(kind, device)
    baud = int(baud_text) if baud_text.isascii() and baud_text.isdigit() else (0 if baud_text else BAUD_DEFAULT)
    if baud not in BAUDS:
        raise ValueError("no speed of a printer")
    return Address(kind, device, baud)


class PrinterSettings(NamedTuple):
    """`is_asked` False: it is one of those that never answer, and is printed on blindly. `drawer_open_level`: what the
    drawer's sensor says when it is open, 0 or 1; None: it has no sensor."""

    address: Address
    paper_mm: int = 80
    is_asked: bool = True
    drawer_pin: int = 2
    drawer_open_level: int | None = None


def printer_address() -> Check:
    """The setting of a printer's address; empty: none."""

    def check(value: object) -> object:
        given = str(text(TARGET_CHARACTERS_MAX, 0)(value))
        try:
            parse_address(given)
        except ValueError:
            raise SettingWrong("not_printer") from None
        return given

    return check


def printer_settings(
    address: str,
    paper_mm: int = 80,
    *,
    is_asked: bool = True,
    drawer_pin: int = 2,
    drawer_open_level: int | None = None,
) -> PrinterSettings | None:
    """From the texts and numbers of a settings file; None: no printer. ValueError for what is no setting."""
    if paper_mm not in PAPERS_MM or drawer_pin not in DRAWER_PINS or drawer_open_level not in (None, 0, 1):
        raise ValueError("paper is 58 or 80 mm, the drawer's pin 2 or 5, its level 0 or 1")
    where = parse_address(address)
    return None if where is None else PrinterSettings(where, paper_mm, is_asked, drawer_pin, drawer_open_level)

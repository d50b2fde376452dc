"""What somebody else has set up on a boot partition: Raspberry Pi Imager's customisation, or files put there by hand.

From Trixie on Imager hands it to cloud-init (`user-data`, `network-config`), which runs beside our first boot: another
name, an account with a password, other Wi-Fi. The images bring these files with nothing but notes in them. Pure; never
says what stands in them but by the names of settings, for passwords and keys are among it. Decision 0223.
"""

import re
from collections.abc import Mapping

USER_DATA, NETWORK, META_DATA, VENDOR_DATA = "user-data", "network-config", "meta-data", "vendor-data"
BY_HAND = ("custom.toml", "userconf", "userconf.txt", "ssh", "ssh.txt")
"""What Raspberry Pi OS itself looks for at its first start, and obeys."""
LOOKED_AT = (USER_DATA, NETWORK, META_DATA, VENDOR_DATA, *BY_HAND)
_ISSUED = {
    USER_DATA: {"ssh_pwauth: false"},
    NETWORK: {"network:", "version: 2", "ethernets:", "eth0:", "dhcp4: true", "dhcp6: true", "optional: true"},
    META_DATA: {"dsmode: local"},
    VENDOR_DATA: set[str](),
}
"""Lines that the images have themselves, and that change nothing: the cable's usual network, no password over SSH."""
_NO_SETTING = re.compile(r"(#|---$|instance[-_]id:).*")
"""An instance's name alone is written by Imager even where nothing was customised."""
_TOP = re.compile(r"([a-z][a-z_-]{0,40})\s*:")
NAMES_MAX = 8


def customised(files: Mapping[str, bytes]) -> list[str]:
    """What is set up otherwise than an image has it: names of files, for user-data with those of its settings. `files`:
    those of `LOOKED_AT` that are there."""
    return [name if name in BY_HAND else _told(name, data) for name, data in files.items() if _is_foreign(name, data)]


def _is_foreign(name: str, data: bytes) -> bool:
    if name in BY_HAND:
        return True
    if data.lower().startswith((b"#!", b"#include")):  # to cloud-init no note, but a script, or where to fetch one
        return True
    return any(not _NO_SETTING.fullmatch(line) and line not in _ISSUED[name] for line in _lines(data))


def _lines(data: bytes) -> list[str]:
    return [line.strip() for line in data.decode("utf-8-sig", "replace").splitlines() if line.strip()]


def _told(name: str, data: bytes) -> str:
    if name != USER_DATA:
        return name
    found = (_TOP.match(line) for line in data.decode("utf-8-sig", "replace").splitlines())
    return f"{name} ({', '.join([one.group(1) for one in found if one][:NAMES_MAX]) or '-'})"

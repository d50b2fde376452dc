"""What versions, platforms, channels and packages are called. Pure but for `own_platform`. DESIGN §3.

A package is `kgo-VERSION-PLATFORM.zip`; a version is three numbers, and the higher one is the newer one.
"""

import platform
import re
from typing import NamedTuple

from offline_ledger.errors import ReleasePackageUnfit

PLATFORMS = ("linux_aarch64", "linux_x86_64")
PACKAGE_BYTES_MAX = 300 << 20
_NUMBER = r"(0|[1-9][0-9]{0,5})"
_VERSION = re.compile(rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}")
_PACKAGE = re.compile(rf"kgo-({_NUMBER}\.{_NUMBER}\.{_NUMBER})-({'|'.join(PLATFORMS)})\.zip")
CHANNEL = re.compile(r"[a-z][a-z0-9-]{0,31}")
"""Channels are named in lower case: their names are names of files too."""


class Version(NamedTuple):
    """Orders as people expect: 0.10.0 is newer than 0.9.1."""

    major: int
    minor: int
    patch: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"


class PackageName(NamedTuple):
    """What a package's name says of it."""

    version: Version
    platform: str

    def __str__(self) -> str:
        return f"kgo-{self.version}-{self.platform}.zip"


def version_of(text: str) -> Version:
    """Raises ReleasePackageUnfit for anything but three numbers."""
    found = _VERSION.fullmatch(text)
    if found is None:
        raise ReleasePackageUnfit(f"version {text[:40]!r}")
    return Version(*(int(number) for number in found.groups()))


def package_name_of(name: str) -> PackageName | None:
    """None: not the name of a package for a machine that we know."""
    found = _PACKAGE.fullmatch(name)
    return None if found is None else PackageName(version_of(found.group(1)), found.group(5))


def own_platform() -> str:
    """This machine's platform, as packages name it."""
    return f"linux_{platform.machine()}"

"""Two versions of the terminals' programs, made from this checkout: the first one in signed releases, the second one to
be published.

Keys are for tests and say so in their names. Nothing is downloaded: the libraries are those installed here. DESIGN §11.
"""

import shutil
import time
from pathlib import Path
from zipfile import ZipFile

from firmware.flash.release import packages
from firmware.flash.release.beginning import Beginning, Thresholds, begin
from firmware.flash.release.keys import TEST_PREFIX, KeyFolders, no_passphrase
from firmware.flash.release.making import Making, make, own_python
from firmware.flash.release.repository import Releases
from offline_ledger.terminal.updates.names import own_platform

CHECKOUT = Path(__file__).parents[2]
LOCKS = (CHECKOUT / "requirements" / "bus.txt",)
ON_CARD, NEXT = "0.2.0", "0.2.1"
CHANNELS = ("stable", "trial")
_OWN = "kgo_acceptance-"


def make_releases(folder: Path) -> Path:
    """`root.json` and `releases`, with the version that a card begins with, and the package of the next one, which
    nobody has published yet. Returns that package."""
    first = make(Making(CHECKOUT, ON_CARD, own_platform(), own_python(), LOCKS, (), True), folder)
    keys, releases = folder / "release-keys", Releases(folder / "releases")
    now_s = int(time.time())
    begin(
        *(releases.folder, keys),
        *(Beginning(Thresholds(3, 2), Thresholds(1, 1), CHANNELS, TEST_PREFIX), no_passphrase, now_s),
    )
    shutil.copyfile(releases.metadata / "1.root.json", folder / "root.json")
    packages.add(releases, first, CHANNELS[0], KeyFolders([keys], no_passphrase), now_s)
    wheels = _wheels_of(first, folder / "wheels")
    second = make(Making(CHECKOUT, NEXT, own_platform(), own_python(), LOCKS, wheels, True), folder)
    shutil.rmtree(folder / "wheels")
    first.unlink()
    return second


def _wheels_of(package: Path, folder: Path) -> tuple[Path, ...]:
    """The libraries in a package, so that they need not be packed again."""
    folder.mkdir()
    with ZipFile(package) as archive:
        names = [name for name in archive.namelist() if name.startswith("wheels/") and _OWN not in name]
        for name in names:
            (folder / Path(name).name).write_bytes(archive.read(name))
    return tuple(folder / Path(name).name for name in names)

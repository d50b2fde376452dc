"""A city's releases on this desk: real keys (TEST ONLY), real metadata, small packages, and a terminal that looks."""

import atexit
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

from tuf.api.metadata import Metadata

from firmware.flash.release import packages, renewing
from firmware.flash.release.beginning import Beginning, Thresholds, begin
from firmware.flash.release.keys import TEST_PREFIX, KeyFolders, no_passphrase
from firmware.flash.release.making import write_package
from firmware.flash.release.repository import Releases
from firmware.flash.release.wheels import write_member
from offline_ledger.terminal.updates.fetching import FolderSource, Source
from offline_ledger.terminal.updates.names import PackageName, version_of
from offline_ledger.terminal.updates.tuf_client import Asked, Found, fetch, find_update

NOW_S = 1_700_000_000
"""In 2023: whoever judges by this machine's clock finds all of it expired."""
DAY_S = 86_400
PLATFORM = "linux_x86_64"
OTHER_PLATFORM = "linux_aarch64"
SMALL_BYTES = 3_000


def small_package(
    folder: Path, version: str, platform: str = PLATFORM, *, filling: bytes = b"", python: str = "3.11"
) -> Path:
    """A sound package with one wheel that is tiny but for its `filling`."""
    folder.mkdir(exist_ok=True, parents=True)
    wheel = folder / "tiny-1.0-py3-none-any.whl"
    with ZipFile(wheel, "w") as packed:
        write_member(packed, "tiny.py", b"# " + filling + version.encode(), ZIP_DEFLATED)
    name = PackageName(version_of(version), platform)
    return write_package(folder / str(name), name, python, [wheel], {"kgo-bus.service": b"[Unit]\n"})


@dataclass
class ReleaseDesk:
    """A folder of releases, its keys, and a terminal that was prepared with its first root."""

    folder: Path
    now_s: int = NOW_S

    @property
    def releases(self) -> Releases:
        return Releases(self.folder / "releases")

    @property
    def metadata(self) -> Path:
        return self.releases.metadata

    @property
    def keys_folder(self) -> Path:
        return self.folder / "release-keys"

    @property
    def keys(self) -> KeyFolders:
        return KeyFolders([self.keys_folder], no_passphrase)

    def begin(self, *, roots: int = 3, threshold: int = 2, channel: Thresholds = Thresholds(1, 1)) -> None:  # noqa: B008
        self.folder.mkdir(exist_ok=True)
        asked = Beginning(Thresholds(roots, threshold), channel, ("stable", "trial"), TEST_PREFIX)
        begin(self.releases.folder, self.keys_folder, asked, no_passphrase, self.now_s)
        shutil.copyfile(self.metadata / "1.root.json", self.folder / "update.root")

    def package(self, version: str, platform: str = PLATFORM, *, filling: bytes = b"") -> Path:
        return small_package(self.folder / "made", version, platform, filling=filling)

    def add(self, version: str, channel: str = "stable", platform: str = PLATFORM) -> None:
        packages.add(self.releases, self.package(version, platform), channel, self.keys, self.now_s)

    def refresh(self, days: int = 30) -> None:
        renewing.refresh(self.releases, self.keys, self.now_s, days)

    def asked(self, **more: Any) -> Asked:
        """What the terminal asks: its stick is the folder itself, its version 0.1.0, its clock synced."""
        asked = Asked(
            FolderSource(self.releases.folder),
            self.folder / "update.root",
            self.folder / "updates",
            "stable",
            PLATFORM,
            "0.1.0",
            self.now_s,
        )
        return asked._replace(**more)

    def find(self, **more: Any) -> Found | None:
        return find_update(self.asked(**more))

    def fetched(self, source: Source | None = None, **more: Any) -> bytes:
        """The newest package's bytes, as the terminal hands them over."""
        found = self.find(**more) if source is None else self.find(source=source, **more)
        assert found is not None
        return fetch(found).read_bytes()

    def forget(self) -> None:
        """A terminal that has never looked."""
        shutil.rmtree(self.folder / "updates", ignore_errors=True)

    def edit(self, name: str, change: Callable[[Any], None]) -> None:
        """Changes what a file of metadata says, without signing it."""
        file = self.metadata / name
        seen = Metadata[Any].from_file(str(file))
        change(seen.signed)
        seen.to_file(str(file))

    def package_file(self) -> Path:
        """The one package of the stable channel."""
        (found,) = (self.releases.targets / "stable").iterdir()
        return found


def desk_with_release(folder: Path) -> ReleaseDesk:
    """Begun, with 0.2.0 in `stable`."""
    desk = ReleaseDesk(folder)
    desk.begin()
    desk.add("0.2.0")
    return desk


@cache
def _made() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="kgo-releases-test-only-"))
    atexit.register(shutil.rmtree, folder)
    desk_with_release(folder / "desk")
    return folder / "desk"


def copied_desk(folder: Path) -> ReleaseDesk:
    """As `desk_with_release`, made once: a copy of it, with the same keys, below this folder."""
    shutil.copytree(_made(), folder / "desk")
    return ReleaseDesk(folder / "desk")

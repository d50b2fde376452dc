"""Releases on a real USB stick, FAT and exFAT: copied, fetched, signed, pulled out half way. DESIGN §7, §11."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from firmware.flash.release import packages
from firmware.flash.release.keys import TEST_PREFIX, no_passphrase
from firmware.flash.release.roots import PROPOSAL, RootChange, propose, publish_root, sign_proposal
from offline_ledger.errors import ReleaseInterrupted, ReleasesMissing
from offline_ledger.terminal.updates.fetching import FolderSource
from offline_ledger.terminal.updates.tuf_client import fetch
from tests.release_desk import NOW_S, ReleaseDesk, copied_desk
from tests.sticks import KINDS, mounted_stick

PACKAGE_BYTES = 5 << 20
GONE_S_MAX = 10.0


@pytest.fixture
def desk(tmp_path: Path) -> ReleaseDesk:
    """With a package that is read in several pieces."""
    desk = copied_desk(tmp_path)
    package = desk.package("0.3.0", filling=os.urandom(PACKAGE_BYTES))
    packages.add(desk.releases, package, "stable", desk.keys, NOW_S)
    return desk


def copied(desk: ReleaseDesk, place: Path, *names: str) -> None:
    """As the guide has it."""
    subprocess.run(["cp", "-r", *(str(desk.releases.folder / name) for name in names), str(place)], check=True)


@pytest.mark.parametrize("kind", KINDS)
def test_a_stick_brings_the_release_and_a_holders_signature(desk: ReleaseDesk, tmp_path: Path, kind: str) -> None:
    propose(desk.releases, RootChange(), NOW_S)
    with mounted_stick(kind, tmp_path) as stick:
        (stick / "kgo").mkdir()
        copied(desk, stick / "kgo", "metadata", "targets")
        copied(desk, stick, PROPOSAL)
        assert (
            desk.fetched(FolderSource(stick / "kgo"))
            == (desk.folder / "made" / "kgo-0.3.0-linux_x86_64.zip").read_bytes()
        )
        for number in (1, 2):
            signed = sign_proposal(
                stick / PROPOSAL, desk.keys_folder / f"{TEST_PREFIX}root-{number}.pem", no_passphrase
            )
        assert signed.is_enough  # pyright: ignore[reportPossiblyUnboundVariable]
        assert publish_root(desk.releases, [stick / PROPOSAL]) == 2
    with pytest.raises(ReleasesMissing):
        desk.find(source=FolderSource(tmp_path / f"{kind}-stick" / "kgo"))


class PulledOut(FolderSource):
    """A stick whose driver is gone after the first piece: what the system then answers is its own word."""

    def __init__(self, folder: Path, image: Path) -> None:
        super().__init__(folder)
        self._image = image

    def read(self, name: str, offset: int, count: int) -> Iterator[bytes]:
        for piece in super().read(name, offset, count):
            yield piece
            if name.startswith("targets/"):
                pull_out(self._image)


def pull_out(image: Path) -> None:
    """Ends the driver that this test started for this image; returns when it is gone."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and str(image).encode() in _words_of(entry):
            os.kill(int(entry.name), signal.SIGKILL)
            until_s = time.monotonic() + GONE_S_MAX
            while _words_of(entry):
                assert time.monotonic() < until_s, "the driver does not end"
                time.sleep(0.01)


def _words_of(process: Path) -> list[bytes]:
    """Its command line; nothing of one that is gone."""
    with suppress(OSError):
        return (process / "cmdline").read_bytes().split(b"\0")[:-1]
    return []


def test_a_stick_that_is_pulled_out_half_way_costs_nothing(desk: ReleaseDesk, tmp_path: Path) -> None:
    whole = (desk.folder / "made" / "kgo-0.3.0-linux_x86_64.zip").read_bytes()
    with mounted_stick("fat", tmp_path) as stick:
        copied(desk, stick, "metadata", "targets")
        found = desk.find(source=PulledOut(stick, tmp_path / "fat.img"))
        assert found is not None
        with pytest.raises(ReleaseInterrupted):
            fetch(found)
        with pytest.raises(ReleasesMissing):
            desk.find(source=FolderSource(stick))
    (part,) = (desk.folder / "updates" / "packages").iterdir()
    assert 0 < part.stat().st_size < len(whole)
    assert desk.fetched() == whole, "from another copy it goes on"

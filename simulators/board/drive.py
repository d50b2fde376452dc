"""The drive that an RP2040 or RP2350 shows while BOOTSEL is held: a folder with INFO_UF2.TXT and INDEX.HTM. DESIGN §11.

Where mounting is allowed it is a file system of its own, read-only or full as a test orders; else a folder that
refuses in the same way as far as a folder can.
"""

import os
import shutil
import subprocess
from enum import Enum
from pathlib import Path

from simulators.board.base import RP2040_FAMILY, RP2350_FAMILY, Base, base_of

INFO = "INFO_UF2.TXT"
PAGE = "INDEX.HTM"
NAME = "FIRMWARE.UF2"
"""As the bench calls what it copies: where nothing can be mounted, the fault stands behind this name."""
_INFO_OF = {
    RP2040_FAMILY: "UF2 Bootloader v3.0\r\nModel: Raspberry Pi RP2\r\nBoard-ID: RPI-RP2\r\n",
    RP2350_FAMILY: "UF2 Bootloader v1.0\r\nModel: Raspberry Pi RP2350\r\nBoard-ID: RP2350\r\n",
}
_PAGE_TEXT = (
    "<html><head><meta http-equiv='refresh' content='0;URL=https://raspberrypi.com/device/RP2'/></head></html>\r\n"
)
_SMALL_BYTES = 16_384
_NEVER_WRITTEN = Path("/sys/kernel/uevent_seqnum")


class DriveFault(Enum):
    """What can be wrong with the drive."""

    NONE = "none"
    READ_ONLY = "read-only"
    FULL = "full"
    LEAVES_EARLY = "leaves early"
    STAYS = "stays"
    MOUNT_STAYS = "mount stays"


class BootDrive:
    """One drive. For one thread."""

    def __init__(self, folder: Path, family: int = RP2040_FAMILY, fault: DriveFault = DriveFault.NONE) -> None:
        self.folder, self._family, self.fault = folder, family, fault
        self.device = folder.with_name(f"{folder.name}.device")
        """What a list of mounts may name as its source. Goes with the chip, as the folder does where no mount stays."""
        self._is_mounted = False

    @property
    def is_there(self) -> bool:
        """Is it plugged in?"""
        return self.device.exists()

    def listed(self) -> str:
        """Its line in a list of mounts."""
        return f"{self.device} {str(self.folder).replace(' ', chr(92) + '040')} vfat rw 0 0"

    def appear(self) -> None:
        """The chip shows it."""
        self.folder.mkdir()
        self.device.touch()
        size = _SMALL_BYTES if self.fault is DriveFault.FULL else 4 << 20
        may_mount = os.geteuid() == 0 and self.fault is not DriveFault.MOUNT_STAYS
        self._is_mounted = may_mount and self._mount("-t", "tmpfs", "-o", f"size={size},mode=755", "none")
        (self.folder / INFO).write_text(_INFO_OF[self._family])
        (self.folder / PAGE).write_text(_PAGE_TEXT)
        if self.fault is DriveFault.READ_ONLY and not (self._is_mounted and self._mount("-o", "remount,ro")):
            (self.folder / NAME).symlink_to(_NEVER_WRITTEN)  # even for root, whom no mode stops
            self.folder.chmod(0o555)
        if self.fault is DriveFault.FULL and not self._is_mounted:
            (self.folder / NAME).symlink_to("/dev/full")

    def leave(self) -> None:
        """Gone at once, also from who has a file of it open."""
        self.device.unlink()
        if self.fault is DriveFault.MOUNT_STAYS:
            return  # and is read from memory
        if self._is_mounted:
            subprocess.run(["umount", "-l", self.folder], check=True)
            self._is_mounted = False
        self.folder.chmod(0o755)
        shutil.rmtree(self.folder)

    def taken(self) -> Base | None:
        """What the ROM has made of what was written; a drive that leaves early takes some bytes and goes."""
        files = (file for file in self.folder.iterdir() if file.name not in (INFO, PAGE) and not file.is_symlink())
        written = [file.read_bytes() for file in files]
        if self.fault is DriveFault.LEAVES_EARLY and any(written):
            self.leave()
            return None
        if self.fault not in (DriveFault.NONE, DriveFault.MOUNT_STAYS):
            return None
        return next((base for data in written if (base := base_of(data, self._family))), None)

    def _mount(self, *words: str) -> bool:
        done = subprocess.run(["mount", *words, str(self.folder)], capture_output=True, check=False)
        return done.returncode == 0

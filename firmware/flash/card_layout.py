"""What a folder is: a Raspberry Pi's boot partition, of which system, with how much room. Reads alone. Decision 0225.

Bookworm and Trixie are told apart by what their images have: `issue.txt` has the day, Trixie the files of cloud-init
and the word `resize` on its command line, Bookworm `init=` of its own first boot.
"""

import os
import re
from pathlib import Path
from typing import NamedTuple

from firmware.flash.card_text import without_start
from offline_ledger.errors import CardGone, CardNotBoot, CardReadOnly, CardSystemUnknown
from offline_ledger.files import read_bounded

FOLDER = "kgo"
CMDLINE, CONFIG = "cmdline.txt", "config.txt"
TEXT_BYTES_MAX = 262_144
KERNELS = ("kernel8.img", "kernel_2712.img")
"""The 64-bit kernels: of every model, and of a Raspberry Pi 5 alone."""
LOADERS = ("start4.elf", "bootcode.bin")
"""Up to a Raspberry Pi 4 the loader lies on the card."""
PYTHONS = {"bookworm": "3.11", "trixie": "3.13"}
BOOKWORM_FROM, TRIXIE_FROM = "2023-10", "2025-10"
_CLOUD_INIT = ("user-data", "meta-data")


class Card(NamedTuple):
    """A boot partition."""

    folder: Path
    system: str
    """`bookworm` or `trixie`."""
    issued: str
    """The day of its image, or empty."""
    free_bytes: int

    @property
    def python(self) -> str:
        """The version of its Python."""
        return PYTHONS[self.system]

    @property
    def kgo(self) -> Path:
        """Where everything of ours lies."""
        return self.folder / FOLDER


def find_card(folder: Path) -> Card:
    """Raises CardNotBoot, CardSystemUnknown, CardBootFileWrong, CardReadOnly, StorageFailed."""
    try:
        names = {entry.name.lower() for entry in os.scandir(folder)}
    except NotADirectoryError:
        raise CardNotBoot(f"{folder}: no folder") from None
    except FileNotFoundError:
        raise CardNotBoot(f"{folder}: not there") from None
    except OSError as error:
        raise CardGone(f"{folder}: {error.strerror}") from error
    if (folder / FOLDER).is_symlink():  # no card has links: what it points to would be written over and tidied
        raise CardNotBoot(f"{folder / FOLDER}: a link")
    missing = [name for name in (CMDLINE, CONFIG) if name not in names]
    if missing or not names.intersection(KERNELS) or not names.intersection((*LOADERS, "kernel_2712.img")):
        lacks = ", ".join(missing) or (KERNELS[0] if not names.intersection(KERNELS) else LOADERS[0])
        raise CardNotBoot(f"{folder}: no {lacks}")
    cmdline = read_bounded(folder / CMDLINE, TEXT_BYTES_MAX) or b""
    words = without_start(cmdline).decode("ascii").split()
    issued = _issued(folder)
    if not os.access(folder, os.W_OK):
        raise CardReadOnly(str(folder))
    room = os.statvfs(folder)
    return Card(folder, _system(names, words, issued), issued, room.f_bavail * room.f_frsize)


def _issued(folder: Path) -> str:
    said = (read_bounded(folder / "issue.txt", TEXT_BYTES_MAX) or b"").decode("utf-8", "replace")
    found = re.search(r"reference (\d{4}-\d{2}-\d{2})", said)
    return found.group(1) if found else ""


def _system(names: set[str], words: list[str], issued: str) -> str:
    if issued and issued < BOOKWORM_FROM:
        raise CardSystemUnknown(f"its image is of {issued}")
    if "resize" in words or names.issuperset(_CLOUD_INIT) or issued >= TRIXIE_FROM:
        return "trixie"
    if issued or any(word.startswith("init=/usr/lib/raspberrypi-sys-mods/") for word in words):
        return "bookworm"
    raise CardSystemUnknown("neither issue.txt nor cmdline.txt says which")

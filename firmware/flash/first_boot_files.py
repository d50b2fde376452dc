"""The first boot's own files, as they lie on a card: its program as one zip, and what starts it. Decision 0225.

The same bytes for the same code: a card that has them is not written again.
"""

import io
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

PROGRAM_NAME, START_NAME = "first_boot.pyz", "first-boot.sh"
DEBIAN_PACKAGES = {
    "bus": ("python3-venv", "pcscd", "libpcsclite1", "libfribidi0"),
    "pos": (
        *("python3-venv", "pcscd", "libpcsclite1", "libfribidi0"),
        *("sway", "seatd", "chromium", "curl", "iproute2", "fonts-noto-color-emoji"),
    ),
}
"""What a terminal needs beyond Raspberry Pi OS Lite: docs/hardware.md, docs/kiosk.md."""
_FOLDER = Path(__file__).parent / "first_boot"
_PACKAGES = ("firmware", "firmware/flash", "firmware/flash/first_boot")
_MAIN = "import sys\nfrom firmware.flash.first_boot.program import main\nsys.exit(main(sys.argv[1:]))\n"


def first_boot_files() -> dict[str, bytes]:
    """Name on the card → bytes."""
    return {PROGRAM_NAME: _zipped(), START_NAME: (_FOLDER / START_NAME).read_bytes()}


def _zipped() -> bytes:
    """A program that Python runs from its zip; older than any card, for FAT knows no time before 1980."""
    content = {f"{package}/__init__.py": b"" for package in _PACKAGES} | {"__main__.py": _MAIN.encode()}
    for module in sorted(_FOLDER.glob("*.py")):
        content[f"{_PACKAGES[-1]}/{module.name}"] = module.read_bytes()
    made = io.BytesIO()
    with ZipFile(made, "w") as archive:
        for name, data in content.items():
            archive.writestr(ZipInfo(name), data, ZIP_DEFLATED)
    return made.getvalue()

"""Boot partitions as Raspberry Pi OS Lite (64 bit) leaves them, and what a card is made from. DESIGN §11.

The names and the two text files are those of the images; the kernels are short. Nothing of it is simulated further: a
first boot runs the real program of the card against a real root folder.
"""

import datetime
import json
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

CMDLINES = {
    "bookworm": "console=serial0,115200 console=tty1 root=PARTUUID=8acef004-02 rootfstype=ext4 fsck.repair=yes"
    " rootwait quiet init=/usr/lib/raspberrypi-sys-mods/firstboot\n",
    "trixie": "console=serial0,115200 console=tty1 root=PARTUUID=7351b90c-02 rootfstype=ext4 fsck.repair=yes"
    " rootwait resize\n",
}
CONFIG = """\
# For more options and information see
# http://rptl.io/configtxt
dtparam=audio=on
camera_auto_detect=1
display_auto_detect=1
auto_initramfs=1
dtoverlay=vc4-kms-v3d
arm_64bit=1

[cm5]
dtoverlay=dwc2,dr_mode=host

[all]
"""
ISSUED = {"bookworm": "2025-05-13", "trixie": "2025-11-24"}
FIRMWARE = ("bootcode.bin", "start4.elf", "fixup4.dat", "kernel8.img", "kernel_2712.img", "bcm2711-rpi-4-b.dtb")
CITY_URL = "https://kgo.example.org:8443"


def boot_partition(folder: Path, system: str = "bookworm") -> Path:
    """A card that was written and never booted."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in FIRMWARE:
        (folder / name).write_bytes(name.encode())
    (folder / "overlays").mkdir()
    (folder / "overlays" / "i2c-rtc.dtbo").write_bytes(b"overlay")
    (folder / "issue.txt").write_text(
        f"Raspberry Pi reference {ISSUED[system]}\n"
        "Generated using pi-gen, https://github.com/RPi-Distro/pi-gen, stage2\n"
    )
    (folder / "cmdline.txt").write_text(CMDLINES[system])
    (folder / "config.txt").write_text(CONFIG)
    if system == "trixie":
        for name in ("user-data", "meta-data", "network-config"):
            (folder / name).write_text("#cloud-config\n" if name == "user-data" else "")
    return folder


def ca_file(place: Path) -> Path:
    """A city's certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "KGO city")])
    begins = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(begins)
        .not_valid_after(begins + datetime.timedelta(days=3650))
        .sign(key, hashes.SHA256())
    )
    place.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    return place


def update_root(place: Path) -> Path:
    """The outside of a root of releases; what is inside, `updates.tuf_client` judges."""
    place.write_text(
        json.dumps({"signed": {"_type": "root", "version": 1}, "signatures": [{"keyid": "1", "sig": "2"}]})
    )
    return place

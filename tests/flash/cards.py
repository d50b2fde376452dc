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
SECRET = "$5$TESTONLY$notapassword"
CLOUD_INIT = {
    "user-data": "#cloud-config\n\n# notes\n#hostname: raspberrypi\n\n#users:\n#- default\n\nssh_pwauth: false\n",
    "network-config": "# notes\nnetwork:\n  version: 2\n\n  ethernets:\n    eth0:\n      dhcp4: true\n"
    "      optional: true\n\n#  wifis:\n#    wlan0:\n#      dhcp4: true\n",
    "meta-data": "# notes\ndsmode: local\ninstance_id: rpios-image\n",
}
"""What Trixie's images have on the boot partition: notes, the cable's network, and nothing that sets anything up."""
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
        for name, content in CLOUD_INIT.items():
            (folder / name).write_text(content)
    return folder


def customised_by_imager(folder: Path) -> Path:
    """The same after Imager 2 was told a name, an account and a Wi-Fi. What the words are is Imager's own doing
    (`customization_generator.cpp`, `downloadthread.cpp`); nobody has this account."""
    given = "rpi-imager-1764000000000"
    (folder / "user-data").write_text(
        "#cloud-config\nhostname: counter\nmanage_etc_hosts: true\npackages:\n- avahi-daemon\n"
        'timezone: Asia/Bangkok\nkeyboard:\n  model: pc105\n  layout: "th"\nenable_ssh: true\nusers:\n'
        f"- name: somebody\n  shell: /bin/bash\n  lock_passwd: false\n  passwd: {SECRET}\n"
        "  sudo: ALL=(ALL) NOPASSWD:ALL\nssh_pwauth: true\n"
    )
    (folder / "network-config").write_text(
        'network:\n  version: 2\n  wifis:\n    wlan0:\n      dhcp4: true\n      regulatory-domain: "TH"\n'
        f'      access-points:\n        "market":\n          password: "{SECRET}"\n      optional: true\n'
    )
    (folder / "meta-data").write_text(f"instance-id: {given}\n")
    line = (folder / "cmdline.txt").read_text().rstrip("\n")
    (folder / "cmdline.txt").write_text(f"{line} cfg80211.ieee80211_regdom=TH ds=nocloud;i={given}\n")
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

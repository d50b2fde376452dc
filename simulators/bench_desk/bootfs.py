"""Boot partitions as Raspberry Pi OS Lite (64 bit) leaves them. DESIGN §11.

The names and the two text files are those of the images; the kernels are short. Nothing of it is simulated further: a
first boot runs the real program of the card against a real root folder.
"""

from pathlib import Path

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
CLOUD_INIT = {
    "user-data": "#cloud-config\n\n# notes\n#hostname: raspberrypi\n\n#users:\n#- default\n\nssh_pwauth: false\n",
    "network-config": "# notes\nnetwork:\n  version: 2\n\n  ethernets:\n    eth0:\n      dhcp4: true\n"
    "      optional: true\n\n#  wifis:\n#    wlan0:\n#      dhcp4: true\n",
    "meta-data": "# notes\ndsmode: local\ninstance_id: rpios-image\n",
}
"""What Trixie's images have on the boot partition: notes, the cable's network, and nothing that sets anything up."""


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

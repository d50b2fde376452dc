"""A root folder that is a small Debian 12, for a first boot to set up. DESIGN §11.

Everything is real but what a root folder cannot have: no systemd runs in it (units are enabled by `systemctl --root`),
its Debian packages are on record as installed, and no network is waited for.
"""

import getpass
import grp
import os
from pathlib import Path

from firmware.flash.first_boot_files import DEBIAN_PACKAGES

UNITS = ("pcscd.socket", "seatd.service", "userconfig.service", "ssh.service")
GROUPS = ("dialout", "video", "spi", "gpio", "lp", "input", "render")


def small_debian(root: Path) -> Path:
    """A root folder. `kgo` is whoever runs this: another user could not reach a test's folders. Who is not root can
    make no groups either."""
    for folder in ("etc/default", "etc/systemd/system", "usr/lib/systemd/system", "var/lib/dpkg", "home", "proc"):
        (root / folder).mkdir(parents=True)
    own, own_group = getpass.getuser(), grp.getgrgid(os.getgid()).gr_name
    users = f"root:x:0:0:root:/root:/bin/sh\n{own}:x:{os.getuid()}:{os.getgid()}::/:/bin/sh\n"
    users += f"kgo:x:{os.getuid()}:{os.getgid()}::/var/lib/kgo:/usr/sbin/nologin\n"
    groups = f"root:x:0:\n{own_group}:x:{os.getgid()}:\nsudo:x:27:\n"
    if os.geteuid() != 0:
        groups += "".join(f"{name}:x:{900 + place}:\n" for place, name in enumerate(GROUPS))
    (root / "etc/passwd").write_text(users)
    (root / "etc/group").write_text(groups)
    (root / "etc/shadow").write_text("root:*:1::::::\n")
    (root / "etc/gshadow").write_text("root:*::\n")
    (root / "etc/login.defs").write_text("SYS_UID_MAX 999\nSYS_GID_MAX 999\n")
    (root / "etc/hosts").write_text("127.0.0.1\tlocalhost\n127.0.1.1\traspberrypi\n")
    (root / "etc/os-release").write_text('PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n')
    (root / "proc/cpuinfo").write_text("Serial\t\t: 100000003d1f2a4b\nModel\t\t: Raspberry Pi 4 Model B Rev 1.4\n")
    for unit in UNITS:
        (root / "usr/lib/systemd/system" / unit).write_text("[Install]\nWantedBy=multi-user.target\n")
    have = "".join(
        f"Package: {name}\nStatus: install ok installed\nArchitecture: all\nVersion: 1\n"
        "Maintainer: Debian <debian@example.org>\nDescription: there\n\n"
        for name in DEBIAN_PACKAGES["bus"]
    )
    (root / "var/lib/dpkg/status").write_text(have)
    return root

"""A first boot, run: the card's own program under the system's own Python, on a root folder that is a small Debian.

Everything is real but what a root folder cannot have: no systemd runs in it (units are enabled by `systemctl --root`),
its Debian packages are on record as installed, and no network is waited for. `python -m tests.flash.first_boot_machine`
starts a whole Debian under a real systemd instead.
"""

import getpass
import grp
import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from firmware.flash.first_boot_files import DEBIAN_PACKAGES

PYTHON = "/usr/bin/python3"
CUTTER = Path(__file__).with_name("first_boot_cut.py")
RUN_S_MAX = 240
UNITS = ("pcscd.socket", "seatd.service", "userconfig.service", "ssh.service")


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


GROUPS = ("dialout", "video", "spi", "gpio", "lp", "input", "render")


def first_boot(root: Path, boot: Path, at: int | str = 0, *before: str) -> "subprocess.CompletedProcess[str]":
    """One start; killed at step `at` when that is not 0. `before`: a command that runs it."""
    program = str(boot / "kgo" / "first_boot.pyz")
    words = (program, "--boot", str(boot), "--root", str(root))
    command = (PYTHON, "-IBu", *words) if at == 0 else (PYTHON, "-IBu", str(CUTTER), str(at), *words)
    return subprocess.run((*before, *command), capture_output=True, text=True, timeout=RUN_S_MAX, check=False)


def steps_of(root: Path, boot: Path) -> int:
    """How many steps a start has; it is run to its end."""
    done = first_boot(root, boot, -1)
    return int(done.stdout.rsplit("steps ", 1)[1])


def report_on(boot: Path) -> Mapping[str, object]:
    """What it said."""
    return json.loads((boot / "kgo" / "first-boot.json").read_bytes())


def faults_of(root: Path, boot: Path, role: str = "bus") -> list[str]:
    """What would keep this machine from starting, in the old state or the new one; nothing of the product is asked."""
    words = (boot / "cmdline.txt").read_text().split()
    faults = [] if any(word.startswith("root=") for word in words) else ["cmdline.txt names no root"]
    home = root / "var/lib/kgo"
    if (home / "device.key").exists() and (home / "device.key").stat().st_mode & 0o077:
        faults.append("others can read the key")
    wifi = root / "etc/NetworkManager/system-connections/kgo.nmconnection"
    if wifi.exists() and b"type=wifi" not in wifi.read_bytes():
        faults.append("the Wi-Fi's file is spoiled")
    if any(
        b"PRIVATE" in one.read_bytes() for one in (boot / "kgo").iterdir() if one.suffix not in (".zip", ".pyz", "")
    ):
        faults.append("a private key is on the card")
    if any(word.startswith("systemd.run") for word in words):
        return faults if (boot / "kgo" / "first_boot.pyz").exists() else [*faults, "the first boot is gone"]
    wanted = (
        f"etc/systemd/system/multi-user.target.wants/kgo-{role}.service",
        "opt/kgo/start",
        "opt/kgo/slots/a/manifest.json",
    )
    faults += [f"no {name}" for name in wanted if not os.path.lexists(root / name)]
    faults += [f"no {name}" for name in ("device.cert", "device.key", f"{role}.toml") if not (home / name).exists()]
    faults += [f"{name} is on the card" for name in ("token", "wifi.nmconnection") if (boot / "kgo" / name).exists()]
    if report_on(boot).get("result") != "done":
        faults.append("it starts as a terminal, and the report says otherwise")
    return faults

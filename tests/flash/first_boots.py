"""A first boot, run: the card's own program under the system's own Python, on a root folder that is a small Debian.

Everything is real but what a root folder cannot have: no systemd runs in it (units are enabled by `systemctl --root`),
its Debian packages are on record as installed, and no network is waited for. `python -m tests.flash.first_boot_machine`
starts a whole Debian under a real systemd instead.
"""

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

PYTHON = "/usr/bin/python3"
CUTTER = Path(__file__).with_name("first_boot_cut.py")
RUN_S_MAX = 240


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

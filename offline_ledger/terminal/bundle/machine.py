"""What the machine itself says: model, memory, disks and their wear, heat, clocks, ports. DESIGN §6.

Reads small files of the kernel and asks nobody; what a machine does not have is left out. Never reads a password.
"""

import os
import platform
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path

FILE_BYTES_MAX = 4_096
FILES_MAX = 64
_MEMORY = ("MemTotal", "MemAvailable", "SwapTotal", "SwapFree")
_ONE_LINE = {
    "model": "proc/device-tree/model",
    "kernel": "proc/version",
    "uptime": "proc/uptime",
    "load": "proc/loadavg",
    "rtc_since_epoch": "sys/class/rtc/rtc0/since_epoch",
    "throttled": "sys/devices/platform/soc/soc:firmware/get_throttled",
}
_EACH = {
    "heat_thousandth_celsius": "sys/class/thermal/thermal_zone*/temp",
    "card_life_time": "sys/block/mmcblk*/device/life_time",
    "card_end_of_life": "sys/block/mmcblk*/device/pre_eol_info",
    "card_name": "sys/block/mmcblk*/device/name",
    "card_made": "sys/block/mmcblk*/device/date",
    "disk_bytes_512": "sys/block/*/size",
    "network_state": "sys/class/net/*/operstate",
}
_PORTS = ("dev/serial/by-id/*", "dev/kgo-head-*", "dev/usb/lp*", "dev/input/by-id/*", "dev/video*")
PROJECT = "kgo-acceptance"


def machine_facts(disks: Iterable[Path], root: Path = Path("/")) -> dict[str, object]:
    """The machine as JSON has it. `disks`: files whose disks are of interest; `root`: where `proc`, `sys` and `dev`
    are."""
    found: dict[str, object] = {"machine": platform.machine(), "python": platform.python_version()}
    found |= {name: text for name, path in _ONE_LINE.items() if (text := _read(root / path)) is not None}
    for name, pattern in _EACH.items():
        found[name] = {
            path.relative_to(root).as_posix(): text
            for path in sorted(root.glob(pattern))[:FILES_MAX]
            if (text := _read(path)) is not None
        }
    found["memory"] = _memory(_read(root / "proc/meminfo") or "")
    found["ports"] = [
        path.relative_to(root).as_posix() for each in _PORTS for path in sorted(root.glob(each))[:FILES_MAX]
    ]
    found["disks"] = {str(path): _disk(path) for path in disks}
    return found


def packages() -> dict[str, str]:
    """Name → version of what is installed beside this program."""
    named = ((one.name, one.version) for one in metadata.distributions())
    return dict(sorted({str(name): version for name, version in named if name}.items()))


def _read(path: Path) -> str | None:
    try:
        with path.open("rb") as stream:
            return stream.read(FILE_BYTES_MAX).decode("utf-8", "replace").strip("\0\n ")
    except OSError:  # not on this machine, or not for this user
        return None


def _memory(text: str) -> Mapping[str, str]:
    lines = (line.partition(":") for line in text.splitlines())
    return {name: value.strip() for name, _, value in lines if name in _MEMORY}


def _disk(path: Path) -> Mapping[str, object]:
    try:
        status = os.statvfs(path)
    except OSError as error:
        return {"error": str(error.strerror)}
    return {
        "free_bytes": status.f_bavail * status.f_frsize,
        "bytes": status.f_blocks * status.f_frsize,
        "is_read_only": bool(status.f_flag & os.ST_RDONLY),
    }

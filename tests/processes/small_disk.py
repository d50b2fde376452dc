"""A real small disk for one process: a tmpfs in a mount namespace of its own, which goes when the process ends.

The process sees it at `place`; the test fills and empties it from outside, through `/proc`. As root or, where the
system allows it (Debian does), as any user. Mounts nothing that anybody else can see.
"""

import os
from pathlib import Path

FILLER = "filler"
_START = 'mount -t tmpfs -o size="$1" none "$2" && cp -a --sparse=never "$3"/. "$2"/ && cd "$2" && shift 3 && exec "$@"'


def on_small_disk(place: Path, size: str, seed: Path, command: tuple[str, ...]) -> tuple[str, ...]:
    """The command that mounts a disk of `size` at `place`, copies what is in `seed` there, and becomes `command`."""
    rights = () if os.geteuid() == 0 else ("--user", "--map-root-user")
    return ("unshare", "--mount", *rights, "sh", "-c", _START, "sh", size, str(place), str(seed), *command)


def twice(command: tuple[str, ...]) -> tuple[str, ...]:
    """The command that runs `command`, says `ended` with its exit code, and after one line of input runs it again."""
    return ("sh", "-c", '"$@"; echo "ended $?"; read -r _again && exec "$@"', "sh", *command)


def from_outside(pid: int, place: Path) -> Path:
    """The disk of a running process, as the test reaches it."""
    return Path(f"/proc/{pid}/root{place}")


def fill(disk: Path) -> int:
    """Takes every last byte; how many there were."""
    with (disk / FILLER).open("wb", buffering=0) as file:
        for step_bytes in (1 << 16, 1 << 12, 1):
            try:
                while True:
                    file.write(bytes(step_bytes))
            except OSError:
                continue
        return file.tell()


def empty(disk: Path) -> None:
    """Gives it all back."""
    (disk / FILLER).unlink()

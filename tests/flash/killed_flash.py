"""A flash in a process of its own that is killed at the n-th thing it begins: no last word, no tidying up.

python -m tests.flash.killed_flash LINK RECORD FILES.json N
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

from firmware.flash.board_ports import BoardPort, Ports
from firmware.flash.flashing import FlashRun, flash_head
from firmware.flash.head_files import HeadFiles
from firmware.flash.record import Record


def main(words: list[str]) -> None:
    """Never ends by itself, unless the flash ends first."""
    link, record, files, at = words
    folder, hashes, count, version = json.loads(Path(files).read_text(encoding="utf-8"))
    left = int(at)

    def told(_step: str, _sent: int) -> None:
        nonlocal left
        left -= 1
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)

    wanted = HeadFiles(Path(folder), hashes, count, tuple(version))
    run = FlashRun(Ports(link), wanted, Record.open(Path(record)), "-", lambda: int(time.time()))
    flash_head(run, BoardPort(link), told)


if __name__ == "__main__":
    main(sys.argv[1:])

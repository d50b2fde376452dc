"""Runs a program of a card and kills it at one of its steps: `first_boot_cut.py AT PROGRAM WORD...`. Stdlib alone.

AT: which opening for writing, rename, removal, new folder, change of owner or mode, or command; -1: none, and their
number is printed at the end. Or `EVENT:PART`: the first of this kind whose name has this in it.
"""

import os
import runpy
import signal
import sys

WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
EVENTS = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.chmod", "os.chown", "shutil.rmtree", "subprocess.Popen")


class Cut:
    """Counts, and kills its own process at one step."""

    def __init__(self, at: str) -> None:
        self.event, _, self.part = at.partition(":")
        self.at, self.count = 0 if self.part else int(at), 0

    def hear(self, event: str, words: tuple[object, ...]) -> None:
        """Every audited event."""
        if event in EVENTS or (event == "open" and int(str(words[2] or 0)) & WRITES):
            self.count += 1
            if self.count == self.at or (self.part and event == self.event and self.part in str(words[0])):
                os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    cut = Cut(sys.argv[1])
    sys.argv = sys.argv[2:]
    sys.addaudithook(cut.hear)
    try:
        runpy.run_path(sys.argv[0], run_name="__main__")
    finally:
        sys.stdout.write(f"steps {cut.count}\n")

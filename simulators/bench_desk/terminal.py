"""A terminal beside the boards: the card's first boot on a root folder, then its program, as systemd would run both.

The first boot, the launcher, the slots and the program are the real ones, under the root folder `terminal`; its head is
a board of the bench, its clock chip a file. DESIGN §11; decision 0225.
"""

import os
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread
from typing import Self

from firmware.flash.card_layout import CMDLINE, PYTHONS
from firmware.flash.card_text import starts_first_boot
from firmware.flash.release.making import own_python
from simulators.bench_desk.bootfs import boot_partition
from simulators.bench_desk.debian import small_debian
from simulators.clock import SimulatedRtc
from simulators.demo.processes import Child

DEVICE, PROGRAM, UNIT = "bus-8", "kgo-bus", "kgo-bus.service"
SYSTEM_PYTHON = "/usr/bin/python3"
RESTART_S = 0.5
"""As the service's unit has it."""
ENDS_S_MAX = 30.0


def own_system() -> str | None:
    """The Raspberry Pi OS whose Python is this machine's; None: neither's."""
    return next((system for system, python in PYTHONS.items() if python == own_python()), None)


class Terminal:
    """A fresh card in `bootfs`, a machine in `terminal`, and a command with its name, as `ssh` to it would be."""

    def __init__(self, folder: Path, system: str, head: Path, url: str, say: Callable[[str], None]) -> None:
        """`head`: the port of the board that is its head. `say`: a line for the technician."""
        self._card, self._root, self._say = folder / "bootfs", folder / "terminal", say
        self._log = folder / f"{DEVICE}.log"
        self._rtc = SimulatedRtc(folder / "rtc0")
        self._stopping = Event()
        self._service: Thread | None = None
        for each in PYTHONS:
            boot_partition(self._card if each == system else folder / f"{self._card.name}-{each}", each)
        small_debian(self._root)
        home = self._root / "var/lib/kgo"
        self._start = [str(self._root / "opt/kgo/start"), "--root", str(self._root / "opt/kgo")]
        self._start += ["--state", str(home / "updates"), PROGRAM, "--settings", str(home / "bus.toml")]
        (folder / "bus.toml").write_text(
            f'# What cards are made from: kgo-flash card --settings-template bus.toml\n[city]\nurl = "{url}"\n\n'
            f'[head]\nport = "{head}"\n\n[clock]\nrtc = "{folder}/rtc0"\n\n[update]\nurl = "{url}/releases"\n',
            encoding="utf-8",
        )
        command = folder / DEVICE
        command.write_text(f'#!/bin/sh\nexec {shlex.join(self._start)} "$@"\n', encoding="utf-8")
        command.chmod(0o755)

    def __enter__(self) -> Self:
        self._rtc.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._rtc.close()

    @property
    def is_running(self) -> bool:
        """Is its service up? The program may be about to start again."""
        return self._service is not None

    def boot(self) -> bool:
        """The card goes in and the power on. False: the card is not prepared, or its first boot was not done."""
        self.stop()
        if starts_first_boot((self._card / CMDLINE).read_bytes()):
            words = [SYSTEM_PYTHON, "-IBu", str(self._card / "kgo/first_boot.pyz")]
            words += ["--boot", str(self._card), "--root", str(self._root)]
            self._boot_first(words)
        return self.start()

    def start(self) -> bool:
        """As `systemctl start`. False: the machine has no such unit yet."""
        if not (self._root / "etc/systemd/system/multi-user.target.wants" / UNIT).is_symlink():
            return False
        if self._service is None:
            self._stopping.clear()
            self._service = Thread(target=self._run, name=PROGRAM, daemon=True)
            self._service.start()
        return True

    def stop(self) -> None:
        """As `systemctl stop`."""
        self._stopping.set()
        if self._service is not None:
            self._service.join(ENDS_S_MAX)
            self._service = None

    def _boot_first(self, words: list[str]) -> None:
        """What it writes on the machine's screen. Root's own path: groupadd is not on everybody's."""
        around = {**os.environ, "PATH": f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"}
        with subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=around
        ) as booting:
            assert booting.stdout is not None
            for line in booting.stdout:
                self._say(line.rstrip("\n"))

    def _run(self) -> None:
        """Restart=always: it is also how a new version takes its turn."""
        while not self._stopping.is_set():
            child = Child(PROGRAM, self._start, self._log)
            while child.is_running and not self._stopping.wait(0.1):
                pass
            child.stop()
            self._stopping.wait(RESTART_S)

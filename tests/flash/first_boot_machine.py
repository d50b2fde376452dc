"""A whole Debian under a real systemd takes a prepared card, loses its power again and again, and becomes a terminal.

    sudo .venv/bin/python -m tests.flash.first_boot_machine [--suite bookworm] [--role bus] [--cuts 6] [--seed 1]

Needs root, `mmdebstrap` and `systemd-container`, and a network for Debian's packages. The root folder is made by
mmdebstrap (build/first-boot/SUITE.tar, made once), and started by systemd-nspawn with the words that the bench wrote
into cmdline.txt. A power cut is SIGKILL to all of it. What no PC has: a Raspberry Pi's loader, its light,
NetworkManager. Debian 13 has another Python than the package that is made here: there the first boot must say 7121,
and so it does.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from firmware.flash.release.making import LOCKS, Making, make, own_python
from offline_ledger.terminal.updates.names import own_platform
from simulators.bench_desk.bootfs import boot_partition
from simulators.demo.city import CityProgram
from tests.flash.cards import update_root
from tests.flash.first_boots import faults_of, report_on

ROOT = Path(__file__).parents[2]
BUILD = ROOT / "build" / "first-boot"
PACKAGES = ("systemd", "systemd-sysv", "python3", "dbus", "kmod", "iproute2", "passwd", "udev", "ca-certificates")
BOOT_S_MAX = 900
READY_S_MAX = 60
ROLES = {"bus": ("validator", "city-bus"), "pos": ("shop", "coffee-1")}
RUNS = "systemd.run="
READY = '"ready": true'


def main() -> int:
    """Prints one line for each start; 0 when the terminal stands in the end."""
    parser = argparse.ArgumentParser(description="A first boot under a real systemd, with power cuts.")
    parser.add_argument("--suite", default="bookworm", choices=("bookworm", "trixie"))
    parser.add_argument("--role", default="bus", choices=tuple(ROLES))
    parser.add_argument("--cuts", type=int, default=6)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kgo-machine-") as folder, CityProgram(Path(folder) / "city") as city:
        city.init()
        city.serve()
        machine = Machine(Path(folder), asked.suite, asked.role)
        machine.prepare(city)
        chance = random.Random(asked.seed)
        for number in range(1, asked.cuts + 1):
            machine.start(f"cut {number}", chance.uniform(0.3, 14))
        machine.start("to its end", BOOT_S_MAX)
        if asked.suite == "trixie":
            return 0 if report_on(machine.boot)["refusal"] == 7121 else 1
        return machine.usual_start()


class Machine:
    """A root folder, and the card in it."""

    def __init__(self, folder: Path, suite: str, role: str) -> None:
        self.role, self.device, self.program = role, f"{role}-8", f"kgo-{role}"
        self.folder, self.root, self.boot = folder, folder / "root", folder / "boot"
        self.root.mkdir()
        archive = BUILD / f"{suite}.tar"
        if not archive.exists():
            archive.parent.mkdir(parents=True, exist_ok=True)
            _run("mmdebstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", suite, str(archive))
        _run("tar", "-C", str(self.root), "-xf", str(archive))
        (self.root / "boot" / "firmware").mkdir()

    def prepare(self, city: CityProgram) -> None:
        """As the technician does it."""
        boot_partition(self.boot)
        locks = [ROOT / lock for lock in LOCKS]
        package = make(Making(ROOT, "0.1.0", own_platform(), own_python(), locks, [], True), self.folder)
        token = city.token(self.device, *ROLES[self.role])
        root = update_root(self.folder / "root.json")
        given = ("--package", str(package), "--platform", own_platform(), "--update-root", str(root))
        who = ("--device", self.device, "--role", self.role, "--ca", str(city.ca_file), "--city-url", city.url)
        words = (sys.executable, "-m", "firmware.flash", "card", str(self.boot), *who, *given, "--token", token)
        _run(*words, folder=self.folder)

    def start(self, name: str, s_max: float) -> None:
        """Until it ends by itself, or the power goes."""
        words = [word for word in (self.boot / "cmdline.txt").read_text().split() if word.startswith("systemd.")]
        words = [f"{word.partition('=')[0]}=poweroff" if "_action=" in word else word for word in words]
        began_s = time.monotonic()
        process = self._spawn(words)
        while process.poll() is None and time.monotonic() < began_s + s_max:
            time.sleep(0.02)
        was_cut = process.poll() is None
        self._end(process)
        kept = self.root / "var/lib/kgo-first-boot/state.json"
        done = json.loads(kept.read_bytes())["done"] if kept.exists() else []
        is_old = RUNS in (self.boot / "cmdline.txt").read_text()
        said = "power cut" if was_cut else "ended by itself"
        report = report_on(self.boot) if (self.boot / "kgo/first-boot.json").exists() else {}
        faults = faults_of(self.root, self.boot, self.role) or ["starts"]
        state = "old" if is_old else "new"
        result = f"{report.get('result', '-')} {report.get('refusal', '-')}"
        sys.stdout.write(
            f"{name:12} {time.monotonic() - began_s:5.1f} s  {said:16} {len(done):2} steps done  {state}  "
            f"{result:12} {', '.join(faults)}\n"
        )
        sys.stdout.flush()

    def usual_start(self) -> int:
        """Without our words: the terminal is there."""
        if RUNS in (self.boot / "cmdline.txt").read_text():
            return 1
        process = self._spawn([])
        until_s, said = time.monotonic() + READY_S_MAX, ""
        while READY not in said and time.monotonic() < until_s:
            time.sleep(0.5)
            said = self._inside(process, "journalctl", "-u", self.program, "-o", "cat", "--no-pager")
        active = self._inside(process, "systemctl", "is-active", self.program).strip()
        self._end(process)
        sys.stdout.write(f"usual start: {self.program} is {active}, ready: {READY in said}\n")
        return 0 if active == "active" and READY in said else 1

    def _spawn(self, words: list[str]) -> "subprocess.Popen[bytes]":
        options = (f"--bind={self.boot}:/boot/firmware", "--register=no", "--keep-unit", "--resolv-conf=copy-host")
        with (self.folder / "console.log").open("ab") as log:
            return subprocess.Popen(
                ("systemd-nspawn", "-q", "-D", str(self.root), *options, "-b", *words),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def _inside(self, process: "subprocess.Popen[bytes]", *words: str) -> str:
        leader = _child_of(process.pid)
        if not leader:
            return ""
        command = ("nsenter", "-t", str(leader), "-m", "-u", "-p", *words)
        return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False).stdout

    def _end(self, process: "subprocess.Popen[bytes]") -> None:
        """The power goes: the machine's first process, and with it every other."""
        leader = _child_of(process.pid)
        if leader:
            os.kill(leader, signal.SIGKILL)
        elif process.poll() is None:
            process.kill()
        process.wait(30)


def _child_of(pid: int) -> int:
    """The first process of the container: its parent is systemd-nspawn."""
    try:
        said = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return 0
    return int(said[0]) if said else 0


def _run(*words: str, folder: Path | None = None) -> None:
    subprocess.run(words, cwd=folder, check=True, timeout=900, stdin=subprocess.DEVNULL)


if __name__ == "__main__":
    for needed in ("systemd-nspawn", "mmdebstrap"):
        if shutil.which(needed) is None:
            sys.exit(f"{needed}: not there (apt-get install systemd-container mmdebstrap)")
    sys.exit(main())

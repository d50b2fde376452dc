"""The steps of a first boot, in their order. Each may be done again: a power cut comes where it likes.

A step that is done is marked after it, durably; one that was cut is repeated from its beginning. Secrets leave the card
as soon as they are used. Never makes the device's key itself: the terminal's own program does (`enrol`).
"""

import contextlib
import json
import platform
import re
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple
from zipfile import BadZipFile, ZipFile

from firmware.flash.first_boot.machine import (
    DISK_FULL,
    FILES_WRONG,
    FULL,
    INSTALL_FAILED,
    MACHINE_WRONG,
    PACKAGES_MISSING,
    SETTINGS_REFUSED,
    STEP_FAILED,
    Failed,
    Machine,
    sha256_of,
    texts,
)

HOME = "/var/lib/kgo"
MANIFEST = "manifest.json"
WORK = "/var/lib/kgo-first-boot"
SLOT = "/opt/kgo/slots/a"
USER, SCREEN_USER, HELPER = "kgo", "kgo-screen", "technician"
NETWORK_S_MAX = 90
DEBS = "/run/kgo-debs"
NO_SHELL = "/usr/sbin/nologin"
SERVICES = {
    "bus": ("pcscd.socket", "kgo-bus.service", "kgo-update@bus.timer"),
    "pos": ("pcscd.socket", "seatd.service", "kgo-pos.service", "kgo-pos-kiosk.service", "kgo-update@pos.timer"),
}
_APT = (
    "apt-get",
    "-y",
    "--no-install-recommends",
    "-o",
    "DPkg::Lock::Timeout=300",
    "-o",
    "Dpkg::Options::=--force-confold",
)
_QUIET = {"DEBIAN_FRONTEND": "noninteractive", "NEEDRESTART_MODE": "l"}
_INSTALL = (
    "import sys; sys.path.insert(0, sys.argv.pop(1)); from pathlib import Path;"
    " from offline_ledger.terminal.updates.filling import install;"
    " install(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], print)"
)
"""Not by PYTHONPATH: pip, which it runs, would take what lies there for installed."""


class Job(NamedTuple):
    """What there is to do: the machine, and what the bench wrote of the card (`kgo/card.json`)."""

    machine: Machine
    card: dict[str, object]

    def on_card(self, name: str) -> Path:
        """One of our files on the boot partition."""
        return self.machine.boot / "kgo" / name

    def text(self, name: str) -> str:
        """A text of card.json."""
        return str(self.card.get(name, ""))

    def digest(self, name: str) -> str:
        """What the bench wrote under this name, as SHA-256 in hex."""
        named = self.card.get("files")
        return str(named.get(name, "")) if isinstance(named, dict) else ""

    @property
    def settings(self) -> Path:
        """The program's settings, in its home."""
        return self.machine.at(f"{HOME}/{self.text('settings')}")

    @property
    def program(self) -> str:
        """The program, in its slot."""
        return str(self.machine.at(f"{SLOT}/bin/{self.text('program')}"))


def files(job: Job) -> None:
    """Everything on the card is what the bench wrote. A secret may be gone: it was used before a cut."""
    named = job.card.get("files")
    if not isinstance(named, dict) or not named:
        raise Failed(FILES_WRONG, "card.json")
    secrets = texts(job.card.get("secret"))
    for name, wanted in named.items():
        found = sha256_of(job.on_card(str(name)))
        if found != wanted and not (found == "" and name in secrets):
            raise Failed(FILES_WRONG, str(name))
    package = job.on_card(job.text("package"))
    try:
        with ZipFile(package) as opened:
            manifest = read_manifest(opened)
    except (OSError, BadZipFile, KeyError, ValueError) as error:
        raise Failed(FILES_WRONG, f"{package.name}: {error}") from error
    here = (f"linux_{platform.machine()}", f"{sys.version_info.major}.{sys.version_info.minor}")
    if (manifest.get("platform"), manifest.get("python")) != here:
        there = f"{manifest.get('platform')} {manifest.get('python')}"
        raise Failed(MACHINE_WRONG, f"{package.name}: {there}, here {here[0]} {here[1]}")


def read_manifest(opened: ZipFile) -> dict[str, object]:
    """What the package says of itself. Raises KeyError, ValueError."""
    said: object = json.loads(opened.read(MANIFEST))
    return said if isinstance(said, dict) else {}


def users(job: Job) -> None:
    """The program's own user; at a till the screens' too, who can read nothing of the program's."""
    made = [(USER, HOME)] + ([(SCREEN_USER, "/nonexistent")] if job.text("role") == "pos" else [])
    for name, home in made:
        if not job.machine.has_name("/etc/passwd", name):
            how = ("--system", "--user-group", "--no-create-home", "--home-dir", home, "--shell", NO_SHELL)
            job.machine.must("useradd", *job.machine.below("--prefix"), *how, name)
    job.machine.folder(job.machine.at(HOME), 0o700, USER)


def wifi(job: Job) -> None:
    """The network's file to where root alone reads it, and away from the card."""
    given, machine = job.on_card("wifi.nmconnection"), job.machine
    place = machine.at("/etc/NetworkManager/system-connections/kgo.nmconnection")
    if given.name in texts(job.card.get("secret")):
        if sha256_of(given) == job.digest(given.name):
            machine.write(place, given.read_bytes(), 0o600)
        elif not place.exists():  # else a cut left zeros of it, or nothing: it is where it belongs
            raise Failed(FILES_WRONG, given.name)
        machine.wipe(given)
    if job.text("country"):
        for switch in machine.root.glob("var/lib/systemd/rfkill/*:wlan"):
            machine.write(switch, b"0\n")
        if machine.is_running:
            machine.run("rfkill", "unblock", "wifi")
            machine.run("nmcli", "connection", "reload")


def name(job: Job) -> None:
    """The machine's own name; cloud-init, where there is one, leaves it alone."""
    machine, host = job.machine, job.text("host_name")
    machine.write(machine.at("/etc/hostname"), f"{host}\n".encode())
    kept = [line for line in machine.lines("/etc/hosts") if not re.match(r"\s*127\.0\.1\.1\s", line)]
    if not any("localhost" in line.split() for line in kept):
        kept.insert(0, "127.0.0.1\tlocalhost")
    machine.write(machine.at("/etc/hosts"), "\n".join([*kept, f"127.0.1.1\t{host}", ""]).encode())
    if machine.at("/etc/cloud").is_dir():
        machine.write(machine.at("/etc/cloud/cloud.cfg.d/99-kgo.cfg"), b"preserve_hostname: true\n")
    if machine.is_running:
        machine.run("hostname", host)


def access(job: Job) -> None:
    """A technician by SSH key alone, when the bench gave one; else nobody."""
    given, machine = job.on_card("ssh.pub"), job.machine
    if not given.exists():
        return
    if not machine.has_name("/etc/passwd", HELPER):
        how = ("--create-home", "--user-group", "--shell", "/bin/bash")
        machine.must("useradd", *machine.below("--prefix"), *how, HELPER)
    home = machine.at(f"/home/{HELPER}")
    machine.folder(home / ".ssh", 0o700, HELPER)
    machine.write(home / ".ssh" / "authorized_keys", given.read_bytes(), 0o600, HELPER)
    machine.write(machine.at("/etc/sudoers.d/kgo-technician"), f"{HELPER} ALL=(ALL) NOPASSWD: ALL\n".encode(), 0o440)
    machine.write(machine.at("/etc/ssh/sshd_config.d/00-kgo.conf"), b"PasswordAuthentication no\n")
    if machine.at("/usr/lib/systemd/system/ssh.service").exists():
        machine.must("systemctl", *machine.below("--root"), "enable", "ssh.service")


def debian(job: Job) -> None:
    """The system's packages that the program needs: those on the card, else from the network."""
    machine = job.machine
    wanted = [one for one in texts(job.card.get("debian_packages")) if not _is_installed(machine, one)]
    if not wanted:
        return
    machine.say(f"Debian packages: {' '.join(wanted)}")
    if not machine.is_running:
        raise Failed(PACKAGES_MISSING, " ".join(wanted))
    machine.run("dpkg", "--configure", "-a", more=_QUIET)  # what a cut left
    brought = sorted(job.on_card("debs").glob("*.deb"))
    if brought:
        words = packages_on_card(machine, brought)
    else:
        words = ()
        if not machine.wait_for(lambda: _has_route(machine), NETWORK_S_MAX):
            raise Failed(PACKAGES_MISSING, f"no network: {' '.join(wanted)}")
        machine.wait_for_time()  # else apt says: Release file is not valid yet
    machine.run(*_APT, *words, "update", more=_QUIET)
    ran = machine.run(*_APT, *words, "install", *wanted, more=_QUIET)
    still = [one for one in wanted if not _is_installed(machine, one)]
    if still:
        raise Failed(PACKAGES_MISSING, f"{' '.join(still)}: {ran.last}")


def packages_on_card(machine: Machine, brought: Sequence[Path]) -> tuple[str, ...]:
    """A source of packages made of those on the card; apt takes of them what it needs. What tells apt of it, alone."""
    folder = machine.at(DEBS)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    rows: list[str] = []
    for number, file in enumerate(brought):
        (folder / f"{number}.deb").symlink_to(file)  # apt reads a % in a name as something else
        said = machine.must("dpkg-deb", "-f", str(file)).rstrip("\n")
        rows.append(f"{said}\nFilename: ./{number}.deb\nSize: {file.stat().st_size}\nSHA256: {sha256_of(file)}\n")
    (folder / "Packages").write_text("\n".join(rows), "utf-8")
    (folder / "card.list").write_text(f"deb [trusted=yes] file:{folder} ./\n")
    return ("-o", f"Dir::Etc::sourcelist={folder}/card.list", "-o", "Dir::Etc::sourceparts=/dev/null")


def _is_installed(machine: Machine, package: str) -> bool:
    admin = () if machine.is_running else (f"--admindir={machine.at('/var/lib/dpkg')}",)
    return machine.run("dpkg-query", *admin, "-W", "-f", "${db:Status-Status}", package).out == "installed"


def _has_route(machine: Machine) -> bool:
    return any(line.split()[1:2] == ["00000000"] for line in machine.lines("/proc/net/route")[1:])


def slot(job: Job) -> None:
    """The package into the first slot, by the package's own code (`updates.filling`)."""
    machine, package = job.machine, job.on_card(job.text("package"))
    place, code = machine.at(SLOT), machine.at(f"{WORK}/code")
    shutil.rmtree(code, ignore_errors=True)
    try:
        with ZipFile(package) as opened:
            if (place / MANIFEST).exists() and (place / MANIFEST).read_bytes() == opened.read(MANIFEST):
                return  # written last of all: this slot is whole
            for member in opened.namelist():
                if member.startswith("wheels/"):
                    with opened.open(member) as stream, ZipFile(stream) as wheel:
                        wheel.extractall(code)
    except OSError as error:
        raise Failed(DISK_FULL if error.errno in FULL else INSTALL_FAILED, f"{package.name}: {error}") from error
    except BadZipFile as error:
        raise Failed(INSTALL_FAILED, f"{package.name}: {error}") from error
    words = ("/usr/bin/python3", "-IBc", _INSTALL, str(code), str(package), str(place), job.text("program"))
    ran = machine.run(*words)
    shutil.rmtree(code, ignore_errors=True)
    if ran.code:
        raise Failed(DISK_FULL if "storage_full" in ran.err else INSTALL_FAILED, ran.last)


def system(job: Job) -> None:
    """Launcher, units and rules out of the slot, to where the system looks for them; groups that units name."""
    machine = job.machine
    given = machine.at(f"{SLOT}/system")
    groups: set[str] = set()
    for file in sorted(given.iterdir()):
        data = file.read_bytes()
        if file.suffix in (".service", ".socket", ".timer", ".path"):
            machine.write(machine.at(f"/etc/systemd/system/{file.name}"), data)
            for said in re.findall(r"(?m)^SupplementaryGroups=(.*)$", data.decode("utf-8", "replace")):
                groups.update(said.split())
        elif file.suffix == ".rules":
            machine.write(machine.at(f"/etc/udev/rules.d/{file.name}"), data)
        else:  # the launcher, and that of the screens
            machine.write(machine.at(f"/opt/kgo/{file.name}"), data, 0o755)
    for group in sorted(groups):
        if not machine.has_name("/etc/group", group):  # a unit that names one that is not there does not start
            machine.must("groupadd", *machine.below("--prefix"), "--system", group)


def settings(job: Job) -> None:
    """Settings, the city's certificate and the keys of releases, the program's own; judged by the program."""
    machine = job.machine
    machine.folder(machine.at(HOME), 0o700, USER)
    for name_ in (job.text("settings"), "ca.crt", "update.root"):
        if job.on_card(name_).exists():
            machine.write(machine.at(f"{HOME}/{name_}"), job.on_card(name_).read_bytes(), 0o600, USER)
    ran = machine.run(job.program, "--settings", str(job.settings), "--language", "en", "check", user=USER)
    if ran.code:
        raise Failed(SETTINGS_REFUSED if ran.code == 2 else STEP_FAILED, ran.last)


def services(job: Job) -> None:
    """What starts by itself from the next start on; nobody is asked for a name on the screen."""
    machine = job.machine
    if machine.at("/usr/lib/systemd/system/userconfig.service").exists():
        machine.must("systemctl", *machine.below("--root"), "mask", "userconfig.service")
    machine.must("systemctl", *machine.below("--root"), "enable", *SERVICES[job.text("role")])


def after_all(job: Job) -> None:
    """Nothing of the work is left behind."""
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(job.machine.at(f"{WORK}/code"))


Step = tuple[str, Callable[[Job], None]]

"""The first boot of a terminal, really run on a root folder: what it leaves, what it refuses, and cut at every step."""

import json
import os
import random
import shutil
import stat
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from firmware.flash.__main__ import main
from firmware.flash.card import Wanted, prepare
from firmware.flash.card_check import FIRST_BOOT_REFUSALS
from firmware.flash.card_inputs import wifi_file
from firmware.flash.card_layout import find_card
from firmware.flash.first_boot import machine as machine_code
from firmware.flash.first_boot.machine import Failed, Machine, Ran
from firmware.flash.first_boot.steps import Job, debian, packages_on_card
from offline_ledger.errors import (
    FirstBootDiskFull,
    FirstBootEnrolmentRefused,
    FirstBootFilesWrong,
    FirstBootInstallFailed,
    FirstBootMachineWrong,
    FirstBootNoCity,
    FirstBootSettingsRefused,
    FirstBootStepFailed,
    FirstBootSystemPackages,
    FirstBootWaits,
)
from offline_ledger.protocol.token import token_of
from simulators.bench_desk.bootfs import CMDLINES, boot_partition
from simulators.bench_desk.debian import small_debian
from tests.city_service.desk import copy_founded
from tests.city_service.desk import run as ask_city
from tests.flash.card_cut import wanted_in
from tests.flash.cards import update_root
from tests.flash.first_boots import faults_of, first_boot, report_on, steps_of

pytestmark = pytest.mark.timeout(3600)  # the soak's full counts

DONE, FAILED, WAITING = 0, 1, 75
SSH_KEY = b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0dNqJ0yq7m5v9mR0xS5o1yZ8k6hQ2n3b4c5d6e7f8g bench\n"
TOKEN = token_of(bytes(range(15)))
CUTS_SLICE = 1


@dataclass(frozen=True, slots=True)
class Desk:
    """A card, the machine that it is put into, and the city. The slot is filled once and stays."""

    work: Path

    @property
    def boot(self) -> Path:
        return self.work / "boot"

    @property
    def root(self) -> Path:
        return self.work / "root"

    @property
    def home(self) -> Path:
        return self.root / "var/lib/kgo"

    def begin(self, **more: bytes) -> None:
        """A card that was just prepared, and a machine that never started."""
        slots = self.work / "slots"
        if (self.root / "opt/kgo/slots").exists():
            (self.root / "opt/kgo/slots").replace(slots)
        for folder in (self.boot, self.root, self.work / "city"):
            shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.work / "founded", self.work / "city")  # it gave this device no certificate yet
        small_debian(self.root)
        if slots.exists():
            (self.root / "opt/kgo").mkdir(parents=True)
            slots.replace(self.root / "opt/kgo/slots")
        boot_partition(self.boot)
        self.prepare(wanted_in(self.work), **more)

    def prepare(self, wanted: Wanted, **more: bytes) -> None:
        """By the bench, with these files too: `wifi`, `ssh`, `token`."""
        names = {"wifi": "wifi.nmconnection", "ssh": "ssh.pub", "token": "token", "settings": "bus.toml"}
        files = {**wanted.files, **{names[name]: data for name, data in more.items()}}
        prepare(find_card(self.boot), wanted._replace(files=files), lambda _step: None, lambda _bytes: None)

    def answer(self) -> None:
        """The operator answers the request on the card."""
        request, answer = self.boot / "kgo" / "request.kgo", self.boot / "kgo" / "answer.kgo"
        words = ("enrol", "bus-8", "--role", "validator", "--owner", "city-bus", "--request", str(request))
        done = ask_city(*words, "--out", str(answer), "--settings", str(self.work / "city" / "city.toml"))
        assert done.returncode == 0, done.stderr

    def start(self, at: int | str = 0, *before: str) -> int:
        """One start of the machine; its exit code."""
        done = first_boot(self.root, self.boot, at, *before)
        assert "Traceback" not in done.stderr, done.stderr
        return done.returncode


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, card_package: Path) -> Iterator[Desk]:
    work = tmp_path_factory.mktemp("first-boot")
    (work / card_package.name).hardlink_to(card_package)
    copy_founded(work / "founded", "--city", "TH-40", "--port", "0")
    shutil.copy(work / "founded" / "ca.crt", work / "ca.crt")
    update_root(work / "root.json")
    yield Desk(work)


def test_from_a_prepared_card_to_a_terminal(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    desk.begin(wifi=wifi_file("ร้านส้มตำ", "password", "bus-8"))
    root, kgo, home = desk.root, desk.boot / "kgo", desk.home
    assert desk.start() == WAITING
    report = report_on(desk.boot)
    assert (report["result"], report["refusal"]) == ("waiting", FirstBootWaits.number)
    wifi = root / "etc/NetworkManager/system-connections/kgo.nmconnection"
    assert stat.S_IMODE(wifi.stat().st_mode) == 0o600 and not (kgo / "wifi.nmconnection").exists()
    assert "systemd.run" in (desk.boot / "cmdline.txt").read_text() and faults_of(root, desk.boot) == []
    request = (kgo / "request.kgo").read_bytes()
    assert desk.start() == WAITING and (kgo / "request.kgo").read_bytes() == request  # whoever carries it has the last
    desk.answer()
    assert desk.start() == DONE and faults_of(root, desk.boot) == []
    assert (desk.boot / "cmdline.txt").read_text().split() == [
        *CMDLINES["bookworm"].split(),
        "cfg80211.ieee80211_regdom=TH",
    ]
    assert not (kgo / "request.kgo").exists() and not (kgo / "answer.kgo").exists()
    assert stat.S_IMODE((home / "device.key").stat().st_mode) == 0o600 and stat.S_IMODE(home.stat().st_mode) == 0o700
    assert (root / "etc/hostname").read_text() == "bus-8\n" and "raspberrypi" not in (root / "etc/hosts").read_text()
    assert (root / "etc/udev/rules.d/99-kgo-head.rules").exists()
    assert (root / "etc/systemd/system/userconfig.service").readlink() == Path("/dev/null")
    assert {"spi", "gpio", "dialout"} <= {line.split(":")[0] for line in (root / "etc/group").read_text().splitlines()}
    assert os.access(root / "opt/kgo/start", os.X_OK)
    report = report_on(desk.boot)
    assert report["result"] == "done" and report["machine"] == {
        **dict(report["machine"]),  # type: ignore[call-overload]
        "serial": "100000003d1f2a4b",
        "model": "Raspberry Pi 4 Model B Rev 1.4",
    }
    monkeypatch.chdir(desk.work)
    assert main(["card", str(desk.boot), "--check", "--language", "en"]) == 0
    said = capfd.readouterr().out
    assert f"key_fingerprint: {report['key_fingerprint']}" in said and "100000003d1f2a4b" in said
    assert desk.start() == DONE  # somebody starts it by hand once more: nothing is undone
    assert faults_of(root, desk.boot) == []


def test_it_is_cut_at_any_step_and_starts_all_the_same(
    desk: Desk, rng: random.Random, slice_of: Callable[[int, int], int], report: Callable[[str], None]
) -> None:
    wifi = wifi_file("IEEE", "password", "bus-8")
    desk.begin(wifi=wifi)
    if not (desk.root / "opt/kgo/slots/a").exists():  # no test before this one: filling the slot is not what is counted
        assert desk.start() == WAITING
        desk.begin(wifi=wifi)
    before = steps_of(desk.root, desk.boot)
    desk.answer()
    after = steps_of(desk.root, desk.boot)
    assert before > 60 and after > 30 and report_on(desk.boot)["result"] == "done"
    early = rng.sample(range(1, before + 1), slice_of(before, CUTS_SLICE))
    for at in early:
        desk.begin(wifi=wifi)
        assert desk.start(at) == -9
        assert faults_of(desk.root, desk.boot) == [], f"cut at step {at}"
        assert desk.start() == WAITING, f"cut at step {at}: {report_on(desk.boot)}"
    late, new = rng.sample(range(1, after + 1), slice_of(after, CUTS_SLICE)), 0
    for at in late:
        desk.begin(wifi=wifi)
        assert desk.start() == WAITING
        desk.answer()
        assert desk.start(at) == -9
        assert faults_of(desk.root, desk.boot) == [], f"cut at step {at} after the answer"
        new += "systemd.run" not in (desk.boot / "cmdline.txt").read_text()
        assert desk.start() == DONE, f"cut at step {at} after the answer: {report_on(desk.boot)}"
        assert faults_of(desk.root, desk.boot) == [] and report_on(desk.boot)["result"] == "done"
    cut = len(early) + len(late)
    report(f"first boot: cut at {cut} of {before + after} steps, {new} after its end, 0 machines that do not start")


def test_a_secret_that_was_overwritten_and_not_yet_removed_is_not_taken_for_one(desk: Desk) -> None:
    """Between the two the power goes: there are zeros on the card, and the file where it belongs is good."""
    desk.begin(wifi=wifi_file("IEEE", "password", "bus-8"))
    assert desk.start("os.remove:wifi.nmconnection") == -9
    assert set((desk.boot / "kgo" / "wifi.nmconnection").read_bytes()) == {0}
    assert desk.start() == WAITING and faults_of(desk.root, desk.boot) == []
    assert not (desk.boot / "kgo" / "wifi.nmconnection").exists()


# --- what it refuses, each in the report by its number


def refused(desk: Desk, number: int, code: int = FAILED, *before: str) -> str:
    """It says so, and the machine starts all the same and tries again."""
    assert desk.start(0, *before) == code
    said = report_on(desk.boot)
    assert said["refusal"] == number, said
    assert faults_of(desk.root, desk.boot) == [] and "systemd.run" in (desk.boot / "cmdline.txt").read_text()
    return str(said["detail"])


def test_a_file_of_the_card_that_was_changed(desk: Desk) -> None:
    desk.begin()
    (desk.boot / "kgo" / "ca.crt").write_bytes(b"another city")
    assert refused(desk, FirstBootFilesWrong.number) == "ca.crt"
    (desk.boot / "kgo" / "card.json").write_bytes(b"{")
    assert desk.start() == FAILED
    assert report_on(desk.boot)["refusal"] == FirstBootFilesWrong.number


def with_manifest(desk: Desk, **changes: object) -> None:
    """A package that says otherwise of itself, on a card that knows it so."""
    import hashlib
    import zipfile

    kgo = desk.boot / "kgo"
    place = next(kgo.glob("kgo-*.zip"))
    with zipfile.ZipFile(place) as package:
        members = {name: package.read(name) for name in package.namelist()}
    members["manifest.json"] = json.dumps(json.loads(members["manifest.json"]) | changes).encode()
    with zipfile.ZipFile(place, "w") as package:
        for name, data in members.items():
            package.writestr(name, data)
    card = json.loads((kgo / "card.json").read_bytes())
    card["files"][place.name] = hashlib.sha256(place.read_bytes()).hexdigest()
    (kgo / "card.json").write_text(json.dumps(card))


def test_a_package_for_another_machine(desk: Desk) -> None:
    desk.begin()
    with_manifest(desk, platform="linux_riscv64")
    assert "linux_riscv64" in refused(desk, FirstBootMachineWrong.number)


def test_a_package_that_cannot_be_installed(desk: Desk) -> None:
    desk.begin()
    with_manifest(desk, programs=["kgo-pos"])
    assert "kgo-pos" in refused(desk, FirstBootInstallFailed.number)


def test_a_disk_that_takes_no_more(desk: Desk) -> None:
    """The kernel refuses what goes beyond a megabyte, as a full disk does; the report is small enough."""
    desk.begin()
    with_manifest(desk, version="0.2.1")
    assert "File too large" in refused(desk, FirstBootDiskFull.number, FAILED, "prlimit", "--fsize=1000000")


def test_debian_packages_that_are_not_there(desk: Desk) -> None:
    desk.begin()
    (desk.root / "var/lib/dpkg/status").write_text("")
    assert "pcscd" in refused(desk, FirstBootSystemPackages.number, WAITING)


class OnItsOwn(Machine):
    """A system that runs, with a network and without a clock chip; of apt and dpkg only who asked them, and when."""

    def __init__(self, root: Path) -> None:
        self.told: list[str] = []
        super().__init__(root, root / "boot", self.told.append)
        self.asked: list[tuple[str, bool]] = []
        route = root / "proc/net/route"
        route.parent.mkdir(parents=True)
        route.write_text("Iface\tDestination\tGateway\nwlan0\t00000000\t0100A8C0\n")

    @property
    def is_running(self) -> bool:
        return True

    @property
    def clock(self) -> Path:
        return self.root / "run/systemd/timesync/synchronized"

    def run(self, *words: str, user: str = "", more: Mapping[str, str] | None = None) -> Ran:
        del user, more
        self.asked.append((words[-1] if words[0] == "apt-get" else words[0], self.clock.exists()))
        return Ran(0, "", "")


@pytest.mark.parametrize("sets_clock", [True, False])
def test_apt_waits_for_the_time_of_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sets_clock: bool) -> None:
    """In the past, where a machine without a clock chip starts, no list of packages is valid yet."""
    machine = OnItsOwn(tmp_path)
    machine.clock.parent.mkdir(parents=True)
    if not sets_clock:
        monkeypatch.setattr(machine_code, "CLOCK_S_MAX", 1)
    setting = threading.Timer(0.2, machine.clock.touch)
    if sets_clock:
        setting.start()
    with pytest.raises(Failed):  # nothing was installed
        debian(Job(machine, {"debian_packages": ["pcscd"]}))
    assert ("update", sets_clock) in machine.asked, "for a minute at most"
    assert ("the clock was not set within 1 s" in machine.told) is not sets_clock


def test_apt_finds_the_packages_on_the_card_and_no_others(tmp_path: Path) -> None:
    """The system's own apt, told of nothing else."""
    control = tmp_path / "package" / "DEBIAN" / "control"
    control.parent.mkdir(parents=True)
    control.parent.chmod(0o755)  # dpkg-deb wants it so, whatever this process keeps to itself
    control.write_text(
        "Package: kgo-probe\nVersion: 1:2\nArchitecture: all\nMaintainer: x <x@y.z>\nDescription: probe\n"
    )
    deb = tmp_path / "card" / "kgo-probe_1%3a2_all.deb"
    deb.parent.mkdir()
    subprocess.run(("dpkg-deb", "--build", control.parent.parent, deb), check=True, capture_output=True, timeout=60)
    machine = Machine(tmp_path / "root", tmp_path / "card", lambda _line: None)
    words = packages_on_card(machine, [deb])
    (tmp_path / "apt" / "lists" / "partial").mkdir(parents=True)
    (tmp_path / "apt" / "status").touch()
    own = ("-o", f"Dir::State={tmp_path}/apt", "-o", f"Dir::State::status={tmp_path}/apt/status")
    own += ("-o", f"Dir::Cache={tmp_path}/apt", "-o", "APT::Sandbox::User=", *words)
    subprocess.run(("apt-get", *own, "update"), check=True, capture_output=True, timeout=60)
    said = subprocess.run(
        ("apt-get", *own, "--simulate", "install", "kgo-probe"), check=True, capture_output=True, text=True, timeout=60
    )
    assert "Inst kgo-probe (1:2" in said.stdout
    known = subprocess.run(("apt-cache", *own, "pkgnames"), check=True, capture_output=True, text=True, timeout=60)
    assert known.stdout.split() == ["kgo-probe"]


def test_settings_that_the_program_refuses(desk: Desk) -> None:
    desk.begin(settings=b'[device]\nid = "bus-8"\n')
    assert "city.url is missing" in refused(desk, FirstBootSettingsRefused.number)


def test_a_city_that_is_not_reached_and_a_token_that_is_refused(desk: Desk) -> None:
    desk.begin(token=TOKEN.encode())
    refused(desk, FirstBootNoCity.number, WAITING)
    assert (desk.boot / "kgo" / "token").exists()
    desk.begin(token=b"MISTYPED")
    assert "3010" in refused(desk, FirstBootEnrolmentRefused.number)


def test_a_system_that_it_cannot_change(desk: Desk) -> None:
    """A file stands where a folder belongs."""
    desk.begin(wifi=wifi_file("IEEE", "password", "bus-8"))
    (desk.root / "etc/NetworkManager").write_text("")
    refused(desk, FirstBootStepFailed.number)


def test_the_machine_and_the_bench_have_the_same_numbers() -> None:
    """The program on the card knows no refusals: it has numbers alone."""
    from firmware.flash.first_boot import machine

    numbers = {value for name, value in vars(machine).items() if name.isupper() and isinstance(value, int)}
    assert {kind.number for kind in FIRST_BOOT_REFUSALS} <= numbers

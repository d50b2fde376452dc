"""`kgo-flash card` from end to end, on a real FAT: what it says, writes and records, and how each failure is told."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from firmware.flash.__main__ import main
from firmware.flash.card import prepare
from firmware.flash.card_check import FIRST_BOOT_REFUSALS
from firmware.flash.card_files import refusal_of
from firmware.flash.card_layout import find_card
from firmware.flash.record import Record
from firmware.flash.record_reading import jobs
from offline_ledger.errors import (
    CardCustomised,
    CardFailed,
    CardFull,
    CardGone,
    CardInputWrong,
    CardInService,
    CardNameWrong,
    CardNotPrepared,
    CardNotStarted,
    CardOfAnother,
    CardReadOnly,
    CardReportWrong,
    CardVerifyFailed,
    FirstBootWaits,
    Refusal,
)
from offline_ledger.protocol.token import token_of
from offline_ledger.terminal.updates.names import own_platform
from simulators.bench_desk.bootfs import boot_partition
from tests.flash.card_cut import wanted_in
from tests.flash.cards import CITY_URL, SECRET, ca_file, customised_by_imager, update_root
from tests.sticks import mounted_stick

CARD_MB = 40
TOKEN = token_of(bytes(range(15)))
REFUSED, USAGE, LATER = 1, 2, 75
UNMOUNT = ("umount", "-l") if os.geteuid() == 0 else ("fusermount", "-uz")


@pytest.fixture
def work(tmp_path: Path, card_package: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A bench's folder, with everything but the card."""
    (tmp_path / card_package.name).hardlink_to(card_package)
    ca_file(tmp_path / "ca.crt")
    update_root(tmp_path / "root.json")
    (tmp_path / "wifi.txt").write_text("ส้มตำ-5G\n".replace("ส้มตำ", "somtam"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def card(work: Path) -> Path:
    """An image's folder."""
    return boot_partition(work / "card")


@pytest.fixture
def fat(work: Path) -> Iterator[Path]:
    """A card in its reader: a real FAT file system."""
    with mounted_stick("fat", work, CARD_MB) as place:
        yield boot_partition(place)


def words_for(work: Path, card: Path, *more: str, device: str = "bus-8") -> list[str]:
    package = next(work.glob("kgo-*.zip"))
    given = ("--ca", "ca.crt", "--update-root", "root.json", "--city-url", CITY_URL)
    known = ("--device", device, "--role", "bus", "--package", str(package), "--platform", own_platform())
    return ["card", str(card), "--language", "en", *known, *given, *more]


def numbered(refusal: type[Refusal], said: str) -> bool:
    return any(line.startswith(f"{refusal.number} ") for line in said.splitlines())


def test_a_card_is_prepared_checked_and_recorded(work: Path, fat: Path, capfd: pytest.CaptureFixture[str]) -> None:
    before = {name: (fat / name).read_bytes() for name in ("cmdline.txt", "config.txt", "kernel8.img")}
    wifi = ("--wifi", "ร้านส้มตำ", "--wifi-password-file", "wifi.txt")
    assert main(words_for(work, fat, "--token", TOKEN, *wifi)) == 0
    said = capfd.readouterr()
    assert "Raspberry Pi OS Bookworm (2025-05-13)" in said.out and "within the hour" in said.out
    assert TOKEN not in said.out + said.err and "somtam" not in said.out + said.err
    assert (fat / "kernel8.img").read_bytes() == before["kernel8.img"]
    assert (fat / "config.txt").read_bytes().startswith(before["config.txt"])
    assert b"dtoverlay=i2c-rtc,ds3231" in (fat / "config.txt").read_bytes()
    assert set(before["cmdline.txt"].split()) < set((fat / "cmdline.txt").read_bytes().split())
    described = json.loads((fat / "kgo" / "card.json").read_bytes())
    assert described["device"] == "bus-8" and described["secret"] == ["token", "wifi.nmconnection"]
    assert (fat / "kgo" / "token").read_text() == TOKEN
    everything = b"".join(one.read_bytes() for one in (fat / "kgo").glob("*") if one.is_file())
    assert b"PRIVATE KEY" not in everything and b"somtam" not in everything
    record = Record.open(work / "bench.db")
    (job,) = jobs(record)
    record.close()
    pairs = {pair.key: pair for pair in job.pairs}
    assert (job.what, job.subject, job.outcome, job.differences) == ("prepare-card", "bus-8", "done", [])
    assert pairs["package_sha256"].verified == pairs["package_sha256"].intended
    assert pairs["settings_sha256"].verified == pairs["settings_sha256"].intended != None  # noqa: E711
    assert [step.name for step in job.steps][-2:] == ["verify", "start"]


def prepared(work: Path, card: Path, step: Callable[[str], None] = lambda _step: None) -> None:
    """As the command does it, when everything was judged."""
    prepare(find_card(card), wanted_in(with_boot(work, card)), step, lambda _bytes: None)


def test_the_same_again_writes_nothing(work: Path, card: Path) -> None:
    prepared(work, card)
    before = {one: one.stat().st_mtime_ns for one in card.rglob("*") if one.is_file()}
    prepared(work, card)
    assert {one: one.stat().st_mtime_ns for one in card.rglob("*") if one.is_file()} == before


def test_settings_with_mistakes_are_all_told_and_nothing_is_written(
    work: Path, card: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (work / "fleet.toml").write_text('[city]\nurl = "http://wrong"\n[head]\nprot = "x"\n[card]\nreader = "any"\n')
    assert main(words_for(work, card, "--settings-template", "fleet.toml")) == USAGE
    said = capfd.readouterr().err.splitlines()
    assert [line[: len("fleet.toml: line 0:")] for line in said] == ["fleet.toml: line 2:", "fleet.toml: line 4:"]
    assert not (card / "kgo").exists() and not (work / "bench.db").exists()


def test_a_panel_on_spi_has_its_bus(work: Path, card: Path) -> None:
    (work / "fleet.toml").write_text(
        f'[city]\nurl = "{CITY_URL}"\n[head]\nport = "/dev/kgo-head-*"\n[screen]\naddress = "ili9341:0.0"\n'
    )
    assert b"dtparam=spi=on" not in (card / "config.txt").read_bytes()
    assert main(words_for(work, card, "--settings-template", "fleet.toml")) == 0
    assert b"[all]\ndtparam=spi=on\ndtparam=i2c_arm=on\n" in (card / "config.txt").read_bytes()


def test_what_was_not_said_is_named(card: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["card", str(card), "--language", "en", "--device", "bus-8", "--role", "bus"]) == USAGE
    assert "--ca, --update-root, --releases" in capfd.readouterr().out


def test_another_devices_card_is_taken_only_when_that_is_said(
    work: Path, card: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    prepared(work, card)
    assert main(words_for(work, card, device="bus-9")) == REFUSED
    said = capfd.readouterr().err
    assert numbered(CardOfAnother, said) and "bus-8" in said
    assert json.loads((card / "kgo" / "card.json").read_bytes())["device"] == "bus-8"
    assert main(words_for(work, card, "--replace", device="bus-9")) == 0
    assert json.loads((card / "kgo" / "card.json").read_bytes())["device"] == "bus-9"


@pytest.mark.parametrize("how", ["imager", "script", "ssh"])
def test_a_card_that_somebody_else_has_set_up_is_not_touched(
    work: Path, how: str, capfd: pytest.CaptureFixture[str]
) -> None:
    card = boot_partition(work / "card", "trixie")
    if how == "imager":
        customised_by_imager(card)
    elif how == "script":
        (card / "cmdline.txt").write_text(
            (card / "cmdline.txt").read_text().rstrip() + " systemd.run=/boot/firstrun.sh\n"
        )
    else:
        (card / "SSH").touch()
        (card / "ssh").touch()  # FAT knows no difference, a test's folder does
    before = contents(card)
    assert main(words_for(work, card, "--replace")) == REFUSED
    said = capfd.readouterr()
    told = {"imager": "user-data (hostname, manage_etc_hosts, packages", "script": "firstrun.sh", "ssh": "(ssh)"}[how]
    assert numbered(CardCustomised, said.err) and told in said.err, said.err
    assert SECRET not in said.err + said.out and "somebody" not in said.err
    assert contents(card) == before and not (work / "bench.db").exists()


def contents(folder: Path) -> dict[str, bytes]:
    return {str(one.relative_to(folder)): one.read_bytes() for one in folder.rglob("*") if one.is_file()}


def test_a_wifi_password_is_asked_for_at_a_terminal_alone(work: Path, fat: Path) -> None:
    words = (sys.executable, "-m", "firmware.flash", *words_for(work, fat, "--wifi", "ร้านส้มตำ"))
    around = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    ran = subprocess.run(
        words, cwd=work, env=around, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        start_new_session=True,
    )  # fmt: skip
    assert ran.returncode == 1 and ran.stderr.startswith(f"{CardInputWrong.number} "), ran.stderr
    assert "--wifi-password-file" in ran.stderr and not (fat / "kgo").exists(), ran.stderr


def test_a_full_card_is_told_before_anything_is_written(
    work: Path, fat: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    room = os.statvfs(fat)
    (fat / "holiday.mp4").write_bytes(bytes(room.f_bavail * room.f_frsize - (6 << 20)))
    assert main(words_for(work, fat)) == REFUSED
    assert numbered(CardFull, capfd.readouterr().err)
    assert not (fat / "kgo").exists() and "systemd.run" not in (fat / "cmdline.txt").read_text()


def test_a_card_that_fills_up_boots_as_before(work: Path, fat: Path) -> None:
    """Somebody else writes to it: the room was there when it was looked at."""
    before, found = (fat / "cmdline.txt").read_bytes(), find_card(fat)
    wanted = wanted_in(with_boot(work, fat))

    def fill(step: str) -> None:
        if step == wanted.package.file.name:
            room = os.statvfs(fat)
            (fat / "holiday.mp4").write_bytes(bytes(room.f_bavail * room.f_frsize - (2 << 20)))

    with pytest.raises(CardFull):
        prepare(found, wanted, fill, lambda _bytes: None)
    assert (fat / "cmdline.txt").read_bytes() == before
    (fat / "holiday.mp4").unlink()
    prepare(found, wanted, lambda _step: None, lambda _bytes: None)
    assert "systemd.run" in (fat / "cmdline.txt").read_text()


def with_boot(work: Path, card: Path) -> Path:
    if not (work / "boot").exists():
        (work / "boot").symlink_to(card)
    return work


@pytest.mark.parametrize("at", ["ca.crt", "verify"])
def test_a_card_that_is_pulled_out_is_told_and_nothing_lands_beside_it(work: Path, card_package: Path, at: str) -> None:
    with mounted_stick("fat", work, CARD_MB) as place:
        boot_partition(place)

        def pull(step: str) -> None:
            if step == at:
                subprocess.run((*UNMOUNT, str(place)), check=True, timeout=30)

        with pytest.raises(CardGone):
            prepared(work, place, pull)
        assert list(place.iterdir()) == []  # the laptop's own disk got none of it
        subprocess.run(("fusefat", str(work / "fat.img"), str(place), "-o", "rw+"), check=True, timeout=30)
        assert "systemd.run" not in (place / "cmdline.txt").read_text()


def test_a_locked_card(work: Path, card_package: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Mounted for reading alone, as a card is whose lock is shut."""
    with mounted_stick("fat", work, CARD_MB) as place:
        boot_partition(place)
        subprocess.run(
            ("umount" if os.geteuid() == 0 else "fusermount", *(() if os.geteuid() == 0 else ("-u",)), str(place)),
            check=True,
        )
        subprocess.run(("fusefat", str(work / "fat.img"), str(place), "-o", "ro"), check=True, timeout=30)
        assert main(words_for(work, place)) == REFUSED
        assert numbered(CardReadOnly, capfd.readouterr().err)


def test_what_is_read_back_otherwise_is_told(work: Path, card: Path) -> None:
    """A fake card that loses what it took: the file changes behind the bench."""
    found, wanted = find_card(card), wanted_in(with_boot(work, card))

    def spoil(step: str) -> None:
        if step == "verify":
            (card / "kgo" / "ca.crt").write_bytes(b"x")

    with pytest.raises(CardVerifyFailed, match=r"ca\.crt"):
        prepare(found, wanted, spoil, lambda _bytes: None)
    assert "systemd.run" not in (card / "cmdline.txt").read_text()


def test_any_other_error_of_the_disk_is_told(tmp_path: Path) -> None:
    (tmp_path / "kgo").mkdir()
    assert isinstance(refusal_of(OSError(5, "Input/output error"), tmp_path / "kgo" / "x"), CardFailed)


# --- after the first boot


def report_on(card: Path, **changes: object) -> None:
    """As the first boot writes it; `test_first_boot` holds the two together."""
    said: dict[str, object] = {
        "format": 1,
        "device": "bus-8",
        "result": "done",
        "refusal": 0,
        "detail": "",
        "done": ["files"],
        "card_sha256": hashlib.sha256((card / "kgo" / "card.json").read_bytes()).hexdigest(),
        "version": "0.2.0",
        "machine": {"serial": "100000003d1f2a4b", "model": "Raspberry Pi 4", "macs": {"eth0": "dc:a6:32:00:00:01"}},
        "key_fingerprint": "ba153ccb017440d6",
    }
    (card / "kgo" / "first-boot.json").write_text(json.dumps(said | changes))


def test_check_puts_what_the_machine_said_into_the_record(
    work: Path, card: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    check = ["card", str(card), "--check", "--language", "en"]
    assert main(check) == REFUSED and numbered(CardNotPrepared, capfd.readouterr().err)
    prepared(work, card)
    assert main(check) == LATER and numbered(CardNotStarted, capfd.readouterr().err)
    report_on(card)
    assert main(check) == 0
    record = Record.open(work / "bench.db")
    job = max(jobs(record), key=lambda one: one.number)
    record.close()
    verified = {pair.key: pair.verified for pair in job.pairs}
    assert (job.what, job.outcome, job.differences) == ("provision", "done", [])
    assert (verified["serial"], verified["mac"]) == ("100000003d1f2a4b", "dc:a6:32:00:00:01")
    assert verified["key_fingerprint"] == "ba153ccb017440d6"


def test_check_tells_what_went_wrong_at_the_first_boot(
    work: Path, card: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    prepared(work, card)
    for kind in FIRST_BOOT_REFUSALS:
        report_on(card, result="failed", refusal=kind.number, detail="what it was")
        assert main(["card", str(card), "--check", "--language", "en"]) == (LATER if kind.waiting_helps else REFUSED)
        said = capfd.readouterr()
        assert numbered(kind, said.err) and "what it was" in said.err
        assert ("kgo-city enrol" in said.out) == (kind is FirstBootWaits)
    record = Record.open(work / "bench.db")
    told = [(job.outcome, job.refusal_number) for job in sorted(jobs(record), key=lambda one: one.number)]
    record.close()
    assert told == [("failed", kind.number) for kind in FIRST_BOOT_REFUSALS]


def test_a_report_that_is_not_of_this_card_is_not_believed(
    work: Path, card: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    prepared(work, card)
    wrong: tuple[dict[str, object], ...] = (
        {"device": "bus-9"}, {"card_sha256": "0" * 64}, {"format": 2}, {"refusal": 1}, {"result": "odd"},
    )  # fmt: skip
    for changes in wrong:
        report_on(card, **changes)
        assert main(["card", str(card), "--check", "--language", "en"]) == REFUSED
        assert numbered(CardReportWrong, capfd.readouterr().err)
    for damaged in (b"{", b"[" * 60_000):
        (card / "kgo" / "first-boot.json").write_bytes(damaged)
        assert main(["card", str(card), "--check", "--language", "en"]) == REFUSED
        assert numbered(CardReportWrong, capfd.readouterr().err)


def test_nothing_in_a_report_steers_the_benchs_screen(
    work: Path, card: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    prepared(work, card)
    report_on(
        card, version="\x1b]0;owned\x07\x1b[2J0.2.0", machine={"serial": "1\n  result: done", "macs": {"a\x1b": "b"}}
    )
    assert main(["card", str(card), "--check", "--language", "en"]) == 0
    said = capfd.readouterr().out
    assert "\x1b" not in said and "\x07" not in said and "0.2.0" in said
    assert len([line for line in said.splitlines() if line.startswith("  result:")]) == 1, said


def test_a_terminals_card_is_not_prepared_again(work: Path, card: Path, capfd: pytest.CaptureFixture[str]) -> None:
    original = (card / "cmdline.txt").read_bytes()
    prepared(work, card)
    report_on(card)
    (card / "cmdline.txt").write_bytes(original)  # the first boot's last act
    before = {one: one.read_bytes() for one in (card / "kgo").glob("*") if one.is_file()}
    assert main(words_for(work, card, "--replace")) == REFUSED
    assert numbered(CardInService, capfd.readouterr().err)
    assert {one: one.read_bytes() for one in (card / "kgo").glob("*") if one.is_file()} == before


def test_debian_packages_come_along(work: Path, card: Path) -> None:
    (work / "debs").mkdir()
    (work / "debs" / "pcscd_1.9.9-2_arm64.deb").write_bytes(b"a package")
    assert main(words_for(work, card, "--debs", "debs")) == 0
    assert (card / "kgo" / "debs" / "pcscd_1.9.9-2_arm64.deb").read_bytes() == b"a package"
    prepared(work, card)
    assert not (card / "kgo" / "debs" / "pcscd_1.9.9-2_arm64.deb").exists()


@pytest.mark.parametrize("kind", ["folder", "dangling link", "pipe", "not UTF-8"])
def test_what_is_called_a_debian_package_and_is_none_begins_no_job(
    work: Path, card: Path, kind: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """A pipe that nobody writes to would be waited for."""
    wrong = work / "debs" / ("pcscd\udcff.deb" if kind == "not UTF-8" else "pcscd.deb")
    wrong.parent.mkdir()
    make: dict[str, Callable[[], object]] = {
        "folder": wrong.mkdir,
        "dangling link": lambda: wrong.symlink_to("nowhere"),
        "pipe": lambda: os.mkfifo(wrong),
        "not UTF-8": wrong.touch,
    }
    make[kind]()
    assert main(words_for(work, card, "--debs", "debs")) == REFUSED
    said = capfd.readouterr().err
    assert numbered(CardInputWrong, said) and "debs/pcscd" in said
    assert not (card / "kgo").exists() and not (work / "bench.db").exists()


def test_a_wifi_name_that_cannot_be_is_told_before_its_password_is_asked_for(
    work: Path, card: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(words_for(work, card, "--wifi", "ร้าน" * 3)) == REFUSED
    assert numbered(CardNameWrong, capfd.readouterr().err)
    assert not (card / "kgo").exists() and not (work / "bench.db").exists()

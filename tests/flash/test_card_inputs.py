"""What is handed over for a card, and what is no card: each refused by its own number, before anything is written."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from firmware.flash.card_inputs import (
    check_ca,
    check_country,
    check_enrolment_token,
    check_package,
    check_ssh_key,
    check_update_root,
    host_name,
    wifi_file,
)
from firmware.flash.card_layout import Card, find_card
from firmware.flash.card_settings import check_by_program, in_template, settings_of, usual_settings
from offline_ledger.errors import (
    CardBootFileWrong,
    CardInputWrong,
    CardNameWrong,
    CardNotBoot,
    CardPackageWrong,
    CardSettingsUnchecked,
    CardSystemUnknown,
    SettingsInvalid,
)
from offline_ledger.protocol.token import token_of
from offline_ledger.terminal.updates.names import own_platform
from simulators.bench_desk.bootfs import CMDLINES, boot_partition
from tests.flash.cards import CITY_URL, ca_file, update_root

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("system", CMDLINES)
def test_a_boot_partition_is_known_with_its_system(tmp_path: Path, system: str) -> None:
    card = find_card(boot_partition(tmp_path, system))
    assert (card.system, card.issued[:4]) == (system, "2025")
    assert card.free_bytes > 0
    (tmp_path / "issue.txt").unlink()
    assert find_card(tmp_path).system == system  # by what each system's own first boot is


def test_names_in_another_case_are_the_same_on_a_card(tmp_path: Path) -> None:
    boot_partition(tmp_path)
    (tmp_path / "kernel8.img").rename(tmp_path / "KERNEL8.IMG")
    assert find_card(tmp_path).system == "bookworm"


@pytest.mark.parametrize("name", ["cmdline.txt", "config.txt", "both kernels", "both loaders", "all of it"])
def test_a_folder_that_lacks_one_of_them_is_no_boot_partition(tmp_path: Path, name: str) -> None:
    boot_partition(tmp_path)
    gone = {
        "both kernels": ("kernel8.img", "kernel_2712.img"),
        "both loaders": ("bootcode.bin", "start4.elf", "kernel_2712.img"),
        "all of it": [one.name for one in tmp_path.iterdir() if one.is_file()],
    }.get(name, (name,))
    for one in gone:
        (tmp_path / one).unlink()
    with pytest.raises(CardNotBoot):
        find_card(tmp_path)


def test_no_folder_is_no_boot_partition(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "nothing", tmp_path / "file", Path("/proc")):
        with pytest.raises(CardNotBoot):
            find_card(place)


def test_a_link_in_our_folders_place_is_not_followed(tmp_path: Path) -> None:
    """What lies behind it would be tidied away as left of an older preparation."""
    (tmp_path / "home").mkdir()
    (boot_partition(tmp_path / "card") / "kgo").symlink_to(tmp_path / "home")
    with pytest.raises(CardNotBoot, match="link"):
        find_card(tmp_path / "card")


@pytest.mark.parametrize(
    ("issue", "cmdline"),
    [("Raspberry Pi reference 2023-05-03\n", CMDLINES["bookworm"]), ("", "console=tty1 root=/dev/mmcblk0p2 quiet\n")],
)
def test_a_system_that_a_terminal_is_not_made_for(tmp_path: Path, issue: str, cmdline: str) -> None:
    boot_partition(tmp_path)
    (tmp_path / "issue.txt").write_text(issue)
    (tmp_path / "cmdline.txt").write_text(cmdline)
    with pytest.raises(CardSystemUnknown):
        find_card(tmp_path)
    (tmp_path / "cmdline.txt").write_text("console=tty1\n")
    with pytest.raises(CardBootFileWrong):
        find_card(tmp_path)


# --- the package


def card_of(folder: Path, system: str = "bookworm") -> Card:
    return find_card(boot_partition(folder / "card", system))


def test_the_package_must_be_for_the_card(tmp_path: Path, card_package: Path) -> None:
    card = card_of(tmp_path)
    good = check_package(card_package, card, "bus", own_platform())
    assert good.sha256 == hashlib.sha256(card_package.read_bytes()).hexdigest()
    other = next(one for one in ("linux_aarch64", "linux_x86_64") if one != own_platform())
    with pytest.raises(CardPackageWrong, match="platform"):
        check_package(card_package, card, "bus", other)
    with pytest.raises(CardPackageWrong, match="python"):
        check_package(card_package, card_of(tmp_path / "second", "trixie"), "bus", own_platform())
    renamed = tmp_path / "kgo-9.9.9-linux_x86_64.zip"
    renamed.hardlink_to(card_package)
    with pytest.raises(CardPackageWrong, match="its name"):
        check_package(renamed, card, "bus", own_platform())


def test_a_package_that_was_tampered_with_or_cut_short(tmp_path: Path, card_package: Path) -> None:
    card, place = card_of(tmp_path), tmp_path / card_package.name
    data = bytearray(card_package.read_bytes())
    data[len(data) // 2] ^= 1
    for wrong in (bytes(data), card_package.read_bytes()[:-1000], b"", b"PK"):
        place.write_bytes(wrong)
        with pytest.raises(CardPackageWrong):
            check_package(place, card, "bus", own_platform())


def test_a_package_that_is_no_file_is_told_by_its_name(tmp_path: Path) -> None:
    """Nothing is said of an error of the disk."""
    card, folder, pipe = card_of(tmp_path), tmp_path / "folder", tmp_path / "pipe"
    folder.mkdir()
    os.mkfifo(pipe)
    for wrong in (tmp_path / "nope.zip", folder, pipe):
        with pytest.raises(CardInputWrong, match=f"^.*{wrong.name}: "):
            check_package(wrong, card, "bus")


def test_a_package_without_the_program(tmp_path: Path) -> None:
    wheel = b"wheel"
    manifest = {
        "format": 1, "name": "kgo-terminal", "version": "0.2.0", "platform": "linux_aarch64", "python": "3.11",
        "programs": ["kgo-pos"], "wheels": {"x-1-py3-none-any.whl": hashlib.sha256(wheel).hexdigest()}, "system": {},
    }  # fmt: skip
    place = tmp_path / "kgo-0.2.0-linux_aarch64.zip"
    with zipfile.ZipFile(place, "w") as package:
        package.writestr("manifest.json", json.dumps(manifest))
        package.writestr("wheels/x-1-py3-none-any.whl", wheel)
    assert check_package(place, card_of(tmp_path), "pos").version == "0.2.0"
    with pytest.raises(CardPackageWrong, match="no kgo-bus"):
        check_package(place, card_of(tmp_path / "second"), "bus")
    with pytest.raises(CardPackageWrong, match="0 wheels of ours"):
        check_by_program(place, "pos", b"", "pos.toml", "en")


# --- settings


def test_a_template_keeps_its_notes_and_gets_the_devices_names() -> None:
    template = '# of the fleet\n[device]\nid = "somebody"  # replaced\nlanguage = "th"\n\n[city]\nurl = "https://a:1"\n'
    made = settings_of(template, "t", "TH-40", "bus-8").decode()
    assert "# of the fleet" in made and 'id = "bus-8"' in made and 'city = "TH-40"' in made
    assert "somebody" not in made and 'ca_file = "ca.crt"' in made and 'update_root = "update.root"' in made
    assert settings_of(made, "t", "TH-41", "bus-8").decode() == made  # its own city stays


def test_a_template_in_which_a_name_cannot_be_set() -> None:
    with pytest.raises(CardInputWrong, match=r"device\.id"):
        settings_of('device = {id = "x", city = "TH-40"}\n', "t", "TH-40", "bus-8")


@pytest.mark.parametrize("role", ["bus", "pos"])
def test_the_program_in_the_package_judges_the_settings(card_package: Path, role: str) -> None:
    good = settings_of(usual_settings(role, CITY_URL), "t", "TH-40", f"{role}-8")
    check_by_program(card_package, role, good, f"{role}.toml", "en")
    wrong = good.replace(b"https://", b"http://", 1) + b'[gps]\nbaud = "fast"\n[clock]\nrct = "x"\n'
    with pytest.raises(SettingsInvalid) as told:
        check_by_program(card_package, role, wrong, f"{role}.toml", "en")
    assert len(told.value.problems) == 3 and all(one.startswith(f"{role}.toml: line ") for one in told.value.problems)


def test_mistakes_have_the_lines_of_the_file_that_was_given() -> None:
    """Names were put in above and below them, and in the place of others."""
    template = '[city]\nurl = "x"\n\n[device]\nid = "old"\nlanguage = "xx"\n[log]\n'
    settings = settings_of(template, "t", "TH-40", "bus-8").decode()
    lines = settings.splitlines()
    at = {one: lines.index(one) + 1 for one in ('url = "x"', 'id = "bus-8"', 'language = "xx"', "[log]")}
    told = in_template([f"t: บรรทัด {number}: ซ้ำในบรรทัด {number}" for number in at.values()], template, settings)
    assert told == [f"t: บรรทัด {number}: ซ้ำในบรรทัด {number}" for number in (2, 5, 6, 7)]
    assert list(at.values()) != [2, 5, 6, 7]
    added = lines.index('update_root = "update.root"') + 1
    assert in_template([f"t: line {added}: x"], template, settings) == ["t: line 7: x"]
    assert in_template(["t: line 999: x"], template, settings) == ["t: line 999: x"]
    assert in_template(["t: line 3: x"], "", "a\nb\nc\n") == ["t: line 1: x"]


def of_program(folder: Path, code: str) -> Path:
    """A package whose own wheel holds this program."""
    place = folder / "broken.zip"
    with zipfile.ZipFile(folder / "wheel", "w") as wheel:
        wheel.writestr("bus_validator/__main__.py", code)
        wheel.writestr("bus_validator/__init__.py", "")
    with zipfile.ZipFile(place, "w") as package:
        package.write(folder / "wheel", "wheels/kgo_acceptance-0.2.0-py3-none-any.whl")
    return place


def test_a_program_that_cannot_be_asked(tmp_path: Path) -> None:
    """A package whose own wheel holds something else."""
    with pytest.raises(CardSettingsUnchecked, match="no such library"):
        check_by_program(of_program(tmp_path, "raise SystemExit('no such library')"), "bus", b"", "bus.toml", "en")


def test_what_a_killed_run_left_goes_with_the_next_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed by the very program that it asks; another run that is at work keeps its folder."""
    work = tmp_path / "tmp"
    work.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(work))
    kills = of_program(tmp_path, "import os, signal\nos.kill(os.getppid(), signal.SIGKILL)")
    asks = "import sys; from pathlib import Path; from firmware.flash.card_settings import check_by_program"
    asks += "; check_by_program(Path(sys.argv[1]), 'bus', b'', 'bus.toml', 'en')"
    around = {**os.environ, "TMPDIR": str(work)}
    killed = subprocess.run((sys.executable, "-c", asks, str(kills)), cwd=ROOT, env=around, check=False)
    assert killed.returncode == -signal.SIGKILL and len(list(work.iterdir())) == 1
    other = work / f"kgo-card-{os.getpid()}-other"
    other.mkdir()
    check_by_program(of_program(tmp_path, ""), "bus", b"", "bus.toml", "en")
    assert list(work.iterdir()) == [other]


# --- files and names


def test_certificates_roots_and_keys_are_what_they_are_called(tmp_path: Path) -> None:
    ca, root, ssh = ca_file(tmp_path / "ca.crt"), update_root(tmp_path / "root.json"), tmp_path / "id.pub"
    ssh.write_text("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0dNqJ0yq7m5v9mR0xS5o1yZ8k6hQ2n3b4c5d6e7f8g somchai@bench\r\n")
    assert check_ca(ca) == ca.read_bytes() and check_update_root(root) == root.read_bytes()
    assert check_ssh_key(ssh).endswith(b"somchai@bench\n")
    private = tmp_path / "private"
    private.write_text("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n")
    both = tmp_path / "both"
    both.write_bytes(ca.read_bytes() + private.read_bytes())
    missing, empty, deep = tmp_path / "missing", tmp_path / "empty", tmp_path / "deep"
    empty.touch()
    deep.write_text("[" * 60_000)
    for check, wrongs in (
        (check_ca, (missing, empty, root, private, both)),
        (check_update_root, (missing, empty, ca, private, deep)),
        (check_ssh_key, (missing, empty, ca, private)),
    ):
        for wrong in wrongs:
            with pytest.raises(CardInputWrong):
                check(wrong)


@pytest.mark.parametrize(
    ("device", "given", "expected"),
    [("bus-8", None, "bus-8"), ("SHOP_3.a", None, "shop-3-a"), ("bus-8", "line8", "line8"), ("x" * 80, None, "x" * 63)],
)
def test_a_machines_name_is_one_that_a_network_takes(device: str, given: str | None, expected: str) -> None:
    assert host_name(device, given) == expected


def test_names_that_cannot_be() -> None:
    refused: list[tuple[object, tuple[object, ...]]] = [
        *((host_name, ("bus-8", wrong)) for wrong in ("", "-a", "a-", "a_b", "รถ", "a" * 64, "A", "\udcff")),
        (host_name, ("___", None)),
        *((check_country, (wrong,)) for wrong in ("", "th", "THA", "ไทย", "\udcff")),
        *((check_enrolment_token, (wrong,)) for wrong in ("", "ABC", token_of(bytes(15))[:-1] + "7")),
        *((wifi_file, (wrong, "12345678", "bus-8")) for wrong in ("", "x" * 33, "ร้าน" * 3)),
        *((wifi_file, ("shop", wrong, "bus-8")) for wrong in ("1234567", "x" * 64, "รหัสผ่านไทย", "1234567\n8")),
    ]
    for check, words in refused:
        assert callable(check)
        with pytest.raises(CardNameWrong):
            check(*words)
    assert check_enrolment_token(f" {token_of(bytes(15))}\n") == token_of(bytes(15))


def test_wifi_is_written_without_its_password() -> None:
    """The key is that of the standard's own example: IEEE 802.11i, annex H.4."""
    made = wifi_file("IEEE", "password", "bus-8").decode()
    assert "psk=f42c6fc52df0ebef9ebb4b90b38a5f902e83fe1b135a70e23aed762e9710a12e" in made and "password" not in made
    assert "ssid=73;69;69;69;" in made
    assert made == wifi_file("IEEE", "password", "bus-8").decode()  # a card that has it is not written again
    assert "wifi-security" not in wifi_file("open", "", "bus-8").decode()
    assert bytes(map(int, wifi_file("ส้มตำ", "", "x").decode().partition("ssid=")[2].split(";\n")[0].split(";"))) == (
        "ส้มตำ".encode()
    )

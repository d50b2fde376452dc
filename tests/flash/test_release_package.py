"""Packages: wheels downloaded by hash, packed again from what is installed, or built elsewhere. DESIGN §3."""

import base64
import csv
import hashlib
import io
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from firmware.flash.release.making import LOCKS, PANEL_LOCK, Making, make, own_python, usual_locks
from firmware.flash.release.wheels import (
    Pin,
    download,
    is_installed,
    own_version,
    read_locks,
    repack,
    wheel_name_of,
    write_member,
)
from offline_ledger.errors import ReleasePackageUnfit, ReleaseWheelMissing
from offline_ledger.terminal.updates.names import own_platform

ROOT = Path(__file__).parents[2]
MACHINE = own_platform().removeprefix("linux_")
PINS = read_locks(ROOT / name for name in LOCKS)
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check")


def records(wheel: zipfile.ZipFile) -> dict[str, str]:
    (name,) = (name for name in wheel.namelist() if name.endswith(".dist-info/RECORD"))
    return {row[0]: row[1] for row in csv.reader(io.StringIO(wheel.read(name).decode())) if row[1]}


@pytest.mark.parametrize("name", ["cbor2", "python-escpos", "pyserial"])
def test_what_is_installed_becomes_a_wheel_with_the_same_files(tmp_path: Path, name: str) -> None:
    wheel = repack(PINS[name], tmp_path)
    assert wheel_name_of(wheel, MACHINE, own_python()) == (name, PINS[name].version)
    with zipfile.ZipFile(wheel) as packed:
        found = records(packed)
        names = [one for one in packed.namelist() if not one.endswith("/RECORD")]
        assert sorted(found) == sorted(names) and not any("__pycache__" in one for one in names)
        for one, said in found.items():
            digest = base64.urlsafe_b64encode(hashlib.sha256(packed.read(one)).digest()).rstrip(b"=").decode()
            assert said == f"sha256={digest}", one
        assert {one.date_time for one in packed.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    first = wheel.read_bytes()
    assert repack(PINS[name], tmp_path).read_bytes() == first


def test_pip_installs_what_was_packed_again(tmp_path: Path) -> None:
    wheel = repack(PINS["pyserial"], tmp_path)
    words = ("install", "--quiet", "--no-index", "--no-deps", "--no-compile", "--target", str(tmp_path / "there"))
    done = subprocess.run([*PIP, *words, str(wheel)], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    there, here = tmp_path / "there" / "serial", Path(__import__("serial").__file__).parent
    for file in here.rglob("*.py"):
        assert (there / file.relative_to(here)).read_bytes() == file.read_bytes()
    assert (tmp_path / "there" / "bin" / "pyserial-miniterm").exists(), "a program of its own is made anew"


@pytest.mark.parametrize("pin", [Pin("no-such-thing", "1.0", ()), Pin("cbor2", "0.0.1", ())])
def test_what_is_not_installed_here_in_that_version_is_told(tmp_path: Path, pin: Pin) -> None:
    with pytest.raises(ReleaseWheelMissing, match=pin.name):
        repack(pin, tmp_path)


# --- downloaded; pip's own configuration says where from: here a folder, by its environment


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip takes wheels from, with one in it that this test made."""
    made = tmp_path / "shelf"
    made.mkdir()
    about = "Metadata-Version: 2.1\nName: kgo-shelf\nVersion: 1.0\n"
    with zipfile.ZipFile(made / f"kgo_shelf-1.0-cp311-cp311-manylinux_2_28_{MACHINE}.whl", "w") as wheel:
        write_member(wheel, "kgo_shelf.py", b"", zipfile.ZIP_DEFLATED)
        write_member(wheel, "kgo_shelf-1.0.dist-info/METADATA", about.encode(), zipfile.ZIP_DEFLATED)
        write_member(wheel, "kgo_shelf-1.0.dist-info/WHEEL", b"Wheel-Version: 1.0\n", zipfile.ZIP_DEFLATED)
        write_member(wheel, "kgo_shelf-1.0.dist-info/RECORD", b"", zipfile.ZIP_DEFLATED)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(made))
    return made


def lock(folder: Path, sha256: str) -> list[Pin]:
    hashed = f" \\\n    --hash=sha256:{sha256}" if sha256 else ""
    (folder / "lock.txt").write_text(f"kgo-shelf==1.0 ; sys_platform == 'linux'{hashed}\n")
    return list(read_locks([folder / "lock.txt"]).values())


def test_pip_downloads_by_hash_for_that_machine_and_no_other(shelf: Path, tmp_path: Path) -> None:
    (wheel,) = shelf.iterdir()
    good = lock(tmp_path, hashlib.sha256(wheel.read_bytes()).hexdigest())
    (got,) = download(good, MACHINE, "3.11", tmp_path)
    assert got.read_bytes() == wheel.read_bytes()
    with pytest.raises(ReleaseWheelMissing, match=r"(?i)hash"):
        download(lock(tmp_path, "0" * 64), MACHINE, "3.11", tmp_path)
    with pytest.raises(ReleaseWheelMissing, match=r"(?i)hash"):
        download(lock(tmp_path, ""), MACHINE, "3.11", tmp_path)
    with pytest.raises(ReleaseWheelMissing, match="kgo-shelf"):
        download(good, "riscv64", "3.11", tmp_path)


# --- locks and names


def test_locks_that_pin_otherwise_are_told(tmp_path: Path) -> None:
    for name, version in (("a", "1"), ("b", "2")):
        (tmp_path / name).write_text(f"thing=={version} \\\n    --hash=sha256:{'0' * 64}\n")
    with pytest.raises(ReleaseWheelMissing, match="thing"):
        read_locks([tmp_path / "a", tmp_path / "b"])
    with pytest.raises(ReleaseWheelMissing):
        read_locks([tmp_path / "none"])


def test_a_package_for_a_raspberry_pi_has_what_a_panel_needs() -> None:
    """Else the first update would take a bus's screen away (6085)."""
    panel = ROOT / PANEL_LOCK
    assert {"lgpio", "rpi-lgpio", "spidev"} <= read_locks([panel]).keys()
    others = [ROOT / name for name in LOCKS]
    assert usual_locks(ROOT, "linux_aarch64", is_from_here=False) == [*others, panel]
    assert usual_locks(ROOT, "linux_x86_64", is_from_here=False) == others
    is_here = all(is_installed(name) for name in read_locks([panel]))
    assert usual_locks(ROOT, "linux_aarch64", is_from_here=True) == ([*others, panel] if is_here else others)
    assert is_installed("cbor2") and not is_installed("nobody-has-this")
    read_locks([*others, panel])  # the three do not pin one thing in two ways


@pytest.mark.parametrize("tags", ["cp311-cp311-linux", "cp39-abi3-manylinux_2_17", "py2.py3-none-linux"])
def test_a_wheel_for_that_machine_and_its_python_is_taken(tags: str) -> None:
    assert wheel_name_of(Path(f"spidev-3.8-{tags}_{MACHINE}.whl"), MACHINE, "3.11") == ("spidev", "3.8")


@pytest.mark.parametrize(
    "name",
    [
        "pyscard.whl",
        "pyscard-2.3.1.tar.gz",
        "pyscard-2.3.1-cp311-cp311-linux_riscv64.whl",
        f"pyscard-2.3.1-cp312-cp312-linux_{MACHINE}.whl",
        f"pyscard-2.3.1-cp31-cp31-linux_{MACHINE}.whl",
    ],
)
def test_what_is_no_wheel_for_that_machine_is_not_taken(name: str) -> None:
    with pytest.raises(ReleaseWheelMissing):
        wheel_name_of(Path(name), MACHINE, "3.11")


def making(**more: object) -> Making:
    asked = Making(ROOT, "0.3.0", own_platform(), own_python(), [ROOT / name for name in LOCKS], [], True)
    return asked._replace(**more)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    "asked",
    [
        making(platform="linux_riscv64"),
        making(python="3.9"),
        making(wheels=[Path(f"pyscard-0.0.1-cp311-cp311-linux_{MACHINE}.whl")]),
        making(wheels=[Path("nobody-1.0-py3-none-any.whl")]),
    ],
)
def test_what_cannot_be_packed_here_is_told_before_anything_is_built(tmp_path: Path, asked: Making) -> None:
    with pytest.raises(ReleaseWheelMissing):
        make(asked, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("version", ["0.3", "0.3.0rc1", "00.3.0", "1.2.3.4", "", "0.3.0\n", "٠.٣.٠"])
def test_a_version_is_three_numbers(tmp_path: Path, version: str) -> None:
    with pytest.raises(ReleasePackageUnfit):
        make(making(version=version), tmp_path)


def test_without_sources_no_version_is_known(tmp_path: Path) -> None:
    assert own_version(ROOT).count(".") == 2
    with pytest.raises(ReleaseWheelMissing):
        own_version(tmp_path)

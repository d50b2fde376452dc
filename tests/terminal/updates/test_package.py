"""What is no package is refused before anything of it is used: names, sizes, bombs, hashes, kept files' versions."""

import hashlib
import io
import json
import zipfile
from pathlib import Path
from random import Random

import pytest

from offline_ledger.errors import (
    Refusal,
    ReleasePackageTooLarge,
    ReleasePackageUnfit,
    StorageFailed,
    UpdateForOther,
    UpdateStoresTooNew,
)
from offline_ledger.terminal.journal_schema import SCHEMA_VERSION as JOURNAL
from offline_ledger.terminal.updates import package as packages
from offline_ledger.terminal.updates.package import (
    STORES,
    Store,
    check_fits,
    check_sizes,
    check_stores,
    decode_manifest,
    read_manifest,
)
from pos_app.store.shop_file import SCHEMA_VERSION as SHOP
from tests.terminal.updates.package_desk import WHEEL, package, wheel, zipped
from tests.terminal.updates.slot_desk import manifest

ONE = {WHEEL: "00" * 32}


def test_a_sound_one_says_what_it_is(tmp_path: Path) -> None:
    found = read_manifest(package(tmp_path / "p.zip"))
    assert (found.version, found.programs, set(found.wheels)) == ("0.2.0", ("kgo-pos", "kgo-bus"), {WHEEL})
    check_fits(found, "kgo-bus")
    check_fits(found, "kgo-pos")


def test_what_is_kept_has_the_versions_of_this_program() -> None:
    assert (STORES["journal"].writes, STORES["shop"].writes) == (JOURNAL, SHOP)


@pytest.mark.parametrize(
    "name",
    ["wheels/../../etc/x.whl", "/etc/passwd", "wheels/a/b.whl", "wheels/.hidden.whl", "x", "system/", "wheels/x"],
)
def test_names_that_lead_elsewhere(tmp_path: Path, name: str) -> None:
    with pytest.raises(ReleasePackageUnfit):
        read_manifest(zipped(tmp_path / "p.zip", manifest("0.2.0", wheels=ONE), {name: b"x"}))


def test_compressed_encrypted_twice_missing_and_more(tmp_path: Path) -> None:
    path, data = tmp_path / "p.zip", wheel()
    said = manifest("0.2.0", wheels={WHEEL: hashlib.sha256(data).hexdigest()})
    for broken in (
        zipped(path, said, {f"wheels/{WHEEL}": data}, zipfile.ZIP_DEFLATED),
        zipped(tmp_path / "q.zip", said, {}),
        zipped(tmp_path / "r.zip", said, {f"wheels/{WHEEL}": data, "system/more": b""}),
        zipped(tmp_path / "s.zip", said, {f"wheels/{WHEEL}": data[:-1] + b"x"}),
    ):
        with pytest.raises(ReleasePackageUnfit):
            read_manifest(broken)
    twice = tmp_path / "twice.zip"
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(twice, "w") as made:
        made.writestr("manifest.json", json.dumps(said))
        made.writestr(f"wheels/{WHEEL}", data)
        made.writestr(f"wheels/{WHEEL}", data)
    with pytest.raises(ReleasePackageUnfit, match="twice"):
        read_manifest(twice)
    last = tmp_path / "last.zip"
    with zipfile.ZipFile(last, "w") as made:
        made.writestr(f"wheels/{WHEEL}", data)
        made.writestr("manifest.json", json.dumps(said))
    with pytest.raises(ReleasePackageUnfit, match="first is not"):
        read_manifest(last)


@pytest.mark.parametrize(
    "more",
    [
        {"format": 2},
        {"name": "other"},
        {"version": "0.2"},
        {"version": 2},
        {"wheels": []},
        {"wheels": {WHEEL: "zz"}},
        {"wheels": {WHEEL: 1}},
        {"wheels": {"../x.whl": "00" * 32}},
        {"programs": ["sh"]},
        {"programs": "kgo-bus"},
        {"python": None},
        {"stores": {"journal": {"reads": [1], "writes": 1}}},
        {"stores": {"journal": {"reads": [1, 1], "writes": True}}},
        {"platform": "x" * 300},
    ],
)
def test_manifests_that_are_none(more: dict[str, object]) -> None:
    with pytest.raises(ReleasePackageUnfit):
        decode_manifest(json.dumps(manifest("0.2.0") | more).encode())
    with pytest.raises(ReleasePackageUnfit):
        decode_manifest(b"[" * 50_000)


def test_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = package(tmp_path / "p.zip")
    monkeypatch.setattr(packages, "PACKAGE_BYTES_MAX", path.stat().st_size - 1)
    with pytest.raises(ReleasePackageTooLarge):
        read_manifest(path)
    monkeypatch.undo()
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("zeros", bytes(1 << 20))
    many = package(tmp_path / "bomb.zip", {WHEEL: bomb.getvalue()})
    monkeypatch.setattr(packages, "UNPACKED_BYTES_MAX", (1 << 20) - 1)
    with zipfile.ZipFile(many) as opened, pytest.raises(ReleasePackageTooLarge, match="unpacked"):
        check_sizes(opened, read_manifest(many))


def test_any_damage_is_refused_by_number(tmp_path: Path, rng: Random) -> None:
    whole = package(tmp_path / "p.zip").read_bytes()
    broken = tmp_path / "broken.zip"
    accepted = 0
    for _ in range(300):
        data = bytearray(whole)
        for _ in range(rng.randrange(1, 4)):
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        if rng.random() < 0.2:
            data = data[: rng.randrange(len(data))]
        broken.write_bytes(data)
        try:
            found = read_manifest(broken)
        except Refusal:
            continue
        accepted += found.hashes == read_manifest(tmp_path / "p.zip").hashes  # a date in the zip's own list, say
    assert accepted < 100
    with pytest.raises(StorageFailed):
        read_manifest(tmp_path / "none.zip")


@pytest.mark.parametrize(
    "more", [{"platform": "linux_riscv64"}, {"python": "3.99"}, {"programs": ["kgo-pos"]}, {"platform": "windows"}]
)
def test_for_another_machine(tmp_path: Path, more: dict[str, object]) -> None:
    with pytest.raises(UpdateForOther):
        check_fits(read_manifest(package(tmp_path / "p.zip", None, None, "0.2.0", more)), "kgo-bus")


@pytest.mark.parametrize(
    ("new", "fits"),
    [
        (Store(1, 1, 1), True),
        (Store(1, 2, 1), True),  # the step between: reads the next version, writes this one
        (Store(1, 2, 2), False),  # what it leaves behind the present program cannot read
        (Store(2, 2, 2), False),
        (Store(2, 3, 1), False),  # it cannot read what is there
    ],
)
def test_a_way_back_is_kept(new: Store, fits: bool) -> None:
    said = decode_manifest(json.dumps(manifest("0.2.0", stores={"journal": new})).encode())
    if fits:
        check_stores(said, STORES)
    else:
        with pytest.raises(UpdateStoresTooNew, match="journal"):
            check_stores(said, STORES)
    later = {"journal": Store(1, 2, 1), "shop": Store(1, 1, 1)}
    if new == Store(1, 2, 2):
        check_stores(said, later)

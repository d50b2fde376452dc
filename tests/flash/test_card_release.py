"""A card's package out of signed releases, under the root that goes onto the card. DESIGN §4; decision 0224."""

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from firmware.flash.__main__ import main
from firmware.flash.bench import REFUSED, USAGE
from firmware.flash.card_release import SEEN_NAME, signed_package
from firmware.flash.record import Record
from firmware.flash.record_reading import jobs
from firmware.flash.release import packages
from offline_ledger.errors import CardInputWrong, CardPackageWrong, CardReleaseRefused
from offline_ledger.terminal.updates.names import own_platform
from simulators.bench_desk.bootfs import boot_partition
from tests.flash.cards import CITY_URL, ca_file
from tests.release_desk import DAY_S, ReleaseDesk


@pytest.fixture
def desk(tmp_path: Path, card_package: Path, monkeypatch: pytest.MonkeyPatch) -> ReleaseDesk:
    """The city's releases with the package of this checkout, as the technician got them, and a card."""
    monkeypatch.chdir(tmp_path)
    desk = ReleaseDesk(tmp_path / "office", int(time.time()))
    desk.begin()
    packages.add(desk.releases, card_package, "stable", desk.keys, desk.now_s)
    ca_file(tmp_path / "ca.crt")
    (tmp_path / "bench.toml").write_text('[bench]\ntechnician = "noi"\nrecord = "bench.db"\n')
    boot_partition(tmp_path / "card")
    return desk


def card(desk: ReleaseDesk, *more: str) -> int:
    given = ("--ca", "ca.crt", "--city-url", CITY_URL, "--platform", own_platform())
    root = () if "--update-root" in more else ("--update-root", str(desk.folder / "update.root"))
    return main(["card", "card", "--language", "en", "--device", "bus-8", "--role", "bus", *given, *root, *more])


def vouched_for(folder: Path) -> list[str | None]:
    """As the record has it, job by job."""
    record = Record.open(folder / "bench.db")
    try:
        return [pair.intended for job in jobs(record) for pair in job.pairs if pair.key == "package_signed_by"]
    finally:
        record.close()


def test_the_newest_signed_package_goes_onto_the_card(
    desk: ReleaseDesk, card_package: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert card(desk, "--releases", str(desk.releases.folder)) == 0
    assert f"Package {card_package.name}, signed by the city in stable" in capfd.readouterr().out
    assert (tmp_path / "card" / "kgo" / card_package.name).read_bytes() == card_package.read_bytes()
    assert vouched_for(tmp_path) == ["stable"]


def test_a_file_that_nobody_vouches_for_is_said_to_be_one(
    desk: ReleaseDesk, card_package: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert card(desk, "--package", str(card_package)) == 0
    assert f"signatures on {card_package.name} were not checked" in capfd.readouterr().out
    assert vouched_for(tmp_path) == ["nobody"]
    other = card_package.with_name("ca.zip")
    other.write_text("nothing")
    assert card(desk, "--package", str(other)) == REFUSED
    said = capfd.readouterr()
    assert said.err.startswith(f"{CardPackageWrong.number} ") and "not checked" not in said.out
    assert card(desk) == USAGE and "--releases" in capfd.readouterr().out
    assert card(desk, "--package", str(card_package), "--releases", "x") == REFUSED
    assert capfd.readouterr().err.startswith(f"{CardInputWrong.number} ")


def spoil(desk: ReleaseDesk) -> None:
    data = bytearray(desk.package_file().read_bytes())
    data[len(data) // 2] ^= 1
    desk.package_file().write_bytes(bytes(data))


def expire(desk: ReleaseDesk) -> None:
    desk.now_s -= 40 * DAY_S
    desk.refresh()


def of_another_city(desk: ReleaseDesk) -> None:
    other = ReleaseDesk(desk.folder.parent / "elsewhere", desk.now_s)
    other.begin()
    shutil.copyfile(other.folder / "update.root", desk.folder / "update.root")


def rename(desk: ReleaseDesk) -> None:
    """The old package under the name of a newer one, as who has no key can do."""
    desk.edit(
        "2.stable.json",
        lambda signed: signed.targets.update(
            {"stable/kgo-9.9.9-linux_x86_64.zip": next(iter(signed.targets.values()))}
        ),
    )


@pytest.mark.parametrize(
    ("change", "number"),
    [
        (spoil, 7201), (expire, 7202), (of_another_city, 7209), (rename, 7200),
        (lambda desk: shutil.rmtree(desk.releases.folder), 7208),
    ],
)  # fmt: skip
def test_what_a_terminal_would_not_take_does_not_get_onto_a_card(
    desk: ReleaseDesk, change: Callable[[ReleaseDesk], None], number: int, capfd: pytest.CaptureFixture[str]
) -> None:
    change(desk)
    before = (desk.folder.parent / "card" / "cmdline.txt").read_bytes()
    assert card(desk, "--releases", str(desk.releases.folder)) == REFUSED
    said = capfd.readouterr().err
    assert said.startswith(f"{CardReleaseRefused.number} ") and f"({number} " in said, said
    assert not (desk.folder.parent / "card" / "kgo").exists()
    assert (desk.folder.parent / "card" / "cmdline.txt").read_bytes() == before


def test_an_older_copy_than_the_bench_has_seen_is_refused(desk: ReleaseDesk, capfd: pytest.CaptureFixture[str]) -> None:
    old = desk.folder.parent / "old"
    shutil.copytree(desk.releases.folder, old)
    desk.refresh()
    root = (desk.folder / "update.root").read_bytes()
    for _ in range(2):  # the second time out of what the bench has already
        signed_package(desk.releases.folder, root, "stable", own_platform(), Path(SEEN_NAME), desk.now_s)
    assert card(desk, "--releases", str(old)) == REFUSED
    assert "(7203 " in capfd.readouterr().err
    assert card(desk, "--releases", str(desk.releases.folder), "--channel", "trial") == REFUSED
    assert "(7206 " in capfd.readouterr().err
    assert not (desk.folder.parent / "card" / "kgo").exists()

"""What the kernel says of a disk, and a disk that can only be read. The speed is in `test_bus`, on a disk made slow."""

import subprocess
import sys
from pathlib import Path

import pytest

from offline_ledger.errors import DiskErrors, DiskReadOnly, DiskWornOut, Refusal
from offline_ledger.terminal.selftest.disk_part import DiskHealth, DiskPart, at_share, health_of, judged
from offline_ledger.terminal.selftest.turn import Turn
from offline_ledger.texts import Texts

ROOT = Path(__file__).parents[3]
IN_READ_ONLY = """
from pathlib import Path
from offline_ledger.errors import Refusal
from offline_ledger.terminal.selftest.disk_part import DiskPart
from offline_ledger.terminal.selftest.turn import Turn
from offline_ledger.texts import Texts
(check, *_) = DiskPart(Path("{folder}/journal.db")).part().checks
try:
    print(check.do(Turn(Texts("en"), [], [])))
except Refusal as refusal:
    print(refusal.number, refusal.detail)
"""


def kernel(root: Path, *, life: str = "", pre_eol: str = "", errors: str = "", partition: bool = True) -> Path:
    """A `/sys` as a Pi's kernel shows it for `/dev/mmcblk0p2`."""
    disk = root / "devices" / "mmc0" / "block" / "mmcblk0"
    place = disk / "mmcblk0p2" if partition else disk
    (disk / "device").mkdir(parents=True)
    place.mkdir(exist_ok=True)
    (disk / "device" / "name").write_text("SDCIT2\n")
    for name, text in (("life_time", life), ("pre_eol_info", pre_eol)):
        if text:
            (disk / "device" / name).write_text(text + "\n")
    (root / "dev" / "block").mkdir(parents=True)
    (root / "dev" / "block" / "179:2").symlink_to(place)
    if errors:
        (root / "fs" / "ext4" / place.name).mkdir(parents=True)
        (root / "fs" / "ext4" / place.name / "errors_count").write_text(errors + "\n")
    return root


@pytest.mark.parametrize("partition", [True, False])
def test_what_the_kernel_says(tmp_path: Path, partition: bool) -> None:
    found = health_of("179:2", kernel(tmp_path, life="0x01 0x02", pre_eol="0x01", errors="0", partition=partition))
    assert found == DiskHealth("179:2", "SDCIT2", 0, (1, 2), 1)
    assert judged(found)["life_used"] == (1, 2)


def test_most_disks_say_nothing(tmp_path: Path) -> None:
    assert health_of("0:45", tmp_path) == DiskHealth("0:45", None, None, None, None)
    assert judged(health_of("179:2", kernel(tmp_path, life="unknown", errors="none")))["errors"] is None


@pytest.mark.parametrize(
    ("life", "pre_eol", "errors", "wrong"),
    [
        ("0x09 0x09", "0x02", "0", None),
        ("0x0a 0x01", "0x01", "0", DiskWornOut),
        ("0x01 0x0b", "0x01", "0", DiskWornOut),
        ("0x01 0x01", "0x03", "0", DiskWornOut),
        ("0x01 0x01", "0x01", "1", DiskErrors),
    ],
)
def test_both_sides_of_each_edge(
    tmp_path: Path, life: str, pre_eol: str, errors: str, wrong: type[Refusal] | None
) -> None:
    found = health_of("179:2", kernel(tmp_path, life=life, pre_eol=pre_eol, errors=errors))
    if wrong is None:
        judged(found)
        return
    with pytest.raises(wrong):
        judged(found)


def test_a_disk_that_can_only_be_read(tmp_path: Path) -> None:
    """Mounted so in a name space of its own, as the kernel remounts one after an error."""
    told = IN_READ_ONLY.format(folder=tmp_path)
    script = 'mount -t tmpfs -o ro none "$0" && exec "$@"'
    command = (
        "unshare",
        "--mount",
        "--user",
        "--map-root-user",
        "sh",
        "-c",
        script,
        str(tmp_path),
        sys.executable,
        "-c",
    )
    done = subprocess.run((*command, told), cwd=ROOT, capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout.startswith(f"{DiskReadOnly.number} ")


def test_what_a_power_cut_left_is_cleared_and_nothing_else(tmp_path: Path) -> None:
    for name in (".kgo-self-test.db", ".kgo-self-test.db-wal", "journal.db"):
        (tmp_path / name).write_bytes(b"left over")
    part = DiskPart(tmp_path / "journal.db").part()
    facts = part.checks[-1].do(Turn(Texts("en"), [], []))
    part.close()
    assert facts["syncs"] == 200 and int(str(facts["p99_us"])) >= int(str(facts["median_us"])) > 0
    assert [path.name for path in tmp_path.iterdir()] == ["journal.db"]
    assert (tmp_path / "journal.db").read_bytes() == b"left over"


def test_shares() -> None:
    assert at_share([7], 99) == 7
    assert at_share(range(1, 201), 50) == 101 and at_share(range(1, 201), 99) == 199

"""Power cut at every write, sync, truncation and name of a record's life: what was told is there. DESIGN §6, §11."""

import random
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from offline_ledger.terminal import one_writer_file
from offline_ledger.terminal.journal_sql import connect
from simulators.storage.memory import Action, MemoryDisk, MemoryVfs
from simulators.storage.power_cut import crash_images
from tests.flash.record_life import faults_of, live
from tests.weak_disk import Weak, extra_too_late, normal

pytestmark = pytest.mark.timeout(3600)  # the soak's full counts

JOBS_FULL, JOBS_SLICE = 40, 6
CHANCES_FULL, CHANCES_SLICE = 16, 2


@pytest.fixture
def vfs() -> Iterator[MemoryVfs]:
    made = MemoryVfs("bench-power-cut", MemoryDisk())
    yield made
    made.unregister()


def test_whatever_was_told_is_in_the_record_after_a_cut_at_every_step(
    vfs: MemoryVfs, rng: random.Random, slice_of: Callable[[int, int], int], report: Callable[[str], None]
) -> None:
    life = live(vfs, slice_of(JOBS_FULL, JOBS_SLICE))
    behind: Counter[Action] = Counter()
    images = 0
    for image in crash_images(life.disk.record, rng, slice_of(CHANCES_FULL, CHANCES_SLICE)):
        images += 1
        if image.after and image.how != "kept":
            behind[life.disk.record[image.after - 1].action] += 1
        faults = faults_of(image, life, vfs)
        assert not faults, f"cut after step {image.after} ({image.how}): {faults}"
    report(f"bench record: {images} crash images of {len(life.disk.record)} steps, 0 lost")
    assert images > 2 * len(life.disk.record) and behind[Action.WRITE] and behind[Action.CREATE]


@pytest.mark.parametrize("weakness", [normal, extra_too_late])
def test_the_proof_has_teeth(
    vfs: MemoryVfs,
    rng: random.Random,
    monkeypatch: pytest.MonkeyPatch,
    report: Callable[[str], None],
    weakness: Callable[[str], tuple[str, ...]],
) -> None:
    monkeypatch.setattr(one_writer_file, "connect", lambda path, vfs: Weak(connect(path, vfs), weakness))
    life = live(vfs, JOBS_SLICE)
    found = [bool(faults_of(image, life, vfs)) for image in crash_images(life.disk.record, rng, 1)]
    report(f"bench record, negative control {weakness.__name__}: {sum(found)} of {len(found)} crash images lost")
    assert sum(found) > 5

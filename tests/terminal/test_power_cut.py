"""Power cut at every write, sync, truncation and directory change of a journal's life. DESIGN §6, §11."""

import random
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from offline_ledger.terminal import journal_disk
from offline_ledger.terminal.journal_sql import connect
from simulators.storage.memory import Action, MemoryDisk, MemoryVfs
from simulators.storage.power_cut import crash_images
from tests.terminal.journal_run import faults_of, live
from tests.weak_disk import Weak, extra_too_late, normal

pytestmark = pytest.mark.timeout(7200)  # the soak's full counts

VOUCHERS_FULL, VOUCHERS_SLICE = 150, 40
CHANCES_FULL, CHANCES_SLICE = 24, 6


@pytest.fixture
def vfs() -> Iterator[MemoryVfs]:
    made = MemoryVfs("power-cut", MemoryDisk())
    yield made
    made.unregister()


def test_every_acknowledged_voucher_survives_a_cut_at_every_step(
    vfs: MemoryVfs, rng: random.Random, slice_of: Callable[[int, int], int], report: Callable[[str], None]
) -> None:
    life = live(vfs, rng, slice_of(VOUCHERS_FULL, VOUCHERS_SLICE))
    images = 0
    behind: Counter[Action] = Counter()
    for image in crash_images(life.disk.record, rng, slice_of(CHANCES_FULL, CHANCES_SLICE)):
        images += 1
        if image.after and image.how != "kept":  # the step itself, or one before it, is not sure to be on the disk
            behind[life.disk.record[image.after - 1].action] += 1
        faults = faults_of(image, life, vfs, goes_on=images % 16 == 0)
        assert not faults, f"cut after step {image.after} ({image.how}): {faults}"
    steps = {action: sum(step.action is action for step in life.disk.record) for action in Action}
    counts = ", ".join(f"{count} {action.value}" for action, count in steps.items())
    report(f"power cut: {images} crash images of {len(life.disk.record)} steps ({counts}), 0 lost")
    assert images > 2 * len(life.disk.record)
    assert life.checkpoints_in_append, "no append had to empty the log: the run is too short to prove it"
    assert [action for action in Action if not steps[action]] == [], "a kind of step that this life never takes"
    unsafe = (Action.WRITE, Action.TRUNCATE, Action.CREATE, Action.DELETE)
    assert [action for action in unsafe if not behind[action]] == [], "no cut while such a step was not yet durable"


@pytest.mark.arm64
def test_a_second_cut_during_recovery_loses_nothing_either(
    vfs: MemoryVfs, rng: random.Random, slice_of: Callable[[int, int], int], report: Callable[[str], None]
) -> None:
    life = live(vfs, rng, 30)
    first_cuts = list(crash_images(life.disk.record, rng, 2))
    images = 0
    for first in rng.sample(first_cuts, slice_of(400, 16)):
        assert not faults_of(first, life, vfs, goes_on=False)
        record = vfs.disk.record
        base = first.disk()
        for image in crash_images(record, rng, 1, base):
            images += 1
            faults = faults_of(type(first)(first.after, image.how, image.files), life, vfs, goes_on=False)
            assert not faults, f"cut after step {first.after}, again after {image.after} ({image.how}): {faults}"
    report(f"power cut during recovery: {images} crash images, 0 lost")
    assert images


@pytest.mark.parametrize("weakness", [normal, extra_too_late])
def test_the_proof_has_teeth(
    vfs: MemoryVfs,
    rng: random.Random,
    monkeypatch: pytest.MonkeyPatch,
    slice_of: Callable[[int, int], int],
    report: Callable[[str], None],
    weakness: Callable[[str], tuple[str, ...]],
) -> None:
    monkeypatch.setattr(journal_disk, "connect", lambda path, vfs: Weak(connect(path, vfs), weakness))
    life = live(vfs, rng, slice_of(40, 12))
    images = lost = 0
    for image in crash_images(life.disk.record, rng, 1):
        images += 1
        lost += bool(faults_of(image, life, vfs, goes_on=False))
    report(f"negative control {weakness.__name__}: {lost} of {images} crash images lost")
    assert lost > 10

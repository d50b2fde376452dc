"""The deny list: what is denied, what a bad file or a bad delivery changes (nothing), and its size. DESIGN §5, §10."""

import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offline_ledger.errors import DenyListDamaged, DenyListGap, DenyListTooLarge, Refusal
from offline_ledger.protocol import deny_list as codec
from offline_ledger.protocol.deny_list import decode_ids, encode_ids, list_sum
from offline_ledger.terminal import deny_list
from offline_ledger.terminal.deny_list import CHANGES_NAME, LIST_NAME, DenyList

IDS = st.sets(st.binary(min_size=6, max_size=6), max_size=40)


def some_ids(rng: random.Random, count: int) -> set[bytes]:
    return {rng.randbytes(6) for _ in range(count)}


def send(to: DenyList, counter: int, ids: set[bytes]) -> None:
    to.replace(counter, encode_ids(ids), list_sum(ids), len(ids))


def change(to: DenyList, counter: int, before: set[bytes], after: set[bytes]) -> None:
    adds, removes = encode_ids(after - before), encode_ids(before - after)
    to.apply_delta(to.counter, counter, adds, removes, list_sum(after), len(after))


def assert_denies(checked: DenyList, ids: set[bytes], others: set[bytes]) -> None:
    assert checked.ids_count == len(ids)
    assert all(checked.is_denied(denied + b"\0\0") and checked.is_denied(denied) for denied in ids)
    assert not any(checked.is_denied(other + b"\0\0") for other in others - ids)


# --- as sent


@given(IDS)
def test_what_is_encoded_is_decoded(ids: set[bytes]) -> None:
    assert list(decode_ids(encode_ids(ids), len(ids))) == sorted(ids)


@given(st.binary(max_size=60))
def test_any_bytes_are_one_list_or_a_refusal(data: bytes) -> None:
    try:
        ids = list(decode_ids(data))
    except DenyListDamaged:
        return
    assert ids == sorted(set(ids)) and encode_ids(ids) == data, "one spelling of one list"


@pytest.mark.parametrize(
    "data",
    [b"\x80", b"\x80\x00", b"\xff" * 7, b"\xff" * 6 + b"\x7f", b"\xff\xff\xff\xff\xff\xff\x3f\x00"],
    ids=["cut", "longer spelling", "endless", "over 48 bits", "sum over 48 bits"],
)
def test_a_bad_gap_is_refused(data: bytes) -> None:
    with pytest.raises(DenyListDamaged):
        list(decode_ids(data))


def test_the_largest_id_has_a_place() -> None:
    assert list(decode_ids(encode_ids([bytes(6), b"\xff" * 6]))) == [bytes(6), b"\xff" * 6]


def test_size_is_judged_first(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DenyListTooLarge):
        list(decode_ids(bytes(codec.LIST_BYTES_MAX + 1)))
    with pytest.raises(DenyListTooLarge):
        list(decode_ids(b"", codec.IDS_MAX + 1))
    monkeypatch.setattr(codec, "IDS_MAX", 100)
    with pytest.raises(DenyListTooLarge):
        list(decode_ids(bytes(101)))
    with pytest.raises(DenyListDamaged):
        list(decode_ids(bytes(10), 9))
    with pytest.raises(ValueError, match="twice"):
        encode_ids([bytes(6), bytes(6)])


# --- in use


def test_nothing_is_denied_without_a_list(tmp_path: Path) -> None:
    empty = DenyList.open(tmp_path)
    assert (empty.counter, empty.ids_count, empty.damage) == (0, 0, None)
    assert not empty.is_denied(bytes(8))
    for _step in empty.verify_background():
        pass


@pytest.mark.arm64
def test_a_list_survives_a_restart(tmp_path: Path, rng: random.Random) -> None:
    ids, others = some_ids(rng, 3000), some_ids(rng, 3000)
    ids |= {bytes(6), b"\xff" * 6, b"\0\0\0\0\0\1"}
    send(DenyList.open(tmp_path), 7, ids)
    again = DenyList.open(tmp_path)
    assert again.counter == 7
    assert_denies(again, ids, others)
    for _step in again.verify_background():
        pass
    assert again.damage is None


def resident_bytes(path: Path) -> int:
    """How much of a mapped file lies in this process's memory, as the kernel counts it."""
    lines = iter(Path("/proc/self/smaps").read_text().splitlines())
    for line in lines:
        if line.endswith(str(path)):
            return 1_024 * next(int(entry.split()[1]) for entry in lines if entry.startswith("Rss:"))
    raise AssertionError(f"{path} is not mapped")


def test_a_checked_list_does_not_stay_in_memory(tmp_path: Path, rng: random.Random) -> None:
    ids = some_ids(rng, 100_000)
    send(DenyList.open(tmp_path), 1, ids)
    held = DenyList.open(tmp_path)
    most = 0
    for _step in held.verify_background():
        most = max(most, resident_bytes(tmp_path / LIST_NAME))
    size = (tmp_path / LIST_NAME).stat().st_size
    assert size > 850_000 and most < 100_000 and resident_bytes(tmp_path / LIST_NAME) == 0
    assert_denies(held, ids, set())


def test_an_id_across_two_neighbours_is_not_denied(tmp_path: Path) -> None:
    first, second = bytes.fromhex("aabbaabbaabb"), bytes.fromhex("aabbaabbaabc")
    held = DenyList.open(tmp_path)
    send(held, 1, {first, second})
    both = first + second
    for at in range(1, 6):
        if both[at : at + 6] not in (first, second):
            assert not held.is_denied(both[at : at + 6])
    assert held.is_denied(first) and held.is_denied(second)


@given(st.lists(st.tuples(IDS, IDS), min_size=1, max_size=6), st.integers(0, 50))
def test_changes_land_also_after_a_restart(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[set[bytes], set[bytes]]], changes_max: int
) -> None:
    folder = tmp_path_factory.mktemp("deny")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(deny_list, "CHANGES_MAX", changes_max)
        held, ids, seen = DenyList.open(folder), set[bytes](), set[bytes]()
        for counter, (adds, removes) in enumerate(steps, 1):
            after = (ids | adds) - set(sorted(removes | ids)[::2])
            change(held, counter, ids, after)
            ids = after
            seen |= adds | removes
            assert_denies(held, ids, seen)
            held = DenyList.open(folder)
            assert held.counter == counter
            assert_denies(held, ids, seen)
        for _step in held.verify_background():
            pass


def test_a_removal_lands(tmp_path: Path, rng: random.Random) -> None:
    ids = some_ids(rng, 500)
    held = DenyList.open(tmp_path)
    send(held, 1, ids)
    pardoned = min(ids)
    change(held, 2, ids, ids - {pardoned})
    assert not held.is_denied(pardoned) and held.ids_count == 499
    change(held, 3, ids - {pardoned}, ids)
    assert held.is_denied(pardoned)


def test_changes_that_do_not_follow_are_refused(tmp_path: Path, rng: random.Random) -> None:
    ids = some_ids(rng, 50)
    held = DenyList.open(tmp_path)
    send(held, 5, ids)
    new = some_ids(rng, 1)
    one = encode_ids(new)
    with pytest.raises(DenyListGap):
        held.apply_delta(4, 6, one, b"", list_sum(ids | new), 51)
    with pytest.raises(DenyListGap):
        held.apply_delta(5, 6, b"", one, list_sum(ids), 50)
    with pytest.raises(DenyListGap):
        held.apply_delta(5, 6, encode_ids([min(ids)]), b"", list_sum(ids), 50)
    with pytest.raises(DenyListDamaged):
        held.apply_delta(5, 6, one, b"", list_sum(ids), 51)
    with pytest.raises(DenyListDamaged):
        held.apply_delta(5, 6, one, b"", list_sum(ids | new), 50)
    with pytest.raises(DenyListTooLarge):
        held.apply_delta(5, 6, one, b"", list_sum(ids | new), codec.IDS_MAX + 1)
    assert held.counter == 5
    assert_denies(held, ids, new)


def test_a_bad_reload_keeps_the_list_in_use(tmp_path: Path, rng: random.Random) -> None:
    ids, others = some_ids(rng, 200), some_ids(rng, 200)
    held = DenyList.open(tmp_path)
    send(held, 1, ids)
    good = encode_ids(others)
    for data, list_sha256, count in (
        (good[:-1], list_sum(others), 200),
        (good, list_sum(ids), 200),
        (good, list_sum(others), 199),
        (b"", list_sum(others), 200),
        (b"\xff" * 100, list_sum(others), 200),
    ):
        with pytest.raises(DenyListDamaged):
            held.replace(2, data, list_sha256, count)
        assert held.counter == 1
        assert_denies(held, ids, others)
        assert_denies(DenyList.open(tmp_path), ids, others)


@pytest.mark.parametrize("cut", [0, 1, 51, 52, 300, 262_195, 262_199, -6, -1])
def test_a_short_file_is_no_list(tmp_path: Path, rng: random.Random, cut: int) -> None:
    send(DenyList.open(tmp_path), 3, some_ids(rng, 100))
    file = tmp_path / LIST_NAME
    file.write_bytes(file.read_bytes()[:cut])
    held = DenyList.open(tmp_path)
    assert held.counter == 0 and isinstance(held.damage, DenyListDamaged) and not held.is_denied(bytes(8))
    ids = some_ids(rng, 10)
    send(held, 4, ids)
    assert held.damage is None
    assert_denies(DenyList.open(tmp_path), ids, set())


def test_random_damage_of_the_files_never_denies_everyone(tmp_path: Path, rng: random.Random) -> None:
    ids, others = some_ids(rng, 300), some_ids(rng, 300)
    held = DenyList.open(tmp_path)
    send(held, 1, ids)
    added = some_ids(rng, 5)
    change(held, 2, ids, ids | added)
    whole = {name: (tmp_path / name).read_bytes() for name in (LIST_NAME, CHANGES_NAME)}
    found = 0
    for _ in range(150):
        for name, data in whole.items():
            changed = bytearray(data)
            for _ in range(rng.randint(1, 4)):
                at = rng.choice((rng.randrange(len(data)), rng.randrange(min(60, len(data)))))
                changed[at] = rng.randrange(256)
            (tmp_path / name).write_bytes(changed)
        checked = DenyList.open(tmp_path)
        assert sum(checked.is_denied(other) for other in others) < 5
        try:
            for _step in checked.verify_background():
                pass
        except DenyListDamaged:
            assert checked.counter == 0 and not any(checked.is_denied(denied) for denied in ids)
        found += checked.damage is not None
    assert found > 100


def test_damage_to_the_changes_is_seen_at_once(tmp_path: Path, rng: random.Random) -> None:
    held = DenyList.open(tmp_path)
    send(held, 1, some_ids(rng, 5))
    held.apply_delta(1, 2, b"", b"", held._in_use.base.list_sha256, 5)  # pyright: ignore[reportPrivateUsage]
    file = tmp_path / CHANGES_NAME
    data = bytearray(file.read_bytes())
    data[10] ^= 1
    file.write_bytes(data)
    assert DenyList.open(tmp_path).damage is not None


def test_changes_of_an_earlier_list_are_passed_over(tmp_path: Path, rng: random.Random) -> None:
    """Power cut between the new list and the removal of the old changes."""
    ids, more = some_ids(rng, 20), some_ids(rng, 20)
    held = DenyList.open(tmp_path)
    send(held, 1, ids)
    change(held, 2, ids, ids | more)
    old_changes = (tmp_path / CHANGES_NAME).read_bytes()
    send(held, 3, ids)
    (tmp_path / CHANGES_NAME).write_bytes(old_changes)
    again = DenyList.open(tmp_path)
    assert again.counter == 3
    assert_denies(again, ids, more)


def test_a_million_ids(tmp_path: Path, rng: random.Random, report: Callable[[str], None]) -> None:
    numbers = rng.sample(range(1 << 48), 1_000_000)
    ids = {number.to_bytes(6, "big") for number in numbers}
    sent = encode_ids(ids)
    assert len(sent) <= 4_400_000
    list_sha256 = list_sum(ids)
    DenyList.open(tmp_path).replace(1, sent, list_sha256, len(ids))
    loads: list[int] = []
    for _ in range(20):
        started = time.perf_counter_ns()
        held = DenyList.open(tmp_path)
        loads.append(time.perf_counter_ns() - started)
    held = DenyList.open(tmp_path)
    asked = [number.to_bytes(6, "big") + b"\0\0" for number in numbers[:50_000]]
    asked += [rng.randbytes(8) for _ in range(50_000)]
    started = time.perf_counter_ns()
    hits = sum(map(held.is_denied, asked))
    lookup_ns = (time.perf_counter_ns() - started) // len(asked)
    assert 50_000 <= hits <= 50_010
    after = (ids - {asked[0][:6]}) | {b"\0newid"}
    adds, removes = encode_ids([b"\0newid"]), encode_ids([asked[0][:6]])
    after_sum = list_sum(after)
    started = time.perf_counter_ns()
    held.apply_delta(1, 2, adds, removes, after_sum, len(after))
    delta_ms = (time.perf_counter_ns() - started) // 1_000_000
    assert not held.is_denied(asked[0]) and held.is_denied(b"\0newid")
    times = f"load {min(loads) // 1000} us, lookup {lookup_ns} ns, change {delta_ms} ms"
    report(f"deny list of 1,000,000: {len(sent)} bytes to send, {times}")


def test_hostile_lists_are_numbered_refusals(tmp_path: Path, rng: random.Random) -> None:
    held = DenyList.open(tmp_path)
    for _ in range(300):
        data = rng.randbytes(rng.randrange(80))
        try:
            held.replace(1, data, rng.randbytes(32), rng.randrange(100))
            raise AssertionError("taken")
        except Refusal as refusal:
            assert refusal.number in (2101, 2102)
        try:
            held.apply_delta(0, 1, data, rng.randbytes(5), rng.randbytes(32), rng.randrange(100))
            raise AssertionError("taken")
        except Refusal as refusal:
            assert refusal.number in (2101, 2102, 2103)
    assert held.counter == 0 and not list(tmp_path.iterdir())

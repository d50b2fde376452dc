"""The benchmarks measure what their rows say: order, tails, ratios; and what is counted keeps its goal. DESIGN §10.

Goals that are times are judged on a quiet machine by `make bench`, never here.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import pytest

from simulators.slow_disk import slow_disk
from tests.bench import decision, frames, measure, sizes, tap
from tests.bench.measure import ROUNDS, Part, interleave, row_of

FIELDS = ("name", "unit", "n", "median", "p95", "p99", "reference_median", "ratio")
BYTES_PER_VOUCHER_MAX = 300


def test_tails_are_nearest_ranks_and_the_ratio_is_of_medians() -> None:
    floor = row_of("floor", "us", [2.0] * 9 + [1_000.0])
    row = row_of("row", "us", [float(value) for value in range(100, 0, -1)], floor)
    assert tuple(asdict(row)) == FIELDS
    assert (row.n, row.median, row.p95, row.p99) == (100, 50.5, 95.0, 99.0)
    assert (row.reference_median, row.ratio) == (2.0, 25.25)
    assert (floor.reference_median, floor.ratio) == (None, None)


def test_what_prepares_a_call_is_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    now_ns = [0]

    def passes(nanoseconds: int) -> Callable[[int], None]:
        return lambda _index: now_ns.__setitem__(0, now_ns[0] + nanoseconds)

    monkeypatch.setattr(measure, "perf_counter_ns", lambda: now_ns[0])
    parts = [Part(name, passes(3_000), passes(10**9)) for name in ("one", "other")]
    assert interleave(parts, 2) == {name: [3.0] * 2 * ROUNDS for name in ("one", "other")}


@pytest.mark.parametrize("count", [2, 3, 7])
def test_each_part_follows_each_other_and_none_is_always_first(count: int) -> None:
    names = [f"part-{number}" for number in range(count)]
    ran: list[tuple[str, int]] = []

    def part(name: str) -> Part:
        return Part(name, lambda index: ran.append((name, index)), lambda index: ran.append((f"ready {name}", index)))

    samples = interleave([part(name) for name in names], 2)
    assert {name: len(taken) for name, taken in samples.items()} == dict.fromkeys(names, 2 * ROUNDS)
    for name in names:
        assert [index for ran_name, index in ran if ran_name == name] == list(range(2 * ROUNDS))
        assert all(ran[at - 1] == (f"ready {name}", index) for at, (one, index) in enumerate(ran) if one == name)
    firsts = [ran[at * count * 4 + 1][0] for at in range(ROUNDS)]
    assert firsts == [names[at % count] for at in range(ROUNDS)]


def found(rows: Sequence[object]) -> dict[str, dict[str, float]]:
    return {str(asdict(row)["name"]): asdict(row) for row in rows}  # pyright: ignore[reportArgumentType]


def test_the_decision_is_set_against_its_own_floor_and_the_noise_is_floor_by_floor(tmp_path: Path) -> None:
    rows = found(decision.rows(tmp_path, calls_per_round=4))
    for kind in ("uncached", "cached"):
        floor = rows[f"floor_{kind}"]["median"]
        for name in (f"decision_{kind}", f"libraries_{kind}"):
            assert rows[name]["reference_median"] == floor
            assert rows[name]["ratio"] == rows[name]["median"] / floor > 0
    assert rows["noise"]["reference_median"] == rows["floor_uncached"]["median"]
    assert rows["decision_transfers"]["reference_median"] == rows["floor_cached"]["median"]
    assert {row["n"] for row in rows.values()} == {4 * ROUNDS}


def test_on_a_slow_disk_the_floor_waits_for_the_same_sync(tmp_path: Path) -> None:
    rows = found(decision.card_rows(tmp_path, calls_per_round=2))
    slow = f"_{decision.CARD_SYNC_MS}ms"
    both = {f"{name}_{kind}{slow}" for name in ("floor", "decision") for kind in ("uncached", "cached")}
    assert rows.keys() == both | {f"decision_transfers{slow}"}
    assert rows[f"decision_transfers{slow}"]["reference_median"] == rows[f"floor_cached{slow}"]["median"]
    assert all(row["median"] >= 1_000 * decision.CARD_SYNC_MS for row in rows.values())
    with slow_disk(sync_ms=decision.CARD_SYNC_MS) as disk:
        decision._Floor(tmp_path, 1, disk).run(0)
        assert disk.syncs == 1, "a floor that waits for nothing makes any decision look slow"


def test_the_camera_is_set_against_the_bare_decoder() -> None:
    rows = found(frames.rows(calls_per_round=2))
    bare = rows["qr_frame_bare"]["median"]
    assert [rows[name]["reference_median"] for name in ("qr_frame_decode", "qr_frame_noise")] == [bare, bare]


def test_one_sync_for_each_commit(tmp_path: Path) -> None:
    row = sizes.syncs_per_commit(tmp_path)
    assert (row.name, row.n, row.median) == ("journal_syncs_per_commit", sizes.VOUCHERS, 1.0)


@pytest.mark.parametrize("wallets", [40, 500])
def test_a_voucher_takes_few_bytes_on_the_way_to_the_city(tmp_path: Path, wallets: int) -> None:
    row = sizes.sync_bytes(tmp_path, wallets)
    assert row.n == sizes.VOUCHERS and 100 < row.median <= BYTES_PER_VOUCHER_MAX
    assert (row.name == "sync_bytes_per_voucher") == (wallets == sizes.VOUCHERS)  # the worse one bears the name


def test_a_taps_parts_are_its_whole_and_no_screen_is_green_before_the_head(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tap, "WARM_UP", 1)
    for one in (*tap.code_taps(tmp_path / "codes", 2), *tap.card_taps(tmp_path / "cards", 1)):
        parts_ms = (one.transport_ms, one.decode_ms, one.decision_ms, one.commit_ms, one.link_ms)
        assert min(parts_ms) > 0 and sum(parts_ms) == pytest.approx(one.total_ms)
        assert one.screen_ms is not None and one.screen_ms > 0

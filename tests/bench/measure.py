"""Interleaved timing: parts take turns in rotating order, so that drift of the machine hits all alike. DESIGN §10."""

import gc
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from time import perf_counter_ns

ROUNDS = 5


@dataclass(frozen=True, slots=True)
class Part:
    """One thing to time: `run(i)` does it once; `prepare(i)` is not timed."""

    name: str
    run: Callable[[int], object]
    prepare: Callable[[int], object] | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table; `ratio` is to `reference_median`, both None for absolute figures."""

    name: str
    unit: str
    n: int
    median: float
    p95: float
    p99: float
    reference_median: float | None = None
    ratio: float | None = None


def percentile(ordered: Sequence[float], per_cent: int) -> float:
    """Nearest rank."""
    return ordered[min(len(ordered) - 1, len(ordered) * per_cent // 100)]


def row_of(name: str, unit: str, samples: Sequence[float], reference: Row | None = None) -> Row:
    """Median and tails of samples."""
    ordered = sorted(samples)
    middle = median(ordered)
    return Row(
        name,
        unit,
        len(ordered),
        middle,
        percentile(ordered, 95),
        percentile(ordered, 99),
        reference.median if reference else None,
        middle / reference.median if reference else None,
    )


def interleave(parts: Sequence[Part], calls_per_round: int, rounds: int = ROUNDS) -> dict[str, list[float]]:
    """µs per call of each part; within a round the parts alternate call by call, and the order rotates."""
    samples: dict[str, list[float]] = {part.name: [] for part in parts}
    number = 0
    gc.collect()
    gc.disable()
    try:
        for _ in range(rounds):
            for call in range(calls_per_round):
                at = (call + number) % len(parts)
                for part in (*parts[at:], *parts[:at]):
                    index = number * calls_per_round + call
                    if part.prepare is not None:
                        part.prepare(index)
                    begun_ns = perf_counter_ns()
                    part.run(index)
                    samples[part.name].append((perf_counter_ns() - begun_ns) / 1000)
            number += 1
    finally:
        gc.enable()
    return samples

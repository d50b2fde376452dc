"""Interleaved timing: five rounds in rotating order, so that drift of the machine hits all alike. DESIGN §10."""

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
    return ordered[max(0, -(-len(ordered) * per_cent // 100) - 1)]


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
    """µs per call of each part. In each round every part makes all its calls in a row, as a terminal does nothing else
    either, and the order of the parts rotates from round to round, so that none always follows the same."""
    samples: dict[str, list[float]] = {part.name: [] for part in parts}
    gc.collect()
    gc.disable()
    try:
        for number in range(rounds):
            at = number % len(parts)
            for part in (*parts[at:], *parts[:at]):
                for index in range(number * calls_per_round, (number + 1) * calls_per_round):
                    if part.prepare is not None:
                        part.prepare(index)
                    begun_ns = perf_counter_ns()
                    part.run(index)
                    samples[part.name].append((perf_counter_ns() - begun_ns) / 1000)
    finally:
        gc.enable()
    return samples

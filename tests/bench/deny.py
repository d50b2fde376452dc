"""`deny_list_*`: opening and asking a list of a million ids. Budgets: load < 1 ms, lookup < 1 µs, send ≤ 4.4 MB."""

from pathlib import Path
from random import Random
from time import perf_counter_ns

from offline_ledger.protocol.deny_list import encode_ids, list_sum
from offline_ledger.terminal.deny_list import DenyList
from tests.bench.measure import Row, row_of

IDS = 1_000_000
LOOKUPS = 200


def write_million(folder: Path, seed: int = 1) -> bytes:
    """A list of a million ids in `folder`, as if it had come by sync; its encoding as sent."""
    random = Random(seed)
    ids = sorted({random.randbytes(6) for _ in range(IDS + 100)})[:IDS]
    sent = encode_ids(ids)
    folder.mkdir(parents=True, exist_ok=True)
    DenyList.open(folder).replace(1, sent, list_sum(ids), IDS)
    return sent


def rows(folder: Path) -> list[Row]:
    """Load in ms, lookup in µs (half of them hits), size as sent in bytes."""
    sent = write_million(folder)
    loads: list[float] = []
    for _ in range(30):
        begun_ns = perf_counter_ns()
        opened = DenyList.open(folder)
        loads.append((perf_counter_ns() - begun_ns) / 1_000_000)
        assert opened.ids_count == IDS
    held = DenyList.open(folder)
    random = Random(1)
    hits = [random.randbytes(6) + b"\0\0" for _ in range(LOOKUPS)]
    misses = [Random(number + 10).randbytes(8) for number in range(LOOKUPS)]
    assert sum(map(held.is_denied, hits)) == LOOKUPS
    each: list[float] = []
    for _ in range(50):
        begun_ns = perf_counter_ns()
        for pass_id in hits:
            held.is_denied(pass_id)
        for pass_id in misses:
            held.is_denied(pass_id)
        each.append((perf_counter_ns() - begun_ns) / 1_000 / (2 * LOOKUPS))
    size = float(len(sent))
    return [
        row_of("deny_list_load", "ms", loads),
        row_of("deny_list_lookup", "us", each),
        Row("deny_list_sent", "bytes", 1, size, size, size),
    ]

"""Torn at every byte of every command and answer, over a real pcscd: nothing is charged twice and nothing is lost.

DESIGN §4, FIELD_LESSONS 22. `make test` tears a seeded slice; the soak tears at every place there is.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

from simulators.card.virtual import Where
from simulators.pcsc import PcscDaemon
from tests.card.torn import Place, Tally, TornLane, places

SLICE = 64


def test_torn_at_every_byte_nothing_is_paid_twice_or_lost(
    many_readers: PcscDaemon,
    tmp_path: Path,
    rng: Random,
    slice_of: Callable[[int, int], int],
    report: Callable[[str], None],
) -> None:
    lanes = [
        TornLane(reader, tmp_path / str(number), Random(f"{rng.random()}{number}"))
        for number, reader in enumerate(many_readers.readers)
    ]
    try:
        whole = [place for has_paid in (False, True) for place in places(lanes[0].sample(has_paid), has_paid)]
        assert len(whole) > 1_200 and len(set(whole)) == len(whole)
        chosen = rng.sample(whole, slice_of(len(whole), SLICE))
        chosen += [place for place in whole if place.tear.where.value.endswith("write") and place not in chosen]
        with ThreadPoolExecutor(len(lanes)) as pool:
            list(pool.map(lambda at: _work(lanes[at], chosen[at :: len(lanes)]), range(len(lanes))))
    finally:
        for lane in lanes:
            lane.close()
    total = Tally(*map(sum, zip(*(lane.tally for lane in lanes), strict=True)))
    assert total.torn == len(chosen) == total.recovered + total.paid_anew + total.paid_at_once
    assert total.recovered > 0 and total.paid_anew > 0
    after_write = sum(place.tear.where is Where.AFTER_WRITE for place in chosen)
    assert total.recovered >= after_write > 0
    report(
        f"card torn at {total.torn} of {len(whole)} places: {total.recovered} payments came at the next tap, "
        f"{total.paid_anew} were made anew, {total.paid_at_once} had come whole; none twice, none lost"
    )


def _work(lane: TornLane, chosen: list[Place]) -> None:
    for place in chosen:
        lane.tear(place)

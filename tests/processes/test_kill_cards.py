"""SIGKILL in the middle of card taps, on the running validator: each card pays one fare and gets its green. DESIGN §5.

The kill comes at a random moment of the conversation, before or after the request, the chip's write, the voucher and
the light. Fares are counted in the journal and, apart from it, by the chip's own counter.
"""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from threading import Timer

import pytest

from firmware.link import messages
from offline_ledger.protocol.device import VoucherKind
from simulators.card.purse import PurseFile
from simulators.demo.processes import Said, wait_until
from tests.processes.full_bus import FullBus, full_bus, loaded_card

pytestmark = pytest.mark.timeout(1800)

ROUNDS_FULL, ROUNDS_SLICE = 60, 4
TAP_S = 0.006
"""From its first APDU to its light a tap takes some 4 ms here: a kill in this time falls into every part of it."""
GREEN = "accepted_cash_due"


def fate_of(before: Said | None, after: Said) -> str:
    """What the kill hit, as far as the lights tell."""
    if before is not None:
        return f"after the light, then {after['light']}"
    return "green came back uncharged" if after.get("uncharged") else "before the voucher"


def kill_in_tap(bus: FullBus, delay_s: float, mark: int) -> Said | None:
    """The light that was said before the kill, if any."""
    killer = Timer(delay_s, bus.program.kill)
    killer.start()
    killer.join()
    return next((said for said in bus.program.said_since(mark) if said.get("light") == GREEN), None)


def test_each_card_pays_one_fare_whenever_the_program_is_killed(
    tmp_path: Path, rng: Random, slice_of: Callable[[int, int], int], report: Callable[[str], None]
) -> None:
    fates: Counter[str] = Counter()
    rounds = slice_of(ROUNDS_FULL, ROUNDS_SLICE)
    cards = tmp_path / "cards"
    with full_bus(tmp_path) as bus:
        bus.start()
        for number in range(1, rounds + 1):
            bus.head.wait_for(messages.WAIT)
            with loaded_card(cards, number, reserve_kgo=5_000) as card:
                mark = bus.hold(card)
                wait_until(lambda card=card: bool(card.apdus), "the card's first APDU", step_s=0.0005)
                before = kill_in_tap(bus, rng.uniform(0, TAP_S), mark)
                bus.lift(card)
                bus.start()
                bus.head.wait_for(messages.WAIT)
                said = bus.tap(card)
                fates[fate_of(before, said)] += 1
                assert said["light"] == GREEN or (before is not None and said["light"] == "already_accepted"), said
                assert bus.tap(card)["light"] == "already_accepted"
            paid = PurseFile(cards / f"card-{number}.json").load().n
            assert paid == 1, f"the chip of round {number} paid {paid} times"
        assert bus.program.stop("quit") == 0
        kinds = Counter(row.kind for row in bus.journal()[0])
    report(f"{rounds} kills in card taps: {dict(fates)}; {kinds[VoucherKind.BOARDING]} fares, 0 lost, 0 doubled")
    assert kinds == {VoucherKind.BOARDING: rounds}

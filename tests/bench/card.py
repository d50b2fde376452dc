"""What a card's conversation costs over a real pcscd and virtual reader, beside what the simulated chip itself takes.

`card_conversation` is one whole tap from connecting to the payment in hand, as the driver does it, its lane included;
`card_in_chip` is the part of it that the simulated chip spends (one signature, one synced write); the rest is ours and
the wire's. Not in it: the reader's own polling (pcscd looks every 0.4 s at a virtual one), and the desk's decision.
"""

import time
from collections.abc import Callable
from pathlib import Path
from time import perf_counter_ns

from offline_ledger.protocol.card import select
from offline_ledger.terminal.drivers.card import ANSWER_S_MAX
from offline_ledger.terminal.drivers.card_lane import CardLane
from offline_ledger.terminal.drivers.card_pcsc import PcscContext, Scard
from offline_ledger.terminal.drivers.card_talk import CardTalk
from simulators.card.applet import Applet
from simulators.card.virtual import VirtualCard
from simulators.pcsc import PcscDaemon, Reader
from tests.bench.measure import Row, row_of
from tests.card.desk import new_card, read_allowance, request_for

TAPS = 100
APDUS = 500
INSERTED_S_MAX = 5.0


class TimedApplet:
    """An applet that notes how long it took, in µs, since the last reset of `spent`."""

    def __init__(self, applet: Applet) -> None:
        self._applet = applet
        self.atr = applet.atr
        self.spent_us = 0.0

    def reset(self) -> None:
        self._applet.reset()

    def answer(self, apdu: bytes) -> bytes:
        begun_ns = perf_counter_ns()
        answer = self._applet.answer(apdu)
        self.spent_us += (perf_counter_ns() - begun_ns) / 1_000
        return answer


def rows(folder: Path) -> list[Row]:
    """`card_apdu`, `card_apdu_in_lane`, `card_conversation`, `card_in_chip`; `folder` is made."""
    chip = TimedApplet(new_card(folder, reserve_kgo=10_000_000))
    scard = Scard()
    with PcscDaemon(1) as pcsc, VirtualCard(chip) as card:
        (reader,) = pcsc.readers
        card.insert(reader.port)
        context = PcscContext(scard)
        _wait(context, reader)
        lane = CardLane(scard, ANSWER_S_MAX)
        whole, inside = _taps(lane, reader, chip)
        through_lane = _apdus(lane, reader)
        direct = _direct(context, reader)
        lane.end()
        context.release()
    apdu = row_of("card_apdu", "us", direct)
    return [
        apdu,
        row_of("card_apdu_in_lane", "us", through_lane, apdu),
        row_of("card_conversation", "ms", [us / 1_000 for us in whole]),
        row_of("card_in_chip", "ms", [us / 1_000 for us in inside]),
    ]


def _taps(lane: CardLane, reader: Reader, chip: TimedApplet) -> tuple[list[float], list[float]]:
    whole: list[float] = []
    inside: list[float] = []
    for number in range(TAPS):
        chip.spent_us, begun_ns = 0.0, perf_counter_ns()
        lane.connect(reader.name)
        talk = CardTalk(lane.transmit)
        offer = talk.read()
        asking_ns = perf_counter_ns()
        allowance, _ = read_allowance(offer.allowance)
        request = request_for(allowance.pass_id, number.to_bytes(16, "big"), 100)
        asked_ns = perf_counter_ns()
        assert isinstance(talk.ask(request.raw), bytes)
        whole.append((perf_counter_ns() - begun_ns - (asked_ns - asking_ns)) / 1_000)
        inside.append(chip.spent_us)
        lane.leave()
    return whole, inside


def _apdus(lane: CardLane, reader: Reader) -> list[float]:
    lane.connect(reader.name)
    found = [_timed(lane.transmit) for _ in range(APDUS)]
    lane.leave()
    return found


def _direct(context: PcscContext, reader: Reader) -> list[float]:
    card = context.connect(reader.name)
    found = [_timed(card.transmit) for _ in range(APDUS)]
    card.disconnect()
    return found


def _timed(transmit: Callable[[bytes], bytes]) -> float:
    begun_ns = perf_counter_ns()
    transmit(select())
    return (perf_counter_ns() - begun_ns) / 1_000


def _wait(context: PcscContext, reader: Reader) -> None:
    until_s = time.monotonic() + INSERTED_S_MAX
    while not (states := context.wait([(reader.name, 0)], 0.1)) or not states[0].has_card:
        assert time.monotonic() < until_s, "no card"
        time.sleep(0.01)

"""Taps that break off again and again, without a reader: long histories of one card, torn at any byte and stage.

The same desk and the same talk as over PC/SC; what pcscd would do with a lifted card is in `test_torn.py`.
"""

from collections.abc import Callable
from pathlib import Path
from random import Random

from offline_ledger.errors import CardTorn, Refusal
from offline_ledger.terminal.drivers.card_talk import CardTalk
from simulators.card.applet import Applet
from simulators.card.purse import PurseFile, WriteStage
from tests.card.desk import FARE_KGO, TestDesk, new_card, read_allowance, read_payment

RESERVE_KGO = 40 * FARE_KGO + 1_234
"""Forty fares and a rest: the histories also meet the end of the purse."""
TEARS_IN_A_ROW_MAX = 5
HISTORIES, SLICE = 400, 12
TAPS = 60
GONE = 10_000
"""Commands after which nothing more is heard of a card."""


class TornWire:
    """Passes APDUs to a card and tears it at a random place of this tap, or not at all."""

    def __init__(self, applet: Applet, random: Random, tears: bool) -> None:
        self._applet, self._random = applet, random
        self._at_command = random.randrange(4) if tears else -1
        self._how = random.choice(["command", "answer", *WriteStage])
        self._count = -1

    def __call__(self, apdu: bytes) -> bytes:
        if self._count >= GONE:
            raise CardTorn("gone")
        self._count += 1
        is_here = self._count == self._at_command
        if is_here and self._how == "command":
            raise CardTorn("command")
        self._applet.file.on_write = self._cut if is_here else lambda _stage: None
        answer = self._applet.answer(apdu)
        if not is_here:
            return answer
        self._count = GONE
        return answer[: self._random.randrange(len(answer))]

    def _cut(self, stage: WriteStage) -> None:
        if stage is self._how:
            raise CardTorn(stage.value)


def tap(desk: TestDesk, wire: TornWire) -> None:
    """What the driver does with a card, its reader aside."""
    try:
        talk = CardTalk(wire)
        offer = talk.read()
        asked = desk.offered(offer)
        if asked is None:
            return
        said = talk.ask(asked)
    except CardTorn as torn:
        return desk.failed(torn)
    if isinstance(said, Refusal):
        return desk.declined(offer, said)
    desk.answered(offer, said)


def history(folder: Path, random: Random) -> tuple[int, int, int]:
    """One card's life: fares paid, tears, and fares that the purse no longer gave."""
    applet = new_card(folder, random.getrandbits(31), RESERVE_KGO)
    path = folder / next(folder.glob("card-*.json")).name
    desk, tears = TestDesk(random.getrandbits(31)), 0
    while len(desk.paid) + len(desk.declined_with) < TAPS:
        desk.asks_again = random.random() < 0.5
        for _ in range(random.randrange(TEARS_IN_A_ROW_MAX)):
            before = len(desk.paid)
            tap(desk, TornWire(applet, random, tears=True))
            tears += len(desk.paid) == before
        applet = Applet(PurseFile(path), 0)  # switched off and on: only the file is left
        settled = len(desk.paid) + len(desk.declined_with)
        tap(desk, TornWire(applet, random, tears=False))
        assert len(desk.paid) + len(desk.declined_with) > settled, "a whole tap is settled"
        purse = applet.file.load()
        assert purse.n == len(desk.paid), "each payment that the chip signed came to the terminal, once"
        assert purse.sum_kgo + purse.authorised_kgo == FARE_KGO * len(desk.paid) <= RESERVE_KGO
    allowance, _ = read_allowance(applet.file.load().allowance)
    assert [one.n for one in desk.paid] == list(range(1, len(desk.paid) + 1))
    assert [read_payment(raw, allowance) for raw in desk.by_request.values()] == desk.paid
    return len(desk.paid), tears, len(desk.declined_with)


def test_whatever_breaks_off_each_fare_is_paid_once(
    tmp_path: Path, rng: Random, slice_of: Callable[[int, int], int], report: Callable[[str], None]
) -> None:
    lives = [
        history(tmp_path / str(number), Random(rng.getrandbits(64))) for number in range(slice_of(HISTORIES, SLICE))
    ]
    paid, tears, declined = (sum(life[at] for life in lives) for at in range(3))
    assert all(life[0] == RESERVE_KGO // FARE_KGO for life in lives), "every purse was spent to the end"
    assert tears > paid and declined >= len(lives) * (TAPS - RESERVE_KGO // FARE_KGO)
    report(f"card histories: {len(lives)} cards, {paid} fares, {tears} torn taps; each fare paid once")

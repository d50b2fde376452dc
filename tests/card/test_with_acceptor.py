"""The simulated chip, the driver's talk and the real acceptor over a real journal: torn taps, one voucher per ride."""

from collections.abc import Callable
from pathlib import Path
from random import Random

from offline_ledger.errors import CardTorn, Refusal
from offline_ledger.protocol import cose, device
from offline_ledger.protocol.device import ClockTrust
from offline_ledger.protocol.kinds import OBJECT_BYTES_MAX, Kind
from offline_ledger.rules.clock import TimeNow
from offline_ledger.rules.limits import Limits
from offline_ledger.terminal.acceptor import Acceptor
from offline_ledger.terminal.drivers.card_talk import CardTalk
from offline_ledger.terminal.outcome import Light, Outcome
from simulators.card.applet import Applet
from tests.card.desk import new_card
from tests.card.test_torn_chains import TornWire
from tests.terminal.desk import AAD, REPEAT_S, DeskConditions, FlatBus, acceptor_on, open_journal

RIDES, SLICE = 300, 25
FARE_KGO = 5_000
TEARS_IN_A_ROW_MAX = 4


class Ride:
    """One card and one validator; as `CardReader` and `CardTaps` put them together, reader and threads aside."""

    def __init__(self, applet: Applet, acceptor: Acceptor, door: FlatBus, random: Random) -> None:
        self._applet, self._acceptor, self._door, self._random = applet, acceptor, door, random

    def tap(self, tears: bool) -> Outcome | None:
        """The outcome with its light; None when it broke off."""
        try:
            talk = CardTalk(TornWire(self._applet, self._random, tears))
            offer = talk.read()
            step = self._acceptor.ask(offer, self._door)
            if step.outcome is not None:
                return self._shown(step.outcome)
            assert step.request is not None
            said = talk.ask(step.request)
        except CardTorn:
            return None
        if isinstance(said, Refusal):
            return self._acceptor.not_paid(offer, said)
        return self._shown(self._acceptor.answer(offer, said, self._door))

    def _shown(self, outcome: Outcome) -> Outcome:
        self._acceptor.shown(outcome)
        return outcome


def test_whatever_breaks_off_each_ride_has_one_voucher(
    tmp_path: Path, rng: Random, slice_of: Callable[[int, int], int], report: Callable[[str], None]
) -> None:
    rides, conditions, torn = slice_of(RIDES, SLICE), DeskConditions(), 0
    limits = Limits()
    with open_journal(tmp_path) as journal:
        acceptor = acceptor_on(journal, conditions, limits)
        applet = new_card(tmp_path / "card", 1, FARE_KGO * (rides + 1))
        ride = Ride(applet, acceptor, FlatBus(FARE_KGO), rng)
        for number in range(rides):
            conditions.now = TimeNow(conditions.now.at_s + REPEAT_S + 1, ClockTrust.SYNCED, 0)
            outcome: Outcome | None = None
            for _ in range(rng.randrange(TEARS_IN_A_ROW_MAX)):
                if (outcome := ride.tap(tears=True)) is not None:
                    break
                torn += 1
            outcome = outcome or ride.tap(tears=False)
            assert outcome is not None and outcome.light is Light.ACCEPTED_CASH_DUE, (number, outcome)
            purse = applet.file.load()
            assert purse.n == number + 1 == journal.tail.sequence, number
            assert purse.sum_kgo + purse.authorised_kgo == FARE_KGO * (number + 1), number
        taken = [row.voucher for row in journal.pending(rides + 1)]
    kgo = [
        device.VOUCHER.decode(cose.parse_sign1(raw, AAD[Kind.VOUCHER]).payload, OBJECT_BYTES_MAX).kgo for raw in taken
    ]
    assert kgo == [FARE_KGO] * rides
    assert torn > 0
    report(f"card rides with the real acceptor: {rides} rides, {torn} torn taps, {len(taken)} vouchers")

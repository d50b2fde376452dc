"""The order of acceptance is part of the contract: a code with two faults is refused for the earlier one. DESIGN §5.

repeat → own standing → audience → freshness → deny list → amount → what was authorised → n and S → reserve → caps.
Each case has the fault of its own step and of every later one.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from offline_ledger import errors
from offline_ledger.errors import Refusal
from offline_ledger.protocol import cose, qr, wallet
from offline_ledger.protocol.kinds import Kind
from offline_ledger.protocol.wallet import Allowance, Audience, Payment, Presentment
from offline_ledger.rules.clock import TimeNow
from offline_ledger.terminal.outcome import Charge, LastVoucher, Light
from tests.terminal.desk import AAD, NOW_S, DeskConditions, DeskWallet, FlatBus, acceptor_on, issue, open_journal

STEPS = ("standing", "audience", "fresh", "denied", "amount", "authorised", "counter", "reserve", "caps")
RESERVE_KGO = 50_000


class Door(FlatBus):
    """A bus door that may have no fare to ask for."""

    refusal: Refusal | None = None

    def charge(
        self, allowance: Allowance, shown: Presentment | Payment | None, last: LastVoucher, at: TimeNow
    ) -> Charge:
        if self.refusal is not None:
            raise self.refusal
        return super().charge(allowance, shown, last, at)


class Terminal:
    """One validator that has seen n = 5, S = 10,000 of the wallet before it."""

    def __init__(self, folder: Path) -> None:
        self.conditions = DeskConditions()
        self.journal = open_journal(folder)
        self.acceptor = acceptor_on(self.journal, self.conditions)
        self.door = Door()
        self.held: DeskWallet = issue(7, RESERVE_KGO)
        self.held.next()
        self.seen = {"n": 5, "sum_kgo": 10_000, "cap_kgo": 5_000, "audience": int(Audience.TRANSIT), "at_s": NOW_S}
        first = self.acceptor.accept(self.code(self.seen), self.door)
        assert first.light is Light.ACCEPTED_CASH_DUE
        self.acceptor.shown(first)

    def code(self, said: dict[str, int]) -> str:
        shown = Presentment(self.held.allowance.identity, valid_s=30, **said)
        payload = wallet.PRESENTMENT.encode(shown)
        signed = cose.sign1(payload, AAD[Kind.PRESENTMENT], self.held.key.key_id, self.held.key.sign)
        return qr.encode(qr.QrType.PRESENTMENT, self.held.allowance.raw, signed.raw)

    def spoil(self, step: str, said: dict[str, int]) -> None:
        """Adds the fault of one step."""
        match step:
            case "standing":
                self.conditions.standing_refusal = errors.DeviceBlocked()
            case "audience":
                said["audience"] = Audience.SHOP
            case "fresh":
                said["at_s"] = NOW_S - 36
            case "denied":
                self.conditions.denied.add((7).to_bytes(8, "big"))
            case "amount":
                self.door.refusal = errors.NoFareForBoarding()
            case "authorised":
                said["cap_kgo"] = 4_999
            case "counter":
                said["n"] = 4
            case "reserve":
                said["sum_kgo"] = RESERVE_KGO - 4_999
            case _:
                self.conditions.cap_refusal = errors.MustReconnect()


EXPECTED: dict[str, type[Refusal]] = {
    "standing": errors.DeviceBlocked,
    "audience": errors.WrongAudience,
    "fresh": errors.CodeTooOld,
    "denied": errors.Denied,
    "amount": errors.NoFareForBoarding,
    "authorised": errors.AmountNotAuthorised,
    "counter": errors.CounterUsed,
    "reserve": errors.ReserveExceeded,
    "caps": errors.MustReconnect,
}


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    return Terminal(tmp_path)


def test_without_any_fault_it_is_accepted(terminal: Terminal) -> None:
    said = terminal.seen | {"n": 6, "sum_kgo": 15_000}
    assert terminal.acceptor.accept(terminal.code(said), terminal.door).light is Light.ACCEPTED_CASH_DUE


@pytest.mark.parametrize("first", STEPS)
def test_the_first_fault_is_told_whatever_follows(terminal: Terminal, first: str) -> None:
    said = terminal.seen | {"n": 6, "sum_kgo": 15_000}
    for step in STEPS[STEPS.index(first) :]:
        terminal.spoil(step, said)
    outcome = terminal.acceptor.accept(terminal.code(said), terminal.door)
    assert type(outcome.refusal) is EXPECTED[first]
    assert outcome.voucher is None and terminal.journal.tail.sequence == 1


def test_a_repeat_comes_before_all_of_them(terminal: Terminal) -> None:
    for step in ("standing", "denied", "amount", "caps"):
        terminal.spoil(step, {})
    again = terminal.seen | {"at_s": NOW_S - 300}
    assert terminal.acceptor.accept(terminal.code(again), terminal.door).light is Light.ALREADY_ACCEPTED


@pytest.mark.parametrize(
    "make",
    [
        lambda held: "https://example.org",
        lambda held: held.code()[:-1],
        lambda held: DeskWallet(issue(8).key, held.allowance, 6, 15_000, 5_000).code(),
    ],
)
def test_what_is_not_proven_says_nothing_of_this_terminals_standing(
    terminal: Terminal, make: Callable[[DeskWallet], str]
) -> None:
    terminal.spoil("standing", {})
    refusal = terminal.acceptor.accept(make(terminal.held), terminal.door).refusal
    assert type(refusal) in (errors.NotOurCode, errors.CodeDamaged, errors.WalletSignatureWrong)

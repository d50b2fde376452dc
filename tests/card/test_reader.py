"""The driver over a real pcscd: taps, cards of others, two at once, silent, slow; service and readers go."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from offline_ledger.errors import (
    CardPurseTooSmall,
    CardReaderInUse,
    CardReaderMissing,
    CardServiceMissing,
    CardSilent,
    CardsTwo,
    CardTorn,
    ForeignBankCard,
    ForeignIdCard,
    ForeignTransitCard,
    Refusal,
)
from offline_ledger.protocol import cose
from offline_ledger.protocol.kinds import Kind
from offline_ledger.terminal.drivers.card import CardReader, CardSettings
from offline_ledger.terminal.drivers.card_pcsc import PcscContext, PcscService, ReaderState, Scard
from offline_ledger.terminal.drivers.card_seat import Seat
from simulators.card import foreign
from simulators.card.applet import Applet
from simulators.card.foreign import ForeignSort
from simulators.card.virtual import Tear, VirtualCard, Where
from simulators.pcsc import LED_BY, LOOK_S, PcscDaemon, PcscUnavailable
from tests.card.desk import AAD, FARE_KGO, TestDesk, new_card, read_allowance

DEADLINE_S = 10.0
QUICK = CardSettings(back_off_first_s=0.02, back_off_last_s=0.1)


class Bench:
    """A driver and its desk; polled by the test."""

    def __init__(self, settings: CardSettings = QUICK, open_service: Callable[[], PcscService] | None = None) -> None:
        self.desk = TestDesk()
        self.driver = CardReader(settings, self.desk, open_service=open_service)
        self.refusals: list[Refusal] = []

    def until(self, is_so: Callable[[], bool]) -> None:
        until_s = time.monotonic() + DEADLINE_S
        while not is_so():
            assert time.monotonic() < until_s, (self.desk, self.refusals, self.driver.health())
            assert self.driver.poll(0.05) == []
            self.refusals += self.driver.take_refusals()

    def for_s(self, seconds: float) -> None:
        """Poll that long: nothing is to happen."""
        until_s = time.monotonic() + seconds
        self.until(lambda: time.monotonic() >= until_s)

    def failed(self) -> list[type[Refusal]]:
        return [type(one) for one in self.desk.failed_with]

    def told(self) -> list[type[Refusal]]:
        return [type(one) for one in self.refusals]


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.driver.close()


@pytest.fixture
def cards() -> Iterator[list[VirtualCard]]:
    """Whatever a test puts here is out of its reader at the end."""
    made: list[VirtualCard] = []
    yield made
    for card in made:
        card.remove()


def card_of(cards: list[VirtualCard], applet: Applet, pause_s: float = 0.0) -> VirtualCard:
    cards.append(VirtualCard(applet, applet.file, pause_s=pause_s))
    return cards[-1]


@pytest.mark.arm64
def test_a_tap_and_the_next_and_a_card_that_stays(
    pcsc: PcscDaemon, bench: Bench, cards: list[VirtualCard], tmp_path: Path
) -> None:
    port = pcsc.readers[0].port
    card = card_of(cards, new_card(tmp_path))
    card.insert(port)
    bench.until(lambda: len(bench.desk.paid) == 1)
    bench.for_s(3 * LOOK_S)
    assert bench.desk.offers == 1, "it lies there and is not read again"
    card.remove()
    bench.until(lambda: not bench.driver.health().cards)
    card.insert(port)
    bench.until(lambda: len(bench.desk.paid) == 2)
    assert [one.n for one in bench.desk.paid] == [1, 2]
    health = bench.driver.health()
    assert health.connected and health.readers == tuple(reader.name for reader in pcsc.readers)
    assert (health.taps, health.answered, health.torn, health.failed) == (2, 2, 0, 0)
    assert not bench.refusals and not bench.driver.is_lost


class LateLook(PcscContext):
    """The real service; once, `late` happens between a look that found a card and its being served."""

    late: Callable[[], None] | None = None

    def wait(self, known: Sequence[tuple[str, int]], timeout_s: float) -> list[ReaderState] | None:
        found = super().wait(known, timeout_s)
        if self.late is not None and any(state.has_card for state in found or ()):
            late, self.late = self.late, None
            late()
        return found


def test_a_card_that_was_put_back_before_it_was_read_is_read_once(
    pcsc: PcscDaemon, cards: list[VirtualCard], tmp_path: Path
) -> None:
    """A busy terminal serves what it saw a while ago: the card that lies there now is the one that has paid."""
    reader = pcsc.readers[0]
    card = card_of(cards, new_card(tmp_path))
    eyes, looks = PcscContext(Scard()), LateLook(Scard())

    def sees(has_card: bool) -> None:
        until_s = time.monotonic() + DEADLINE_S
        while [one.has_card for one in eyes.wait([(reader.name, 0)], 0.1) or []] != [has_card]:
            assert time.monotonic() < until_s
            time.sleep(0.01)

    def put_back() -> None:
        card.remove()
        sees(has_card=False)
        card.insert(reader.port)
        sees(has_card=True)

    looks.late = put_back
    bench = Bench(open_service=lambda: looks)
    try:
        card.insert(reader.port)
        bench.until(lambda: bool(bench.desk.paid))
        assert looks.late is None
        bench.for_s(3 * LOOK_S)
        assert (bench.desk.offers, len(bench.desk.paid)) == (1, 1), "it lies there and is not read again"
        put_back()
        bench.until(lambda: len(bench.desk.paid) == 2)
    finally:
        bench.driver.close()
        eyes.release()


def test_a_card_that_took_anothers_place_before_it_was_read_begins_anew() -> None:
    """What was noted of the one before, its kind and its tries, is not the new one's."""
    seat = Seat("reader", float("-inf"))
    first = ReaderState("reader", 0, is_known=True, has_card=True, is_mute=False, insertions=1, atr=b"first")
    seat.update(first, 0.0)
    seat.is_served, seat.tries = True, 1
    seat.hold(first)
    assert (seat.atr, seat.tries) == (b"first", 1)
    seat.hold(first._replace(insertions=3, atr=b"other"))
    assert (seat.atr, seat.tries, seat.is_served) == (b"other", 0, True)
    seat.update(first._replace(insertions=3, atr=b"other"), 1.0)
    assert seat.is_served, "it is the one that is held"


def test_cards_of_others_and_a_poor_one(
    pcsc: PcscDaemon, bench: Bench, cards: list[VirtualCard], tmp_path: Path
) -> None:
    expected: list[type[Refusal]] = []
    port = pcsc.readers[0].port
    for sort, kind in (
        (ForeignSort.BANK, ForeignBankCard),
        (ForeignSort.STORAGE, ForeignTransitCard),
        (ForeignSort.IDENTITY, ForeignIdCard),
    ):
        expected.append(kind)
        cards.append(VirtualCard(foreign.ForeignCard(sort)))
        cards[-1].insert(port)
        bench.until(lambda: bench.failed() == expected)
        cards[-1].remove()
        bench.until(lambda: not bench.driver.health().cards)
    card_of(cards, new_card(tmp_path, reserve_kgo=FARE_KGO - 1)).insert(port)
    bench.until(lambda: bool(bench.desk.declined_with))
    assert isinstance(bench.desk.declined_with[0], CardPurseTooSmall)
    assert bench.failed() == expected and not bench.desk.paid


def test_two_cards_at_once_pay_nothing_until_one_is_alone(
    pcsc: PcscDaemon, bench: Bench, cards: list[VirtualCard], tmp_path: Path
) -> None:
    first, second = (card_of(cards, new_card(tmp_path, seed)) for seed in (1, 2))
    first.insert(pcsc.readers[0].port)
    second.insert(pcsc.readers[1].port)
    time_both = time.monotonic() + 2 * LOOK_S
    with_context = PcscContext(Scard())
    names = [(reader.name, 0) for reader in pcsc.readers]
    while sum(state.has_card for state in with_context.wait(names, 0.1) or []) < 2:
        assert time.monotonic() < time_both + DEADLINE_S
        time.sleep(0.01)
    bench.until(lambda: bench.failed() == [CardsTwo])
    bench.for_s(LOOK_S)
    assert bench.failed() == [CardsTwo], "told once"
    assert bench.desk.offers == 0
    second.remove()
    bench.until(lambda: len(bench.desk.paid) == 1)
    second.insert(pcsc.readers[1].port)  # while the first still lies there
    bench.until(lambda: bench.failed() == [CardsTwo, CardsTwo])
    assert len(bench.desk.paid) == 1


def test_a_card_that_comes_while_another_is_read_is_seen_before_anything_is_asked(
    pcsc: PcscDaemon, bench: Bench, cards: list[VirtualCard], tmp_path: Path
) -> None:
    slow = card_of(cards, new_card(tmp_path, 1), pause_s=0.4)  # three of its answers are two looks of pcscd
    slow.insert(pcsc.readers[0].port)
    other = card_of(cards, new_card(tmp_path, 2))
    until = threading.Thread(target=bench.until, args=(lambda: bool(bench.desk.failed_with or bench.desk.paid),))
    until.start()
    until_s = time.monotonic() + DEADLINE_S
    while not slow.exchanges:
        assert time.monotonic() < until_s
        time.sleep(0.01)
    other.insert(pcsc.readers[1].port)
    until.join(DEADLINE_S)
    assert bench.failed() == [CardsTwo] and not bench.desk.paid and bench.desk.offers == 0


def test_a_slow_card_pays(pcsc: PcscDaemon, bench: Bench, cards: list[VirtualCard], tmp_path: Path) -> None:
    card_of(cards, new_card(tmp_path), pause_s=0.3).insert(pcsc.readers[0].port)
    bench.until(lambda: len(bench.desk.paid) == 1)
    assert not bench.desk.failed_with


def test_a_card_that_takes_too_long_in_all_is_asked_no_more(
    pcsc: PcscDaemon, cards: list[VirtualCard], tmp_path: Path
) -> None:
    bench = Bench(QUICK._replace(talk_s_max=0.5))
    applet = new_card(tmp_path)
    card_of(cards, applet, pause_s=0.3).insert(pcsc.readers[0].port)
    bench.until(lambda: bench.failed() == [CardSilent])
    assert applet.file.load().n == 0 and bench.desk.offers == 0
    bench.driver.close()


@pytest.mark.parametrize("silent_from", [0, 1, 3])
def test_a_silent_card_is_told_and_the_next_one_pays(
    pcsc: PcscDaemon, cards: list[VirtualCard], tmp_path: Path, silent_from: int
) -> None:
    bench = Bench(QUICK._replace(answer_s_max=0.5))
    silent = card_of(cards, new_card(tmp_path, 1))
    silent.silent_from = silent_from
    silent.insert(pcsc.readers[0].port)
    bench.until(lambda: bench.failed() == [CardSilent])
    bench.for_s(LOOK_S)
    assert bench.failed() == [CardSilent], "told once"
    silent.remove()
    bench.until(lambda: not bench.driver.health().cards)
    card_of(cards, new_card(tmp_path, 2)).insert(pcsc.readers[0].port)
    if silent_from == 3:
        bench.desk.open = None  # the request was for the silent card; what it paid comes when it is held again
    bench.until(lambda: len(bench.desk.paid) == 1)
    assert bench.failed() == [CardSilent]
    bench.driver.close()


def test_a_torn_card_is_read_again_by_itself_when_it_lies_there_again(
    pcsc: PcscDaemon, bench: Bench, cards: list[VirtualCard], tmp_path: Path
) -> None:
    card = card_of(cards, new_card(tmp_path))
    card.insert(pcsc.readers[0].port, Tear(3, Where.AFTER_WRITE))
    bench.until(lambda: bench.failed() == [CardTorn])
    card.insert(pcsc.readers[0].port)
    bench.until(lambda: len(bench.desk.paid) == 1)
    assert bench.desk.paid[0].n == 1 and bench.failed() == [CardTorn]
    assert bench.driver.health().torn == 1


def test_extended_commands_over_pcsc(pcsc: PcscDaemon, cards: list[VirtualCard], tmp_path: Path) -> None:
    bench = Bench(QUICK._replace(extended=True))
    card = card_of(cards, new_card(tmp_path))
    card.insert(pcsc.readers[0].port)
    bench.until(lambda: len(bench.desk.paid) == 1)
    assert card.apdus[-1][0][:5] == bytes.fromhex("8020000000")
    bench.driver.close()


def test_a_drivers_card_proves_its_chip(
    pcsc: PcscDaemon, bench: Bench, cards: list[VirtualCard], tmp_path: Path
) -> None:
    applet = new_card(tmp_path)
    bench.desk.challenges = True
    card_of(cards, applet).insert(pcsc.readers[0].port)
    bench.until(lambda: len(bench.desk.proofs) == 1)
    allowance, _ = read_allowance(applet.file.load().allowance)
    signed = cose.parse_sign1(bench.desk.proofs[0], AAD[Kind.CARD_CHALLENGE])
    assert cose.is_signature_of(signed, cose.verify_key(allowance.wallet_point))
    assert applet.file.load().n == 0


def test_another_program_holds_the_card(
    pcsc: PcscDaemon, bench: Bench, cards: list[VirtualCard], tmp_path: Path
) -> None:
    card_of(cards, new_card(tmp_path)).insert(pcsc.readers[0].port)
    context = PcscContext(Scard())
    known = [(pcsc.readers[0].name, 0)]
    until_s = time.monotonic() + DEADLINE_S
    while not (found := context.wait(known, 0.1)) or not found[0].has_card:
        assert time.monotonic() < until_s
        time.sleep(0.01)
    held = context.connect(pcsc.readers[0].name)
    bench.until(lambda: bench.failed() == [CardReaderInUse])
    held.disconnect()
    context.release()


def test_the_service_dies_and_comes_back_and_a_card_that_lay_there_pays_once(
    pcsc: PcscDaemon, bench: Bench, cards: list[VirtualCard], tmp_path: Path
) -> None:
    card = card_of(cards, new_card(tmp_path))
    card.insert(pcsc.readers[0].port)
    bench.until(lambda: len(bench.desk.paid) == 1)
    for end in (pcsc.stop, pcsc.kill):
        end()
        bench.until(lambda: bench.driver.is_lost)
        bench.for_s(0.3)
        assert bench.told() == [CardServiceMissing], "once, not at each try"
        assert not bench.driver.health().connected
        bench.refusals.clear()
        pcsc.start()
        card.insert(pcsc.readers[0].port)
        bench.until(lambda: not bench.driver.is_lost)
        bench.for_s(3 * LOOK_S)
        assert not bench.refusals
    card.remove()
    bench.until(lambda: not bench.driver.health().cards)
    card.insert(pcsc.readers[0].port)
    bench.until(lambda: len(bench.desk.paid) >= 2)
    assert [one.n for one in bench.desk.paid] == [1, 2]


def test_no_service_and_no_reader_are_told_apart(pcsc: PcscDaemon) -> None:
    other = Bench(QUICK._replace(readers=("another reader",)))
    other.until(lambda: other.driver.is_lost)
    other.for_s(0.3)
    assert other.told() == [CardReaderMissing] and other.driver.health().connected
    other.driver.close()
    pcsc.stop()
    none = Bench()
    none.until(lambda: none.driver.is_lost)
    assert none.told() == [CardServiceMissing]
    none.driver.close()
    pcsc.start()


def test_wake_ends_a_poll_and_close_ends_the_driver(pcsc: PcscDaemon, bench: Bench) -> None:
    bench.for_s(0.1)
    begun_s = time.monotonic()
    timer = threading.Timer(0.2, bench.driver.wake)
    timer.start()
    bench.driver.poll(DEADLINE_S)
    assert time.monotonic() - begun_s < DEADLINE_S / 2
    bench.driver.close()
    assert bench.driver.poll(DEADLINE_S) == []
    assert not bench.driver.health().connected


def test_a_second_daemon_of_this_process_is_told_and_the_first_goes_on(pcsc: PcscDaemon) -> None:
    with pytest.raises(PcscUnavailable, match="already"):
        PcscDaemon(1).__enter__()
    assert PcscContext(Scard()).readers()


ROOT = Path(__file__).parents[2]
READERS = """
import sys
from simulators.pcsc import PcscDaemon
from offline_ledger.terminal.drivers.card_pcsc import PcscContext, PcscService, ReaderState, Scard
with PcscDaemon(1, name=sys.argv[1]):
    print(*PcscContext(Scard()).readers(), sep="|")
"""


def test_daemons_of_other_processes_and_users_stand_beside_it(pcsc: PcscDaemon) -> None:
    """Each program sees the readers of its own, with or without rights on this machine."""
    command = [sys.executable, "-c", READERS, "beside"]
    if os.geteuid() == 0:
        command = ["unshare", "--user", "--map-user=1000", "--map-group=1000", *command]  # somebody without rights
    environment = {name: value for name, value in os.environ.items() if name != LED_BY}
    environment |= {"TMPDIR": "/tmp", "PYTHONDONTWRITEBYTECODE": "1"}
    beside = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=30, check=False)
    assert beside.stdout.strip() == "beside 0 00 00|beside 0 00 01", beside.stderr
    assert all(name.startswith("KGO") for name in PcscContext(Scard()).readers())

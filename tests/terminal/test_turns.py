"""Who waits for a turn gets what the job gave, or goes away: soon at the program's end, in time from a hung disk."""

from collections.abc import Iterator
from threading import Event, Thread
from time import monotonic

import pytest

from offline_ledger.errors import CommandTakenBack, CommandUnsettled, LampLost, Refusal
from offline_ledger.terminal import scan_loop, turns
from offline_ledger.terminal.scan_loop import CodeSource, ScanLoop
from offline_ledger.terminal.turns import STOPPED_S, Turns

SOON_S = 4 * STOPPED_S
WAIT_S = 10


class Reader:
    """A card reader whose thread asks for a turn with each card that is put on it."""

    def __init__(self, taking: Turns) -> None:
        self._turns = taking
        self.cards = Event()
        self.is_asking = Event()
        self.given: list[object] = []
        self.is_closed = False

    def poll(self, timeout_s: float) -> list[str]:
        if self.cards.wait(timeout_s):
            self.cards.clear()
            self.is_asking.set()
            self.given.append(self._turns.take(lambda: "judged"))
        return []

    def take_refusals(self) -> list[Refusal]:
        return []

    def wake(self) -> None:
        return None

    def close(self) -> None:
        self.is_closed = True


class Program:
    """A real loop on a thread of its own, with one reader."""

    def __init__(self) -> None:
        self.loop = ScanLoop(lambda _code: None, lambda _source, _refusal: None, lambda: None)
        self.turns = Turns(self.loop.do, lambda: self.loop.is_stopping)
        self.reader = Reader(self.turns)
        self.raised: list[BaseException] = []
        self._thread = Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        sources: list[CodeSource] = [self.reader]
        try:
            self.loop.run(sources, lambda: None)
        except Refusal as refusal:
            self.raised.append(refusal)

    def hang(self) -> Event:
        """The deciding thread is on a disk that does not answer; the event lets it go."""
        begun, let_go = Event(), Event()

        def job() -> None:
            begun.set()
            let_go.wait(WAIT_S)

        self.loop.do(job)
        assert begun.wait(WAIT_S)
        return let_go

    def ended_s(self) -> float:
        """How long it took to end from now."""
        begun_s = monotonic()
        self._thread.join(WAIT_S)
        assert not self._thread.is_alive()
        return monotonic() - begun_s


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> Iterator[Program]:
    monkeypatch.setattr(scan_loop, "POLL_S", 0.02)
    made = Program()
    yield made
    made.loop.stop()
    made.ended_s()


@pytest.mark.parametrize("given", ["text", b"", 0, None, (), []])
def test_what_the_job_gives_is_what_one_gets(program: Program, given: object) -> None:
    assert program.turns.take(lambda: given) is given


def test_each_gets_its_own_and_in_order(program: Program) -> None:
    let_go, order = program.hang(), list[int]()
    got: dict[int, int | None] = {}

    def ask(number: int) -> None:
        got[number] = program.turns.take(lambda: (order.append(number), number)[1])

    threads = [Thread(target=ask, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    let_go.set()
    for thread in threads:
        thread.join(WAIT_S)
    assert got == {number: number for number in range(20)} and sorted(order) == list(range(20))


def test_the_program_ends_soon_while_a_card_waits_for_its_turn(program: Program) -> None:
    let_go = program.hang()
    program.reader.cards.set()
    assert program.reader.is_asking.wait(WAIT_S)
    program.loop.stop()
    let_go.set()
    assert program.ended_s() < SOON_S
    assert program.reader.given == [None] and program.reader.is_closed


def test_a_card_that_comes_when_it_ends_is_not_waited_for(program: Program) -> None:
    program.loop.stop()
    begun_s = monotonic()
    assert program.turns.take(lambda: "judged") is None
    assert monotonic() - begun_s < SOON_S


def test_a_hung_disk_costs_a_card_its_turn_and_not_the_reader(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "TURN_S_MAX", 0.01)
    let_go, done = program.hang(), Event()
    assert program.turns.take(done.set) is None
    assert not done.is_set()
    let_go.set()
    assert done.wait(WAIT_S), "what was asked for is done when the disk is back"
    monkeypatch.setattr(turns, "TURN_S_MAX", WAIT_S)
    assert program.turns.take(lambda: "judged") == "judged"


def test_a_command_that_had_no_turn_in_time_is_taken_back_for_good(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever hears "try again" would else have it done twice."""
    monkeypatch.setattr(turns, "TURN_S_MAX", 0.01)
    let_go, done = program.hang(), list[str]()
    with pytest.raises(CommandTakenBack):
        program.turns.take_or_refuse(lambda: done.append("taken back"))
    let_go.set()
    monkeypatch.setattr(turns, "TURN_S_MAX", WAIT_S)
    assert program.turns.take_or_refuse(lambda: done.append("next")) is None
    assert done == ["next"]


def test_a_command_that_has_begun_is_not_said_to_be_undone(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "TURN_S_MAX", 0.01)
    begun, let_go, done = Event(), Event(), Event()

    def job() -> None:
        begun.set()
        let_go.wait(WAIT_S)
        done.set()

    with pytest.raises(CommandUnsettled):
        program.turns.take_or_refuse(job)
    assert begun.is_set() and not done.is_set()
    let_go.set()
    assert done.wait(WAIT_S)


def test_a_command_at_the_programs_end_is_done_or_said_not_to_be(program: Program) -> None:
    let_go, done = program.hang(), list[str]()
    program.loop.stop()
    with pytest.raises(CommandTakenBack):
        program.turns.take_or_refuse(lambda: done.append("too late"))
    let_go.set()
    program.ended_s()
    assert done == []


def test_a_job_that_raises_ends_the_program_and_frees_who_waited(program: Program) -> None:
    def job() -> None:
        raise LampLost("gone")

    begun_s = monotonic()
    assert program.turns.take(job) is None
    assert program.turns.take(lambda: "judged") is None
    assert monotonic() - begun_s < SOON_S
    program.ended_s()
    assert [type(one) for one in program.raised] == [LampLost]

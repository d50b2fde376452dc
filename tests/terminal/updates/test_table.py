"""The table of a terminal's slots: every mark, every event. And its bytes. Pure."""

import json
from collections.abc import Callable
from itertools import product
from random import Random
from zlib import crc32

import pytest

from offline_ledger.terminal.updates.start import (
    BACK,
    CLEAR,
    EMPTY,
    FAILED,
    GIVEN_UP_MAX,
    GOOD,
    MARKS,
    PROVE,
    STAGE,
    STAGED,
    START,
    STARTS_MAX,
    STATE_BYTES_MAX,
    SWITCH,
    TABLE,
    TRYING,
    UNUSABLE,
    NotNow,
    Slot,
    State,
    after,
    decode_state,
    encode_state,
    first_state,
    is_start,
)

EVENTS = (STAGE, CLEAR, SWITCH, START, PROVE, BACK, UNUSABLE)
OLD, NEW = Slot(GOOD, "0.1.0", "aa" * 32), Slot(STAGED, "0.2.0", "bb" * 32)


def marks(state: State) -> tuple[str, str, str, int]:
    return state.active, state.a.mark, state.b.mark, state.starts


@pytest.mark.parametrize(
    ("active", "event", "other", "becomes"),
    [
        (GOOD, CLEAR, STAGED, ("a", GOOD, EMPTY, 0)),
        (GOOD, CLEAR, GOOD, ("a", GOOD, EMPTY, 0)),
        (GOOD, STAGE, EMPTY, ("a", GOOD, STAGED, 0)),
        (GOOD, SWITCH, STAGED, ("b", GOOD, TRYING, 0)),
        (GOOD, START, FAILED, ("a", GOOD, FAILED, 0)),
        (GOOD, PROVE, GOOD, ("a", GOOD, GOOD, 0)),
        (GOOD, BACK, GOOD, ("b", GOOD, GOOD, 0)),
        (GOOD, UNUSABLE, GOOD, ("b", GOOD, GOOD, 0)),
        (GOOD, UNUSABLE, STAGED, ("b", GOOD, TRYING, 0)),
        (TRYING, START, GOOD, ("a", TRYING, GOOD, 1)),
        (TRYING, PROVE, GOOD, ("a", GOOD, GOOD, 0)),
        (TRYING, BACK, GOOD, ("b", FAILED, GOOD, 0)),
        (TRYING, UNUSABLE, GOOD, ("b", FAILED, GOOD, 0)),
    ],
)
def test_what_happens(active: str, event: str, other: str, becomes: tuple[str, str, str, int]) -> None:
    state = State("a", OLD._replace(mark=active), NEW._replace(mark=other))
    assert marks(after(state, event, NEW)) == becomes


REFUSED = [(active, event, other) for active, event, other in product((GOOD, TRYING), EVENTS, MARKS)
           if (active, event, other) not in TABLE]  # fmt: skip


@pytest.mark.parametrize(("active", "event", "other"), REFUSED)
def test_what_the_table_has_not_is_refused(active: str, event: str, other: str) -> None:
    with pytest.raises(NotNow):
        after(State("a", OLD._replace(mark=active), NEW._replace(mark=other)), event)


def test_nothing_is_written_over_what_a_slot_may_fall_back_to() -> None:
    for other in MARKS:
        for event in (CLEAR, STAGE, SWITCH):
            assert (TRYING, event, other) not in TABLE


def test_after_two_starts_the_former_one_comes_back() -> None:
    state = after(State("a", OLD, NEW), SWITCH)
    for count in range(1, STARTS_MAX + 1):
        state = after(state, START)
        assert marks(state) == ("b", GOOD, TRYING, count)
    state = after(state, START)
    assert marks(state) == ("a", GOOD, FAILED, 0)
    assert (state.undone.version, state.undone.package) == ("0.2.0", NEW.package)
    assert after(state, START) == state, "a good one is not counted"


def test_with_nothing_to_go_back_to_it_is_started_for_ever() -> None:
    state = State("a", Slot(TRYING, "0.1.0"))
    for _ in range(5):
        state = after(state, START)
    assert marks(state) == ("a", TRYING, EMPTY, STARTS_MAX)


def test_of_two_unknown_ones_each_has_its_turn_until_one_proves_itself() -> None:
    state = first_state(("a", "b"), {"a": "0.1.0", "b": "0.2.0"})
    assert state is not None
    turns = ""
    for _ in range(9):
        state = after(state, START)
        turns += state.active
    assert turns == "aabbaabba"
    assert marks(after(state, PROVE)) == ("a", GOOD, TRYING, 0)
    assert first_state((), {}) is None


def test_going_back_is_remembered_until_another_version_proves_itself() -> None:
    both = State("b", OLD, NEW._replace(mark=GOOD))
    back = after(both, BACK)
    assert marks(back) == ("a", GOOD, GOOD, 0) and back.undone.version == "0.2.0"
    forth = after(back, BACK)
    assert marks(forth) == ("b", GOOD, GOOD, 0) and forth.undone == Slot()


def failed_here(state: State, new: Slot) -> State:
    """This version is installed, takes its turn, and is given up."""
    for event in (CLEAR, STAGE, SWITCH, *[START] * (STARTS_MAX + 1)):
        state = after(state, event, new)
    return state


def test_all_that_failed_here_is_remembered_and_not_the_last_one_alone() -> None:
    """Withdrawn and released again, two bad versions would be installed in turns, for ever."""
    newest = [Slot(STAGED, f"0.2.{number}", f"{number:064x}") for number in range(1, 4)]
    state = State("a", OLD, Slot())
    for new in newest:
        state = failed_here(state, new)
    assert state.given_up == tuple(new.package for new in newest) and state.undone.version == "0.2.3"
    again = failed_here(state, newest[0])
    assert again.given_up == tuple(newest[number].package for number in (1, 2, 0)), "once each"
    for number in range(10, 10 + GIVEN_UP_MAX):
        again = failed_here(again, NEW._replace(package=f"{number:064x}"))
    assert again.given_up == tuple(f"{number:064x}" for number in range(10, 10 + GIVEN_UP_MAX)), "the newest of them"
    assert decode_state(encode_state(again)) == again and len(encode_state(again)) < STATE_BYTES_MAX // 4


def test_what_proves_itself_after_all_is_no_longer_remembered_and_the_others_are() -> None:
    state = failed_here(failed_here(State("a", OLD, Slot()), NEW), NEW._replace(package="cc" * 32))
    for event in (CLEAR, STAGE, SWITCH, START, PROVE):  # installed by hand
        state = after(state, event, NEW)
    assert marks(state) == ("b", GOOD, GOOD, 0) and state.given_up == ("cc" * 32,) and state.undone == Slot()
    assert after(state, BACK).given_up == ("cc" * 32, NEW.package)


def test_with_the_next_switch_the_one_before_is_no_longer_told_and_still_remembered() -> None:
    """Told, it would say that the former version runs, while the new one proves itself."""
    back = after(State("b", OLD, NEW._replace(mark=GOOD)), BACK)
    staged = after(after(back, CLEAR), STAGE, NEW)
    assert staged.undone.version == "0.2.0", "until somebody switches it is true"
    again = after(staged, SWITCH)
    assert marks(again) == ("b", GOOD, TRYING, 0) and again.undone == Slot() and again.given_up == (NEW.package,)
    for _ in range(STARTS_MAX + 1):
        again = after(again, START)
    assert again.active == "a" and again.undone.version == "0.2.0" and again.given_up == (NEW.package,)


def test_a_state_of_a_version_that_remembered_one_is_read() -> None:
    said = json.loads(encode_state(State("a", OLD, Slot(), undone=NEW)))
    del said["crc"], said["given_up"]
    crc = crc32(json.dumps(said, ensure_ascii=False, sort_keys=True).encode())
    assert decode_state(json.dumps(said | {"crc": crc}).encode()).given_up == (NEW.package,)


def test_whatever_happens_one_slot_has_its_turn_and_a_good_one_stays(
    rng: Random, slice_of: Callable[[int, int], int]
) -> None:
    """Any order of events: the active slot is good or still to prove itself, and while it has to, and another was good,
    that one is untouched."""
    for _ in range(slice_of(20_000, 100)):
        state, proved = State("a", OLD, Slot()), 1
        for _ in range(30):
            before = state
            try:
                state = after(state, rng.choice(EVENTS), NEW)
            except NotNow:
                continue
            assert state.slot(state.active).mark in (GOOD, TRYING)
            assert GOOD in (state.a.mark, state.b.mark), (before, state)
            assert decode_state(encode_state(state)) == state
            proved += 1
        assert proved > 1


def test_a_state_that_is_none_is_none(rng: Random) -> None:
    state = State("b", OLD, NEW._replace(mark=TRYING), 1, Slot(FAILED, "0.0.9", "cc"), ("printer", "head"))
    data = encode_state(state)
    assert decode_state(data) == state
    for _ in range(300):
        at = rng.randrange(len(data))
        broken = data[:at] + bytes([data[at] ^ (1 << rng.randrange(8))]) + data[at + 1 :]
        try:
            assert decode_state(broken) == state, "what JSON leaves out counts for nothing"
        except ValueError:
            continue
    for length in range(0, len(data) - 2, 7):
        with pytest.raises(ValueError, match="no state"):
            decode_state(data[:length])
    for said in ([], 1, {"crc": 0}, {"format": 2}):
        with pytest.raises(ValueError, match="no state"):
            decode_state(json.dumps(said).encode())


def test_what_a_later_version_says_besides_is_passed_over() -> None:
    """The launcher of the first installation reads what every later version has written."""
    state = State("b", OLD, NEW._replace(mark=TRYING), 1, Slot(FAILED, "0.0.9", "cc"), ("printer",))
    said = json.loads(encode_state(state))
    del said["crc"]
    said["later"] = [1]
    for slot in (*said["slots"].values(), said["undone"]):
        slot["later"] = "x"
    crc = crc32(json.dumps(said, ensure_ascii=False, sort_keys=True).encode())
    assert decode_state(json.dumps(said | {"crc": crc}).encode()) == state


@pytest.mark.parametrize(
    ("words", "counts"),
    [
        (("--settings", "bus.toml"), True),
        (("--settings", "bus.toml", "run"), True),
        (("--settings", "run"), True),
        (("--language", "th", "--settings", "f"), True),
        (("--settings=bus.toml",), True),
        (("--language=th", "--settings=bus.toml", "run"), True),
        (("--settings=bus.toml", "update", "status"), False),
        (("--settings", "bus.toml", "diagnose"), False),
        (("--settings", "bus.toml", "update", "status"), False),
        (("--version",), False),
        ((), True),
    ],
)
def test_only_the_terminal_itself_is_counted(words: tuple[str, ...], counts: bool) -> None:
    assert is_start(words) is counts

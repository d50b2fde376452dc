"""The terminal's end of the head's cable without a port: any bytes, in any order, at any time; always bounded."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.link import messages
from firmware.link.frames import PAYLOAD_BYTES_MAX, Decoder, encode
from firmware.link.window import RETRY_MS, SLOTS
from offline_ledger.terminal.drivers.head_session import (
    HELLO_MS,
    OUT_BYTES_MAX,
    SESSION_MAX,
    SILENT_MS,
    STATUS_MS,
    UNFIT_MS,
    Begun,
    Ended,
    HeadSession,
    Lit,
    Scanned,
    ScansLost,
    Unfit,
)

BOARD = b"12345678"
GREEN = (messages.ACCEPTED, messages.ACCEPTED_CASH_DUE)


def sent(session: HeadSession) -> list[tuple[int, int, bytes]]:
    """What the session sends now, as frames."""
    data = bytes(session.out)
    session.out.clear()
    return Decoder().push(data)


def hello(session: int, oldest: int = 1, newest: int = 1) -> bytes:
    return bytes(encode(messages.HELLO, 0, messages.head_hello(oldest, newest, session, 1, (0, 1, 0), BOARD)))


def frame(kind: int, payload: bytes, sequence: int = 0) -> bytes:
    return bytes(encode(kind, sequence, payload))


def opened(first: int = 41) -> HeadSession:
    """A session that a head has answered at 0 ms; nothing waits to be sent."""
    made = HeadSession(first)
    made.greet(0)
    assert made.receive(hello(first + 1), 0) == [Begun(1, (0, 1, 0), BOARD)]
    sent(made)
    return made


def test_it_greets_until_it_is_answered_and_then_says_what_stands() -> None:
    made = HeadSession(41)
    made.light(messages.LOCKED, 0)
    made.greet(0)
    greeting = (messages.HELLO, 0, messages.host_hello(1, 2, 42))
    assert sent(made) == [greeting]
    assert made.tick(HELLO_MS - 1) == [] and sent(made) == [] and made.left_ms(HELLO_MS - 1) == 1
    assert made.tick(HELLO_MS) == [] and sent(made) == [greeting]
    made.receive(hello(42), HELLO_MS)
    lights = [messages.read_light(payload) for kind, _, payload in sent(made) if kind == messages.LIGHT]
    assert [state for _, state in lights] == [messages.LOCKED]


@pytest.mark.parametrize("strange", [41, 43, 7])
def test_an_answer_to_another_greeting_opens_nothing(strange: int) -> None:
    made = HeadSession(41)
    made.greet(0)
    assert made.receive(hello(strange), 0) == [] and not made.is_open


def test_session_numbers_never_are_0() -> None:
    made = HeadSession(SESSION_MAX - 1)
    numbers: list[int] = []
    for _ in range(3):
        made.greet(0)
        numbers += [messages.read_opening(payload)[2] for _, _, payload in sent(made)]
    assert numbers == [SESSION_MAX, 1, 2]


@pytest.mark.parametrize("state", range(messages.WAIT, messages.STATE_LAST + 1))
def test_a_new_session_shows_what_stands_but_never_a_green(state: int) -> None:
    made = opened()
    token = made.light(state, 0)
    assert made.receive(hello(0), 1) == [Ended("the head restarted")]
    sent(made)
    made.receive(hello(43), 2)
    ((again, shown),) = [messages.read_light(payload) for kind, _, payload in sent(made) if kind == messages.LIGHT]
    assert again > token and shown == (messages.WAIT if state in GREEN else state)
    assert made.receive(frame(messages.LIT, messages.lit(again)), 3) == [Lit(again)]


@pytest.mark.parametrize("state", range(messages.WAIT, messages.STATE_LAST + 1))
def test_without_a_session_nothing_is_promised(state: int) -> None:
    made = HeadSession(41)
    made.greet(0)
    assert made.light(state, 0) == 0 and not made.identify(5, 0)


def test_a_light_is_repeated_until_it_is_confirmed() -> None:
    made = opened()
    token = made.light(messages.REFUSED, 10)
    light = (messages.LIGHT, 0, messages.light(token, messages.REFUSED))
    assert sent(made) == [light]
    made.tick(10 + RETRY_MS - 1)
    assert sent(made) == []
    made.tick(10 + RETRY_MS)
    assert sent(made) == [light]
    assert made.receive(frame(messages.LIT, messages.lit(token)), 60) == [Lit(token)]
    made.tick(60 + RETRY_MS)
    assert sent(made) == []


def test_the_latest_light_wins_while_the_port_takes_nothing() -> None:
    made = opened()
    tokens = [made.light(messages.WAIT + turn % 10, 0) for turn in range(1_000)]
    assert len(made.out) <= OUT_BYTES_MAX + PAYLOAD_BYTES_MAX
    sent(made)
    made.pump(0)
    assert [messages.read_light(payload) for _, _, payload in sent(made)] == [(tokens[-1], messages.WAIT + 999 % 10)]


def test_it_pings_and_gives_up_when_nobody_answers() -> None:
    made = opened()
    pings = 0
    for now_ms in range(0, SILENT_MS):
        assert made.tick(now_ms) == []
        pings += sum(kind == messages.PING for kind, _, _ in sent(made))
    assert pings == 3
    assert made.tick(SILENT_MS) == [Ended("no answer for 1500 ms")] and not made.is_open
    assert [kind for kind, _, _ in sent(made)] == [messages.HELLO]


def test_any_whole_frame_is_a_sign_of_life() -> None:
    made = opened()
    for now_ms in range(0, 10 * SILENT_MS, 100):
        assert made.tick(now_ms) == []
        if now_ms % 1_000 == 0:
            made.receive(frame(messages.PONG, messages.pong(1, messages.WAIT, 1, 0)), now_ms)
    assert made.is_open


def test_scans_come_once_and_in_order() -> None:
    made = opened()
    one, two, three = (frame(messages.SCAN, bytes([n]), n) for n in (1, 2, 3))
    assert made.receive(one + one + three + two + two + three, 0) == [Scanned(b"\1"), Scanned(b"\2"), Scanned(b"\3")]
    acks = [messages.read_one_byte(payload) for kind, _, payload in sent(made) if kind == messages.ACK]
    assert acks == [1, 1, 1, 2, 2, 3]


@pytest.mark.parametrize(("before", "after", "lost"), [(0, 0, 0), (5, 7, 2), (65_535, 1, 2)])
def test_overruns_are_told_from_where_the_session_began(before: int, after: int, lost: int) -> None:
    made = opened()
    first = made.receive(frame(messages.PONG, messages.pong(1, 1, 1, before)), 0)
    second = made.receive(frame(messages.PONG, messages.pong(2, 1, 1, after)), 0)
    assert first == [] and second == ([ScansLost(lost)] if lost else [])


def test_another_version_is_told_and_asked_less_often() -> None:
    made = HeadSession(41)
    made.greet(0)
    assert made.receive(hello(42, 3, 4), 0) == [Unfit(3, 4)]
    sent(made)
    assert made.left_ms(0) == UNFIT_MS
    made.tick(UNFIT_MS)
    assert [kind for kind, _, _ in sent(made)] == [messages.HELLO]


def test_brightness_is_said_now_and_to_each_session() -> None:
    made = opened()
    made.set_brightness(24, 0)
    made.receive(hello(0), 1)
    made.receive(hello(43), 2)
    said = [messages.read_one_byte(payload) for kind, _, payload in sent(made) if kind == messages.BRIGHTNESS]
    assert said == [24]


def test_what_the_head_does_not_acknowledge_is_bounded() -> None:
    made = opened()
    assert [made.identify(5, 0) for _ in range(SLOTS + 3)] == [True] * SLOTS + [False] * 3


KIND = st.integers(0, 20)
WILD = st.one_of(
    st.binary(max_size=300),
    st.builds(frame, KIND, st.binary(max_size=PAYLOAD_BYTES_MAX), st.integers(0, 255)),
    st.builds(hello, st.integers(0, 50), st.integers(0, 2), st.integers(0, 2)),
    st.builds(lambda n: frame(messages.PONG, messages.pong(1, 1, 1, n)), st.integers(0, 65_535)),
    st.builds(lambda n: frame(messages.LIT, messages.lit(n)), st.integers(0, 9)),
)


@given(st.lists(st.tuples(WILD, st.integers(0, STATUS_MS), st.booleans()), max_size=40))
def test_whatever_comes_it_stays_whole_and_small(steps: list[tuple[bytes, int, bool]]) -> None:
    made = HeadSession(5)
    made.greet(0)
    now_ms = 0
    for data, wait_ms, is_taken in steps:
        now_ms += wait_ms
        made.receive(data, now_ms)
        made.tick(now_ms)
        made.light(messages.ACCEPTED, now_ms)
        assert len(made.out) <= OUT_BYTES_MAX + PAYLOAD_BYTES_MAX + 10
        assert made.left_ms(now_ms) >= 0
        if is_taken:
            made.out.clear()


def test_a_head_that_sends_noise_only_opens_nothing(rng: random.Random) -> None:
    made = HeadSession(5)
    made.greet(0)
    for _ in range(1_000):
        assert made.receive(rng.randbytes(500), 0) == []
    assert not made.is_open and made.frame_errors > 1_000 and made.frames == 0

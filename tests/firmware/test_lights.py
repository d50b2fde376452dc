"""Every state on the ring and in the ear: told apart by colour, by shape and by sound. FIELD_LESSONS 21."""

import itertools

import pytest

from firmware.link import messages
from firmware.reader_head.lights import BRIGHTNESS_DAY, BRIGHTNESS_NIGHT, FINDING, LIGHTS, SOUNDS
from simulators.head import SimulatedHead, state_of
from simulators.head.recording import STATE_NAMES, pixels_of
from tests.firmware.host import Host

STATES = sorted(LIGHTS)
GREEN = {messages.ACCEPTED, messages.ACCEPTED_CASH_DUE}
BLINK_MS_LEAST = 334  # WCAG 2.3.1: not more than three flashes a second
FOUND = tuple(part * BRIGHTNESS_DAY // 255 for part in FINDING[0])
USB_MA = 500
"""A WS2812 draws 20 mA for each of its three colours at full brightness."""


def test_every_state_has_a_light_a_sound_and_a_name() -> None:
    assert STATES == list(range(messages.WAIT, messages.STATE_LAST + 1)) == sorted(SOUNDS) == sorted(STATE_NAMES)


@pytest.mark.parametrize(("one", "other"), list(itertools.combinations(STATES, 2)))
def test_no_two_states_share_colour_shape_or_sound(one: int, other: int) -> None:
    assert LIGHTS[one][:2] != LIGHTS[other][:2]
    shapes = [{first | second for first, second in LIGHTS[state][3]} - {0} for state in (one, other)]
    if {one, other} != GREEN:  # both fill the ring; the second blinks in two colours
        assert not shapes[0] & shapes[1]
    assert shapes[0] != shapes[1]
    assert SOUNDS[one] != SOUNDS[other]


@pytest.mark.parametrize("state", STATES)
def test_green_is_for_accepted_alone_and_nothing_flickers(state: int) -> None:
    one, two, step_ms, steps = LIGHTS[state]
    is_green = any(green > red and green > blue for red, green, blue in (one, two))
    assert is_green == (state in GREEN)
    assert len(steps) == 1 or step_ms * len(steps) >= BLINK_MS_LEAST or (0, 0) not in steps
    for step in range(len(steps)):
        drawn = sum(sum(pixel) for pixel in pixels_of(state, step, BRIGHTNESS_DAY)) * 20 // 255
        assert drawn < USB_MA - 100  # the rest is the board's and the buzzer's
    assert state == messages.WAIT or any(hertz for hertz, _ in SOUNDS[state])
    assert sum(ms for _, ms in SOUNDS[state]) <= 800


def test_finding_flickers_not_and_draws_no_more_than_the_port_gives() -> None:
    assert FINDING[2] * len(FINDING[3]) >= BLINK_MS_LEAST
    assert 24 * sum(FOUND) * 20 // 255 < USB_MA - 100


@pytest.mark.parametrize("state", STATES)
def test_the_ring_and_the_buzzer_do_as_the_table_says(head: SimulatedHead, host: Host, state: int) -> None:
    before_us = head.timeline()[-1].at_us
    host.light(1, state)
    head.wait_until(lambda: head.ring() == pixels_of(state, 0, BRIGHTNESS_DAY), "the pixels")
    assert state_of(head.ring()) == state == host.pong()[1]
    notes = [hertz for hertz, _ in SOUNDS[state] if hertz]
    wanted_ms = sum(ms for _, ms in SOUNDS[state])

    def played() -> list[int]:
        tones = [event.number for event in head.timeline(before_us + 1) if event.what == "tone"]
        return [hertz for hertz, _ in itertools.groupby(tones) if hertz]

    head.wait_until(lambda: played() == notes and head.tone_hertz() == 0, f"the notes {notes}")
    tones = [event for event in head.timeline(before_us + 1) if event.what == "tone"]
    if tones:
        lasted_ms = (tones[-1].at_us - tones[0].at_us) // 1000
        assert (
            wanted_ms - 5 <= lasted_ms <= wanted_ms + 2_000
        )  # each note ends at the loop's next step, later on a busy machine


@pytest.mark.parametrize("state", [state for state in STATES if len(LIGHTS[state][3]) > 1])
def test_patterns_that_move_move(head: SimulatedHead, host: Host, state: int) -> None:
    host.light(1, state)
    seen = set()

    def all_seen() -> bool:
        seen.add(head.ring())
        host.send(messages.PING, messages.ping(1))
        host.hear()
        return seen >= {pixels_of(state, step, BRIGHTNESS_DAY) for step in range(len(LIGHTS[state][3]))}

    head.wait_until(all_seen, "all steps of the pattern")


def test_night_is_dim_and_day_comes_back(head: SimulatedHead, host: Host) -> None:
    host.light(1, messages.ALREADY_ACCEPTED)
    for sequence, brightness in enumerate((BRIGHTNESS_NIGHT, BRIGHTNESS_DAY), 1):
        host.send(messages.BRIGHTNESS, messages.one_byte(brightness), sequence)
        wanted = pixels_of(messages.ALREADY_ACCEPTED, 0, brightness)
        head.wait_until(lambda wanted=wanted: head.ring() == wanted, f"brightness {brightness}")
    assert state_of(head.ring()) == messages.ALREADY_ACCEPTED


def test_it_blinks_to_be_found_and_the_next_light_ends_it(head: SimulatedHead, host: Host) -> None:
    host.light(1, messages.WAIT)
    host.send(messages.IDENTIFY, messages.identify(60_000), 1)
    white = (FOUND,) * 24
    head.wait_until(lambda: head.ring() == white and head.tone_hertz() > 0, "blinking")
    host.light(2, messages.REFUSED)
    head.wait_for(messages.REFUSED)
    host.send(messages.IDENTIFY, messages.identify(50), 2)
    head.wait_until(lambda: head.ring() == white, "blinking")
    head.wait_for(messages.REFUSED)

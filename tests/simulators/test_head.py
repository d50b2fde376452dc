"""The simulated head behaves as a board on a cable: power, port, time, a watchdog outside, and lies by name only."""

import os
import time
from pathlib import Path

import pytest
import serial

from firmware.link import messages
from firmware.reader_head.lights import BRIGHTNESS_NIGHT, LIGHTS
from simulators.head import Event, SimulatedHead, state_of
from simulators.head.recording import DARK, EVENTS_MAX, Recording, pixels_of


def test_the_cable_carries_power_and_takes_it_away(tmp_path: Path) -> None:
    link = tmp_path / "head0"
    with SimulatedHead(link) as head:
        assert link.is_symlink() and head.is_plugged and head.is_running
        port = serial.Serial(str(link), 115_200, timeout=0)
        head.unplug()
        assert not link.exists() and not head.is_running and head.ring() == DARK and head.link_led() == 0
        with pytest.raises((OSError, serial.SerialException)):
            while True:
                os.read(port.fileno(), 100)
                os.write(port.fileno(), b"x" * 100)
        port.close()
        head.replug()
        head.wait_for(messages.OUT_OF_SERVICE)
        boots = [event for event in head.timeline() if event.what in ("boot", "off")]
        assert [(event.what, event.number) for event in boots] == [("boot", 1), ("off", 0), ("boot", 1)]
    assert not link.exists()


def test_its_times_are_those_of_this_machine(tmp_path: Path) -> None:
    before_us = time.monotonic_ns() // 1000
    with SimulatedHead(tmp_path / "head0") as head:
        first = head.timeline()[0]
        assert first.what == "boot" and before_us < first.at_us < time.monotonic_ns() // 1000
        assert [event for event in head.timeline(first.at_us + 1) if event.what == "boot"] == []


def test_a_firmware_that_fails_is_restarted_and_leaves_its_words(tmp_path: Path) -> None:
    with SimulatedHead(tmp_path / "head0", board=b"") as head:  # no such chip: still no reason to fail
        assert head.standard_error() == ""
        head.kill()
        assert not head.is_running and head.is_plugged
        head.restart(1)
        head.wait_for(messages.OUT_OF_SERVICE)


def test_every_picture_of_the_ring_is_known_again() -> None:
    for state, light in LIGHTS.items():
        for step, masks in enumerate(light[3]):
            assert state_of(pixels_of(state, step, BRIGHTNESS_NIGHT)) == (state if any(masks) else messages.DARK)
    assert state_of(((1, 2, 3),) * 24) is None


def test_the_recording_takes_lines_in_pieces_and_keeps_a_bounded_history() -> None:
    recording = Recording()
    lines = b"5 led 1\n6 tone 440\n7 pixels " + b"0a0b0c" * 24 + b"\n8 feed 0\n9 tone 0\n"
    found: list[Event] = []
    for at in range(0, len(lines), 7):
        found += recording.push(lines[at : at + 7])
    assert [event.what for event in found] == ["led", "tone", "pixels", "feed", "tone"]
    assert recording.ring == ((10, 11, 12),) * 24 and recording.led == 1 and recording.tone_hertz == 0
    assert len(recording.events) == 4  # a fed watchdog is no event
    for _ in range(EVENTS_MAX + 5):
        recording.push(b"10 tone 1\n")
    assert len(recording.events) == EVENTS_MAX

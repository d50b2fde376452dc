"""The reader head's driver with the real firmware on a pty: lights confirmed, scans, hot-plug, other versions."""

import itertools
import random
import threading
import time

import pytest

from firmware.link import messages
from firmware.link.frames import PAYLOAD_BYTES_MAX
from firmware.reader_head.lights import BRIGHTNESS_DAY, BRIGHTNESS_NIGHT
from offline_ledger.errors import (
    HeadLost,
    HeadScansLost,
    ScanIncomplete,
)
from offline_ledger.terminal import lights as lights_module
from offline_ledger.terminal.drivers import head as driver_module
from offline_ledger.terminal.drivers import head_session
from offline_ledger.terminal.drivers.head import state_for
from offline_ledger.terminal.drivers.head_lamp import HeadLight
from offline_ledger.terminal.headless import LineLamp
from offline_ledger.terminal.lights import Lights
from offline_ledger.terminal.outcome import Light, Outcome
from offline_ledger.terminal.scan_loop import ScanLoop
from simulators.head import Button, SimulatedHead
from simulators.head.recording import pixels_of
from tests.qr_texts import sample_text
from tests.terminal.drivers.head_bench import HeadBench
from tests.terminal.drivers.poll_bench import DEADLINE_S

GREEN = (messages.ACCEPTED, messages.ACCEPTED_CASH_DUE)


# --- lights


@pytest.mark.parametrize("state", range(messages.WAIT, messages.STATE_LAST + 1))
def test_each_light_is_on_when_it_is_confirmed(head: SimulatedHead, bench: HeadBench, state: int) -> None:
    bench.show(messages.WAIT if state != messages.WAIT else messages.LOCKED)
    bench.until(lambda: len(bench.lit) == 1, "another light before")
    begun_us, lit_us = time.monotonic_ns() // 1000, list[int]()
    assert bench.driver.show(state, lambda: lit_us.append(time.monotonic_ns() // 1000))
    bench.until(lambda: bool(lit_us), "the confirmation")
    wanted = pixels_of(state, 0, BRIGHTNESS_DAY)
    head.wait_until(lambda: head.ring() == wanted, "the pixels")  # their line may trail, their time may not
    assert next(event.at_us for event in head.timeline(begun_us) if event.pixels == wanted) <= lit_us[0]
    bench.poll_for(0.1)
    assert len(lit_us) == 1


def test_acquaintance_and_light_take_no_longer_than_the_cable(head: SimulatedHead) -> None:
    """A long poll ends with what it waited for: a start of the validator waits for its head."""
    bench = HeadBench(str(head.port))
    bench.driver.open()
    begun_s = time.monotonic()
    bench.driver.poll(DEADLINE_S)
    assert bench.driver.is_linked
    bench.show(messages.WAIT)
    while not bench.lit:
        bench.driver.poll(DEADLINE_S)
    assert time.monotonic() - begun_s < DEADLINE_S / 2  # some 3 ms where nothing else runs
    bench.driver.close()


def test_each_light_of_the_acceptor_has_a_state_and_training_is_never_green() -> None:
    states = [state_for(light, is_training=False) for light in Light]
    assert len(set(states)) == len(Light) and messages.TRAINING not in states
    for light in Light:
        trained = state_for(light, is_training=True)
        assert trained not in GREEN
        assert trained == (messages.TRAINING if state_for(light, is_training=False) in GREEN else trained)


@pytest.mark.parametrize("is_there", [True, False])
def test_a_green_on_its_way_while_the_program_ends_is_recorded_if_the_head_has_it(
    head: SimulatedHead, bench: HeadBench, is_there: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`quit` in the millisecond between a passenger's green and the head's word: the city is owed that fare."""
    if is_there:
        monkeypatch.setattr(lights_module, "SETTLE_S_MAX", DEADLINE_S)  # a machine that is busy with other tests
    loop = ScanLoop(lambda _text: None, lambda _source, _refusal: None, lambda: None)
    lights = Lights(LineLamp(), loop.do)
    lights.with_head(HeadLight(bench.driver, is_training=False))
    lit: list[int | None] = []

    def show_and_quit() -> None:
        if not is_there:
            head.freeze()
        lights.show(Outcome(Light.ACCEPTED, 7), lambda outcome: lit.append(outcome.sequence))
        loop.stop()

    threading.Timer(0.05, loop.do, [show_and_quit]).start()
    begun_s = time.monotonic()
    loop.run([bench.driver], lambda: None, lights.settle)
    assert lit == ([7] if is_there else [])
    assert time.monotonic() - begun_s < DEADLINE_S / 2, "its end is not put off for long"


def test_the_latest_light_wins_in_a_burst(head: SimulatedHead, bench: HeadBench) -> None:
    for turn in range(200):
        bench.driver.show(messages.WAIT + turn % 10, lambda turn=turn: bench.lit.append(turn))
    bench.until(lambda: bench.lit[-1:] == [199], "the last light")
    bench.poll_for(0.1)
    assert all(one < other for one, other in itertools.pairwise(int(str(turn)) for turn in bench.lit))
    assert head.state() == messages.WAIT + 199 % 10


def test_show_from_another_thread_wakes_a_long_poll(head: SimulatedHead, bench: HeadBench) -> None:
    took_s: list[float] = []

    def show() -> None:
        begun_s = time.monotonic()
        bench.show(messages.REFUSED)
        took_s.append(time.monotonic() - begun_s)

    other = threading.Timer(0.05, show)
    other.start()
    bench.until(lambda: bench.lit == [messages.REFUSED], "the light")
    other.join()
    assert took_s[0] < 0.5 and head.state() == messages.REFUSED


def test_show_never_waits_for_a_head_that_takes_nothing(head: SimulatedHead, bench: HeadBench) -> None:
    head.kill()
    begun_s = time.monotonic()
    for turn in range(5_000):
        bench.show(messages.WAIT + turn % 10)
    bench.driver.identify()
    assert time.monotonic() - begun_s < 2.0
    assert len(bench.driver._session.out) <= head_session.OUT_BYTES_MAX + PAYLOAD_BYTES_MAX
    assert len(bench.driver._lit) <= driver_module.LIGHTS_MAX
    bench.until(lambda: not bench.driver.is_linked, "the loss to be seen")
    head.restart()
    bench.linked()
    assert bench.lit == []


@pytest.mark.parametrize("green", GREEN)
def test_a_green_pulled_out_before_it_was_lit_is_never_confirmed_nor_shown_again(
    head: SimulatedHead, bench: HeadBench, green: int
) -> None:
    bench.show(messages.WAIT)
    bench.until(lambda: bench.lit == [messages.WAIT])
    head.unplug()
    bench.show(green)  # the cable is out; the driver has not seen it yet
    bench.until(lambda: HeadLost in bench.told(), "the loss")
    head.plug()
    bench.linked()
    head.wait_for(messages.WAIT)
    bench.poll_for(0.3)
    assert bench.lit == [messages.WAIT] and head.state() == messages.WAIT
    assert bench.show(green)
    bench.until(lambda: bench.lit == [messages.WAIT, green], "the next green")


def test_pulled_in_the_middle_of_taps_again_and_again(
    head: SimulatedHead, bench: HeadBench, rng: random.Random
) -> None:
    """Whatever the moment: a confirmation means that the ring showed this light in the time between."""
    for tap in range(12):
        bench.linked()
        begun_us = time.monotonic_ns() // 1000
        lit: list[int] = []
        bench.driver.show(messages.ACCEPTED, lambda lit=lit: lit.append(1))
        for _ in range(rng.randrange(4)):
            bench.poll(0.0005)
        head.unplug(power_stays=tap % 2 == 0)
        bench.until(lambda: not bench.driver.is_linked, "the loss")
        shown = [e for e in head.timeline(begun_us) if e.pixels == pixels_of(messages.ACCEPTED, 0, BRIGHTNESS_DAY)]
        assert len(lit) <= len(shown), f"tap {tap}"
        head.plug()
        bench.linked()
        bench.until(lambda: head.state() not in GREEN, "the green to go")  # it stood while the head had its own power
        assert len(lit) <= 1
    assert set(bench.told()) == {HeadLost}


def test_four_threads_show_while_the_cable_comes_and_goes(
    head: SimulatedHead, bench: HeadBench, rng: random.Random
) -> None:
    stopped = threading.Event()
    failed: list[BaseException] = []

    def show(turn: int) -> None:
        try:
            while not stopped.wait(0.001):
                bench.show(messages.WAIT + turn)
                bench.driver.set_theme(night=turn % 2 == 0)
                bench.driver.health()
                bench.driver.wake()
        except BaseException as error:
            failed.append(error)
            raise

    threads = [threading.Thread(target=show, args=(turn,)) for turn in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(6):
        bench.poll_for(rng.random() / 10)
        head.unplug(power_stays=True)
        bench.until(lambda: not bench.driver.is_linked)
        head.plug()
        bench.linked()
    stopped.set()
    for thread in threads:
        thread.join()
    bench.lit.clear()
    bench.show(messages.LOCKED)
    bench.until(lambda: messages.LOCKED in bench.lit, "the last light")
    assert failed == [] and set(bench.told()) == {HeadLost}


def test_what_stands_is_shown_to_a_head_that_comes(head: SimulatedHead, bench: HeadBench) -> None:
    bench.driver.set_theme(night=True)
    bench.show(messages.LOCKED)
    bench.until(lambda: bench.lit == [messages.LOCKED])
    for _ in range(2):
        head.unplug()
        bench.until(lambda: bench.driver.is_lost)
        assert not bench.driver.show(messages.ALREADY_ACCEPTED, lambda: bench.lit.append("never"))
        head.plug()
        wanted = pixels_of(messages.ALREADY_ACCEPTED, 0, BRIGHTNESS_NIGHT)
        bench.until(lambda wanted=wanted: head.ring() == wanted, "the light again")
    assert bench.lit == [messages.LOCKED]
    assert not bench.driver.is_lost and bench.driver.health().sessions == 3


def test_a_head_that_restarts_is_met_again(head: SimulatedHead, bench: HeadBench) -> None:
    bench.show(messages.ACCEPTED)
    bench.until(lambda: bench.lit == [messages.ACCEPTED])
    head.restart()
    bench.until(lambda: bench.driver.health().sessions == 2, "a new session")
    head.wait_for(messages.WAIT)
    assert bench.lit == [messages.ACCEPTED] and bench.told() == []


def test_a_frozen_head_is_lost_and_its_watchdog_brings_it_back(head: SimulatedHead, bench: HeadBench) -> None:
    head.freeze()
    bench.show(messages.ACCEPTED)
    bench.until(lambda: HeadLost in bench.told(), "the loss")
    assert bench.driver.is_lost and bench.driver.health().connected
    bench.linked()
    bench.until(lambda: (status := bench.driver.health().status) is not None and status.reset_cause == 3, "its status")
    assert bench.lit == [] and not bench.driver.is_lost


def test_polling_keeps_the_head_alive_and_silence_does_not(head: SimulatedHead, bench: HeadBench) -> None:
    bench.show(messages.READING)
    bench.poll_for(2.5)
    assert head.state() == messages.READING
    head.wait_for(messages.OUT_OF_SERVICE)  # nobody polls
    bench.until(lambda: bench.driver.health().sessions == 2, "a new session")
    bench.until(lambda: head.state() == messages.READING, "the light that stands")
    assert bench.lit == [messages.READING] and bench.told() == []


def test_it_is_found_by_its_blinking(head: SimulatedHead, bench: HeadBench) -> None:
    assert bench.driver.identify(60_000)
    bench.until(lambda: len(set(head.ring())) == 1 and head.ring()[0][0] > 0, "blinking all round")


# --- what comes from it


@pytest.mark.parametrize("suffix", [b"\r\n", b"\r", b"\n", b""])
def test_texts_of_its_scanner(head: SimulatedHead, bench: HeadBench, rng: random.Random, suffix: bytes) -> None:
    made = bench
    if not suffix:
        bench.driver.close()
        made = HeadBench(str(head.port), suffix=False)
        made.driver.open()
        made.linked()
    texts = [sample_text(rng) for _ in range(3)]
    for count, text in enumerate(texts, 1):
        head.scan(text, suffix=suffix)
        made.until(lambda count=count: len(made.texts) == count, "the text")
    assert made.texts == texts and made.told() == []
    made.driver.close()


def test_a_scan_cut_by_the_cable_is_no_half_of_the_next(
    head: SimulatedHead, bench: HeadBench, rng: random.Random
) -> None:
    head.scan("KGO1P:HALF", suffix=b"")
    bench.until(lambda: not bench.driver._splitter.is_idle, "the half")
    head.unplug(power_stays=True)
    bench.until(lambda: HeadLost in bench.told())
    head.plug()
    bench.linked()
    text = sample_text(rng)
    head.scan(text)
    bench.until(lambda: bool(bench.texts))
    assert bench.texts == [text] and bench.told() == [HeadLost, ScanIncomplete]


def test_scans_and_lights_through_noise(head: SimulatedHead, bench: HeadBench, rng: random.Random) -> None:
    head.set_noise(500)
    for _ in range(20):
        bench.linked()
        text = sample_text(rng)
        head.scan(text)
        bench.until(lambda text=text: text in bench.texts, "the text")
        bench.show(messages.ALREADY_ACCEPTED)
        bench.until(lambda: bench.lit == [messages.ALREADY_ACCEPTED], "the light")
        bench.lit.clear()
    assert len(bench.texts) == 20 and bench.told() == []


def test_scans_lost_in_the_head_are_told(head: SimulatedHead, bench: HeadBench) -> None:
    bench.until(lambda: bench.driver._session._overruns == 0, "the first pong")
    until_s = time.monotonic() + DEADLINE_S
    while HeadScansLost not in bench.told():
        assert time.monotonic() < until_s
        head.flood(b"x" * 4_000)
        bench.poll(0.05)
    assert bench.driver.health().scans_lost >= 1


def test_buttons_and_the_cover(head: SimulatedHead, bench: HeadBench) -> None:
    presser = threading.Thread(target=lambda: (head.press(Button.ONE), head.press(Button.TWO, long=True)))
    presser.start()
    bench.until(lambda: len(bench.buttons) == 5, "five words of two buttons")
    presser.join()
    assert bench.buttons == [(1, 1), (1, 2), (2, 1), (2, 3), (2, 2)]
    head.tamper(True)
    bench.until(lambda: bench.covers == [False, True], "the open cover")
    assert bench.driver.health().is_cover_open


def test_health_says_what_the_head_says(head: SimulatedHead, bench: HeadBench) -> None:
    bench.until(lambda: bench.driver.health().status is not None, "its status")
    health = bench.driver.health()
    assert health.status is not None
    assert health.connected and health.linked and health.firmware == "0.2.0" and health.board == "e660583883000001"
    assert health.status.free_bytes_least > 96 * 1024 and health.status.reset_cause == 1
    assert health.path == str(head.port) and health.frame_errors == 0

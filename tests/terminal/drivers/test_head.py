"""The reader head's driver with the real firmware on a pty: lights confirmed, scans, hot-plug, other versions."""

import itertools
import os
import random
import threading
import time
import tty
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import serial

from firmware.link import messages
from firmware.link.frames import PAYLOAD_BYTES_MAX
from firmware.reader_head.lights import BRIGHTNESS_DAY, BRIGHTNESS_NIGHT
from offline_ledger.errors import (
    DevicePortForbidden,
    DevicePortInUse,
    HeadGarbled,
    HeadLost,
    HeadScansLost,
    HeadUnfit,
    Refusal,
    ScanIncomplete,
    TwoHeads,
)
from offline_ledger.terminal.drivers import head as driver_module
from offline_ledger.terminal.drivers import head_session
from offline_ledger.terminal.drivers.head import REFUSALS_MAX, HeadSettings, ReaderHead, state_for
from offline_ledger.terminal.outcome import Light
from simulators.head import Button, SimulatedHead
from simulators.head.recording import pixels_of
from tests.qr_texts import sample_text

DEADLINE_S = 10.0
GREEN = (messages.ACCEPTED, messages.ACCEPTED_CASH_DUE)


class Bench:
    """A driver, what it told, and the poll loop around it."""

    def __init__(self, path: str, *, suffix: bool = True) -> None:
        self.texts: list[str] = []
        self.refusals: list[Refusal] = []
        self.buttons: list[tuple[int, int]] = []
        self.covers: list[bool] = []
        self.lit: list[object] = []
        self.driver = ReaderHead(
            HeadSettings(path, suffix=suffix, pause_s=0.3, back_off_first_s=0.01, back_off_last_s=0.05),
            on_button=lambda button, kind: self.buttons.append((button, kind)),
            on_tamper=self.covers.append,
        )

    def until(self, condition: Callable[[], bool], what: str = "it") -> None:
        """Poll until the condition holds."""
        until_s = time.monotonic() + DEADLINE_S
        while not condition():
            assert time.monotonic() < until_s, (what, self.texts, self.refusals, self.driver.health())
            self.poll(0.02)

    def poll(self, wait_s: float) -> None:
        self.texts += self.driver.poll(wait_s)
        self.refusals += self.driver.take_refusals()

    def poll_for(self, wait_s: float) -> None:
        until_s = time.monotonic() + wait_s
        while time.monotonic() < until_s:
            self.poll(0.02)

    def linked(self) -> "Bench":
        self.until(lambda: self.driver.is_linked, "a session")
        return self

    def show(self, state: int) -> bool:
        """Its confirmation is noted by the state."""
        return self.driver.show(state, lambda: self.lit.append(state))

    def told(self) -> list[type[Refusal]]:
        return [type(refusal) for refusal in self.refusals]


@pytest.fixture
def head(tmp_path: Path, seed: int) -> Iterator[SimulatedHead]:
    with SimulatedHead(tmp_path / "head0", seed=seed) as made:
        yield made
        assert made.standard_error() == ""


@pytest.fixture
def bench(head: SimulatedHead) -> Iterator[Bench]:
    made = Bench(str(head.port))
    assert made.driver.open()
    yield made.linked()
    made.driver.close()


# --- lights


@pytest.mark.parametrize("state", range(messages.WAIT, messages.STATE_LAST + 1))
def test_each_light_is_on_when_it_is_confirmed(head: SimulatedHead, bench: Bench, state: int) -> None:
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
    bench = Bench(str(head.port))
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


def test_the_latest_light_wins_in_a_burst(head: SimulatedHead, bench: Bench) -> None:
    for turn in range(200):
        bench.driver.show(messages.WAIT + turn % 10, lambda turn=turn: bench.lit.append(turn))
    bench.until(lambda: bench.lit[-1:] == [199], "the last light")
    bench.poll_for(0.1)
    assert all(one < other for one, other in itertools.pairwise(int(str(turn)) for turn in bench.lit))
    assert head.state() == messages.WAIT + 199 % 10


def test_show_from_another_thread_wakes_a_long_poll(head: SimulatedHead, bench: Bench) -> None:
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


def test_show_never_waits_for_a_head_that_takes_nothing(head: SimulatedHead, bench: Bench) -> None:
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
    head: SimulatedHead, bench: Bench, green: int
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


def test_pulled_in_the_middle_of_taps_again_and_again(head: SimulatedHead, bench: Bench, rng: random.Random) -> None:
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
        bench.poll(0.05)
        assert len(lit) <= 1 and head.state() not in GREEN
    assert set(bench.told()) == {HeadLost}


def test_four_threads_show_while_the_cable_comes_and_goes(
    head: SimulatedHead, bench: Bench, rng: random.Random
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


def test_what_stands_is_shown_to_a_head_that_comes(head: SimulatedHead, bench: Bench) -> None:
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


def test_a_head_that_restarts_is_met_again(head: SimulatedHead, bench: Bench) -> None:
    bench.show(messages.ACCEPTED)
    bench.until(lambda: bench.lit == [messages.ACCEPTED])
    head.restart()
    bench.until(lambda: bench.driver.health().sessions == 2, "a new session")
    head.wait_for(messages.WAIT)
    assert bench.lit == [messages.ACCEPTED] and bench.told() == []


def test_a_frozen_head_is_lost_and_its_watchdog_brings_it_back(head: SimulatedHead, bench: Bench) -> None:
    head.freeze()
    bench.show(messages.ACCEPTED)
    bench.until(lambda: HeadLost in bench.told(), "the loss")
    assert bench.driver.is_lost and bench.driver.health().connected
    bench.linked()
    bench.until(lambda: (status := bench.driver.health().status) is not None and status.reset_cause == 3, "its status")
    assert bench.lit == [] and not bench.driver.is_lost


def test_polling_keeps_the_head_alive_and_silence_does_not(head: SimulatedHead, bench: Bench) -> None:
    bench.show(messages.READING)
    bench.poll_for(2.5)
    assert head.state() == messages.READING
    head.wait_for(messages.OUT_OF_SERVICE)  # nobody polls
    bench.until(lambda: bench.driver.health().sessions == 2, "a new session")
    bench.until(lambda: head.state() == messages.READING, "the light that stands")
    assert bench.lit == [messages.READING] and bench.told() == []


def test_it_is_found_by_its_blinking(head: SimulatedHead, bench: Bench) -> None:
    assert bench.driver.identify(60_000)
    bench.until(lambda: head.ring() == ((BRIGHTNESS_DAY,) * 3,) * 24, "blinking")


# --- what comes from it


@pytest.mark.parametrize("suffix", [b"\r\n", b"\r", b"\n", b""])
def test_texts_of_its_scanner(head: SimulatedHead, bench: Bench, rng: random.Random, suffix: bytes) -> None:
    made = bench
    if not suffix:
        bench.driver.close()
        made = Bench(str(head.port), suffix=False)
        made.driver.open()
        made.linked()
    texts = [sample_text(rng) for _ in range(3)]
    for count, text in enumerate(texts, 1):
        head.scan(text, suffix=suffix)
        made.until(lambda count=count: len(made.texts) == count, "the text")
    assert made.texts == texts and made.told() == []
    made.driver.close()


def test_a_scan_cut_by_the_cable_is_no_half_of_the_next(head: SimulatedHead, bench: Bench, rng: random.Random) -> None:
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


def test_scans_and_lights_through_noise(head: SimulatedHead, bench: Bench, rng: random.Random) -> None:
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


def test_scans_lost_in_the_head_are_told(head: SimulatedHead, bench: Bench) -> None:
    bench.until(lambda: bench.driver._session._overruns == 0, "the first pong")
    until_s = time.monotonic() + DEADLINE_S
    while HeadScansLost not in bench.told():
        assert time.monotonic() < until_s
        head.flood(b"x" * 4_000)
        bench.poll(0.05)
    assert bench.driver.health().scans_lost >= 1


def test_buttons_and_the_cover(head: SimulatedHead, bench: Bench) -> None:
    presser = threading.Thread(target=lambda: (head.press(Button.ONE), head.press(Button.TWO, long=True)))
    presser.start()
    bench.until(lambda: len(bench.buttons) == 5, "five words of two buttons")
    presser.join()
    assert bench.buttons == [(1, 1), (1, 2), (2, 1), (2, 3), (2, 2)]
    head.tamper(True)
    bench.until(lambda: bench.covers == [False, True], "the open cover")
    assert bench.driver.health().is_cover_open


def test_health_says_what_the_head_says(head: SimulatedHead, bench: Bench) -> None:
    bench.until(lambda: bench.driver.health().status is not None, "its status")
    health = bench.driver.health()
    assert health.status is not None
    assert health.connected and health.linked and health.firmware == "0.1.0" and health.board == "e660583883000001"
    assert health.status.free_bytes_least > 96 * 1024 and health.status.reset_cause == 1
    assert health.path == str(head.port) and health.frame_errors == 0


# --- ports


def test_two_heads_one_head_no_head(tmp_path: Path) -> None:
    bench = Bench(str(tmp_path / "head*"))
    assert not bench.driver.open()
    assert bench.driver.fileno() is None
    with SimulatedHead(tmp_path / "head0") as one, SimulatedHead(tmp_path / "head1", board=bytes(8)) as other:
        bench.until(lambda: TwoHeads in bench.told(), "two heads")
        assert not bench.driver.is_linked and bench.driver.is_lost
        other.unplug()
        bench.linked()
        assert bench.driver.health().board == "e660583883000001"
        one.unplug()
        bench.until(lambda: not bench.driver.is_linked)
        other.plug()
        bench.until(lambda: bench.driver.health().board == bytes(8).hex(), "the other head")
    assert bench.told() == [HeadLost, TwoHeads, HeadLost]
    bench.driver.close()


def test_one_head_under_two_names_is_one(tmp_path: Path, head: SimulatedHead) -> None:
    (tmp_path / "head0-too").symlink_to(head.port)
    bench = Bench(str(tmp_path / "head*"))
    bench.driver.open()
    bench.linked()
    bench.driver.close()


@pytest.mark.parametrize("versions", [(0, 0), (2, 9)])
def test_a_head_of_another_version_is_refused_with_what_is_needed(tmp_path: Path, versions: tuple[int, int]) -> None:
    bench = Bench(str(tmp_path / "head0"))
    with SimulatedHead(tmp_path / "head0", protocol=versions) as head:
        bench.driver.open()
        bench.until(lambda: bool(bench.refusals), "the refusal")
        bench.poll_for(0.5)
        assert bench.told() == [HeadUnfit] and bench.driver.is_lost
        said = f"the head speaks version {versions[0]}-{versions[1]}, this terminal 1-1"
        assert bench.refusals[0].detail == said == bench.driver.health().last_error
        assert not bench.show(messages.ACCEPTED)
        assert head.state() == messages.OUT_OF_SERVICE
    with SimulatedHead(tmp_path / "head0"):  # the technician has put the right firmware on it
        bench.linked()
        assert not bench.driver.is_lost
    bench.driver.close()


@pytest.mark.parametrize("versions", [(0, 1), (1, 9)])
def test_a_head_of_another_version_that_speaks_ours_too_works(tmp_path: Path, versions: tuple[int, int]) -> None:
    bench = Bench(str(tmp_path / "head0"))
    with SimulatedHead(tmp_path / "head0", protocol=versions):
        bench.driver.open()
        bench.linked().show(messages.ACCEPTED)
        bench.until(lambda: bench.lit == [messages.ACCEPTED])
    bench.driver.close()


class Rubbish:
    """Something on a port that is no reader head."""

    def __init__(self, link: Path) -> None:
        self.master, self.slave = os.openpty()
        tty.setraw(self.slave)
        os.set_blocking(self.master, False)
        link.symlink_to(os.ttyname(self.slave))

    def close(self) -> None:
        os.close(self.slave)
        os.close(self.master)


def test_garbage_at_full_speed_is_told_and_bounded(tmp_path: Path, rng: random.Random) -> None:
    rubbish = Rubbish(tmp_path / "head0")
    bench = Bench(str(tmp_path / "head0"))
    bench.driver.open()
    until_s = time.monotonic() + DEADLINE_S
    while not bench.refusals:
        assert time.monotonic() < until_s
        try:
            os.write(rubbish.master, rng.randbytes(576))  # 115200 baud, every 50 ms
        except BlockingIOError:
            os.read(rubbish.master, 4_096)
        bench.poll(0.05)
    assert bench.told() == [HeadGarbled] and bench.texts == [] and not bench.driver.is_linked
    bench.driver.close()
    rubbish.close()


def test_garbage_between_frames_is_counted_and_harmless(head: SimulatedHead, bench: Bench, rng: random.Random) -> None:
    for _ in range(50):
        head.garbage_to_host(rng.randbytes(500))
        head.garbage_to_head(rng.randbytes(500))
        bench.poll(0.01)
    bench.show(messages.TRY_AGAIN)
    bench.until(lambda: bench.lit == [messages.TRY_AGAIN], "the light")
    assert bench.driver.health().frame_errors > 20 and bench.told() == [] and bench.driver.health().sessions == 1


def test_a_port_where_nobody_answers(tmp_path: Path) -> None:
    rubbish = Rubbish(tmp_path / "head0")
    bench = Bench(str(tmp_path / "head0"))
    assert bench.driver.open()
    bench.until(lambda: bool(bench.refusals), "the refusal")
    assert bench.told() == [HeadLost] and bench.refusals[0].detail.endswith("no answer")
    bench.driver.close()
    rubbish.close()


def test_two_programs_on_one_head(head: SimulatedHead, bench: Bench) -> None:
    second = ReaderHead(HeadSettings(str(head.port)))
    assert not second.open()
    assert [type(refusal) for refusal in second.take_refusals()] == [DevicePortInUse]
    second.close()


def test_no_right_to_the_port(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object, **__: object) -> None:
        raise serial.SerialException(13, "could not open port: permission denied")

    monkeypatch.setattr(serial, "Serial", forbidden)  # the test may run as root, whom nothing is forbidden
    driver = ReaderHead(HeadSettings("/dev/ttyACM0"))
    assert not driver.open()
    assert [type(refusal) for refusal in driver.take_refusals()] == [DevicePortForbidden]
    driver.close()


def test_refusals_nobody_takes_are_bounded(head: SimulatedHead, bench: Bench) -> None:
    until_s = time.monotonic() + DEADLINE_S
    while bench.driver.health().refusals_dropped < 1:
        assert time.monotonic() < until_s
        head.scan(b"x" * 1_100)
        bench.driver.poll(0.05)
    assert len(bench.driver.take_refusals()) == REFUSALS_MAX


def test_wake_ends_a_long_poll_and_closed_is_closed(bench: Bench) -> None:
    started_s = time.monotonic()
    waker = threading.Timer(0.05, bench.driver.wake)
    waker.start()
    assert bench.driver.poll(DEADLINE_S) == []
    assert time.monotonic() - started_s < DEADLINE_S / 2
    waker.join()
    assert bench.driver.poll(0) == []
    descriptor = bench.driver.fileno()
    assert descriptor is not None and os.isatty(descriptor)
    bench.driver.close()
    bench.driver.wake()
    assert not bench.show(messages.WAIT) and not bench.driver.identify()
    assert bench.driver.poll(DEADLINE_S) == [] and not bench.driver.open()

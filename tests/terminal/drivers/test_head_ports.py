"""The port of a reader head: none, two, another version, garbage, silence, another program; each its refusal."""

import os
import random
import time
import tty
from pathlib import Path

import pytest

from firmware.link import messages
from offline_ledger.errors import (
    DevicePortForbidden,
    DevicePortInUse,
    HeadGarbled,
    HeadLost,
    HeadUnfit,
    TwoHeads,
)
from offline_ledger.terminal.drivers import head_session
from offline_ledger.terminal.drivers.head import REFUSALS_MAX, HeadSettings, ReaderHead
from simulators.head import SimulatedHead
from tests.terminal.drivers.head_bench import HeadBench
from tests.terminal.drivers.poll_bench import DEADLINE_S, check_wake_ends_a_long_poll, forbid_ports

GREEN = (messages.ACCEPTED, messages.ACCEPTED_CASH_DUE)


# --- ports


def test_two_heads_one_head_no_head(tmp_path: Path) -> None:
    bench = HeadBench(str(tmp_path / "head*"))
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
    bench = HeadBench(str(tmp_path / "head*"))
    bench.driver.open()
    bench.linked()
    bench.driver.close()


def test_a_second_head_is_told_and_the_first_goes_on(tmp_path: Path) -> None:
    bench = HeadBench(str(tmp_path / "head*"))
    with SimulatedHead(tmp_path / "head1") as ours, SimulatedHead(tmp_path / "head0", board=bytes(8)) as other:
        other.unplug()
        assert bench.driver.open()
        bench.linked()
        other.plug()
        bench.until(lambda: bool(bench.seconds), "the second head")
        (two,) = bench.seconds
        ports = ", ".join(sorted(os.path.realpath(head.port) for head in (ours, other)))
        assert two is not None and two.detail == f"{tmp_path / 'head*'}: {ports}"
        assert bench.driver.is_linked and not bench.driver.is_lost and bench.told() == []
        bench.show(messages.ACCEPTED)
        bench.until(lambda: bench.lit == [messages.ACCEPTED], "the light on ours")
        ours.wait_for(messages.ACCEPTED)
        other.wait_for(messages.OUT_OF_SERVICE)
        other.unplug()
        bench.until(lambda: len(bench.seconds) == 2, "its end")
        assert bench.seconds[1] is None
        other.plug()
        bench.until(lambda: len(bench.seconds) == 3, "the second head again")
        ours.unplug()
        bench.until(lambda: bench.driver.health().board == bytes(8).hex(), "the other alone")
        assert bench.seconds[2] is not None and bench.seconds[3:] == [None]
    assert bench.told() == [HeadLost]
    bench.driver.close()


def test_nobody_looks_for_a_second_head_while_a_light_is_on_its_way(tmp_path: Path) -> None:
    bench = HeadBench(str(tmp_path / "head*"))
    with SimulatedHead(tmp_path / "head0") as ours:
        bench.driver.open()
        bench.linked()
        ours.freeze()
        bench.show(messages.ACCEPTED)
        (tmp_path / "head1").touch()
        bench.poll_for(0.2)
        assert bench.driver.is_linked and bench.lit == [] and bench.seconds == []
    bench.driver.close()


def test_a_pattern_that_matches_everything_names_a_few(tmp_path: Path) -> None:
    for number in range(50):
        (tmp_path / f"head{number:02}").touch()
    bench = HeadBench(str(tmp_path / "head*"))
    assert not bench.driver.open()
    (refusal,) = bench.driver.take_refusals()
    assert isinstance(refusal, TwoHeads) and refusal.detail.count("head") == 5 and refusal.detail.endswith("…")
    bench.driver.close()


def test_a_port_named_outright_has_no_second(tmp_path: Path, head: SimulatedHead, bench: HeadBench) -> None:
    (tmp_path / "head1").touch()
    bench.poll_for(0.2)
    assert bench.seconds == []


@pytest.mark.parametrize("versions", [(0, 0), (3, 9)])
def test_a_head_of_another_version_is_refused_with_what_is_needed(tmp_path: Path, versions: tuple[int, int]) -> None:
    bench = HeadBench(str(tmp_path / "head0"))
    with SimulatedHead(tmp_path / "head0", protocol=versions) as head:
        bench.driver.open()
        bench.until(lambda: bool(bench.refusals), "the refusal")
        bench.poll_for(0.5)
        assert bench.told() == [HeadUnfit] and bench.driver.is_lost
        said = f"the head speaks version {versions[0]}-{versions[1]}, this terminal 1-2"
        assert bench.refusals[0].detail == said == bench.driver.health().last_error
        assert not bench.show(messages.ACCEPTED)
        assert head.state() == messages.OUT_OF_SERVICE
    with SimulatedHead(tmp_path / "head0"):  # the technician has put the right firmware on it
        bench.linked()
        assert not bench.driver.is_lost
    bench.driver.close()


@pytest.mark.parametrize("versions", [(0, 1), (1, 9), (2, 9)])
def test_a_head_of_another_version_that_speaks_ours_too_works(tmp_path: Path, versions: tuple[int, int]) -> None:
    bench = HeadBench(str(tmp_path / "head0"))
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
    bench = HeadBench(str(tmp_path / "head0"), faster=10)
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


def test_garbage_between_frames_is_counted_and_harmless(
    head: SimulatedHead, bench: HeadBench, rng: random.Random
) -> None:
    for _ in range(50):
        head.garbage_to_host(rng.randbytes(500))
        head.garbage_to_head(rng.randbytes(500))
        bench.poll(0.01)
    bench.show(messages.TRY_AGAIN)
    bench.until(lambda: bench.lit == [messages.TRY_AGAIN], "the light")
    assert bench.driver.health().frame_errors > 20 and bench.told() == [] and bench.driver.health().sessions == 1


def test_a_port_where_nobody_answers(tmp_path: Path) -> None:
    rubbish = Rubbish(tmp_path / "head0")
    bench = HeadBench(str(tmp_path / "head0"), faster=10)
    assert bench.driver.open()
    bench.until(lambda: bool(bench.refusals), "the refusal")
    assert bench.told() == [HeadLost] and bench.refusals[0].detail.endswith("no answer")
    bench.driver.close()
    rubbish.close()


def test_two_programs_on_one_head(head: SimulatedHead, bench: HeadBench) -> None:
    second = ReaderHead(HeadSettings(str(head.port)))
    assert not second.open()
    assert [type(refusal) for refusal in second.take_refusals()] == [DevicePortInUse]
    second.close()


def test_no_right_to_the_port(monkeypatch: pytest.MonkeyPatch) -> None:
    forbid_ports(monkeypatch)
    driver = ReaderHead(HeadSettings("/dev/ttyACM0"))
    assert not driver.open()
    assert [type(refusal) for refusal in driver.take_refusals()] == [DevicePortForbidden]
    driver.close()


def test_refusals_nobody_takes_are_bounded(bench: HeadBench) -> None:
    bench.driver._handle([head_session.Scanned(b"x" * 1_100 + b"\n")] * (REFUSALS_MAX + 1))
    assert bench.driver.health().refusals_dropped == 1
    assert len(bench.driver.take_refusals()) == REFUSALS_MAX


def test_wake_ends_a_long_poll_and_closed_is_closed(bench: HeadBench) -> None:
    check_wake_ends_a_long_poll(bench.driver)
    assert bench.driver.poll(0) == []
    descriptor = bench.driver.fileno()
    assert descriptor is not None and os.isatty(descriptor)
    bench.driver.close()
    bench.driver.wake()
    assert not bench.show(messages.WAIT) and not bench.driver.identify()
    assert bench.driver.poll(DEADLINE_S) == [] and not bench.driver.open()

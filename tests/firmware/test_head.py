"""The firmware on its own: silence, restarts, buttons, cover, scanner, watchdog. FIELD_LESSONS 21, 27; DESIGN §3."""

import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from threading import Thread

import pytest
import serial

from firmware.flash.head_files import compile_head_files
from firmware.link import messages
from firmware.link.frames import PAYLOAD_BYTES_MAX, encode
from firmware.link.messages import BUTTON_LONG, BUTTON_PRESSED, BUTTON_RELEASED
from firmware.link.window import SLOTS
from firmware.reader_head import pins
from firmware.reader_head.version import VERSION
from simulators.head import Button, InterpreterMissing, SimulatedHead, state_of
from simulators.head import interpreter as interpreter_module
from simulators.head.device import POWER_ON, WATCHDOG
from simulators.head.interpreter import ROOT
from tests.firmware.host import WAIT_S_MAX, Host

HEAP_BYTES_LEAST = 96 * 1024


def keep_alive(host: Host, wait_s: float) -> list[tuple[int, int, bytes]]:
    """Ping as a terminal does, and hear."""
    until_s, found = time.monotonic() + wait_s, []
    while time.monotonic() < until_s:
        host.send(messages.PING, messages.ping(7))
        found += host.hear_for(min(0.2, max(0.0, until_s - time.monotonic())))
    return found


def hear_until(host: Host, condition: Callable[[], bool]) -> None:
    """Ping and hear until it is so."""
    until_s = time.monotonic() + WAIT_S_MAX
    while not condition():
        assert time.monotonic() < until_s, host.frames[-5:]
        keep_alive(host, 0.02)


def taken(frames: list[tuple[int, int, bytes]]) -> list[tuple[int, bytes]]:
    """What came in the window, each sequence once and in order."""
    seen, found = 0, []
    for kind, sequence, payload in frames:
        if kind == messages.HELLO:
            seen = 0
        if sequence and sequence == seen % 255 + 1:
            seen = sequence
            found.append((kind, payload))
    return found


def scanned(frames: list[tuple[int, int, bytes]]) -> bytes:
    """The scan's bytes."""
    return b"".join(payload for kind, payload in taken(frames) if kind == messages.SCAN)


def test_it_starts_out_of_service_and_greets(head: SimulatedHead) -> None:
    assert head.state() == messages.OUT_OF_SERVICE and head.tone_hertz() == 0
    host = Host(head.port)
    cause, version, board = messages.read_head_hello(host.greet())
    assert (cause, version, board) == (POWER_ON, VERSION, bytes.fromhex("e660583883000001"))
    assert head.state() == messages.OUT_OF_SERVICE  # a greeting is no light
    head.wait_until(lambda: head.link_led() == 1, "the link LED")
    host.close()


def test_it_knows_itself_and_leaves_half_of_the_memory_free(head: SimulatedHead, host: Host) -> None:
    head.restart(WATCHDOG)
    host.await_kind(messages.HELLO, lambda payload: messages.read_opening(payload)[2] == 0)
    host.greet(78)
    uptime_ms, free, least, errors, duplicates, overruns, discarded, cause, *version = host.status()
    assert uptime_ms < 5_000 and HEAP_BYTES_LEAST <= least <= free <= 192 * 1024
    assert (errors, duplicates, overruns, discarded) == (0, 0, 0, 0)
    assert cause == WATCHDOG and tuple(version) == VERSION


def test_silence_puts_it_out_of_service_and_it_comes_back(head: SimulatedHead, host: Host) -> None:
    host.light(1, messages.ACCEPTED)
    lit_us = head.timeline()[-1].at_us
    head.wait_for(messages.OUT_OF_SERVICE)
    changed = next(event for event in reversed(head.timeline()) if event.what == "pixels")
    assert 1.9 <= (changed.at_us - lit_us) / 1e6 <= 4.0  # 2.0 where nothing else runs
    head.wait_until(lambda: head.tone_hertz() == 165, "its sound")
    host.send(
        messages.PING, messages.ping(1)
    )  # the terminal is back: asked for a new session, nothing is lit by itself
    host.await_kind(messages.HELLO, lambda payload: messages.read_opening(payload)[2] == 0)
    host.greet(78)
    assert host.pong()[1:3] == (messages.OUT_OF_SERVICE, 0)
    host.light(1, messages.WAIT)
    assert head.state() == messages.WAIT


def test_pings_alone_keep_the_light(head: SimulatedHead, host: Host) -> None:
    host.light(1, messages.ACCEPTED)
    keep_alive(host, 2.6)
    assert head.state() == messages.ACCEPTED  # it goes back to wait when the terminal says so, not by itself


def test_garbage_is_no_sign_of_life(head: SimulatedHead, host: Host, rng: random.Random) -> None:
    host.light(1, messages.WAIT)
    until_s = time.monotonic() + 6
    while head.state() == messages.WAIT and time.monotonic() < until_s:
        host.send_raw(rng.randbytes(200))
        host.hear(0.02)
    assert head.state() == messages.OUT_OF_SERVICE


def test_a_light_repeated_is_confirmed_again_and_not_played_again(head: SimulatedHead, host: Host) -> None:
    host.light(5, messages.ALREADY_ACCEPTED)
    keep_alive(host, 0.5)
    before = len(head.timeline())
    host.light(5, messages.ALREADY_ACCEPTED)
    host.send(messages.LIGHT, messages.light(4, messages.ACCEPTED))  # older: never shown, never confirmed
    assert messages.LIT not in [kind for kind, _, _ in host.hear_for(0.1)]
    assert head.state() == messages.ALREADY_ACCEPTED and len(head.timeline()) == before


@pytest.mark.parametrize("payload", [b"", messages.light(9, 200), messages.light(9, 0), b"\0" * 40])
def test_a_light_that_makes_no_sense_changes_nothing(head: SimulatedHead, host: Host, payload: bytes) -> None:
    host.light(1, messages.WAIT)
    host.send(messages.LIGHT, payload)
    host.send(99, payload)
    assert host.pong()[1:3] == (messages.WAIT, 1)


def test_buttons_short_long_and_chattering(head: SimulatedHead, host: Host) -> None:
    host.await_kind(messages.TAMPER)

    def press() -> None:
        head.bounce(Button.ONE)
        head.press(Button.ONE)
        head.press(Button.TWO, long=True)

    finger = Thread(target=press)
    finger.start()
    wanted = [(1, BUTTON_PRESSED), (1, BUTTON_RELEASED), (2, BUTTON_PRESSED), (2, BUTTON_LONG), (2, BUTTON_RELEASED)]

    def heard() -> list[tuple[int, int]]:
        return [messages.read_button(payload) for kind, payload in taken(host.frames) if kind == messages.BUTTON]

    hear_until(host, lambda: len(heard()) >= len(wanted))
    finger.join()
    keep_alive(host, 0.1)
    assert heard() == wanted


def test_a_press_while_the_machine_is_busy_elsewhere_is_seen(head: SimulatedHead, host: Host) -> None:
    """A simulated board that was not let run in time still finds the finger on the button."""
    host.await_kind(messages.TAMPER)
    assert head._board is not None
    os.kill(head._board.pid, signal.SIGSTOP)
    head.press(Button.ONE)
    os.kill(head._board.pid, signal.SIGCONT)
    wanted = [messages.button(1, BUTTON_PRESSED), messages.button(1, BUTTON_RELEASED)]
    hear_until(host, lambda: [said for kind, said in taken(host.frames) if kind == messages.BUTTON] == wanted)


def test_the_cover_is_told_at_once_and_to_each_session(head: SimulatedHead, host: Host) -> None:
    assert messages.read_one_byte(host.await_kind(messages.TAMPER)) == 0
    head.tamper(True)
    assert messages.read_one_byte(host.await_kind(messages.TAMPER)) == 1
    host.greet(78)
    assert messages.read_one_byte(host.await_kind(messages.TAMPER)) == 1


def test_every_byte_of_a_scan_passes_untouched(head: SimulatedHead, host: Host) -> None:
    data = bytes(range(256)) * 8
    head.scan(data, suffix=b"")
    hear_until(host, lambda: len(scanned(host.frames)) >= len(data))
    keep_alive(host, 0.1)
    assert scanned(host.frames) == data
    assert max(len(payload) for kind, _, payload in host.frames if kind == messages.SCAN) <= PAYLOAD_BYTES_MAX


def test_a_terminal_that_answers_late_gets_everything(head: SimulatedHead, host: Host, rng: random.Random) -> None:
    """Back-pressure: the head holds what it may, repeats what was not answered, and the rest waits at its port."""
    host.acknowledges = False
    data = rng.randbytes(1_800)
    head.scan(data, suffix=b"")
    keep_alive(host, 0.5)
    held = {(sequence, payload) for kind, sequence, payload in host.frames if kind == messages.SCAN}
    assert 0 < len(held) <= SLOTS and sum(kind == messages.SCAN for kind, _, _ in host.frames) > len(held)
    head.press(Button.ONE)  # buttons have room all the same
    host.acknowledges = True
    hear_until(host, lambda: len(scanned(host.frames)) >= len(data))
    keep_alive(host, 0.1)
    assert scanned(host.frames) == data
    assert messages.BUTTON in [kind for kind, _, _ in host.frames]
    assert host.pong()[3] == 0


def test_what_its_port_loses_is_told(head: SimulatedHead, host: Host) -> None:
    host.acknowledges = False
    for _ in range(4):
        head.flood(b"x" * 4_000)
        keep_alive(host, 0.1)
    assert host.pong()[3] > 0 and host.status()[5] > 0


def test_scans_without_a_session_are_an_old_customers(head: SimulatedHead) -> None:
    head.scan("OLD")
    host = Host(head.port)
    host.greet()
    head.scan("NEW")
    hear_until(host, lambda: len(scanned(host.frames)) >= 5)
    assert scanned(host.frames) == b"NEW\r\n"
    assert host.status()[6] == len("OLD\r\n")
    host.close()


def test_a_greeting_repeated_restarts_nothing(head: SimulatedHead, host: Host) -> None:
    host.light(1, messages.WAIT)
    host.send(messages.BRIGHTNESS, messages.one_byte(10), 1)
    host.await_kind(messages.ACK)
    host.greet()
    assert host.pong()[1:3] == (messages.WAIT, 1)
    host.send(messages.BRIGHTNESS, messages.one_byte(20), 2)
    assert messages.read_one_byte(host.await_kind(messages.ACK)) == 2


@pytest.mark.parametrize("versions", [(3, 4), (0, 0)])
def test_a_terminal_of_another_version_gets_an_answer_and_no_session(
    head: SimulatedHead, versions: tuple[int, int]
) -> None:
    host = Host(head.port)
    answer = host.greet(77, *versions)
    assert messages.read_opening(answer) == (messages.PROTOCOL_OLDEST, messages.PROTOCOL_NEWEST, 77)
    host.send(messages.LIGHT, messages.light(1, messages.ACCEPTED))
    assert {kind for kind, _, _ in host.hear_for(0.1)} <= {messages.HELLO}
    assert head.state() == messages.OUT_OF_SERVICE
    host.close()


def test_a_button_held_at_power_on_leaves_the_board_to_the_technician(head: SimulatedHead) -> None:
    head.unplug()
    assert head.ring() == ((0, 0, 0),) * pins.PIXELS
    head._set_pin(pins.BUTTON_1, 0)
    head.plug()
    head.wait_until(lambda: head.is_at_prompt, "the prompt")
    head._set_pin(pins.BUTTON_1, 1)
    head.unplug()
    head.plug()
    head.wait_for(messages.OUT_OF_SERVICE)


def test_power_over_its_own_supply_survives_the_cable(head: SimulatedHead, host: Host) -> None:
    host.light(1, messages.WAIT)
    head.unplug(power_stays=True)
    head.wait_for(messages.OUT_OF_SERVICE)
    with pytest.raises((OSError, serial.SerialException)):
        host.send_raw(bytes(encode(messages.PING, 0, messages.ping(1))) * 10)
    head.plug()
    again = Host(head.port)
    assert messages.read_head_hello(again.greet(78))[0] == POWER_ON
    assert again.status()[0] > 2_000
    again.close()


def built(folder: Path, change: Callable[[str, str], str] = lambda _, text: text) -> Path:
    """A copy of the firmware's sources, perhaps changed."""
    for path in sorted(ROOT.glob("firmware/**/*.py")):
        if "typings" not in path.parts:
            copy = folder / path.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_text(change(path.name, path.read_text(encoding="utf-8")), encoding="utf-8")
    return folder


def test_a_frozen_firmware_is_bitten_by_the_watchdog(tmp_path: Path) -> None:
    long, short = f"WATCHDOG_MS = const({pins.WATCHDOG_MS})", "WATCHDOG_MS = const(500)"
    quick = built(tmp_path / "quick", lambda _, text: text.replace(long, short))  # the driver's test waits all of it
    with SimulatedHead(tmp_path / "head0", firmware=quick) as head:
        host = Host(head.port)
        host.greet()
        host.light(1, messages.ACCEPTED)
        head.freeze()
        host.await_kind(messages.HELLO)
        assert head.state() == messages.OUT_OF_SERVICE
        assert messages.read_head_hello(host.greet(78))[0] == WATCHDOG
        host.close()


def test_a_fault_restarts_it_and_leaves_its_trace(tmp_path: Path) -> None:
    broken = built(tmp_path / "broken", lambda name, text: text.replace("messages.LOCKED: ((0, ", "99: ((0, "))
    with SimulatedHead(tmp_path / "head0", firmware=broken) as head:
        host = Host(head.port)
        host.greet()
        host.send(messages.LIGHT, messages.light(1, messages.LOCKED))
        host.await_kind(messages.HELLO, lambda payload: messages.read_opening(payload)[2] == 0)
        assert messages.read_head_hello(host.greet(78))[0] == WATCHDOG
        host.light(1, messages.WAIT)
        head.wait_until(lambda: "KeyError" in head.standard_error(), "the trace")
        host.close()


def test_compiled_for_the_board_it_does_the_same(tmp_path: Path) -> None:
    """As it is put on a board: bytecode of mpy-cross, no sources."""
    folder = compile_head_files(tmp_path / "compiled").folder
    with SimulatedHead(tmp_path / "head0", firmware=folder) as head:
        host = Host(head.port)
        host.greet()
        host.light(1, messages.ACCEPTED)
        assert head.state() == messages.ACCEPTED and host.status()[2] >= HEAP_BYTES_LEAST
        assert head.standard_error() == ""
        host.close()


def test_without_the_interpreter_it_says_what_is_missing(monkeypatch: pytest.MonkeyPatch, head: SimulatedHead) -> None:
    monkeypatch.setattr(interpreter_module.sys, "executable", str(head.port.parent / "python"))
    with pytest.raises(InterpreterMissing, match="x86-64"):
        SimulatedHead(head.port.parent / "head1")


def test_on_request_it_leaves_its_port_to_a_technician_once(head: SimulatedHead) -> None:
    host = Host(head.port)
    host.greet(newest=messages.SERVICE_SINCE)
    host.light(1, messages.ACCEPTED)
    host.send(messages.SERVICE, messages.service())
    head.wait_until(lambda: head.is_at_prompt, "the prompt")
    pictures = [event.pixels for event in head.timeline() if event.what == "pixels"]
    assert state_of(pictures[-1]) == messages.OUT_OF_SERVICE  # the ring would keep its green through the reset
    head.restart(WATCHDOG)
    head.wait_for(messages.OUT_OF_SERVICE)
    assert not head.is_at_prompt
    host.close()


@pytest.mark.parametrize(
    ("newest", "payload"),
    [(1, messages.service()), (2, b""), (2, b"prompt!"), (2, b"Prompt")],
)
def test_what_is_no_request_of_a_technician_changes_nothing(head: SimulatedHead, newest: int, payload: bytes) -> None:
    """Version 1 knows no such message, and no other word is one."""
    host = Host(head.port)
    host.greet(newest=newest)
    host.send(messages.SERVICE, payload)
    host.light(1, messages.ACCEPTED)
    assert head.state() == messages.ACCEPTED and not head.is_at_prompt
    host.close()


def test_without_a_session_nobody_gets_the_prompt(head: SimulatedHead) -> None:
    host = Host(head.port)
    host.send(messages.SERVICE, messages.service())
    assert {kind for kind, _, _ in host.hear_for(0.2)} == {messages.HELLO} and not head.is_at_prompt
    host.close()


def test_a_power_cut_forgets_the_wish_for_the_prompt(tmp_path: Path) -> None:
    with SimulatedHead(tmp_path / "head0") as head:
        host = Host(head.port)
        host.greet(newest=messages.SERVICE_SINCE)
        host.send(messages.SERVICE, messages.service())
        head.wait_until(lambda: any(event.what == "scratch" and event.number for event in head.timeline()), "the wish")
        host.close()
        head.unplug()
        head.plug()
        head.wait_for(messages.OUT_OF_SERVICE)
        assert not head.is_at_prompt


def test_a_firmware_that_never_starts_leaves_no_interpreter_behind(tmp_path: Path) -> None:
    for name, text in {
        "link/messages.py": "PROTOCOL_OLDEST = PROTOCOL_NEWEST = 1",
        "reader_head/main.py": "def main(oldest, newest):\n    while True:\n        pass",
    }.items():
        (tmp_path / "firmware" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "firmware" / name).write_text(text)
    head = SimulatedHead(tmp_path / "head", firmware=tmp_path, start_s_max=0.3)
    with pytest.raises(TimeoutError, match="the firmware to start"), head:
        pass
    assert not head.is_running and not head.port.exists()
    mark = f"MICROPYPATH={interpreter_module.SHIMS}:{tmp_path}".encode()
    assert not [found for found in Path("/proc").glob("[0-9]*/environ") if mark in _environment(found)]


def _environment(of_process: Path) -> bytes:
    try:
        return of_process.read_bytes()
    except OSError:  # it has just ended
        return b""

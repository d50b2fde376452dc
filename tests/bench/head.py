"""`head_round_trip`, `head_free_heap`: the real firmware in MicroPython on a pty, through its real driver. DESIGN §10.

The round trip is from `ReaderHead.show` to the confirmation that the ring's pixels are on: two frames, the driver, and
0.77 ms in which 24 pixels take their colours. The heap is what the firmware has left of an RP2040's 192 KB after that
traffic, at its least; MicroPython here keeps 64-bit words, twice the board's.
"""

import gc
from pathlib import Path
from time import perf_counter_ns

from firmware.link import messages
from offline_ledger.terminal.drivers.head import HeadSettings, ReaderHead
from simulators.head import SimulatedHead
from tests.bench.measure import Row, row_of

LIGHTS = 1_000
WARM_UP = 50
POLL_S = 0.5
STATES = (messages.ACCEPTED, messages.WAIT, messages.REFUSED, messages.WAIT, messages.ACCEPTED_CASH_DUE, messages.WAIT)


class HeadSilent(Exception):
    """A light was not confirmed: the figures would mean nothing."""


def rows(folder: Path) -> list[Row]:
    """Lights one after another, as fast as they are confirmed."""
    folder.mkdir(parents=True, exist_ok=True)
    with SimulatedHead(folder.resolve() / "head0") as head:
        driver = ReaderHead(HeadSettings(str(head.port)))
        driver.open()
        while not driver.is_linked:
            driver.poll(POLL_S)
        gc.collect()
        gc.disable()  # the bench's own garbage; the firmware's is collected as on the board
        try:
            took_ms = [_show(driver, STATES[turn % len(STATES)]) for turn in range(LIGHTS + WARM_UP)][WARM_UP:]
        finally:
            gc.enable()
        status = driver.health().status
        while status is None or status.uptime_ms < 1_000:
            driver.poll(POLL_S)
            driver.ask()
            status = driver.health().status
        driver.close()
    return [
        row_of("head_round_trip", "ms", took_ms),
        row_of("head_free_heap", "KB", [status.free_bytes_least / 1024]),
    ]


def _show(driver: ReaderHead, state: int) -> float:
    lit_ns: list[int] = []
    begun_ns = perf_counter_ns()
    driver.show(state, lambda: lit_ns.append(perf_counter_ns()))
    while not lit_ns:
        driver.poll(POLL_S)
        if not driver.is_linked:
            raise HeadSilent(str(driver.health()))
    return (lit_ns[0] - begun_ns) / 1e6

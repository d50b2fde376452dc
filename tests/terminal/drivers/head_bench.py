"""A driver of the reader head with what it told, and the poll loop around it."""

import time

from offline_ledger.errors import TwoHeads
from offline_ledger.terminal.drivers.head import HeadSettings, ReaderHead
from tests.terminal.drivers.poll_bench import PollBench


class HeadBench(PollBench[ReaderHead]):
    """A driver, what it told, and the poll loop around it."""

    def __init__(self, path: str, *, suffix: bool = True, faster: int = 1) -> None:
        """`faster`: the driver's clock runs so many times as fast, where only its waiting is looked at."""
        self.buttons: list[tuple[int, int]] = []
        self.covers: list[bool] = []
        self.seconds: list[TwoHeads | None] = []
        self.lit: list[object] = []
        driver = ReaderHead(
            HeadSettings(path, suffix=suffix, pause_s=0.3, back_off_first_s=0.01, back_off_last_s=0.05, look_s=0.05),
            on_button=lambda button, kind: self.buttons.append((button, kind)),
            on_tamper=self.covers.append,
            on_second=self.seconds.append,
            monotonic_s=lambda: time.monotonic() * faster,
        )
        super().__init__(driver)

    def poll_for(self, wait_s: float) -> None:
        until_s = time.monotonic() + wait_s
        while time.monotonic() < until_s:
            self.poll(0.02)

    def linked(self) -> "HeadBench":
        self.until(lambda: self.driver.is_linked, "a session")
        return self

    def show(self, state: int) -> bool:
        """Its confirmation is noted by the state."""
        return self.driver.show(state, lambda: self.lit.append(state))

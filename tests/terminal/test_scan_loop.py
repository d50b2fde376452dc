"""A reader whose driver breaks ends the program, and says how: nobody stands before a light that reads nothing."""

from threading import Event

import pytest

from offline_ledger.errors import Refusal, ScannerLost
from offline_ledger.terminal import scan_loop
from offline_ledger.terminal.scan_loop import CodeSource, ScanLoop


class Reader:
    """A scanner; `breaks_in` names the call in which its driver meets what it never should."""

    def __init__(self, breaks_in: str = "", texts: tuple[str, ...] = ()) -> None:
        self._breaks_in, self._texts = breaks_in, list(texts)
        self._woken = Event()
        self.is_closed = False

    def poll(self, timeout_s: float) -> list[str]:
        texts, self._texts = self._texts, []
        if not texts:
            self._break("poll")
            self._woken.wait(timeout_s)
        return texts

    def take_refusals(self) -> list[Refusal]:
        self._break("take_refusals")
        return []

    def wake(self) -> None:
        self._woken.set()

    def close(self) -> None:
        self.is_closed = True

    def _break(self, here: str) -> None:
        if self._breaks_in == here:
            raise IndexError(f"in {here}")


def run(*readers: Reader) -> list[str]:
    """What was decided; the loop ends by itself."""
    decided: list[str] = []
    loop = ScanLoop(decided.append, lambda _source, _refusal: None, lambda: None)
    sources: list[CodeSource] = list(readers)
    loop.run(sources, lambda: None)
    return decided


@pytest.mark.parametrize("where", ["poll", "take_refusals"])
def test_a_driver_that_breaks_ends_the_program_with_its_error(monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    monkeypatch.setattr(scan_loop, "TICK_S", 0.01)
    broken, sound = Reader(where), Reader()
    with pytest.raises(IndexError, match=where):
        run(sound, broken)
    assert broken.is_closed and sound.is_closed


def test_an_error_of_the_deciding_thread_is_the_one_that_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan_loop, "TICK_S", 0.01)

    def decide(_text: str) -> None:
        raise ScannerLost("decided")

    loop = ScanLoop(decide, lambda _source, _refusal: None, lambda: None)
    sources: list[CodeSource] = [Reader(texts=("one",))]
    with pytest.raises(ScannerLost, match="decided"):
        loop.run(sources, lambda: None)

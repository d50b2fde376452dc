"""Devices to decisions: every source of codes has a thread that waits on it; one thread decides. DESIGN §5, §10.

The deciding thread never waits for a device, the network or a log: it takes texts from one bounded queue, and once in
a while lets the acceptor do its housekeeping. When codes come faster than decisions, who reads them waits for a place:
each code that was read gets its light, in order, and the device's own buffer is the end of the line.
"""

from collections.abc import Callable, Sequence
from queue import Empty, Full, Queue
from threading import Thread
from time import monotonic
from typing import Protocol

from offline_ledger.errors import Refusal

QUEUE_MAX = 64
POLL_S = 0.5
TICK_S = 0.25
"""Housekeeping at least this often; ratifications must be durable within a second."""
JOIN_S_MAX = 5.0


def nothing_owed() -> None:
    """Nothing is waited for at the end."""


class CodeSource(Protocol):
    """A scanner or a camera."""

    def poll(self, timeout_s: float) -> list[str]: ...

    def take_refusals(self) -> list[Refusal]: ...

    def wake(self) -> None: ...

    def close(self) -> None: ...


class ScanLoop:
    """`on_code` decides and shows, `on_refusal` tells of a device, `on_tick` keeps house; all on one thread."""

    def __init__(
        self,
        on_code: Callable[[str], None],
        on_refusal: Callable[[CodeSource, Refusal], None],
        on_tick: Callable[[], None],
    ) -> None:
        self._on_code, self._on_refusal, self._on_tick = on_code, on_refusal, on_tick
        self._waiting: Queue[Callable[[], None]] = Queue(QUEUE_MAX)
        # No events: a signal that comes while one is set would wait for itself, and nobody waits for these.
        self._is_stopping = self._is_ended = False
        self._broken: list[BaseException] = []

    def run(
        self,
        sources: Sequence[CodeSource],
        on_offered: Callable[[], None],
        on_stop: Callable[[], None] = nothing_owed,
    ) -> None:
        """Returns after `stop`; its devices are closed, also when `on_tick` or a job raises. `on_offered` hears of a
        code at once, on the thread that read it; `on_stop` is called last, while the devices still speak. Raises what
        broke a driver: a program that went on without it would show a light that reads nothing, and a new start has
        it back."""
        threads = [
            Thread(target=self._watch, args=(source, on_offered), name=f"source-{number}", daemon=True)
            for number, source in enumerate(sources)
        ]
        for thread in threads:
            thread.start()
        try:
            self._work()
            on_stop()
        finally:
            self._is_stopping = self._is_ended = True
            for source in sources:
                source.wake()
            for thread in threads:
                thread.join(JOIN_S_MAX)
            for source in sources:
                source.close()
        for error in self._broken:
            raise error

    def _work(self) -> None:
        kept_house_s = monotonic()
        while not self._is_stopping:
            try:
                self._waiting.get(timeout=TICK_S)()
            except Empty:
                pass
            if monotonic() - kept_house_s >= TICK_S:  # in a queue of people the next voucher carries the ratification
                self._on_tick()
                kept_house_s = monotonic()

    def do(self, job: Callable[[], None]) -> None:
        """Have the deciding thread do something between codes (a key press, a command), unless it ends. May be called
        anywhere."""
        self._offer(job)

    @property
    def is_wanted(self) -> bool:
        """Does a code or a command wait? Then what need not be done now shall wait."""
        return not self._waiting.empty()

    @property
    def is_stopping(self) -> bool:
        """Its end was asked for, or came: nothing more is done."""
        return self._is_stopping

    def stop(self) -> None:
        """End `run` soon; from any thread or a signal handler."""
        self._is_stopping = True

    def _watch(self, source: CodeSource, on_offered: Callable[[], None]) -> None:
        try:
            self._read(source, on_offered)
        except Exception as error:  # noqa: BLE001 - whatever it is, the program ends with it
            if not self._is_stopping:  # a device that is closed under its thread breaks nothing
                self._broken.append(error)
            self.stop()

    def _read(self, source: CodeSource, on_offered: Callable[[], None]) -> None:
        while not self._is_ended:
            for text in source.poll(POLL_S):
                if self._is_stopping:
                    break  # nobody decides it
                on_offered()  # before its turn can come
                self._offer(lambda text=text: self._on_code(text))
            for refusal in source.take_refusals():
                self._offer(lambda refusal=refusal: self._on_refusal(source, refusal))

    def _offer(self, job: Callable[[], None]) -> None:
        while not self._is_stopping:
            try:
                return self._waiting.put(job, timeout=TICK_S)
            except Full:
                continue  # a burst of rubbish before a customer's code: the code waits its turn and is not dropped

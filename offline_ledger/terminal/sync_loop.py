"""The thread that carries the exchange machine's requests. DESIGN §7.

Waits for what is due, for a wake-up, or for the end; a decision at the counter never waits for it. It decides nothing:
what to send, when, and what an answer means is the machine's.
"""

from collections.abc import Callable
from threading import Condition, Thread

from offline_ledger.errors import Refusal
from offline_ledger.terminal.ports import Clock, Uplink
from offline_ledger.terminal.status import SyncStatus
from offline_ledger.terminal.sync import SyncMachine

REST_MS_MAX = 3_600_000


class SyncLoop:
    """Drives one machine over one uplink. `after_exchange` is called on the sync thread when an exchange has ended."""

    def __init__(
        self,
        machine: SyncMachine,
        uplink: Uplink,
        clock: Clock,
        after_exchange: Callable[[SyncStatus], None] | None = None,
    ) -> None:
        self._machine = machine
        self._uplink = uplink
        self._clock = clock
        self._after_exchange = after_exchange
        self._turn = Condition()
        self._wakes = 0
        self._hurries = 0
        self._is_stopping = False
        self._thread = Thread(target=self._run, name="sync", daemon=True)

    def start(self) -> None:
        """Begins; returns at once."""
        self._thread.start()

    def wake(self) -> None:
        """A voucher was accepted. Never waits for the network."""
        with self._turn:
            self._wakes += 1
            self._turn.notify()

    def hurry(self) -> None:
        """Sync now, whatever the back-off says."""
        with self._turn:
            self._hurries += 1
            self._turn.notify()

    def stop(self, wait_s: float = 5.0) -> bool:
        """Ends after the request under way; True when the thread has ended. What was not answered is sent again."""
        with self._turn:
            self._is_stopping = True
            self._turn.notify()
        self._uplink.interrupt()
        if self._thread.ident is not None:
            self._thread.join(wait_s)
        return not self._thread.is_alive()

    def status(self) -> SyncStatus:
        """The machine's status; may be asked from any thread."""
        return self._machine.status()

    def _run(self) -> None:
        while self._wait_for_work():
            try:
                self._exchange()
            except Refusal:
                # The journal failed under the machine: selling has stopped too, and says why. Keep the thread.
                with self._turn:
                    self._turn.wait(1.0)
        self._uplink.close()

    def _wait_for_work(self) -> bool:
        with self._turn:
            while not self._is_stopping:
                now_ms = self._clock.mono_ms()
                if self._wakes:
                    self._wakes = 0
                    self._machine.wake(now_ms)
                if self._hurries:
                    self._hurries = 0
                    self._machine.hurry(now_ms)
                due_ms = self._machine.due_in_ms(now_ms)
                if due_ms == 0:
                    return True
                self._turn.wait(min(due_ms, REST_MS_MAX) / 1000)
            return False

    def _exchange(self) -> None:
        """One exchange, request by request, until the machine rests or the program ends."""
        while not self._is_stopping:
            request = self._machine.next_request(self._clock.mono_ms())
            if request is None:
                break
            sent_ms = self._clock.mono_ms()
            try:
                answer = self._uplink.exchange(request)
            except Refusal as refusal:
                self._machine.lose(refusal, self._clock.mono_ms())
            else:
                self._machine.hear(answer, sent_ms, self._clock.mono_ms())
        self._uplink.close()  # a terminal keeps no connection open between exchanges
        if self._after_exchange is not None:
            self._after_exchange(self._machine.status())

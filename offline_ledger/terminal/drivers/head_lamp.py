"""The reader head as the lamp that customers look at: `ports.HeadLamp` over its driver. DESIGN §5.

Shows what it is told. Training never shows green.
"""

from collections.abc import Callable

from firmware.link import messages
from offline_ledger.terminal.drivers.head import ReaderHead, state_for
from offline_ledger.terminal.outcome import Light


class HeadLight:
    """One head."""

    def __init__(self, head: ReaderHead, *, is_training: bool) -> None:
        self._head, self._is_training = head, is_training

    def show(self, light: Light, on_lit: Callable[[], None] | None) -> bool:
        """From any thread. False: nobody sees it, and `on_lit` is never called."""
        return self._head.show(state_for(light, is_training=self._is_training), on_lit)

    def reading(self) -> None:
        """Hold still."""
        self._head.show(messages.READING)

    @property
    def is_seen(self) -> bool:
        """Is there a head that understands us?"""
        return self._head.is_linked

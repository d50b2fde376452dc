"""One card reader: what lies in it, and whether that had its light. Only remembers; `card.py` decides. DESIGN §5."""

from offline_ledger.terminal.drivers.card_pcsc import ReaderState


class Seat:
    """`left_over_until_s`: until then a card that shows is the one that had its light before the reader went; times are
    of any monotonic clock, in seconds. `due_s`: not to be tried before."""

    def __init__(self, name: str, left_over_until_s: float) -> None:
        self.name = name
        self._left_over_until_s = left_over_until_s
        self.raw = 0
        self.insertions: int = 0
        self.has_card = self.is_mute = self.is_served = False
        self.atr = b""
        self.tries = 0
        self.due_s = float("-inf")

    def update(self, state: ReaderState, now_s: float) -> None:
        """Another card, or none, is not served yet; but one that had its light before the reader went is."""
        if state.has_card and now_s < self._left_over_until_s:
            self._left_over_until_s, self.is_served, self.insertions = float("-inf"), True, state.insertions
        if not state.has_card or state.insertions != self.insertions:
            self.is_served, self.tries, self.due_s = False, 0, float("-inf")
        self.raw, self.insertions, self.atr = state.raw, state.insertions, state.atr
        self.has_card, self.is_mute = state.has_card, state.is_mute

    def hold(self, state: ReaderState) -> None:
        """It is spoken with: a card that comes later is another one, and this one is not. What was noted of the one
        before is not its own."""
        if state.has_card and state.insertions != self.insertions:
            self.insertions, self.atr, self.tries = state.insertions, state.atr, 0

    @property
    def is_fresh(self) -> bool:
        """A card lies there that had no light yet."""
        return self.has_card and not self.is_served

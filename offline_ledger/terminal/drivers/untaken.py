"""What a driver has to tell: texts at once, refusals when somebody takes them; both are counted. DESIGN §11."""

from collections import deque
from collections.abc import Iterable

from offline_ledger.errors import Refusal


class Untaken:
    """Refusals that nobody took yet, so many at most: more of them are dropped and counted. For one thread."""

    def __init__(self, refusals_max: int) -> None:
        self._refusals_max = refusals_max
        self._refusals: deque[Refusal] = deque()
        self.refused = self.dropped = 0

    def refuse(self, refusal: Refusal) -> None:
        """One more to take, while there is room."""
        self.refused += 1
        if len(self._refusals) < self._refusals_max:
            self._refusals.append(refusal)
        else:
            self.dropped += 1

    def take(self) -> list[Refusal]:
        """Those since the last call, oldest first."""
        taken = list(self._refusals)
        self._refusals.clear()
        return taken


class Scans(Untaken):
    """Refusals of a scanner, beside its texts."""

    def __init__(self, refusals_max: int) -> None:
        super().__init__(refusals_max)
        self.texts = 0

    def sort(self, items: Iterable[str | Refusal]) -> list[str]:
        """The texts; what is none waits to be taken."""
        texts: list[str] = []
        for item in items:
            if isinstance(item, str):
                texts.append(item)
            else:
                self.refuse(item)
        self.texts += len(texts)
        return texts

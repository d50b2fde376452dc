"""Why a fare is what it is, kept for a moment: a card is charged before it pays, and its green comes after. Pure."""

from collections import OrderedDict

from offline_ledger.rules.civil import Explanation
from offline_ledger.rules.fare import Fare
from offline_ledger.terminal.outcome import Charge

KEPT_MAX = 32
"""Different fares on one trip: products × concessions × transfer or cap."""
_Key = tuple[str, int, int]


class FareLines:
    """The lines of the fares that were reckoned lately. Of two concessions with one fare the newest is told."""

    def __init__(self) -> None:
        self._kept: OrderedDict[_Key, Explanation] = OrderedDict()

    def note(self, fare: Fare | None) -> None:
        """One was reckoned; None: none was."""
        if fare is None:
            return
        key = (fare.product_code, fare.kgo, fare.thb_satang)
        self._kept[key] = fare.explanation
        self._kept.move_to_end(key)
        if len(self._kept) > KEPT_MAX:
            self._kept.popitem(last=False)

    def of(self, charge: Charge | None) -> Explanation | None:
        """The line of this charge; None: it was reckoned too long ago, or by somebody else."""
        return None if charge is None else self._kept.get((charge.product, charge.kgo, charge.satang))

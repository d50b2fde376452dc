"""Why a fare is what it is, kept for a moment: a card is charged before it pays, and its green comes after. Pure.

Kept by whose pass was asked for which fare: on a second reader another passenger's may be reckoned in between.
"""

from collections import OrderedDict

from offline_ledger.rules.civil import Explanation
from offline_ledger.rules.fare import Fare
from offline_ledger.terminal.outcome import Charge

KEPT_MAX = 32
"""Cards that were asked and have not paid yet; far more than lie on one bus's readers."""
_Key = tuple[bytes, str, int, int]


class FareLines:
    """The lines of the fares that were reckoned lately."""

    def __init__(self) -> None:
        self._kept: OrderedDict[_Key, Explanation] = OrderedDict()

    def note(self, pass_id: bytes, fare: Fare | None) -> None:
        """One was reckoned, for this pass; None: none was."""
        if fare is None:
            return
        key = (pass_id, fare.product_code, fare.kgo, fare.thb_satang)
        self._kept[key] = fare.explanation
        self._kept.move_to_end(key)
        if len(self._kept) > KEPT_MAX:
            self._kept.popitem(last=False)

    def of(self, pass_id: bytes, charge: Charge | None) -> Explanation | None:
        """The line of this charge of this pass; None: it was reckoned too long ago, or by somebody else."""
        return None if charge is None else self._kept.get((pass_id, charge.product, charge.kgo, charge.satang))

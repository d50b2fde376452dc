"""A card in a process of its own, obeying lines on standard input: for a desk, a scenario or a bench.

    python -m simulators.card --purse card.json --seed 7
    insert PORT | insert PORT in_answer 3 40 | remove | slow 0.3 | silent 2 | foreign bank | ours | state | quit

One a line; each is answered by `ok …` or `error …`. `insert PORT WHERE COMMAND SIZE` tears it there. The card is made
ready elsewhere (`loading.py`); without a purse it is a blank one.
"""

import argparse
import sys
from pathlib import Path

from simulators.card.applet import Applet
from simulators.card.foreign import ForeignCard, ForeignSort
from simulators.card.purse import PurseFile
from simulators.card.virtual import Tear, VirtualCard, Where
from simulators.obeying import obey_standard_input

SLOW_S_MAX = 60.0


class CardInHand:
    """The card that is held now: ours, or one of others in its place."""

    def __init__(self, purse: Path, seed: int) -> None:
        self._file = PurseFile(purse)
        self._applet = Applet(self._file, seed)
        self.card = VirtualCard(self._applet, self._file)

    def obey(self, command: str) -> str:
        """Carry out one line."""
        words = command.split()
        try:
            match words:
                case ["insert", port]:
                    self.card.insert(int(port))
                case ["insert", port, where, number, size]:
                    self.card.insert(int(port), Tear(int(number), Where(where), int(size)))
                case ["remove"]:
                    self.card.remove()
                case ["slow", seconds]:
                    self.card.pause_s = min(SLOW_S_MAX, max(0.0, float(seconds)))
                case ["silent", number]:
                    self.card.silent_from = int(number)
                case ["foreign", sort]:
                    self._take(VirtualCard(ForeignCard(ForeignSort(sort))))
                case ["ours"]:
                    self._take(VirtualCard(self._applet, self._file))
                case ["state"]:
                    return f"ok {'in' if self.card.is_in else 'out'} {len(self.card.exchanges)}"
                case _:
                    return f"error unknown command {command.strip()!r}"
        except (OSError, ValueError) as error:
            return f"error {error}"
        return "ok"

    def _take(self, other: VirtualCard) -> None:
        self.card.remove()
        self.card = other


def main() -> int:
    """Hold a card until `quit` or the end of standard input."""
    parser = argparse.ArgumentParser(prog="simulators.card", description="a card for a virtual PC/SC reader")
    parser.add_argument("--purse", type=Path, required=True, help="the card's memory; made if it is not there")
    parser.add_argument("--seed", type=int, default=0, help="of the key that a blank card makes")
    options = parser.parse_args()
    hand = CardInHand(options.purse, options.seed)
    print("ready", flush=True)
    obey_standard_input(hand.obey)
    hand.card.remove()
    return 0


if __name__ == "__main__":
    sys.exit(main())

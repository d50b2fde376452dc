"""What the page asks of the desk behind it, and nothing more. The desk is the truth; the page is only a view.

Amounts in views are integers: satang, or 1/100 KGO. DESIGN §3; `templates/` shows which key each screen reads.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

View = Mapping[str, object]


class Desk(Protocol):
    """One per program; every window sees the same one. Its methods may be called on any thread."""

    def act(self, action: str, fields: Mapping[str, str], seen: int) -> None:
        """What a person pressed; `seen`: the revision that was on the screen then. Raises Refusal: nothing has changed.

        May take about a second (a slow disk)."""
        ...

    def scanned(self, text: str) -> None:
        """A code that a scanner typed as if it were a keyboard."""
        ...

    def view(self) -> View:
        """All that the cashier's screen shows. Touches no disk."""
        ...

    def customer_view(self) -> View:
        """All that the customer's display shows. Touches no disk."""
        ...

    def wait_changed(self, after: int, timeout_s: float) -> int:
        """The newest revision, at the latest after `timeout_s`; at once when it is not `after`."""
        ...

    def search(self, text: str) -> Sequence[View]:
        """Goods by name, number or barcode: sku, name_th, name_en, price_satang (None: asked for), category."""
        ...

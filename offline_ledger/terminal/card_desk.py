"""What a card reader's driver and the deciding side say to each other in one tap. Protocol classes only. DESIGN §4, §5.

The driver speaks APDUs on its own thread and never decides; the desk decides on the deciding thread and never waits for
a card. A phone that emulates the applet is a card here.
"""

from typing import NamedTuple, Protocol

from offline_ledger.errors import Refusal


class CardOffer(NamedTuple):
    """What was read from a card before anything was asked of it. Nothing in it is verified."""

    allowance: bytes
    """The signed allowance that it holds."""
    last_payment: bytes | None
    """The payment it signed last under this allowance, byte for byte; None: none yet."""


class CardDesk(Protocol):
    """Where card taps are decided. Called on the driver's thread; each returns when the deciding thread has judged."""

    def offered(self, offer: CardOffer) -> bytes | None:
        """The signed payment request to put to the card, durable already; None: a light is shown, leave the card.

        Or the payload of a card challenge (`protocol.card.CARD_CHALLENGE`, for a driver's sign on): it is put to the
        card as such, and `answered` gets the signed one.
        """
        ...

    def answered(self, offer: CardOffer, payment: bytes) -> None:
        """The card's payment for that request; its light is shown when this returns."""
        ...

    def declined(self, offer: CardOffer, refusal: Refusal) -> None:
        """The card refused to pay the request (its purse is too small, say): no payment exists for it. Never called
        when that is in doubt."""
        ...

    def failed(self, refusal: Refusal) -> None:
        """No payment came: not our card, two cards, torn or silent. Whether a torn one has paid, its next tap tells: an
        open request stays open."""
        ...

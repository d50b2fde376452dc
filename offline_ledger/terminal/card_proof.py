"""A card proves that it is here, for something else than paying: a driver signs on with it. DESIGN §4, docs/card.md.

A pass id is no secret, and an allowance can be copied; only the chip signs this terminal's fresh challenge. Judges a
signature and decides nothing by it.
"""

from typing import NamedTuple, Protocol

from offline_ledger.errors import AllowanceMismatch, WalletSignatureWrong
from offline_ledger.protocol import cose
from offline_ledger.protocol.card import CARD_CHALLENGE, CardChallenge
from offline_ledger.protocol.kinds import Kind
from offline_ledger.protocol.wallet import NONCE_BYTES
from offline_ledger.terminal.acceptor import Acceptor
from offline_ledger.terminal.card_desk import CardOffer
from offline_ledger.terminal.ports import Entropy


class CardGate(Protocol):
    """Who wants a proof. On the deciding thread."""

    def wants(self, pass_id: bytes) -> bool:
        """Shall this card prove itself now, instead of paying?"""
        ...

    def proved(self, pass_id: bytes) -> None:
        """It did."""
        ...


class Challenged(NamedTuple):
    """What was put to a card."""

    pass_id: bytes
    payload: bytes


class CardProofs:
    """Makes challenges and judges what comes back."""

    def __init__(self, acceptor: Acceptor, city: str, device: str, entropy: Entropy) -> None:
        self._acceptor, self._device, self._entropy = acceptor, device, entropy
        self._aad = cose.external_aad(Kind.CARD_CHALLENGE, city)

    def challenge(self, offer: CardOffer, gate: CardGate) -> Challenged | None:
        """What to put to this card; None: nothing is wanted of it but to pay. Raises what reading an allowance does."""
        pass_id = self._acceptor.holder(offer).allowance.pass_id
        if not gate.wants(pass_id):
            return None
        said = CardChallenge(pass_id, self._device, self._entropy(NONCE_BYTES))
        return Challenged(pass_id, CARD_CHALLENGE.encode(said))

    def check(self, offer: CardOffer, challenged: Challenged, proof: bytes) -> None:
        """Raises the reading refusals, AllowanceMismatch for an answer to another challenge, WalletSignatureWrong."""
        issued = self._acceptor.holder(offer)
        signed = cose.parse_sign1(proof, self._aad)
        if signed.payload != challenged.payload:
            raise AllowanceMismatch("an answer to another challenge")
        if not cose.is_signature_of(signed, issued.wallet_key):
            raise WalletSignatureWrong()

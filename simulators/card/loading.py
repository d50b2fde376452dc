"""The city's desk where a card is made ready and loaded: over any way to exchange APDUs, and the city's real HTTPS.

The account's key is the chip's own, so the chip signs what the desk asks the city for. docs/card.md "Loading". `port`
is a card's `answer`, or a reader's `transmit`.
"""

from collections.abc import Callable
from random import Random
from typing import Protocol, cast

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from offline_ledger.protocol import wallet
from offline_ledger.protocol.card import Ins, Status, commands_for, get_response, select, split_answer
from offline_ledger.protocol.card_info import tlv
from offline_ledger.protocol.wallet import WalletAsk, WalletRequest
from simulators.card.applet import TAG_CITY, TAG_ISSUER, TAG_POINT

_POINT_TLV = bytes((TAG_POINT, 33))


class City(Protocol):
    """Where signed wallet requests go (`simulators.wallet.CityLink`)."""

    def ask(self, body: bytes) -> dict[int, object]:
        """The answer's map."""
        ...


class CardRefused(Exception):
    """The card said no; its status word."""

    def __init__(self, ins: Ins, status: int) -> None:
        super().__init__(f"{ins.name}: {status:04X}")
        self.status = status


class LoadingDesk:
    """One card on the desk's reader."""

    def __init__(self, exchange: Callable[[bytes], bytes], random: Random) -> None:
        self._exchange = exchange
        self._random = random
        said = split_answer(exchange(select()))
        if said.status != Status.OK:
            raise CardRefused(Ins.SELECT, said.status)

    def initialise(self, city: str, issuer_points: tuple[bytes, ...]) -> bytes:
        """Makes a blank card the city's; its own point, for which the desk opens an account. Raises CardRefused."""
        issuers = b"".join(tlv(TAG_ISSUER, uncompressed(point)) for point in issuer_points)
        said = self._say(Ins.INITIALISE, tlv(TAG_CITY, city.encode()) + issuers)
        assert said.startswith(_POINT_TLV)
        return said[len(_POINT_TLV) :]

    def register(self, link: City, point: bytes, at_s: int) -> int:
        """Opens the account online, where the city lets anyone; the balance."""
        return cast(int, self._asked(link, point, WalletAsk.REGISTER, at_s)[1])

    def load(self, link: City, point: bytes, at_s: int, closing: bytes | None = None) -> bytes:
        """Fetches a new allowance and stores it; the signed allowance. Raises CardRefused, and what the link raises."""
        raw = cast(bytes, self._asked(link, point, WalletAsk.ALLOWANCE, at_s, closing)[1])
        self._say(Ins.STORE_ALLOWANCE, raw)
        return raw

    def close(self) -> bytes:
        """Ends the allowance at hand; its signed closing, for `load`. Raises CardRefused."""
        return self._say(Ins.CLOSE)

    def _asked(
        self, link: City, point: bytes, what: WalletAsk, at_s: int, closing: bytes | None = None
    ) -> dict[int, object]:
        said = WalletRequest(what, point, point, self._random.randbytes(16), at_s, None, closing)
        return link.ask(self._say(Ins.SIGN_ASK, wallet.WALLET_REQUEST.encode(said)))

    def _say(self, ins: Ins, data: bytes = b"") -> bytes:
        found = b""
        for apdu in commands_for(ins, data):
            said = split_answer(self._exchange(apdu))
            found = said.data
            while said.status >> 8 == 0x61:
                said = split_answer(self._exchange(get_response(said.status & 0xFF)))
                found += said.data
            if said.status != Status.OK:
                raise CardRefused(ins, said.status)
        return found


def uncompressed(point: bytes) -> bytes:
    """Both coordinates, as a chip wants them."""
    key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    return key.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)

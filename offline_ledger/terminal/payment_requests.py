"""This terminal's open payment requests: durable before a wallet sees one, and matched with what answers. DESIGN §4.

A request for the same pass and the same charge is put again as it is: the wallet then answers with the same bytes, and
no torn tap pays twice. Decides no acceptance and shows nothing; the acceptor holds its lock around every call.
"""

from typing import NamedTuple

from offline_ledger.errors import AllowanceMismatch, JournalDamaged, Refusal, RequestExpired, RequestMismatch
from offline_ledger.protocol import cbor, cose, device
from offline_ledger.protocol.cose import Signed, Signer
from offline_ledger.protocol.device import PaymentRequest
from offline_ledger.protocol.kinds import OBJECT_BYTES_MAX, Kind
from offline_ledger.protocol.wallet import NONCE_BYTES, Allowance
from offline_ledger.rules.clock import TimeNow
from offline_ledger.rules.limits import Limits
from offline_ledger.terminal.journal import Journal
from offline_ledger.terminal.outcome import Charge, occasion_of
from offline_ledger.terminal.ports import Entropy

OPEN_MAX = 64
"""More cards than stand at one door within a request's life; the oldest is forgotten, and its payment then refused."""
_KEPT_BYTES_MAX = 2 * OBJECT_BYTES_MAX


class Asked(NamedTuple):
    """One open request. `charge` and `at`: what it was put for and when it was put last; None after a restart, when
    only its bytes and its occasion are known, and for one that any wallet may answer."""

    signed: Signed
    request: PaymentRequest
    occasion: bytes
    charge: Charge | None
    at: TimeNow | None

    def is_put_to(self, allowance: Allowance) -> bool:
        """Is a payment of this pass the one that was asked for?"""
        return self.request.pass_id in (None, allowance.pass_id)


class Requester(NamedTuple):
    """Who asks."""

    city: str
    device: str
    owner: str
    key_id: bytes
    signer: Signer


class PaymentRequests:
    """Those that may still be answered."""

    def __init__(self, journal: Journal, who: Requester, limits: Limits, entropy: Entropy) -> None:
        """Raises JournalDamaged when what the journal kept is no request of ours."""
        self._journal, self._who, self._limits, self._entropy = journal, who, limits, entropy
        self._aad = cose.external_aad(Kind.PAYMENT_REQUEST, who.city)
        self._open: dict[bytes, Asked] = {}
        self._reopened = journal.reopened
        self._read_all()

    def ask(self, pass_id: bytes | None, charge: Charge, at: TimeNow) -> Asked:
        """The request for this charge, durable: the one that is open for it already, or a new one. `pass_id` None: any
        wallet may answer it, and what it is charged is reckoned when it does.

        Raises StorageFull, StorageFailed.
        """
        self._take_in()
        occasion = occasion_of(charge.place, charge.kgo)
        for asked in self._open.values():
            if self._is_same(asked, pass_id, charge, occasion) and at.at_s <= asked.request.expires_at_s:
                again = asked._replace(charge=charge, at=at) if pass_id is not None else asked
                self._open[asked.signed.identity] = again
                return again
        request = PaymentRequest(
            device=self._who.device,
            owner=self._who.owner,
            amount_kgo=charge.kgo,
            amount_satang=charge.satang,
            what_for=charge.product,
            nonce=self._entropy(NONCE_BYTES),
            at_s=at.at_s,
            expires_at_s=at.at_s + self._limits.request_life_s,
            pass_id=pass_id,
        )
        payload = device.PAYMENT_REQUEST.encode(request)
        signed = cose.sign1(payload, self._aad, self._who.key_id, self._who.signer.sign)
        asked = Asked(signed, request, occasion, *((charge, at) if pass_id is not None else (None, None)))
        forget = self._too_old(at)
        body = cbor.encode([signed.identity, request.amount_kgo, request.amount_satang, request.expires_at_s])
        self._journal.open_request(signed.identity, cbor.encode([signed.raw, occasion]), body, forget)
        for one in forget:
            del self._open[one]
        self._open[signed.identity] = asked
        return asked

    def find(self, request_hash: bytes) -> Asked | None:
        """The open request of this hash, if it is one of ours. Raises JournalDamaged."""
        self._take_in()
        return self._open.get(request_hash)

    def check(self, asked: Asked | None, allowance: Allowance, at: TimeNow) -> Asked:
        """That a payment for it is still wanted, from this pass. Raises RequestMismatch, AllowanceMismatch,
        RequestExpired."""
        if asked is None:
            raise RequestMismatch("no such request is open here")
        if not asked.is_put_to(allowance):
            raise AllowanceMismatch("the request was put to another pass")
        if at.at_s > asked.request.expires_at_s:
            raise RequestExpired(f"{at.at_s - asked.request.expires_at_s} s late")
        return asked

    @staticmethod
    def check_charge(asked: Asked, charge: Charge) -> None:
        """After a restart the charge is made anew; it must be the one that was asked. Raises RequestMismatch."""
        if (charge.kgo, charge.satang) != (asked.request.amount_kgo, asked.request.amount_satang):
            raise RequestMismatch(f"{asked.request.amount_kgo} asked, {charge.kgo} due now")

    def open_for(self, occasion: bytes) -> list[Asked]:
        """Those that were put for this occasion and are still open. Raises JournalDamaged."""
        self._take_in()
        return [asked for asked in self._open.values() if asked.occasion == occasion]

    def closed(self, request_hash: bytes) -> None:
        """It was answered or cancelled; the journal knows."""
        self._open.pop(request_hash, None)

    def _is_same(self, asked: Asked, pass_id: bytes | None, charge: Charge, occasion: bytes) -> bool:
        request = asked.request
        same = (request.pass_id, request.amount_kgo, request.amount_satang, request.what_for, asked.occasion)
        return same == (pass_id, charge.kgo, charge.satang, charge.product, occasion)

    def _too_old(self, at: TimeNow) -> list[bytes]:
        """Past their end, and the oldest of too many. A clock that steps back keeps them a while longer."""
        gone = [one for one, asked in self._open.items() if at.at_s > asked.request.expires_at_s]
        left = [one for one in self._open if one not in gone]
        return gone + left[: max(0, len(left) - OPEN_MAX + 1)]

    def _take_in(self) -> None:
        """After a disk error it is known now what was written: an answer that closed a request after all, or one that
        was made. The city pays what the journal has; nobody is asked for it a second time."""
        if self._reopened != self._journal.reopened:
            self._reopened = self._journal.reopened
            self._read_all()

    def _read_all(self) -> None:
        """Oldest first."""
        kept = self._journal.open_requests()
        found = {one: self._open.get(one) or self._read(one, value) for one, value in kept.items()}
        self._open = dict(sorted(found.items(), key=lambda item: item[1].request.at_s))

    def _read(self, request_hash: bytes, kept: bytes) -> Asked:
        try:
            match cbor.decode(kept, _KEPT_BYTES_MAX):
                case [bytes(raw), bytes(occasion)]:
                    signed = cose.parse_sign1(raw, self._aad)
                    request = device.PAYMENT_REQUEST.decode(signed.payload, OBJECT_BYTES_MAX)
                case _:
                    raise JournalDamaged("a kept payment request is none")
        except JournalDamaged:
            raise
        except Refusal as refusal:
            raise JournalDamaged("a kept payment request is none") from refusal
        if signed.identity != request_hash:
            raise JournalDamaged("a kept payment request is another one")
        return Asked(signed, request, occasion, None, None)

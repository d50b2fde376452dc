"""A wallet's signed request and the city's answer: register, allowance, statement, balance. DESIGN §2, §8.

The request is proven by the account's key, bounded in age and good once. A lost answer is asked for again by a new
request: registering twice, closing twice and asking twice for one wallet key change nothing. Chance is an argument.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from offline_ledger.city import accounts, allowances
from offline_ledger.city.pace import Pace
from offline_ledger.city.registering import Sources, Terms, admit, note_opened, source_of
from offline_ledger.city.store import Store
from offline_ledger.errors import RequestReplayed, RequestStale, RequestUnreadable, WalletSignatureWrong
from offline_ledger.protocol import cbor, cose, wallet
from offline_ledger.protocol.cose import Signer
from offline_ledger.protocol.kinds import OBJECT_BYTES_MAX, PASS_ID_BYTES, Kind
from offline_ledger.protocol.wallet import Concession, Medium, WalletAsk, WalletRequest
from offline_ledger.rules.limits import Limits

REQUEST_AGE_S_MAX = 300
"""How far a phone's clock may be off; nonces are remembered twice as long."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sends a request, apart from what is signed: network address and one-time invitation; empty for none."""

    address: str = ""
    invitation: str = ""


NOBODY = Caller()


@dataclass(frozen=True, slots=True)
class WalletDesk:
    """Answers wallets. `terms` are data of the city's settings."""

    store: Store
    issuer: Signer
    ack: Signer
    limits: Limits
    terms: Terms
    chance: Callable[[int], bytes]
    sources: Sources = field(default_factory=Sources)
    pace: Pace = field(default_factory=Pace)

    def answer(self, raw: bytes, now_s: int, caller: Caller = NOBODY) -> bytes:
        """The CBOR answer. Raises the reading refusals, WalletSignatureWrong, RequestStale, AskedTooOften,
        RequestReplayed, WalletUnknown and what `registering.admit`, `allowances.close` and `allowances.issue` raise."""
        asked = self._read(raw)
        if abs(now_s - asked.at_s) > REQUEST_AGE_S_MAX:
            raise RequestStale(f"{asked.at_s}, here {now_s}")
        self.pace.take(asked.account_point, now_s)
        if asked.closing is not None:
            if asked.what != WalletAsk.ALLOWANCE:
                raise RequestUnreadable("a closing with another question")
            allowances.close(self.store, asked.closing, now_s)  # stands whatever comes next, as does what it proves
        with self.store.transaction():
            self._take_nonce(asked, now_s)
            return cbor.encode(self._answered(asked, now_s, caller))

    def _read(self, raw: bytes) -> WalletRequest:
        signed = cose.parse_sign1(raw, cose.external_aad(Kind.WALLET_REQUEST, self.store.city))
        asked = wallet.WALLET_REQUEST.decode(signed.payload, OBJECT_BYTES_MAX)
        key = cose.verify_key(asked.account_point)
        if signed.key_id != key.key_id or not cose.is_signature_of(signed, key):
            raise WalletSignatureWrong("wallet request")
        cose.verify_key(asked.wallet_point)
        return asked

    def _take_nonce(self, asked: WalletRequest, now_s: int) -> None:
        self.store.execute("DELETE FROM wallet_nonces WHERE at_s < ?", (now_s - 2 * REQUEST_AGE_S_MAX,))
        self.store.execute(
            "INSERT OR IGNORE INTO wallet_nonces(account_point, nonce, at_s) VALUES(?, ?, ?)",
            (asked.account_point, asked.nonce, now_s),
        )
        if not self.store.changes():
            raise RequestReplayed(asked.nonce.hex())

    def _answered(self, asked: WalletRequest, now_s: int, caller: Caller) -> dict[int, object]:
        if asked.what == WalletAsk.REGISTER:
            return {1: self._registered(asked.account_point, now_s, caller)}
        if asked.what == WalletAsk.ALLOWANCE:
            pass_id = self.chance(PASS_ID_BYTES)
            signed = allowances.issue(
                self.store, self.issuer, asked.account_point, asked.wallet_point, pass_id, self.limits, now_s
            )
            return {1: signed.raw}
        owner = allowances.wallet_of(self.store, asked.account_point)
        if asked.what == WalletAsk.BALANCE:
            allowances.release_due(self.store, self.limits, now_s, owner.wallet_id)
            available_kgo, reserved_kgo = allowances.balances(self.store, owner.wallet_id)
            deposit_kgo = accounts.balance(self.store, accounts.deposit_account(owner.wallet_id))
            return {1: available_kgo, 2: reserved_kgo, 3: deposit_kgo}
        if asked.what == WalletAsk.STATEMENT:
            mine = [
                issued
                for issued in allowances.of_wallet(self.store, owner.wallet_id)
                if issued.wallet_point == asked.wallet_point
            ]
            return {1: allowances.statement(self.store, self.ack, mine[-1].hash, now_s).raw} if mine else {}
        raise RequestUnreadable(f"wallet request {asked.what}")

    def _registered(self, account_point: bytes, now_s: int, caller: Caller) -> int:
        """The balance, after opening an account if there is none. Asking again needs no code and counts nowhere."""
        is_known = self.store.one("SELECT 1 FROM wallets WHERE account_point = ?", (account_point,)) is not None
        source = source_of(caller.address) if caller.address else ""
        if not is_known:
            admit(self.store, self.terms, self.sources, caller.invitation, source, account_point, now_s)
        kind = (Concession.ADULT, Medium.PHONE)
        opened = allowances.register(self.store, account_point, *kind, self.terms.kgo, now_s)
        if not is_known and not caller.invitation:
            note_opened(self.store, self.sources, opened.wallet_id, source, now_s)
        return allowances.balances(self.store, opened.wallet_id)[0]

"""A phone wallet: registers, takes allowances, shows presentments; n and S are durable before a code is shown.

An intent ends L after its first code, whatever restarts. Honest unless told otherwise: the cheats live in `cheats.py`.
It reaches the city over HTTPS as a phone would, and terminals only by the text of its codes. DESIGN §2, §4.
"""

import json
import os
from dataclasses import asdict, dataclass, replace
from http import HTTPStatus
from http.client import HTTPSConnection
from pathlib import Path
from random import Random
from ssl import create_default_context
from typing import cast
from urllib.parse import urlsplit

from offline_ledger.errors import RequestExpired, RequestMismatch, WrongCodeType
from offline_ledger.files import sync_folder
from offline_ledger.protocol import cbor, cose, device, qr, wallet
from offline_ledger.protocol.city import SIGNED_TRUST_LIST, TRUST_LIST
from offline_ledger.protocol.kinds import CITY_OBJECT_BYTES_MAX, OBJECT_BYTES_MAX, Kind
from offline_ledger.protocol.wallet import Allowance, Audience, Closing, Payment, Presentment, WalletAsk, WalletRequest
from offline_ledger.rules.limits import Limits
from simulators.keys import SimulatedKey

FRESH_S = Limits().freshness_s
INTENT_LIFE_S = Limits().intent_life_s
"""L: this long after its first code an intent has ended."""
_TIMEOUT_S = 20
_LISTS_BYTES_MAX = 1_048_576


class WalletOffline(Exception):
    """The city could not be asked; offline life goes on."""


class WalletRefused(Exception):
    """The city said no: its refusal's number, and in words number, key and detail."""

    def __init__(self, said: str, number: object = None) -> None:
        super().__init__(said)
        self.number = number


class WalletClosed(Exception):
    """The allowance at hand was closed to renew it: nothing new is authorised under it."""


class IntentEnded(Exception):
    """L has passed since its first code: only a new ride or sale has a code again."""


@dataclass(frozen=True, slots=True)
class WalletState:
    """What must survive a restart: `n` counts intents, `sum_kgo` is S, `authorised_kgo` what intent n authorises.

    `next_secret`: the key of an allowance that was asked for, until it is here. `closing_hex`: what was signed to get
    it; from then on the allowance at hand takes no new intent. `before_until_s`: when the one before it expires.
    `code_at_s`: when intent n had its newest code, `intent_age_s`: how long after its first one. `answered_hex`: the
    request that was paid last, `answer_hex`: the payment that was signed for it.
    """

    account_secret: int
    wallet_secret: int
    allowance_hex: str
    n: int
    sum_kgo: int
    authorised_kgo: int
    audience: int
    next_secret: int = 0
    closing_hex: str = ""
    before_until_s: int = 0
    code_at_s: int | None = None
    intent_age_s: int = 0
    answered_hex: str = ""
    answer_hex: str = ""


class CityLink:
    """HTTPS to one city with its private CA. `invitation`: what its owner typed from a paper, if anything."""

    invitation = ""

    def __init__(self, url: str, ca_file: Path) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or 443
        self._context = create_default_context(cafile=str(ca_file))

    def ask(self, body: bytes) -> dict[int, object]:
        """POST one signed wallet request. Raises WalletOffline, WalletRefused."""
        return cast(dict[int, object], self._asked("POST", "/v1/wallet", CITY_OBJECT_BYTES_MAX, body))

    def city(self) -> str:
        """The id of the city that answers here, as its trust list says: for words alone, nothing is checked. Raises
        WalletOffline, WalletRefused, Refusal."""
        first, *_ = cast(list[bytes], self._asked("GET", "/v1/trust-lists?after=0", _LISTS_BYTES_MAX))
        signed, *_ = SIGNED_TRUST_LIST.decode(first, CITY_OBJECT_BYTES_MAX).signatures
        payload = cose.parse_sign1(signed, cose.external_aad(Kind.TRUST_LIST, ""), CITY_OBJECT_BYTES_MAX).payload
        return TRUST_LIST.decode(payload, CITY_OBJECT_BYTES_MAX).city

    def _asked(self, method: str, path: str, bytes_max: int, body: bytes | None = None) -> object:
        connection = HTTPSConnection(self._host, self._port, timeout=_TIMEOUT_S, context=self._context)
        headers = {"content-type": "application/cbor"} | (
            {"kgo-invitation": self.invitation} if self.invitation else {}
        )
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            answer = response.read(bytes_max)
        except OSError as error:
            raise WalletOffline(str(error)) from error
        finally:
            connection.close()
        found = cbor.decode(answer, bytes_max)
        if response.status != HTTPStatus.OK:
            said = cast(dict[int, object], found)
            raise WalletRefused(f"{said.get(1)} {said.get(2)}: {said.get(3)}", said.get(1))
        return found


class PhoneWallet:
    """One customer's phone. `random` makes its keys and nonces, so a seeded town repeats."""

    def __init__(self, folder: Path, city: str, random: Random) -> None:
        self._path = folder / "wallet.json"
        self._city = city
        self._random = random
        folder.mkdir(parents=True, exist_ok=True)
        if self._path.exists():
            self.state = WalletState(**cast(dict[str, int], json.loads(self._path.read_text())))  # type: ignore[arg-type]
        else:
            self._keep(WalletState(random.getrandbits(255), 0, "", 0, 0, 0, 0))

    @property
    def account(self) -> SimulatedKey:
        """The account's own key: proves requests to the city, never shown to a terminal."""
        return SimulatedKey(self.state.account_secret)

    @property
    def key(self) -> SimulatedKey:
        """The key of the current allowance; a fresh one each time, so taps cannot be linked across allowances."""
        return SimulatedKey(self.state.wallet_secret)

    # --- online

    def register(self, link: CityLink, at_s: int) -> int:
        """Open an account; the balance in 1/100 KGO that registering grants."""
        return cast(int, self._ask(link, WalletAsk.REGISTER, self.account.point, at_s)[1])

    def balance(self, link: CityLink, at_s: int) -> tuple[int, int]:
        """Available and reserved, in 1/100 KGO."""
        found = self._ask(link, WalletAsk.BALANCE, self.account.point, at_s)
        return cast(int, found[1]), cast(int, found[2])

    def take_allowance(self, link: CityLink, at_s: int) -> Allowance:
        """A new allowance with a new key. n and S begin again. When its answer was lost, the same one comes."""
        if not self.state.next_secret:
            self._keep(replace(self.state, next_secret=self._random.getrandbits(255)))
        state = self.state
        is_early = bool(state.closing_hex) and self.allowance.expires_at_s >= at_s
        closing = bytes.fromhex(state.closing_hex) if is_early else None
        answer = self._ask(link, WalletAsk.ALLOWANCE, SimulatedKey(state.next_secret).point, at_s, closing)
        self._keep(
            replace(
                state,
                wallet_secret=state.next_secret,
                allowance_hex=cast(bytes, answer[1]).hex(),
                n=0,
                sum_kgo=0,
                authorised_kgo=0,
                next_secret=0,
                closing_hex="",
                code_at_s=None,
                intent_age_s=0,
                before_until_s=self.allowance.expires_at_s if state.allowance_hex else 0,
            )
        )
        return self.allowance

    def renew(self, link: CityLink, at_s: int) -> Allowance:
        """Before the allowance at hand expires: closes it, so that what it leaves moves to the new one at once. Where
        the one before it is unexpired too the city gives no third: then nothing is closed, and it says so."""
        if not self.state.closing_hex and self.state.before_until_s < at_s:
            self._keep(replace(self.state, closing_hex=self.sign_closing().hex()))
        return self.take_allowance(link, at_s)

    def sign_closing(self) -> bytes:
        """That nothing beyond the last intent was or will be authorised."""
        said = Closing(self.allowance_hash, self.state.n, self.state.sum_kgo + self.state.authorised_kgo)
        key = self.key
        return cose.sign1(wallet.CLOSING.encode(said), self._aad(Kind.CLOSING), key.key_id, key.sign).raw

    def statement(self, link: CityLink, at_s: int) -> wallet.Statement | None:
        """The city's newest statement for this wallet's allowance."""
        raw = self._ask(link, WalletAsk.STATEMENT, self.key.point, at_s).get(1)
        if raw is None:
            return None
        signed = cose.parse_sign1(cast(bytes, raw), self._aad(Kind.STATEMENT), CITY_OBJECT_BYTES_MAX)
        return wallet.STATEMENT.decode(signed.payload, CITY_OBJECT_BYTES_MAX)

    def _ask(
        self, link: CityLink, what: WalletAsk, wallet_point: bytes, at_s: int, closing: bytes | None = None
    ) -> dict[int, object]:
        account = self.account
        request = WalletRequest(what, account.point, wallet_point, self._random.randbytes(16), at_s, None, closing)
        payload = wallet.WALLET_REQUEST.encode(request)
        return link.ask(cose.sign1(payload, self._aad(Kind.WALLET_REQUEST), account.key_id, account.sign).raw)

    # --- offline

    @property
    def allowance_raw(self) -> bytes:
        """The signed allowance as the city sent it."""
        return bytes.fromhex(self.state.allowance_hex)

    @property
    def allowance(self) -> Allowance:
        """What the allowance says."""
        signed = cose.parse_sign1(self.allowance_raw, self._aad(Kind.ALLOWANCE))
        return wallet.ALLOWANCE.decode(signed.payload, OBJECT_BYTES_MAX)

    @property
    def allowance_hash(self) -> bytes:
        """Its identity."""
        return cose.parse_sign1(self.allowance_raw, self._aad(Kind.ALLOWANCE)).identity

    @property
    def left_kgo(self) -> int:
        """What the allowance at hand can still authorise."""
        return self.allowance.reserve_kgo - self.state.sum_kgo - self.state.authorised_kgo

    def new_intent(self, audience: Audience, cap_kgo: int) -> None:
        """ "New ride", "another passenger" or a confirmed sale: n + 1, S grows; durable before any code is shown.

        Raises WalletClosed.
        """
        state = self.state
        if state.closing_hex:
            raise WalletClosed
        self._keep(
            replace(
                state,
                n=state.n + 1,
                sum_kgo=state.sum_kgo + state.authorised_kgo,
                authorised_kgo=cap_kgo,
                audience=audience,
                code_at_s=None,
                intent_age_s=0,
            )
        )

    def code(self, at_s: int) -> str:
        """The QR text of the current intent; refreshing changes only the time. Raises IntentEnded.

        Its age is all the time that ran forward: a clock that steps back and returns ends it early, and what has ended
        stays so.
        """
        state = self.state
        passed_s = 0 if state.code_at_s is None else max(0, at_s - state.code_at_s)
        now = replace(state, code_at_s=at_s, intent_age_s=state.intent_age_s + passed_s)
        if now != state:
            self._keep(now)
        if now.intent_age_s >= INTENT_LIFE_S:
            raise IntentEnded
        return self.code_for(self.presentment(at_s))

    def answer(self, text: str, at_s: int) -> str:
        """The QR text that pays a terminal's payment request, after its holder has seen merchant and amount: n + 1, and
        no code shows this n. The same request is answered with the same bytes. Raises WalletClosed, the reading
        refusals, WrongCodeType, RequestMismatch (not signed by the device of its certificate), RequestExpired."""
        code = qr.decode(text)
        if code.type is not qr.QrType.REQUEST:
            raise WrongCodeType(code.type.value)
        certificate = cose.parse_sign1(code.objects[0], self._aad(Kind.DEVICE_CERTIFICATE))
        of = device.DEVICE_CERTIFICATE.decode(certificate.payload, OBJECT_BYTES_MAX)
        asked = cose.parse_sign1(code.objects[1], self._aad(Kind.PAYMENT_REQUEST))
        request = device.PAYMENT_REQUEST.decode(asked.payload, OBJECT_BYTES_MAX)
        if request.device != of.device or not cose.is_signature_of(asked, cose.verify_key(of.point)):
            raise RequestMismatch("signature")
        if self.state.answered_hex == asked.identity.hex():
            return qr.encode(qr.QrType.PAYMENT, self.allowance_raw, bytes.fromhex(self.state.answer_hex))
        if at_s > request.expires_at_s:
            raise RequestExpired(f"{at_s - request.expires_at_s} s late")
        if self.state.closing_hex:
            raise WalletClosed
        state = self.state
        n, sum_kgo = state.n + 1, state.sum_kgo + state.authorised_kgo
        payment = Payment(self.allowance_hash, n, sum_kgo, asked.identity, request.amount_kgo, at_s)
        key = self.key
        signed = cose.sign1(wallet.PAYMENT.encode(payment), self._aad(Kind.PAYMENT), key.key_id, key.sign)
        ended = replace(state, n=n, sum_kgo=sum_kgo, authorised_kgo=request.amount_kgo, intent_age_s=INTENT_LIFE_S)
        self._keep(replace(ended, answered_hex=asked.identity.hex(), answer_hex=signed.raw.hex()))
        return qr.encode(qr.QrType.PAYMENT, self.allowance_raw, signed.raw)

    def presentment(self, at_s: int) -> Presentment:
        """What a code of the current intent says at that time; nothing is signed or shown by it."""
        state = self.state
        return Presentment(
            self.allowance_hash, state.n, state.sum_kgo, state.authorised_kgo, state.audience, at_s, FRESH_S
        )

    def code_for(self, presentment: Presentment) -> str:
        """Sign and encode."""
        key = self.key
        payload = wallet.PRESENTMENT.encode(presentment)
        signed = cose.sign1(payload, self._aad(Kind.PRESENTMENT), key.key_id, key.sign)
        return qr.encode(qr.QrType.PRESENTMENT, self.allowance_raw, signed.raw)

    def _aad(self, kind: Kind) -> bytes:
        return cose.external_aad(kind, self._city)

    def _keep(self, state: WalletState) -> None:
        """Write aside, sync, rename: a torn phone keeps the old counter or the new one."""
        aside = self._path.with_suffix(".new")
        with aside.open("w") as file:
            json.dump(asdict(state), file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, self._path)
        sync_folder(self._path.parent)  # else a power cut may bring the old name back, and its n is signed anew
        self.state = state

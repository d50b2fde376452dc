"""The wallet applet: command APDU in, response APDU out, as docs/card.md says. It stands for a JavaCard or a phone.

Pays at most what its allowance leaves, each request once; n, S and the signed bytes are durable before the first byte
of an answer. Has no clock: times are those of the request. Its keys come from a seed and are TEST ONLY.
"""

from collections.abc import Callable
from random import Random

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from offline_ledger.errors import Refusal
from offline_ledger.protocol import cose
from offline_ledger.protocol.card import (
    AID,
    CHAIN_BYTES_MAX,
    CLA,
    CLA_ISO,
    VERSION,
    Command,
    Ins,
    Status,
    read_command,
)
from offline_ledger.protocol.card_info import EXTENDED, AppletInfo, AppletState, encode_info, read_tlv, tlv
from offline_ledger.protocol.kinds import Kind
from simulators.card import walk
from simulators.card.purse import Purse, PurseDamaged, PurseFile
from simulators.keys import SimulatedKey

ATR = bytes.fromhex("3B80800101")
"""A contactless card without historical bytes (PC/SC part 3): T=1 through the reader."""
N_MAX = 2**31 - 1
ISSUERS_MAX = 4
"""The key in use and those made for the years after it: a chip takes no new one later."""
TAG_CITY, TAG_ISSUER, TAG_POINT = 0xC4, 0xC5, 0xC6
_POINT_BYTES = 65


class AppletError(Exception):
    """A status word other than OK."""

    def __init__(self, status: Status) -> None:
        super().__init__(status.name)
        self.status = status


class Applet:
    """One card's logic. `answer_bytes_max`: above it the answer is fetched by GET RESPONSE."""

    def __init__(self, file: PurseFile, seed: int, answer_bytes_max: int = 256, version: int = VERSION) -> None:
        self.atr = ATR
        self.file = file
        self._random = Random(f"TEST ONLY card {seed}")
        self._answer_bytes_max = answer_bytes_max
        self._version = version
        self._table: dict[int, Callable[[Purse, bytes], bytes]] = {
            Ins.READ_ALLOWANCE: self._read_allowance,
            Ins.READ_LAST_PAYMENT: self._read_last_payment,
            Ins.PAY: self._pay,
            Ins.AUTHENTICATE: self._authenticate,
            Ins.SIGN_ASK: self._sign_ask,
            Ins.CLOSE: self._close,
            Ins.INITIALISE: self._initialise,
            Ins.STORE_ALLOWANCE: self._store_allowance,
        }
        self.reset()

    def reset(self) -> None:
        """The power came or went: what was in RAM is gone."""
        self._selected = False
        self._chain: tuple[int, bytes] | None = None
        self._rest = b""

    def answer(self, apdu: bytes) -> bytes:
        """One response APDU; what it says is durable already."""
        command = read_command(apdu)
        if command is None:
            return _status(Status.WRONG_LENGTH)
        try:
            if command.ins == Ins.GET_RESPONSE and command.cla == CLA_ISO:
                return self._sent(self._rest)
            self._rest = b""
            return self._sent(self._done(command))
        except AppletError as error:
            self._chain = None
            return _status(error.status)
        except (walk.WalkError, Refusal):
            self._chain = None
            return _status(Status.DATA_WRONG)
        except PurseDamaged:
            return _status(Status.BLOCKED)

    def _done(self, command: Command) -> bytes:
        if command.ins == Ins.SELECT and command.cla == CLA_ISO:
            return self._select(command)
        if not self._selected:
            raise AppletError(Status.INS_UNKNOWN)  # no application is there that knows it
        if command.cla != CLA:
            raise AppletError(Status.CLA_UNKNOWN)
        work = self._table.get(command.ins)
        if work is None:
            raise AppletError(Status.INS_UNKNOWN)
        if command.p1 or command.p2:
            raise AppletError(Status.PARAMETERS_WRONG)
        data = self._chained(command)
        return b"" if data is None else work(self.file.load(), data)

    def _chained(self, command: Command) -> bytes | None:
        """All data of a chain when its last part is here; None before."""
        ins, before = self._chain or (command.ins, b"")
        if ins != command.ins:
            raise AppletError(Status.CHAIN_BROKEN)
        data = before + command.data
        if len(data) > CHAIN_BYTES_MAX:
            raise AppletError(Status.WRONG_LENGTH)
        self._chain = None if command.is_last else (ins, data)
        return data if command.is_last else None

    def _sent(self, data: bytes) -> bytes:
        now, self._rest = data[: self._answer_bytes_max], data[self._answer_bytes_max :]
        if not self._rest:
            return now + _status(Status.OK)
        return now + bytes((0x61, min(len(self._rest), self._answer_bytes_max) & 0xFF))

    def _select(self, command: Command) -> bytes:
        self.reset()
        if command.data != AID:
            raise AppletError(Status.NOT_FOUND)
        purse = self.file.load()
        self._selected = True
        state = AppletState.LOADED if purse.allowance else AppletState.PERSONALISED
        if purse.closing:
            state = AppletState.CLOSED
        elif not purse.city:
            state = AppletState.BLANK
        return encode_info(AppletInfo(self._version, EXTENDED, CHAIN_BYTES_MAX, state))

    # --- at a terminal

    def _read_allowance(self, purse: Purse, _data: bytes) -> bytes:
        return _stored(purse.allowance)

    def _read_last_payment(self, purse: Purse, _data: bytes) -> bytes:
        return _stored(purse.payment)

    def _pay(self, purse: Purse, data: bytes) -> bytes:
        held = self._held(purse)
        city = purse.city.encode()
        request = walk.read_request(data, city, Kind.PAYMENT_REQUEST)
        if request.identity == purse.request_hash:
            return purse.payment
        if request.pass_id != held.pass_id:
            raise AppletError(Status.OTHER_PASS)
        if purse.closing:
            raise AppletError(Status.CLOSED)
        if request.at_s > held.expires_at_s:
            raise AppletError(Status.EXPIRED)
        if purse.n >= N_MAX:
            raise AppletError(Status.COUNTER_ENDED)
        sum_kgo = purse.sum_kgo + purse.authorised_kgo
        if held.reserve_kgo - sum_kgo < request.amount_kgo:
            raise AppletError(Status.PURSE_TOO_SMALL)
        payload = walk.payment_payload(
            held.signed.identity, purse.n + 1, sum_kgo, request.identity, request.amount_kgo, request.at_s
        )
        payment = _signed(purse, Kind.PAYMENT, payload)
        self.file.keep(
            purse._replace(
                n=purse.n + 1,
                sum_kgo=sum_kgo,
                authorised_kgo=request.amount_kgo,
                request_hash=request.identity,
                payment=payment,
            )
        )
        return payment

    def _authenticate(self, purse: Purse, data: bytes) -> bytes:
        walk.check_challenge(data, self._held(purse).pass_id)
        return _signed(purse, Kind.CARD_CHALLENGE, data)

    # --- at the desk that loads it

    def _sign_ask(self, purse: Purse, data: bytes) -> bytes:
        _check_personalised(purse)
        walk.check_ask(data, SimulatedKey(purse.secret_test_only).point)
        return _signed(purse, Kind.WALLET_REQUEST, data)

    def _close(self, purse: Purse, _data: bytes) -> bytes:
        if purse.closing:
            return purse.closing
        held = self._held(purse)
        payload = walk.closing_payload(held.signed.identity, purse.n, purse.sum_kgo + purse.authorised_kgo)
        closing = _signed(purse, Kind.CLOSING, payload)
        self.file.keep(purse._replace(closing=closing))
        return closing

    def _initialise(self, purse: Purse, data: bytes) -> bytes:
        if purse.city:
            raise AppletError(Status.NOT_NOW)
        found = list(read_tlv(data))
        cities = [value for tag, value in found if tag == TAG_CITY]
        issuers = [_compressed(value) for tag, value in found if tag == TAG_ISSUER]
        is_complete = len(cities) == 1 and 1 <= len(issuers) <= ISSUERS_MAX and len(found) == 1 + len(issuers)
        if not is_complete or not 0 < len(cities[0]) <= walk.CITY_BYTES_MAX:
            raise AppletError(Status.DATA_WRONG)
        secret = self._random.getrandbits(255)
        self.file.keep(Purse(secret, cities[0].decode(), tuple(issuers)))
        return tlv(TAG_POINT, SimulatedKey(secret).point)

    def _store_allowance(self, purse: Purse, data: bytes) -> bytes:
        _check_personalised(purse)
        if data == purse.allowance:
            return b""  # the answer was torn: it is here
        city = purse.city.encode()
        fresh = walk.read_allowance(data, city, Kind.ALLOWANCE)
        if fresh.city != city or fresh.point != SimulatedKey(purse.secret_test_only).point:
            raise AppletError(Status.DATA_WRONG)
        if purse.allowance and fresh.not_before_s <= self._held(purse).not_before_s:
            raise AppletError(Status.NOT_NEWER)
        if not any(_is_signed_by(data, point, purse.city) for point in purse.issuer_points):
            raise AppletError(Status.SIGNATURE_WRONG)
        self.file.keep(Purse(purse.secret_test_only, purse.city, purse.issuer_points, data))
        return b""

    def _held(self, purse: Purse) -> walk.Held:
        _check_personalised(purse)
        return walk.read_allowance(_stored(purse.allowance), purse.city.encode(), Kind.ALLOWANCE)


def _check_personalised(purse: Purse) -> None:
    if not purse.city:
        raise AppletError(Status.NOT_NOW)


def _stored(data: bytes) -> bytes:
    if not data:
        raise AppletError(Status.NOTHING_STORED)
    return data


def _signed(purse: Purse, kind: Kind, payload: bytes) -> bytes:
    key = SimulatedKey(purse.secret_test_only)
    message = walk.structure(key.key_id, kind, purse.city.encode(), payload)
    return walk.sign1(key.key_id, payload, key.sign(message))


def _is_signed_by(raw: bytes, point: bytes, city: str) -> bool:
    key = cose.verify_key(point)
    signed = cose.parse_sign1(raw, cose.external_aad(Kind.ALLOWANCE, city))
    return signed.key_id == key.key_id and cose.is_signature_of(signed, key)


def _compressed(uncompressed: bytes) -> bytes:
    """A chip keeps both coordinates; here the short form serves."""
    if len(uncompressed) != _POINT_BYTES:
        raise AppletError(Status.DATA_WRONG)
    try:
        key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), uncompressed)
    except ValueError as error:
        raise AppletError(Status.DATA_WRONG) from error
    return key.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.CompressedPoint)


def _status(status: Status) -> bytes:
    return int(status).to_bytes(2, "big")

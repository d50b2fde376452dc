"""What wallets carry and sign: allowance, presentment, payment, closing, statement, coupon. Pure. DESIGN §4."""

from enum import IntEnum
from typing import NamedTuple

from offline_ledger.protocol.fields import Field, Layout, amount, blob, fixed, items, row, text, time_s, uint
from offline_ledger.protocol.kinds import HASH_BYTES, PASS_ID_BYTES, POINT_BYTES

CITY_CHARACTERS_MAX = 16
ID_CHARACTERS_MAX = 32
NONCE_BYTES = 16
CLOSING_BYTES_MAX = 512
STATEMENT_CHARGES_MAX = 10_000
"""The highest n of an allowance; what stands before them is one sum."""


class Audience(IntEnum):
    """Where a presentment may be shown."""

    TRANSIT = 1
    SHOP = 2


class Concession(IntEnum):
    """Fare class that the city granted to the account."""

    ADULT = 0
    STUDENT = 1
    SENIOR = 2
    DISABLED = 3


class Medium(IntEnum):
    """What holds the wallet key."""

    PHONE = 0
    CARD = 1


class Allowance(NamedTuple):
    """The issuer's word: this wallet key may spend up to `reserve_kgo` offline until `expires_at_s`."""

    city: str
    pass_id: bytes
    wallet_point: bytes
    reserve_kgo: int
    transit_cap_kgo: int
    shop_cap_kgo: int
    concession: int
    medium: int
    not_before_s: int
    expires_at_s: int


ALLOWANCE = Layout(
    Allowance,
    Field(1, "city", text(CITY_CHARACTERS_MAX)),
    Field(2, "pass_id", fixed(PASS_ID_BYTES)),
    Field(3, "wallet_point", fixed(POINT_BYTES)),
    Field(4, "reserve_kgo", amount()),
    Field(5, "transit_cap_kgo", amount()),
    Field(6, "shop_cap_kgo", amount()),
    Field(7, "concession", uint(15)),
    Field(8, "medium", uint(3)),
    Field(9, "not_before_s", time_s()),
    Field(10, "expires_at_s", time_s()),
)


class Presentment(NamedTuple):
    """One-way authorisation: up to `cap_kgo` for this intent; in a shop exactly `cap_kgo`."""

    allowance_hash: bytes
    n: int
    sum_kgo: int
    cap_kgo: int
    audience: int
    at_s: int
    valid_s: int


PRESENTMENT = Layout(
    Presentment,
    Field(1, "allowance_hash", fixed(HASH_BYTES)),
    Field(2, "n", uint(1 << 32, 1)),
    Field(3, "sum_kgo", amount()),
    Field(4, "cap_kgo", amount()),
    Field(5, "audience", uint(2, 1)),
    Field(6, "at_s", time_s()),
    Field(7, "valid_s", uint(30, 1)),
)


class Payment(NamedTuple):
    """Two-way authorisation: `amount_kgo` for the request whose identity is `request_hash`."""

    allowance_hash: bytes
    n: int
    sum_kgo: int
    request_hash: bytes
    amount_kgo: int
    at_s: int


PAYMENT = Layout(
    Payment,
    Field(1, "allowance_hash", fixed(HASH_BYTES)),
    Field(2, "n", uint(1 << 32, 1)),
    Field(3, "sum_kgo", amount()),
    Field(4, "request_hash", fixed(HASH_BYTES)),
    Field(5, "amount_kgo", amount()),
    Field(6, "at_s", time_s()),
)


class Closing(NamedTuple):
    """The wallet's last word on an allowance: nothing beyond n and S was or will be authorised."""

    allowance_hash: bytes
    last_n: int
    final_sum_kgo: int


CLOSING = Layout(
    Closing,
    Field(1, "allowance_hash", fixed(HASH_BYTES)),
    Field(2, "last_n", uint(1 << 32)),
    Field(3, "final_sum_kgo", amount()),
)


class Statement(NamedTuple):
    """The ledger's word to a wallet: each posted n with its charge, and what returns. `earlier`: how many lower n are
    not listed, and what they were charged together."""

    allowance_hash: bytes
    issued_at_s: int
    charges: tuple[tuple[int, int], ...]
    returned_kgo: int
    earlier: tuple[int, int] | None = None


STATEMENT = Layout(
    Statement,
    Field(1, "allowance_hash", fixed(HASH_BYTES)),
    Field(2, "issued_at_s", time_s()),
    Field(3, "charges", items(row(uint(1 << 32, 1), amount()), STATEMENT_CHARGES_MAX)),
    Field(4, "returned_kgo", amount()),
    Field(5, "earlier", row(uint(1 << 32, 1), amount()), optional=True),
)


class Coupon(NamedTuple):
    """A paper bearer ticket, single use, good at one terminal (and trip) only."""

    city: str
    coupon_id: bytes
    product: str
    device: str
    trip: str | None
    value_kgo: int
    expires_at_s: int


COUPON = Layout(
    Coupon,
    Field(1, "city", text(CITY_CHARACTERS_MAX)),
    Field(2, "coupon_id", fixed(PASS_ID_BYTES)),
    Field(3, "product", text(ID_CHARACTERS_MAX)),
    Field(4, "device", text(ID_CHARACTERS_MAX)),
    Field(5, "trip", text(ID_CHARACTERS_MAX), optional=True),
    Field(6, "value_kgo", amount()),
    Field(7, "expires_at_s", time_s()),
)


class WalletRequest(NamedTuple):
    """A wallet's online request to the city: what, for which account and key; signed by the account key. `closing`: the
    signed closing of the allowance before, with ALLOWANCE only."""

    what: int
    account_point: bytes
    wallet_point: bytes
    nonce: bytes
    at_s: int
    body: bytes | None
    closing: bytes | None = None


class WalletAsk(IntEnum):
    """What a wallet asks the city for."""

    REGISTER = 1
    ALLOWANCE = 2
    STATEMENT = 3
    BALANCE = 4


WALLET_REQUEST = Layout(
    WalletRequest,
    Field(1, "what", uint(15, 1)),
    Field(2, "account_point", fixed(POINT_BYTES)),
    Field(3, "wallet_point", fixed(POINT_BYTES)),
    Field(4, "nonce", fixed(NONCE_BYTES)),
    Field(5, "at_s", time_s()),
    Field(6, "body", fixed(HASH_BYTES), optional=True),
    Field(7, "closing", blob(CLOSING_BYTES_MAX), optional=True),
)


def intent_digest_fields(wallet_object: Presentment | Payment) -> tuple[object, ...]:
    """Everything of an intent but its time: two codes of one intent agree in this, and only honest ones do."""
    if isinstance(wallet_object, Presentment):
        return (1, wallet_object.n, wallet_object.sum_kgo, wallet_object.cap_kgo, wallet_object.audience)
    return (2, wallet_object.n, wallet_object.sum_kgo, wallet_object.amount_kgo, wallet_object.request_hash)


def authorised_kgo(wallet_object: Presentment | Payment) -> int:
    """What this object adds to S: the cap of a presentment, the amount of a payment."""
    return wallet_object.cap_kgo if isinstance(wallet_object, Presentment) else wallet_object.amount_kgo

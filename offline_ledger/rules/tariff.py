"""The tariff bulletin's body: CBOR map to values and back, judged as a whole. Pure. DESIGN §9.

Products are tried in order and the first that fits route and day counts, so a
campaign stands before the base fare it replaces. A product kind that this version cannot reckon is refused by name and
never guessed. Fares themselves are `rules.fare`.
"""

from collections.abc import Mapping
from enum import IntEnum
from typing import NamedTuple, cast

from offline_ledger.errors import Malformed, TariffMalformed, UnknownKey, UnknownProductKind, ValueOutOfRange
from offline_ledger.protocol.fields import Field, Layout, amount, items, text, uint
from offline_ledger.rules.civil import day_of, is_within
from offline_ledger.rules.limits import HOUR_S, WHOLE_PER_MILLE

PRODUCTS_MAX = 64
CONCESSIONS_MAX = 15
ROUTES_MAX = 500
NAME_CHARACTERS_MAX = 60
PRODUCT_ID_CHARACTERS_MAX = 20
TRANSFER_S_MAX = 6 * HOUR_S
TRANSFERS_MAX = 9
PASS_BACK_S_MAX = HOUR_S
"""Whoever comes back after an hour has ridden elsewhere meanwhile, and is no friend at the same door."""


class ProductKind(IntEnum):
    """How a product is reckoned; zones and tap-in/tap-out will be further numbers."""

    FLAT = 1


class Product(NamedTuple):
    """A fare product. Days are `yyyymmdd`, common era, Bangkok, both inclusive; no `routes` = all routes."""

    product_id: str
    kind: int
    name_th: str
    name_en: str
    kgo: int
    thb_satang: int
    first_day: int | None
    last_day: int | None
    routes: tuple[str, ...] | None

    def covers(self, route: str, day: int) -> bool:
        """Does it hold for this route on this day number?"""
        first = day_of(self.first_day) if self.first_day is not None else None
        last = day_of(self.last_day) if self.last_day is not None else None
        return (self.routes is None or route in self.routes) and is_within(day, first, last)


class Concession(NamedTuple):
    """What a concession class pays: a share of both legs, or fixed legs (never more than the product's own)."""

    concession: int
    name_th: str
    name_en: str
    pays_per_mille: int | None
    fixed_kgo: int | None
    fixed_thb_satang: int | None


class Transfer(NamedTuple):
    """A further boarding, on another trip, within `window_s` of the paid one pays this share (0 = free)."""

    window_s: int
    pays_per_mille: int
    transfers_max: int


class DailyCap(NamedTuple):
    """No more per wallet and civil day, as this validator saw it; each leg for itself."""

    kgo: int
    thb_satang: int


class Tariff(NamedTuple):
    """All fares of a city's buses at one bulletin version."""

    products: tuple[Product, ...]
    concessions: tuple[Concession, ...]
    transfer: Transfer | None
    daily_cap: DailyCap | None
    pass_back_s: int = 0
    """For so long after a green the same wallet gets no further ride at this validator, unless somebody pressed
    "another passenger" there; 0: companions are always welcome."""


def _known_kind(value: object) -> object:
    kind = uint(255, 1)(value)
    if kind not in tuple(ProductKind):
        raise UnknownProductKind(str(kind))
    return kind


def civil_date(value: object) -> object:
    """Check of a `yyyymmdd` in the common era."""
    number = cast(int, uint(21_991_231, 20_000_101)(value))
    try:
        day_of(number)
    except ValueError as problem:
        raise ValueOutOfRange(str(problem)) from problem
    return value


PRODUCT = Layout(
    Product,
    Field(1, "product_id", text(PRODUCT_ID_CHARACTERS_MAX)),
    Field(2, "kind", _known_kind),
    Field(3, "name_th", text(NAME_CHARACTERS_MAX)),
    Field(4, "name_en", text(NAME_CHARACTERS_MAX)),
    Field(5, "kgo", amount()),
    Field(6, "thb_satang", amount()),
    Field(7, "first_day", civil_date, optional=True),
    Field(8, "last_day", civil_date, optional=True),
    Field(9, "routes", items(text(32), ROUTES_MAX, 1), optional=True),
)
CONCESSION = Layout(
    Concession,
    Field(1, "concession", uint(15, 1)),
    Field(2, "name_th", text(NAME_CHARACTERS_MAX)),
    Field(3, "name_en", text(NAME_CHARACTERS_MAX)),
    Field(4, "pays_per_mille", uint(WHOLE_PER_MILLE), optional=True),
    Field(5, "fixed_kgo", amount(), optional=True),
    Field(6, "fixed_thb_satang", amount(), optional=True),
)
TRANSFER = Layout(
    Transfer,
    Field(1, "window_s", uint(TRANSFER_S_MAX, 1)),
    Field(2, "pays_per_mille", uint(WHOLE_PER_MILLE)),
    Field(3, "transfers_max", uint(TRANSFERS_MAX, 1)),
)
DAILY_CAP = Layout(DailyCap, Field(1, "kgo", amount()), Field(2, "thb_satang", amount()))
TARIFF = Layout(
    Tariff,
    Field(1, "products", items(PRODUCT.from_map, PRODUCTS_MAX, 1)),
    Field(2, "concessions", items(CONCESSION.from_map, CONCESSIONS_MAX)),
    Field(3, "transfer", TRANSFER.from_map, optional=True),
    Field(4, "daily_cap", DAILY_CAP.from_map, optional=True),
    Field(5, "pass_back_s", uint(PASS_BACK_S_MAX, 1), optional=True),
)


def decode_tariff(body: Mapping[int, object]) -> Tariff:
    """The tariff of a verified bulletin. Raises TariffMalformed (with what is wrong), UnknownProductKind."""
    try:
        tariff = TARIFF.from_map(dict(body))
        tariff = tariff._replace(pass_back_s=tariff.pass_back_s or 0)  # absent: off
    except (Malformed, UnknownKey, ValueOutOfRange) as problem:
        raise TariffMalformed(str(problem)) from problem
    problems = _problems(tariff)
    if problems:
        raise TariffMalformed("; ".join(problems))
    return tariff


def encode_tariff(tariff: Tariff) -> dict[int, object]:
    """The body map of a tariff; raises what `decode_tariff` would, so nothing unreadable is ever signed."""
    body: dict[int, object] = {
        1: [{**PRODUCT.to_map(product), 2: int(product.kind)} for product in tariff.products],
        2: [dict(CONCESSION.to_map(concession)) for concession in tariff.concessions],
    }
    if tariff.transfer is not None:
        body[3] = dict(TRANSFER.to_map(tariff.transfer))
    if tariff.daily_cap is not None:
        body[4] = dict(DAILY_CAP.to_map(tariff.daily_cap))
    if tariff.pass_back_s:
        body[5] = tariff.pass_back_s
    decode_tariff(body)
    return body


def _problems(tariff: Tariff) -> list[str]:
    found: list[str] = []
    ids = [product.product_id for product in tariff.products]
    if len(set(ids)) != len(ids):
        found.append("two products have one id")
    found += [f"product id {name!r} holds a plus sign" for name in ids if "+" in name]
    for product in tariff.products:
        if product.first_day and product.last_day and product.first_day > product.last_day:
            found.append(f"product {product.product_id} ends before it begins")
    if not any(p.first_day is None and p.last_day is None and p.routes is None for p in tariff.products):
        found.append("no base fare: one product must hold on all routes and days")
    classes = [concession.concession for concession in tariff.concessions]
    if len(set(classes)) != len(classes):
        found.append("two rules for one concession class")
    for concession in tariff.concessions:
        fixed = (concession.fixed_kgo, concession.fixed_thb_satang)
        is_share, is_fixed = concession.pays_per_mille is not None, fixed != (None, None)
        if is_share == is_fixed or (is_fixed and None in fixed):
            found.append(f"concession {concession.concession} needs a share or both fixed legs")
    return found

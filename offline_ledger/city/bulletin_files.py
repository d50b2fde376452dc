"""Tariffs, campaigns and configuration as JSON files with named fields, for the operator's editor. DESIGN §9. Pure.

The names are those of the rules' own values; money is text ("50" KGO, "1" baht). The rules judge every field again.
"""

from collections.abc import Callable
from dataclasses import fields
from typing import Any, TypeVar, cast

from offline_ledger.errors import Refusal, SettingsInvalid
from offline_ledger.money import parse_minor
from offline_ledger.protocol.city import BulletinKind
from offline_ledger.rules.campaign import Campaign, Campaigns, Discount, Reward, encode_campaigns
from offline_ledger.rules.tariff import Concession, DailyCap, Product, Tariff, Transfer, encode_tariff

T = TypeVar("T")
_PARTS: dict[str, type[Any]] = {
    "products": Product,
    "concessions": Concession,
    "transfer": Transfer,
    "daily_cap": DailyCap,
    "campaigns": Campaign,
    "discount": Discount,
    "reward": Reward,
}
_AMOUNTS = frozenset(
    {"kgo", "thb_satang", "fixed_kgo", "fixed_thb_satang", "rate_satang", "wallet_day_kgo_max", "bill_satang_min"}
    | {"per_satang"}
)


def read_bulletin(kind: BulletinKind, value: object, where: str) -> dict[int, object]:
    """The body map. Raises SettingsInvalid with the place of the first mistake, or what the rules say."""
    builders: dict[BulletinKind, Callable[[], dict[int, object]]] = {
        BulletinKind.TARIFF: lambda: encode_tariff(_built(Tariff, value, where)),
        BulletinKind.CAMPAIGN: lambda: encode_campaigns(_built(Campaigns, value, where)),
        BulletinKind.CONFIGURATION: lambda: _numbered(value, where),
    }
    try:
        return builders[kind]()
    except SettingsInvalid:
        raise
    except Refusal as refusal:
        raise SettingsInvalid((f"{where}: {refusal}",)) from refusal


def _built(build: type[T], value: object, where: str) -> T:
    if not isinstance(value, dict):
        raise SettingsInvalid((f"{where}: {{…}}",))
    found = cast(dict[str, object], value)
    names = [field.name for field in fields(cast(Any, build))]
    unknown = [name for name in found if name not in names]
    if unknown:
        raise SettingsInvalid(tuple(f"{where}.{name}: ? ({', '.join(names)})" for name in unknown))
    made = {name: _member(name, found.get(name), f"{where}.{name}") for name in names}
    return build(**made)


def _member(name: str, value: object, where: str) -> object:
    if value is None:
        return () if name in ("concessions", "products", "campaigns") else None
    if isinstance(value, list):
        items = cast(list[object], value)
        if name in _PARTS:
            return tuple(_built(_PARTS[name], one, f"{where}[{at}]") for at, one in enumerate(items))
        return tuple(items)
    if name in _PARTS:
        return _built(_PARTS[name], value, where)
    if name in _AMOUNTS:
        try:
            return parse_minor(value if isinstance(value, str) else "")
        except ValueError as error:
            raise SettingsInvalid((f'{where}: {value!r} ("50.00")',)) from error
    return value


def _numbered(value: object, where: str) -> dict[int, object]:
    """Configuration: numbered keys from 0 to 23 with whole numbers or text."""
    if not isinstance(value, dict):
        raise SettingsInvalid((f"{where}: {{…}}",))
    body: dict[int, object] = {}
    for key, member in cast(dict[str, object], value).items():
        if not (key.isascii() and key.isdigit() and int(key) < 24) or type(member) not in (int, str, bool):
            raise SettingsInvalid((f'{where}.{key}: "0"…"23": 1, "text", true',))
        body[int(key)] = member
    return body

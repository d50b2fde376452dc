"""Tariffs, campaigns and configuration as JSON files with named fields, for the operator's editor. DESIGN §9. Pure.

A name says what it holds: `kgo` KGO, `thb` baht, both as text with exactly two decimals ("50.00", "1.00"), so that no
satang passes for baht. An amount above the usual of its field needs the operator's word. Every mistake of a file is
reported at once, with line, place (`products[0].kgo`) and what to write instead; then the rules judge the whole again.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from offline_ledger.city.json_places import DEPTH_MAX, first_too_deep, places_of
from offline_ledger.errors import BulletinFileWrong, Refusal
from offline_ledger.money import KGO, THB, format_minor, parse_minor
from offline_ledger.protocol.city import BulletinKind
from offline_ledger.protocol.wallet import ID_CHARACTERS_MAX
from offline_ledger.rules import campaign, tariff
from offline_ledger.rules.campaign import Campaign, Campaigns, Discount, Funding, Reward, encode_campaigns
from offline_ledger.rules.civil import day_of
from offline_ledger.rules.limits import WHOLE_PER_MILLE
from offline_ledger.rules.tariff import (
    Concession,
    DailyCap,
    Product,
    ProductKind,
    Tariff,
    Transfer,
    encode_tariff,
)
from offline_ledger.settings_file import Check, SettingWrong, integer, items, text
from offline_ledger.texts import Texts

FILE_BYTES_MAX = 200_000
PROBLEMS_MAX = 200
DIGITS_MAX = 18
"""Of a whole number. A longer one, and every fraction, is kept as bytes, which no field takes: amounts are text."""
CONFIGURATION_KEYS = 24


_TWO_DECIMALS = re.compile(r"[0-9]{1,10}\.[0-9]{2}")
_RULES_NAME = {
    "thb": "thb_satang",
    "fixed_thb": "fixed_thb_satang",
    "rate_thb": "rate_satang",
    "per_thb": "per_satang",
    "bill_thb_min": "bill_satang_min",
}
"""What the rules, which count satang, call a field of the file, which says baht."""
_OLD_NAME = {old: new for new, old in _RULES_NAME.items()}
"""Names of earlier files: they said satang and held baht, so they are refused, never read."""


@dataclass(frozen=True, slots=True)
class _Money:
    """Money as text with two decimals, to minor units; above `usual_max` (minor units) only when it was confirmed."""

    usual_max: int

    def __call__(self, value: object) -> object:
        if not isinstance(value, str) or not _TWO_DECIMALS.fullmatch(value):
            raise SettingWrong("not_money")
        return parse_minor(value)


_FARE_KGO, _FARE_THB = _Money(500 * KGO), _Money(100 * THB)
_DAY_KGO, _BILL_THB = _Money(2_000 * KGO), _Money(10_000 * THB)
_RATE_THB, _REWARD_KGO = _Money(10 * THB), _Money(100 * KGO)


@dataclass(frozen=True, slots=True)
class _Part:
    """An object of named members. `one_of`: one object, else a list of `low` to `high`; `build` makes the value."""

    build: Callable[..., object]
    members: dict[str, "Check | _Money | _Part"]
    optional: frozenset[str] = frozenset()
    low: int = 0
    high: int = 0

    @property
    def is_list(self) -> bool:
        return self.high > 0


def civil_date(value: object) -> object:
    """`20260601`, or `"2026-06-01"`; the number."""
    try:
        number = int(value.replace("-", "")) if isinstance(value, str) else value
        if type(number) is not int:
            raise ValueError
        day_of(number)
    except ValueError:
        raise SettingWrong("not_day") from None
    return number


_NAMES: dict[str, Check] = {"name_th": text(tariff.NAME_CHARACTERS_MAX), "name_en": text(tariff.NAME_CHARACTERS_MAX)}
_DAYS: dict[str, Check] = {"first_day": civil_date, "last_day": civil_date}
_PER_MILLE = integer(0, WHOLE_PER_MILLE)
_TARIFF = _Part(
    Tariff,
    {
        "products": _Part(
            Product,
            {
                "product_id": text(tariff.PRODUCT_ID_CHARACTERS_MAX),
                "kind": integer(min(ProductKind), max(ProductKind)),
                **_NAMES,
                "kgo": _FARE_KGO,
                "thb": _FARE_THB,
                **_DAYS,
                "routes": items(text(ID_CHARACTERS_MAX), tariff.ROUTES_MAX),
            },
            frozenset({"first_day", "last_day", "routes"}),
            1,
            tariff.PRODUCTS_MAX,
        ),
        "concessions": _Part(
            Concession,
            {
                "concession": integer(1, 15),
                **_NAMES,
                "pays_per_mille": _PER_MILLE,
                "fixed_kgo": _FARE_KGO,
                "fixed_thb": _FARE_THB,
            },
            frozenset({"pays_per_mille", "fixed_kgo", "fixed_thb"}),
            0,
            tariff.CONCESSIONS_MAX,
        ),
        "transfer": _Part(
            Transfer,
            {
                "window_s": integer(1, tariff.TRANSFER_S_MAX),
                "pays_per_mille": _PER_MILLE,
                "transfers_max": integer(1, tariff.TRANSFERS_MAX),
            },
        ),
        "daily_cap": _Part(DailyCap, {"kgo": _DAY_KGO, "thb": _FARE_THB}),
        "pass_back_s": integer(0, tariff.PASS_BACK_S_MAX),
    },
    frozenset({"concessions", "transfer", "daily_cap", "pass_back_s"}),
)
_CAMPAIGNS = _Part(
    Campaigns,
    {
        "campaigns": _Part(
            Campaign,
            {
                "campaign_id": text(ID_CHARACTERS_MAX),
                **_NAMES,
                **_DAYS,
                "merchants": items(text(ID_CHARACTERS_MAX), campaign.MERCHANTS_MAX),
                "discount": _Part(
                    Discount,
                    {
                        "rate_thb": _RATE_THB,
                        "bill_per_mille": _PER_MILLE,
                        "wallet_day_kgo_max": _DAY_KGO,
                        "bill_thb_min": _BILL_THB,
                    },
                ),
                "reward": _Part(
                    Reward,
                    {
                        "kgo": _REWARD_KGO,
                        "per_thb": _BILL_THB,
                        "wallet_day_kgo_max": _DAY_KGO,
                        "funding": integer(min(Funding), max(Funding)),
                    },
                ),
            },
            frozenset({"first_day", "last_day", "merchants", "discount", "reward"}),
            0,
            campaign.CAMPAIGNS_MAX,
        )
    },
)


def read_bulletin(
    kind: BulletinKind, data: bytes, where: str, texts: Texts, *, is_large_meant: bool = False
) -> dict[int, object]:
    """The body map of a file. Raises BulletinFileWrong with all its mistakes, in the language of `texts`; amounts that
    are larger than usual are among them unless they are meant."""
    reader = _Reader(data, where, texts, is_large_meant=is_large_meant)
    if kind is BulletinKind.CONFIGURATION:
        body = reader.numbered()
    else:
        part = _TARIFF if kind is BulletinKind.TARIFF else _CAMPAIGNS
        built = reader.built(part, reader.value, "")
        reader.stop_if_wrong()
        try:
            body = encode_tariff(built) if isinstance(built, Tariff) else encode_campaigns(cast(Campaigns, built))
        except Refusal as refusal:
            told = tuple(f"{where}: {texts.detail_text(part)}" for part in (refusal.detail or str(refusal)).split("; "))
            raise BulletinFileWrong(told) from refusal
    reader.stop_if_wrong()
    return body


class _Reader:
    """One file: what it says, and its mistakes in the order of their lines."""

    def __init__(self, data: bytes, where: str, texts: Texts, *, is_large_meant: bool) -> None:
        self._where = where
        self._is_large_meant = is_large_meant
        self._texts = texts
        self._problems: list[tuple[int, str]] = []
        try:
            self._content = data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            self._add(data[: error.start].count(b"\n") + 1, texts.get("settings.not_utf8"))
            self.stop_if_wrong()
        if deep := first_too_deep(self._content):
            self._add(deep, texts.get("bulletin.too_deep", high=DEPTH_MAX))
            self.stop_if_wrong()
        self.value = self._parsed()
        self._lines, repeated = places_of(self._content)
        for place, line in repeated:
            self._add(line, texts.get("bulletin.repeated", name=place))

    def _parsed(self) -> object:
        def number(digits: str) -> object:
            return int(digits) if len(digits) <= DIGITS_MAX else digits.encode()

        try:
            return cast(
                object, json.loads(self._content, parse_int=number, parse_constant=str.encode, parse_float=str.encode)
            )
        except json.JSONDecodeError as error:
            reason = self._texts.detail_text(error.msg)
            self._add(error.lineno, self._texts.get("bulletin.syntax", column=error.colno, reason=reason))
            self.stop_if_wrong()
        raise AssertionError("unreachable: a syntax error stops")

    def _add(self, line: int, problem: str) -> None:
        self._problems.append((line, self._texts.get("settings.line", line=line, problem=problem)))

    def _wrong(self, place: str, key: str, **values: object) -> None:
        name = place or self._texts.get("bulletin.file")
        self._add(self._line(place), self._texts.get(key, name=name, **values))

    def _line(self, place: str) -> int:
        while place and place not in self._lines:
            place = place[: max(place.rfind("."), place.rfind("["), 0)]
        return self._lines.get(place, 1)

    def stop_if_wrong(self) -> None:
        """Raises BulletinFileWrong if there is any mistake so far."""
        if self._problems:
            told = [f"{self._where}: {text}" for _line, text in sorted(self._problems, key=lambda one: one[0])]
            rest = len(told) - PROBLEMS_MAX
            more = [self._texts.get("city.more_problems", count=rest)] if rest > 0 else []
            raise BulletinFileWrong((*told[:PROBLEMS_MAX], *more))

    def built(self, part: _Part, value: object, place: str) -> object:
        """The value of an object; None where something was wrong."""
        if not isinstance(value, dict):
            self._wrong(place, "bulletin.not_object")
            return None
        found = cast(dict[str, object], value)
        for name in found:
            if name in part.members:
                continue
            if (new := _OLD_NAME.get(name)) in part.members:
                self._wrong(_below(place, name), "bulletin.old_name", new=new)
            else:
                self._wrong(_below(place, name), "bulletin.unknown", known=", ".join(part.members))
        before = len(self._problems)
        old = {new for name in found if (new := _OLD_NAME.get(name)) is not None}
        made = {
            _RULES_NAME.get(name, name): self._member(part, name, found.get(name), _below(place, name))
            for name in part.members
            if name in found or name not in old  # of an old name is told already
        }
        return part.build(**made) if len(self._problems) == before and not old else None

    def _member(self, part: _Part, name: str, value: object, place: str) -> object:
        kind = part.members[name]
        if value is None:
            if name not in part.optional:
                self._wrong(place, "settings.missing")
            return () if isinstance(kind, _Part) and kind.is_list else None
        if isinstance(kind, _Part):
            return self._listed(kind, value, place) if kind.is_list else self.built(kind, value, place)
        try:
            found = kind(value)
        except SettingWrong as wrong:
            self._wrong(place, f"settings.{wrong.key}", **wrong.values)
            return None
        if isinstance(kind, _Money) and cast(int, found) > kind.usual_max and not self._is_large_meant:
            self._wrong(place, "bulletin.large", amount=value, usual=format_minor(kind.usual_max))
        return found

    def _listed(self, part: _Part, value: object, place: str) -> object:
        if not isinstance(value, list):
            self._wrong(place, "bulletin.not_list")
            return ()
        members = cast(list[object], value)
        if not part.low <= len(members) <= part.high:
            self._wrong(place, "bulletin.list_length", low=part.low, high=part.high, count=len(members))
            return ()
        return tuple(self.built(part, one, f"{place}[{at}]") for at, one in enumerate(members))

    def numbered(self) -> dict[int, object]:
        """Configuration: keys "0" to "23" with whole numbers, text, true or false."""
        if not isinstance(self.value, dict):
            self._wrong("", "bulletin.not_object")
            return {}
        body: dict[int, object] = {}
        for key, member in cast(dict[str, Any], self.value).items():
            if not (key.isascii() and key.isdigit() and len(key) <= 2 and int(key) < CONFIGURATION_KEYS):
                self._wrong(key, "bulletin.key", high=CONFIGURATION_KEYS - 1)
            elif type(member) not in (int, str, bool):
                self._wrong(key, "bulletin.plain")
            else:
                body[int(key)] = member
        return body


def _below(place: str, name: str) -> str:
    return f"{place}.{name}" if place else name

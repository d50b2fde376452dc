"""wire.cddl names what each number means as the code does: keys of every layout; docs/protocol.md the enumerations."""

import re
from enum import IntEnum
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from offline_ledger.city import sample
from offline_ledger.city.log import leaf_data
from offline_ledger.protocol import (
    answer,
    card,
    cbor,
    city,
    crew_file,
    device,
    refund_request,
    route_file,
    shift_event,
    shop_event,
    wallet,
)
from offline_ledger.protocol.deny_list import list_sum
from offline_ledger.protocol.fields import Layout
from offline_ledger.protocol.kinds import Kind
from offline_ledger.rules import campaign, clock, tariff
from offline_ledger.terminal import bulletins
from tests.crosscheck.ask import SCHEMA, ask, cddl_job
from tests.protocol.test_crew_file import CREW
from tests.protocol.test_route_file import TOWN
from tests.vectors.objects import EXAMPLES

GUIDE = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text()
ROOMS: tuple[ModuleType, ...] = (
    *(card, city, device, wallet, tariff, campaign, bulletins, route_file, crew_file),
    refund_request,
    answer,
)
LAYOUTS: dict[str, Layout[Any]] = {
    name: found for room in ROOMS for name, found in vars(room).items() if isinstance(found, Layout)
}
RULES = dict(re.findall(r"^([a-z-]+) = \{\n(.*?)^\}", SCHEMA.read_text(), re.MULTILINE | re.DOTALL))
MEMBER = re.compile(r"^  (\? )?(\d+): [^;]+; ([a-z0-9_]+): \S.*$")
OPEN_MAPS: dict[str, type[IntEnum]] = {"place": device.PlaceKey, "state": device.StateKey}
ENUMS: tuple[type[IntEnum], ...] = (
    *(city.KeyRole, city.BulletinKind, city.Outcome),
    *(device.DeviceRole, device.ClockTrust, device.VoucherKind, device.PlaceKey, device.StateKey, device.EventKind),
    *(wallet.Audience, wallet.Concession, wallet.Medium, wallet.WalletAsk),
    *(clock.TimeSource, clock.ClockEventKind, tariff.ProductKind, campaign.Funding, shift_event.ShiftEventKind),
    shop_event.ShopEventKind,
)


def rule_of(layout: str) -> str:
    """The schema's rule of a layout."""
    name = layout.lower().replace("_", "-")
    return name if name in RULES else f"{name}-payload"


def members(rule: str) -> list[tuple[int, str, bool]]:
    """(key, name, is optional) of each line."""
    found = [MEMBER.match(line) for line in RULES[rule].splitlines()]
    assert all(found), f"{rule}: a line without a name"
    return [(int(one[2]), one[3], one[1] is not None) for one in found if one is not None]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_key_of_every_layout_is_named_in_the_schema(layout: str) -> None:
    fields = LAYOUTS[layout]._fields  # its table
    assert members(rule_of(layout)) == [(field.key, field.name, field.optional) for field in fields]


def test_the_layouts_are_all_there_are() -> None:
    assert {example.layout for example in EXAMPLES.values()} <= set(LAYOUTS.values())
    assert {rule_of(layout) for layout in LAYOUTS} | set(OPEN_MAPS) == set(RULES)


@pytest.mark.parametrize("rule", OPEN_MAPS)
def test_keys_of_open_maps_are_named_in_the_schema(rule: str) -> None:
    assert members(rule) == [(int(key), key.name.lower(), True) for key in OPEN_MAPS[rule]]


def test_bodies_places_states_and_leaves_fit_their_rules() -> None:
    news = bulletins.DenyListNews(list_sum([bytes(6)]), 1, 1_654_754_400, 0, b"\x00", b"")
    sale = {1: "S-1", 5: 12_000, 6: "01", 7: [19_152, 50, 0], 8: 0}
    good: list[tuple[str, object]] = [
        ("tariff", sample.sample_tariff()),
        ("tariff", {**sample.sample_tariff(), 5: 300}),
        ("campaigns", sample.sample_campaigns()),
        ("deny-list-news", bulletins.DENY_LIST_NEWS.to_map(news)),
        ("route-file", route_file.encode_routes(TOWN)),
        ("crew-file", crew_file.encode_crew(CREW)),
        *(("place", place) for place in (EXAMPLES[Kind.VOUCHER].value.place, sale)),
        ("ride-history", [0, 2, "", 0, 0, 0]),  # alone: in a map pycddl tries the last choice of lists only
        ("state", EXAMPLES[Kind.BATCH_HEAD].value.state),
        ("sale-sums", list(shop_event.SaleSums(1, 2, 3, 4, 5, 6, 7, 8, 9))),
        ("leaf", cbor.decode(leaf_data("KK-SHOP-0001", 1, bytes(32), 1, 0), 1_024)),
        ("gap-leaf", ["gap", 9, bytes(32), 4]),
    ]
    assert ask([cddl_job(rule, cbor.encode(value)) for rule, value in good]) == [{"ok": True}] * len(good)
    bad = [(rule, {**value, 99: 1} if isinstance(value, dict) else [value]) for rule, value in good]
    answers = ask([cddl_job(rule, cbor.encode(value)) for rule, value in bad])
    assert [rule for (rule, _), answer in zip(bad, answers, strict=True) if "error" not in answer] == []


@pytest.mark.parametrize("enum", ENUMS, ids=lambda enum: enum.__name__)
def test_the_guide_lists_every_number(enum: type[IntEnum]) -> None:
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", enum.__name__).lower()
    rows = re.findall(rf"^\| {name} \| ([^|]+) \|", GUIDE, re.MULTILINE)
    assert len(rows) == 1, name
    listed = re.findall(r"(\d+) ([a-z_]+)", re.sub(r"\([^)]*\)", "", rows[0]))
    assert {int(number): word for number, word in listed} == {int(one): one.name.lower() for one in enum}

"""The campaign body: round trip, refusals, and which campaign holds where and when."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offline_ledger.errors import CampaignMalformed
from offline_ledger.protocol import cbor
from offline_ledger.rules.campaign import Campaigns, Funding, campaign_for, decode_campaigns, encode_campaigns
from offline_ledger.rules.civil import day_of, day_start_s
from tests.rules.sample_tariffs import DISCOUNT, REWARD, SHOP

Body = dict[int, Any]
JUNE = SHOP._replace(campaign_id="june", first_day=20260601, last_day=20260630, merchants=("m1", "m2"))
BOTH = Campaigns((JUNE, SHOP))


def through_wire(campaigns: Campaigns) -> Body:
    found = cbor.decode(cbor.encode(encode_campaigns(campaigns)), 100_000)
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize(
    "campaigns",
    [
        Campaigns(()),
        BOTH,
        Campaigns((SHOP._replace(reward=REWARD._replace(funding=Funding.MERCHANT)),)),
        Campaigns((SHOP._replace(first_day=20260601, last_day=20260601),)),
        Campaigns((SHOP._replace(reward=None), SHOP._replace(campaign_id="2", discount=None))),
    ],
)
def test_round_trip(campaigns: Campaigns) -> None:
    assert decode_campaigns(through_wire(campaigns)) == campaigns


@pytest.mark.parametrize(
    ("key", "part", "value"),
    [
        (1, None, ""),
        (4, None, 20261301),
        (4, None, 20260701),
        (6, None, []),
        (7, 1, 0),
        (7, 2, 1001),
        (7, 3, -1),
        (7, 5, 1),
        (8, 1, 0),
        (8, 2, 0),
        (8, 4, 0),
        (8, 4, 3),
        (9, None, 1),
    ],
)
def test_each_mistake_is_refused(key: int, part: int | None, value: Any) -> None:
    body = through_wire(BOTH)
    campaign = body[1][0]
    if part is None:
        campaign[key] = value
    else:
        campaign[key][part] = value
    with pytest.raises(CampaignMalformed):
        decode_campaigns(body)


@pytest.mark.parametrize(
    ("campaigns", "says"),
    [
        (Campaigns((SHOP, SHOP)), "one id"),
        (Campaigns((SHOP._replace(discount=None, reward=None),)), "neither"),
        (Campaigns((SHOP._replace(first_day=20260602, last_day=20260601),)), "ends before"),
        (Campaigns((SHOP._replace(discount=DISCOUNT._replace(rate_satang=0)),)), "1012"),
        (Campaigns((SHOP._replace(reward=REWARD._replace(per_satang=0)),)), "1012"),
    ],
)
def test_nothing_unreadable_is_encoded(campaigns: Campaigns, says: str) -> None:
    with pytest.raises(CampaignMalformed, match=says):
        encode_campaigns(campaigns)


@pytest.mark.parametrize(
    ("merchant", "day", "offset_s", "expected"),
    [
        ("m1", 20260601, -1, "shop-2026"),
        ("m1", 20260601, 0, "june"),
        ("m2", 20260701, -1, "june"),
        ("m1", 20260701, 0, "shop-2026"),
        ("m3", 20260615, 0, "shop-2026"),
    ],
)
def test_the_first_that_fits_shop_and_day(merchant: str, day: int, offset_s: int, expected: str) -> None:
    found = campaign_for(BOTH, merchant, day_start_s(day_of(day)) + offset_s)
    assert found is not None
    assert found.campaign_id == expected


def test_outside_all_there_is_none() -> None:
    assert campaign_for(Campaigns((JUNE,)), "m3", day_start_s(day_of(20260615))) is None
    assert campaign_for(Campaigns(()), "m1", 0) is None


@given(st.dictionaries(st.integers(0, 3), st.lists(st.dictionaries(st.integers(0, 9), st.integers() | st.text()))))
def test_junk_meets_a_numbered_refusal(body: Body) -> None:
    try:
        found = decode_campaigns(body)
    except CampaignMalformed:
        return
    assert found == Campaigns(())

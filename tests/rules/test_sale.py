"""Shop sales: every bound and its reason on both sides, rewards, rounding, and that no satang is made or lost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offline_ledger.errors import (
    AmountNotPositive,
    AmountTooLong,
    BillBelowMinimum,
    KgoAboveBillShare,
    KgoAboveDailyCap,
    KgoAboveWalletLimit,
    KgoNegative,
    NoCampaign,
    Refusal,
    TenderMismatch,
)
from offline_ledger.money import KGO
from offline_ledger.protocol.device import ClockTrust
from offline_ledger.rules.campaign import Campaign, Discount, Funding, Reward
from offline_ledger.rules.civil import day_of, day_start_s
from offline_ledger.rules.sale import (
    BILL_SATANG_MAX,
    SaleLegs,
    ShopHistory,
    bought_after,
    history_on,
    sale_legs,
    suggest_kgo,
    usable_kgo,
)
from offline_ledger.texts import LANGUAGES, Texts
from tests.rules.sample_tariffs import DISCOUNT, REWARD, SHOP

SYNCED, FLOOR = ClockTrust.SYNCED, ClockTrust.FLOOR
DAY = day_of(20260615)
NOON_S = day_start_s(DAY) + 12 * 3600
TODAY = ShopHistory(DAY)


def numbers(legs: SaleLegs) -> tuple[int, int, int, int]:
    return legs.kgo, legs.discount_satang, legs.due_thb_satang, legs.reward_claim_kgo


def lines(legs: SaleLegs) -> dict[str, str]:
    """The one line in each language."""
    return {
        language: Texts(language).get(legs.explanation.key, **legs.explanation.in_language(language))
        for language in LANGUAGES
    }


def test_a_sale_reads_out_in_both_languages() -> None:
    legs = sale_legs(12_500, 50 * KGO, SHOP, TODAY)
    assert numbers(legs) == (5_000, 5_000, 7_500, 1 * KGO)
    assert lines(legs) == {
        "th": "ลดด้วย KGO: ใช้ 50.00 KGO ลด 50.00 บาท จ่าย 75.00 บาท จะได้รับ 1.00 KGO",
        "en": "KGO discount: 50.00 KGO take off 50.00 baht; pay 75.00 baht, earn 1.00 KGO once posted",
    }


@pytest.mark.parametrize(
    ("bill", "refusal"),
    [
        (-1, AmountNotPositive),
        (0, AmountNotPositive),
        (1, None),
        (BILL_SATANG_MAX, None),
        (BILL_SATANG_MAX + 1, AmountTooLong),
        (8_850_999_320_014, AmountTooLong),  # a scanned barcode
    ],
)
def test_bills(bill: int, refusal: type[Refusal] | None) -> None:
    if refusal is None:
        assert sale_legs(bill, 0, None, TODAY).due_thb_satang == bill
        return
    with pytest.raises(refusal):
        sale_legs(bill, 0, None, TODAY)


@pytest.mark.parametrize(
    ("bill", "used", "wallet", "minimum", "most", "refusal", "key"),
    [
        (12_500, 0, None, 0, 6_250, KgoAboveBillShare, "usable.bill_share"),
        (30_000, 0, None, 0, 10_000, KgoAboveDailyCap, "usable.daily_cap"),
        (30_000, 9_999, None, 0, 1, KgoAboveDailyCap, "usable.daily_cap"),
        (30_000, 10_000, None, 0, 0, KgoAboveDailyCap, "usable.daily_cap"),
        (30_000, 10_001, None, 0, 0, KgoAboveDailyCap, "usable.daily_cap"),
        (12_500, 0, 3_000, 0, 3_000, KgoAboveWalletLimit, "usable.wallet_limit"),
        (12_500, 0, 6_250, 0, 6_250, KgoAboveBillShare, "usable.bill_share"),
        (12_500, 0, -5, 0, 0, KgoAboveWalletLimit, "usable.wallet_limit"),
        (9_999, 0, None, 10_000, 0, BillBelowMinimum, "usable.below_minimum"),
        (10_000, 0, None, 10_000, 5_000, KgoAboveBillShare, "usable.bill_share"),
    ],
)
def test_most_kgo_and_why(
    bill: int, used: int, wallet: int | None, minimum: int, most: int, refusal: type[Refusal], key: str
) -> None:
    campaign = SHOP._replace(discount=DISCOUNT._replace(bill_satang_min=minimum))
    today = TODAY._replace(kgo=used)
    usable = usable_kgo(bill, campaign, today, wallet)
    assert (usable.kgo_max, usable.refusal, usable.explanation.key) == (most, refusal, key)
    assert sale_legs(bill, most, campaign, today, wallet_kgo_max=wallet).kgo == most
    with pytest.raises(refusal):
        sale_legs(bill, most + 1, campaign, today, wallet_kgo_max=wallet)


@pytest.mark.parametrize("campaign", [None, SHOP._replace(discount=None)])
def test_without_a_discount_no_kgo(campaign: Campaign | None) -> None:
    assert usable_kgo(100, campaign, TODAY).kgo_max == 0
    with pytest.raises(NoCampaign):
        sale_legs(100, 1, campaign, TODAY)


def test_fewer_than_zero_kgo() -> None:
    with pytest.raises(KgoNegative):
        sale_legs(100, -1, SHOP, TODAY)


@pytest.mark.parametrize(("most", "offered"), [(0, 0), (99, 99), (100, 100), (199, 100), (6_250, 6_200)])
def test_suggestion_is_whole_kgo(most: int, offered: int) -> None:
    usable = usable_kgo(1_000_000, SHOP, TODAY, most)
    assert usable.kgo_max == most
    assert suggest_kgo(usable) == offered


@pytest.mark.parametrize(
    ("bill", "kgo", "reward"), [(4_999, 0, 0), (5_000, 0, 100), (9_999, 0, 100), (10_000, 0, 200), (10_000, 1, 100)]
)
def test_reward_per_full_fifty_baht_of_money(bill: int, kgo: int, reward: int) -> None:
    assert sale_legs(bill, kgo, SHOP, TODAY).reward_claim_kgo == reward


@pytest.mark.parametrize(
    ("funding", "verified", "reward"),
    [
        (Funding.CITY, None, 300),
        (Funding.CITY, 15_000, 300),
        (Funding.CITY, 14_999, 200),
        (Funding.CITY, 0, 0),
        (Funding.MERCHANT, 0, 300),
    ],
)
def test_city_rewards_verified_money_only(funding: Funding, verified: int | None, reward: int) -> None:
    campaign = SHOP._replace(reward=REWARD._replace(funding=funding))
    assert sale_legs(15_000, 0, campaign, TODAY, verified_satang=verified).reward_claim_kgo == reward


@pytest.mark.parametrize("verified", [-1, 10_001])
def test_verified_tender_lies_within_the_due(verified: int) -> None:
    with pytest.raises(TenderMismatch):
        sale_legs(10_000, 0, SHOP, TODAY, verified_satang=verified)


@pytest.mark.parametrize(("earned", "reward"), [(0, 2_000), (1_900, 100), (2_000, 0), (2_001, 0)])
def test_reward_has_a_daily_cap(earned: int, reward: int) -> None:
    assert sale_legs(1_000_000, 0, SHOP, TODAY._replace(reward_kgo=earned)).reward_claim_kgo == reward


def test_without_a_wallet_nobody_is_rewarded() -> None:
    legs = sale_legs(10_000, 0, SHOP, TODAY, is_wallet_known=False)
    assert (legs.reward_claim_kgo, legs.explanation.key) == (0, "sale.plain")


@pytest.mark.parametrize(
    ("days", "trust", "kgo"), [(0, SYNCED, 70), (1, SYNCED, 0), (-1, SYNCED, 70), (1, FLOOR, 70), (0, FLOOR, 70)]
)
def test_a_new_day_starts_afresh_but_never_by_a_bad_clock(days: int, trust: ClockTrust, kgo: int) -> None:
    history = ShopHistory(DAY, 70, 5)
    assert history_on(history, NOON_S + days * 86_400, trust).kgo == kgo


def test_history_adds_up_over_a_day_and_over_midnight() -> None:
    history = bought_after(ShopHistory(), NOON_S, SYNCED, 10, 1)
    history = bought_after(history, NOON_S + 60, SYNCED, 20, 2)
    assert history == ShopHistory(DAY, 30, 3)
    assert bought_after(history, NOON_S - 86_400, SYNCED, 5, 0) == ShopHistory(DAY, 35, 3)
    assert bought_after(history, NOON_S + 86_400, SYNCED, 5, 0) == ShopHistory(DAY + 1, 5, 0)


CAMPAIGNS = st.builds(
    Campaign,
    st.just("c"),
    st.just("แคมเปญ"),
    st.just("Campaign"),
    st.none(),
    st.none(),
    st.none(),
    st.none()
    | st.builds(Discount, st.integers(1, 5_000), st.integers(0, 1000), st.integers(0, 10**7), st.integers(0, 10**6)),
    st.none()
    | st.builds(
        Reward, st.integers(1, 10**4), st.integers(1, 10**6), st.integers(0, 10**6), st.sampled_from(list(Funding))
    ),
)
BILLS = st.integers(1, 10**8) | st.integers(1, BILL_SATANG_MAX)
HISTORIES = st.builds(ShopHistory, st.just(DAY), st.integers(0, 10**7), st.integers(0, 10**6))
SHARE = st.integers(0, 1000)
TEXTS = tuple(Texts(language) for language in LANGUAGES)


@given(BILLS, CAMPAIGNS, HISTORIES, SHARE)
def test_money_is_conserved_bounded_and_explained(
    bill: int, campaign: Campaign, today: ShopHistory, share: int
) -> None:
    usable = usable_kgo(bill, campaign, today)
    chosen = usable.kgo_max * share // 1000
    legs = sale_legs(bill, chosen, campaign, today)
    assert legs.discount_satang + legs.due_thb_satang == bill
    assert legs.kgo == chosen  # as far as the customer chose, never further
    assert min(numbers(legs)) >= 0
    assert today.reward_kgo + legs.reward_claim_kgo <= max(
        today.reward_kgo, campaign.reward.wallet_day_kgo_max if campaign.reward else 0
    )
    if campaign.discount is not None and chosen:
        assert today.kgo + chosen <= campaign.discount.wallet_day_kgo_max
        assert legs.discount_satang * 1000 <= bill * campaign.discount.bill_per_mille
        exact = chosen * campaign.discount.rate_satang
        assert 0 <= exact - legs.discount_satang * KGO < KGO  # rounded down by less than a satang
    for text in TEXTS:
        for explanation in (legs.explanation, usable.explanation):
            line = text.get(explanation.key, **explanation.in_language(text.language))
            assert "{" not in line
            assert "\n" not in line


@given(BILLS, CAMPAIGNS, HISTORIES, SHARE, SHARE)
def test_more_kgo_never_costs_more_money_or_earns_more(
    bill: int, campaign: Campaign, today: ShopHistory, one: int, other: int
) -> None:
    most = usable_kgo(bill, campaign, today).kgo_max
    fewer, more = sorted((most * one // 1000, most * other // 1000))
    few, many = (sale_legs(bill, kgo, campaign, today) for kgo in (fewer, more))
    assert few.due_thb_satang >= many.due_thb_satang
    assert few.reward_claim_kgo >= many.reward_claim_kgo


@given(BILLS, CAMPAIGNS)
def test_the_suggested_most_wastes_no_kgo(bill: int, campaign: Campaign) -> None:
    usable = usable_kgo(bill, campaign, TODAY)
    if usable.explanation.key != "usable.bill_share" or not usable.kgo_max:
        return
    most = sale_legs(bill, usable.kgo_max, campaign, TODAY).discount_satang
    assert sale_legs(bill, usable.kgo_max - 1, campaign, TODAY).discount_satang < most


@given(BILLS, SHARE)
def test_splitting_the_day_into_sales_gives_no_more_than_its_caps(bill: int, share: int) -> None:
    history = ShopHistory(DAY)
    for _ in range(4):
        kgo = usable_kgo(bill, SHOP, history).kgo_max * share // 1000
        legs = sale_legs(bill, kgo, SHOP, history)
        history = bought_after(history, NOON_S, SYNCED, legs.kgo, legs.reward_claim_kgo)
    assert history.kgo <= DISCOUNT.wallet_day_kgo_max
    assert history.reward_kgo <= REWARD.wallet_day_kgo_max

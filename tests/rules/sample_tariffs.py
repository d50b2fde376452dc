"""Tariffs and campaigns that the tests share; the first is the real one of Khon Kaen's buses."""

from offline_ledger.money import KGO
from offline_ledger.rules.campaign import Campaign, Discount, Funding, Reward
from offline_ledger.rules.tariff import Concession, DailyCap, Product, ProductKind, Tariff, Transfer

ONE_BAHT = Product(
    "one-baht", ProductKind.FLAT, "รถเมล์เมืองบาทเดียว", "City Bus for one baht", 50 * KGO, 100, 20220609, 20220831, None
)
BASE = Product("base", ProductKind.FLAT, "รถเมล์เมือง", "City bus", 0, 1_500, None, None, None)
STUDENT = Concession(1, "นักเรียน", "Student", 500, None, None)
SENIOR = Concession(2, "ผู้สูงอายุ", "Senior", None, 10 * KGO, 0)
CITY_BUS = Tariff((ONE_BAHT, BASE), (STUDENT, SENIOR), Transfer(1_800, 0, 1), DailyCap(120 * KGO, 300))
PLAIN = Tariff((ONE_BAHT, BASE), (), None, None)

DISCOUNT = Discount(rate_satang=100, bill_per_mille=500, wallet_day_kgo_max=100 * KGO, bill_satang_min=0)
REWARD = Reward(kgo=1 * KGO, per_satang=5_000, wallet_day_kgo_max=20 * KGO, funding=Funding.CITY)
SHOP = Campaign("shop-2026", "ลดด้วย KGO", "KGO discount", None, None, None, DISCOUNT, REWARD)

"""Sample data that `kgo-city init --sample` publishes: "City Bus for one baht" and a shop campaign. DESIGN §9.

Data, not rules: an operator publishes other tariffs and campaigns the same way.
"""

from offline_ledger.money import KGO, THB
from offline_ledger.protocol.wallet import Concession as ConcessionClass
from offline_ledger.rules.campaign import Campaign, Campaigns, Discount, Funding, Reward, encode_campaigns
from offline_ledger.rules.limits import HOUR_S
from offline_ledger.rules.tariff import Concession, Product, ProductKind, Tariff, Transfer, encode_tariff

SAMPLE_MERCHANTS = (("noodle-1", "ก๋วยเตี๋ยวหน้ามอ"), ("coffee-1", "กาแฟบึงแก่นนคร"))
SAMPLE_OPERATORS = (("city-bus", "ขอนแก่นซิตี้บัส"),)


def sample_tariff() -> dict[int, object]:
    """50 KGO and 1 baht; half the KGO for students, the old and the disabled; a free transfer within an hour."""
    half = {"pays_per_mille": None, "fixed_kgo": 25 * KGO, "fixed_thb_satang": 1 * THB}
    return encode_tariff(
        Tariff(
            products=(
                Product(
                    "city-bus", int(ProductKind.FLAT), "ซิตี้บัส 1 บาท", "City Bus", 50 * KGO, 1 * THB, None, None, None
                ),
            ),
            concessions=(
                Concession(int(ConcessionClass.STUDENT), "นักเรียน นักศึกษา", "Student", **half),
                Concession(int(ConcessionClass.SENIOR), "ผู้สูงอายุ", "Senior", **half),
                Concession(int(ConcessionClass.DISABLED), "คนพิการ", "Disabled", **half),
            ),
            transfer=Transfer(window_s=HOUR_S, pays_per_mille=0, transfers_max=1),
            daily_cap=None,
        )
    )


def sample_campaigns() -> dict[int, object]:
    """1 KGO takes off 1 baht, at most half the bill and 100 KGO a day; the shop gives 1 KGO for every 50 baht."""
    return encode_campaigns(
        Campaigns(
            campaigns=(
                Campaign(
                    "kgo-discount",
                    "ส่วนลด KGO",
                    "KGO discount",
                    None,
                    None,
                    None,
                    Discount(rate_satang=1 * THB, bill_per_mille=500, wallet_day_kgo_max=100 * KGO, bill_satang_min=0),
                    Reward(
                        kgo=1 * KGO, per_satang=50 * THB, wallet_day_kgo_max=20 * KGO, funding=int(Funding.MERCHANT)
                    ),
                ),
            )
        )
    )

"""A whole shift at the counter, replayed fast: memory stays flat, and the Z report is the sum of its receipts.

Sales in cash and by PromptPay; the numbers are drawn by chance.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from simulators.demo.desk import SHOP, DeskSettings
from simulators.demo.processes import wait_until
from simulators.demo.town import CITY, Town
from simulators.shop_desk.hands import Hands
from simulators.shop_desk.till import PIN_TEST_ONLY, Shop, TillDesk
from tests.processes.quick_city import QuickCity

pytestmark = pytest.mark.timeout(1800)
SALES_FULL, SALES_SLICE = 2_000, 22
GOODS = Path("pos_app/sample_goods.csv")
WARM_MIN = 14
"""By then everything that a sale needs is loaded."""
PRESSES_PER_S = 18
"""The page takes no more than twenty."""
GROWTH_PER_MILLE_MAX = 50


class Pace:
    """Never faster than the page takes."""

    def __init__(self) -> None:
        self._next_s = 0.0

    def wait(self) -> None:
        """Until the next press may come."""
        wait_until(lambda: time.monotonic() >= self._next_s, "the next press", step_s=0.002)
        self._next_s = time.monotonic() + 1 / PRESSES_PER_S


def rss_bytes(pid: int) -> int:
    """What the program holds of the machine's memory."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def sell(hands: Hands, pace: Pace, rng: Random) -> int:
    """One customer; what the bill came to, satang."""
    satang = 0
    for _ in range(rng.randint(1, 3)):
        count, price = rng.randint(1, 3), rng.randint(100, 30_000)
        pace.wait()
        hands.press("add_amount", typed=f"{count}×{price // 100}.{price % 100:02d}")
        satang += count * price
    pace.wait()
    assert hands.press("pay").screen == "pay"
    if rng.random() < 0.3:
        pace.wait()
        hands.press("promptpay")
        pace.wait()
        hands.press("promptpay_confirm")
    else:
        pace.wait()
        hands.press("cash", typed=str(satang // 100 + rng.randint(1, 500)))
    assert hands.seen.screen == "done", hands.seen.html[:500]
    return satang


def test_memory_is_flat_over_a_shift_and_the_report_is_its_sum(
    tmp_path: Path, rng: Random, seed: int, slice_of: Callable[[int, int], int], report: Callable[[str], None]
) -> None:
    sales, pace = slice_of(SALES_FULL, SALES_SLICE), Pace()
    with Town(tmp_path, seed, QuickCity) as town:
        town.found()
        place = (tmp_path / "till-1", seed)
        who = DeskSettings(SHOP, "till-1", CITY, town.city.ca_file, town.city.port, *place, has_camera=False)
        with TillDesk(who, Shop(goods=GOODS.resolve())) as till:
            till.enrol(town.city.token("till-1", "shop", "coffee-1"))
            till.start()
            till.wait_synced()
            hands = till.hands
            hands.sign_in("01", PIN_TEST_ONLY)
            hands.press("open_shift", typed="1000")
            warm = max(WARM_MIN, sales // 3)
            total = sum(sell(hands, pace, rng) for _ in range(warm))
            before = rss_bytes(till.program.pid)
            total += sum(sell(hands, pace, rng) for _ in range(sales - warm))
            after = rss_bytes(till.program.pid)
            pace.wait()
            hands.press("next")
            pace.wait()
            hands.press("shift")
            pace.wait()
            seen = hands.press("close_shift")
            assert f"{total // 100:,}.{total % 100:02d}" in seen.html
            till.wait_synced()
            is_well, said = town.city.audit()
            assert is_well, said
    report(f"{sales} sales: {before / 1e6:.1f} MB when warm, {after / 1e6:.1f} MB at the end")
    assert (after - before) * 1_000 <= before * GROWTH_PER_MILLE_MAX, (before, after)

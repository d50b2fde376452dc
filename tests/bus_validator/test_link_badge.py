"""The link's badge: slow to say "away", slow to say "back", and right about minutes and queue at every moment."""

import pytest

from bus_validator.link_badge import AWAY_AFTER_MS, BACK_AFTER_MS, LinkSign, badge_of, clock_text, when_text
from offline_ledger.rules.limits import DAY_S, HOUR_S
from offline_ledger.texts import Texts

AT_S = 1_661_929_500  # 31 August 2022, 14:05 in Bangkok


def test_away_only_after_a_minute_and_a_half_without_a_break() -> None:
    sign = LinkSign(False).seen(is_connected=False, mono_ms=1_000)
    assert not sign.seen(is_connected=False, mono_ms=1_000 + AWAY_AFTER_MS - 1).is_away
    assert sign.seen(is_connected=False, mono_ms=1_000 + AWAY_AFTER_MS) == LinkSign(True)


def test_back_only_after_some_seconds_without_a_break() -> None:
    sign = LinkSign(True).seen(is_connected=True, mono_ms=0)
    assert sign.seen(is_connected=True, mono_ms=BACK_AFTER_MS - 1).is_away
    assert sign.seen(is_connected=True, mono_ms=BACK_AFTER_MS) == LinkSign(False)


@pytest.mark.parametrize("is_away", [False, True])
@pytest.mark.parametrize("period_ms", [1_000, 5_000, 14_000])
def test_a_flapping_link_never_flickers(is_away: bool, period_ms: int) -> None:
    sign = LinkSign(is_away)
    for mono_ms in range(0, 3_600_000, 500):
        sign = sign.seen(is_connected=(mono_ms // period_ms) % 2 == 0, mono_ms=mono_ms)
        assert sign.is_away is is_away


def test_a_mostly_dead_link_does_come_to_be_away() -> None:
    sign = LinkSign(False)
    changes = 0
    for mono_ms in range(0, 3_600_000, 500):
        after = sign.seen(is_connected=mono_ms % 300_000 < 3_000, mono_ms=mono_ms)
        changes += after.is_away is not sign.is_away
        sign = after
    assert (sign.is_away, changes) == (True, 1)


@pytest.mark.parametrize(
    ("age_s", "waiting", "thai", "english"),
    [
        (None, 0, "ยังไม่เคยซิงก์ · ส่งครบแล้ว", "never synced · all sent"),
        (None, 3, "ยังไม่เคยซิงก์ · รอส่ง 3", "never synced · 3 to send"),
        (0, 1, "ซิงก์เมื่อครู่ · รอส่ง 1", "synced just now · 1 to send"),
        (59, 0, "ซิงก์เมื่อครู่ · ส่งครบแล้ว", "synced just now · all sent"),
        (60, 12, "ซิงก์เมื่อ 1 นาทีก่อน · รอส่ง 12", "synced 1 min ago · 12 to send"),
        (HOUR_S - 1, 0, "ซิงก์เมื่อ 59 นาทีก่อน · ส่งครบแล้ว", "synced 59 min ago · all sent"),
        (HOUR_S, 9_999, "ซิงก์เมื่อ 1 ชั่วโมงก่อน · รอส่ง 9999", "synced 1 h ago · 9999 to send"),
        (DAY_S - 1, 0, "ซิงก์เมื่อ 23 ชั่วโมงก่อน · ส่งครบแล้ว", "synced 23 h ago · all sent"),
        (2 * DAY_S, 0, "ซิงก์เมื่อ 2 วันก่อน · ส่งครบแล้ว", "synced 2 d ago · all sent"),
    ],
)
def test_minutes_and_queue_are_always_said(age_s: int | None, waiting: int, thai: str, english: str) -> None:
    for is_away in (False, True):
        assert badge_of(LinkSign(is_away), age_s, waiting, Texts("th")) == (thai, is_away)
        assert badge_of(LinkSign(is_away), age_s, waiting, Texts("en")) == (english, is_away)


def test_times_are_of_bangkok_and_years_buddhist_in_thai() -> None:
    assert clock_text(AT_S) == "14:05"
    assert clock_text(None) == "--:--"
    assert when_text(AT_S, AT_S + 60, "th") == when_text(AT_S, AT_S, "en") == "14:05"
    assert when_text(AT_S, AT_S + DAY_S, "th") == "31/08/2565 14:05"
    assert when_text(AT_S, None, "en") == "31/08/2022 14:05"
    last_s = AT_S - AT_S % DAY_S + 17 * HOUR_S - 1
    assert (clock_text(last_s), clock_text(last_s + 1)) == ("23:59", "00:00")
    assert when_text(last_s, last_s + 1, "th") == "31/08/2565 23:59"

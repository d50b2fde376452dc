"""The badge of the link: whether it is away, with hysteresis, and how long ago it worked. Pure. FIELD_LESSONS 24.

What is counted (minutes, waiting) is always true as of now; only the sign "away" is slow, so that a driver who glances
at it is not drawn to a link that comes and goes. Never judges whether the bus may accept: that is the acceptor's.
"""

from datetime import date
from typing import NamedTuple

from bus_validator.face import Badge
from offline_ledger.rules.civil import BANGKOK_AHEAD_S, EPOCH_ORDINAL, civil_day, format_buddhist
from offline_ledger.rules.limits import DAY_S, HOUR_S, MINUTE_S
from offline_ledger.texts import Texts

AWAY_AFTER_MS = 90_000
"""Three exchanges at the default rest of 30 s: shorter holes (an underpass, a stop behind a building) are not worth a
driver's look."""
BACK_AFTER_MS = 15_000
"""A link that is up for less sends nothing much; longer, and the queue is under way."""
JUST_NOW_S = MINUTE_S
NO_TIME = "--:--"


class LinkSign(NamedTuple):
    """What the badge shows, and since when the link has said otherwise without a break (None: it agrees)."""

    is_away: bool
    otherwise_since_ms: int | None = None

    def seen(self, *, is_connected: bool, mono_ms: int) -> "LinkSign":
        """The link as it is now. Call it at least as often as the face is drawn anew; a gap counts as unchanged."""
        if is_connected is not self.is_away:
            return self._replace(otherwise_since_ms=None)
        since_ms = mono_ms if self.otherwise_since_ms is None else self.otherwise_since_ms
        if mono_ms - since_ms >= (AWAY_AFTER_MS if not is_connected else BACK_AFTER_MS):
            return LinkSign(not self.is_away)
        return self._replace(otherwise_since_ms=since_ms)


def badge_of(sign: LinkSign, synced_age_s: int | None, waiting_count: int, texts: Texts) -> Badge:
    """ "Synced N min ago · M to send", from `SyncStatus.synced_age_s()` and `pending_count`."""
    waiting = texts.get("face.badge.waiting", count=waiting_count) if waiting_count else texts.get("face.badge.sent")
    return Badge(texts.get("face.badge", synced=_synced(synced_age_s, texts), waiting=waiting), sign.is_away)


def _synced(age_s: int | None, texts: Texts) -> str:
    if age_s is None:
        return texts.get("face.badge.never")
    if age_s < JUST_NOW_S:
        return texts.get("face.badge.now")
    if age_s < HOUR_S:
        return texts.get("face.badge.minutes", count=age_s // MINUTE_S)
    if age_s < DAY_S:
        return texts.get("face.badge.hours", count=age_s // HOUR_S)
    return texts.get("face.badge.days", count=age_s // DAY_S)


def clock_text(at_s: int | None) -> str:
    """`14:05` in Bangkok; `--:--` for a time that is not trusted (None)."""
    if at_s is None:
        return NO_TIME
    minutes = (at_s + BANGKOK_AHEAD_S) % DAY_S // MINUTE_S
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


def when_text(at_s: int, now_s: int | None, language: str) -> str:
    """The time, and its date unless that is today: `31/08/2565 14:05` in Thai, `31/08/2022 14:05` in English."""
    if now_s is not None and civil_day(at_s) == civil_day(now_s):
        return clock_text(at_s)
    day = civil_day(at_s)
    said = format_buddhist(day) if language == "th" else f"{date.fromordinal(day + EPOCH_ORDINAL):%d/%m/%Y}"
    return f"{said} {clock_text(at_s)}"

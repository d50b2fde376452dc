"""Tell a code held in front of the camera once, not fifteen times a second. Pure. DESIGN §5 (repeat).

This is about pictures, not about money: whether a text was paid before is the acceptor's question, and the same text
shown again later is passed on to it. A text is reported
- when it comes into view: not seen for `left_view_s` (a few blurred frames in between do not count as leaving);
- while it stays in view, again every `again_s`, so that a code first refused for a passing reason gets its green
  (0: never again while it stays).
"""

from collections.abc import Iterable
from dataclasses import dataclass

SEEN_MAX = 8  # codes in view at a time; the one seen longest ago is forgotten first


@dataclass(slots=True)
class _Sighting:
    seen_s: float
    reported_s: float


class SeenFilter:
    """Remembers the few texts in view; `now_s` is any monotonic clock, in seconds."""

    def __init__(self, *, left_view_s: float, again_s: float) -> None:
        self._left_view_s = left_view_s
        self._again_s = again_s
        self._sightings: dict[str, _Sighting] = {}

    def fresh(self, texts: Iterable[str], now_s: float) -> list[str]:
        """Those of one frame's texts that are to be reported now."""
        reported: list[str] = []
        for text in texts:
            sighting = self._sightings.pop(text, None)
            if sighting is None or self._is_due(sighting, now_s):
                reported.append(text)
                sighting = _Sighting(now_s, now_s)
            sighting.seen_s = now_s
            self._sightings[text] = sighting  # last in the dict = seen last
        while len(self._sightings) > SEEN_MAX:
            del self._sightings[next(iter(self._sightings))]
        return reported

    def _is_due(self, sighting: _Sighting, now_s: float) -> bool:
        if now_s - sighting.seen_s >= self._left_view_s:
            return True
        return self._again_s > 0 and now_s - sighting.reported_s >= self._again_s

"""The words of refusals at the bench: what a technician can do there is not what a cashier can at a till. DESIGN §3."""

from offline_ledger.errors import Refusal
from offline_ledger.texts import Texts


class BenchTexts(Texts):
    """The catalogue, with `flash.refusal.KEY.title` and `.remedy` before a refusal's own words."""

    def title(self, refusal: Refusal | type[Refusal]) -> str:
        """What happened."""
        return self._own(refusal, "title") or super().title(refusal)

    def remedy(self, refusal: Refusal | type[Refusal]) -> str:
        """What to do now."""
        return self._own(refusal, "remedy") or super().remedy(refusal)

    def _own(self, refusal: Refusal | type[Refusal], part: str) -> str:
        try:
            return self.get(f"flash.refusal.{refusal.key}.{part}")
        except KeyError:
            return ""


class WatchTexts(BenchTexts):
    """Where boards are plugged in and nothing is typed: `flash.watch.refusal.KEY.remedy` before the bench's words."""

    def _own(self, refusal: Refusal | type[Refusal], part: str) -> str:
        try:
            return self.get(f"flash.watch.refusal.{refusal.key}.{part}")
        except KeyError:
            return super()._own(refusal, part)

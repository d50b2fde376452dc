"""From what happened at the door to the face that says it, in the device's language with the other one beneath. Pure.

Whose fault a refusal is decides the face: "your code" (octagon) never looks like "this terminal" (barred triangle).
Never reads a clock and never words a refusal: titles and remedies are the catalogue's. FIELD_LESSONS 21–25; DESIGN §9.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from bus_validator.door_states import FACES, TABLE, DoorState, event_of
from bus_validator.face import Badge, Face, FaceState
from bus_validator.link_badge import when_text
from offline_ledger.errors import Refusal
from offline_ledger.money import THB, format_minor
from offline_ledger.rules.civil import Explanation
from offline_ledger.terminal.outcome import Light, Outcome
from offline_ledger.texts import Texts


class Strip(NamedTuple):
    """What stands on every face: route, direction and stop; the clock; the link."""

    header: str = ""
    clock: str = ""
    badge: Badge | None = None


NO_STRIP = Strip()


class Paid(NamedTuple):
    """When and where a repeat was paid, as far as its voucher is at hand: Unix seconds, the stop's name or nothing."""

    at_s: int
    now_s: int | None
    where: str = ""


class Sentence(NamedTuple):
    """A line by its key in the catalogue and what fills it: said before the remedy (`door.amounts_differ`)."""

    key: str
    values: Mapping[str, str]


class Faces:
    """Fills faces in one language; `second` is written small beneath it, or not at all."""

    def __init__(self, texts: Texts, second: Texts | None = None) -> None:
        self._texts = texts
        self._second = second

    def wait(self, strip: Strip = NO_STRIP) -> Face:
        """Ready for the next passenger."""
        return self._both(
            FaceState.WAIT, strip, lambda texts: (texts.get("face.wait.title"), texts.get("face.wait.line"))
        )

    def companion(self, strip: Strip = NO_STRIP) -> Face:
        """Ready for the same card once more: somebody pressed "another passenger"."""
        return self._both(
            FaceState.WAIT, strip, lambda texts: (texts.get("face.companion.title"), texts.get("face.companion.line"))
        )

    def reading(self, strip: Strip = NO_STRIP) -> Face:
        """A code was read and its light is late."""
        return self._both(
            FaceState.READING, strip, lambda texts: (texts.get("face.reading.title"), texts.get("face.reading.line"))
        )

    def closed(self, refusal: Refusal | None, strip: Strip = NO_STRIP) -> Face:
        """Out of service until somebody does what the remedy says."""

        def words(texts: Texts) -> tuple[str, str]:
            if refusal is None:
                return texts.get("face.closed.title"), ""
            return texts.title(refusal), texts.remedy(refusal)

        return self._both(FaceState.OUT_OF_SERVICE, strip, words)

    def again(self, refusal: Refusal, strip: Strip = NO_STRIP) -> Face:
        """Held badly (glare, torn, too short, two cards): what happened and what to do."""
        return self._both(FaceState.PRESENT_AGAIN, strip, lambda texts: (texts.title(refusal), texts.remedy(refusal)))

    def decided(
        self,
        outcome: Outcome,
        strip: Strip = NO_STRIP,
        *,
        is_training: bool = False,
        fare: Explanation | None = None,
        paid: Paid | None = None,
        more: Sentence | None = None,
    ) -> Face:
        """The face of one decision. `fare`: the line of a green; `paid`: of a repeat; `more`: of a refusal."""
        state = TABLE[DoorState.WAIT, event_of(outcome, is_training=is_training)].state

        def words(texts: Texts) -> tuple[str, str]:
            match state:
                case DoorState.ACCEPTED | DoorState.CASH_DUE:
                    return _green_title(outcome, texts), _green_line(outcome, fare, texts)
                case DoorState.TRAINED:
                    would_be = _green_title(outcome, texts)
                    return texts.get("face.training.title"), texts.get("face.training.line", would_be=would_be)
                case DoorState.ALREADY:
                    return texts.get("face.already.title"), _paid_line(paid, texts)
                case _:
                    return _refused(outcome.refusal, more, texts, is_ours=state is DoorState.OUR_FAULT)

        return self._both(FACES[state], strip, words)

    def _both(self, state: FaceState, strip: Strip, words: Callable[[Texts], tuple[str, str]]) -> Face:
        title, line = words(self._texts)
        title_second, line_second = words(self._second) if self._second is not None else ("", "")
        return Face(
            state,
            title,
            line,
            header=strip.header,
            clock=strip.clock,
            badge=strip.badge,
            title_second=title_second,
            line_second=line_second,
        )


def baht(satang: int) -> str:
    """`1` or `1.50`: no more digits than there are coins."""
    return format_minor(satang).removesuffix(".00") if satang % THB == 0 else format_minor(satang)


def _green_title(outcome: Outcome, texts: Texts) -> str:
    if outcome.light is Light.ACCEPTED_CASH_DUE and outcome.charge is not None:
        key = "face.cash_maybe.title" if outcome.is_uncharged_green else "face.cash_due.title"
        return texts.get(key, thb=baht(outcome.charge.satang))
    return texts.get("face.accepted.title")


def _green_line(outcome: Outcome, fare: Explanation | None, texts: Texts) -> str:
    if outcome.is_uncharged_green:
        if outcome.charge is not None and outcome.charge.satang:
            return texts.get("terminal.cash_unknown", due=format_minor(outcome.charge.satang))
        return texts.get("face.uncharged.line")
    return "" if fare is None else texts.get(fare.key, **fare.in_language(texts.language))


def _paid_line(paid: Paid | None, texts: Texts) -> str:
    if paid is None:
        return texts.get("face.already.line")
    at = when_text(paid.at_s, paid.now_s, texts.language)
    if not paid.where:
        return texts.get("face.already.when", at=at)
    return texts.get("face.already.where", at=at, where=paid.where)


def _refused(refusal: Refusal | None, more: Sentence | None, texts: Texts, *, is_ours: bool) -> tuple[str, str]:
    if refusal is None:
        return texts.get("face.closed.title"), ""
    remedy = texts.remedy(refusal)
    if is_ours and texts.get("face.our_fault.said") not in remedy:
        remedy = texts.get("face.our_fault.line", remedy=remedy)
    if more is not None:
        remedy = f"{texts.get(more.key, **more.values)} · {remedy}"
    return texts.title(refusal), remedy

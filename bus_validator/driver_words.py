"""What is said about the driver's side: a line for each change, and a refusal as a small report. Pure. DESIGN §3."""

from collections.abc import Mapping

from bus_validator.trip import Changed, ShiftState
from offline_ledger.errors import Refusal
from offline_ledger.texts import Texts


def of_shift(changed: Changed, state: ShiftState) -> Mapping[str, object]:
    """A change of driver, trip or stop, as a line says it."""
    run = state.run
    said: dict[str, object] = {"phase": state.phase.name.lower()}
    if changed.event is not None:
        said |= {"driver": changed.event.driver}
    if run is not None:
        said |= {"route": run.route, "trip": run.trip}
        if run.stop:
            said |= {"stop": run.stop}
    return said


def about_refusal(refusal: Refusal, texts: Texts) -> tuple[str, tuple[str, ...]]:
    """Title and lines of a report that says why not, and what helps."""
    return texts.title(refusal), (texts.remedy(refusal), f"{refusal.number} {texts.detail(refusal)}".strip())

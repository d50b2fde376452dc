"""What the tests of the screen's thread and of its displays share: faces, their pictures, what was said."""

from collections.abc import Callable
from threading import Lock
from time import monotonic, sleep

from bus_validator.face import Face, FaceState, Theme
from bus_validator.screen.painter import Painter
from offline_ledger.errors import Refusal
from tests.bus_validator.drawn import face_of

WAIT_S_MAX = 20.0
WAIT, GREEN = face_of(FaceState.WAIT), face_of(FaceState.ACCEPTED)
REFUSED = face_of(FaceState.REFUSED)


def wait_for(is_so: Callable[[], bool]) -> None:
    """Until it is so."""
    end_s = monotonic() + WAIT_S_MAX
    while not is_so():
        assert monotonic() < end_s, "nothing came"
        sleep(0.005)


class Notes:
    """Hears of each trouble of a screen and of its end."""

    def __init__(self) -> None:
        self._lock = Lock()
        self.said: list[Refusal | None] = []

    def __call__(self, refusal: Refusal | None) -> None:
        with self._lock:
            self.said.append(refusal)


def picture(face: Face, theme: Theme = Theme.DAY) -> bytes:
    """As it is to stand on a small glass."""
    return Painter(320, 240, theme).draw(face).tobytes()

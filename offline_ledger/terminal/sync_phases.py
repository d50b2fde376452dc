"""The phases of one exchange as a table: state × what came of a request → state. Pure. DESIGN §7.

Only a lost link ends an exchange early; whatever else goes wrong in one phase keeps no later phase from its turn.
"""

from enum import Enum


class Phase(Enum):
    """Where an exchange stands."""

    REST = "rest"
    TRUST = "trust"
    TIME = "time"
    UPLOAD = "upload"
    BULLETINS = "bulletins"
    DENY_LIST = "deny_list"


class Heard(Enum):
    """What came of a request."""

    DONE = "done"
    MORE = "more"
    BAD = "bad"
    LOST = "lost"


NEXT: dict[tuple[Phase, Heard], Phase] = {
    (Phase.TRUST, Heard.MORE): Phase.TRUST,
    (Phase.TRUST, Heard.DONE): Phase.TIME,
    (Phase.TRUST, Heard.BAD): Phase.TIME,  # the list held still verifies what the keys held have signed
    (Phase.TRUST, Heard.LOST): Phase.REST,
    (Phase.TIME, Heard.DONE): Phase.UPLOAD,
    (Phase.TIME, Heard.BAD): Phase.UPLOAD,
    (Phase.TIME, Heard.LOST): Phase.REST,
    (Phase.UPLOAD, Heard.MORE): Phase.UPLOAD,
    (Phase.UPLOAD, Heard.DONE): Phase.BULLETINS,
    (Phase.UPLOAD, Heard.BAD): Phase.BULLETINS,  # deny list and fares still come
    (Phase.UPLOAD, Heard.LOST): Phase.REST,
    (Phase.BULLETINS, Heard.MORE): Phase.DENY_LIST,
    (Phase.BULLETINS, Heard.DONE): Phase.REST,
    (Phase.BULLETINS, Heard.BAD): Phase.REST,
    (Phase.BULLETINS, Heard.LOST): Phase.REST,
    (Phase.DENY_LIST, Heard.DONE): Phase.REST,
    (Phase.DENY_LIST, Heard.BAD): Phase.REST,
    (Phase.DENY_LIST, Heard.LOST): Phase.REST,
}
"""State × event → state. The end of a phase at REST closes the exchange: complete, or to be tried again."""

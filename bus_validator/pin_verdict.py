"""What became of one PIN that was checked on a thread of its own, for whoever waits for it. DESIGN §5."""

from collections.abc import Mapping, Sequence
from threading import Event

PIN_S_MAX = 8.0
"""So long `do` waits for a PIN's verdict: the check takes well under a second, and its turn at the deciding thread a
while on a slow card. With the turn that began it, less than the caller waits (`control.ANSWER_S_MAX`)."""


class Verdict:
    """What became of one PIN, for whoever asked by `do`: what was said, and that it is all."""

    def __init__(self) -> None:
        self.said: Sequence[Mapping[str, object]] = ()
        self.is_given = Event()

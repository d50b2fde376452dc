"""Events between two commits: held in memory in order, numbered at once, chained when they are written. DESIGN §2, §6.

Pure bookkeeping: which greens were shown, which events wait for the next commit, how many refusals this day has had.
Never touches the disk.
"""

from collections.abc import Mapping
from struct import Struct

from offline_ledger.errors import JournalDamaged
from offline_ledger.protocol.cbor import encode
from offline_ledger.protocol.device import event_link
from offline_ledger.terminal.journal_rows import EVENT_RATIFIED, EVENT_REFUSAL
from offline_ledger.terminal.journal_schema import INSERT_EVENT, PUT_META, Running, event_bindings
from offline_ledger.terminal.journal_sql import Statement

EVENTS_BUFFERED_MAX = 256
EXCEPTIONS_MAX = 200
"""Most sequences in either list of one ratification event; more make more events."""
REFUSALS_UNSENT_MAX = 2000
"""Refusals kept for the city; the oldest stay, later ones are only counted."""
REFUSALS_A_DAY_MAX = 2000
"""However often they are sent: one bad code held before a scanner must not fill journal and ledger."""
REFUSALS_META = "journal.refusals_of_day"
_OF_DAY = Struct(">qq")


class EventBuffer:
    """What the next commit carries besides its voucher."""

    def __init__(self) -> None:
        self.waiting: list[tuple[int, bytes]] = []
        self.ratified: set[int] = set()
        self.refusals_dropped = 0
        self._refusals_of_day = (0, 0)

    @property
    def is_empty(self) -> bool:
        return not self.waiting and not self.ratified

    @property
    def refusals_waiting(self) -> int:
        return sum(1 for kind, _body in self.waiting if kind == EVENT_REFUSAL)

    def load_day(self, kept: bytes | None) -> None:
        """What the journal kept of the day's refusals. Raises JournalDamaged."""
        if kept is None:
            return
        if len(kept) != _OF_DAY.size:
            raise JournalDamaged("the day's refusals are no count")
        day, counted = _OF_DAY.unpack(kept)
        self._refusals_of_day = (day, counted)

    def count_refusal(self, unsent: int, day: int) -> bool:
        """One more refusal on this civil day while `unsent` durable ones wait: is it kept?"""
        counted = self._refusals_of_day[1] if self._refusals_of_day[0] == day else 0
        if unsent + self.refusals_waiting >= REFUSALS_UNSENT_MAX or counted >= REFUSALS_A_DAY_MAX:
            self.refusals_dropped += 1
            return False
        self._refusals_of_day = (day, counted + 1)
        return True

    def plan(self, now: Running) -> tuple[Running, list[Statement]]:
        """The statements that make everything waiting durable, and what is true after them."""
        statements: list[Statement] = []
        for kind, body in self.waiting:
            now = add_event(statements, now, kind, body, now.ratified_through)
        if self.refusals_waiting:
            statements.append((PUT_META, (REFUSALS_META, _OF_DAY.pack(*self._refusals_of_day))))
        if self.ratified:
            now = self._plan_ratified(statements, now)
        return now, statements

    def _plan_ratified(self, statements: list[Statement], now: Running) -> Running:
        through = now.ratified_through
        late = sorted(sequence for sequence in self.ratified if sequence <= through)
        statements.extend(("DELETE FROM unratified WHERE sequence = ?", (sequence,)) for sequence in late)
        last = max(self.ratified)
        while len(late) > EXCEPTIONS_MAX or (late and last <= through):
            body = encode_ratified(through, [], late[:EXCEPTIONS_MAX])
            now, late = add_event(statements, now, EVENT_RATIFIED, body, through), late[EXCEPTIONS_MAX:]
        exceptions: list[int] = []
        for sequence in range(through + 1, last + 1):
            if sequence not in self.ratified:
                exceptions.append(sequence)
                statements.append(("INSERT OR IGNORE INTO unratified(sequence, settled) VALUES(?, 0)", (sequence,)))
            if sequence == last or len(exceptions) == EXCEPTIONS_MAX:
                body = encode_ratified(sequence, exceptions, late)
                now = add_event(statements, now, EVENT_RATIFIED, body, sequence)
                exceptions, late = [], []
        return now

    def written(self) -> None:
        """The plan is durable."""
        self.waiting.clear()
        self.ratified.clear()

    def keep_unwritten(self, now: Running, before: Running, left: Mapping[int, bool]) -> None:
        """After a failed commit whose fate is known now: drops what was written after all. `left`: not ratified."""
        del self.waiting[: now.event_number - before.event_number]
        self.ratified = {sequence for sequence in self.ratified if sequence > now.ratified_through or sequence in left}


def add_event(statements: list[Statement], now: Running, kind: int, body: bytes, ratified_through: int) -> Running:
    """Appends the statement for one event; returns what is true after it."""
    head = event_link(now.event_head, kind, body)
    after = Running(
        now.last_id + 1,
        now.sequence,
        now.identity,
        now.at_s,
        now.event_number + 1,
        now.last_id + 1,
        head,
        now.kgo_sum,
        now.refusals + (kind == EVENT_REFUSAL),
        ratified_through,
    )
    statements.append((INSERT_EVENT, event_bindings(kind, body, now.event_head, after)))
    return after


def encode_ratified(through: int, exceptions: list[int], late: list[int]) -> bytes:
    """CBOR [through, exceptions, late]: greens up to `through` were shown, but for the exceptions.

    `late` were exceptions of an earlier event. Sequences that no event covers yet are not ratified either.
    """
    return encode([through, exceptions, late])

"""Driver of card readers over PC/SC: waits for a card, speaks with it, tells the desk. DESIGN §3, §5, docs/card.md.

The same shape as a scanner: one thread polls, `wake` may come from any. It reports no texts: each tap goes to the
`CardDesk`, which decides. One card at a time over all readers; a card that had its light is not read again until it is
lifted. Readers and the card service come and go; it finds them again by itself.
"""

import time
from collections.abc import Callable, Iterable
from threading import Event
from typing import NamedTuple, TypeVar

from offline_ledger.errors import (
    CardReaderInUse,
    CardReaderLost,
    CardReaderMissing,
    CardServiceForbidden,
    CardServiceMissing,
    CardSilent,
    CardsTwo,
    CardTorn,
    DeviceSupportMissing,
    ForeignCard,
    Refusal,
)
from offline_ledger.terminal.backoff import BackOff
from offline_ledger.terminal.card_desk import CardDesk, CardOffer
from offline_ledger.terminal.drivers.card_lane import CardLane, LaneStuck
from offline_ledger.terminal.drivers.card_pcsc import (
    PNP,
    READER_GONE,
    READERS_MAX,
    SERVICE_GONE,
    Code,
    PcscContext,
    PcscError,
    PcscService,
    ReaderState,
    Scard,
)
from offline_ledger.terminal.drivers.card_seat import Seat
from offline_ledger.terminal.drivers.card_talk import CardTalk
from offline_ledger.terminal.drivers.untaken import Untaken

T = TypeVar("T")
ANSWER_S_MAX = 2.0
"""For one APDU. A chip needs 0.1 to 0.5 s for a signature; nobody holds a card still for longer than two."""
TALK_S_MAX = 6.0
"""For all APDUs of a tap together: a card that answers each at the last moment holds up the door no longer."""
BACK_OFF_FIRST_S = 0.1
BACK_OFF_LAST_S = 2.0
REFUSALS_MAX = 32
TRY_AGAIN_S = 0.3
"""A card that broke off and still lies there: its field was weak, or it was lifted and put back between two looks of
the service. It is tried again, and told again only when it has answered something."""
TRIES_MAX = 100
LEFT_OVER_S = 1.5
"""So long after a reader came back, the first card in it counts as the one that had its light before the reader went: a
service that has just started sees its cards only after a look or two."""
STUCK_LANES_MAX = 8
"""Silent cards that still lie in readers; with so many no card is read until one is lifted."""


class CardSettings(NamedTuple):
    """`readers`: parts of the names of the readers to use; none given: all. `extended`: long APDUs for cards that say
    they take them, only for readers that are known to pass them."""

    readers: tuple[str, ...] = ()
    answer_s_max: float = ANSWER_S_MAX
    talk_s_max: float = TALK_S_MAX
    extended: bool = False
    back_off_first_s: float = BACK_OFF_FIRST_S
    back_off_last_s: float = BACK_OFF_LAST_S


class CardHealth(NamedTuple):
    """What a technician asks of the card readers. Counts are since the driver was made."""

    connected: bool
    """The card service answers."""
    readers: tuple[str, ...]
    cards: int
    """How many lie in the readers now."""
    last_error: str
    taps: int
    answered: int
    declined: int
    torn: int
    failed: int
    refused: int
    connects: int
    applet_version: int | None
    """Of the last card of ours, whatever became of its tap."""


class CardReader:
    """All card readers of this terminal. `poll` returns no texts; what it hears goes to the desk.

    `open_service` may stand for the service's readers in tests; cards are spoken with over PC/SC alone.
    """

    def __init__(
        self,
        settings: CardSettings,
        desk: CardDesk,
        *,
        monotonic_s: Callable[[], float] = time.monotonic,
        open_service: Callable[[], PcscService] | None = None,
    ) -> None:
        self._settings = settings
        self._desk = desk
        self._now_s = monotonic_s
        self._back_off = BackOff(settings.back_off_first_s, settings.back_off_last_s)
        self._scard: Scard | None = None
        self._open_service = open_service or self._open_pcsc
        self._context: PcscService | None = None
        self._seats: dict[str, Seat] = {}
        self._left_over: set[str] = set()
        self._pnp_raw = 0
        self._lane: CardLane | None = None
        self._stuck: list[CardLane] = []
        self._untaken = Untaken(REFUSALS_MAX)
        self._woken = Event()
        self._closed = False
        self._told: type[Refusal] | None = None
        self._had_readers = self._told_two = self._has_answered = False
        self._last_error = ""
        self._version: int | None = None
        self._talked_s = 0.0
        self._taps = self._answered = self._declined = self._torn = self._failed = self._connects = 0

    @property
    def is_lost(self) -> bool:
        """No service or no reader: that was told, and it is not back."""
        return self._told is not None

    def poll(self, timeout_s: float) -> list[str]:
        """Serves the card that comes within `timeout_s`; always an empty list. The desk is called from within."""
        until_s = self._now_s() + timeout_s
        while not self._closed:
            refused_before, taps_before = self._untaken.refused, self._taps
            self._look(max(0.0, until_s - self._now_s()))
            self._serve_fresh()
            is_told = self._untaken.refused > refused_before or self._taps > taps_before
            if self._woken.is_set() or is_told or self._now_s() >= until_s:
                self._woken.clear()
                return []
        return []

    def take_refusals(self) -> list[Refusal]:
        """Troubles of service and readers since the last call, each loss once; a card's go to the desk."""
        return self._untaken.take()

    def wake(self) -> None:
        """Make a `poll` in another thread return soon."""
        self._woken.set()
        context = self._context
        if context is not None:
            context.cancel()

    def close(self) -> None:
        """Lets go of the service. Call it from the polling thread, or after that has ended."""
        self._closed = True
        self._drop_lane()
        self._drop_context()

    def health(self) -> CardHealth:
        """The state now, for screens and `diagnose`."""
        return CardHealth(
            connected=self._context is not None,
            readers=tuple(self._seats),
            cards=sum(seat.has_card for seat in self._seats.values()),
            last_error=self._last_error,
            taps=self._taps,
            answered=self._answered,
            declined=self._declined,
            torn=self._torn,
            failed=self._failed,
            refused=self._untaken.refused,
            connects=self._connects,
            applet_version=self._version,
        )

    # --- the service and its readers

    def _look(self, left_s: float) -> None:
        """Wait for what changes, no longer than `left_s` or until a card is to be tried again."""
        if self._context is None and self._back_off.left_s(self._now_s()) <= 0:
            self._connect()
        if self._context is None:
            self._woken.wait(min(left_s, self._back_off.left_s(self._now_s())))
            return
        due_s = [seat.due_s - self._now_s() for seat in self._seats.values() if seat.is_fresh]
        wait_s = left_s if self._told_two else max(0.0, min([left_s, *due_s]))  # two cards: until one of them goes
        try:
            self._note(self._wait(self._context, 0.0 if self._woken.is_set() else wait_s))
            if not self._seats:
                self._list()
        except PcscError as error:
            self._lose(error)

    def _wait(self, context: PcscService, wait_s: float) -> list[ReaderState] | None:
        try:
            return context.wait(self._known(), wait_s)
        except PcscError as error:
            if error.code not in READER_GONE:
                raise
        self._list()
        return None

    def _known(self) -> list[tuple[str, int]]:
        return [(PNP, self._pnp_raw), *((seat.name, seat.raw) for seat in self._seats.values())]

    def _connect(self) -> None:
        try:
            self._context = self._open_service()
            self._connects += 1
            self._list()
        except DeviceSupportMissing as missing:
            self._back_off.failed(self._now_s())
            self._tell(missing)
        except PcscError as error:
            self._lose(error)

    def _open_pcsc(self) -> PcscContext:
        self._scard = self._scard or Scard()
        return PcscContext(self._scard)

    def _list(self) -> None:
        """Which readers there are; what lies in them is asked next."""
        assert self._context is not None
        parts = self._settings.readers
        names = [name for name in self._context.readers() if not parts or any(part in name for part in parts)]
        lost = [name for name in self._seats if name not in names]
        self._leave_over(lost)
        until_s = {name: self._now_s() + LEFT_OVER_S for name in self._left_over}
        self._seats = {name: self._seats.get(name) or Seat(name, until_s.get(name, float("-inf"))) for name in names}
        self._left_over.difference_update(names)
        if not names:
            self._tell(CardReaderLost(", ".join(lost)) if self._had_readers else CardReaderMissing(", ".join(parts)))
            return
        if lost:
            self._tell(CardReaderLost(", ".join(lost)))
        self._had_readers = True
        self._told = None
        self._back_off.worked()

    def _leave_over(self, lost: list[str]) -> None:
        """A served card that lies in a reader that goes is not to pay again because the reader comes back."""
        served = (seat.name for name, seat in self._seats.items() if name in lost and seat.has_card and seat.is_served)
        self._left_over.update(list(served)[: READERS_MAX - len(self._left_over)])

    def _note(self, states: list[ReaderState] | None) -> None:
        if states is None:
            return
        is_changed = False
        for state in states:
            seat = self._seats.get(state.name)
            if seat is None:
                is_changed = is_changed or state.raw != self._pnp_raw
                self._pnp_raw = state.raw
            elif state.is_known:
                seat.update(state, self._now_s())
            else:
                is_changed = True
                seat.has_card = False
        if is_changed:
            self._list()

    def _lose(self, error: PcscError) -> None:
        self._last_error = str(error)
        self._drop_lane()
        self._drop_context()
        self._leave_over(list(self._seats))
        self._seats = {}
        self._back_off.failed(self._now_s())
        kind = CardServiceForbidden if error.code == Code.FORBIDDEN else CardServiceMissing
        self._tell(kind(str(error)))

    def _drop_context(self) -> None:
        context, self._context = self._context, None
        self._pnp_raw = 0
        if context is not None:
            context.release()

    def _tell(self, refusal: Refusal) -> None:
        if self._told is type(refusal):
            return
        self._told = type(refusal)  # once per loss, not once per try
        self._untaken.refuse(refusal)
        self._last_error = str(refusal)

    # --- cards

    def _serve_fresh(self) -> None:
        seats = [seat for seat in self._seats.values() if seat.has_card]
        self._told_two = self._told_two and len(seats) > 1
        fresh = [seat for seat in seats if seat.is_fresh]
        if not fresh or self._told_two:
            return
        if len(seats) > 1:
            return self._refuse_two(seats)
        if fresh[0].due_s <= self._now_s():
            self._serve(fresh[0])

    def _refuse_two(self, seats: list[Seat]) -> None:
        self._told_two = True
        self._fail(CardsTwo(", ".join(seat.name for seat in seats)))

    def _serve(self, seat: Seat) -> None:
        self._taps += seat.tries == 0
        seat.is_served, self._has_answered, self._talked_s = True, False, 0.0
        try:
            self._converse(seat)
        except CardsTwo as refusal:
            seat.is_served = False  # it is read when it is alone
            self._told_two = True
            self._fail(refusal)
        except CardTorn as refusal:
            seat.tries += 1
            seat.is_served = seat.tries >= TRIES_MAX
            seat.due_s = self._now_s() + TRY_AGAIN_S
            if seat.tries == 1 or self._has_answered:
                self._torn += 1
                self._fail(refusal)
        except Refusal as refusal:
            self._fail(refusal)

    def _fail(self, refusal: Refusal) -> None:
        self._failed += 1
        self._last_error = str(refusal)
        self._desk.failed(refusal)

    def _converse(self, seat: Seat) -> None:
        if seat.is_mute:
            raise CardSilent("no answer to reset")
        lane = self._lane_for_card()
        self._through(lane, lambda: lane.connect(seat.name))
        self._note_held(seat)
        try:
            talk = CardTalk(
                lambda apdu: self._exchange(lane, apdu),
                seat.atr,
                extended=self._settings.extended,
            )
            try:
                self._tap(talk, seat)
            finally:
                self._version = talk.version or self._version
        finally:
            if lane is self._lane:
                self._leave(lane)

    def _leave(self, lane: CardLane) -> None:
        """The tap has its light by now: a card that is not let go of changes none."""
        try:
            self._through(lane, lane.leave)
        except Refusal as refusal:
            self._last_error = str(refusal)

    def _exchange(self, lane: CardLane, apdu: bytes) -> bytes:
        if self._talked_s > self._settings.talk_s_max:  # before a command, never between one and its answer
            raise CardSilent(f"no end within {self._settings.talk_s_max} s")
        begun_s = self._now_s()
        answer = self._through(lane, lambda: lane.transmit(apdu))
        self._talked_s += self._now_s() - begun_s
        self._has_answered = self._has_answered or bool(answer)
        return answer

    def _tap(self, talk: CardTalk, seat: Seat) -> None:
        offer = talk.read()
        self._check_alone(seat)
        asked = self._desk.offered(offer)
        if asked is None:
            return
        self._answer(offer, talk.ask(asked))

    def _answer(self, offer: CardOffer, said: bytes | Refusal) -> None:
        if isinstance(said, Refusal):
            self._declined += 1
            self._desk.declined(offer, said)
        else:
            self._answered += 1
            self._desk.answered(offer, said)

    def _note_held(self, seat: Seat) -> None:
        """The card that is held now may have come after the last look: else the next one would count it as another."""
        for state in self._states([seat.name]):
            seat.hold(state)

    def _check_alone(self, seat: Seat) -> None:
        """A second card that came since, at another reader. What else changed is seen at the next look."""
        if len(self._seats) < 2:
            return
        others = [state.name for state in self._states(self._seats) if state.has_card and state.name != seat.name]
        if others:
            raise CardsTwo(", ".join((seat.name, *others)))

    def _states(self, names: Iterable[str]) -> list[ReaderState]:
        """Of these readers as they are now; none when the service does not say: the next look tells."""
        if self._context is None:
            return []
        try:
            return self._context.wait([(name, 0) for name in names], 0.0) or []
        except PcscError:
            return []

    def _lane_for_card(self) -> CardLane:
        self._stuck = [lane for lane in self._stuck if lane.is_alive]
        if len(self._stuck) >= STUCK_LANES_MAX:
            raise CardSilent(f"{len(self._stuck)} cards do not answer")
        self._scard = self._scard or Scard()
        self._lane = self._lane or CardLane(self._scard, self._settings.answer_s_max)
        return self._lane

    def _through(self, lane: CardLane, work: Callable[[], T]) -> T:
        """The work, with what PC/SC says in the words of a refusal."""
        try:
            return work()
        except LaneStuck as stuck:
            self._lane = None
            self._stuck.append(lane)
            raise CardSilent(str(stuck)) from stuck
        except PcscError as error:
            if error.code in SERVICE_GONE:
                self._drop_lane()
            raise refusal_for(error) from error

    def _drop_lane(self) -> None:
        lane, self._lane = self._lane, None
        if lane is not None:
            lane.end()


def refusal_for(error: PcscError) -> Refusal:
    """What PC/SC says of a card, in the words of a person; most of it means that the card has gone."""
    if error.code == Code.SHARING:
        return CardReaderInUse(str(error))
    if error.code == Code.FORBIDDEN:
        return CardServiceForbidden(str(error))
    if error.code == Code.UNRESPONSIVE:
        return CardSilent(str(error))
    if error.code in (Code.UNSUPPORTED, Code.PROTOCOL):
        return ForeignCard(str(error))
    return CardTorn(str(error))

"""The cashier's desk behind every window of the page: one action at a time, each done whole or not at all. DESIGN §3.

PINs are checked on the caller's thread, for a hash takes its time; everything else has its turn on the deciding thread,
between two codes. What an action needs and the person may not do alone waits for somebody who may.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

from offline_ledger.errors import ClockStepped, FieldWrong, NeedsApproval, NotNow, Refusal, StaleScreen
from offline_ledger.protocol.device import ClockTrust
from offline_ledger.terminal.outcome import Light, Outcome
from pos_app.counter.flow import BACK, Screen, check_fresh, check_here
from pos_app.counter.permissions import may_alone, needed_for
from pos_app.desk import fields as read
from pos_app.desk.asking import AskingBack
from pos_app.desk.core import Core, DeskParts
from pos_app.desk.fields import Fields
from pos_app.desk.open_thing import open_thing
from pos_app.desk.paying import Paying
from pos_app.desk.ports import Person
from pos_app.desk.recovery import recover
from pos_app.desk.returning import Returning
from pos_app.desk.selling import Selling
from pos_app.desk.shifts import Shifts
from pos_app.desk.state import Pending
from pos_app.desk.view import Looked, customer_view_of, found_goods, view_of
from pos_app.sale import OpenBill, OpenSale

KEPT_BEHIND = (Screen.SALE, Screen.PAY, Screen.WAIT_KGO, Screen.PROMPTPAY, Screen.REPORT)
"""Behind the lock too; from all else one signs in to the sale."""
OWN_CODE = "KGO1"
"""With this every code of a customer begins; all else that is scanned is goods."""
STEP_S = 60
"""A clock that is set by less changes no minute on a receipt by more than one."""
CALLED_MS = 15_000
"""So long the screens say which till this is."""
THANKS_MS = 12_000
"""So long the customer's display thanks; the next sale may begin before."""
LANGUAGES = ("th", "en")
Act = Callable[[Fields], None]


class Answer(NamedTuple):
    """What a turn came to."""

    refusal: Refusal | None


class CounterDesk:
    """Implements the page's `Desk`."""

    def __init__(self, parts: DeskParts) -> None:
        self._core = core = Core(parts)
        self._paying = paying = Paying(core)
        self._selling = selling = Selling(core)
        self._returning = returning = Returning(core)
        self._asking = asking = AskingBack(core, returning.receipts, returning.receipt)
        shifts = Shifts(core)
        self._shifts = shifts
        self._looked = Looked()
        self._looked_mono_ms = 0
        self._called_until_ms = 0
        self._is_worked_at = False
        self._acts: dict[str, Act] = {
            "language": self._language,
            "lock": self._lock,
            "approve_cancel": self._approve_cancel,
            "back": self._back,
            "print": self._print,
            **_actions_of(selling),
            **_actions_of(paying),
            **_actions_of(returning),
            **_actions_of(asking),
            **_actions_of(shifts),
        }
        recover(core, paying, returning)

    def open_thing(self, waiting_papers: int, printer: Refusal | None) -> str:
        """What must not be ended for an update now; empty: nothing."""
        return open_thing(self._core.state, self._core.parts.till.sale, waiting_papers, printer)

    # --- the page's side, on any thread

    def act(self, action: str, fields: Mapping[str, str], seen: int) -> None:
        """One press. Raises the refusal for which nothing was done."""
        read.check_text(*fields.values())
        person = self._person_for(action, fields)
        answer = self._core.running.turn(lambda: self._answered_and_seen(action, fields, seen, person))
        if answer.refusal is not None:
            raise answer.refusal

    def scanned(self, text: str) -> None:
        """A code that a scanner typed into the page."""
        self._core.running.code(text)

    def view(self) -> Mapping[str, object]:
        """All that the cashier's screen shows."""
        return view_of(self._core.frozen(), self._looked)

    def customer_view(self) -> Mapping[str, object]:
        """All that the customer's display shows."""
        return customer_view_of(self._core.frozen(), self._looked)

    def wait_changed(self, after: int, timeout_s: float) -> int:
        """The newest revision; at once when it is not `after`."""
        return self._core.wait_changed(after, timeout_s)

    def search(self, text: str) -> Sequence[Mapping[str, object]]:
        """Goods by name, number or barcode."""
        return found_goods(self._core, text)

    # --- the terminal's side, on the deciding thread

    def takes(self, text: str) -> bool:
        """Is this text goods, or a receipt where receipts are looked at? Then it is on the screen, or why not is."""
        if text.startswith(OWN_CODE):
            return self._asking.scanned(text)
        self._selling.scanned(text.encode(errors="replace").decode())
        return True

    def goods_changed(self) -> None:
        """The catalogue is another: the shelf on the screen is read again."""
        shelves = self._core.shelves
        self._core.show_shelf(shelves.chosen if shelves.goods else None)

    def paid(self, sale: OpenSale, sequence: int) -> None:
        """A code or card paid."""
        self._paying.kgo_paid(sale, sequence)

    def open_bill(self) -> OpenBill | None:
        """What codes may pay at this moment while no sale waits for one."""
        return self._paying.open_bill()

    def drawn(self, light: Light | None, outcome: Outcome | None) -> None:
        """A light has changed. A code that is read while its light is late comes from another thread."""
        about = self._core.parts.till.about(outcome) if light is not None and outcome is not None else {}
        self._looked = self._looked._replace(light=light, outcome=outcome, about=dict(about))
        self._core.changed()

    def call(self) -> None:
        """Both screens say for a while which till this is: somebody stands before several."""
        self._called_until_ms = self._core.parts.mono_ms() + CALLED_MS
        self._looked = self._looked._replace(is_called=True)
        self._core.changed()

    def look(self) -> None:
        """A moment has passed: the link, the troubles, the printer; the thanks go from the customer's display."""
        core = self._core
        self._returning.catch_up()
        with suppress(Refusal):  # what the disk cannot tell now is asked when somebody signs in
            self._shifts.catch_up()
        printer = core.parts.paper.state()
        now = self._looked._replace(status=core.running.link_status(), troubles=tuple(core.running.standing))
        is_called = core.parts.mono_ms() < self._called_until_ms
        now = now._replace(printer=printer, at=core.now(), is_called=is_called)
        self._tell_step(now)
        if now.key() != self._looked.key():
            self._looked = now
            core.changed()
        self._looked = now
        self._paying.look_at_request()
        done = core.state.done
        if core.state.thanks_shown and (done is None or core.parts.mono_ms() - done.ended_mono_ms > THANKS_MS):
            core.put(core.state._replace(thanks_shown=False), counts=False)

    # --- inside

    def _tell_step(self, now: Looked) -> None:
        """The clock was set right while a cashier works by it: said once, where every refusal stands. Whoever only
        knew the earliest possible time was not wrong; papers of this start may bear it all the same."""
        core, before = self._core, self._looked.at
        mono_ms, self._looked_mono_ms = self._looked_mono_ms, core.parts.mono_ms()
        if before is None or now.at is None:
            return
        if before.trust is ClockTrust.FLOOR and not (self._is_worked_at and core.parts.shifts.totals.is_open):
            return
        passed_s = (self._looked_mono_ms - mono_ms) // 1_000
        if abs(now.at.at_s - before.at_s - passed_s) > STEP_S:
            core.put(core.state._replace(notice=ClockStepped()), counts=False)

    def _person_for(self, action: str, fields: Fields) -> Person | None:
        people = self._core.parts.people
        if action == "first_manager" and people.is_empty:
            return people.add_first(fields.get("code", ""), read.text(fields, "name"), fields.get("pin", ""))
        if action not in ("sign_in", "approve"):
            return None
        try:
            return people.check_pin(fields.get("code", ""), fields.get("pin", ""))
        except Refusal as refusal:
            self._core.log(f"{action}_refused", code=fields.get("code", "")[:8], number=refusal.number)
            raise

    def _answered_and_seen(self, action: str, fields: Fields, seen: int, person: Person | None) -> Answer:
        """What was sold a moment ago waits to be sent: the badge is not green for as long as until the next look."""
        answer = self._answered(action, fields, seen, person)
        before = self._looked.key()
        with suppress(Refusal):
            self._looked = self._looked._replace(status=self._core.running.link_status())
        if self._looked.key() != before:  # another window may have been drawn between the two
            self._core.changed()
        return answer

    def _answered(self, action: str, fields: Fields, seen: int, person: Person | None) -> Answer:
        """On the deciding thread, which no refusal may end."""
        core = self._core
        if self._looked.at is None:  # the time that this person begins to work by
            self._looked, self._looked_mono_ms = self._looked._replace(at=core.now()), core.parts.mono_ms()
        try:
            check_here(action, core.state.screen)
            check_fresh(action, seen, core.counts_since)
            if person is not None:
                self._signed(action, person)
            elif core.state.pending is not None and action not in ("approve_cancel", "language", "lock"):
                raise NeedsApproval(core.state.pending.action)
            elif action not in self._acts:
                raise NotNow(action[:20])
            elif not self._may(action):
                core.put(core.state._replace(pending=Pending(action, dict(fields), core.revision + 1)))
            else:
                self._acts[action](fields)
        except Refusal as refusal:
            return Answer(refusal)
        return Answer(None)

    def _may(self, action: str) -> bool:
        person = self._core.state.cashier
        return person is None or may_alone(person.role, action)

    def _signed(self, action: str, person: Person) -> None:
        if action == "approve":
            self._approved(person)
            return
        core = self._core
        self._is_worked_at = True
        with suppress(Refusal):
            self._shifts.catch_up(is_asked=True)
        state = core.state
        handed_from = state.handed_from
        totals = core.parts.shifts.totals
        is_behind = totals.is_open or (state.behind_lock is Screen.REPORT and state.report is not None)
        screen = state.behind_lock if is_behind else Screen.NO_SHIFT
        core.put(state._replace(screen=screen, cashier=person, handed_from="", notice=None))
        core.log("sign_in")
        with suppress(Refusal):  # whoever signs in is signed in
            self._shifts.seen()
        if handed_from and totals.is_open:
            self._shifts.handed_over(handed_from, person.code)

    def _approved(self, person: Person) -> None:
        core = self._core
        pending = core.state.pending
        if pending is None:
            raise NotNow("approve")
        if person.role < needed_for(pending.action):
            raise NeedsApproval(pending.action)
        is_stale = core.counts_since > pending.at_revision
        core.put(core.state._replace(pending=None))
        if is_stale:
            raise StaleScreen(pending.action)
        core.log("approve", by=person.code, what=pending.action)
        self._acts[pending.action](pending.fields)

    def _approve_cancel(self, _fields: Fields) -> None:
        self._core.put(self._core.state._replace(pending=None))

    def _language(self, fields: Fields) -> None:
        language = fields.get("language", "")
        if language not in LANGUAGES:
            raise FieldWrong("language")
        self._core.put(self._core.state._replace(language=language), counts=False)

    def _lock(self, _fields: Fields) -> None:
        """A sale stays on the counter; whoever signs in goes on with it."""
        core = self._core
        core.log("lock")
        screen = core.state.screen
        behind = screen if screen in KEPT_BEHIND else Screen.SALE
        core.put(core.state._replace(screen=Screen.LOCKED, cashier=None, behind_lock=behind, pending=None, notice=None))

    def _back(self, _fields: Fields) -> None:
        core = self._core
        state = core.state
        if state.screen is Screen.PAY and state.sale.tenders:
            raise NotNow("paid in part")
        if state.screen is Screen.REFUND and state.returning is not None:  # from the sums to what goes back
            core.put(state._replace(returning=None, notice=None))
            return
        screen = BACK[state.screen]
        if screen is Screen.SALE and not core.parts.shifts.totals.is_open:
            screen = Screen.NO_SHIFT
        if state.screen is Screen.REPORT and not core.parts.shifts.totals.is_open:
            screen = Screen.NO_SHIFT
        core.put(state._replace(screen=screen, notice=None, report=None, totals=core.parts.shifts.totals))

    def _print(self, fields: Fields) -> None:
        if self._core.state.screen is Screen.REPORT:
            self._shifts.print(fields)
        elif self._core.state.screen is Screen.ASK_BACK:
            self._asking.print()
        else:
            self._paying.print_done()


def _actions_of(part: object) -> dict[str, Act]:
    """Its public methods that take fields, by name."""
    named = ((name, getattr(part, name)) for name in ACTIONS[type(part).__name__])
    return dict(named)


ACTIONS: Mapping[str, tuple[str, ...]] = {
    "Selling": (
        *("add_amount", "add_item", "category", "quantity", "discount", "bill_discount", "remove", "clear"),
        *("hold", "held", "recall"),
    ),
    "Paying": (
        *("pay", "kgo", "kgo_request", "kgo_cancel", "cash", "promptpay", "promptpay_confirm", "promptpay_cancel"),
        *("drop_tender", "cancel_sale", "next"),
    ),
    "AskingBack": ("ask_back",),
    "Returning": ("receipts", "find", "receipt", "refund_start", "refund_sure", "reprint", "void", "refund"),
    "Shifts": (
        *("open_shift", "shift", "cash_in", "cash_out", "count", "handover", "drawer", "x_report", "close_shift"),
    ),
}
"""Which actions each part has."""

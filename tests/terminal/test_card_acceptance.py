"""A card's tap at the acceptor: asked before it pays, charged once wherever it is torn or the power goes. DESIGN §5."""

from collections.abc import Callable
from pathlib import Path

import pytest

from offline_ledger import errors
from offline_ledger.errors import Refusal
from offline_ledger.protocol import cbor, cose, device
from offline_ledger.protocol.device import ClockTrust, EventKind, PlaceKey, Voucher, VoucherKind
from offline_ledger.protocol.kinds import OBJECT_BYTES_MAX, Kind
from offline_ledger.rules.clock import TimeNow
from offline_ledger.rules.limits import Limits
from offline_ledger.terminal import payment_requests
from offline_ledger.terminal.card_desk import CardOffer
from offline_ledger.terminal.journal_objects import split_objects
from offline_ledger.terminal.outcome import Light, Outcome
from tests.terminal.desk import AAD, NOW_S, REPEAT_S, FlatBus, issue
from tests.terminal.desk_card import DeskCard, request_in, tap
from tests.terminal.door_desk import DoorDesk

GREEN = Light.ACCEPTED_CASH_DUE
NO = (Light.REFUSED, Light.TRY_AGAIN)
LIFE_S = Limits().request_life_s


class Desk(DoorDesk):
    """And one card."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.card = DeskCard(issue(7))

    def pass_time(self, seconds: int) -> None:
        self.conditions.now = TimeNow(self.conditions.now.at_s + seconds, ClockTrust.SYNCED, 0)

    def ask(self) -> bytes:
        step = self.acceptor.ask(self.card.offer, self.door)
        assert step.request is not None, step.outcome
        return step.request

    def asked(self) -> Outcome:
        step = self.acceptor.ask(self.card.offer, self.door)
        assert step.outcome is not None
        return step.outcome

    def tap(self, *, is_shown: bool = True) -> Outcome:
        return tap(self.acceptor, self.card, self.door, is_shown=is_shown)

    def vouchers(self) -> list[Voucher]:
        rows = self.journal.pending(100)
        return [
            device.VOUCHER.decode(cose.parse_sign1(row.voucher, AAD[Kind.VOUCHER]).payload, OBJECT_BYTES_MAX)
            for row in rows
        ]

    def kinds(self) -> list[int]:
        return [voucher.kind for voucher in self.vouchers()]

    def events(self, kind: EventKind) -> list[list[object]]:
        self.journal.flush()
        found = [event for event in self.journal.events_after(0, 1000) if event.kind == kind]
        return [cbor.decode(event.body, 8_192) for event in found]  # type: ignore[misc]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "bus")


@pytest.fixture(autouse=True)
def folder_of_the_bus(tmp_path: Path) -> None:
    (tmp_path / "bus").mkdir()


def test_a_card_is_asked_pays_and_is_green(desk: Desk) -> None:
    raw = desk.ask()
    request = request_in(raw)
    assert (request.device, request.owner, request.amount_kgo, request.amount_satang) == (
        "bus-1",
        "city-bus",
        5000,
        100,
    )
    assert (request.pass_id, request.at_s, request.expires_at_s) == ((7).to_bytes(8, "big"), NOW_S, NOW_S + LIFE_S)
    payment = desk.card.pay(raw)
    outcome = desk.acceptor.answer(desk.card.offer, payment, desk.door)
    assert (outcome.light, outcome.sequence) == (GREEN, 1)
    row = desk.journal.voucher_at(1)
    assert row is not None and split_objects(row.wallet_object) == (payment, raw)
    voucher = desk.vouchers()[0]
    assert voucher.object_hash == cose.parse_sign1(payment, AAD[Kind.PAYMENT]).identity
    assert (voucher.kind, voucher.kgo, voucher.satang) == (VoucherKind.BOARDING, 5_000, 100)
    assert desk.journal.open_requests() == {}


def test_the_request_is_durable_before_the_card_sees_it(desk: Desk) -> None:
    raw = desk.ask()
    desk.crash()
    (identity,) = desk.journal.open_requests()
    assert identity == cose.parse_sign1(raw, AAD[Kind.PAYMENT_REQUEST]).identity
    assert desk.events(EventKind.REQUEST) == [[identity, 5_000, 100, NOW_S + LIFE_S]]


def test_torn_before_it_paid_the_same_request_is_put_again(desk: Desk) -> None:
    first = desk.ask()
    desk.pass_time(5)
    assert desk.ask() == first
    assert len(desk.events(EventKind.REQUEST)) == 1
    desk.crash()
    assert desk.ask() == first, "after a restart too"


def test_torn_after_it_paid_the_next_tap_is_green_and_charged_once(desk: Desk) -> None:
    desk.card.pay(desk.ask())  # and gone, its answer unheard
    desk.pass_time(30)
    outcome = desk.asked()
    assert (outcome.light, outcome.is_uncharged_green) == (GREEN, False)
    desk.acceptor.shown(outcome)
    assert desk.asked().light is Light.ALREADY_ACCEPTED
    assert desk.kinds() == [VoucherKind.BOARDING] and len(desk.card.paid) == 1


def test_torn_and_restarted_it_is_green_and_charged_once(desk: Desk) -> None:
    desk.card.pay(desk.ask())
    desk.crash()
    assert desk.asked().light is GREEN
    assert desk.kinds() == [VoucherKind.BOARDING] and desk.journal.open_requests() == {}


def test_a_crash_after_the_voucher_gives_one_uncharged_green(desk: Desk) -> None:
    assert desk.tap(is_shown=False).light is GREEN
    desk.crash()
    again = desk.asked()
    assert again.light is GREEN and again.is_uncharged_green and again.sequence == 1
    assert desk.asked().light is Light.ALREADY_ACCEPTED
    assert desk.kinds() == [VoucherKind.BOARDING]


@pytest.mark.parametrize(("later_s", "is_new_ride"), [(0, False), (REPEAT_S, False), (REPEAT_S + 1, True)])
def test_held_again_it_pays_nothing_until_it_is_a_new_ride(desk: Desk, later_s: int, is_new_ride: bool) -> None:
    assert desk.tap().light is GREEN
    desk.pass_time(later_s)
    assert desk.tap().light is (GREEN if is_new_ride else Light.ALREADY_ACCEPTED)
    assert len(desk.vouchers()) == 1 + is_new_ride


@pytest.mark.parametrize(("later_s", "is_new_ride"), [(5, False), (REPEAT_S, False), (REPEAT_S + 1, True)])
@pytest.mark.parametrize("lost", ["torn after it paid", "torn before it paid", "the power went"])
def test_held_again_counts_from_its_green_and_not_from_the_tap_that_was_lost(
    desk: Desk, lost: str, later_s: int, is_new_ride: bool
) -> None:
    if lost == "the power went":
        desk.tap(is_shown=False)
        desk.crash()
    elif lost == "torn after it paid":
        desk.card.pay(desk.ask())
    else:
        desk.ask()
    desk.pass_time(LIFE_S - 1)
    assert desk.tap().light is GREEN
    desk.pass_time(later_s)
    assert desk.tap().light is (GREEN if is_new_ride else Light.ALREADY_ACCEPTED)
    assert desk.kinds() == [VoucherKind.BOARDING] * (1 + is_new_ride)


def test_put_again_it_is_of_the_moment_and_stop_where_it_is_put_again(desk: Desk) -> None:
    first = desk.ask()
    desk.pass_time(30)
    desk.door = FlatBus(stop="S2")
    assert desk.ask() == first
    outcome = desk.acceptor.answer(desk.card.offer, desk.card.pay(first), desk.door)
    assert outcome.light is GREEN
    (made,) = desk.vouchers()
    assert (made.at_s, made.place[PlaceKey.STOP]) == (NOW_S + 30, "S2")


def test_a_payment_that_got_an_uncharged_green_bars_no_next_ride(desk: Desk) -> None:
    """A phone shows its code, the power goes, and it comes back as a card: its payment is not charged, nor open."""
    desk.card.held.next()
    assert desk.acceptor.accept(desk.card.held.code(), desk.door).light is GREEN
    desk.crash()
    back = desk.tap()
    assert (back.light, back.is_uncharged_green) == (GREEN, True)
    assert desk.kinds() == [VoucherKind.BOARDING, VoucherKind.CANCELLED_REQUEST], "what it signed comes back"
    assert desk.journal.open_requests() == {}
    assert desk.asked().light is Light.ALREADY_ACCEPTED
    desk.door = FlatBus(trip="T2")
    assert desk.tap().light is GREEN
    assert desk.kinds()[-1] == VoucherKind.BOARDING
    assert desk.acceptor.unratified.sequences() == []


def test_on_another_trip_it_pays_at_once(desk: Desk) -> None:
    assert desk.tap().light is GREEN
    desk.door = FlatBus(trip="T2")
    assert desk.tap().light is GREEN
    assert [voucher.kgo for voucher in desk.vouchers()] == [5_000, 5_000]


@pytest.mark.parametrize("later_s", [LIFE_S, LIFE_S + 1])
def test_a_payment_counts_for_as_long_as_its_request_lives(desk: Desk, later_s: int) -> None:
    desk.card.pay(desk.ask())
    desk.pass_time(later_s)
    outcome = desk.asked()
    if later_s <= LIFE_S:
        assert outcome.light is GREEN
        return
    assert isinstance(outcome.refusal, errors.RequestExpired)
    assert desk.kinds() == [VoucherKind.CANCELLED_REQUEST], "what it signed returns with its next statement"
    assert desk.tap().light is GREEN, "the next tap is a new request"
    assert desk.kinds() == [VoucherKind.CANCELLED_REQUEST, VoucherKind.BOARDING]


def test_a_cancelled_request_is_paid_by_nothing(desk: Desk) -> None:
    raw = desk.ask()
    payment = desk.card.pay(raw)
    desk.pass_time(LIFE_S + 1)
    desk.asked()
    desk.conditions.now = TimeNow(NOW_S, ClockTrust.SYNCED, 0)
    outcome = desk.acceptor.answer(desk.card.offer, payment, desk.door)
    assert outcome.light is Light.REFUSED and isinstance(outcome.refusal, errors.RequestMismatch)
    assert desk.kinds() == [VoucherKind.CANCELLED_REQUEST]


def test_a_fare_that_changed_over_a_restart_cancels_what_was_asked(desk: Desk) -> None:
    desk.card.pay(desk.ask())
    desk.crash()
    desk.door = FlatBus(fare_kgo=6_000)
    outcome = desk.asked()
    assert isinstance(outcome.refusal, errors.RequestMismatch)
    assert desk.kinds() == [VoucherKind.CANCELLED_REQUEST]
    assert desk.tap().light is GREEN
    assert desk.vouchers()[-1].kgo == 6_000


def test_what_is_no_longer_wanted_is_cancelled(desk: Desk) -> None:
    class Closed(FlatBus):
        def wants(self, occasion: bytes) -> bool:
            return False

    raw = desk.ask()
    desk.door = Closed()
    outcome = desk.acceptor.answer(desk.card.offer, desk.card.pay(raw), desk.door)
    assert isinstance(outcome.refusal, errors.RequestMismatch)
    assert desk.kinds() == [VoucherKind.CANCELLED_REQUEST]


def test_only_the_card_that_was_asked_can_answer(desk: Desk) -> None:
    raw = desk.ask()
    other = DeskCard(issue(8))
    outcome = desk.acceptor.answer(other.offer, other.pay(raw), desk.door)
    assert isinstance(outcome.refusal, errors.AllowanceMismatch)
    outcome = desk.acceptor.answer(desk.card.offer, desk.card.pay(raw), desk.door)
    assert outcome.light is GREEN, "a stranger's payment takes back no request of this card"
    assert desk.kinds() == [VoucherKind.BOARDING]


SPOILT: dict[str, tuple[Callable[[Desk], object], type[Refusal]]] = {
    "a smaller amount": (lambda desk: {"amount_kgo": 4_999}, errors.AmountNotAuthorised),
    "a larger amount": (lambda desk: {"amount_kgo": 5_001}, errors.AmountNotAuthorised),
    "another request": (lambda desk: {"request_hash": bytes(32)}, errors.RequestMismatch),
    "beyond its reserve": (lambda desk: {"sum_kgo": 45_001}, errors.ReserveExceeded),
    "another allowance": (lambda desk: {"allowance_hash": bytes(32)}, errors.AllowanceMismatch),
}


@pytest.mark.parametrize("fault", SPOILT)
def test_a_payment_that_is_not_the_one_asked_for_is_refused(desk: Desk, fault: str) -> None:
    changes, refusal = SPOILT[fault]
    raw = desk.ask()
    desk.card.held.next(5_000)
    payment = desk.card.sign(raw, **changes(desk))  # type: ignore[arg-type]
    outcome = desk.acceptor.answer(desk.card.offer, payment, desk.door)
    assert outcome.light is Light.REFUSED and isinstance(outcome.refusal, refusal)
    assert VoucherKind.BOARDING not in desk.kinds()


def test_a_signature_of_another_key_is_refused_and_the_request_stays(desk: Desk) -> None:
    raw = desk.ask()
    payment = desk.card.pay(raw)
    forged = payment[:-1] + bytes((payment[-1] ^ 1,))
    outcome = desk.acceptor.answer(desk.card.offer, forged, desk.door)
    assert isinstance(outcome.refusal, errors.WalletSignatureWrong)
    assert desk.acceptor.answer(desk.card.offer, payment, desk.door).light is GREEN


@pytest.mark.parametrize("garbage", [b"", b"\xd2", bytes(300), b"\xff" * 1_100])
def test_garbage_from_a_card_is_refused(desk: Desk, garbage: bytes) -> None:
    for offer in (CardOffer(garbage, None), CardOffer(desk.card.held.allowance.raw, garbage)):
        step = desk.acceptor.ask(offer, desk.door)
        assert step.request is None and step.outcome is not None and step.outcome.light in NO
    raw = desk.ask()
    assert desk.acceptor.answer(desk.card.offer, garbage, desk.door).light in NO
    assert desk.ask() == raw


def test_what_refuses_a_code_refuses_a_card_before_it_pays(desk: Desk) -> None:
    desk.conditions.denied.add((7).to_bytes(8, "big"))
    assert isinstance(desk.asked().refusal, errors.Denied)
    desk.conditions.denied.clear()
    desk.conditions.cap_refusal = errors.TerminalValueUsedUp("full")
    assert isinstance(desk.asked().refusal, errors.TerminalValueUsedUp)
    desk.conditions.cap_refusal = None
    desk.conditions.standing_refusal = errors.TerminalRevoked("after 3")
    assert desk.asked().light is Light.OUT_OF_SERVICE
    assert desk.journal.open_requests() == {} and desk.card.paid == []


def test_a_terminal_whose_words_count_no_more_signs_nothing_about_a_payment(desk: Desk) -> None:
    payment = desk.card.pay(desk.ask())
    desk.conditions.standing_refusal = errors.JournalLost("the city has vouchers to 9")
    outcome = desk.acceptor.answer(desk.card.offer, payment, desk.door)
    assert outcome.light is Light.OUT_OF_SERVICE and desk.kinds() == []
    desk.conditions.standing_refusal = None
    assert desk.asked().light is GREEN, "the request stood open"


@pytest.mark.parametrize(
    "refusal", [errors.MustReconnect("9 h"), errors.TerminalValueUsedUp("full")], ids=lambda one: one.key
)
def test_a_card_that_was_read_is_not_asked_to_be_held_again(desk: Desk, refusal: Refusal) -> None:
    """As a code: holding it again helps nobody while this terminal must reconnect."""
    desk.conditions.cap_refusal = refusal
    assert desk.asked().light is Light.REFUSED
    desk.card.held.next()
    assert desk.acceptor.accept(desk.card.held.code(), desk.door).light is Light.REFUSED


def test_a_purse_that_its_own_word_shows_empty_is_not_asked(desk: Desk) -> None:
    desk.card = DeskCard(issue(9, reserve_kgo=9_999))
    assert desk.tap().light is GREEN
    desk.pass_time(REPEAT_S + 1)
    assert isinstance(desk.asked().refusal, errors.ReserveExceeded)


def test_an_expired_allowance_is_not_asked(desk: Desk) -> None:
    desk.pass_time(200_000)
    assert isinstance(desk.asked().refusal, errors.AllowanceExpired)


def test_a_card_that_says_no_is_refused_and_asked_the_same_next_time(desk: Desk) -> None:
    raw = desk.ask()
    refusal = errors.ReserveExceeded("the chip's purse")
    assert desk.acceptor.not_paid(desk.card.offer, refusal) == Outcome(Light.REFUSED, refusal=refusal)
    assert desk.ask() == raw and desk.kinds() == []


def test_two_payments_of_one_counter_are_kept_as_proof(desk: Desk) -> None:
    assert desk.tap().light is GREEN
    desk.pass_time(REPEAT_S + 1)
    raw = desk.ask()
    again = desk.card.sign(raw)  # n of the first tap, another request
    outcome = desk.acceptor.answer(desk.card.offer, again, desk.door)
    assert isinstance(outcome.refusal, errors.Conflict)
    ((number, _at_s, allowance, earlier, later),) = desk.events(EventKind.CONFLICT)
    assert (number, allowance, earlier, later) == (1402, desk.card.held.allowance.raw, desk.card.paid[0], again)


def test_more_open_requests_than_fit_forget_the_oldest(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(payment_requests, "OPEN_MAX", 3)
    cards = [DeskCard(issue(20 + number)) for number in range(4)]
    requests: list[bytes] = []
    for card in cards:
        step = desk.acceptor.ask(card.offer, desk.door)
        assert step.request is not None
        requests.append(step.request)
    assert len(desk.journal.open_requests()) == 3
    first = desk.acceptor.answer(cards[0].offer, cards[0].pay(requests[0]), desk.door)
    assert isinstance(first.refusal, errors.RequestMismatch)
    assert desk.acceptor.answer(cards[1].offer, cards[1].pay(requests[1]), desk.door).light is GREEN


def test_requests_past_their_end_are_forgotten_with_the_next(desk: Desk) -> None:
    desk.ask()
    desk.pass_time(LIFE_S + 1)
    desk.card = DeskCard(issue(8))
    desk.ask()
    assert len(desk.journal.open_requests()) == 1


def test_a_boarding_is_taken_back_once_and_its_card_pays_anew(desk: Desk) -> None:
    assert desk.tap().light is GREEN
    desk.acceptor.annul(1)
    back = desk.vouchers()[-1]
    assert (back.kind, back.kgo, back.satang, back.refers_to, back.object_hash) == (
        VoucherKind.ANNUL,
        5000,
        100,
        1,
        None,
    )
    desk.crash()
    with pytest.raises(errors.NothingToAnnul):
        desk.acceptor.annul(1)
    with pytest.raises(errors.NothingToAnnul):
        desk.acceptor.annul(2)  # an annulment itself
    assert desk.acceptor.unratified.sequences() == []
    assert desk.tap().light is GREEN, "not a repeat of what was taken back"
    assert desk.kinds() == [VoucherKind.BOARDING, VoucherKind.ANNUL, VoucherKind.BOARDING]


@pytest.mark.parametrize("is_over", [False, True], ids=["it waits", "its wait is over"])
def test_a_boarding_that_is_not_charged_is_not_taken_back(desk: Desk, is_over: bool) -> None:
    rider = issue(9)
    rider.next()
    desk.acceptor.not_shown_yet(desk.acceptor.accept(rider.code(), desk.door))
    desk.acceptor.tick(0)
    desk.acceptor.tick(is_over * (Limits().unratified_s * 1_000 + 1))
    with pytest.raises(errors.NothingToAnnul):
        desk.acceptor.annul(1)
    assert desk.kinds() == [VoucherKind.BOARDING]


def test_the_code_of_a_boarding_taken_back_opens_no_door(desk: Desk) -> None:
    rider = issue(9)
    rider.next()
    outcome = desk.acceptor.accept(rider.code(), desk.door)
    desk.acceptor.shown(outcome)
    desk.acceptor.annul(1)
    assert isinstance(desk.acceptor.accept(rider.code(), desk.door).refusal, errors.CodeCancelled)
    rider.next()
    assert desk.acceptor.accept(rider.code(), desk.door).light is GREEN

"""Open payment requests: put again as they were, matched once, forgotten oldest first, and true after a disk error."""

from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest

from offline_ledger.errors import (
    AllowanceMismatch,
    CodeCancelled,
    JournalDamaged,
    Refusal,
    RequestExpired,
    RequestMismatch,
    StorageFailed,
    StorageFull,
)
from offline_ledger.protocol import cbor
from offline_ledger.protocol.device import ClockTrust, EventKind, PlaceKey, VoucherKind
from offline_ledger.protocol.wallet import Allowance
from offline_ledger.rules.clock import TimeNow
from offline_ledger.rules.limits import Limits
from offline_ledger.terminal import journal_requests, payment_requests
from offline_ledger.terminal.annulled import ANNULLED_META, AnnulledVouchers
from offline_ledger.terminal.journal import Journal
from offline_ledger.terminal.outcome import Charge, Light
from offline_ledger.terminal.payment_requests import PaymentRequests, Requester
from simulators.storage.disk import DiskFaults, simulated_disk
from tests.terminal.desk import (
    CITY,
    DEVICE_TEST_ONLY,
    NOW_S,
    REPEAT_S,
    DeskConditions,
    FlatBus,
    acceptor_on,
    issue,
)
from tests.terminal.desk_card import DeskCard, tap

LIFE_S = Limits().request_life_s
PLACE: dict[int, object] = {int(PlaceKey.ROUTE): "10", int(PlaceKey.TRIP): "T1"}
RIDE = Charge(5_000, 100, VoucherKind.BOARDING, "flat", (1, 1), PLACE, None)
ALLOWANCE = Allowance(CITY, b"pass-one", DEVICE_TEST_ONLY.point, 50_000, 9, 9, 0, 0, 0, 0)
OTHER = ALLOWANCE._replace(pass_id=b"pass-two")


def at(seconds: int = 0) -> TimeNow:
    return TimeNow(NOW_S + seconds, ClockTrust.SYNCED, 0)


class Terminal:
    """One journal on a disk that the test can spoil, and what is open there."""

    def __init__(self, folder: Path, vfs: str, faults: DiskFaults) -> None:
        self._path, self._vfs, self.faults = folder / "journal.db", vfs, faults
        self._random = Random(7)
        self.start()

    def start(self) -> None:
        self.journal = Journal.open(self._path, device_id="bus-1", vfs=self._vfs)
        self.requests = self.read()

    def read(self) -> PaymentRequests:
        """As a start does."""
        who = Requester(CITY, "bus-1", "city-bus", DEVICE_TEST_ONLY.key_id, DEVICE_TEST_ONLY)
        return PaymentRequests(self.journal, who, Limits(), self._random.randbytes)

    def restart(self) -> None:
        self.journal.close()
        self.start()

    def ask(self, charge: Charge = RIDE, seconds: int = 0, allowance: Allowance = ALLOWANCE) -> bytes:
        """Its hash."""
        return self.requests.ask(allowance.pass_id, charge, at(seconds)).signed.identity

    def events(self) -> int:
        self.journal.flush()
        return sum(event.kind == EventKind.REQUEST for event in self.journal.events_after(0, 1_000))


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    faults = DiskFaults()
    with simulated_disk(f"requests-{tmp_path.name}", faults) as disk:
        made = Terminal(tmp_path, disk.name, faults)
        yield made
        faults.is_full, faults.writes_fail, faults.sync_fails_at = False, False, None
        made.journal.close()


# --- put again, or anew


@pytest.mark.parametrize("is_restarted", [False, True])
@pytest.mark.parametrize("seconds", [0, LIFE_S, -1, -86_400], ids=["at once", "last second", "back", "a day back"])
def test_the_same_charge_is_asked_with_the_same_bytes(terminal: Terminal, seconds: int, is_restarted: bool) -> None:
    first = terminal.requests.ask(ALLOWANCE.pass_id, RIDE, at())
    if is_restarted:
        terminal.restart()
    again = terminal.requests.ask(ALLOWANCE.pass_id, RIDE, at(seconds))
    assert again.signed.raw == first.signed.raw and terminal.events() == 1
    assert (again.charge, again.at) == (RIDE, at(seconds)), "it is for the moment when it is put"


@pytest.mark.parametrize("is_restarted", [False, True])
@pytest.mark.parametrize(
    ("charge", "allowance", "seconds"),
    [
        (RIDE, OTHER, 0),
        (RIDE._replace(kgo=4_999), ALLOWANCE, 0),
        (RIDE._replace(satang=0), ALLOWANCE, 0),
        (RIDE._replace(product="senior"), ALLOWANCE, 0),
        (RIDE._replace(place={**PLACE, int(PlaceKey.TRIP): "T2"}), ALLOWANCE, 0),
        (RIDE._replace(place={int(PlaceKey.SALE): "7"}), ALLOWANCE, 0),
        (RIDE, ALLOWANCE, LIFE_S + 1),
    ],
    ids=["pass", "amount", "coin", "product", "trip", "sale", "too late"],
)
def test_anything_else_is_asked_anew(
    terminal: Terminal, charge: Charge, allowance: Allowance, seconds: int, is_restarted: bool
) -> None:
    first = terminal.ask()
    if is_restarted:
        terminal.restart()
    assert terminal.ask(charge, seconds, allowance) != first
    assert terminal.events() == 2


def test_one_that_was_answered_is_never_put_again(terminal: Terminal) -> None:
    first = terminal.ask()
    terminal.requests.closed(first)
    assert terminal.requests.find(first) is None
    assert terminal.ask() != first


# --- matched with what answers


def test_it_counts_to_its_last_second_and_for_its_own_pass(terminal: Terminal) -> None:
    asked = terminal.requests.find(terminal.ask())
    assert asked is not None
    for seconds in (-86_400, 0, LIFE_S):
        assert terminal.requests.check(asked, ALLOWANCE, at(seconds)) is asked
    with pytest.raises(RequestExpired):
        terminal.requests.check(asked, ALLOWANCE, at(LIFE_S + 1))
    with pytest.raises(AllowanceMismatch):
        terminal.requests.check(asked, OTHER, at())
    with pytest.raises(RequestMismatch):
        terminal.requests.check(terminal.requests.find(bytes(32)), ALLOWANCE, at())


@pytest.mark.parametrize("change", [{"kgo": 5_001}, {"kgo": 4_999}, {"satang": 101}, {"satang": 0}])
def test_after_a_restart_the_charge_must_be_what_was_asked(terminal: Terminal, change: dict[str, int]) -> None:
    asked = terminal.requests.ask(ALLOWANCE.pass_id, RIDE, at())
    terminal.requests.check_charge(asked, RIDE)
    with pytest.raises(RequestMismatch):
        terminal.requests.check_charge(asked, RIDE._replace(**change))  # type: ignore[arg-type]


# --- forgotten


@pytest.mark.parametrize("is_restarted", [False, True])
def test_of_too_many_the_oldest_goes_also_when_the_order_is_read_from_the_disk(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, is_restarted: bool
) -> None:
    monkeypatch.setattr(payment_requests, "OPEN_MAX", 8)
    made = [terminal.ask(RIDE._replace(kgo=number), number) for number in range(8)]
    if is_restarted:
        terminal.restart()
    made += [terminal.ask(RIDE._replace(kgo=number), number) for number in range(8, 12)]
    assert [terminal.requests.find(one) is not None for one in made] == [False] * 4 + [True] * 8
    assert set(terminal.journal.open_requests()) == set(made[4:]), "on the disk too"


def test_those_past_their_end_go_with_the_next(terminal: Terminal) -> None:
    first, second = terminal.ask(), terminal.ask(RIDE._replace(kgo=1), 10)
    third = terminal.ask(RIDE._replace(kgo=2), LIFE_S + 1)
    assert terminal.requests.find(first) is None and terminal.requests.find(second) is not None
    assert set(terminal.journal.open_requests()) == {second, third}


# --- the disk


def test_one_that_is_not_durable_is_not_open(terminal: Terminal) -> None:
    terminal.faults.is_full = True
    with pytest.raises(StorageFull):
        for number in range(2_000):
            terminal.ask(RIDE._replace(kgo=number))
    open_before = set(terminal.journal.open_requests())
    with pytest.raises(StorageFull):
        terminal.ask(RIDE._replace(kgo=9_999))
    assert set(terminal.journal.open_requests()) == open_before
    terminal.faults.is_full = False
    made = terminal.ask(RIDE._replace(kgo=9_999))
    assert terminal.requests.find(made) is not None and made in terminal.journal.open_requests()


@pytest.mark.parametrize("is_kept", [True, False], ids=["a sync fails", "a write fails"])
def test_after_a_disk_error_open_is_what_the_journal_has(terminal: Terminal, is_kept: bool) -> None:
    before = terminal.ask()
    terminal.faults.sync_fails_at = 1 if is_kept else None
    terminal.faults.writes_fail = not is_kept
    with pytest.raises(StorageFailed):
        terminal.ask(RIDE._replace(kgo=1))
    terminal.faults.writes_fail = False
    terminal.journal.reopen_and_verify()
    kept = set(terminal.journal.open_requests())
    assert before in kept and len(kept) == 1 + is_kept
    assert all(terminal.requests.find(one) is not None for one in kept)
    found = terminal.requests.find(before)
    assert found is not None and found.charge == RIDE, "what was known of it still is"
    assert (terminal.ask(RIDE._replace(kgo=1)) in kept) is is_kept


def other_bytes(raw: bytes) -> bytes:
    return cbor.encode([raw[:-1], b"occasion"])


@pytest.mark.parametrize(
    "spoil",
    [
        lambda _raw: b"",
        lambda _raw: b"\xff",
        lambda _raw: cbor.encode([1, 2]),
        lambda _raw: cbor.encode({}),
        lambda raw: cbor.encode([raw]),
        lambda raw: cbor.encode([raw, b"occasion"]) + b"\0",
        lambda raw: cbor.encode([raw, "occasion"]),
        lambda _raw: cbor.encode([b"none", b"occasion"]),
        lambda raw: bytes(4_096) + raw,
        other_bytes,
    ],
)
def test_what_is_kept_and_is_none_is_a_damaged_journal(terminal: Terminal, spoil: Callable[[bytes], bytes]) -> None:
    asked = terminal.requests.ask(ALLOWANCE.pass_id, RIDE, at())
    terminal.journal.meta_put(journal_requests.PREFIX + asked.signed.identity.hex(), spoil(asked.signed.raw))
    with pytest.raises(JournalDamaged):
        terminal.read()


@pytest.mark.parametrize("name", ["00" * 32, "no hash"])
def test_a_request_under_another_name_is_a_damaged_journal(terminal: Terminal, name: str) -> None:
    asked = terminal.requests.ask(ALLOWANCE.pass_id, RIDE, at())
    kept = terminal.journal.open_requests()[asked.signed.identity]
    terminal.journal.meta_put(journal_requests.PREFIX + name, kept)
    with pytest.raises(JournalDamaged):
        terminal.read()


def test_keys_beside_them_are_left_alone(terminal: Terminal) -> None:
    first = terminal.ask()
    for key in ("request", "request/", "requests.x", "Request.x", "requesU"):
        terminal.journal.meta_put(key, b"another's")
    assert set(terminal.journal.open_requests()) == {first}


# --- with the acceptor


class Ride:
    """A validator on that disk, and one card."""

    def __init__(self, terminal: Terminal, card: DeskCard | None = None) -> None:
        self.terminal, self.conditions = terminal, DeskConditions()
        self.acceptor = acceptor_on(terminal.journal, self.conditions)
        self.door, self.card = FlatBus(), card or DeskCard(issue(7))

    def later(self, seconds: int) -> None:
        self.conditions.now = at(seconds)

    def boarded(self) -> int:
        rows = self.terminal.journal.pending(100)
        return sum(row.kind == VoucherKind.BOARDING for row in rows)


def test_one_card_at_two_readers_is_asked_once_and_pays_once(terminal: Terminal) -> None:
    ride = Ride(terminal)
    offer = ride.card.offer
    first = ride.acceptor.ask(offer, ride.door).request
    second = ride.acceptor.ask(offer, ride.door).request
    assert first is not None and first == second
    payment = ride.card.pay(first)
    assert ride.acceptor.answer(offer, payment, ride.door).light is Light.ACCEPTED_CASH_DUE
    again = ride.acceptor.answer(offer, payment, ride.door)
    assert again.sequence == 1 and again.voucher is None, "the same payment makes no second voucher"
    assert ride.boarded() == 1


def test_a_payment_that_a_failed_sync_had_kept_is_owed_its_green_and_bars_no_next_ride(terminal: Terminal) -> None:
    ride = Ride(terminal)
    request = ride.acceptor.ask(ride.card.offer, ride.door).request
    assert request is not None
    payment = ride.card.pay(request)
    terminal.faults.sync_fails_at = 1
    assert ride.acceptor.answer(ride.card.offer, payment, ride.door).light is Light.OUT_OF_SERVICE
    assert terminal.journal.reopen_and_verify().sequence == 1, "it was written after all"
    back = tap(ride.acceptor, ride.card, ride.door)
    assert (back.light, back.is_uncharged_green) == (Light.ACCEPTED_CASH_DUE, True)
    ride.later(REPEAT_S)
    assert tap(ride.acceptor, ride.card, ride.door).light is Light.ALREADY_ACCEPTED
    ride.later(REPEAT_S + 1)
    next_ride = tap(ride.acceptor, ride.card, ride.door)
    assert (next_ride.light, next_ride.is_uncharged_green) == (Light.ACCEPTED_CASH_DUE, False)
    assert ride.boarded() == 2 and len(ride.card.paid) == 2


@pytest.mark.parametrize("failing_sync", [2, 3], ids=["as it is taken back", "as that is noted"])
def test_an_uncharged_green_stands_whatever_the_disk_says_to_its_payment(terminal: Terminal, failing_sync: int) -> None:
    ride = Ride(terminal)
    ride.card.held.next()
    assert ride.acceptor.accept(ride.card.held.code(), ride.door).light is Light.ACCEPTED_CASH_DUE
    terminal.restart()
    ride = Ride(terminal, ride.card)
    request = ride.acceptor.ask(ride.card.offer, ride.door).request
    assert request is not None
    payment = ride.card.pay(request)
    terminal.faults.sync_fails_at = failing_sync  # the first is the green's
    back = ride.acceptor.answer(ride.card.offer, payment, ride.door)
    assert (back.light, back.is_uncharged_green) == (Light.ACCEPTED_CASH_DUE, True)
    terminal.journal.reopen_and_verify()
    ride.door = FlatBus(trip="T2")
    lights = [tap(ride.acceptor, ride.card, ride.door).light for _ in range(2)]
    assert Light.ACCEPTED_CASH_DUE in lights and ride.boarded() == 2 and not terminal.journal.open_requests()


def test_an_annulment_that_a_failed_sync_had_kept_counts(terminal: Terminal) -> None:
    ride = Ride(terminal)
    held = issue(9)
    held.next()
    ride.acceptor.shown(ride.acceptor.accept(held.code(), ride.door))
    terminal.faults.sync_fails_at = 1
    with pytest.raises(StorageFailed):
        ride.acceptor.annul(1)
    assert terminal.journal.reopen_and_verify().sequence == 2, "it was written after all"
    refused = ride.acceptor.accept(held.code(), ride.door)
    assert isinstance(refused.refusal, CodeCancelled), "what was given back opens no door"
    with pytest.raises(Refusal) as said:
        ride.acceptor.annul(1)
    assert said.value.key == "nothing_to_annul"


def test_an_annulment_that_is_durable_is_told_as_done_whatever_the_disk_says_next(terminal: Terminal) -> None:
    ride = Ride(terminal)
    held = issue(9)
    held.next()
    ride.acceptor.shown(ride.acceptor.accept(held.code(), ride.door))
    terminal.faults.sync_fails_at = 2  # the voucher's is the first
    signed = ride.acceptor.annul(1)
    row = terminal.journal.voucher_at(2)
    assert row is not None and row.voucher == signed.raw and row.kind == VoucherKind.ANNUL
    assert isinstance(terminal.journal.failure, StorageFailed), "the next tick opens it again"


@pytest.mark.parametrize("kept", [b"", b"\xff", cbor.encode({}), cbor.encode(["1"]), cbor.encode([True]), bytes(2_000)])
def test_annulled_boardings_that_are_none_are_a_damaged_journal(terminal: Terminal, kept: bytes) -> None:
    terminal.journal.meta_put(ANNULLED_META, kept)
    with pytest.raises(JournalDamaged):
        AnnulledVouchers(terminal.journal)

"""The waybill: from rows alone, by driver; equal after every cut; as lines, CSV and JSON. DESIGN §5."""

import csv
import io
import json
import random
import shutil
from pathlib import Path

import pytest

from bus_validator import waybill_rows
from bus_validator.trip import Moment, Run, ShiftState, end_trip, sign_on, start_trip
from bus_validator.waybill import Sums, TripEvent, TripVoucher, Waybill, waybill_of
from bus_validator.waybill_rows import read_waybill
from bus_validator.waybill_text import CSV_HEADING, as_csv, as_json, clock_text, report_lines
from offline_ledger.protocol import cbor, cose
from offline_ledger.protocol.device import VOUCHER, ClockTrust, EventKind, PlaceKey, Voucher, VoucherKind
from offline_ledger.protocol.kinds import Kind
from offline_ledger.protocol.shift_event import encode_shift_event
from offline_ledger.protocol.wallet import ALLOWANCE, Allowance
from offline_ledger.rules.clock import TimeNow
from offline_ledger.terminal.journal import Journal
from offline_ledger.terminal.journal_rows import NO_IDENTITY, PassState, VoucherRow
from offline_ledger.texts import LANGUAGES, Texts
from simulators.keys import SimulatedKey
from tests.bus_validator.crewed import typed_run

CITY, DEVICE = "TH-40", "bus-1"
KEY_TEST_ONLY = SimulatedKey(0xDE7)
NOW_S = 1_795_000_000
TRIP = "0.20261121.0730"
FARE_KGO, FARE_SATANG = 5_000, 100


def voucher(
    sequence: int,
    kind: VoucherKind = VoucherKind.BOARDING,
    *,
    trip: str = TRIP,
    kgo: int = FARE_KGO,
    satang: int = FARE_SATANG,
    product: str = "flat",
    refers_to: int | None = None,
    verified: int = 0,
) -> Voucher:
    place: dict[int, object] = {int(PlaceKey.ROUTE): "8", int(PlaceKey.TRIP): trip}
    if verified:
        place[int(PlaceKey.VERIFIED_SATANG)] = verified
    return Voucher(
        DEVICE, sequence, NO_IDENTITY, NOW_S + sequence * 10, ClockTrust.SYNCED, kind, kgo, satang, None, product,
        (1, 1), place, None, refers_to,
    )  # fmt: skip


def row(
    one: Voucher, concession: int = 0, *, is_open: bool = False, is_sent: bool = True, is_uncharged: bool = False
) -> TripVoucher:
    return TripVoucher(one, concession, is_open, is_sent, is_uncharged)


def shift(
    state: ShiftState, what: str, sequence: int, driver: str = "D-01", event: int = 0, trip: str = TRIP
) -> tuple[ShiftState, TripEvent]:
    moment = Moment(TimeNow(NOW_S + sequence * 10, ClockTrust.SYNCED, 0), sequence, event)
    match what:
        case "on":
            changed = sign_on(state, driver, moment)
        case "start":
            changed = start_trip(state, typed_run("8", trip, "AIR"), moment)
        case _:
            changed = end_trip(state, moment)
    assert changed.event is not None
    return changed.state, TripEvent(EventKind.SHIFT, encode_shift_event(changed.event))


def refusal(number: int = 1301) -> TripEvent:
    return TripEvent(EventKind.REFUSAL, cbor.encode([number, NOW_S, bytes(8)]))


def run_and_events() -> tuple[Run, list[TripEvent]]:
    """D-01 takes vouchers 11 to 13, D-02 14 to 17; the trip ends after 17."""
    state, signed = shift(ShiftState(), "on", 10)
    state, started = shift(state, "start", 10)
    run = state.run
    assert run is not None and run.first_sequence == 11
    state, changed = shift(state, "on", 13, "D-02")
    state, ended = shift(state, "end", 17)
    events = [
        signed,
        refusal(),  # before the trip: of nobody's here
        started,
        refusal(),
        refusal(1401),
        changed,
        refusal(),
        TripEvent(EventKind.UNCHARGED_GREEN, cbor.encode([12, NOW_S, 5, b"shown"])),
        ended,
        refusal(),
    ]
    return run, events


ROWS = [
    row(voucher(10)),  # before the trip, though of its name
    row(voucher(11)),
    row(voucher(12, product="flat+transfer", kgo=0, satang=0), 1),
    row(voucher(13, kgo=2_500, satang=0), 2),
    row(voucher(14, verified=100)),
    row(voucher(15, VoucherKind.COUPON, product="paper"), -1, is_sent=False),
    row(voucher(16), is_uncharged=True),
    row(voucher(17, VoucherKind.ANNUL, refers_to=15), is_sent=False),
    row(voucher(18)),  # after its end
]


def test_a_trip_of_two_drivers() -> None:
    run, events = run_and_events()
    found = waybill_of(run, ROWS, events)
    first, second = found.parts
    assert first.driver == "D-01" and first.sums == Sums(3, 7_500, 100)
    assert (first.refusals, first.repeats, first.uncharged_greens) == (1, 1, 0)
    assert second.driver == "D-02" and second.sums == Sums(2, 10_000, 100, 1, 5_000, 100)
    assert (second.refusals, second.repeats, second.uncharged_greens) == (1, 0, 1)
    assert (found.sums.net_boardings, found.sums.net_kgo, found.sums.coins_due_satang) == (4, 12_500, 100)
    assert (found.not_charged, found.open, found.unsent, found.missing) == (1, 0, 2, 0)
    assert (found.first_at_s, found.last_at_s, found.ended_at_s) == (NOW_S + 110, NOW_S + 150, NOW_S + 170)
    assert [tuple(line) for line in found.lines] == [
        ("flat", 0, 2, 10_000, 100), ("flat", 2, 1, 2_500, 0), ("flat+transfer", 1, 1, 0, 0)
    ]  # fmt: skip


def test_lines_and_parts_add_up_to_the_sums() -> None:
    run, events = run_and_events()
    found = waybill_of(run, ROWS, events)
    assert sum(line.boardings for line in found.lines) == found.sums.net_boardings
    assert sum(line.kgo for line in found.lines) == found.sums.net_kgo
    assert sum(line.satang for line in found.lines) == found.sums.coins_due_satang


def test_before_the_end_what_waits_is_open() -> None:
    run, events = run_and_events()
    found = waybill_of(run, [*ROWS[:6], row(voucher(16), is_open=True)], events[:8])
    assert (found.open, found.not_charged, found.ended_at_s) == (1, 0, None) and found.sums.boardings == 6
    found = waybill_of(run, [], events[:3])
    assert found.sums == Sums() and found.first_at_s is None and found.parts[0].driver == "D-01"


def test_a_driver_who_comes_back_is_one_part() -> None:
    run, events = run_and_events()
    state = ShiftState(driver="D-02", phase=type(ShiftState().phase).RUNNING, shift=2, run=run)
    _, back = shift(state, "on", 15, "D-01")
    found = waybill_of(run, ROWS, [*events[:8], back, *events[8:]])
    assert [(part.driver, part.sums.boardings) for part in found.parts] == [("D-01", 3), ("D-02", 2)]
    assert found.parts[0].sums.annulled == 1, "counted for who annulled it"


def test_junk_among_the_events_changes_nothing() -> None:
    run, events = run_and_events()
    junk = [TripEvent(kind, body) for kind in (1, 2, 5, 6, 9, 99) for body in (b"", b"\x80", b"\x83\x01\x02\x03")]
    mixed = [event for one in events for event in (one, *junk)]
    found, plain = waybill_of(run, ROWS, mixed), waybill_of(run, ROWS, events)
    assert (found.sums, found.lines, found.not_charged) == (plain.sums, plain.lines, plain.not_charged)


# --- from a real journal, cut anywhere


class Bus:
    """A journal with a trip in it, written as the programs write."""

    def __init__(self, path: Path) -> None:
        self.journal = Journal.open(str(path), device_id=DEVICE)
        self.state = ShiftState()
        self.taken: list[Voucher] = []
        self.lapsed: set[int] = set()

    def shift(self, what: str, driver: str = "D-01", trip: str = TRIP) -> None:
        tail = self.journal.tail
        self.state, event = shift(self.state, what, tail.sequence, driver, tail.event_number, trip)
        self.journal.append_event(event.kind, event.body, durable=True)

    def take(self, kind: VoucherKind, concession: int, refers_to: int | None = None, trip: str = TRIP) -> None:
        tail = self.journal.tail
        one = voucher(tail.sequence + 1, kind, refers_to=refers_to, trip=trip)._replace(previous=tail.identity)
        pass_id = bytes([concession]) * 8
        allowance = Allowance(CITY, pass_id, KEY_TEST_ONLY.point, 9, 9, 9, concession, 0, 0, NOW_S)
        raw = self._signed(Kind.ALLOWANCE, ALLOWANCE.encode(allowance))
        signed = self._signed(Kind.VOUCHER, VOUCHER.encode(one))
        state = PassState(pass_id, 1, 0, 0, 0, one.sequence, NO_IDENTITY, one.at_s, NOW_S)
        made = VoucherRow(
            one.sequence, one.previous, signed.identity, signed.raw, None, raw.identity, pass_id, one.kgo, one.satang,
            one.at_s, int(kind),
        )  # fmt: skip
        self.journal.append(made, state=state, allowance=raw.raw)
        self.taken.append(one)

    def _signed(self, kind: Kind, payload: bytes) -> cose.Signed:
        return cose.sign1(payload, cose.external_aad(kind, CITY), KEY_TEST_ONLY.key_id, KEY_TEST_ONLY.sign)

    def waybill(self) -> Waybill:
        assert self.state.run is not None
        self.journal.flush()
        return read_waybill(self.journal, CITY, self.state.run)


def test_the_waybill_is_the_journals_after_a_cut_anywhere(tmp_path: Path, rng: random.Random) -> None:
    """The files as they lie when the power goes, opened by a new program: the same waybill, to the last field."""
    home = tmp_path / "live"
    home.mkdir()
    bus = Bus(home / "journal.db")
    bus.shift("on")
    bus.take(VoucherKind.BOARDING, 0)  # before the trip
    bus.shift("start")
    run = bus.state.run
    assert run is not None
    for step in range(24):
        match rng.choice(["board", "board", "annul", "refuse", "driver", "lapse"]):
            case "annul" if len(bus.taken) > 1 and bus.taken[-1].kind == VoucherKind.BOARDING:
                bus.take(VoucherKind.ANNUL, bus.taken[-1].sequence % 4, bus.taken[-1].sequence)
            case "refuse":
                bus.journal.append_event(EventKind.REFUSAL, refusal().body, durable=False)
            case "driver":
                bus.shift("on", "D-02" if bus.state.driver == "D-01" else "D-01")
            case "lapse" if len(bus.taken) > 1 and bus.taken[-1].kind == VoucherKind.BOARDING:
                sequence = bus.taken[-1].sequence
                body = cbor.encode([sequence, NOW_S, False])
                bus.journal.settle_unratified(sequence, EventKind.LAPSED, body, is_charged=False)
                bus.lapsed.add(sequence)
            case _:
                bus.take(VoucherKind.BOARDING, (bus.journal.tail.sequence + 1) % 4)
                if rng.random() < 0.7:
                    bus.journal.ratify(bus.journal.tail.sequence)
        before = bus.waybill()
        cut = shutil.copytree(home, tmp_path / f"cut-{step}")
        with Journal.open(str(cut / "journal.db"), device_id=DEVICE) as journal:
            assert read_waybill(journal, CITY, run) == before
        shutil.rmtree(cut)
    found = bus.waybill()
    assert run.first_event == 2 and found.parts[0].driver == "D-01", "from the event that began the trip"
    of_trip = [one for one in bus.taken if one.sequence >= run.first_sequence]
    boarded = [one for one in of_trip if one.kind == VoucherKind.BOARDING and one.sequence not in bus.lapsed]
    back = [one for one in of_trip if one.kind == VoucherKind.ANNUL and one.refers_to not in bus.lapsed]
    back = [one for one in back if one.refers_to and one.refers_to >= run.first_sequence]
    assert found.sums.net_boardings == len(boarded) - len(back) and found.missing == 0
    assert found.sums.coins_due_satang == sum(one.satang for one in boarded) - sum(one.satang for one in back)
    assert {line.concession for line in found.lines} <= {0, 1, 2, 3} and found.unsent == len(of_trip)
    bus.journal.close()


def test_what_came_after_an_ended_trip_is_neither_read_nor_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But for the end of a wait: a boarding of the trip may lapse long after it."""
    bus = Bus(tmp_path / "journal.db")
    for what in ("on", "start"):
        bus.shift(what)
    run = bus.state.run
    assert run is not None
    for _ in range(3):
        bus.take(VoucherKind.BOARDING, 0)
    bus.shift("end")
    monkeypatch.setattr(waybill_rows, "VOUCHERS_MAX", 4)
    monkeypatch.setattr(waybill_rows, "EVENTS_PAGE", 2)
    ended = read_waybill(bus.journal, CITY, run)
    assert (ended.sums.boardings, ended.open, ended.missing) == (3, 3, 0) and ended.ended_at_s is not None
    for _ in range(4):
        bus.take(VoucherKind.BOARDING, 0)
    bus.journal.settle_unratified(2, EventKind.LAPSED, cbor.encode([2, NOW_S, False]), is_charged=False)
    later = read_waybill(bus.journal, CITY, run)
    assert (later.sums.boardings, later.not_charged, later.open, later.missing) == (2, 1, 2, 0)
    monkeypatch.setattr(waybill_rows, "VOUCHERS_MAX", 2)
    assert read_waybill(bus.journal, CITY, run).missing == 1
    bus.journal.close()


def test_rows_that_are_gone_are_counted() -> None:
    run, events = run_and_events()
    assert waybill_of(run, ROWS[3:], events, missing=2).missing == 2


# --- for people and programs


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_lines_begin_with_the_coins(language: str) -> None:
    run, events = run_and_events()
    lines = report_lines(waybill_of(run, ROWS, events, missing=1), Texts(language).get)
    assert "1.00" in lines[0] and "125.00" in lines[1] and len(lines) == 4 + 1 + 3 + 2 + 6
    assert any("D-02" in line for line in lines) and not any("{" in line for line in lines)
    plain = report_lines(waybill_of(run, ROWS[:4], events[:4]), Texts(language).get)
    assert not any("D-01" in line for line in plain), "one driver needs no parts"


def test_a_coupon_is_called_one() -> None:
    """It has no fare class, and its product may be that of the tickets beside it."""
    run, events = run_and_events()
    rows = [row(voucher(11), -1), row(voucher(12, VoucherKind.COUPON), -1), row(voucher(13, VoucherKind.COUPON), -1)]
    found = waybill_of(run, rows, events[:4])
    told = [line for line in report_lines(found, Texts("en").get) if line.startswith("flat, ")]
    assert told == ["flat, coupon: 2, 100.00 KGO", "flat, no fare class: 1, 50.00 KGO"]
    assert any("คูปอง" in line for line in report_lines(found, Texts("th").get))
    assert [line["concession"] for line in json.loads(as_json([found]))[0]["lines"]] == [None, None]
    assert [one["concession"] for one in csv.DictReader(io.StringIO(as_csv([found]))) if one["product"]] == ["", ""]


def test_csv_and_json_say_the_same() -> None:
    run, events = run_and_events()
    found = waybill_of(run, ROWS, events)
    rows = list(csv.DictReader(io.StringIO(as_csv([found]))))
    assert tuple(rows[0]) == CSV_HEADING and all(None not in one and None not in one.values() for one in rows)
    (said,) = json.loads(as_json([found]))
    drivers = [one for one in rows if one["driver"]]
    assert [(one["driver"], one["boardings"], one["thb_due"]) for one in drivers] == [
        (one["driver"], str(one["boardings"]), one["thb_due"]) for one in said["drivers"]
    ]
    assert [one["kgo"] for one in rows if one["product"]] == [one["kgo"] for one in said["lines"]]
    assert (said["boardings"], said["kgo"], said["thb_due"], said["trip"]) == (4, "125.00", "1.00", TRIP)
    assert said["drivers"][1]["annulled"] == 1 and said["lines"][0]["concession"] == 0


@pytest.mark.parametrize(("at_s", "shown"), [(None, "--:--"), (0, "07:00"), (NOW_S, "18:06"), (61_200, "00:00")])
def test_the_clock_is_bangkoks(at_s: int | None, shown: str) -> None:
    assert clock_text(at_s) == shown

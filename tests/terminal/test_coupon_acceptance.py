"""A paper coupon at the acceptor: one ride, one green, whatever the power does; a refusal is never green. DESIGN §5."""

from pathlib import Path

import pytest

from offline_ledger import errors
from offline_ledger.errors import Refusal
from offline_ledger.protocol import cose, device
from offline_ledger.protocol.device import EventKind, VoucherKind
from offline_ledger.protocol.kinds import OBJECT_BYTES_MAX, Kind
from offline_ledger.protocol.wallet import Coupon
from offline_ledger.terminal.journal_objects import split_objects
from offline_ledger.terminal.outcome import Light
from tests.terminal.desk import AAD, FlatBus
from tests.terminal.test_acceptor import Desk
from tests.terminal.test_coupon_reading import NOW_S, PAPER, code, signed

GREEN = Light.ACCEPTED_CASH_DUE


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    folder = tmp_path / "bus"
    folder.mkdir()
    return Desk(folder)


def test_a_coupon_is_one_ride_and_its_coin_is_due(desk: Desk) -> None:
    outcome = desk.tap(code())
    assert (outcome.light, outcome.sequence) == (GREEN, 1)
    row = desk.journal.voucher_at(1)
    assert row is not None and split_objects(row.wallet_object) == (signed().raw,)
    voucher = device.VOUCHER.decode(cose.parse_sign1(row.voucher, AAD[Kind.VOUCHER]).payload, OBJECT_BYTES_MAX)
    assert (voucher.kind, voucher.kgo, voucher.satang) == (VoucherKind.COUPON, 5_000, 100)
    assert voucher.object_hash == signed().identity
    assert desk.tap(code()).light is Light.ALREADY_ACCEPTED
    assert desk.journal.tail.sequence == 1


def test_a_used_coupon_stays_used_over_a_restart(desk: Desk) -> None:
    desk.tap(code())
    desk.journal.flush()
    desk.crash()
    assert desk.tap(code()).light is Light.ALREADY_ACCEPTED


def test_a_power_cut_before_its_green_gives_one_uncharged_green(desk: Desk) -> None:
    assert desk.tap(code(), is_shown=False).light is GREEN
    desk.crash()
    again = desk.tap(code())
    assert again.light is GREEN and again.is_uncharged_green and again.sequence == 1
    assert desk.events(EventKind.UNCHARGED_GREEN) == [[1, NOW_S, 0, signed().raw]]
    assert desk.tap(code()).light is Light.ALREADY_ACCEPTED
    assert desk.journal.tail.sequence == 1


WRONG: dict[str, tuple[Coupon, type[Refusal]]] = {
    "another vehicle's": (PAPER._replace(device="bus-2"), errors.CouponOfOtherTerminal),
    "another trip's": (PAPER._replace(trip="T2"), errors.CouponOfOtherTrip),
    "yesterday's": (PAPER._replace(expires_at_s=NOW_S - 86_400), errors.CouponExpired),
    "another city's": (PAPER._replace(city="TH-10"), errors.UnknownCity),
}


@pytest.mark.parametrize("which", WRONG)
def test_a_coupon_that_is_not_good_here_is_refused(desk: Desk, which: str) -> None:
    coupon, refusal = WRONG[which]
    outcome = desk.tap(code(coupon))
    assert outcome.light is Light.REFUSED and isinstance(outcome.refusal, refusal)
    assert desk.journal.tail.sequence == 0 and desk.journal.coupon_used(coupon.coupon_id) is None


def test_a_cancelled_coupon_and_a_full_terminal_refuse(desk: Desk) -> None:
    desk.conditions.denied.add(PAPER.coupon_id)
    assert isinstance(desk.tap(code()).refusal, errors.CouponCancelled)
    desk.conditions.denied.clear()
    desk.conditions.cap_refusal = errors.TerminalValueUsedUp("full")
    full = desk.tap(code())
    assert isinstance(full.refusal, errors.TerminalValueUsedUp)
    assert full.light is Light.REFUSED, "holding it again helps nobody"
    desk.conditions.cap_refusal = None
    desk.conditions.standing_refusal = errors.DeviceBlocked("held from 3")
    assert desk.tap(code()).light is Light.OUT_OF_SERVICE
    assert desk.journal.coupon_used(PAPER.coupon_id) is None


def test_a_coupon_for_any_trip_of_its_bus_is_good_on_each(desk: Desk) -> None:
    desk.door = FlatBus(trip="T9")
    assert desk.tap(code(PAPER._replace(trip=None))).light is GREEN

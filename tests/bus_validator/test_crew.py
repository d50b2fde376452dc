"""PIN and driver card: who gets in, how the waits grow, and that no plug or clock shortens them. DESIGN §5."""

import pytest

from bus_validator.annul import Annulment, check_annul, elapsed_s
from bus_validator.crew import (
    FAILURES_MAX,
    WAITS_S,
    PinTries,
    decode_tries,
    driver_of_card,
    encode_tries,
    try_pin,
    wait_after,
)
from offline_ledger.errors import (
    AnnulTooLate,
    CrewFileWrong,
    DriverCardUnknown,
    DriverPinWait,
    DriverPinWrong,
    JournalDamaged,
    NothingToAnnul,
    Refusal,
)
from offline_ledger.protocol import cbor
from offline_ledger.protocol.device import ClockTrust, PlaceKey, Voucher, VoucherKind
from offline_ledger.rules.clock import TimeNow
from offline_ledger.rules.limits import Limits, check_limits
from tests.protocol.test_crew_file import CREW, MALI, SOMCHAI

NOW_S = 1_795_000_000


@pytest.mark.parametrize(
    ("driver_id", "pin", "refusal"),
    [
        ("D-01", "274905", None),
        ("D-02", "618340", None),
        ("D-02", "274905", DriverPinWrong),
        ("D-09", "274905", DriverPinWrong),
        ("", "", DriverPinWrong),
        ("D-01", "2749050", DriverPinWrong),
        ("D-01", "27490x", DriverPinWrong),
    ],
)
def test_who_gets_in(driver_id: str, pin: str, refusal: type[Refusal] | None) -> None:
    found = try_pin(CREW, driver_id, pin, PinTries(2), 0)
    assert (type(found.refusal) if found.refusal else None) is refusal
    assert found.tries.failures == (0 if refusal is None else 3)
    assert (found.driver is None) is (refusal is not None)


def test_waits_grow_and_a_try_during_one_is_not_checked() -> None:
    tries, mono_ms, waits = PinTries(), 0, []
    for _ in range(8):
        found = try_pin(CREW, "D-01", "000000", tries, mono_ms)
        assert isinstance(found.refusal, DriverPinWrong)
        tries = found.tries
        wait_s = tries.wait_s(mono_ms)
        waits.append(wait_s)
        if wait_s:
            early = try_pin(CREW, "D-01", "274905", tries, mono_ms + wait_s * 1000 - 1)
            assert isinstance(early.refusal, DriverPinWait) and early.tries == tries and early.driver is None
        mono_ms += wait_s * 1000
    assert waits == [0, 0, 5, 15, 60, 300, 300, 300]
    assert try_pin(CREW, "D-01", "274905", tries, mono_ms).driver == SOMCHAI


def test_a_restart_begins_the_whole_wait_again() -> None:
    tries = try_pin(CREW, "D-01", "000000", PinTries(4), 0).tries
    kept = encode_tries(tries)
    again = decode_tries(kept, 7_000)
    assert again.failures == 5 and again.wait_s(7_000) == wait_after(5) == 60
    assert isinstance(try_pin(CREW, "D-01", "274905", again, 7_000 + 59_999).refusal, DriverPinWait)
    assert try_pin(CREW, "D-01", "274905", again, 67_000).driver == SOMCHAI
    assert decode_tries(None, 0) == PinTries()


@pytest.mark.parametrize("kept", [b"", b"\x80", cbor.encode(-1), cbor.encode(FAILURES_MAX + 1), cbor.encode("3")])
def test_a_damaged_count_is_damage(kept: bytes) -> None:
    with pytest.raises(JournalDamaged):
        decode_tries(kept, 0)


def test_the_count_is_bounded_and_waits_never_shrink() -> None:
    assert try_pin(CREW, "D-01", "000000", PinTries(FAILURES_MAX), 0).tries.failures == FAILURES_MAX
    assert list(WAITS_S) == sorted(WAITS_S) and wait_after(FAILURES_MAX) == WAITS_S[-1]


def test_a_card_names_its_driver_also_during_a_wait() -> None:
    assert driver_of_card(CREW, b"another1") == MALI
    with pytest.raises(DriverCardUnknown):
        driver_of_card(CREW, b"foreign!")


def test_without_a_crew_file_nobody_is_known() -> None:
    assert isinstance(try_pin(None, "D-01", "274905", PinTries(), 0).refusal, CrewFileWrong)
    with pytest.raises(CrewFileWrong):
        driver_of_card(None, b"another1")


# --- annulling


def boarding(kind: VoucherKind = VoucherKind.BOARDING, trip: str = "T", trust: int = ClockTrust.SYNCED) -> Voucher:
    place = {int(PlaceKey.ROUTE): "8", int(PlaceKey.TRIP): trip}
    return Voucher("bus-1", 9, bytes(32), NOW_S, trust, kind, 5_000, 100, None, "flat", (1, 1), place, None, None)


ANNUL_S = Limits().annul_s


@pytest.mark.parametrize(
    ("last", "elapsed", "settled", "expected"),
    [
        (boarding(), 0, True, None),
        (boarding(), ANNUL_S, True, None),
        (boarding(), ANNUL_S + 1, True, AnnulTooLate),
        (boarding(), None, True, AnnulTooLate),
        (boarding(), 0, False, NothingToAnnul),
        (boarding(trip="U"), 0, True, NothingToAnnul),
        (boarding(VoucherKind.ANNUL), 0, True, NothingToAnnul),
        (boarding(VoucherKind.COUPON), 0, True, NothingToAnnul),
        (None, 0, True, NothingToAnnul),
    ],
)
def test_what_may_be_annulled(
    last: Voucher | None, elapsed: int | None, settled: bool, expected: type[Refusal] | None
) -> None:
    if expected is None:
        assert check_annul(last, "T", elapsed, ANNUL_S, is_settled=settled) == Annulment(9, 5_000, 100)
    else:
        with pytest.raises(expected):
            check_annul(last, "T", elapsed, ANNUL_S, is_settled=settled)


@pytest.mark.parametrize(
    ("trust", "at", "expected"),
    [
        (ClockTrust.SYNCED, TimeNow(NOW_S + 7, ClockTrust.HOLDOVER, 0), 7),
        (ClockTrust.FLOOR, TimeNow(NOW_S + 7, ClockTrust.SYNCED, 0), None),
        (ClockTrust.SYNCED, TimeNow(NOW_S + 7, ClockTrust.FLOOR, 0), None),
        (ClockTrust.SYNCED, TimeNow(NOW_S - 1, ClockTrust.SYNCED, 0), None),
    ],
)
def test_the_time_since_by_the_wall_clock(trust: ClockTrust, at: TimeNow, expected: int | None) -> None:
    assert elapsed_s(boarding(trust=trust), at) == expected


def test_the_limit_fits_the_others() -> None:
    assert check_limits(Limits()) == ()
    assert any("annul_s" in one.names for one in check_limits(Limits(annul_s=29)))
    assert any("annul_s" in one.names for one in check_limits(Limits(annul_s=601)))
    assert check_limits(Limits(annul_s=30)) == () == check_limits(Limits(annul_s=600))

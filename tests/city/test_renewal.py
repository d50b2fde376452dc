"""Which device gets a newer certificate, when, and what it says: both sides of each edge. DESIGN §4."""

import pytest

from offline_ledger.city.audit import audit
from offline_ledger.city.enrolment import CERTIFICATE_LIFE_S
from offline_ledger.city.renewal import Renewal
from offline_ledger.protocol import city, cose, device
from offline_ledger.protocol.city import Outcome
from offline_ledger.protocol.device import DeviceCertificate, DeviceRole, StateKey
from offline_ledger.protocol.kinds import CITY_OBJECT_BYTES_MAX, OBJECT_BYTES_MAX, Kind
from offline_ledger.rules.limits import DAY_S, Limits
from simulators.keys import SimulatedKey
from tests.city.test_audit import sign_lists
from tests.city.town import AAD, CA_TEST_ONLY, NOW_S, Town, TownTerminal

NEXT_CA_TEST_ONLY = SimulatedKey(0x3334)
LEAD_S = Limits().certificate_lead_s
FIRST_S = NOW_S - 1000
ENDS_S = NOW_S + 10**8
DUE_S = ENDS_S - LEAD_S + 1


@pytest.fixture
def bus(town: Town) -> TownTerminal:
    return town.terminal("bus-1", DeviceRole.VALIDATOR)


def asked(town: Town, used_from_s: object, now_s: int, key: SimulatedKey = CA_TEST_ONLY) -> DeviceCertificate | None:
    """What a bus gets that says that it uses a certificate from then on; verified as the device CA's."""
    with town.store.transaction():
        state = {} if used_from_s is None else {int(StateKey.CERTIFICATE_FROM_S): used_from_s}
        raw = Renewal(town.store, key, town.limits).certificate_for("bus-1", state, now_s)
    if raw is None:
        return None
    signed = cose.parse_sign1(raw, AAD[Kind.DEVICE_CERTIFICATE])
    assert cose.is_signature_of(signed, cose.verify_key(key.point))
    return device.DEVICE_CERTIFICATE.decode(signed.payload, OBJECT_BYTES_MAX)


def columns(town: Town) -> tuple[int, int]:
    row = town.store.one("SELECT not_before_s, expires_at_s FROM devices")
    assert row is not None
    return row[0], row[1]


def test_a_certificate_is_renewed_within_the_lead_and_not_before(town: Town, bus: TownTerminal) -> None:
    assert asked(town, FIRST_S, DUE_S - 1) is None and columns(town) == (FIRST_S, ENDS_S)
    made = asked(town, FIRST_S, DUE_S)
    assert made is not None
    assert (made.device, made.role, made.owner, made.point) == ("bus-1", DeviceRole.VALIDATOR, "transit", bus.key.point)
    assert (made.offline_value_kgo, made.offline_hours) == (2_000_000, 24)
    assert made.not_before_s == DUE_S - 300 and made.expires_at_s == DUE_S + CERTIFICATE_LIFE_S
    assert columns(town) == (made.not_before_s, made.expires_at_s)


def test_the_lead_is_the_citys_to_set(town: Town, bus: TownTerminal) -> None:
    del bus
    town.limits = town.limits._replace(certificate_lead_s=2 * DAY_S)
    assert asked(town, FIRST_S, DUE_S) is None
    assert asked(town, FIRST_S, ENDS_S - 2 * DAY_S + 1) is not None


def test_an_answer_may_be_lost_so_it_is_handed_out_until_the_device_uses_it(town: Town, bus: TownTerminal) -> None:
    del bus
    made = asked(town, FIRST_S, DUE_S)
    assert made is not None and asked(town, FIRST_S, DUE_S + 5) == made, "the very same, not one more"
    assert asked(town, made.not_before_s, DUE_S + 9) is None


def test_a_new_device_ca_key_signs_for_every_device(town: Town, bus: TownTerminal) -> None:
    del bus
    made = asked(town, FIRST_S, NOW_S, NEXT_CA_TEST_ONLY)
    assert made is not None and made.not_before_s > FIRST_S and made.expires_at_s >= ENDS_S
    assert asked(town, made.not_before_s, NOW_S + 5, NEXT_CA_TEST_ONLY) is None, "once"


def test_each_is_newer_than_the_one_before_even_within_a_minute(town: Town, bus: TownTerminal) -> None:
    del bus
    begins = [FIRST_S]
    for at in range(4):
        made = asked(town, begins[-1], NOW_S + at, (NEXT_CA_TEST_ONLY, CA_TEST_ONLY)[at % 2])
        assert made is not None
        begins.append(made.not_before_s)
    assert begins == sorted(set(begins))


@pytest.mark.parametrize(
    "change", ["revoked_after = 9", "blocked = 1", f"expires_at_s = {DUE_S - 1}"], ids=["revoked", "blocked", "ended"]
)
def test_a_device_that_is_out_gets_none(town: Town, bus: TownTerminal, change: str) -> None:
    del bus
    with town.store.transaction():
        town.store.execute(f"UPDATE devices SET {change}")
    before = columns(town)
    assert asked(town, FIRST_S, DUE_S) is None and columns(town) == before


def test_on_its_last_second_it_still_gets_one(town: Town, bus: TownTerminal) -> None:
    del bus
    assert asked(town, FIRST_S, ENDS_S + 1) is None
    assert asked(town, FIRST_S, ENDS_S) is not None


@pytest.mark.parametrize("said", [None, "soon", b"x", -1, 1.5, True, [FIRST_S]], ids=str)
def test_a_device_that_does_not_say_gets_none_and_nothing_breaks(town: Town, bus: TownTerminal, said: object) -> None:
    del bus
    made = asked(town, said, DUE_S)
    assert (made is None) == (said != -1)


def test_a_restored_ledger_that_forgot_a_renewal_makes_a_newer_one(town: Town, bus: TownTerminal) -> None:
    del bus
    used_s = NOW_S + 40
    made = asked(town, used_s, NOW_S + 50)
    assert made is not None and made.not_before_s > used_s
    assert asked(town, made.not_before_s, NOW_S + 400) is None


def test_a_device_that_claims_the_future_gets_nothing_for_it(town: Town, bus: TownTerminal) -> None:
    del bus
    assert asked(town, 1 << 39, NOW_S) is None and columns(town) == (FIRST_S, ENDS_S)


def test_the_answer_to_an_upload_brings_it_and_what_was_signed_before_stays_good(town: Town, bus: TownTerminal) -> None:
    sign_lists(town)
    bus.boarding(town.wallet().ride_code(NOW_S), NOW_S)
    said = {int(StateKey.CERTIFICATE_FROM_S): FIRST_S}
    body = bus.batch(change=lambda head: head._replace(state=said))
    answer = city.ANSWER.decode(town.ingest.ingest(body, DUE_S), CITY_OBJECT_BYTES_MAX)
    assert answer.certificate is not None
    assert town.store.one("SELECT certificate FROM devices") == (answer.certificate,)
    assert town.store.one("SELECT outcome FROM vouchers") == (Outcome.POSTED,)
    assert town.send(bus, DUE_S + 60).outcomes == [(Outcome.POSTED, 0)], "sent again, and the answer brings no more"
    found = audit(town.store)
    assert found.findings == ()
    with town.store.transaction():
        town.store.execute("UPDATE devices SET expires_at_s = expires_at_s - 1")
    assert "certificate_wrong" in {one.what for one in audit(town.store).findings}
    town.assert_sound()

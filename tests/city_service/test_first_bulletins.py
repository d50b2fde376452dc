"""What goes along with a certificate: the most needed first, as far as there is room; verified and kept as by a sync.

Decision 0232.
"""

import random
from pathlib import Path

import pytest

from offline_ledger.city import bulletins, enrolment, sample, trust
from offline_ledger.city.accounts import OwnerKind
from offline_ledger.city.bulletins import Validity
from offline_ledger.city.first_bulletins import PARTS_WANTED_MAX, fits_codes, fits_online, kinds_in, with_first
from offline_ledger.city.store import Store
from offline_ledger.errors import FirstBulletinRefused, MustReconnect
from offline_ledger.protocol.answer import ENROLMENT_ANSWER, EnrolmentAnswer, decode_answer, parts_needed
from offline_ledger.protocol.city import BulletinKind, KeyRole
from offline_ledger.protocol.deny_list import decode_ids, denied_id
from offline_ledger.protocol.device import ClockTrust, DeviceRole
from offline_ledger.rules.limits import Limits
from offline_ledger.terminal.enrol import accept_enrolment, enrolment_request, own_key
from offline_ledger.terminal.first_bulletins import First, take_first
from offline_ledger.terminal.own_identity import DeviceFiles
from offline_ledger.terminal.station import Station, StationSettings
from offline_ledger.terminal.sync_record import load_record
from simulators.clock import FakeClock
from simulators.keys import SimulatedKey

CITY, NOW_S, DEVICE = "TH-40", 1_795_000_000, "bus-1"
ROOT, CA = SimulatedKey(0x1008), SimulatedKey(0xCA2)
K = BulletinKind
BUS = enrolment.placement(DEVICE, DeviceRole.VALIDATOR, "city-bus", Limits())


@pytest.fixture
def desk(store: Store) -> Store:
    points = {role: CA.point for role in KeyRole}
    trust.add_list(store, trust.sign_list(trust.first_list(CITY, [ROOT.point], 1, points, NOW_S), [ROOT]))
    enrolment.add_owner(store, "city-bus", OwnerKind.OPERATOR, "Bus", 0, NOW_S)
    life = Validity(NOW_S, NOW_S + 86_400)
    bulletins.publish(store, CA, K.TARIFF, sample.sample_tariff(), NOW_S, life)
    bulletins.publish(store, CA, K.CAMPAIGN, sample.sample_campaigns(), NOW_S, life)
    return store


def pass_of(number: int) -> bytes:
    return number.to_bytes(6, "big") + b"\x00\x00"


def deny(store: Store, *numbers: int) -> None:
    with store.transaction():
        for number in numbers:
            store.execute(
                "INSERT INTO denied(pass_id, wallet_id, reason, since_s, expires_at_s) VALUES(?, ?, ?, ?, ?)",
                (pass_of(number), 1, "lost", NOW_S, NOW_S + 86_400),
            )
    bulletins.publish_deny_list(store, CA, NOW_S)


def bare(store: Store, files: DeviceFiles) -> bytes:
    request = enrolment_request(own_key(files), CITY, DEVICE, DeviceRole.VALIDATOR, NOW_S)
    return enrolment.enrol_by_file(store, CA, BUS, request, NOW_S)


def files_in(folder: Path) -> DeviceFiles:
    return DeviceFiles(folder / "TEST-ONLY.key", folder / "certificate", folder / "trust-list")


def enrolled(folder: Path, body: bytes) -> tuple[Station, First]:
    files = files_in(folder)
    accept_enrolment(files, CITY, DEVICE, DeviceRole.VALIDATOR, body)
    settings = StationSettings(
        CITY, DEVICE, DeviceRole.VALIDATOR, files, folder / "journal.db", folder / "deny", "test"
    )
    station = Station(settings, FakeClock(NOW_S), Limits())
    return station, take_first(station, decode_answer(body))


def kinds(body: bytes) -> list[BulletinKind]:
    return list(kinds_in(decode_answer(body), CITY))


@pytest.mark.parametrize(
    ("role", "order"),
    [
        (DeviceRole.VALIDATOR, [K.DENY_LIST, K.TARIFF, K.CAMPAIGN]),
        (DeviceRole.SHOP, [K.DENY_LIST, K.CAMPAIGN, K.TARIFF]),
    ],
)
def test_the_most_needed_goes_first_and_what_does_not_fit_stays(
    desk: Store, tmp_path: Path, role: DeviceRole, order: list[BulletinKind]
) -> None:
    body = bare(desk, files_in(tmp_path))
    assert kinds(with_first(desk, CA, body, role, NOW_S, fits_online)) == order
    full = len(with_first(desk, CA, body, role, NOW_S, fits_online))
    for room in range(len(body), full + 1, 60):
        cut = with_first(desk, CA, body, role, NOW_S, lambda one, room=room: len(one) <= room)
        assert len(cut) <= room and [kind for kind in order if kind in kinds(cut)] == kinds(cut)
    assert with_first(desk, CA, body, role, NOW_S, lambda _one: False) == body


def test_codes_take_less_than_files(desk: Store, tmp_path: Path, rng: random.Random) -> None:
    body = bare(desk, files_in(tmp_path))
    deny(desk, *rng.sample(range(1, 2**47), 3_000))
    file = with_first(desk, CA, body, DeviceRole.VALIDATOR, NOW_S, fits_online)
    codes = with_first(desk, CA, body, DeviceRole.VALIDATOR, NOW_S, fits_codes)
    assert kinds(file) == [K.DENY_LIST, K.TARIFF, K.CAMPAIGN] and kinds(codes) == [K.TARIFF, K.CAMPAIGN]
    assert parts_needed(codes) <= PARTS_WANTED_MAX < parts_needed(file)


def test_a_list_that_changes_another_one_comes_whole(desk: Store, tmp_path: Path) -> None:
    body = bare(desk, files_in(tmp_path))
    deny(desk, 1)
    deny(desk, 2)
    whole = with_first(desk, CA, body, DeviceRole.VALIDATOR, NOW_S, fits_online)
    assert set(decode_ids(decode_answer(whole).deny_list or b"")) == {denied_id(pass_of(n)) for n in (1, 2)}
    station, first = enrolled(tmp_path, whole)
    try:
        assert first == First(("tariff", "campaign", "deny_list"), ())
        assert station.deny.is_denied(pass_of(2)) and not station.deny.is_denied(pass_of(3))
        assert station.deny_list_trouble() is None
        assert load_record(station.journal).complete_at_s == station.certificate.not_before_s
        again = take_first(station, decode_answer(whole))
        assert again == first, "twice is once"
    finally:
        station.close()
    station, _first = enrolled(tmp_path, whole)
    try:
        assert station.conditions.caps(station.keeper.time()).step == 1, "it takes fares, under a clock at its floor"
    finally:
        station.close()


@pytest.mark.parametrize("damage", ["signature", "no list", "older"])
def test_a_bulletin_that_is_not_taken_leaves_the_device_enrolled(desk: Store, tmp_path: Path, damage: str) -> None:
    body = bare(desk, files_in(tmp_path))
    old = decode_answer(with_first(desk, CA, body, DeviceRole.VALIDATOR, NOW_S, fits_online))
    assert old.bulletins is not None
    deny(desk, 1)
    deny(desk, 2)
    good = decode_answer(with_first(desk, CA, body, DeviceRole.VALIDATOR, NOW_S, fits_online))
    assert good.bulletins is not None
    first_one, *others = good.bulletins
    changed: dict[str, EnrolmentAnswer] = {
        "signature": good._replace(bulletins=(first_one[:-1] + bytes([first_one[-1] ^ 1]), *others)),
        "no list": good._replace(deny_list=None),
        "older": good._replace(bulletins=(first_one, *others), deny_list=b""),
    }
    station, first = enrolled(tmp_path, ENROLMENT_ANSWER.encode(changed[damage]))
    try:
        assert [type(one) for one in first.refused] == [FirstBulletinRefused]
        assert first.kinds == ("tariff", "campaign") and station.bulletin(K.TARIFF) is not None
        assert load_record(station.journal).complete_at_s == 0, "without a deny list it must reconnect first"
        station.keeper.time()
        fixed = take_first(station, good)
        assert fixed == First(("tariff", "campaign", "deny_list"), ())
        rolled_back = take_first(station, old)
        assert rolled_back.refused and station.deny.is_denied(pass_of(2)), "never back"
    finally:
        station.close()


def test_a_machine_whose_journal_is_gone_does_not_begin_again_by_its_old_answer(desk: Store, tmp_path: Path) -> None:
    """Journal, marks and deny list are gone, key and certificate are not: nothing here knows which numbers were used.
    Decision 0053: no green before the city was heard; decision 0246."""
    body = with_first(desk, CA, bare(desk, files_in(tmp_path)), DeviceRole.VALIDATOR, NOW_S, fits_online)
    assert (tmp_path / "certificate.new-key").exists()
    enrolled(tmp_path, body)[0].close()
    assert not (tmp_path / "certificate.new-key").exists(), "it was counted on, once"
    station, _first = enrolled(tmp_path, body)
    assert station.conditions.caps(station.keeper.time()).step == 1
    station.close()
    for path in (*tmp_path.glob("journal.db*"), *tmp_path.glob("certificate.used"), *(tmp_path / "deny").iterdir()):
        path.unlink()
    enrolled(tmp_path, body)[0].close()
    station, first = enrolled(tmp_path, body)
    try:
        assert first.kinds == ("tariff", "campaign", "deny_list"), "what it brings is taken"
        with pytest.raises(MustReconnect, match="never synced"):
            station.conditions.caps(station.keeper.time())
    finally:
        station.close()


def test_months_in_a_drawer_end_it_as_soon_as_the_time_is_known(desk: Store, tmp_path: Path) -> None:
    """Provisioned by file and never synced: H runs from what the city signed; a chip that nobody set says nothing."""
    body = with_first(desk, CA, bare(desk, files_in(tmp_path)), DeviceRole.VALIDATOR, NOW_S, fits_online)
    enrolled(tmp_path, body)[0].close()
    station, _first = enrolled(tmp_path, body)
    keeper, later_s = station.keeper, NOW_S + 90 * 86_400
    try:
        keeper.heard_rtc(NOW_S + 60)
        assert keeper.time().trust is ClockTrust.FLOOR and station.conditions.caps(keeper.time()).step == 1
        keeper.heard_gps(later_s * 1000, 500, keeper.mono_ms())
        assert keeper.time().at_s == later_s
        with pytest.raises(MustReconnect, match="last sync"):
            station.conditions.caps(keeper.time())
    finally:
        station.close()


def test_an_old_answer_does_not_bring_back_the_certificate_before_its_renewal(desk: Store, tmp_path: Path) -> None:
    files = files_in(tmp_path)
    body = bare(desk, files)
    first = accept_enrolment(files, CITY, DEVICE, DeviceRole.VALIDATOR, body).certificate
    later_s = first.not_before_s + 86_400
    lower = first._replace(not_before_s=later_s, offline_value_kgo=first.offline_value_kgo - 1)
    files.certificate.write_bytes(enrolment.sign_certificate(lower, CA))
    assert accept_enrolment(files, CITY, DEVICE, DeviceRole.VALIDATOR, body).certificate == lower
    files.certificate.write_bytes(enrolment.sign_certificate(lower, SimulatedKey(0xBAD)))
    assert accept_enrolment(files, CITY, DEVICE, DeviceRole.VALIDATOR, body).certificate == first, (
        "nobody's is replaced"
    )

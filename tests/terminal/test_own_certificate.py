"""A newer certificate: what is taken, what is refused by number, and that neither a full disk nor a bad one harms."""

import errno
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from offline_ledger.errors import DeviceCertificateInvalid, RenewalWrong, StorageFull
from offline_ledger.protocol import city, device
from offline_ledger.protocol.city import ANSWER, KeyRole
from offline_ledger.protocol.device import DeviceCertificate, DeviceRole, StateKey
from offline_ledger.protocol.kinds import CITY_OBJECT_BYTES_MAX, Kind
from offline_ledger.rules.limits import Limits
from offline_ledger.terminal.own_identity import DeviceFiles
from offline_ledger.terminal.ports import CityAnswer
from offline_ledger.terminal.station import Station, StationSettings
from offline_ledger.terminal.sync_phases import Phase
from simulators.clock import FakeClock
from simulators.keys import SimulatedKey
from tests.terminal.city_in_test import (
    ACK_TEST_ONLY,
    CA_TEST_ONLY,
    CITY,
    DEVICE,
    DEVICE_TEST_ONLY,
    FAR_S,
    NOW_S,
    ROLES,
    keys_of,
    sign,
    trust_list,
)
from tests.terminal.provisioned import provision_bus
from tests.terminal.sync_desk import SyncDesk

NEXT_CA_TEST_ONLY = SimulatedKey(0xCA2)
FIRST = DeviceCertificate(
    CITY, DEVICE, DeviceRole.VALIDATOR, "OP-1", DEVICE_TEST_ONLY.point, NOW_S - 5000, FAR_S, 2_000_000, 24
)
NEWER = FIRST._replace(not_before_s=NOW_S - 300, expires_at_s=FAR_S + 9)


def signed(made: DeviceCertificate, key: SimulatedKey = CA_TEST_ONLY, kind: Kind = Kind.DEVICE_CERTIFICATE) -> bytes:
    return sign(kind, device.DEVICE_CERTIFICATE.encode(made), key).raw


@pytest.fixture
def desk(tmp_path: Path, rng: random.Random) -> Iterator[SyncDesk]:
    made = SyncDesk(tmp_path, rng)
    yield made
    made.close()


def test_a_newer_one_is_durable_and_in_use_at_once(desk: SyncDesk) -> None:
    assert desk.certificate.renew(signed(NEWER)) and desk.certificate.held == NEWER
    assert desk.certificate_file.read_bytes() == desk.certificate.raw == signed(NEWER)
    assert not desk.certificate.renew(signed(NEWER)), "the same once more"
    desk.restart()
    assert desk.certificate.held == NEWER


GOOD: dict[str, DeviceCertificate] = {
    "a second newer": FIRST._replace(not_before_s=FIRST.not_before_s + 1),
    "the same end": FIRST._replace(not_before_s=NOW_S),
    "another value and hours": NEWER._replace(offline_value_kgo=1_000, offline_hours=12),
}


@pytest.mark.parametrize("name", GOOD)
def test_what_is_taken(desk: SyncDesk, name: str) -> None:
    assert desk.certificate.renew(signed(GOOD[name])) and desk.certificate.held == GOOD[name]


BAD: dict[str, Callable[[], bytes]] = {
    "another device": lambda: signed(NEWER._replace(device="bus-2")),
    "another city": lambda: (
        sign(
            Kind.DEVICE_CERTIFICATE,
            device.DEVICE_CERTIFICATE.encode(NEWER._replace(city="TH-41")),
            CA_TEST_ONLY,
            "TH-41",
        ).raw
    ),
    "another key": lambda: signed(NEWER._replace(point=SimulatedKey(0xBAD).point)),
    "another role": lambda: signed(NEWER._replace(role=DeviceRole.SHOP)),
    "another owner": lambda: signed(NEWER._replace(owner="OP-2")),
    "unknown CA": lambda: signed(NEWER, SimulatedKey(0xF0E)),
    "a key of another role": lambda: signed(NEWER, ACK_TEST_ONLY),
    "before the CA key was good": lambda: signed(NEWER._replace(not_before_s=NOW_S - 10**6 - 1)),
    "after the CA key ended": lambda: signed(NEWER._replace(not_before_s=FAR_S + 1)),
    "older": lambda: signed(NEWER._replace(not_before_s=FIRST.not_before_s - 1)),
    "as old": lambda: signed(NEWER._replace(not_before_s=FIRST.not_before_s)),
    "ends earlier": lambda: signed(NEWER._replace(expires_at_s=FAR_S - 1)),
    "another kind": lambda: signed(NEWER, kind=Kind.ENROLMENT),
    "damaged": lambda: signed(NEWER)[:-1] + bytes([signed(NEWER)[-1] ^ 1]),
    "cut": lambda: signed(NEWER)[:-1],
    "no object": lambda: b"\x00",
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_refused_changes_nothing(desk: SyncDesk, name: str) -> None:
    with pytest.raises(RenewalWrong):
        desk.certificate.renew(BAD[name]())
    assert desk.certificate.held == FIRST and desk.certificate_file.read_bytes() == signed(FIRST)


def close_first_ca(desk: SyncDesk) -> None:
    """The device CA key leaked: it is closed, and another one signs."""
    rows = keys_of(*(role for role in ROLES if role[0] != KeyRole.DEVICE_CA), (KeyRole.DEVICE_CA, NEXT_CA_TEST_ONLY))
    closed = keys_of((KeyRole.DEVICE_CA, CA_TEST_ONLY), end_s=NOW_S - 1000)
    desk.city.add_list(*trust_list(2, desk.city.list_hash, keys=(*rows, *closed)))


def test_under_a_new_list_the_new_device_ca_signs_and_the_thief_with_the_old_one_does_not(desk: SyncDesk) -> None:
    close_first_ca(desk)
    desk.exchange()
    assert desk.machine.status().trouble is None
    desk.restart()  # the certificate of the closed key is good for what it said in its time
    assert desk.certificate.held == FIRST
    with pytest.raises(RenewalWrong):
        desk.certificate.renew(signed(NEWER))
    assert desk.certificate.renew(signed(NEWER, NEXT_CA_TEST_ONLY))
    with pytest.raises(RenewalWrong):  # back-dated by the thief into the time when the old key was good
        desk.certificate.renew(signed(NEWER._replace(not_before_s=NOW_S - 1001)))
    desk.restart()
    assert desk.certificate.held == NEWER


def test_a_full_disk_leaves_the_old_one(desk: SyncDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int, _data: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        with pytest.raises(StorageFull):
            desk.certificate.renew(signed(NEWER))
    assert desk.certificate.held == FIRST and desk.certificate_file.read_bytes() == signed(FIRST)
    assert desk.certificate.renew(signed(NEWER))


# --- in an exchange


def hear_with(desk: SyncDesk, certificate: bytes) -> None:
    """The honest answer to the upload that is due, with a certificate beside it."""
    answer = ANSWER.decode(desk.city.answer(desk.until(Phase.UPLOAD)).body, CITY_OBJECT_BYTES_MAX)
    desk.hear(CityAnswer(200, city.ANSWER.encode(answer._replace(certificate=certificate))))
    desk.exchange()


def test_the_batch_head_says_which_one_is_in_use(desk: SyncDesk) -> None:
    said = desk.city.devices[DEVICE]
    desk.exchange()
    assert said.state[StateKey.CERTIFICATE_FROM_S] == FIRST.not_before_s
    hear_with(desk, signed(NEWER))
    assert desk.machine.status().trouble is None
    desk.exchange()
    assert said.state[StateKey.CERTIFICATE_FROM_S] == NEWER.not_before_s


@pytest.mark.parametrize("name", BAD)
def test_a_bad_one_is_told_and_everything_else_of_the_exchange_counts(desk: SyncDesk, name: str) -> None:
    desk.sell(2)
    hear_with(desk, BAD[name]())
    status = desk.machine.status()
    assert isinstance(status.trouble, RenewalWrong) and status.pending_count == 0
    assert status.complete_at_s is not None, "it goes on taking codes"
    assert desk.certificate.held == FIRST
    desk.exchange()
    assert desk.machine.status().trouble is None


# --- its end


def open_station(folder: Path, clock: FakeClock) -> Station:
    files = DeviceFiles(folder / "device.key", folder / "device.cert", folder / "trust.list")
    settings = StationSettings(
        CITY, DEVICE, DeviceRole.VALIDATOR, files, folder / "journal.db", folder / "deny", "kgo-bus test"
    )
    return Station(settings, clock, Limits())


def test_no_code_is_taken_after_its_end_unless_a_newer_one_came(tmp_path: Path) -> None:
    clock = FakeClock(NOW_S)
    provision_bus(tmp_path, NOW_S, tmp_path / "port")
    station = open_station(tmp_path, clock)
    ends_s = station.certificate.expires_at_s
    station.keeper.heard_time_answer(ends_s, clock.mono_ms(), clock.mono_ms())
    station.conditions.check_standing(1, station.keeper.time())
    station.keeper.heard_time_answer(ends_s + 1, clock.mono_ms(), clock.mono_ms())
    with pytest.raises(DeviceCertificateInvalid):
        station.conditions.check_standing(1, station.keeper.time())
    newer = station.certificate._replace(not_before_s=NOW_S - 300, expires_at_s=ends_s + 1)
    assert station.own_certificate.renew(signed(newer))
    station.conditions.check_standing(1, station.keeper.time())
    assert station.certificate == newer
    station.close()


def test_value_and_hours_of_the_newer_one_count(tmp_path: Path) -> None:
    provision_bus(tmp_path, NOW_S, tmp_path / "port")
    station = open_station(tmp_path, FakeClock(NOW_S))
    newer = station.certificate._replace(not_before_s=NOW_S - 300, offline_value_kgo=7_000)
    before = station.conditions.caps(station.keeper.time())
    assert station.own_certificate.renew(signed(newer))
    assert station.conditions.caps(station.keeper.time()) != before
    assert station.own_certificate.raw == (tmp_path / "device.cert").read_bytes()
    (tmp_path / "device.cert").unlink()
    station.keep_files(["certificate"])
    assert (tmp_path / "device.cert").read_bytes() == signed(newer), "the one in use, not the one of the start"
    station.close()

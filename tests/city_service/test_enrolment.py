"""Enrolling: tokens are good once, names are bound to keys, files carried by hand work. DESIGN §4, §8."""

import random
import time
from contextlib import closing
from pathlib import Path

import pytest

from offline_ledger.city import enrolment, keys, trust
from offline_ledger.city.accounts import OwnerKind
from offline_ledger.city.audit import audit
from offline_ledger.city.store import Store
from offline_ledger.errors import EnrolmentInvalid, OwnerUnknown, TokenInvalid
from offline_ledger.protocol.city import KeyRole
from offline_ledger.protocol.device import DeviceRole
from offline_ledger.protocol.token import token_of
from offline_ledger.rules.limits import Limits
from offline_ledger.terminal.enrol import DeviceFiles, accept_enrolment, enrolment_request, own_key, provision
from offline_ledger.terminal.program import MachineClock
from offline_ledger.terminal.uplink import HttpsUplink
from simulators.keys import SimulatedKey
from tests.city_service.desk import City, found, run

CITY = "TH-40"
NOW_S = 1_795_000_000
ROOT, CA = SimulatedKey(0x1008), SimulatedKey(0xCA2)
SHOP = enrolment.placement("shop-1", DeviceRole.SHOP, "noodle-1", Limits())


@pytest.fixture
def desk(store: Store) -> Store:
    points = {role: CA.point for role in KeyRole}
    trust.add_list(store, trust.sign_list(trust.first_list(CITY, [ROOT.point], 1, points, NOW_S), [ROOT]))
    enrolment.add_owner(store, "noodle-1", OwnerKind.MERCHANT, "Noodles", 0, NOW_S)
    enrolment.add_owner(store, "city-bus", OwnerKind.OPERATOR, "Bus", 0, NOW_S)
    return store


def token(store: Store, seed: int = 1, placed: enrolment.Placement = SHOP) -> str:
    return enrolment.make_token(store, placed, NOW_S, 60, random.Random(seed).randbytes)


def request(key: SimulatedKey, name: str = "shop-1", role: DeviceRole = DeviceRole.SHOP) -> bytes:
    return enrolment_request(key, CITY, name, role, NOW_S)


def test_a_token_is_good_once_but_a_lost_answer_can_be_asked_for_again(desk: Store) -> None:
    key, other = SimulatedKey(1), SimulatedKey(2)
    text = token(desk)
    first = enrolment.enrol_by_token(desk, CA, text, request(key), NOW_S + 60)
    assert enrolment.enrol_by_token(desk, CA, text, request(key), NOW_S + 60) == first
    with pytest.raises(TokenInvalid):
        enrolment.enrol_by_token(desk, CA, text, request(other), NOW_S + 60)
    with pytest.raises(EnrolmentInvalid):
        token(desk, 2)


@pytest.mark.parametrize("wrong", ["expired", "unknown", "empty", "long", "other device"])
def test_tokens_that_are_not_good(desk: Store, wrong: str) -> None:
    text = token(desk)
    sent = {"unknown": text[::-1], "empty": "", "long": text + "A" * 100}.get(wrong, text)
    at_s = NOW_S + 61 if wrong == "expired" else NOW_S
    raw = request(SimulatedKey(1), "shop-2" if wrong == "other device" else "shop-1")
    with pytest.raises(TokenInvalid):
        enrolment.enrol_by_token(desk, CA, sent, raw, at_s)


def test_tokens_are_kept_as_hashes(desk: Store) -> None:
    text = token(desk)
    stored = desk.one("SELECT token_hash FROM enrolment_tokens")
    assert stored is not None and text.encode() not in stored[0] and len(stored[0]) == 32
    newer = token(desk, 2)
    with pytest.raises(TokenInvalid):
        enrolment.enrol_by_token(desk, CA, text, request(SimulatedKey(1)), NOW_S)
    enrolment.enrol_by_token(desk, CA, newer, request(SimulatedKey(1)), NOW_S)


def test_the_operator_decides_role_and_owner(desk: Store) -> None:
    with pytest.raises(EnrolmentInvalid):
        enrolment.enrol_by_token(desk, CA, token(desk), request(SimulatedKey(1), role=DeviceRole.VALIDATOR), NOW_S)
    with pytest.raises(OwnerUnknown):
        token(desk, 3, enrolment.placement("shop-9", DeviceRole.SHOP, "nobody", Limits()))
    with pytest.raises(EnrolmentInvalid):
        token(desk, 4, enrolment.placement("shop-9", DeviceRole.SHOP, "city-bus", Limits()))
    with pytest.raises(EnrolmentInvalid):
        enrolment.add_owner(desk, "city-bus", OwnerKind.MERCHANT, "Bus", 0, NOW_S)


def test_names_and_keys_belong_together(desk: Store) -> None:
    key = SimulatedKey(1)
    enrolment.enrol_by_file(desk, CA, SHOP, request(key), NOW_S)
    with pytest.raises(EnrolmentInvalid):
        enrolment.enrol_by_file(desk, CA, SHOP, request(SimulatedKey(2)), NOW_S)
    other = enrolment.placement("shop-2", DeviceRole.SHOP, "noodle-1", Limits())
    with pytest.raises(EnrolmentInvalid):
        enrolment.enrol_by_file(desk, CA, other, request(key, "shop-2"), NOW_S)


def test_a_terminal_that_a_restore_forgot_is_enrolled_again_as_revoked(desk: Store) -> None:
    """The roots revoked the name; the ledger was restored to before it, and the lists came back."""
    held = trust.newest(desk)
    assert held is not None
    changes = trust.Changes(revocations=(("shop-1", 1), ("bus-9", 4)))
    trust.add_list(desk, trust.sign_list(trust.next_list(held, changes, NOW_S), [ROOT]))
    enrolment.enrol_by_file(desk, CA, SHOP, request(SimulatedKey(1)), NOW_S + 1)
    assert desk.fetch("SELECT device, revoked_after FROM devices") == [("shop-1", 1)]
    assert [finding.what for finding in audit(desk).findings] == []
    desk.execute("UPDATE devices SET revoked_after = NULL")
    assert [(one.what, one.where.name) for one in audit(desk).findings] == [("revocation_wrong", "shop-1")]


def test_a_request_proves_its_key(desk: Store) -> None:
    class Liar:
        point = SimulatedKey(1).point
        sign = staticmethod(SimulatedKey(2).sign)

    raw = enrolment_request(Liar(), CITY, "shop-1", DeviceRole.SHOP, NOW_S)
    with pytest.raises(EnrolmentInvalid):
        enrolment.enrol_by_file(desk, CA, SHOP, raw, NOW_S)


def test_a_terminal_enrols_over_the_network(city: City, tmp_path: Path) -> None:
    files = DeviceFiles(tmp_path / "device.key", tmp_path / "device.cert", tmp_path / "trust.list")
    uplink = HttpsUplink(city.url, city.ca_file, MachineClock())
    now_s = int(time.time())
    with closing(uplink):
        with pytest.raises(TokenInvalid, match="4054"):
            provision(files, CITY, "shop-net", DeviceRole.SHOP, now_s, uplink, token_of(bytes(15)))
        done = city.command("enrol", "shop-net", "--role", "shop", "--owner", "noodle-1")
        assert done.returncode == 0 and "60 minutes" in done.stderr
        made = provision(files, CITY, "shop-net", DeviceRole.SHOP, now_s, uplink, done.stdout.strip())
    assert (made.certificate.owner, made.certificate.offline_value_kgo) == ("noodle-1", 2_000_000)


def test_a_terminal_enrols_by_files(city: City, tmp_path: Path) -> None:
    files = DeviceFiles(tmp_path / "device.key", tmp_path / "device.cert", tmp_path / "trust.list")
    raw = enrolment_request(own_key(files), CITY, "bus-file", DeviceRole.VALIDATOR, int(time.time()))
    (tmp_path / "request").write_bytes(raw)
    words = ("enrol", "bus-file", "--role", "validator", "--owner", "city-bus", "--offline-hours", "12")
    carried = ("--request", str(tmp_path / "request"), "--out", str(tmp_path / "answer"))
    done = city.command(*words, *carried)
    assert done.returncode == 0, done.stderr
    made = accept_enrolment(files, CITY, "bus-file", DeviceRole.VALIDATOR, (tmp_path / "answer").read_bytes())
    assert (made.certificate.role, made.certificate.offline_hours) == (DeviceRole.VALIDATOR, 12)
    again = city.command(*words, *carried)
    assert again.returncode == 1 and "5010" in again.stderr, "the answer is not overwritten"
    lost = city.command(*words, *carried[:3], str(tmp_path / "none" / "answer"))
    assert lost.returncode == 2 and "5004" in lost.stderr, lost.stderr
    assert city.command(*words, *carried[:2]).returncode == 2, "--request needs --out"


def test_key_files_are_private(city: City) -> None:
    names = {path.name for path in (city.folder / "keys").iterdir()}
    assert names >= {*keys.ROLE_FILES.values(), "root-1.key", "root-2.key", "root-3.key", "ca.key", "server.key"}
    for path in [*(city.folder / "keys").iterdir(), city.folder / "ledger.db", city.folder / "city.toml"]:
        if path.name != "city.toml":
            assert path.stat().st_mode & 0o077 == 0, path


@pytest.mark.parametrize("role", ["shop", "validator", "training"])
@pytest.mark.parametrize("city_id", ["TH-40", "TH-40-TRAINING"])
def test_a_training_city_enrols_training_devices_only_and_a_real_one_none(
    tmp_path: Path, city_id: str, role: str
) -> None:
    folder = tmp_path / "city-test-only"
    found(folder, "--city", city_id)
    settings = ("--settings", str(folder / "city.toml"))
    fits = (role == "training") == (city_id == "TH-40-TRAINING")
    for language, title in (("th", "ไม่ลงทะเบียนเครื่องในหน้าที่นี้"), ("en", "does not enrol devices for this role")):
        words = (
            "enrol",
            "new-1",
            "--role",
            role,
            "--owner",
            "new-owner",
            "--name",
            "N",
            *settings,
            "--language",
            language,
        )
        done = run(*words)
        assert (done.returncode == 0) == fits, done.stderr
        assert fits or ("4092" in done.stderr and title in done.stderr and not done.stdout)
    opened = Store.open(folder / "ledger.db")
    try:
        assert len(opened.fetch("SELECT 1 FROM owners WHERE owner = 'new-owner'")) == fits
        assert len(opened.fetch("SELECT 1 FROM enrolment_tokens")) == fits
    finally:
        opened.close()


def test_a_revoked_terminal_enrolled_after_the_backup_stays_revoked_after_a_restore(tmp_path: Path) -> None:
    """Founded, backed up, enrolled, revoked by the roots, restored, enrolled again: the very commands of the guide."""
    folder = tmp_path / "city-test-only"
    found(folder)
    asked = tmp_path / "bus-9.request"
    asked.write_bytes(request(SimulatedKey(9), "bus-9", DeviceRole.VALIDATOR))

    def told(*words: str) -> str:
        done = run(*words, "--settings", str(folder / "city.toml"), "--language", "en")
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def enrolled(answer: str) -> str:
        placed = ("--role", "validator", "--owner", "city-bus", "--request", str(asked))
        return told("enrol", "bus-9", *placed, "--out", str(tmp_path / answer))

    told("backup", str(tmp_path / "backup.db"))
    assert "is revoked" not in enrolled("first.cert")
    roots = [word for number in (1, 2) for word in ("--root", str(folder / "keys" / f"root-{number}.key"))]
    told("trust", *roots, "--revoke", "bus-9=1")
    told("restore", str(tmp_path / "backup.db"))
    told("recover")
    assert "bus-9 is revoked: what it sends from number 2 on waits" in enrolled("second.cert")
    assert "revoked after 1" in told("fleet")
    assert "the ledger is sound" in told("audit")

"""When a new role key may sign: every device within its hours holds the list, or the old key is no good. DESIGN §4."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from offline_ledger.city import rotation, trust
from offline_ledger.city.keys import ROLE_FILES, StoredKeys, make_city_keys, make_next_key_file, points_by_role
from offline_ledger.city.rotation import KeyBook
from offline_ledger.city.signing import Signing
from offline_ledger.city.store import Store
from offline_ledger.city.trust import Changes
from offline_ledger.errors import IssuerKeyExpired, KeyFileUnsafe, VersionUnknown
from offline_ledger.protocol import cbor, cose
from offline_ledger.protocol.city import REVOKED, TIME_ANSWER, KeyRole, TimeAnswer
from offline_ledger.protocol.device import StateKey
from offline_ledger.protocol.kinds import OBJECT_BYTES_MAX, Kind
from offline_ledger.protocol.wallet import Allowance
from offline_ledger.rules.acceptance import check_issuer
from simulators.keys import SimulatedKey

CITY = "TH-40"
NOW_S = 1_795_000_000
HOUR_S = 3_600
ROOT_TEST_ONLY = SimulatedKey(0x100B)


@dataclass
class Desk:
    """A city's store and key folder; each new key is named by the next list."""

    store: Store
    folder: Path
    now_s: int = NOW_S
    made: dict[KeyRole, bytes] = field(default_factory=dict[KeyRole, bytes])

    def __post_init__(self) -> None:
        points = points_by_role(make_city_keys(self.folder))
        first = trust.first_list(CITY, [ROOT_TEST_ONLY.point], 1, points, self.now_s)
        trust.add_list(self.store, trust.sign_list(first, [ROOT_TEST_ONLY]))
        self.signing = Signing(self.store, self.folder)

    def next_list(self, **changes: object) -> int:
        held = trust.newest(self.store)
        assert held is not None
        made = trust.next_list(held, Changes(**changes), self.now_s)  # type: ignore[arg-type]
        return trust.add_list(self.store, trust.sign_list(made, [ROOT_TEST_ONLY])).trust_list.version

    def new_key(self, role: KeyRole = KeyRole.ACK) -> bytes:
        _path, signer = make_next_key_file(self.folder, role)
        self.next_list(added=((role, signer.point),))
        return signer.point

    def device(self, name: str, *, seen_ago_s: int | None, version: object = None, hours: int = 24) -> None:
        """A device as the store knows it; never seen: enrolled just now."""
        state: dict[int, object] = {} if version is None else {int(StateKey.TRUST_LIST_VERSION): version}
        self.store.execute(
            "REPLACE INTO devices(device, role, owner, point, certificate, not_before_s, expires_at_s,"
            " offline_value_kgo, offline_hours, enrolled_at_s, last_seen_s, state)"
            " VALUES(?, 2, 'o', ?, x'00', 0, ?, 0, ?, ?, ?, ?)",
            (
                name,
                name.encode(),
                self.now_s + 10**7,
                hours,
                self.now_s - 10**6 if seen_ago_s is not None else self.now_s,
                0 if seen_ago_s is None else self.now_s - seen_ago_s,
                cbor.encode(state),
            ),
        )

    def signs(self, role: KeyRole = KeyRole.ACK) -> bytes:
        """Who signs after whatever may settle has settled."""
        self.now_s += 2
        self.signing.settle(self.now_s)
        return self.signing.in_force(role).point


@pytest.fixture
def desk(store: Store, tmp_path: Path) -> Iterator[Desk]:
    folder = tmp_path / "keys-test-only"
    folder.mkdir()
    yield Desk(store, folder)


def test_without_devices_a_new_key_signs_at_once(desk: Desk) -> None:
    first = desk.signs()
    new = desk.new_key()
    assert new != first and desk.signs() == new


@pytest.mark.parametrize(
    ("seen_ago_s", "version", "holds_back"),
    [
        (0, 1, True),
        (0, 2, False),
        (0, 3, False),
        (0, None, True),
        (0, "2", True),
        (0, True, True),
        (24 * HOUR_S - 2, 1, True),
        (24 * HOUR_S - 1, 1, False),
        (30 * 24 * HOUR_S, 1, False),
        (30 * 24 * HOUR_S, None, False),
    ],
)
def test_who_holds_a_new_key_back(desk: Desk, seen_ago_s: int, version: object, holds_back: bool) -> None:
    first = desk.signs()
    new = desk.new_key()
    desk.device("bus-1", seen_ago_s=seen_ago_s, version=version)
    assert (desk.signs() == first) == holds_back  # two seconds have passed
    assert [one.device for one in rotation.laggards(desk.store, 2, desk.now_s)] == ["bus-1"] * holds_back
    if not holds_back:
        assert desk.signs() == new


def test_each_device_has_its_own_hours(desk: Desk) -> None:
    desk.new_key()
    desk.device("short", seen_ago_s=5 * HOUR_S, version=1, hours=4)
    desk.device("long", seen_ago_s=5 * HOUR_S, version=1, hours=48)
    assert [one.device for one in rotation.laggards(desk.store, 2, desk.now_s)] == ["long"]


def test_an_enrolled_device_holds_the_lists_of_its_enrolment(desk: Desk) -> None:
    first = desk.signs()
    desk.device("early", seen_ago_s=None)
    desk.now_s += 10
    new = desk.new_key()
    desk.device("later", seen_ago_s=None)
    assert desk.signs() == first
    assert [one.device for one in rotation.laggards(desk.store, 2, desk.now_s)] == ["early"]
    desk.now_s += 24 * HOUR_S
    assert desk.signs() == new, "it never synced: it is out of service by now"


def test_revoked_and_expired_devices_hold_nothing_back(desk: Desk) -> None:
    new = desk.new_key()
    desk.device("stolen", seen_ago_s=0, version=1)
    desk.device("old", seen_ago_s=0, version=1)
    desk.store.execute("UPDATE devices SET expires_at_s = ? WHERE device = 'old'", (desk.now_s - 1,))
    assert desk.signs() != new
    desk.store.execute("UPDATE devices SET revoked_after = 7 WHERE device = 'stolen'")
    assert desk.signs() == new


def test_the_switch_is_durable_and_never_taken_back(desk: Desk) -> None:
    new = desk.new_key()
    desk.device("bus-1", seen_ago_s=0, version=2)
    assert desk.signs() == new
    desk.device("bus-1", seen_ago_s=0, version=1)  # a restored image reports its old list
    assert desk.signs() == new
    again = Signing(desk.store, desk.folder)
    assert again.in_force(KeyRole.ACK).point == new, "another process, or the next start, knows it too"


def test_roles_are_apart_and_the_newest_key_that_nobody_lacks_signs(desk: Desk) -> None:
    issuer = desk.signs(KeyRole.ALLOWANCE_ISSUER)
    desk.device("bus-1", seen_ago_s=0, version=2)
    second, third = desk.new_key(), desk.new_key()
    assert desk.signs() == second, "list 2 is held, list 3 is not"
    assert desk.signs(KeyRole.ALLOWANCE_ISSUER) == issuer
    desk.device("bus-1", seen_ago_s=0, version=3)
    assert desk.signs() == third


def test_a_key_that_is_not_here_or_not_good_signs_nothing(desk: Desk) -> None:
    first = desk.signs()
    desk.next_list(added=((KeyRole.ACK, SimulatedKey(0xA55).point),))
    assert desk.signs() == first, "its file is on another machine"
    bad = desk.new_key()
    desk.next_list(compromised=frozenset((bad,)))
    assert desk.signs() == first
    last = desk.new_key()
    desk.device("bus-1", seen_ago_s=0, version=1)
    assert desk.signs() == first
    desk.next_list(compromised=frozenset((first,)))
    assert desk.signs() == last, "what the old key signs verifies nowhere: nobody is waited for"


def test_without_the_file_of_the_key_in_force_nothing_starts(desk: Desk) -> None:
    (desk.folder / ROLE_FILES[KeyRole.LOG]).unlink()
    with pytest.raises(KeyFileUnsafe):
        Signing(desk.store, desk.folder).check_files()


def test_a_message_is_signed_by_the_key_that_it_names_though_a_switch_came_between(desk: Desk) -> None:
    signer = desk.signing.keys.ack
    before, payload = signer.point, TIME_ANSWER.encode(TimeAnswer("bus-1", bytes(16), NOW_S))
    aad = cose.external_aad(Kind.TIME_ANSWER, CITY)

    def switch_then_sign(message: bytes) -> bytes:
        desk.new_key()
        assert desk.signs() != before
        return signer.sign(message)

    crossed = cose.sign1(payload, aad, signer.key_id, switch_then_sign)
    assert cose.is_signature_of(cose.parse_sign1(crossed.raw, aad, OBJECT_BYTES_MAX), cose.verify_key(before))
    after = cose.sign1(payload, aad, signer.key_id, signer.sign)
    assert cose.is_signature_of(after, cose.verify_key(signer.point)) and signer.point != before


def test_the_next_list_closes_what_was_replaced_and_no_other(desk: Desk) -> None:
    first = desk.signs()
    new = desk.new_key()
    book = KeyBook(desk.store)
    assert book.replaced() == frozenset() and book.waiting(KeyRole.ACK, desk.now_s)
    assert desk.signs() == new
    assert book.replaced() == {first} and book.waiting(KeyRole.ACK, desk.now_s) is None
    desk.next_list(closed=book.replaced())
    ends = {key.point: key.trusted.not_after_s for key in book.of_role(KeyRole.ACK)}
    assert ends[first] == desk.now_s < ends[new]
    desk.now_s += 100
    desk.next_list(closed=book.replaced())
    assert {key.point: key.trusted.not_after_s for key in book.of_role(KeyRole.ACK)} == ends, "closed once"
    desk.next_list(compromised=frozenset((first,)), closed=book.replaced())
    assert next(key for key in book.of_role(KeyRole.ACK) if key.point == first).trusted.not_after_s == REVOKED
    desk.next_list(closed=book.replaced())
    assert next(key for key in book.of_role(KeyRole.ACK) if key.point == first).trusted.is_revoked, "for ever"


@pytest.mark.parametrize(("reported", "good"), [([1], True), ([1, 2], True), ([2], False), ([], False), (None, True)])
def test_no_version_is_issued_that_an_active_device_cannot_read(desk: Desk, reported: object, good: bool) -> None:
    desk.device("bus-1", seen_ago_s=0, version=1)
    if reported is not None:
        state = cbor.encode({int(StateKey.OBJECT_VERSIONS): reported})
        desk.store.execute("UPDATE devices SET state = ?", (state,))
    if good:
        rotation.check_readable(desk.store, desk.now_s)
        return
    with pytest.raises(VersionUnknown) as refused:
        rotation.check_readable(desk.store, desk.now_s)
    assert "bus-1" in refused.value.detail
    rotation.check_readable(desk.store, desk.now_s + 25 * HOUR_S)


def test_the_ledger_takes_no_allowance_of_a_compromised_issuer_whatever_time_it_names(desk: Desk) -> None:
    ring, leaked = StoredKeys(desk.store), desk.signing.keys.issuer.point

    def judge(not_before_s: int) -> None:
        made = Allowance(CITY, bytes(8), leaked, 1, 1, 1, 0, 0, not_before_s, not_before_s + 100)
        for trusted, _key in ring.candidates(cose.key_id_of(leaked)):
            check_issuer(trusted, made)

    judge(desk.now_s)
    desk.new_key(KeyRole.ALLOWANCE_ISSUER)
    desk.next_list(compromised=frozenset((leaked,)))
    for not_before_s in (0, NOW_S - 100, desk.now_s, desk.now_s + 10**6):
        with pytest.raises(IssuerKeyExpired):
            judge(not_before_s)

"""When a leaked device CA key may be revoked, and which terminal holds that back: each edge, both sides. DESIGN §4."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from offline_ledger.city.enrolment import CERTIFICATE_LIFE_S, EARLIER_S, sign_certificate
from offline_ledger.city.leaked_ca import holding_back, note_leaked, to_be_revoked
from offline_ledger.city.rotation import put_in_force
from offline_ledger.city.store import Store
from offline_ledger.protocol import cbor
from offline_ledger.protocol.city import KeyRole
from offline_ledger.protocol.cose import Signer
from offline_ledger.protocol.device import DeviceCertificate, StateKey
from offline_ledger.rules.limits import DAY_S
from simulators.keys import SimulatedKey
from tests.city_service.test_rotation import CITY, NOW_S, Desk

ENROLLED_S = NOW_S - 100 * DAY_S
RENEWED_S = NOW_S - DAY_S
ENDS_S = RENEWED_S + CERTIFICATE_LIFE_S
POINT_TEST_ONLY = SimulatedKey(0xDE71).point


class Leaked(Desk):
    """A city whose first device CA key leaked; the second one signs."""

    def leak(self) -> None:
        self.old: Signer = self.signing.in_force(KeyRole.DEVICE_CA)
        point = self.new_key(KeyRole.DEVICE_CA)
        put_in_force(self.store, KeyRole.DEVICE_CA, point)
        self.new: Signer = self.signing.in_force(KeyRole.DEVICE_CA)
        note_leaked(self.store, frozenset({self.old.point}))

    def terminal(self, signer: Signer, used_from_s: object, *, from_s: int = RENEWED_S, ends_s: int = ENDS_S) -> None:
        made = DeviceCertificate(CITY, "bus-1", 2, "o", POINT_TEST_ONLY, from_s, ends_s, 0, 24)
        state = {} if used_from_s is None else {int(StateKey.CERTIFICATE_FROM_S): used_from_s}
        self.store.execute(
            "REPLACE INTO devices(device, role, owner, point, certificate, not_before_s, expires_at_s,"
            " offline_value_kgo, offline_hours, enrolled_at_s, state) VALUES('bus-1', 2, 'o', ?, ?, ?, ?, 0, 24, ?, ?)",
            (POINT_TEST_ONLY, sign_certificate(made, signer), from_s, ends_s, ENROLLED_S, cbor.encode(state)),
        )

    def revocable(self) -> bool:
        found = to_be_revoked(self.store, self.signing.book, NOW_S)
        assert found <= {self.old.point}
        assert bool(found) != bool(holding_back(self.store, self.signing.book, NOW_S))
        return bool(found)


@pytest.fixture
def desk(store: Store, tmp_path: Path) -> Iterator[Leaked]:
    folder = tmp_path / "keys-test-only"
    folder.mkdir()
    made = Leaked(store, folder)
    made.leak()
    yield made


@pytest.mark.parametrize(
    ("used_from_s", "is_free"),
    [(RENEWED_S, True), (RENEWED_S + 1, True), (RENEWED_S - 1, False), (None, False), (True, False), ("x", False)],
)
def test_a_terminal_holds_it_back_until_it_says_that_it_uses_the_new_one(
    desk: Leaked, used_from_s: object, is_free: bool
) -> None:
    desk.terminal(desk.new, used_from_s)
    assert desk.revocable() is is_free


def test_a_certificate_of_the_old_key_holds_it_back_whatever_is_said(desk: Leaked) -> None:
    desk.terminal(desk.old, RENEWED_S + 9)
    assert not desk.revocable()
    assert holding_back(desk.store, desk.signing.book, NOW_S) == ["bus-1"]


def test_one_enrolled_after_the_leak_never_had_another(desk: Leaked) -> None:
    desk.terminal(desk.new, None, from_s=ENROLLED_S - EARLIER_S)
    assert desk.revocable()
    desk.terminal(desk.old, None, from_s=ENROLLED_S - EARLIER_S)
    assert not desk.revocable()


def test_those_that_take_no_code_any_more_hold_nothing_back(desk: Leaked) -> None:
    desk.terminal(desk.old, None, ends_s=NOW_S)
    assert not desk.revocable(), "its last second"
    desk.terminal(desk.old, None, ends_s=NOW_S - 1)
    assert desk.revocable()
    desk.terminal(desk.old, None)
    desk.store.execute("UPDATE devices SET revoked_after = 3")
    assert desk.revocable()


def test_a_blocked_one_may_come_back_and_holds_it_back(desk: Leaked) -> None:
    desk.terminal(desk.old, None)
    desk.store.execute("UPDATE devices SET blocked = 1")
    assert not desk.revocable()


def test_a_damaged_row_holds_it_back(desk: Leaked) -> None:
    desk.terminal(desk.new, RENEWED_S)
    desk.store.execute("UPDATE devices SET certificate = x'00'")
    assert not desk.revocable()
    desk.terminal(desk.new, RENEWED_S)
    desk.store.execute("UPDATE devices SET state = x'ff'")
    assert not desk.revocable()


def test_only_keys_that_leaked_and_never_the_one_in_force(desk: Leaked) -> None:
    book = desk.signing.book
    assert to_be_revoked(desk.store, book, NOW_S) == {desk.old.point}
    note_leaked(desk.store, frozenset({desk.new.point}))
    assert to_be_revoked(desk.store, book, NOW_S) == {desk.old.point}, "both are noted, one of them signs"
    desk.next_list(compromised=frozenset({desk.old.point}))
    assert to_be_revoked(desk.store, book, NOW_S) == frozenset(), "once"

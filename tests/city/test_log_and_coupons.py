"""The log only grows, whoever uploads at once; coupons post once; a failed commit ends the store."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import apsw
import pytest

from offline_ledger import errors
from offline_ledger.city import accounts
from offline_ledger.city import store as store_module
from offline_ledger.city.accounts import ISSUANCE, OwnerKind, owner_account, wallet_account
from offline_ledger.city.audit import audit
from offline_ledger.city.log import Checkpoint, Log, advance_checkpoint, leaf_data, read_checkpoint, write_checkpoint
from offline_ledger.city.store import Store
from offline_ledger.protocol import tree, wallet
from offline_ledger.protocol.city import Outcome
from offline_ledger.protocol.device import DeviceRole, VoucherKind
from offline_ledger.protocol.kinds import Kind
from offline_ledger.protocol.wallet import Coupon
from tests.city.town import (
    ACK_TEST_ONLY,
    CITY,
    FARE_KGO,
    ISSUER_TEST_ONLY,
    NOW_S,
    Town,
    read_answer,
    signed_by,
)

POSTED = (Outcome.POSTED, 0)
OPERATOR = owner_account(OwnerKind.OPERATOR, "transit")


def test_each_ack_extends_the_one_before(town: Town) -> None:
    bus = town.terminal("bus-1", DeviceRole.VALIDATOR)
    heads: list[Checkpoint] = []
    for first in range(1, 10):
        bus.boarding(town.wallet().ride_code(NOW_S), NOW_S)
        ack = town.send(bus, first=first).ack
        heads.append(Checkpoint(ack.log_size, ack.log_root))
    log = Log(town.store)
    for old in heads:
        assert log.root_at(old.size) == old.root
        proof = log.consistency_proof(old.size, heads[-1].size)
        assert tree.is_consistent(old.size, heads[-1].size, proof, old.root, heads[-1].root)
    assert read_checkpoint(town.checkpoint) == heads[-1]


def test_the_log_is_the_tree_of_its_leaves(town: Town) -> None:
    log = Log(town.store)
    leaves = [leaf_data("bus", at, bytes(32), 1, 0) for at in range(1, 38)]
    for begin, end in ((0, 1), (1, 1), (1, 6), (6, 37)):
        with town.store.transaction():
            assert log.append(leaves[begin:end]) == begin
        hashes = [tree.leaf_hash(leaf) for leaf in leaves[:end]]
        assert log.head() == Checkpoint(end, tree.root_of_leaves(hashes))


def test_many_uploads_at_once_post_each_voucher_once(town: Town) -> None:
    buses = [town.terminal(f"bus-{at}", DeviceRole.VALIDATOR) for at in range(4)]
    riders = [town.wallet() for _ in range(6)]
    for bus in buses:
        for rider in riders:
            bus.boarding(rider.ride_code(NOW_S), NOW_S)
    bodies = [(bus, bus.batch(last=last)) for bus in buses for last in (3, 6, 6)]
    beside = Store.open(town.path)

    def upload(at: int) -> None:
        bus, body = bodies[at % len(bodies)]
        read_answer(town.ingest.ingest(body, NOW_S + 60), bus)
        accounts.grant(beside, 1, 1, NOW_S, "beside the service")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(upload, range(len(bodies) * 2)))
    beside.close()
    assert town.balance(OPERATOR) == 4 * 6 * FARE_KGO
    assert town.balance(wallet_account(1)) == len(bodies) * 2
    assert Log(town.store).head().size == 24
    assert audit(town.store).findings == ()
    town.assert_sound()


def _coupon(device: str = "bus-1", expires_at_s: int = NOW_S + 100, value_kgo: int = 700) -> Coupon:
    return Coupon(CITY, b"coupon-1", "base", device, None, value_kgo, expires_at_s)


def test_a_coupon_posts_once_and_only_where_it_is_pinned(town: Town) -> None:
    bus, other = (town.terminal(name, DeviceRole.VALIDATOR) for name in ("bus-1", "bus-2"))
    good = signed_by(ISSUER_TEST_ONLY, Kind.COUPON, wallet.COUPON.encode(_coupon()))
    forged = signed_by(ACK_TEST_ONLY, Kind.COUPON, wallet.COUPON.encode(_coupon()))
    late = signed_by(ISSUER_TEST_ONLY, Kind.COUPON, wallet.COUPON.encode(_coupon(expires_at_s=NOW_S - 6)))
    other.voucher(VoucherKind.COUPON, NOW_S, [good], kgo=700, satang=100)
    for shown, kgo in ((forged, 700), (late, 700), (good, 701), (good, 700), (good, 700)):
        bus.voucher(VoucherKind.COUPON, NOW_S, [shown], kgo=kgo, satang=100)
    invalid = (Outcome.REJECTED, errors.CouponInvalid.number)
    elsewhere = (Outcome.REJECTED, errors.CouponOfOtherTerminal.number)
    expired = (Outcome.REJECTED, errors.CouponExpired.number)
    issued = town.balance(ISSUANCE)
    assert town.send(other).outcomes == [elsewhere]
    assert town.send(bus).outcomes == [invalid, expired, invalid, POSTED, invalid]
    assert town.balance(OPERATOR) == 700
    assert town.balance(ISSUANCE) == issued - 700
    assert audit(town.store).findings == ()
    town.assert_sound()


def test_after_a_failed_commit_the_store_opens_itself_again_before_anything_is_written(
    town: Town, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What is on disk is not known then; opening again finds out, as soon as that works."""

    class FailingConnection:
        def __init__(self, real: apsw.Connection) -> None:
            self.real = real

        def __getattr__(self, name: str) -> object:
            return getattr(self.real, name)

        def execute(self, sql: str, *bindings: object) -> object:
            if sql == "COMMIT":
                raise apsw.IOError("injected: sync failed")
            return self.real.execute(sql, *bindings)  # type: ignore[arg-type]

    bus = town.terminal("bus-1", DeviceRole.VALIDATOR)
    bus.boarding(town.wallet().ride_code(NOW_S), NOW_S)
    town.store._connection = FailingConnection(town.store._connection)
    with pytest.raises(errors.StorageFailed):
        town.send(bus)

    def no_room(_path: str, *, create: bool) -> None:
        raise errors.StorageFull(f"injected, create {create}")

    with monkeypatch.context() as patch:
        patch.setattr(store_module, "_connect", no_room)
        for _again in range(2):
            with pytest.raises(errors.StorageFull):
                town.send(bus)
            assert town.store.fetch("SELECT * FROM vouchers") == [], "it still reads"
    assert town.send(bus).outcomes == [POSTED]
    assert not isinstance(town.store._connection, FailingConnection)
    said = [vars(record)["fields"]["refusal"] for record in caplog.records if record.name == "kgo.city.store"]
    assert said == [errors.StorageFailed.number, 0]
    town.assert_sound()


def test_a_store_that_is_damaged_after_a_failed_commit_stays_closed_to_writing(town: Town) -> None:
    """The database was cut short underneath: nothing is written over it."""
    bus = town.terminal("bus-1", DeviceRole.VALIDATOR)
    bus.boarding(town.wallet().ride_code(NOW_S), NOW_S)
    town.store.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    town.store._failed = True
    with town.path.open("r+b") as file:
        file.seek(5 * 4096)
        file.write(bytes(4096))
    for _again in range(2):
        with pytest.raises(errors.Refusal) as refused:
            town.send(bus)
        assert refused.type in (errors.LedgerDamaged, errors.StorageFailed)


def test_no_voucher_is_charged_twice_whoever_posts(town: Town) -> None:
    """The rows that say what was posted are gone, as in a file that was mixed of two: the store itself refuses."""
    bus = town.terminal("bus-1", DeviceRole.VALIDATOR)
    bus.boarding(town.wallet().ride_code(NOW_S), NOW_S)
    assert town.send(bus).outcomes == [POSTED]
    balances = town.store.fetch("SELECT * FROM accounts")
    for statement in (
        "DELETE FROM vouchers",
        "DELETE FROM spends",
        "UPDATE devices SET through_sequence = 0, total_kgo = 0, chain_head = x'" + "00" * 32 + "'",
    ):
        town.store.execute(statement)
    with pytest.raises(errors.LedgerDamaged):
        town.send(bus)
    assert town.store.fetch("SELECT * FROM vouchers") == []
    assert town.store.fetch("SELECT * FROM accounts") == balances


def test_the_checkpoint_file_never_goes_back_by_itself(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint"
    assert read_checkpoint(path) is None
    for size, kept in ((5, 5), (3, 5), (8, 8)):
        advance_checkpoint(path, Checkpoint(size, bytes([size]) * 32))
        assert read_checkpoint(path) == Checkpoint(kept, bytes([kept]) * 32)
    write_checkpoint(path, Checkpoint(1, bytes(32)))
    assert read_checkpoint(path) == Checkpoint(1, bytes(32))
    path.write_text("torn")
    with pytest.raises(errors.RecoveryNeeded):
        read_checkpoint(path)

"""The audit is independent, finds each thing that was changed by its key, says it in both languages, and its memory
does not grow with the ledger."""

import ast
import gc
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import apsw
import pytest

from offline_ledger import errors
from offline_ledger.city import accounts, allowances, audit_devices, audit_findings, decisions, deposits, trust
from offline_ledger.city.audit import audit
from offline_ledger.city.audit_findings import FINDINGS_MAX, Findings, Place
from offline_ledger.city.audit_log import RootOfLeaves
from offline_ledger.city.day_close import close_day
from offline_ledger.city.store import Row, SqlValue, Store
from offline_ledger.city.trust import Changes
from offline_ledger.protocol import tree
from offline_ledger.protocol.city import KeyRole
from offline_ledger.protocol.device import DeviceRole, EventKind, VoucherKind
from offline_ledger.protocol.wallet import Audience, Closing
from offline_ledger.texts import Texts
from simulators.keys import SimulatedKey
from tests.city.test_day_close import AFTER_S, BEGIN_S, DAY, publish, ride
from tests.city.town import ACK_TEST_ONLY, BULLETIN_TEST_ONLY, CA_TEST_ONLY, CITY, NOW_S, Town
from tests.city.town import ISSUER_TEST_ONLY as ISSUER

ROOT_TEST_ONLY, LOG_TEST_ONLY = SimulatedKey(0x5555), SimulatedKey(0x6666)

CITY_FOLDER = Path(accounts.__file__).parent
POSTING_ROOMS = ("posting", "posting_rebates", "judging", "cover", "returning", "bench", "pricing", "decisions")
POSTING_ROOMS += ("branches", "charging", "deposits", "day_close", "ingest", "ingest_reading", "allowances", "grants")


def busy(folder: Path) -> Town:
    """A bit of everything that is posted: rides, a sale with its reward, a refund, a deposit, a rebate, a fork."""
    town = Town(folder)
    sign_lists(town)
    publish(town)
    rider, buyer = town.wallet(60_000), town.wallet()
    deposits.put_down(town.store, rider.wallet_id, 10_000, "by hand", NOW_S)
    buses = [town.terminal(f"bus-{at}", DeviceRole.VALIDATOR) for at in (1, 2)]
    for at, bus in enumerate(buses):
        ride(bus, rider, BEGIN_S + 60 * at)
        bus.event(EventKind.RATIFIED, 1, [], [])
    shop = town.terminal("pos-1", DeviceRole.SHOP)
    buyer.next(2_000)
    shop.sale(buyer.sign(buyer.presentment(Audience.SHOP, NOW_S)), NOW_S, 12_000, 2_000, reward_kgo=200)
    shop.voucher(VoucherKind.REFUND, NOW_S, kgo=500, satang=2_500, refers_to=1)
    clone = buses[0].copy()
    ride(buses[0], buyer, BEGIN_S + 200)
    ride(clone, town.wallet(), BEGIN_S + 300)
    for terminal in (*buses, shop, clone):
        town.send(terminal, AFTER_S)
    decisions.unblock(town.store, "bus-1")
    decisions.release_held(town.store, town.reader, town.limits, "bus-1", AFTER_S)
    assert len(list(close_day(town.store, DAY, AFTER_S))) == 1
    allowances.statement(town.store, ACK_TEST_ONLY, rider.allowance.identity, AFTER_S)
    quiet = town.wallet()
    allowances.close(town.store, quiet.sign(Closing(quiet.allowance.identity, 0, 0)).raw, AFTER_S)
    return town


def sign_lists(town: Town, *revoked: tuple[str, int]) -> None:
    """Two trust lists that name the town's keys; the second revokes."""
    points = dict(zip(KeyRole, (ISSUER, CA_TEST_ONLY, BULLETIN_TEST_ONLY, ACK_TEST_ONLY, LOG_TEST_ONLY), strict=True))
    points = {role: key.point for role, key in points.items()}
    trust.add_list(
        town.store,
        trust.sign_list(trust.first_list(CITY, [ROOT_TEST_ONLY.point], 1, points, NOW_S), [ROOT_TEST_ONLY]),
    )
    held = trust.newest(town.store)
    assert held is not None
    trust.add_list(
        town.store, trust.sign_list(trust.next_list(held, Changes(revocations=revoked), NOW_S), [ROOT_TEST_ONLY])
    )


REBATE = "(SELECT posting_id FROM postings WHERE reason = 13)"
SPEND = "(SELECT min(posting_id) FROM postings WHERE reason = 5 AND device = 'bus-2')"
DEPOSIT = "(SELECT posting_id FROM postings WHERE reason = 12)"
TAMPERED: list[tuple[str, str]] = [
    ("UPDATE vouchers SET raw = x'd2' WHERE device = 'bus-2'", "voucher_unreadable"),
    ("UPDATE vouchers SET sequence = 2 WHERE device = 'bus-2'", "sequence_gap"),
    ("UPDATE vouchers SET at_s = at_s + 1 WHERE device = 'bus-2'", "chain_broken"),
    ("UPDATE vouchers SET satang = 1 WHERE device = 'bus-2'", "chain_broken"),
    ("UPDATE devices SET through_sequence = 7 WHERE device = 'bus-2'", "chain_end"),
    ("DELETE FROM spends WHERE device = 'bus-2'", "no_wallet_object"),
    ("UPDATE vouchers SET objects = x'80' WHERE device = 'bus-2'", "no_wallet_object"),
    ("UPDATE spends SET object_kind = 6 WHERE device = 'bus-2'", "object_unreadable"),
    ("UPDATE allowances SET raw = (SELECT max(raw) FROM allowances)", "wallet_signature"),
    ("UPDATE events SET body = x'80'", "event_chain"),
    (
        "UPDATE vouchers SET objects = (SELECT objects FROM vouchers WHERE device = 'pos-1' AND sequence = 1)"
        " WHERE device = 'bus-2'",
        "beyond_signed",
    ),
    ("UPDATE spends SET n = n + 1 WHERE device = 'bus-2'", "spend_noted_wrong"),
    ("UPDATE spends SET accepted_kgo = 1 WHERE device = 'bus-2'", "spend_noted_wrong"),
    ("UPDATE batches SET head = x'd2' WHERE device = 'bus-2'", "head_signature"),
    ("DELETE FROM equivocations", "fork_unproven"),
    ("UPDATE equivocations SET second = first", "equivocation_unproven"),
    ("UPDATE entries SET posting_id = 99 WHERE posting_id = 1", "entry_alone"),
    ("UPDATE entries SET amount = amount + 1 WHERE posting_id = 1 AND amount > 0", "posting_unbalanced"),
    ("UPDATE postings SET reason = 11 WHERE posting_id = 1", "issuance_moved"),
    (f"UPDATE entries SET amount = -amount WHERE posting_id = {DEPOSIT}", "deposit_bound"),
    ("UPDATE accounts SET kind = 4 WHERE kind = 11", "deposit_elsewhere"),
    ("UPDATE accounts SET balance = -1 WHERE kind = 11", "below_zero"),
    ("UPDATE accounts SET balance = balance + 1 WHERE kind = 4 AND currency = 1", "sum_not_zero"),
    ("UPDATE accounts SET balance = balance + 1 WHERE kind = 4 AND currency = 1", "balance_wrong"),
    (f"UPDATE entries SET amount = 2 * amount WHERE posting_id = {SPEND}", "charged_too_much"),
    (f"UPDATE entries SET amount = amount - (amount > 0) + (amount < 0) WHERE posting_id = {SPEND}", "credited_wrong"),
    ("DROP TRIGGER IF EXISTS one_charge; INSERT INTO postings VALUES(99, 5, 'bus-2', 1, 0, '')", "posted_twice"),
    ("INSERT INTO postings VALUES(99, 5, 'bus-2', 44, 0, '')", "posted_for_nothing"),
    ("UPDATE vouchers SET outcome = 3 WHERE device = 'bus-2'", "posted_rejected"),
    (
        "UPDATE entries SET amount = 9 * amount WHERE posting_id = (SELECT posting_id FROM postings WHERE reason = 6)",
        "returned_too_much",
    ),
    ("UPDATE vouchers SET raw = CAST(substr(raw, 1, length(raw) - 64) || zeroblob(64) AS BLOB)", "not_as_received"),
    ("UPDATE postings SET reason = 10 WHERE reason = 5 AND device = 'pos-1'", "reward_alone"),
    ("INSERT INTO risk_days VALUES('noodles', 1, 5)", "risk_day_wrong"),
    ("UPDATE postings SET posted_at_s = 0 WHERE reason = 5", "posted_ahead"),
    ("UPDATE rebates SET kgo = kgo - 1", "rebate_wrong"),
    ("DELETE FROM rebates", "rebate_wrong"),
    (f"UPDATE postings SET reason = 6 WHERE posting_id = {REBATE}", "rebate_wrong"),
    ("UPDATE rebates SET day = day + 1", "rebate_too_much"),
    ("UPDATE rebates SET fair_kgo = fair_kgo + 1", "rebate_too_much"),
    (f"UPDATE postings SET posted_at_s = {BEGIN_S + 100} WHERE posting_id = {REBATE}", "rebate_early"),
    ("INSERT INTO stand_ins(wallet_id, joined_id) VALUES(1, 2)", "stand_in_left"),
    ("DELETE FROM leaves WHERE leaf = 1", "leaves_gap"),
    ("UPDATE log SET root = x'" + "00" * 32 + "'", "root_wrong"),
    ("UPDATE leaves SET data = x'00' WHERE leaf = 1", "log_says_otherwise"),
    ("UPDATE fork_vouchers SET leaf = NULL", "log_says_otherwise"),
    ("UPDATE nodes SET hash = x'00' WHERE level = 1 AND at = 0", "node_wrong"),
    ("UPDATE fork_vouchers SET previous = x'00'", "fork_noted_wrong"),
    ("UPDATE accounts SET balance = 'much' WHERE kind = 4", "row_damaged"),
    ("UPDATE devices SET point = x'02' WHERE device = 'bus-2'", "row_damaged"),
    ("UPDATE equivocations SET kind = 99", "row_damaged"),
    ("UPDATE spends SET object_kind = 99 WHERE device = 'bus-2'", "object_unreadable"),
    ("UPDATE vouchers SET objects = x'01' WHERE device = 'bus-2'", "object_unreadable"),
    ("DELETE FROM log", "row_damaged"),
    ("UPDATE trust_lists SET raw = x'80' WHERE version = 1", "trust_list_wrong"),
    ("UPDATE trust_lists SET expires_at_s = expires_at_s + 1 WHERE version = 2", "trust_list_wrong"),
    ("UPDATE devices SET certificate = x'd2' WHERE device = 'bus-2'", "certificate_wrong"),
    ("UPDATE devices SET offline_value_kgo = 2000001 WHERE device = 'bus-2'", "certificate_wrong"),
    ("UPDATE allowances SET raw = x'd2'", "allowance_wrong"),
    ("UPDATE allowances SET reserve_kgo = reserve_kgo + 1", "allowance_wrong"),
    ("UPDATE allowances SET closing = x'd2' WHERE closing IS NOT NULL", "row_damaged"),
    ("UPDATE allowances SET closed_n = 5 WHERE closing IS NOT NULL", "closing_wrong"),
    ("UPDATE statements SET raw = x'd2'", "statement_wrong"),
    ("UPDATE statements SET issued_at_s = 0", "statement_wrong"),
    ("UPDATE bulletins SET raw = x'd2'", "bulletin_wrong"),
    ("UPDATE bulletins SET valid_until_s = 0", "bulletin_wrong"),
]


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a busy ledger without findings."""
    town = busy(tmp_path_factory.mktemp("audit"))
    report = audit(town.store)
    assert report.findings == () and report.is_ok and report.count == 0
    assert (report.vouchers, report.kgo_sum, report.satang_sum) == (5, 0, 0)
    town.store.close()
    return town.path


@pytest.fixture
def store(sound: Path, tmp_path: Path):
    copied = tmp_path / "copy.db"
    copied.write_bytes(sound.read_bytes())
    opened = Store.open(copied)
    yield opened
    opened.close()


@pytest.mark.parametrize(("tamper", "what"), TAMPERED, ids=lambda value: value[:60])
def test_each_thing_that_was_changed_is_found_and_said_in_both_languages(store: Store, tamper: str, what: str) -> None:
    store.execute("DROP TRIGGER one_charge")  # the store's own guard; the audit trusts none
    store.execute(tamper)
    report = audit(store)
    assert what in {finding.what for finding in report.findings}
    assert not report.is_ok and report.count == len(report.findings)
    for language in ("th", "en"):
        texts = Texts(language)
        for finding in report.findings:
            said, place = audit_findings.text_of(texts, finding), audit_findings.place_of(texts, finding)
            assert said and place and "{" not in said + place
            assert any("\u0e00" <= char <= "\u0e7f" for char in said) == (language == "th")


def test_a_deposit_that_paid_before_its_turn_is_found(store: Store) -> None:
    """Somebody moved part of a ride from the reserve to the deposit, and every sum still fits."""
    row = store.one("SELECT min(posting_id) FROM postings WHERE reason = 5 AND device = 'bus-2'")
    assert row is not None
    from_reserve = "SELECT account_id FROM entries JOIN accounts USING(account_id) WHERE posting_id = ? AND kind = 2"
    store.execute(
        f"UPDATE entries SET amount = amount + 7 WHERE posting_id = ? AND account_id = ({from_reserve})", row * 2
    )
    store.execute("INSERT INTO entries SELECT ?, account_id, -7 FROM accounts WHERE kind = 11", row)
    store.execute("UPDATE accounts SET balance = balance - 7 WHERE kind = 11")
    store.execute(
        "UPDATE accounts SET balance = balance + 7 WHERE account_id ="
        " (SELECT account_id FROM entries JOIN accounts USING(account_id) WHERE posting_id = ? AND kind = 2)",
        row,
    )
    assert {finding.what for finding in audit(store).findings} == {"deposit_early", "posting_changed"}


def test_a_bad_voucher_signature_is_4004_the_devices_fault_and_stays_posted(tmp_path: Path) -> None:
    town = Town(tmp_path)
    bus, rider = town.terminal("bus-1", DeviceRole.VALIDATOR), town.wallet()
    bus.boarding(rider.ride_code(NOW_S), NOW_S)
    raw, objects = bus.vouchers[0]
    bus.vouchers[0] = (raw[:-64] + bytes(63) + b"\x01", objects)
    town.send(bus)
    report = audit(town.store)
    assert report.is_ok and report.count == 1
    (finding,) = report.findings
    assert finding.is_device_fault and finding.refusal is errors.VoucherSignatureWrong
    assert finding.where == Place("voucher", "bus-1/1")
    for language in ("th", "en"):
        assert audit_findings.text_of(Texts(language), finding).startswith("4004 ")


@pytest.mark.parametrize("was_bad", [False, True], ids=["it signed well", "it signed badly"])
def test_a_signature_damaged_in_the_ledger_is_not_the_devices_fault(tmp_path: Path, was_bad: bool) -> None:
    """The posting says which bytes came."""
    town = Town(tmp_path)
    bus, rider = town.terminal("bus-1", DeviceRole.VALIDATOR), town.wallet()
    bus.boarding(rider.ride_code(NOW_S), NOW_S)
    raw, objects = bus.vouchers[0]
    if was_bad:
        bus.vouchers[0] = (raw[:-64] + bytes(63) + b"\x01", objects)
    town.send(bus)
    town.store.execute("UPDATE vouchers SET raw = ?", (raw[:-64] + bytes(63) + b"\x02",))
    report = audit(town.store)
    assert [(one.what, one.is_device_fault) for one in report.findings] == [("not_as_received", False)]
    town.store.execute("UPDATE postings SET note = ''")  # as an earlier version posted: nobody can tell
    found = audit(town.store).findings
    assert ("voucher_signature", True) in [(one.what, one.is_device_fault) for one in found]


def test_a_refunds_damaged_signature_is_not_the_devices_fault_either(store: Store) -> None:
    damage = "CAST(substr(raw, 1, length(raw) - 64) || zeroblob(64) AS BLOB)"
    store.execute(f"UPDATE vouchers SET raw = {damage} WHERE device = 'pos-1' AND sequence = 2")
    found = [(one.what, one.where.name, one.is_device_fault) for one in audit(store).findings]
    assert found == [("not_as_received", "pos-1/2", False)]


def test_many_bad_signatures_do_not_hide_a_fault_of_the_ledger() -> None:
    findings = Findings()
    for at in range(FINDINGS_MAX + 10):
        findings.add_bad_signature(Place("voucher", f"bus-1/{at}"))
    assert findings.is_ok and len(findings.kept) == FINDINGS_MAX
    findings.add("sum_not_zero", Place("currency", "KGO"), total="0.01")
    assert not findings.is_ok and findings.count == FINDINGS_MAX + 11
    assert len(findings.kept) == FINDINGS_MAX and findings.kept[-1].what == "sum_not_zero"


def test_the_audit_imports_nothing_that_makes_postings() -> None:
    for path in CITY_FOLDER.glob("audit*.py"):
        names = {
            f"{node.module}.{alias.name}" if isinstance(node, ast.ImportFrom) else alias.name
            for node in ast.walk(ast.parse(path.read_text("utf-8")))
            if isinstance(node, ast.Import | ast.ImportFrom)
            for alias in node.names
        }
        for room in POSTING_ROOMS:
            assert not [name for name in names if f"city.{room}." in name + "."], path.name


@pytest.mark.parametrize("size", [0, 1, 2, 3, 7, 8, 9, 255, 256, 257])
def test_the_root_by_a_stack_is_that_of_the_whole_list(size: int) -> None:
    leaves = [tree.leaf_hash(bytes((at & 255, at >> 8))) for at in range(size)]
    found = RootOfLeaves()
    for leaf in leaves:
        found.add(leaf)
    assert (found.size, found.root) == (size, tree.root_of_leaves(leaves))


# --- memory


def test_no_query_of_the_audit_sorts_a_table(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sorter would hold the whole table; every stream follows an index."""
    plans: list[str] = []
    stream: Callable[..., object] = Store.stream

    def explained(self: Store, sql: str, bindings: tuple[SqlValue, ...] = ()):
        plans.extend(str(row[3]) for row in self.fetch(f"EXPLAIN QUERY PLAN {sql}", bindings))
        return stream(self, sql, bindings)

    monkeypatch.setattr(Store, "stream", explained)
    assert audit(store).is_ok
    assert len(plans) > 10 and not [plan for plan in plans if "TEMP B-TREE" in plan]


def _grown(town: Town, rides: int, number: int) -> None:
    """So many rides of new wallets, five each."""
    bus = town.terminal(f"bus-{number}", DeviceRole.VALIDATOR)
    for _ in range(rides // 5):
        rider = town.wallet()
        for _ in range(5):
            bus.boarding(rider.ride_code(NOW_S), NOW_S)
    for first in range(1, rides, 500):
        town.send(bus, first=first, last=min(first + 499, rides))


def _peaks(store: Store) -> tuple[int, int]:
    """(Python's, SQLite's) most bytes during one audit: the less of two, for a thread that another test of this
    process has left behind is counted too, and what grows does so every time."""
    audit(store)  # whatever is made once is there
    found = [_peaks_once(store) for _ in range(2)]
    return min(python for python, _sqlite in found), min(sqlite for _python, sqlite in found)


def _peaks_once(store: Store) -> tuple[int, int]:
    gc.collect()
    spare = [tuple(range(size)) for size in range(1, 20) for _ in range(2_000)]
    del spare  # Python keeps so many for later use: they are there before the counting begins
    apsw.memory_high_water(True)
    before = apsw.memory_used()
    tracemalloc.start()
    try:
        report = audit(store)
        python_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert report.is_ok and report.findings == ()
    return python_bytes, apsw.memory_high_water() - before


def test_memory_does_not_grow_with_the_ledger(
    tmp_path: Path, slice_of: Callable[[int, int], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Five times the vouchers, wallets, postings and leaves: the same memory. What is bounded by a setting of its own
    (SQLite's pages, the wallets' keys) is made small here, so that it cannot hide a growth."""
    small, large = 250, slice_of(20_000, 1_250)
    town = Town(tmp_path)
    monkeypatch.setattr(audit_devices, "WALLET_KEYS_MAX", 16)
    town.store.execute("PRAGMA cache_size=-64")
    _grown(town, small, 1)
    first = _peaks(town.store)
    _grown(town, large - small, 2)
    second = _peaks(town.store)
    for before, after in zip(first, second, strict=True):
        assert after - before < 20 * (large - small), (first, second)  # not even one hash kept for each voucher


def _rows_in_memory(store: Store) -> list[Row]:
    """What the memory test must catch: all vouchers at once."""
    return store.fetch("SELECT raw FROM vouchers")


def test_the_memory_test_would_see_rows_that_are_kept(tmp_path: Path) -> None:
    town = Town(tmp_path)
    _grown(town, 250, 1)
    tracemalloc.start()
    try:
        kept = _rows_in_memory(town.store)
        assert len(kept) == 250 and tracemalloc.get_traced_memory()[1] > 20 * len(kept)
    finally:
        tracemalloc.stop()

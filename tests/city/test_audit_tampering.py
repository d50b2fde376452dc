"""Money moved in the database with every balance kept: the audit names the row, whatever was changed. DESIGN §8.

The town here has played everything that is posted: what nobody touched stays sound."""

import ast
from pathlib import Path

import pytest

from offline_ledger.city import audit_findings, bulletins, decisions, deposits, trust
from offline_ledger.city.audit import audit
from offline_ledger.city.audit_findings import Findings
from offline_ledger.city.audit_links import check_kept_mark
from offline_ledger.city.log import read_mark
from offline_ledger.city.posting_links import Linked, Mark, link_before, link_of
from offline_ledger.city.store import Store
from offline_ledger.city.trust import Changes
from offline_ledger.protocol import cbor
from offline_ledger.protocol.device import DeviceRole, EventKind, VoucherKind
from offline_ledger.protocol.kinds import Kind
from offline_ledger.protocol.wallet import COUPON, Audience, Coupon
from offline_ledger.texts import Texts
from tests.city import test_refund_requests
from tests.city.test_audit import CITY_FOLDER, ROOT_TEST_ONLY, TAMPERED, busy
from tests.city.test_day_close import AFTER_S
from tests.city.test_joins import lost, ridden, stand_in_of
from tests.city.town import (
    ACK_TEST_ONLY,
    BULLETIN_TEST_ONLY,
    CITY,
    ISSUER_TEST_ONLY,
    NOW_S,
    Town,
    TownTerminal,
    TownWallet,
    pay_two_way,
    signed_by,
)

LATER_S = AFTER_S + 600
PAPER = COUPON.encode(Coupon(CITY, b"coupon-1", "base", "bus-3", None, 700, NOW_S + 100))
BALANCED = (
    "; UPDATE accounts SET balance = (SELECT coalesce(sum(amount), 0) FROM entries e"
    " WHERE e.account_id = accounts.account_id)"
)
"""As who knows the ledger would do it: stored balances fit the entries again."""


def played(folder: Path) -> Town:
    """A busy town, and then: duplicates, a green that lapsed, suspense decided and open, a cheat, a join, a coupon-like
    refund whole, a revocation, a deny list, a deposit that came back."""
    town = busy(folder)
    town.store.execute("INSERT INTO owners VALUES('rice', 1, 'rice', 100000, 0)")
    pos = [town.terminal(f"pos-{at}", DeviceRole.SHOP, owner=("noodles", "rice")[at % 2]) for at in range(2, 6)]
    bus = [town.terminal(f"bus-{at}", DeviceRole.VALIDATOR) for at in range(3, 8)]
    for at in (0, 2):  # one intent at two shops: the second waits
        buyer = town.wallet()
        _sold(pos[at], buyer)
        pos[at + 1].sale(buyer.sign(buyer.presentment(Audience.SHOP, NOW_S)), NOW_S, 12_000, 2_000, reward_kgo=200)
    returned = town.wallet()
    _sold(pos[0], returned)
    pos[0].voucher(VoucherKind.VOID, NOW_S, kgo=2_000, satang=10_000, refers_to=2)
    _ridden(bus[0], town.wallet())
    bus[0].event(EventKind.RATIFIED, 1, [1], [])
    pay_two_way(pos[0], town.wallet(), 3_000, NOW_S)
    paper = signed_by(ISSUER_TEST_ONLY, Kind.COUPON, PAPER)
    bus[0].voucher(VoucherKind.COUPON, NOW_S, [paper], kgo=700, satang=100)
    for terminal in (*pos, bus[0]):
        town.send(terminal, AFTER_S)
    bus[0].event(EventKind.LAPSED, 1, NOW_S + 700, False)
    town.send(bus[0], AFTER_S, first=3, last=2, first_event=2)
    decisions.reconsider(town.store, "pos-2", 1, "was at the other", LATER_S)
    decisions.decide_suspense(town.store, "pos-2", 1, pay=False, from_risk=False, note="", now_s=LATER_S)
    decisions.decide_suspense(town.store, "pos-3", 1, pay=True, from_risk=False, note="", now_s=LATER_S)
    cheat = town.wallet()
    _ridden(bus[1], cheat)
    bus[2].boarding(cheat.sign(cheat.presentment(Audience.TRANSIT, NOW_S, sum_kgo=7)), NOW_S)
    bus[4].boarding(cheat.sign(cheat.presentment(Audience.TRANSIT, NOW_S, sum_kgo=9)), NOW_S)
    for terminal in (*bus[1:3], bus[4]):
        town.send(terminal, LATER_S)
    holder = town.wallet(200_000)
    ridden(town, bus[3], holder, lost(town, holder, 1))
    decisions.rebuilt_wallet_joins(town.store, stand_in_of(town, holder), holder.wallet_id, "card in hand", LATER_S)
    saver = town.wallet(60_000)
    deposits.put_down(town.store, saver.wallet_id, 9_000, "", LATER_S)
    held = trust.newest(town.store)
    assert held is not None
    changes = Changes(revocations=(("bus-4", 1),))
    trust.add_list(town.store, trust.sign_list(trust.next_list(held, changes, LATER_S), [ROOT_TEST_ONLY]))
    bulletins.publish_deny_list(town.store, BULLETIN_TEST_ONLY, LATER_S)
    return town


def _sold(shop: TownTerminal, buyer: TownWallet) -> None:
    buyer.next(2_000)
    shop.sale(buyer.sign(buyer.presentment(Audience.SHOP, NOW_S)), NOW_S, 12_000, 2_000, reward_kgo=200)


def _ridden(bus: TownTerminal, rider: TownWallet) -> None:
    bus.boarding(rider.ride_code(NOW_S), NOW_S)


FORGED = cbor.encode([signed_by(ACK_TEST_ONLY, Kind.COUPON, PAPER).raw]).hex()
SALE = "(SELECT min(posting_id) FROM postings WHERE device = 'pos-1' AND reason = 5)"
REWARD = "(SELECT min(posting_id) FROM postings WHERE device = 'pos-1' AND reason = 7)"
RIDE = "(SELECT min(posting_id) FROM postings WHERE device = 'bus-2' AND reason = 5)"
RESERVE = "(SELECT min(posting_id) FROM postings WHERE reason = 2)"
REFUND = "(SELECT posting_id FROM postings WHERE reason = 6 AND device = 'pos-1')"
OF_FIRST = "wallet_id = 1"
FIRST, CLOSED, CHEAT, CHEATS = "first", "closed", "the cheat's", "the cheat"
"""Allowances, and a wallet, by what they are; their names are found in the town."""
MOVED: list[tuple[str, str, str]] = [
    (
        "UPDATE entries SET account_id = (SELECT account_id FROM accounts WHERE kind = 3 AND name = 'rice' AND currency"
        f" = 1) WHERE posting_id = {SALE} AND account_id IN (SELECT account_id FROM accounts WHERE kind = 3 AND"
        " currency = 1)",
        "credited_elsewhere",
        "pos-1/1",
    ),
    (
        "UPDATE entries SET account_id = (SELECT min(account_id) FROM accounts WHERE kind = 2 AND account_id NOT IN"
        f" (SELECT account_id FROM entries WHERE posting_id = {RIDE})) WHERE posting_id = {RIDE} AND account_id IN"
        " (SELECT account_id FROM accounts WHERE kind = 2)",
        "reserve_elsewhere",
        "bus-2/1",
    ),
    (
        "UPDATE entries SET account_id = (SELECT min(account_id) FROM accounts WHERE kind = 1 AND account_id NOT IN"
        f" (SELECT account_id FROM entries WHERE posting_id = {REWARD})) WHERE posting_id = {REWARD} AND account_id IN"
        " (SELECT account_id FROM accounts WHERE kind = 1)",
        "wallet_elsewhere",
        "pos-1/1",
    ),
    (
        "INSERT INTO accounts(kind, name, currency) VALUES(5, 'mine', 1); UPDATE entries SET account_id ="
        f" last_insert_rowid() WHERE posting_id = {REWARD} AND account_id IN"
        " (SELECT account_id FROM accounts WHERE kind = 5)",
        "campaign_elsewhere",
        "pos-1/1",
    ),
    (f"UPDATE entries SET amount = amount * 10 WHERE posting_id = {REWARD}", "reward_wrong", "pos-1/1"),
    (
        f"DELETE FROM entries WHERE posting_id = {REWARD}; DELETE FROM postings WHERE posting_id = {REWARD}",
        "reward_missing",
        "pos-1/1",
    ),
    (f"UPDATE postings SET reason = 9 WHERE posting_id = {RIDE}", "posting_shape", "bus-2/1"),
    ("UPDATE spends SET paid_by = 0 WHERE device = 'bus-2'", "payer_noted_wrong", "bus-2/1"),
    ("UPDATE spends SET paid_by = 2 WHERE device = 'bus-4'", "payer_noted_wrong", "bus-4/1"),
    ("DELETE FROM suspense WHERE device = 'pos-5'", "suspense_wrong", "pos-5/1"),
    ("UPDATE suspense SET decided_at_s = 1 WHERE device = 'pos-5'", "suspense_wrong", "pos-5/1"),
    ("UPDATE suspense SET owner = 'noodles' WHERE device = 'pos-5'", "suspense_elsewhere", "pos-5/1"),
    ("UPDATE postings SET posted_at_s = posted_at_s - 86400 * 40", "posted_early", "bus-2/1"),
    ("UPDATE vouchers SET late = 1 WHERE device = 'bus-2'", "late_wrong", "bus-2/1"),
    ("DELETE FROM devices WHERE device = 'bus-2'", "device_unknown", "bus-2/1"),
    ("UPDATE entries SET amount = amount * 10 WHERE posting_id = 2", "posting_changed", "2"),
    ("UPDATE postings SET note = 'x' WHERE posting_id = 2", "posting_changed", "2"),
    ("UPDATE postings SET posted_at_s = posted_at_s + 1 WHERE posting_id = 2", "posting_changed", "2"),
    ("UPDATE postings SET reason = 9 WHERE posting_id = 2", "posting_changed", "2"),
    ("DELETE FROM postings WHERE posting_id = 2; DELETE FROM entries WHERE posting_id = 2", "posting_taken_out", "2"),
    (
        "DELETE FROM postings WHERE posting_id = 2; DELETE FROM entries WHERE posting_id = 2;"
        " DELETE FROM posting_links WHERE posting_id = 2",
        "link_missing",
        "3",
    ),
    (
        "INSERT INTO postings SELECT 9999, reason, device, sequence, posted_at_s, note FROM postings WHERE posting_id ="
        " 2; INSERT INTO entries SELECT 9999, account_id, amount FROM entries WHERE posting_id = 2",
        "posting_put_in",
        "9999",
    ),
    ("DELETE FROM rewards", "reward_not_counted", "pos-1/1"),
    ("UPDATE rewards SET kgo = 0", "reward_day_wrong", "2"),
    ("DELETE FROM equivocations; DELETE FROM denied; UPDATE wallets SET frozen = 0", "equivocation_gone", CHEAT),
    ("UPDATE wallets SET frozen = 0", "frozen_wrong", CHEATS),
    ("UPDATE wallets SET frozen = 1 WHERE wallet_id = 1", "frozen_wrong", "1"),
    ("DELETE FROM denied", "denial_gone", CHEATS),
    ("UPDATE denied SET wallet_id = 1", "denied_alone", "1"),
    ("UPDATE denied SET expires_at_s = 1", "denied_until_wrong", CHEATS),
    ("UPDATE suspense SET kgo = kgo * 100 WHERE device = 'pos-5'", "suspense_amount", "pos-5/1"),
    ("UPDATE suspense SET kgo = 1 WHERE device = 'pos-3'", "suspense_amount", "pos-3/1"),
    ("INSERT INTO suspense VALUES('pos-2', 9, 'noodles', 700, 4046, NULL, '')", "suspense_amount", "pos-2/9"),
    (
        "DELETE FROM equivocations WHERE equivocation_id = (SELECT max(equivocation_id) FROM equivocations)",
        "equivocation_gone",
        CHEAT,
    ),
    ("DELETE FROM equivocations WHERE equivocation_id = 1", "equivocation_gap", "2"),
    ("DELETE FROM bulletins WHERE kind = 1 AND counter = 1", "bulletin_gap", "1.1.2"),
    ("DELETE FROM bulletins WHERE kind = 1", "bulletin_gone", "bus-2/1"),
    ("UPDATE deny_lists SET full_list = x''", "deny_list_wrong", "3.1"),
    ("DELETE FROM deny_lists", "deny_list_wrong", "3.1"),
    ("UPDATE devices SET revoked_after = NULL", "revocation_wrong", "bus-4"),
    ("UPDATE devices SET revoked_after = 5 WHERE device = 'bus-2'", "revocation_wrong", "bus-2"),
    ("DELETE FROM closed_days", "day_not_closed", "bus-2/1"),
    ("UPDATE vouchers SET received_at_s = received_at_s - 100000 WHERE device = 'bus-2'", "received_wrong", "bus-2/1"),
    ("DELETE FROM unratified", "unratified_wrong", "bus-3/1"),
    ("UPDATE spends SET counts = 0 WHERE device = 'bus-2' AND sequence = 1", "spend_noted_wrong", "bus-2/1"),
    ("UPDATE spends SET at_s = at_s + 60 WHERE device = 'bus-2' AND sequence = 1", "spend_noted_wrong", "bus-2/1"),
    (f"UPDATE allowances SET closed_n = 0, closed_sum_kgo = 0 WHERE {OF_FIRST}", "closing_wrong", FIRST),
    ("DELETE FROM batches", "batch_gone", "bus-2"),
    ("DELETE FROM requests", "request_gone", "pos-2/4"),
    ("UPDATE requests SET cancelled = 1", "request_gone", "pos-2/4"),
    ("DELETE FROM coupons", "coupon_gone", "bus-3/2"),
    (f"UPDATE vouchers SET objects = x'{FORGED}' WHERE device = 'bus-3' AND sequence = 2", "coupon_wrong", "bus-3/2"),
    (f"UPDATE entries SET amount = amount * 2 WHERE posting_id = {RESERVE}", "reserve_wrong", FIRST),
    (f"UPDATE allowances SET wallet_id = 3 WHERE {OF_FIRST}", "allowance_elsewhere", FIRST),
    (
        "UPDATE entries SET account_id = (SELECT account_id FROM accounts WHERE kind = 1 AND name = '2')"
        " WHERE posting_id = (SELECT posting_id FROM postings WHERE reason = 4) AND amount > 0",
        "reserve_went_elsewhere",
        CLOSED,
    ),
    (f"UPDATE allowances SET returned_kgo = 1 WHERE {OF_FIRST}", "allowance_noted_wrong", FIRST),
    (f"UPDATE allowances SET issued_at_s = 1 WHERE {OF_FIRST}", "allowance_noted_wrong", FIRST),
    (f"UPDATE allowances SET state = 3 WHERE {OF_FIRST}", "allowance_state_wrong", FIRST),
    (f"DELETE FROM allowances WHERE {OF_FIRST}", "allowance_gone", FIRST),
    ("DELETE FROM unratified; DELETE FROM events WHERE device = 'bus-3'", "yield_wrong", "bus-3/1"),
    (
        f"DELETE FROM entries WHERE posting_id = {REFUND}; DELETE FROM postings WHERE posting_id = {REFUND}",
        "refund_wrong",
        "pos-1/1",
    ),
    (f"UPDATE entries SET amount = amount / 5 WHERE posting_id = {REFUND}", "refund_wrong", "pos-1/1"),
    (
        f"DELETE FROM entries WHERE posting_id = {RIDE}; DELETE FROM postings WHERE posting_id = {RIDE}",
        "not_posted",
        "bus-2/1",
    ),
    ("UPDATE wallets SET account_point = zeroblob(33) WHERE wallet_id = 1", "wallet_key_changed", "1"),
    ("DELETE FROM wallets WHERE wallet_id = 1", "wallet_missing", "1"),
    ("UPDATE owners SET owner = 'noodlez' WHERE owner = 'noodles'", "owner_missing", "noodles"),
    ("DELETE FROM owners WHERE owner = 'noodles'", "device_owner_missing", "pos-1"),
]
"""(what somebody did, the finding, where)"""


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of the town before anybody did anything to it."""
    town = played(tmp_path_factory.mktemp("played"))
    assert audit(town.store).findings == ()
    town.assert_sound()
    town.store.close()
    return town.path


@pytest.fixture
def store(untouched: Path, tmp_path: Path):
    copied = tmp_path / "copy.db"
    copied.write_bytes(untouched.read_bytes())
    opened = Store.open(copied)
    yield opened
    opened.close()


@pytest.mark.parametrize(("tamper", "what", "where"), MOVED, ids=lambda value: value[:70])
def test_what_was_moved_or_erased_is_named_in_both_languages(store: Store, tamper: str, what: str, where: str) -> None:
    cheat = "wallet_id = (SELECT wallet_id FROM equivocations WHERE wallet_id IS NOT NULL)"
    names = {FIRST: "wallet_id = 1", CLOSED: "closing IS NOT NULL", CHEAT: cheat, CHEATS: cheat}
    if where in names:
        row = store.one(f"SELECT hash, wallet_id FROM allowances WHERE {names[where]}")
        assert row is not None
        where = str(row[1]) if where == CHEATS else row[0].hex()[:16]
    store.execute(tamper + BALANCED)
    report = audit(store)
    named = [finding for finding in report.findings if (finding.what, finding.where.name) == (what, where)]
    assert named, [(finding.what, finding.where.name) for finding in report.findings]
    for language in ("th", "en"):
        texts = Texts(language)
        for finding in report.findings:
            said = audit_findings.text_of(texts, finding)
            assert said and "{" not in said
            assert any("\u0e00" <= char <= "\u0e7f" for char in said) == (language == "th")


def _checkpointed(store: Store, town_folder: Path) -> Mark:
    kept = read_mark(town_folder / "outside" / "checkpoint")
    assert kept is not None
    return kept


def test_who_links_anew_what_he_changed_is_found_by_the_mark_outside(store: Store, untouched: Path) -> None:
    """He knows the chain and writes it again from the gift on; the newest link outside the database tells."""
    kept = _checkpointed(store, untouched.parent)
    findings = Findings()
    check_kept_mark(store, kept, findings)
    assert findings.is_ok
    store.execute("UPDATE entries SET amount = amount * 10 WHERE posting_id = 2" + BALANCED)
    link = link_before(store, 2)
    for posting in store.fetch("SELECT * FROM postings WHERE posting_id >= 2 ORDER BY posting_id"):
        moved = store.fetch(
            "SELECT kind, name, currency, amount FROM entries JOIN accounts USING(account_id) WHERE posting_id = ?",
            (posting[0],),
        )
        link = link_of(link, Linked(*posting), [(row[0], row[1], row[2], row[3]) for row in moved])
        store.execute("UPDATE posting_links SET link = ? WHERE posting_id = ?", (link, posting[0]))
    assert audit(store).is_ok, "nothing inside the ledger contradicts him"
    check_kept_mark(store, kept, findings)
    assert [(one.what, one.where.name) for one in findings.kept] == [("mark_wrong", str(kept.posting_id))]


NAMING = ("add", "_held", "_compare")


def test_every_finding_of_the_catalogue_is_provoked_here() -> None:
    """And none is raised that the table does not know."""
    raised: set[str] = set()
    for path in CITY_FOLDER.glob("audit*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in NAMING:
                first = node.args[0] if node.args else None
                if isinstance(first, ast.Constant) and isinstance(first.value, str):
                    raised.add(first.value)
    elsewhere = {"deposit_early", "taken_back_wrong", "mark_wrong"}  # taken back: test_grants
    elsewhere |= {what for _tamper, what in test_refund_requests.TAMPERED.values()}
    assert raised == {what for _tamper, what in TAMPERED} | {what for _tamper, what, _where in MOVED} | elsewhere

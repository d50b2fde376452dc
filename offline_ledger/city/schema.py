"""Tables of the city's store, one statement each. Amounts in minor units, times in Unix seconds. DESIGN §8.

Signed objects are kept as received beside the columns that queries need; what a device sent is never deleted.
Never decides anything.
"""

SCHEMA_VERSION = 12

_MONEY_2 = (
    # what day close gave back for a boarding; why: the fare's explanation. fair_kgo: what it came to with all terminals
    "CREATE TABLE rebates(device TEXT NOT NULL, sequence INTEGER NOT NULL, wallet_id INTEGER NOT NULL,"
    " day INTEGER NOT NULL, kgo INTEGER NOT NULL, fair_kgo INTEGER NOT NULL, why TEXT NOT NULL,"
    " PRIMARY KEY(device, sequence)) WITHOUT ROWID",
    # days that were closed once; what arrives later for one of them is settled at the next run
    "CREATE TABLE closed_days(day INTEGER PRIMARY KEY, closed_at_s INTEGER NOT NULL)",
    # accounts that hold what a restored ledger had lost, until they turn out to be somebody's: joined_id
    "CREATE TABLE stand_ins(wallet_id INTEGER PRIMARY KEY, joined_id INTEGER, kgo INTEGER NOT NULL DEFAULT 0,"
    " note TEXT NOT NULL DEFAULT '', joined_at_s INTEGER)",
    "INSERT INTO stand_ins(wallet_id) SELECT wallet_id FROM wallets WHERE name = 'rebuilt from an allowance'",
    "CREATE INDEX spends_by_time ON spends(at_s)",
)
_DESK_3 = (
    # what the operator has looked at and needs no more: rejected, late and forked vouchers
    "CREATE TABLE reviewed(identity BLOB PRIMARY KEY, at_s INTEGER NOT NULL, note TEXT NOT NULL) WITHOUT ROWID",
    # codes that open one account each; only their hashes are kept
    "CREATE TABLE invitation_batches(batch INTEGER PRIMARY KEY, made_at_s INTEGER NOT NULL,"
    " expires_at_s INTEGER NOT NULL, count INTEGER NOT NULL, note TEXT NOT NULL DEFAULT '', withdrawn_at_s INTEGER)",
    "CREATE TABLE invitations(code_hash BLOB PRIMARY KEY, batch INTEGER NOT NULL, used_at_s INTEGER,"
    " account_point BLOB) WITHOUT ROWID",
    "CREATE INDEX invitations_by_batch ON invitations(batch)",
    # accounts that were opened from outside within the last day: the ceilings are judged by them
    "CREATE TABLE registrations(wallet_id INTEGER PRIMARY KEY, at_s INTEGER NOT NULL)",
    "CREATE INDEX registrations_by_time ON registrations(at_s)",
)
_GAPS_4 = (
    # events that a restored ledger had lost and the device no longer has: first..last; head: its own after last
    "CREATE TABLE event_gaps(device TEXT NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL, head BLOB NOT NULL,"
    " noted_at_s INTEGER NOT NULL, PRIMARY KEY(device, last)) WITHOUT ROWID",
)
# pass ids on the deny list, once for each reason; the deny-list bulletin is made from this table
_DENIED = (
    "CREATE TABLE denied(pass_id BLOB NOT NULL, wallet_id INTEGER NOT NULL, reason TEXT NOT NULL,"
    " since_s INTEGER NOT NULL, expires_at_s INTEGER NOT NULL, PRIMARY KEY(pass_id, reason)) WITHOUT ROWID"
)
_SPENDS_BY_ALLOWANCE = "CREATE INDEX spends_by_allowance ON spends(hash, counts, n)"
_BOUNDS_5 = (
    "ALTER TABLE denied RENAME TO denied_4",
    _DENIED,
    "INSERT INTO denied SELECT * FROM denied_4",
    "DROP TABLE denied_4",
    # what contradicts another is looked at by itself from now on
    "UPDATE spends SET counts = 2 WHERE counts = 0 AND EXISTS(SELECT 1 FROM spends o WHERE o.hash = spends.hash"
    " AND (o.n = spends.n AND o.intent <> spends.intent"
    " OR o.n < spends.n AND o.sum_kgo + o.authorised_kgo > spends.sum_kgo"
    " OR o.n > spends.n AND o.sum_kgo < spends.sum_kgo + spends.authorised_kgo))",
    "DROP INDEX spends_by_allowance",
    _SPENDS_BY_ALLOWANCE,
    # the risk fund's day is the one it paid on, no longer the one that a voucher claims
    "DELETE FROM risk_days",
    "INSERT INTO risk_days SELECT c.name, (p.posted_at_s + 25200) / 86400, -sum(e.amount) FROM postings p"
    " JOIN entries e USING(posting_id) JOIN accounts a USING(account_id) JOIN accounts c ON c.account_id ="
    " (SELECT min(x.account_id) FROM entries x JOIN accounts y USING(account_id)"
    " WHERE x.posting_id = p.posting_id AND y.kind IN (3, 4, 8) AND y.currency = 1)"
    " WHERE p.reason = 5 AND a.kind = 7 GROUP BY 1, 2",
)
# of each voucher one charge stands at a time: SPEND or COUPON, until its YIELD. Holds whoever writes
_ONE_CHARGE = (
    "CREATE TRIGGER one_charge BEFORE INSERT ON postings WHEN NEW.reason IN (5, 8) AND (SELECT sum(reason IN (5, 8))"
    " - sum(reason = 10) FROM postings WHERE device = NEW.device AND sequence = NEW.sequence) > 0"
    " BEGIN SELECT RAISE(ABORT, 'posted already'); END"
)
# what is old enough to be forgotten is found by its time: every request of a wallet asks
_NONCES_BY_TIME = "CREATE INDEX wallet_nonces_by_time ON wallet_nonces(at_s)"
# one link for each posting, over the one before it (posting_links)
_LINKS = "CREATE TABLE posting_links(posting_id INTEGER PRIMARY KEY, link BLOB NOT NULL)"
_LINKED_FROM = (
    "INSERT OR IGNORE INTO settings SELECT 'postings.linked_from',"
    " CAST(CAST(coalesce(max(posting_id), 0) + 1 AS TEXT) AS BLOB) FROM postings"
)
# when a person opened an account is known to the day, in Bangkok
_DAY_OF_OPENING = "UPDATE wallets SET registered_at_s = (registered_at_s + 25200) / 86400 * 86400 - 25200"
_PAID_BY = (
    "ALTER TABLE spends RENAME COLUMN charged_kgo TO accepted_kgo",
    "ALTER TABLE spends ADD COLUMN paid_by INTEGER NOT NULL DEFAULT 0",
    "UPDATE spends SET paid_by = 1 WHERE accepted_kgo > 0",
    "UPDATE spends SET paid_by = 2 WHERE paid_by = 1 AND EXISTS(SELECT 1 FROM vouchers v WHERE v.refusal = 4036"
    " AND v.device = spends.device AND v.sequence = spends.sequence)",
    # what gave way had been noted as 0, as what comes to 0 is
    "UPDATE spends SET accepted_kgo = v.kgo, paid_by = (v.kgo = 0) FROM vouchers v WHERE v.device = spends.device"
    " AND v.sequence = spends.sequence AND counts = 1 AND accepted_kgo = 0",
)
_PAPER_11 = (
    # coupons that were printed together, and each of them; what was used of them is in coupons
    "CREATE TABLE coupon_sheets(sheet INTEGER PRIMARY KEY, device TEXT NOT NULL, trip TEXT, product TEXT NOT NULL,"
    " value_kgo INTEGER NOT NULL, expires_at_s INTEGER NOT NULL, count INTEGER NOT NULL, made_at_s INTEGER NOT NULL,"
    " note TEXT NOT NULL, cancelled_at_s INTEGER, cancel_note TEXT NOT NULL DEFAULT '')",
    "CREATE TABLE printed_coupons(coupon_id BLOB PRIMARY KEY, sheet INTEGER NOT NULL, number INTEGER NOT NULL)"
    " WITHOUT ROWID",
    "CREATE INDEX printed_coupons_by_sheet ON printed_coupons(sheet, number)",
)
_ASKED_12 = (
    # what tills asked to be given back of other tills' sales; number: of the event that brought it. refusal: why it was
    # declined when it came, 0 for none. state: refund_requests.RequestState
    "CREATE TABLE refund_requests(identity BLOB PRIMARY KEY, device TEXT NOT NULL, number INTEGER NOT NULL,"
    " raw BLOB NOT NULL, original_device TEXT NOT NULL, original_sequence INTEGER NOT NULL, kgo INTEGER NOT NULL,"
    " at_s INTEGER NOT NULL, received_at_s INTEGER NOT NULL, state INTEGER NOT NULL, refusal INTEGER NOT NULL,"
    " decided_at_s INTEGER, note TEXT NOT NULL DEFAULT '') WITHOUT ROWID",
    "CREATE INDEX refund_requests_by_original ON refund_requests(original_device, original_sequence)",
    "CREATE INDEX refund_requests_waiting ON refund_requests(device) WHERE state = 0",
)
UPGRADES = {
    1: _MONEY_2,
    2: _DESK_3,
    3: (*_GAPS_4, "DROP TABLE IF EXISTS wanted"),
    4: _BOUNDS_5,
    5: (_ONE_CHARGE,),
    6: (_NONCES_BY_TIME,),
    7: (_LINKS, _LINKED_FROM),
    8: (_DAY_OF_OPENING,),
    9: _PAID_BY,
    10: _PAPER_11,
    11: _ASKED_12,
}
"""What brings a store of this version to the next one; run in one transaction when it is opened."""

CREATE = (
    # --- settings: small values; written by the composition root and by `kgo-city`
    "CREATE TABLE settings(key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID",
    # --- who is who
    # kind: accounts.OwnerKind (1 merchant, 2 operator)
    "CREATE TABLE owners(owner TEXT PRIMARY KEY, kind INTEGER NOT NULL, name TEXT NOT NULL,"
    " risk_day_kgo_max INTEGER NOT NULL, added_at_s INTEGER NOT NULL) WITHOUT ROWID",
    # through_sequence, chain_head, event_number, event_head: how far both chains are known here.
    # state: the batch head's state map as CBOR. total_kgo: all that it ever accepted (F is judged by it).
    "CREATE TABLE devices(device TEXT PRIMARY KEY, role INTEGER NOT NULL, owner TEXT NOT NULL, point BLOB NOT NULL,"
    " certificate BLOB NOT NULL, not_before_s INTEGER NOT NULL, expires_at_s INTEGER NOT NULL,"
    " offline_value_kgo INTEGER NOT NULL, offline_hours INTEGER NOT NULL, enrolled_at_s INTEGER NOT NULL,"
    " blocked INTEGER NOT NULL DEFAULT 0, blocked_reason TEXT NOT NULL DEFAULT '',"
    " through_sequence INTEGER NOT NULL DEFAULT 0, chain_head BLOB NOT NULL DEFAULT x'" + "00" * 32 + "',"
    " event_number INTEGER NOT NULL DEFAULT 0, event_head BLOB NOT NULL DEFAULT x'" + "00" * 32 + "',"
    " last_seen_s INTEGER NOT NULL DEFAULT 0, head_at_s INTEGER NOT NULL DEFAULT 0,"
    " head_trust INTEGER NOT NULL DEFAULT 0, state BLOB NOT NULL DEFAULT x'a0',"
    " total_kgo INTEGER NOT NULL DEFAULT 0,"
    " revoked_after INTEGER) WITHOUT ROWID",
    "CREATE TABLE enrolment_tokens(token_hash BLOB PRIMARY KEY, device TEXT NOT NULL, role INTEGER NOT NULL,"
    " owner TEXT NOT NULL, offline_value_kgo INTEGER NOT NULL, offline_hours INTEGER NOT NULL,"
    " expires_at_s INTEGER NOT NULL, used_at_s INTEGER) WITHOUT ROWID",
    # account_point: the account's root key. registered_at_s: the first second of that day
    # frozen: 0 no, 1 until review, 2 confirmed by review
    "CREATE TABLE wallets(wallet_id INTEGER PRIMARY KEY, account_point BLOB NOT NULL UNIQUE,"
    " concession INTEGER NOT NULL, medium INTEGER NOT NULL, registered_at_s INTEGER NOT NULL,"
    " frozen INTEGER NOT NULL DEFAULT 0, name TEXT NOT NULL DEFAULT '')",
    "CREATE TABLE wallet_nonces(account_point BLOB NOT NULL, nonce BLOB NOT NULL, at_s INTEGER NOT NULL,"
    " answer BLOB, PRIMARY KEY(account_point, nonce)) WITHOUT ROWID",
    # --- money: the entries of one posting sum to 0 per currency. currency: 1 KGO, 2 THB
    "CREATE TABLE accounts(account_id INTEGER PRIMARY KEY, kind INTEGER NOT NULL, name TEXT NOT NULL,"
    " currency INTEGER NOT NULL, balance INTEGER NOT NULL DEFAULT 0, UNIQUE(kind, name, currency))",
    "CREATE TABLE postings(posting_id INTEGER PRIMARY KEY, reason INTEGER NOT NULL, device TEXT, sequence INTEGER,"
    " posted_at_s INTEGER NOT NULL, note TEXT NOT NULL DEFAULT '')",
    "CREATE INDEX postings_by_voucher ON postings(device, sequence)",
    _ONE_CHARGE,
    "CREATE TABLE entries(posting_id INTEGER NOT NULL, account_id INTEGER NOT NULL, amount INTEGER NOT NULL,"
    " PRIMARY KEY(posting_id, account_id)) WITHOUT ROWID",
    "CREATE INDEX entries_by_account ON entries(account_id)",
    _LINKS,
    # --- allowances. state: allowances.AllowanceState. reserved_id: its reserved account
    "CREATE TABLE allowances(hash BLOB PRIMARY KEY, pass_id BLOB NOT NULL, wallet_id INTEGER NOT NULL,"
    " raw BLOB NOT NULL, wallet_point BLOB NOT NULL, reserve_kgo INTEGER NOT NULL, not_before_s INTEGER NOT NULL,"
    " expires_at_s INTEGER NOT NULL, issued_at_s INTEGER NOT NULL, reserved_id INTEGER NOT NULL,"
    " state INTEGER NOT NULL, closing BLOB, closed_n INTEGER, closed_sum_kgo INTEGER,"
    " duplicates INTEGER NOT NULL DEFAULT 0, returned_kgo INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID",
    "CREATE INDEX allowances_by_wallet ON allowances(wallet_id)",
    "CREATE INDEX allowances_unreleased ON allowances(expires_at_s) WHERE state < 3",
    "CREATE TABLE statements(hash BLOB PRIMARY KEY, raw BLOB NOT NULL, issued_at_s INTEGER NOT NULL) WITHOUT ROWID",
    # one row per voucher that a wallet authorised. counts: 1; 0 when it was rejected, but may still be proof; 2 when it
    # was rejected and is proof already (bench.Standing). accepted_kgo: what the terminal took; paid_by: bench.PaidBy
    "CREATE TABLE spends(device TEXT NOT NULL, sequence INTEGER NOT NULL, hash BLOB NOT NULL, n INTEGER NOT NULL,"
    " sum_kgo INTEGER NOT NULL, authorised_kgo INTEGER NOT NULL, intent BLOB NOT NULL, object BLOB NOT NULL,"
    " object_kind INTEGER NOT NULL, accepted_kgo INTEGER NOT NULL, counts INTEGER NOT NULL, at_s INTEGER NOT NULL,"
    " paid_by INTEGER NOT NULL DEFAULT 0, PRIMARY KEY(device, sequence)) WITHOUT ROWID",
    _SPENDS_BY_ALLOWANCE,
    # --- what devices sent. outcome: protocol.city.Outcome; leaf: index in the log, NULL while held
    "CREATE TABLE vouchers(device TEXT NOT NULL, sequence INTEGER NOT NULL, identity BLOB NOT NULL,"
    " raw BLOB NOT NULL, objects BLOB NOT NULL, outcome INTEGER NOT NULL, refusal INTEGER NOT NULL, leaf INTEGER,"
    " kind INTEGER NOT NULL, kgo INTEGER NOT NULL, satang INTEGER NOT NULL, at_s INTEGER NOT NULL,"
    " received_at_s INTEGER NOT NULL, late INTEGER NOT NULL DEFAULT 0, refers_to INTEGER,"
    " PRIMARY KEY(device, sequence)) WITHOUT ROWID",
    "CREATE INDEX vouchers_exceptional ON vouchers(outcome) WHERE outcome <> 1",
    "CREATE INDEX vouchers_referring ON vouchers(device, refers_to) WHERE refers_to IS NOT NULL",
    "CREATE TABLE fork_vouchers(identity BLOB PRIMARY KEY, device TEXT NOT NULL, sequence INTEGER NOT NULL,"
    " previous BLOB NOT NULL, raw BLOB NOT NULL, objects BLOB NOT NULL, received_at_s INTEGER NOT NULL,"
    " outcome INTEGER NOT NULL, refusal INTEGER NOT NULL, leaf INTEGER) WITHOUT ROWID",
    "CREATE INDEX fork_by_device ON fork_vouchers(device, sequence)",
    "CREATE TABLE events(device TEXT NOT NULL, number INTEGER NOT NULL, kind INTEGER NOT NULL, body BLOB NOT NULL,"
    " head BLOB NOT NULL, received_at_s INTEGER NOT NULL, PRIMARY KEY(device, number)) WITHOUT ROWID",
    "CREATE TABLE fork_events(head BLOB PRIMARY KEY, device TEXT NOT NULL, number INTEGER NOT NULL,"
    " kind INTEGER NOT NULL, body BLOB NOT NULL, received_at_s INTEGER NOT NULL) WITHOUT ROWID",
    # every different batch head: the device's signature over both chains; total_kgo: accepted up to here
    "CREATE TABLE batches(identity BLOB PRIMARY KEY, device TEXT NOT NULL, first_sequence INTEGER NOT NULL,"
    " last_sequence INTEGER NOT NULL, last_event INTEGER NOT NULL, head BLOB NOT NULL,"
    " received_at_s INTEGER NOT NULL, total_kgo INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE INDEX batches_by_device ON batches(device, received_at_s)",
    # greens that no RATIFIED event covers: state 1 unknown, 2 shown later uncharged, 3 lapsed and not charged
    "CREATE TABLE unratified(device TEXT NOT NULL, sequence INTEGER NOT NULL, state INTEGER NOT NULL,"
    " PRIMARY KEY(device, sequence)) WITHOUT ROWID",
    # payment requests that are paid or cancelled; there is one answer to each
    "CREATE TABLE requests(request_hash BLOB PRIMARY KEY, device TEXT NOT NULL, sequence INTEGER NOT NULL,"
    " cancelled INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE coupons(coupon_id BLOB PRIMARY KEY, device TEXT NOT NULL, sequence INTEGER NOT NULL) WITHOUT ROWID",
    # --- what needs a person. kind: equivocation.ProofKind; state: 0 open, 1 confirmed, 2 lifted
    "CREATE TABLE equivocations(equivocation_id INTEGER PRIMARY KEY, kind INTEGER NOT NULL, wallet_id INTEGER,"
    " device TEXT, first BLOB NOT NULL, second BLOB NOT NULL, context BLOB NOT NULL, pair BLOB NOT NULL UNIQUE,"
    " found_at_s INTEGER NOT NULL, state INTEGER NOT NULL DEFAULT 0, reviewed_at_s INTEGER,"
    " note TEXT NOT NULL DEFAULT '')",
    _DENIED,
    # money waiting for the operator; open while decided_at_s is NULL. owner: in whose name
    "CREATE TABLE suspense(device TEXT NOT NULL, sequence INTEGER NOT NULL, owner TEXT NOT NULL, kgo INTEGER NOT NULL,"
    " refusal INTEGER NOT NULL, decided_at_s INTEGER, decision TEXT NOT NULL DEFAULT '',"
    " PRIMARY KEY(device, sequence)) WITHOUT ROWID",
    # --- running totals that caps are judged by; day: civil day number in Asia/Bangkok, of the sale for a reward, of
    # the posting for the risk fund
    "CREATE TABLE rewards(wallet_id INTEGER NOT NULL, day INTEGER NOT NULL, kgo INTEGER NOT NULL,"
    " PRIMARY KEY(wallet_id, day)) WITHOUT ROWID",
    "CREATE TABLE risk_days(owner TEXT NOT NULL, day INTEGER NOT NULL, kgo INTEGER NOT NULL,"
    " PRIMARY KEY(owner, day)) WITHOUT ROWID",
    # --- transparency log
    "CREATE TABLE leaves(leaf INTEGER PRIMARY KEY, data BLOB NOT NULL)",
    "CREATE TABLE nodes(level INTEGER NOT NULL, at INTEGER NOT NULL, hash BLOB NOT NULL, PRIMARY KEY(level, at))"
    " WITHOUT ROWID",
    "CREATE TABLE log(id INTEGER PRIMARY KEY CHECK(id = 1), size INTEGER NOT NULL, root BLOB NOT NULL,"
    " start_name TEXT NOT NULL DEFAULT '')",
    # --- signed city data
    "CREATE TABLE trust_lists(version INTEGER PRIMARY KEY, raw BLOB NOT NULL, issued_at_s INTEGER NOT NULL,"
    " expires_at_s INTEGER NOT NULL)",
    "CREATE TABLE bulletins(kind INTEGER NOT NULL, trust_version INTEGER NOT NULL, counter INTEGER NOT NULL,"
    " raw BLOB NOT NULL, issued_at_s INTEGER NOT NULL, valid_from_s INTEGER NOT NULL, valid_until_s INTEGER NOT NULL,"
    " PRIMARY KEY(kind, trust_version, counter)) WITHOUT ROWID",
    "CREATE TABLE deny_lists(counter INTEGER PRIMARY KEY, full_list BLOB NOT NULL, ids INTEGER NOT NULL,"
    " as_of_s INTEGER NOT NULL)",
    *_MONEY_2,
    *_DESK_3,
    *_GAPS_4,
    _NONCES_BY_TIME,
    *_PAPER_11,
    *_ASKED_12,
)

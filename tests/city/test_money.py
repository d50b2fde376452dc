"""Money is conserved whatever terminals send: pure funding properties, and random towns against the real store."""

from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from offline_ledger.city import decisions, posting
from offline_ledger.city.accounts import (
    RISK,
    UNFUNDED,
    Account,
    AccountKind,
    OwnerKind,
    is_balanced,
    merged,
    owner_account,
    reserved_account,
    suspense_account,
    wallet_account,
)
from offline_ledger.city.audit import audit
from offline_ledger.city.posting import Payee, Payer
from offline_ledger.protocol.city import Outcome
from offline_ledger.protocol.device import DeviceRole, EventKind, VoucherKind
from offline_ledger.protocol.wallet import Audience
from tests.city.town import NOW_S, Town, TownTerminal, TownWallet

KGO = st.integers(0, 100_000)
PAYEE = Payee(OwnerKind.MERCHANT, "noodles")


@given(KGO, st.integers(-5_000, 100_000), KGO, st.integers(-100, 100_000))
def test_funding_adds_up_and_takes_only_what_is_there(kgo: int, available: int, reserved: int, risk: int) -> None:
    payer = Payer(1, bytes(32), reserved, available)
    funding = posting.fund(kgo, payer, risk)
    parts = (funding.reserved_kgo, funding.available_kgo, funding.risk_kgo, funding.unfunded_kgo)
    assert sum(parts) == kgo and min(parts) >= 0
    assert funding.reserved_kgo <= reserved
    assert funding.available_kgo <= max(0, available)
    assert funding.risk_kgo <= max(0, risk)
    # a later source gives only when the earlier is empty
    assert funding.available_kgo == 0 or funding.reserved_kgo == reserved
    assert funding.risk_kgo == 0 or funding.available_kgo == max(0, available)
    assert funding.unfunded_kgo == 0 or funding.risk_kgo == max(0, risk)


@given(KGO, KGO, KGO, KGO, st.booleans(), st.lists(st.integers(0, 100), max_size=5))
def test_refunds_in_any_pieces_undo_the_spend(
    kgo: int, available: int, reserved: int, risk: int, to_suspense: bool, cuts: list[int]
) -> None:
    payer = Payer(1, bytes(32), reserved, available)
    payee = Payee(OwnerKind.MERCHANT, "noodles", to_suspense)
    funding = posting.fund(kgo, payer, risk)
    net = posting.spend_entries(funding, payer, payee, kgo)
    assert is_balanced(net)
    pieces = [kgo * cut // 500 for cut in cuts]
    for piece in [*pieces, kgo - sum(pieces)]:
        back = posting.refund_entries(net, 1, piece, piece, payee)
        assert is_balanced(back)
        net = merged([*net, *back])
    # all that is left: what the reserve gave is in *available* now
    wanted = merged([(wallet_account(1), funding.reserved_kgo), (reserved_account(bytes(32)), -funding.reserved_kgo)])
    assert dict(net) == dict(wanted)


@given(KGO, KGO)
def test_last_source_is_refunded_first(risk: int, unfunded: int) -> None:
    payer = Payer(1, bytes(32), 10_000, 0)
    kgo = 10_000 + risk + unfunded
    net = posting.spend_entries(posting.fund(kgo, payer, risk), payer, PAYEE, 0)
    back = dict(posting.refund_entries(net, 1, unfunded + risk, 0, PAYEE))
    assert back.get(UNFUNDED, 0) == unfunded
    assert back.get(RISK, 0) == risk
    assert wallet_account(1) not in back


@given(KGO, st.lists(st.integers(1, 3_000), min_size=1, max_size=8))
def test_clawback_in_pieces_takes_all_and_never_more(reward: int, pieces: list[int]) -> None:
    left, standing = sum(pieces), reward
    for piece in pieces:
        back = posting.clawback_kgo(standing, piece, left)
        assert 0 <= back <= standing
        standing, left = standing - back, left - piece
    assert standing == 0


@given(KGO, KGO, st.booleans())
def test_a_decision_balances_and_empties_suspense(funded: int, unfunded: int, pay: bool) -> None:
    entries = dict(posting.decision_entries(PAYEE, funded + unfunded, unfunded, RISK, pay))
    assert is_balanced(entries.items())
    assert entries.get(suspense_account("noodles"), 0) == -(funded + unfunded)
    assert entries.get(owner_account(OwnerKind.MERCHANT, "noodles"), 0) == (funded + unfunded if pay else 0)


ACTION = st.tuples(
    st.sampled_from(["ride", "again", "cheat", "sale", "refund", "void", "lapse", "send", "wrong"]),
    st.integers(0, 2),
    st.integers(0, 2),
    st.integers(0, 8_000),
)


def _act(town: Town, terminal: TownTerminal, payer: TownWallet, what: str, kgo: int) -> None:
    if what in ("ride", "again", "cheat", "wrong"):
        if what == "ride" or not payer.n:
            payer.next(5_000)
        elif what == "cheat":
            payer.n, payer.sum_kgo = payer.n + 1, 0
        shown = payer.presentment(Audience.TRANSIT, NOW_S)
        terminal.boarding(payer.sign(shown), NOW_S, kgo=5_000 - (what == "wrong"))
    elif what == "sale":
        payer.next(kgo)
        code = payer.sign(payer.presentment(Audience.SHOP, NOW_S))
        terminal.sale(code, NOW_S, 20_000, kgo, reward_kgo=min(300, (20_000 - kgo) // 5_000 * 100))
    elif what == "send" and (terminal.vouchers or terminal.events):
        town.send(terminal)
    elif terminal.vouchers:
        refers_to = kgo % len(terminal.vouchers) + 1
        if what == "lapse":
            terminal.event(EventKind.LAPSED, refers_to, NOW_S, False)
        else:
            kind = VoucherKind.REFUND if what == "refund" else VoucherKind.VOID
            terminal.voucher(kind, NOW_S, kgo=kgo, satang=kgo // 2, refers_to=refers_to)


@settings(deadline=None)
@given(st.lists(ACTION, min_size=5, max_size=60))
def test_no_sequence_of_vouchers_makes_or_loses_money(actions: list[tuple[str, int, int, int]]) -> None:
    """Random rides, sales, clones, refunds, lost and doubled batches; then Σ = 0, the audit is clean, reserves hold."""
    with TemporaryDirectory() as folder:
        town = Town(Path(folder))
        terminals = [town.terminal(f"bus-{at}", DeviceRole.VALIDATOR) for at in range(2)]
        terminals.append(town.terminal("pos-0", DeviceRole.SHOP))
        wallets = [town.wallet(balance_kgo=balance) for balance in (50_000, 12_000, 5_000)]
        for what, device_at, wallet_at, kgo in actions:
            _act(town, terminals[device_at], wallets[wallet_at], what, kgo)
        for terminal in terminals:
            if terminal.vouchers or terminal.events:
                acked = town.send(terminal)
                assert town.send(terminal).ack.outcomes == acked.ack.outcomes
                assert all(outcome is not Outcome.HELD for outcome, _ in acked.outcomes)
        town.assert_sound()
        report = audit(town.store)
        assert report.findings == (), report.findings
        for kind, name, balance in town.store.fetch("SELECT kind, name, balance FROM accounts WHERE currency = 1"):
            if kind in (AccountKind.RESERVED, AccountKind.SUSPENSE):
                assert balance >= 0, Account(AccountKind(kind), name)
        waiting = town.store.fetch("SELECT device, sequence FROM suspense WHERE decided_at_s IS NULL")
        for at, (device_id, sequence) in enumerate(waiting):
            decisions.decide_suspense(
                town.store, device_id, sequence, pay=bool(at % 2), from_risk=True, note="", now_s=NOW_S
            )
        assert town.balance(UNFUNDED) == 0
        town.assert_sound()

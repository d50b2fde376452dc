"""Money is conserved whatever terminals send: pure funding properties, and random towns against the real store."""

from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from offline_ledger.city import day_close, decisions, deposits, posting
from offline_ledger.city.accounts import (
    RISK,
    UNFUNDED,
    Account,
    AccountKind,
    OwnerKind,
    deposit_account,
    is_balanced,
    merged,
    owner_account,
    reserved_account,
    suspense_account,
    wallet_account,
)
from offline_ledger.city.audit import audit
from offline_ledger.city.posting import Payee, Payer
from offline_ledger.errors import BalanceTooLow, DepositBound
from offline_ledger.protocol.city import Outcome
from offline_ledger.protocol.device import DeviceRole, EventKind, VoucherKind
from offline_ledger.protocol.wallet import Audience
from offline_ledger.rules.civil import civil_day
from offline_ledger.rules.limits import DAY_S
from tests.city.town import NOW_S, Town, TownTerminal, TownWallet

KGO = st.integers(0, 100_000)
PAYEE = Payee(OwnerKind.MERCHANT, "noodles")


@given(KGO, st.integers(-5_000, 100_000), KGO, KGO, st.integers(-100, 100_000))
def test_funding_adds_up_and_takes_only_what_is_there(
    kgo: int, available: int, reserved: int, deposit: int, risk: int
) -> None:
    payer = Payer(1, bytes(32), reserved, available, deposit)
    funding = posting.fund(kgo, payer, risk)
    gave = [funding.reserved_kgo, funding.available_kgo, funding.deposit_kgo, funding.risk_kgo]
    holds = [max(0, held) for held in (reserved, available, deposit, risk)]
    assert sum(gave) + funding.unfunded_kgo == kgo and min(*gave, funding.unfunded_kgo) >= 0
    assert all(part <= held for part, held in zip(gave, holds, strict=True))
    # a later source gives only when the earlier is empty
    for at, part in enumerate([*gave[1:], funding.unfunded_kgo]):
        assert part == 0 or gave[at] == holds[at]


@given(KGO, KGO, KGO, KGO, KGO, st.booleans(), st.lists(st.integers(0, 100), max_size=5))
def test_refunds_in_any_pieces_undo_the_spend(
    kgo: int, available: int, reserved: int, deposit: int, risk: int, to_suspense: bool, cuts: list[int]
) -> None:
    payer = Payer(1, bytes(32), reserved, available, deposit)
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


@given(KGO, KGO, KGO, KGO)
def test_last_source_is_refunded_first(deposit: int, risk: int, unfunded: int, back_kgo: int) -> None:
    payer = Payer(1, bytes(32), 10_000, 0, deposit)
    kgo = 10_000 + deposit + risk + unfunded
    back_kgo = min(back_kgo, kgo)
    net = posting.spend_entries(posting.fund(kgo, payer, risk), payer, PAYEE, 0)
    back = dict(posting.refund_entries(net, 1, back_kgo, 0, PAYEE))
    left = back_kgo
    for account, gave in ((UNFUNDED, unfunded), (RISK, risk), (deposit_account(1), deposit), (wallet_account(1), kgo)):
        assert back.get(account, 0) == min(left, gave)
        left -= min(left, gave)


@given(KGO, st.lists(st.integers(1, 3_000), min_size=1, max_size=8))
def test_clawback_in_pieces_takes_all_and_never_more(reward: int, pieces: list[int]) -> None:
    left, standing = sum(pieces), reward
    for piece in pieces:
        back = posting.clawback_kgo(standing, piece, left)
        assert 0 <= back <= standing
        standing, left = standing - back, left - piece
    assert standing == 0


@given(KGO, KGO, st.integers(-5_000, 100_000), KGO, st.booleans())
def test_paying_out_balances_empties_suspense_and_spends_the_deposit_before_a_debt(
    funded: int, unfunded: int, available: int, deposit: int, from_risk: bool
) -> None:
    payer = None if from_risk else Payer(1, bytes(32), 0, available, deposit)
    entries = dict(posting.payout_entries(PAYEE, funded + unfunded, unfunded, payer))
    assert is_balanced(entries.items())
    assert entries.get(suspense_account("noodles"), 0) == -(funded + unfunded)
    assert entries.get(owner_account(OwnerKind.MERCHANT, "noodles"), 0) == funded + unfunded
    assert entries.get(UNFUNDED, 0) == unfunded
    if from_risk:
        assert entries.get(RISK, 0) == -unfunded
    else:
        left_kgo = available + entries.get(wallet_account(1), 0)
        used_kgo = -entries.get(deposit_account(1), 0)
        assert 0 <= used_kgo <= deposit
        assert used_kgo == 0 or left_kgo <= 0  # not while there is anything available
        assert used_kgo == deposit or left_kgo >= min(0, available)  # no debt before the deposit is gone


@given(KGO, KGO, KGO, KGO)
def test_refusing_gives_back_to_each_who_had_funded(reserved: int, deposit: int, risk: int, unfunded: int) -> None:
    payer = Payer(1, bytes(32), reserved, 0, deposit)
    payee = Payee(OwnerKind.MERCHANT, "noodles", to_suspense=True)
    kgo = reserved + deposit + risk + unfunded
    net = posting.spend_entries(posting.fund(kgo, payer, risk), payer, payee, 0)
    back = merged([*net, *posting.refund_entries(net, 1, kgo, 0, payee)])
    assert dict(back) == dict(merged([(wallet_account(1), reserved), (reserved_account(bytes(32)), -reserved)]))


ACTION = st.tuples(
    st.sampled_from(
        ["ride", "again", "cheat", "sale", "refund", "void", "lapse", "send", "wrong", "deposit", "withdraw", "close"]
    ),
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
    elif what == "close":
        list(day_close.close_day(town.store, civil_day(NOW_S), NOW_S + DAY_S))
    elif what in ("deposit", "withdraw"):
        with suppress(BalanceTooLow, DepositBound):
            if what == "deposit":
                deposits.put_down(town.store, payer.wallet_id, kgo + 1, "", NOW_S)
            else:
                deposits.take_back(town.store, town.limits, payer.wallet_id, kgo + 1, "", NOW_S)
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
            if kind in (AccountKind.RESERVED, AccountKind.SUSPENSE, AccountKind.DEPOSIT):
                assert balance >= 0, Account(AccountKind(kind), name)
        waiting = town.store.fetch("SELECT device, sequence FROM suspense WHERE decided_at_s IS NULL")
        for at, (device_id, sequence) in enumerate(waiting):
            decisions.decide_suspense(
                town.store, device_id, sequence, pay=bool(at % 2), from_risk=True, note="", now_s=NOW_S
            )
        assert town.balance(UNFUNDED) == 0
        town.assert_sound()

"""`kgo-city exceptions` and `statement` over real vouchers: open items close, money ties up. DESIGN §7, §8."""

import csv
import io
import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from offline_ledger import errors
from offline_ledger.city import decisions, open_items, statements
from offline_ledger.city.log import Log, write_checkpoint
from offline_ledger.city.open_items import FORK, HELD, LATE, REJECTED, SUSPENSE, Item
from offline_ledger.city.statements import Sums
from offline_ledger.errors import NothingToReview, OwnerUnknown, Reconsidered
from offline_ledger.protocol.device import DeviceRole, EventKind
from offline_ledger.protocol.kinds import Kind
from offline_ledger.protocol.refund_request import REFUND_REQUEST, RefundRequest
from offline_ledger.protocol.shop_event import ShopEvent, encode_shop_event
from offline_ledger.protocol.wallet import Audience
from offline_ledger.rules.civil import civil_day, day_start_s
from offline_ledger.rules.limits import DAY_S
from tests.city.shop_counter import put
from tests.city.town import FARE_KGO, NOW_S, Town, signed_by
from tests.city_service.desk import run


@pytest.fixture
def town(tmp_path: Path) -> Town:
    (tmp_path / "city.toml").write_text('[city]\nid = "TH-40"\n[files]\ndatabase = "city.db"\n')
    return Town(tmp_path)


def ask(town: Town, *words: str, language: str = "en") -> subprocess.CompletedProcess[str]:
    write_checkpoint(town.folder / "checkpoint", Log(town.store).head())  # as the service does after each batch
    done = run(*words, "--settings", str(town.folder / "city.toml"), "--language", language)
    assert "Traceback" not in done.stderr, done.stderr
    return done


def open_ones(town: Town) -> list[tuple[str, str, int]]:
    return [(item.what, item.device, item.sequence) for item in open_items.items(town.store, closed_too=False)]


def all_ones(town: Town) -> list[Item]:
    return open_items.items(town.store, closed_too=True)


def cloned(town: Town) -> None:
    """bus-1 and its clone: sequence 1 twice. The first is posted, what comes after is held."""
    bus = town.terminal("bus-1", DeviceRole.VALIDATOR)
    clone = bus.copy()
    for terminal in (bus, clone):
        terminal.boarding(town.wallet().ride_code(NOW_S), NOW_S)
    town.send(bus)
    town.send(clone)


def shop_duplicate(town: Town) -> None:
    """pos-1 is paid, pos-2's sale of 20 KGO waits in suspense."""
    buyer = town.wallet()
    buyer.next(2_000)
    for name in ("pos-1", "pos-2"):
        till = town.terminal(name, DeviceRole.SHOP)
        till.sale(buyer.sign(buyer.presentment(Audience.SHOP, NOW_S)), NOW_S, 12_000, 2_000)
        town.send(till)


def rejected_one(town: Town) -> None:
    """bus-2 asks more than the tariff."""
    bus = town.terminal("bus-2", DeviceRole.VALIDATOR)
    bus.boarding(town.wallet().ride_code(NOW_S), NOW_S, kgo=FARE_KGO - 1)
    town.send(bus)


def late_one(town: Town) -> None:
    """bus-3 comes back after the wallet's allowance is over for good."""
    bus = town.terminal("bus-3", DeviceRole.VALIDATOR)
    bus.boarding(town.wallet().ride_code(NOW_S), NOW_S)
    town.send(bus, now_s=NOW_S + 30 * DAY_S)


def test_nothing_is_open_in_a_quiet_town(town: Town) -> None:
    assert open_ones(town) == [] == all_ones(town)
    assert ask(town, "exceptions").returncode == 0


def test_a_held_fork_is_open_until_released_and_looked_at(town: Town) -> None:
    cloned(town)
    assert open_ones(town) == [(HELD, "bus-1", 1)]
    (item,) = open_items.items(town.store, closed_too=False)
    assert (item.kgo, item.satang, item.at_s) == (FARE_KGO, 100, NOW_S)
    assert ask(town, "exceptions").returncode == 1
    assert decisions.release_held(town.store, town.reader, town.limits, "bus-1", NOW_S + 100) == 1
    assert open_ones(town) == [(FORK, "bus-1", 1)]
    assert open_items.mark_reviewed(town.store, "bus-1", 1, "the old card", NOW_S + 200) == 1
    assert open_ones(town) == []
    assert [(item.what, item.closed, item.is_open) for item in all_ones(town)] == [(FORK, "the old card", False)]


def test_suspense_is_open_until_decided(town: Town) -> None:
    shop_duplicate(town)
    assert open_ones(town) == [(SUSPENSE, "pos-2", 1)]
    with pytest.raises(NothingToReview):
        open_items.mark_reviewed(town.store, "pos-2", None, "", NOW_S)
    decide = {"from_risk": True, "note": "both gave goods", "now_s": NOW_S + 100}
    decisions.decide_suspense(town.store, "pos-2", 1, pay=True, **decide)
    assert open_ones(town) == []
    assert [item.closed for item in all_ones(town)] == ["paid: both gave goods"]
    decisions.reconsider(town.store, "pos-1", 1, "it was the other shop", NOW_S + 200)
    assert open_ones(town) == [(SUSPENSE, "pos-1", 1)], "posted once, and waiting again"
    (again,) = open_items.items(town.store, closed_too=False)
    assert (again.refusal, again.note, again.closed) == (Reconsidered.number, "it was the other shop", "")


def test_rejected_and_late_are_open_until_somebody_looked(town: Town) -> None:
    rejected_one(town)
    late_one(town)
    assert open_ones(town) == [(REJECTED, "bus-2", 1), (LATE, "bus-3", 1)]
    with pytest.raises(NothingToReview):
        open_items.mark_reviewed(town.store, "bus-2", 2, "", NOW_S)
    with pytest.raises(NothingToReview):
        open_items.mark_reviewed(town.store, "bus-9", None, "", NOW_S)
    assert open_items.mark_reviewed(town.store, "bus-2", None, "old tariff", NOW_S) == 1
    assert open_ones(town) == [(LATE, "bus-3", 1)]
    assert open_items.mark_reviewed(town.store, "bus-3", 1, "", NOW_S) == 1
    assert open_ones(town) == [] and len(all_ones(town)) == 2


def test_a_fork_that_is_released_into_suspense_is_told_by_the_name_that_decide_takes(town: Town) -> None:
    buyer = town.wallet()
    buyer.next(2_000)
    code = buyer.sign(buyer.presentment(Audience.SHOP, NOW_S))
    first = town.terminal("pos-1", DeviceRole.SHOP)
    second = town.terminal("pos-2", DeviceRole.SHOP)
    clone = second.copy()
    first.sale(code, NOW_S, 12_000, 2_000)
    second.sale(None, NOW_S, 12_000, 0)
    clone.sale(code, NOW_S, 12_000, 2_000)
    for till in (first, second, clone):
        town.send(till)
    decisions.release_held(town.store, town.reader, town.limits, "pos-2", NOW_S + 100)
    (item,) = open_items.items(town.store, closed_too=False)
    assert (item.what, item.sequence, item.kgo) == (SUSPENSE, 1, 2_000) and item.device.startswith("pos-2~")
    done = ask(town, "decide", item.device, "1", "--refuse", "--note", "cloned")
    assert done.returncode == 0, done.stderr
    assert open_ones(town) == []


@pytest.mark.parametrize("language", ["th", "en"])
def test_the_commands_say_what_closes_each_item_and_then_exit_0(town: Town, language: str) -> None:
    for happening in (cloned, shop_duplicate, rejected_one, late_one):
        happening(town)
    told = ask(town, "exceptions", language=language)
    assert told.returncode == 1
    for command in ("release", "decide", "reviewed", "confirm"):
        assert f"kgo-city {command}" in told.stdout
    assert ask(town, "lift", "1", language=language).returncode in (0, 1)  # no keys here: see test_commands
    listed = json.loads(ask(town, "exceptions", "--json").stdout)["vouchers"]
    assert [item["is_open"] for item in listed] == [True] * 4
    decisions.release_held(town.store, town.reader, town.limits, "bus-1", NOW_S + 100)
    town.store.execute("UPDATE equivocations SET state = 1")
    assert ask(town, "decide", "pos-2", "1", "--refuse", language=language).returncode == 0
    for device in ("bus-1", "bus-2", "bus-3"):
        done = ask(town, "reviewed", device, "--note", "seen", language=language)
        assert done.returncode == 0 and device in done.stdout
    nothing = ask(town, "reviewed", "bus-1", language=language)
    assert nothing.returncode == 1 and "4068" in nothing.stderr
    quiet = ask(town, "exceptions", language=language)
    assert quiet.returncode == 0 and "bus-" not in quiet.stdout
    history = ask(town, "exceptions", "--all", language=language)
    assert history.returncode == 0 and history.stdout.count("bus-") == 4 and "seen" in history.stdout


@pytest.mark.parametrize("language", ["th", "en"])
def test_a_clock_beyond_every_calendar_keeps_nothing_from_being_listed(town: Town, language: str) -> None:
    """What a till says of its time is its own word; a stolen one may say any."""
    never_s = (1 << 40) - 1
    rejected_one(town)
    till, sold = town.terminal("pos-1", DeviceRole.SHOP), town.terminal("pos-2", DeviceRole.SHOP)
    sale = sold.sale(None, never_s, 5_000, 0)
    asked = RefundRequest("pos-1", "pos-2", 2, sale.identity, 100, never_s, 2, 1, "01", "")
    signed = signed_by(till.key, Kind.REFUND_REQUEST, REFUND_REQUEST.encode(asked))
    till.event(EventKind.REFUND_REQUEST, signed.raw)
    put(till, encode_shop_event(ShopEvent(16, never_s, 2, 1, "01", 0, 0, (0,), "")))
    town.send(till)
    commands = ("exceptions", "refund-requests", "shifts", "shifts --csv")
    found = [ask(town, *command.split(), language=language) for command in commands]
    assert [done.returncode for done in found] == [1, 0, 0, 0]
    last = "> 31/12/10542" if language == "th" else "> 9999-12-31"
    assert all(last in done.stdout for done in found[:3]) and "> 9999-12-31" in found[3].stdout
    assert "bus-2" in found[0].stdout


# --- statements


def test_suspense_and_held_money_stands_in_the_statement_with_its_reason(town: Town) -> None:
    shop_duplicate(town)
    cloned(town)
    found = statements.statement(town.store, "noodles", None, None)
    assert found.ties and found.stored == found.after == Sums(2_000, 20_000, 2_000)
    (waiting,) = found.waiting
    assert (waiting.what, waiting.device, waiting.refusal, waiting.kgo) == (
        SUSPENSE,
        "pos-2",
        errors.DuplicateIntent.number,
        2_000,
    )
    (held,) = statements.statement(town.store, "transit", None, None).waiting
    assert (held.what, held.device, held.refusal, held.kgo, held.satang) == (
        HELD,
        "bus-1",
        errors.DeviceBlocked.number,
        FARE_KGO,
        100,
    )
    told = ask(town, "statement", "noodles")
    assert told.returncode == 0 and "4036 " in told.stdout and "Ties up with the ledger: 20.00 KGO" in told.stdout
    thai = ask(town, "statement", "transit", language="th").stdout
    assert "พักไว้" in thai and "4003 " in thai and "ตรงกับบัญชีของเมือง: 50.00 KGO" in thai


def test_the_columns_of_the_csv_add_up_to_the_balances(town: Town) -> None:
    shop_duplicate(town)
    for owner in ("noodles", "transit"):
        rows = list(csv.DictReader(io.StringIO(ask(town, "statement", owner, "--csv").stdout)))
        sums = [sum(round(float(row[name]) * 100) for row in rows) for name in ("kgo", "thb_declared", "suspense_kgo")]
        assert Sums(*sums) == statements.statement(town.store, owner, None, None).stored
    cloned(town)
    rows = list(csv.DictReader(io.StringIO(ask(town, "statement", "transit", "--csv").stdout)))
    assert [(row["posting"] == "", row["held_kgo"], row["why"][:4]) for row in rows] == [
        (False, "0.00", ""),
        (True, "50.00", "4003"),
    ]


def test_a_period_begins_with_what_stood_before(town: Town) -> None:
    bus = town.terminal("bus-1", DeviceRole.VALIDATOR)
    for day in range(3):
        bus.boarding(town.wallet().ride_code(NOW_S), NOW_S)
        town.send(bus, now_s=NOW_S + day * DAY_S, first=day + 1)
    middle = civil_day(NOW_S + DAY_S)
    found = statements.statement(town.store, "transit", middle, middle)
    assert (found.before.kgo, len(found.lines), found.after.kgo, found.stored.kgo) == (5_000, 1, 10_000, 15_000)
    assert found.ties
    line = found.lines[0]
    edges = (day_start_s(middle), day_start_s(middle + 1) - 1)
    for edge_s in edges:
        town.store.execute("UPDATE postings SET posted_at_s = ? WHERE posting_id = ?", (edge_s, line.posting_id))
        again = statements.statement(town.store, "transit", middle, middle)
        assert [one.posting_id for one in again.lines] == [line.posting_id] and again.ties
    told = ask(town, "statement", "transit", "--from", "2026-01-01").stdout
    assert "before" in told and "after" in told
    with pytest.raises(OwnerUnknown):
        statements.statement(town.store, "nobody", None, None)


@pytest.mark.parametrize(
    "harm",
    [
        "UPDATE accounts SET balance = balance + 1 WHERE name = 'noodles' AND kind = 3 AND currency = 1",
        "UPDATE accounts SET balance = balance - 1 WHERE name = 'noodles' AND kind = 8",
        "DELETE FROM entries WHERE posting_id = (SELECT posting_id FROM postings WHERE device = 'pos-1')",
    ],
)
def test_a_statement_that_does_not_tie_says_so_and_exits_1(town: Town, harm: str) -> None:
    shop_duplicate(town)
    assert ask(town, "statement", "noodles").returncode == 0
    town.store.execute(harm)
    for words in ((), ("--csv",)):
        told = ask(town, "statement", "noodles", *words)
        assert told.returncode == 1 and "Does NOT tie up" in told.stderr


def test_wrong_days_are_wrong_usage(town: Town) -> None:
    for days in (("--from", "2569-01-01"), ("--from", "1.1.2026"), ("--until", "2026-02-30"), ("--from", "2026-")):
        wrong = ask(town, "statement", "noodles", *days)
        assert wrong.returncode == 2 and "5020" in wrong.stderr and days[1] in wrong.stderr
    backwards = ask(town, "statement", "noodles", "--from", "2026-02-02", "--until", "2026-02-01", language="th")
    assert backwards.returncode == 2 and "ไม่มีวันใดเลย" in backwards.stderr


def test_settled_rows_never_crowd_out_open_ones(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    shop_duplicate(town)
    decisions.decide_suspense(town.store, "pos-2", 1, pay=False, from_risk=False, note="", now_s=NOW_S + 100)
    town.store.execute("UPDATE vouchers SET late = 1")
    open_items.mark_reviewed(town.store, "pos-1", 1, "", NOW_S + 100)
    late_one(town)
    monkeypatch.setattr(open_items, "ROWS_MAX", 1)
    assert open_ones(town) == [(LATE, "bus-3", 1)]


def test_items_are_bounded(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    rejected_one(town)
    late_one(town)
    monkeypatch.setattr(open_items, "ROWS_MAX", 1)
    (item,) = open_items.items(town.store, closed_too=True)
    assert replace(item, identity=b"").what == REJECTED
    monkeypatch.setattr(statements, "ROWS_MAX", 0)
    with pytest.raises(errors.ReportTooLong):
        statements.statement(town.store, "transit", None, None)

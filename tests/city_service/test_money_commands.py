"""Deposits, day close, budgets, joins and the audit's words, as an operator runs them beside the running service."""

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from offline_ledger.city import accounts, allowances
from offline_ledger.city.accounts import OwnerKind, campaign_account, owner_account, wallet_account
from offline_ledger.city.store import Store
from offline_ledger.key_files import open_key_file
from offline_ledger.money import KGO
from offline_ledger.protocol import city as city_objects
from offline_ledger.protocol import cose, device
from offline_ledger.protocol.city import Outcome
from offline_ledger.protocol.device import DeviceCertificate, DeviceRole, PlaceKey
from offline_ledger.protocol.kinds import CITY_OBJECT_BYTES_MAX, Kind
from offline_ledger.protocol.wallet import Audience
from offline_ledger.rules.civil import civil_day, day_start_s
from offline_ledger.rules.limits import DAY_S, Limits
from simulators.keys import SimulatedKey
from tests.city.town import TownTerminal, TownWallet
from tests.city_service.desk import City, found, run, serving

FARE_KGO = 50 * KGO


@pytest.fixture(scope="module")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("money-test-only") / "city"
    found(folder)
    return folder


@pytest.fixture
def served(founded: Path, tmp_path: Path) -> Iterator[City]:
    """A running city of its own, with the sample tariff."""
    with serving(shutil.copytree(founded, tmp_path / "city")) as running:
        yield running


class Desk:
    """Wallets and buses of a running city, and a day that is over."""

    def __init__(self, city: City) -> None:
        self.city = city
        self.day = civil_day(int(time.time())) - 1
        self.begin_s = day_start_s(self.day)
        self.date = time.strftime("%Y-%m-%d", time.gmtime(self.day * DAY_S))

    def store(self) -> Store:
        return Store.open(self.city.folder / "ledger.db")

    def wallet(self, number: int, kgo: int, at_s: int | None = None) -> TownWallet:
        """With an allowance since the day's begin, or since `at_s`."""
        at_s = self.begin_s if at_s is None else at_s
        account, key = SimulatedKey(0x7000 + number), SimulatedKey(0x8000 + number)
        store = self.store()
        try:
            opened = allowances.register(store, account.point, 0, 0, kgo, at_s)
            issuer = open_key_file(self.city.folder / "keys" / "issuer.key")
            signed = allowances.issue(
                store, issuer, account.point, key.point, number.to_bytes(8, "big"), Limits(), at_s
            )
        finally:
            store.close()
        return TownWallet(account, opened.wallet_id, key, signed)

    def terminal(self, name: str, role: DeviceRole, owner: str) -> TownTerminal:
        key = SimulatedKey(0x9000 + sum(name.encode()))
        until_s = self.begin_s + 10**8
        said = DeviceCertificate("TH-40", name, role, owner, key.point, 0, until_s, 2_000_000, 24)
        ca = open_key_file(self.city.folder / "keys" / "device-ca.key")
        aad = cose.external_aad(Kind.DEVICE_CERTIFICATE, "TH-40")
        payload = device.DEVICE_CERTIFICATE.encode(said)
        certificate = cose.sign1(payload, aad, cose.key_id_of(ca.point), ca.sign).raw
        store = self.store()
        with store.transaction():
            store.execute(
                "INSERT INTO devices(device, role, owner, point, certificate, not_before_s, expires_at_s,"
                " offline_value_kgo, offline_hours, enrolled_at_s) VALUES(?, ?, ?, ?, ?, 0, ?, 2000000, 24, 0)",
                (name, role, owner, key.point, certificate, until_s),
            )
        store.close()
        return TownTerminal(name, key, owner, role)

    def ride(self, bus: TownTerminal, rider: TownWallet, at_s: int) -> None:
        place = {int(PlaceKey.ROUTE): "10", int(PlaceKey.TRIP): bus.name}
        bus.boarding(rider.ride_code(at_s), at_s, product="city-bus", kgo=FARE_KGO, satang=100, place=place)

    def upload(self, terminal: TownTerminal) -> list[tuple[int, int]]:
        answer = self.city.ask("POST", "/v1/batches", terminal.batch(), content_type="application/octet-stream")
        assert answer.status == 200, answer.value
        raw = city_objects.ANSWER.decode(answer.body, CITY_OBJECT_BYTES_MAX).ack
        signed = cose.parse_sign1(raw, cose.external_aad(Kind.ACK, "TH-40"), CITY_OBJECT_BYTES_MAX)
        ack = city_objects.ACK.decode(signed.payload, CITY_OBJECT_BYTES_MAX)
        return [(outcome, refusal) for outcome, refusal, _leaf in ack.outcomes]

    def balance(self, account: accounts.Account) -> int:
        store = self.store()
        try:
            return accounts.balance(store, account)
        finally:
            store.close()


@pytest.fixture
def desk(served: City) -> Desk:
    return Desk(served)


@pytest.fixture
def quiet(founded: Path, tmp_path: Path) -> Desk:
    """The same without the service, for what needs no upload."""
    return Desk(City(shutil.copytree(founded, tmp_path / "city"), cast(Any, None), {}))


def test_a_deposit_goes_down_and_back(quiet: Desk) -> None:
    city = quiet.city
    rider = quiet.wallet(1, 600 * KGO)
    assert quiet.balance(wallet_account(rider.wallet_id)) == 100 * KGO
    done = city.command("deposit", "1", "60", "--note", "by hand")
    assert done.returncode == 0 and "60.00 KGO put down" in done.stdout and "40.00" in done.stdout
    low = city.command("deposit", "1", "40.01")
    assert low.returncode == 1 and "4009" in low.stderr
    bound = city.command("deposit", "1", "60", "--back")
    assert bound.returncode == 1 and "4071" in bound.stderr and "1 unreleased" in bound.stderr
    for words in (("1", "0"), ("1", "--back")):
        assert city.command("deposit", *words).returncode == 2
    assert json.loads(city.command("deposit", "1", "--json").stdout) == {
        "wallet": 1,
        "available_kgo": 40 * KGO,
        "deposit_kgo": 60 * KGO,
        "unreleased": 1,
        "waiting": 0,
        "is_frozen": False,
    }
    store = quiet.store()
    allowances.release_due(store, Limits(), quiet.begin_s + 30 * DAY_S)
    store.close()
    for words in (("balance", "1"), ("wallet", "1")):
        said = json.loads(city.command(*words, "--json").stdout)
        line = said[0] if isinstance(said, list) else said
        assert line["deposit_kgo"] == 60 * KGO
        assert "Deposit KGO" in (table := city.command(*words).stdout) and "60.00" in table
    back = city.command("deposit", "1", "60", "--back", "--note", "moved away")
    assert back.returncode == 0 and "60.00 KGO given back" in back.stdout
    assert quiet.balance(wallet_account(rider.wallet_id)) == 600 * KGO
    assert city.command("deposit", "9", "1").returncode == 1
    assert city.command("audit").returncode == 0


def test_a_day_is_closed_beside_the_running_service(desk: Desk) -> None:
    city, rider = desk.city, desk.wallet(1, 500 * KGO)
    buses = [desk.terminal(f"bus-{at}", DeviceRole.VALIDATOR, "city-bus") for at in range(2)]
    for at, bus in enumerate(buses):
        desk.ride(bus, rider, desk.begin_s + 600 * (at + 1))
    assert desk.upload(buses[0]) == [(Outcome.POSTED, 0)]
    empty = city.command("close-day", desk.date)
    assert empty.returncode == 0 and f"{desk.date} is closed: 0 rebates" in empty.stdout
    assert desk.upload(buses[1]) == [(Outcome.POSTED, 0)]
    done = city.command("close-day", desk.date)
    line = f"late for {desk.date}: bus-1/1 wallet 1: charged 50.00, 50.00 KGO back: "
    line += "City Bus, transfer within 60 minutes: 0.00 KGO"
    assert done.returncode == 0 and line in done.stdout, done.stdout
    assert "1 rebates, 50.00 KGO in all" in done.stdout
    again = city.command("close-day", desk.date, "--json")
    assert json.loads(again.stdout) == {"day": desk.date, "rebates": [], "rebated_kgo": 0}
    assert desk.balance(wallet_account(rider.wallet_id)) == FARE_KGO
    assert desk.balance(owner_account(OwnerKind.OPERATOR, "city-bus")) == FARE_KGO
    assert "rebate" in city.command("statement", "city-bus", "--details").stdout
    audited = city.command("audit")
    assert audited.returncode == 0 and "sound" in audited.stdout, audited.stdout


@pytest.mark.parametrize(("ahead", "code", "said"), [(1, 1, "4070"), (2, 1, "4070")])
def test_a_day_that_is_not_over_stays_open(quiet: Desk, ahead: int, code: int, said: str) -> None:
    date = time.strftime("%Y-%m-%d", time.gmtime((quiet.day + ahead) * DAY_S))
    done = quiet.city.command("close-day", date)
    assert done.returncode == code and said in done.stderr


@pytest.mark.parametrize("text", ["yesterday", "2569-11-20", "2026-02-30"])
def test_a_day_that_is_none_is_wrong_usage(quiet: Desk, text: str) -> None:
    done = quiet.city.command("close-day", text)
    assert done.returncode == 2 and "Traceback" not in done.stderr


def test_budgets(quiet: Desk) -> None:
    city = quiet.city
    assert "kgo-discount" in city.command("fund").stdout
    done = city.command("fund", "kgo-discount", "1000.50", "--note", "June")
    assert done.returncode == 0 and "its budget holds 1,000.50 KGO" in done.stdout
    assert quiet.balance(campaign_account("kgo-discount")) == 100_050
    unknown = city.command("fund", "kgo-discuont", "5")
    assert unknown.returncode == 1 and "4072" in unknown.stderr and "kgo-discuont" in unknown.stderr
    assert city.command("fund", "kgo-discount").returncode == 2
    assert city.command("fund", "kgo-discount", "0").returncode == 2
    store = quiet.store()
    notes = store.fetch("SELECT note FROM postings ORDER BY posting_id DESC LIMIT 1")
    store.close()
    assert notes == [("June",)]
    assert city.command("audit").returncode == 0


def test_a_stand_in_is_joined_once_and_recorded(desk: Desk) -> None:
    """The allowance was lost in a restore: the bus brings it back, and a stand-in carries its debt."""
    now_s = int(time.time())
    city, rider = desk.city, desk.wallet(1, 500 * KGO, now_s)
    bus = desk.terminal("bus-1", DeviceRole.VALIDATOR, "city-bus")
    store = desk.store()
    with store.transaction():
        store.execute("DELETE FROM allowances")
        for statement in (
            "UPDATE accounts SET balance = 50000 WHERE kind = 1",
            "DELETE FROM entries WHERE posting_id = (SELECT posting_id FROM postings WHERE reason = 2)",
            "DELETE FROM posting_links WHERE posting_id = (SELECT posting_id FROM postings WHERE reason = 2)",
            "DELETE FROM postings WHERE reason = 2",
            "DELETE FROM accounts WHERE kind = 2",
        ):
            store.execute(statement)
    store.close()
    desk.ride(bus, rider, now_s)
    desk.upload(bus)
    bus_batch = bus.batch(allowance=[rider.allowance.raw])
    assert city.ask("POST", "/v1/batches", bus_batch, content_type="application/octet-stream").status == 200
    lines = json.loads(city.command("wallet", "--json").stdout)
    (stand_in,) = [line["wallet"] for line in lines if line["name"] == "rebuilt from an allowance"]
    for language, words in (("th", "บัญชีแทน ทำขึ้นใหม่จากวงเงิน"), ("en", "stand-in, rebuilt from an allowance")):
        shown = run("wallet", "--settings", str(city.folder / "city.toml"), "--language", language).stdout
        (row,) = [line for line in shown.splitlines() if line.split()[0] == str(stand_in)]
        assert words in row and (language == "en" or "rebuilt" not in row)
    for words in (("1", str(stand_in)), (str(stand_in), str(stand_in)), ("99", "1")):
        wrong = city.command("join", *words)
        assert wrong.returncode == 1 and ("4073" in wrong.stderr or "4008" in wrong.stderr), wrong.stderr
    for _twice in range(2):
        done = city.command("join", str(stand_in), "1", "--note", "showed the phone")
        assert done.returncode == 0 and "-500.00 KGO moved" in done.stdout, done.stdout + done.stderr
    assert desk.balance(wallet_account(rider.wallet_id)) == 0
    assert json.loads(city.command("balance", "1", "--json").stdout)["reserved_kgo"] == 500 * KGO - FARE_KGO
    store = desk.store()
    said = store.one("SELECT joined_id, kgo, note FROM stand_ins WHERE wallet_id = ?", (stand_in,))
    store.close()
    assert said == (1, -50_000, "showed the phone")
    audited = city.command("audit")
    assert audited.returncode == 0, audited.stdout


def pay_at_two_shops(desk: Desk) -> None:
    """The same 20 KGO at noodle-1 and, after it, at coffee-1."""
    buyer = desk.wallet(1, 500 * KGO)
    tills = [desk.terminal(f"pos-{at}", DeviceRole.SHOP, owner) for at, owner in enumerate(("noodle-1", "coffee-1"))]
    at_s = desk.begin_s + 60
    buyer.next(2_000)
    for till in tills:
        till.sale(buyer.sign(buyer.presentment(Audience.SHOP, at_s)), at_s, 12_000, 2_000, product="kgo-discount")
        desk.upload(till)


def test_the_other_shop_is_named(desk: Desk) -> None:
    city = desk.city
    pay_at_two_shops(desk)
    assert city.command("reconsider", "pos-1", "1").returncode == 2, "no reason was given"
    assert city.command("reconsider", "pos-1", "1", "--note", "is open").returncode == 1
    done = city.command("reconsider", "pos-0", "1", "--note", "was at the other")
    assert done.returncode == 0 and "20.00 KGO wait in suspense again" in done.stdout
    listed = city.command("exceptions").stdout
    assert "4046 The operator decides this payment again: was at the other" in listed, listed
    refused = city.command("decide", "pos-0", "1", "--refuse")
    told = f"{refused.stdout}{refused.stderr}"
    assert "noodle-1 does not receive the 20.00 KGO" in told and "20.00 KGO back to wallet 1, available" in told
    assert "Nobody is paid" not in told, "the second still waits"
    paid = city.command("decide", "pos-1", "1", "--pay").stdout
    assert "coffee-1 receives 20.00 KGO" in paid and "20.00 KGO from wallet 1, available" in paid, paid
    assert city.command("reconsider", "pos-1", "1", "--note", "sure?").returncode == 0
    again = city.command("decide", "pos-1", "1", "--pay").stdout
    assert "20.00 KGO of it had come from wallet 1, available before" in again, again
    assert desk.balance(owner_account(OwnerKind.MERCHANT, "noodle-1")) == 0
    assert desk.balance(owner_account(OwnerKind.MERCHANT, "coffee-1")) == 2_000
    assert city.command("audit").returncode == 0


def test_a_purchase_that_nobody_is_paid_for_is_said_and_can_be_paid(desk: Desk) -> None:
    city = desk.city
    pay_at_two_shops(desk)
    assert "Nobody is paid" not in city.command("decide", "pos-1", "1", "--refuse").stderr, "the first shop has it"
    assert city.command("reconsider", "pos-0", "1", "--note", "customer says no").returncode == 0
    both = city.command("decide", "pos-0", "1", "--refuse")
    assert both.returncode == 0 and "at pos-1/1 the same one is not paid either" in both.stderr, both.stderr
    assert "4046" in city.command("reconsider", "pos-1", "1", "--note", "paid after all").stdout + (
        city.command("exceptions").stdout
    )
    paid = city.command("decide", "pos-1", "1", "--pay").stdout
    assert "coffee-1 receives 20.00 KGO" in paid, paid
    assert desk.balance(owner_account(OwnerKind.MERCHANT, "coffee-1")) == 2_000
    assert city.command("audit").returncode == 0


def test_the_audit_says_in_thai_and_english_what_it_found(desk: Desk) -> None:
    city, rider = desk.city, desk.wallet(1, 500 * KGO)
    bus = desk.terminal("bus-1", DeviceRole.VALIDATOR, "city-bus")
    desk.ride(bus, rider, desk.begin_s + 60)
    raw, objects = bus.vouchers[0]
    bus.vouchers[0] = (raw[:-64] + bytes(63) + b"\x01", objects)
    assert desk.upload(bus) == [(Outcome.POSTED, 0)]
    told = city.command("audit")
    assert told.returncode == 0 and "4004" in told.stdout and "voucher bus-1/1" in told.stdout, told.stdout
    store = desk.store()
    store.execute("UPDATE accounts SET balance = balance + 1 WHERE kind = 4 AND currency = 1")
    store.close()
    bad = city.command("audit")
    assert bad.returncode == 1 and "the balance says 50.01, its entries 50.00" in bad.stdout
    thai = city.command("audit", "--language", "th")
    assert thai.returncode == 1 and "ยอดที่จดไว้ 50.01 แต่รวมแล้วได้ 50.00" in thai.stdout
    found_json = json.loads(city.command("audit", "--json").stdout)
    assert not found_json["audit_ok"] and found_json["findings_count"] == 3
    assert {(one["what"], one["refusal"]) for one in found_json["findings"]} == {
        ("voucher_signature", 4004),
        ("balance_wrong", 0),
        ("sum_not_zero", 0),
    }

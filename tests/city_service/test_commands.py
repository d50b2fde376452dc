"""`kgo-city` as a person runs it: words, exit codes, tables, refusals in two languages. DESIGN §3."""

import csv
import io
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
from pathlib import Path

import pytest

from offline_ledger.city import accounts, cli, equivocation, log, people, reports
from offline_ledger.city.accounts import UNFUNDED, Currency, OwnerKind, Posting, Reason, owner_account, suspense_account
from offline_ledger.city.console import Console
from offline_ledger.city.equivocation import Contradiction, ProofKind
from offline_ledger.city.settings import read_city_settings
from offline_ledger.city.store import Store
from offline_ledger.rules.limits import Limits
from offline_ledger.texts import Texts
from simulators.keys import SimulatedKey
from tests.city_service.desk import ENVIRONMENT, City, found, run, serving

NOW_S = 1_795_000_000
DAY_S = 86_400

LEDGER_DAMAGED = "4096"


@pytest.fixture(scope="module")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("founded-test-only") / "city"
    found(folder)
    return folder


@pytest.fixture
def folder(founded: Path, tmp_path: Path) -> Path:
    """A copy of a founded city, for one test."""
    return shutil.copytree(founded, tmp_path / "city")


def ask(folder: Path, *words: str, language: str = "en") -> subprocess.CompletedProcess[str]:
    done = run(*words, "--settings", str(folder / "city.toml"), "--language", language)
    assert "Traceback" not in done.stderr, done.stderr
    return done


def test_help_and_version() -> None:
    told = run("--help")
    assert told.returncode == 0
    for command in ("init", "serve", "enrol", "wallet", "balance", "grant", "fleet", "exceptions", "statement"):
        assert command in told.stdout
        assert run(command, "--help").returncode == 0
    assert run("--version").stdout.startswith("kgo-city ")
    assert run().returncode == 2 and run("nonsense").returncode == 2


def test_init_never_overwrites(folder: Path) -> None:
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    again = run("init", str(folder), "--language", "th")
    assert again.returncode == 1 and "4055" in again.stderr and "โฟลเดอร์ว่าง" in again.stderr
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_init_wants_sensible_roots(tmp_path: Path) -> None:
    assert run("init", str(tmp_path / "x"), "--roots", "2", "--threshold", "3").returncode == 2
    assert not (tmp_path / "x").exists()


def test_three_mistakes_in_the_settings_are_all_reported(folder: Path) -> None:
    file = folder / "city.toml"
    text = file.read_text().replace("port = 0", "port = 70000").replace('language = "en"', 'language = "fr"')
    file.write_text(text.replace('id = "TH-40"', "id = 40"))
    lines = file.read_text().splitlines()
    expected = [at for at, line in enumerate(lines, 1) if line in ("id = 40", "port = 70000", 'language = "fr"')]
    done = ask(folder, "fleet")
    assert done.returncode == 2
    told = [line for line in done.stderr.splitlines() if line.startswith(str(file))]
    assert len(told) == len(expected) == 3
    for line, number in zip(told, expected, strict=True):
        assert f": line {number}: " in line and "; " in line
    thai = ask(folder, "fleet", language="th")
    assert thai.returncode == 2 and "บรรทัด" in thai.stderr


def test_missing_settings_and_ledgers(tmp_path: Path, folder: Path) -> None:
    assert run("fleet", "--settings", str(tmp_path / "none.toml"), "--language", "en").returncode == 2
    (folder / "ledger.db").unlink()
    done = ask(folder, "fleet")
    assert done.returncode == 1 and "4030" in done.stderr and "What to do" in done.stderr


def test_a_key_that_others_can_read_is_refused(folder: Path) -> None:
    os.chmod(folder / "keys" / "issuer.key", 0o644)
    done = ask(folder, "serve")
    assert done.returncode == 1 and "5002" in done.stderr and "0600" in done.stderr


def test_wallets_balances_and_grants(folder: Path) -> None:
    key = SimulatedKey(0x811).point.hex()
    made = ask(folder, "wallet", "--register", key, "--concession", "senior", "--medium", "card", "--name", "ยายแก้ว")
    assert made.returncode == 0 and "senior" in made.stdout and "card" in made.stdout and "100.00" in made.stdout
    (line,) = json.loads(ask(folder, "wallet", "--json").stdout)
    assert re.fullmatch(r"20\d\d-\d\d-\d\d", line["registered_day"]) and line["name"] == "ยายแก้ว"
    nameless = json.loads(ask(folder, "wallet", "1", "--name", "", "--json").stdout)
    assert nameless[0]["name"] == "" and nameless[0]["concession"] == 2
    file = folder / "gifts.csv"
    file.write_text(f"wallet,amount_kgo,reason\n1,250.50,ชุมชนสามเหลี่ยม\n{key},1,x\n", encoding="utf-8")
    done = ask(folder, "grant", str(file))
    assert done.returncode == 0 and "2 grants posted, 251.50 KGO" in done.stdout
    assert "nothing was posted again" in ask(folder, "grant", str(file)).stdout
    assert json.loads(ask(folder, "balance", "1", "--json").stdout) == {
        "wallet": 1,
        "available_kgo": 35_150,
        "reserved_kgo": 0,
        "deposit_kgo": 0,
    }
    file.write_text("wallet,amount_kgo,reason\n1,1,good\n77,1.234,x\n", encoding="utf-8")
    bad = ask(folder, "grant", str(file))
    assert bad.returncode == 2 and bad.stderr.count("line 3:") == 2 and "4053" in bad.stderr
    assert json.loads(ask(folder, "wallet", "--json").stdout)[0]["available_kgo"] == 35_150
    unknown = ask(folder, "balance", "99", language="th")
    assert unknown.returncode == 1 and "4008" in unknown.stderr
    no_key = ask(folder, "wallet", "--register", "00" * 33)
    assert no_key.returncode == 1 and "4061" in no_key.stderr
    for words in (("grant",), ("publish", "tariff"), ("recover", "--leaves")):
        missing = ask(folder, *words, str(folder / "none"))
        assert missing.returncode == 2 and "5004" in missing.stderr and "none" in missing.stderr


def test_a_bulletin_file_nested_too_deep_is_refused(folder: Path) -> None:
    file = folder / "deep.json"
    for deep in ("[" * 100_000, '{"products":' + "[" * 50_000 + "]" * 50_000 + "}"):
        file.write_text(deep)
        done = ask(folder, "publish", "tariff", str(file))
        assert done.returncode == 2 and "4062" in done.stderr and "deep.json" in done.stderr


def test_statement_with_days_and_csv(folder: Path) -> None:
    store = Store.open(folder / "ledger.db")
    for day in range(3):
        entries = (
            (accounts.ISSUANCE, -5_000),
            (owner_account(OwnerKind.MERCHANT, "noodle-1"), 5_000),
            (accounts.CUSTOMER_CASH, -12_000),
            (owner_account(OwnerKind.MERCHANT, "noodle-1", Currency.THB), 12_000),
            (UNFUNDED, -100),
            (suspense_account("noodle-1"), 100),
        )
        accounts.post_now(store, NOW_S + day * DAY_S, [Posting(Reason.SPEND, entries, "shop-1", day + 1)])
    store.close()
    thai = ask(folder, "statement", "noodle-1", language="th").stdout.splitlines()
    assert thai[0].startswith("รายการของ noodle-1 ") and "/2569" in thai[3]
    assert ["รวม", "3", "150.00", "360.00", "3.00"] in [line.split() for line in thai]
    assert thai[-1] == "ตรงกับบัญชีของเมือง: 150.00 KGO, 360.00 บาท (แจ้ง), รอตัดสิน 3.00 KGO"
    rows = list(csv.reader(io.StringIO(ask(folder, "statement", "noodle-1", "--csv").stdout)))
    assert len(rows) == 4 and rows[1][2:-2] == ["spend", "shop-1", "1", "50.00", "120.00", "1.00"]
    first_day = rows[1][1]
    one = list(csv.reader(io.StringIO(
        ask(folder, "statement", "noodle-1", "--csv", "--from", first_day, "--until", first_day).stdout
    )))  # fmt: skip
    assert one == rows[:2]
    assert "spend" in ask(folder, "statement", "noodle-1", "--details").stdout
    assert ask(folder, "statement", "nobody").returncode == 1
    assert ask(folder, "statement", "noodle-1", "--from", "2569-01-01x").returncode == 2


def test_exceptions_lift_and_confirm(folder: Path) -> None:
    assert ask(folder, "exceptions").returncode == 0
    ask(folder, "wallet", "--register", SimulatedKey(0x812).point.hex())
    store = Store.open(folder / "ledger.db")
    with store.transaction():
        false_proof = Contradiction(ProofKind.WALLET, b"a", b"a" * 32, b"b", b"b" * 32, b"\x80")
        equivocation.store_proof(store, false_proof, NOW_S, wallet_id=1)
        equivocation.freeze_wallet(store, 1, "test", NOW_S)
        store.execute(
            "INSERT INTO vouchers VALUES('shop-1', 4, ?, x'00', x'80', 3, 4005, 7, 2, 100, 0, ?, ?, 0, NULL)",
            (bytes(32), NOW_S, NOW_S),
        )
    store.close()
    told = ask(folder, "exceptions")
    assert told.returncode == 1 and "rejected" in told.stdout and "4005 " in told.stdout and " no" in told.stdout
    listed = json.loads(ask(folder, "exceptions", "--json").stdout)
    assert listed["equivocations"][0]["is_proven"] is False and listed["vouchers"][0]["what"] == "rejected"
    assert "frozen, to be reviewed" in ask(folder, "wallet").stdout
    assert ask(folder, "confirm", "1", "--note", "seen").returncode == 0
    assert "frozen, confirmed" in ask(folder, "wallet").stdout
    again = ask(folder, "confirm", "1", "--note", "seen twice")
    assert again.returncode == 0 and "1 is confirmed already; your note was added" in again.stdout
    assert "seen; seen twice" in ask(folder, "exceptions", "--all").stdout
    same = ask(folder, "confirm", "1")
    assert same.returncode == 0 and "1 is confirmed already; nothing was changed" in same.stdout
    assert ask(folder, "lift", "1").returncode == 2, "another verdict wants a reason"
    assert "frozen, confirmed" in ask(folder, "wallet").stdout
    assert ask(folder, "lift", "1", "--note", "a mistake").returncode == 0
    assert "good" in ask(folder, "wallet").stdout
    assert ask(folder, "exceptions").returncode == 1, "the rejected one was not looked at yet"
    assert ask(folder, "reviewed", "shop-1", "4").returncode == 0
    quiet = ask(folder, "exceptions")
    assert quiet.returncode == 0 and "4005" not in quiet.stdout
    everything = ask(folder, "exceptions", "--all")
    assert everything.returncode == 0 and "4005" in everything.stdout and "a mistake" in everything.stdout
    for word in ("lift", "confirm"):
        unknown = ask(folder, word, "99")
        assert unknown.returncode == 1 and "4060 No equivocation has this number" in unknown.stderr
    assert ask(folder, "release", "nobody").returncode == 1
    assert ask(folder, "unblock", "nobody").returncode == 1
    assert ask(folder, "decide", "shop-1", "4", "--pay").returncode == 1


def test_audit_finds_a_changed_balance_and_recover_a_lost_log(folder: Path) -> None:
    ask(folder, "wallet", "--register", SimulatedKey(0x813).point.hex())
    good = ask(folder, "audit")
    assert good.returncode == 0 and "the ledger is sound" in good.stdout
    assert json.loads(ask(folder, "audit", "--json").stdout)["audit_ok"] is True
    store = Store.open(folder / "ledger.db")
    with store.transaction():
        store.execute("UPDATE accounts SET balance = balance + 1 WHERE kind = 1")
        store.execute("INSERT INTO event_gaps VALUES('bus-8', 13, 17, x'00', 0)")
    store.close()
    bad = ask(folder, "audit")
    assert bad.returncode == 1 and "findings" in bad.stdout
    assert "bus-8: a restore lost events 13 to 17" in bad.stdout
    said = json.loads(ask(folder, "audit", "--json").stdout)
    assert said["audit_ok"] is False and said["events_lost"] == [{"device": "bus-8", "first": 13, "last": 17}]
    shown = ask(folder, "exceptions")
    assert shown.returncode == 1 and "events lost" in shown.stdout and "bus-8" in shown.stdout
    assert LEDGER_DAMAGED in ask(folder, "recover").stderr
    store = Store.open(folder / "ledger.db")
    store.execute("UPDATE accounts SET balance = balance - 1 WHERE kind = 1")
    store.close()
    assert "nothing to recover" in ask(folder, "recover").stdout
    log.write_checkpoint(folder / "checkpoint", log.Checkpoint(5, bytes(32)))
    refused = ask(folder, "enrol", "shop-9", "--role", "shop", "--owner", "noodle-1")
    assert refused.returncode == 1 and "4010" in refused.stderr
    (folder / "leaves").write_text("0 zz\n")
    assert ask(folder, "recover", "--leaves", str(folder / "leaves")).returncode == 2
    roots = [word for number in (1, 2) for word in ("--root", str(folder / "keys" / f"root-{number}.key"))]
    assert ask(folder, "recover", *roots).returncode == 2, "the root keys alone never begin a new log"
    enrolled(folder, "shop-7")
    bare = ask(folder, "recover")
    assert bare.returncode == 1 and "shop-7" in bare.stderr and "--leaves" in bare.stderr and "5" in bare.stderr
    assert ask(folder, "enrol", "shop-9", "--role", "shop", "--owner", "noodle-1").returncode == 1
    done = ask(folder, "recover", "--new-log", *roots)
    assert done.returncode == 0 and "names the gap" in done.stdout.replace("naming", "names") and "2" in done.stdout
    assert "begun anew after 5" in ask(folder, "recover").stdout
    assert ask(folder, "enrol", "shop-9", "--role", "shop", "--owner", "noodle-1").returncode == 0


def enrolled(folder: Path, device: str) -> None:
    """A row as enrolment leaves it; no test here asks this device to sign."""
    store = Store.open(folder / "ledger.db")
    with store.transaction():
        store.execute(
            "INSERT INTO devices(device, role, owner, point, certificate, not_before_s, expires_at_s,"
            " offline_value_kgo, offline_hours, enrolled_at_s) VALUES(?, 1, 'noodle-1', x'00', x'00', 0, 0, 0, 0, 0)",
            (device,),
        )
    store.close()


def test_trust_needs_enough_roots_and_revokes(folder: Path) -> None:
    enrolled(folder, "shop-9")
    one = ask(folder, "trust", "--root", str(folder / "keys" / "root-1.key"))
    assert one.returncode == 1 and "3006" in one.stderr
    twice = ("--root", str(folder / "keys" / "root-1.key")) * 2
    assert ask(folder, "trust", *twice).returncode == 1
    two = [word for number in (1, 3) for word in ("--root", str(folder / "keys" / f"root-{number}.key"))]
    assert ask(folder, "trust", *two, "--revoke", "shop-9").returncode == 2
    stranger = ask(folder, "trust", *two, "--revoke", "shop-9=12", "--revoke", "zzz=0")
    assert stranger.returncode == 1 and "4002" in stranger.stderr and "zzz" in stranger.stderr
    done = ask(folder, "trust", *two, "--revoke", "shop-9=12")
    assert done.returncode == 0 and "Trust list 2" in done.stdout, "nothing was signed before"
    store = Store.open(folder / "ledger.db")
    assert store.one("SELECT revoked_after FROM devices") == (12,)
    store.close()


def test_a_new_server_certificate_stands_under_the_same_ca(folder: Path) -> None:
    pair = (str(folder / "new.crt"), str(folder / "keys" / "new.key"))
    words = ("certificate", *pair, "--ca-key", str(folder / "keys" / "ca.key"), "--name", "kgo.test")
    assert ask(folder, *words).returncode == 0
    again = ask(folder, *words)
    assert again.returncode == 1 and "4055" in again.stderr
    root = ("--ca-key", str(folder / "keys" / "root-1.key"))
    foreign = ask(folder, "certificate", str(folder / "x.crt"), str(folder / "keys" / "x.key"), *root)
    assert foreign.returncode == 1 and "3002" in foreign.stderr and "root-1.key" in foreign.stderr
    assert "one set" in foreign.stderr, "the desk's own remedy, not a cashier's"
    assert not (folder / "x.crt").exists() and not (folder / "keys" / "x.key").exists()
    text = (folder / "city.toml").read_text().replace('"server.crt"', '"new.crt"')
    (folder / "city.toml").write_text(text.replace('"keys/server.key"', '"keys/new.key"'))
    with serving(folder) as city:
        context = ssl.create_default_context(cafile=str(city.ca_file))
        with socket.create_connection(("127.0.0.1", city.ready["port"]), 10) as raw:
            with context.wrap_socket(raw, server_hostname="kgo.test") as secure:
                assert secure.version() is not None


def test_publish_from_a_file(folder: Path) -> None:
    file = folder / "tariff.json"
    product = {"product_id": "bus", "kind": 1, "name_th": "รถ", "name_en": "Bus", "kgo": "20.00", "thb": "1.00"}
    file.write_text(json.dumps({"products": [product], "concessions": []}))
    done = ask(folder, "publish", "tariff", str(file))
    assert done.returncode == 0 and "1.2" in done.stdout
    for wrong, word in (({"kgo": 20}, "kgo"), ({"kg": "20"}, "kg"), ({"kind": 9}, "kind"), ({"kgo": "2.001"}, "kgo")):
        file.write_text(json.dumps({"products": [product | wrong]}))
        bad = ask(folder, "publish", "tariff", str(file))
        assert bad.returncode == 2 and "4062" in bad.stderr and f"products[0].{word}" in bad.stderr, bad.stderr
    file.write_text(json.dumps({"products": [product | {"thb": "1000.00"}]}))
    assert "--large-amounts" in ask(folder, "publish", "tariff", str(file)).stderr
    meant = ask(folder, "publish", "tariff", str(file), "--large-amounts")
    assert meant.returncode == 0 and "1.3" in meant.stdout
    file.write_text("{")
    assert ask(folder, "publish", "tariff", str(file)).returncode == 2
    campaign = {"campaign_id": "c", "name_th": "ก", "name_en": "C", "discount": {
        "rate_thb": "1.00", "bill_per_mille": 500, "wallet_day_kgo_max": "100.00", "bill_thb_min": "0.00"
    }}  # fmt: skip
    file.write_text(json.dumps({"campaigns": [campaign]}))
    assert (
        ask(folder, "publish", "campaign", str(file), "--from", "2030-01-01", "--until", "2030-12-31").returncode == 0
    )
    assert ask(folder, "publish", "campaign", str(file), "--until", "2020-01-01").returncode == 2
    file.write_text(json.dumps({"1": 5}))
    assert ask(folder, "publish", "configuration", str(file)).returncode == 0


def test_fleet_lists_gaps_and_blocked_devices(store: Store) -> None:
    store.execute(
        "INSERT INTO devices(device, role, owner, point, certificate, not_before_s, expires_at_s, offline_value_kgo,"
        " offline_hours, enrolled_at_s, through_sequence, blocked, blocked_reason, state)"
        " VALUES('bus-1', 2, 'o', x'00', x'00', 0, 0, 0, 0, 0, 3, 1, 'fork', x'ff')"
    )
    store.execute("INSERT INTO vouchers VALUES('bus-1', 2, x'00', x'00', x'80', 1, 0, 0, 1, 0, 0, 0, 0, 0, NULL)")
    (line,) = reports.fleet(store)
    assert (line.missing, line.blocked_reason, line.last_seen_s, line.waiting) == (2, "fork", None, None)
    assert line.events_lost == 0
    for device, first, last in (("bus-1", 13, 17), ("bus-1", 20, 20), ("bus-2", 1, 90)):
        store.execute("INSERT INTO event_gaps VALUES(?, ?, ?, x'00', 0)", (device, first, last))
    (line,) = reports.fleet(store)
    assert line.events_lost == 6


def test_fleet_shows_events_that_a_restore_lost(folder: Path) -> None:
    enrolled(folder, "shop-7")
    enrolled(folder, "shop-8")
    store = Store.open(folder / "ledger.db")
    with store.transaction():
        store.execute("INSERT INTO event_gaps VALUES('shop-7', 13, 17, x'00', 0)")
    store.close()
    lost = {line["device"]: line["events_lost"] for line in json.loads(ask(folder, "fleet", "--json").stdout)}
    assert (lost["shop-7"], lost["shop-8"]) == (5, 0)
    heading, _rule, *rows = ask(folder, "fleet").stdout.splitlines()
    at = heading.index("Events lost")
    shown = {row.split()[0]: row[at : at + len("Events lost")].strip() for row in rows}
    assert (shown["shop-7"], shown["shop-8"]) == ("5", "0")


def test_a_closed_pipe_is_no_fault(city: City) -> None:
    words = [sys.executable, "-m", "offline_ledger.city", "fleet", "--settings", str(city.folder / "city.toml")]
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(words, stdout=writing, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT, check=False)
    os.close(writing)
    assert done.returncode == 0 and "Traceback" not in done.stderr


def test_a_list_of_wallets_that_is_cut_says_so(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for secret in (0x821, 0x822, 0x823):
        ask(folder, "wallet", "--register", SimulatedKey(secret).point.hex())
    said: list[str] = []
    settings = read_city_settings(folder / "city.toml", "en")
    console = Console(Texts("en"), said.append, said.append, lambda: NOW_S, Limits(), settings, lambda: 0)
    words = cli.build_parser(Texts("en")).parse_args(["wallet"])
    assert words.run(console, words) == 0 and len(said) == 1
    monkeypatch.setattr(people, "LIST_MAX", 2)
    assert words.run(console, words) == 0
    assert "Only the newest 2 are shown" in said[-1] and len(said[1].splitlines()) == 4


def test_no_command_but_the_service_loads_a_web_server() -> None:
    """It was a quarter of what a command took."""
    tell = "import sys; from offline_ledger.city import cli; print(*sys.modules)"
    done = subprocess.run((sys.executable, "-c", tell), capture_output=True, text=True, env=ENVIRONMENT, check=True)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert "offline_ledger" in loaded and not loaded & {"uvicorn", "starlette", "asyncio"}

"""Opening accounts from outside: ceilings per city, hour, day and address; one-time invitations. DESIGN §1, §8."""

import csv
import io
import itertools
import json
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from offline_ledger.city import accounts, allowances, deposits, registering, wallet_desk
from offline_ledger.city.accounts import Currency
from offline_ledger.city.registering import ALPHABET, Mode, Sources, Terms, make_invitations, source_of
from offline_ledger.city.store import Store
from offline_ledger.city.wallet_desk import Caller, WalletDesk
from offline_ledger.errors import (
    InvitationInvalid,
    InvitationNeeded,
    Refusal,
    RegisteringFull,
    RegisteringFullHere,
    RequestReplayed,
)
from offline_ledger.protocol import cbor, cose, wallet
from offline_ledger.protocol.kinds import Kind
from offline_ledger.protocol.wallet import WalletAsk, WalletRequest
from offline_ledger.rules.civil import civil_day, day_start_s
from offline_ledger.rules.limits import DAY_S, HOUR_S, Limits
from simulators.keys import SimulatedKey
from simulators.wallet import CityLink, PhoneWallet, WalletRefused
from tests.city_service.desk import City, found, run, serving

NOW_S = 1_795_000_000
CITY = "TH-40"
KEY_TEST_ONLY = SimulatedKey(0x7001)
OPEN = Terms(Mode.OPEN, 10_000, hour_max=3, day_max=5, source_day_max=2)
SECRETS = itertools.count(0x900_000)
NONCES = itertools.count(1)


def request(secret: int, at_s: int = NOW_S, what: WalletAsk = WalletAsk.REGISTER) -> bytes:
    """A phone's signed request."""
    key = SimulatedKey(secret)
    said = WalletRequest(what, key.point, key.point, next(NONCES).to_bytes(16, "big"), at_s, None)
    aad = cose.external_aad(Kind.WALLET_REQUEST, CITY)
    return cose.sign1(wallet.WALLET_REQUEST.encode(said), aad, key.key_id, key.sign).raw


class Desk:
    """A wallet desk on these terms, with phones that come and go."""

    def __init__(self, store: Store, terms: Terms) -> None:
        self.store = store
        self.desk = WalletDesk(store, KEY_TEST_ONLY, KEY_TEST_ONLY, Limits(), terms, random.Random(1).randbytes)

    def comes(self, address: str = "", invitation: str = "", *, now_s: int = NOW_S, secret: int | None = None) -> int:
        """A new phone registers; its balance."""
        raw = request(next(SECRETS) if secret is None else secret, now_s)
        answer = cbor.decode(self.desk.answer(raw, now_s, Caller(address, invitation)), 100)
        assert isinstance(answer, dict)
        return int(str(answer[1]))

    def turned_away(self, refusal: type[Refusal], address: str = "", invitation: str = "", now_s: int = NOW_S) -> str:
        before = (self.store.fetch("SELECT * FROM wallets"), accounts.sums(self.store))
        with pytest.raises(refusal) as caught:
            self.comes(address, invitation, now_s=now_s)
        assert (self.store.fetch("SELECT * FROM wallets"), accounts.sums(self.store)) == before
        return caught.value.detail

    def codes(self, count: int = 1, days: int = 7, now_s: int = NOW_S) -> tuple[str, ...]:
        return make_invitations(self.store, count, days, "", now_s, random.Random(next(SECRETS)).randbytes).codes


@pytest.fixture
def desk(store: Store) -> Desk:
    return Desk(store, OPEN)


def test_the_hour_and_the_day_have_a_ceiling_for_the_whole_city(desk: Desk) -> None:
    for at in range(3):
        assert desk.comes(f"192.0.2.{at}") == 10_000
    assert desk.turned_away(RegisteringFull, "192.0.2.9") == "3 of 3 within 1 h, again in 60 min"
    assert desk.turned_away(RegisteringFull, now_s=NOW_S + HOUR_S - 1) == "3 of 3 within 1 h, again in 1 min"
    later_s = NOW_S + HOUR_S
    for _ in range(2):
        desk.comes(now_s=later_s)
    assert desk.turned_away(RegisteringFull, now_s=later_s) == "5 of 5 within 24 h, again in 1380 min"
    desk.turned_away(RegisteringFull, now_s=NOW_S + DAY_S - 1)
    assert desk.comes(now_s=NOW_S + DAY_S) == 10_000, "the first three are a day old"
    assert accounts.sums(desk.store)[Currency.KGO] == 0
    assert len(desk.store.fetch("SELECT * FROM registrations")) == 3, "what is older than a day is forgotten"


def test_one_address_has_a_ceiling_of_its_own(store: Store) -> None:
    desk = Desk(store, replace(OPEN, hour_max=100, day_max=100))
    for _ in range(2):
        desk.comes("192.0.2.1")
    assert desk.turned_away(RegisteringFullHere, "192.0.2.1") == "2 of 2 within 24 h"
    desk.comes("192.0.2.2")
    desk.turned_away(RegisteringFullHere, "192.0.2.1", now_s=NOW_S + DAY_S - 1)
    desk.comes("192.0.2.1", now_s=NOW_S + DAY_S)
    assert set(desk.desk.sources.opened_at_s) == {"192.0.2.1"}, "addresses are forgotten after a day"


def test_no_ceiling_for_an_address_when_it_is_0_and_none_opened_when_the_citys_is_0(store: Store) -> None:
    desk = Desk(store, replace(OPEN, hour_max=10, day_max=10, source_day_max=0))
    for _ in range(10):
        desk.comes("192.0.2.1")
    Desk(store, replace(OPEN, hour_max=0)).turned_away(RegisteringFull, now_s=NOW_S + 2 * DAY_S)


def test_asking_again_counts_nowhere_and_needs_nothing(desk: Desk) -> None:
    secrets = [next(SECRETS) for _ in range(3)]
    for secret in secrets:
        desk.comes("", secret=secret)
    for secret in secrets:
        assert desk.comes("", secret=secret) == 10_000, "a lost answer"
    strict = Desk(desk.store, replace(OPEN, mode=Mode.INVITED))
    assert strict.comes("", secret=secrets[0]) == 10_000
    raw = request(next(SECRETS))
    with pytest.raises(RegisteringFull):
        desk.desk.answer(raw, NOW_S)
    with pytest.raises(RegisteringFull):
        desk.desk.answer(raw, NOW_S)
    desk.store.execute("DELETE FROM registrations")
    desk.desk.answer(raw, NOW_S)
    with pytest.raises(RequestReplayed):
        desk.desk.answer(raw, NOW_S)


def test_the_desk_itself_is_never_held_up(desk: Desk) -> None:
    for _ in range(10):
        allowances.register(desk.store, SimulatedKey(next(SECRETS)).point, 0, 0, 10_000, NOW_S)
    assert desk.comes() == 10_000, "and does not use up what is for phones"


# --- invitations


def test_by_invitation_only(store: Store) -> None:
    desk = Desk(store, replace(OPEN, mode=Mode.INVITED, hour_max=0))
    desk.turned_away(InvitationNeeded)
    first, second = desk.codes(2)
    assert desk.comes("", first) == 10_000
    assert desk.turned_away(InvitationInvalid, "", first) == "used before"
    assert desk.comes("", f" {second.lower().replace('-', ' ')} ") == 10_000, "as a person types it"
    assert desk.turned_away(InvitationInvalid, "", "AAAA-AAAA-AAAA") == "unknown code"
    desk.turned_away(InvitationInvalid, "", "\u0e01" * 5_000)


def test_an_invitation_is_good_through_its_last_day_and_until_withdrawn(desk: Desk) -> None:
    first, second, third = desk.codes(3, days=7)
    end_s = day_start_s(civil_day(NOW_S) + 8)
    assert desk.comes("", first, now_s=end_s - 1) == 10_000
    assert desk.turned_away(InvitationInvalid, "", second, now_s=end_s) == "past its last day"
    assert registering.withdraw(desk.store, 1, NOW_S) and not registering.withdraw(desk.store, 2, NOW_S)
    assert desk.turned_away(InvitationInvalid, "", third) == "withdrawn"
    (batch,) = registering.batches(desk.store)
    assert (batch.count, batch.used, batch.withdrawn_at_s) == (3, 1, NOW_S)


def test_an_invitation_passes_the_ceilings_and_is_not_counted(desk: Desk) -> None:
    codes = desk.codes(4)
    for code in codes[:3]:
        desk.comes("192.0.2.1", code)
    for at in range(3):
        desk.comes(f"192.0.2.{at}")
    desk.turned_away(RegisteringFull, "192.0.2.8")
    assert desk.comes("192.0.2.8", codes[3]) == 10_000


def test_a_code_that_opened_nothing_is_not_used_up(desk: Desk) -> None:
    (code,) = desk.codes()
    with pytest.raises(AssertionError), desk.store.transaction():
        registering.admit(desk.store, OPEN, Sources(), code, "", b"point", NOW_S)
        raise AssertionError("the disk, or anything")
    assert desk.comes("", code) == 10_000


def test_codes_are_never_kept_and_hold_sixty_bits(store: Store, rng: random.Random) -> None:
    made = make_invitations(store, 500, 1, "village", NOW_S, rng.randbytes)
    assert len(set(made.codes)) == 500
    assert set("".join(made.codes)) == set(ALPHABET) | {"-"}
    everything = repr([store.fetch(f"SELECT * FROM {name}") for name in ("invitations", "invitation_batches")])
    assert [code for code in made.codes if code in everything or code.replace("-", "") in everything] == []
    other = store.fetch("SELECT code_hash FROM invitations")
    assert registering._hash("TH-41", made.codes[0].replace("-", "")) not in [row[0] for row in other]


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "20010db800010002"),
        ("2001:db8:1:2:ffff::", "20010db800010002"),
        ("2001:db8:1:3::1", "20010db800010003"),
        ("fe80::1%eth0", "fe80000000000000"),
        ("testclient", "testclient"),
        ("x" * 500, "x" * 64),
        ("", ""),
    ],
)
def test_an_address_is_a_place(address: str, place: str) -> None:
    assert source_of(address).removesuffix("/64") == place


# --- the running service, and the operator's commands


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[City]:
    """A served city by invitation, two from an address a day when it is open."""
    folder = tmp_path_factory.mktemp("invited-test-only") / "city"
    found(folder)
    file = folder / "city.toml"
    file.write_text(file.read_text().replace('mode = "open"', 'mode = "invited"'))
    with serving(folder) as running:
        yield running


def now_s() -> int:
    import time

    return int(time.time())


def test_invited_phones_at_a_real_city(strict: City, tmp_path: Path, rng: random.Random) -> None:
    refused = strict.ask("POST", "/v1/wallet", request(next(SECRETS), now_s()))
    assert refused.status == 422 and refused.value[1] == InvitationNeeded.number
    printed = strict.command("invite", "3", "--days", "30", "--note", "ชุมชน, สามเหลี่ยม")
    assert printed.returncode == 0 and "3 invitations printed, batch 1" in printed.stderr
    rows = list(csv.DictReader(io.StringIO(printed.stdout)))
    assert len(rows) == 3 and rows[0]["note"] == "ชุมชน, สามเหลี่ยม" and rows[0]["batch"] == "1"
    code = rows[0]["invitation"]
    answer = strict.ask("POST", "/v1/wallet", request(next(SECRETS), now_s()), kgo_invitation=code)
    assert answer.status == 200 and answer.value == {1: 10_000}
    again = strict.ask("POST", "/v1/wallet", request(next(SECRETS), now_s()), kgo_invitation=code)
    assert again.value[1] == InvitationInvalid.number and again.value[3] == "used before"
    link, phone = CityLink(strict.url, strict.ca_file), PhoneWallet(tmp_path, CITY, rng)
    with pytest.raises(WalletRefused, match="4063 invitation_needed"):
        phone.register(link, now_s())
    link.invitation = rows[2]["invitation"].lower()
    assert phone.register(link, now_s()) == 10_000
    assert phone.take_allowance(link, now_s()).reserve_kgo == 10_000
    listed = json.loads(strict.command("invitations", "--json").stdout)
    assert [(batch["count"], batch["used"]) for batch in listed] == [(3, 2)]
    assert "withdrawn" in strict.command("invitations", "--withdraw", "1").stdout
    late = strict.ask("POST", "/v1/wallet", request(next(SECRETS), now_s()), kgo_invitation=rows[1]["invitation"])
    assert late.value[1] == InvitationInvalid.number
    unknown = strict.command("invitations", "--withdraw", "9")
    assert unknown.returncode == 1 and "4069" in unknown.stderr
    assert strict.command("invite", "0").returncode == 2 and strict.command("invite", "10001").returncode == 2
    log = (strict.folder.parent / "city.log").read_text()
    assert code not in log and "127.0.0.1" not in log.replace("https://127.0.0.1", ""), "neither code nor address"


def test_an_open_city_counts_by_address(tmp_path: Path) -> None:
    found(tmp_path / "city")
    file = tmp_path / "city" / "city.toml"
    file.write_text(file.read_text().replace("source_day_max = 50", "source_day_max = 2"))
    with serving(tmp_path / "city") as city:
        answers = [city.ask("POST", "/v1/wallet", request(next(SECRETS), now_s())) for _ in range(3)]
        assert [answer.status for answer in answers] == [200, 200, 422]
        assert answers[2].value[1] == RegisteringFullHere.number
        file.write_text(file.read_text().replace('mode = "open"', 'mode = "opne"'))
        wrong = run("fleet", "--settings", str(file), "--language", "en")
        assert wrong.returncode == 2 and "registering.mode" in wrong.stderr and "open, invited" in wrong.stderr


def test_an_older_settings_file_has_the_bounded_defaults(tmp_path: Path) -> None:
    from offline_ledger.city.settings import read_city_settings

    (tmp_path / "city.toml").write_text('[city]\nid = "TH-40"\n')
    assert read_city_settings(tmp_path / "city.toml", "en").registering == Terms(Mode.OPEN, 10_000, 100, 500, 50)
    assert wallet_desk.NOBODY == Caller("", "")


def test_the_answer_to_a_wallet_that_asks_for_its_balance_names_the_deposit(store: Store) -> None:
    """Nothing of a person's money is missing in what the phone shows."""
    desk = Desk(store, OPEN)
    secret = next(SECRETS)
    assert desk.comes(secret=secret) == 10_000
    row = store.one("SELECT max(wallet_id) FROM wallets")
    assert row is not None
    deposits.put_down(store, row[0], 2_500, "by hand", NOW_S)
    answer = cbor.decode(desk.desk.answer(request(secret, what=WalletAsk.BALANCE), NOW_S), 100)
    assert answer == {1: 7_500, 2: 0, 3: 2_500}

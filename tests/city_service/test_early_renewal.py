"""A phone renews before its allowance expires: it signs a closing, and what that leaves is in the new one at once. Who
spends beyond the closing has signed the proof. DESIGN §8."""

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import pytest

from offline_ledger import errors
from offline_ledger.city import allowances, equivocation
from offline_ledger.city.accounts import reserved_account, wallet_account
from offline_ledger.city.audit import audit
from offline_ledger.city.equivocation import ProofKind
from offline_ledger.city.registering import Mode, Terms
from offline_ledger.city.wallet_desk import WalletDesk
from offline_ledger.protocol import cbor, cose, qr, wallet
from offline_ledger.protocol.city import Outcome
from offline_ledger.protocol.cose import Signed
from offline_ledger.protocol.device import DeviceRole
from offline_ledger.protocol.kinds import Kind
from offline_ledger.protocol.wallet import Audience, WalletAsk, WalletRequest
from offline_ledger.rules.limits import Limits
from simulators import cheats
from simulators.wallet import CityLink, PhoneWallet, WalletClosed, WalletOffline
from tests.city.town import AAD, ACK_TEST_ONLY, CITY, FARE_KGO, ISSUER_TEST_ONLY, NOW_S, Town, TownTerminal, signed_by

GRANT_KGO, RESERVE_KGO = 70_000, 50_000


class DeskLink(CityLink):
    """The real desk without a socket between; `loses`: its answer does not arrive."""

    def __init__(self, desk: WalletDesk) -> None:
        self._desk = desk
        self.now_s = NOW_S
        self.loses = False

    def ask(self, body: bytes) -> dict[int, object]:
        answer = self._desk.answer(body, self.now_s)
        if self.loses:
            raise WalletOffline("cut")
        return cast(dict[int, object], cbor.decode(answer, 1 << 18))


@dataclass
class Street:
    """A town, one phone with 700 KGO of which 500 are reserved, and two buses."""

    town: Town
    phone: PhoneWallet
    link: DeskLink
    buses: tuple[TownTerminal, TownTerminal]

    @property
    def wallet_id(self) -> int:
        return allowances.wallet_of(self.town.store, self.phone.account.point).wallet_id

    @property
    def available_kgo(self) -> int:
        return self.town.balance(wallet_account(self.wallet_id))

    def reserved_kgo(self, allowance_hash: bytes) -> int:
        return self.town.balance(reserved_account(allowance_hash))

    def ride(self, at: int, code: str = "") -> list[tuple[Outcome, int]]:
        """The current code, or this one, at a bus that syncs."""
        if not code:
            self.phone.new_intent(Audience.TRANSIT, FARE_KGO)
            code = self.phone.code(NOW_S)
        bus = self.buses[at]
        bus.boarding(cose.parse_sign1(qr.decode(code).objects[1], AAD[Kind.PRESENTMENT]), NOW_S)
        return self.town.send(bus, NOW_S + 60, first=len(bus.vouchers)).outcomes

    def closing(self) -> Signed:
        return cose.parse_sign1(self.phone.sign_closing(), AAD[Kind.CLOSING])


@pytest.fixture
def street(tmp_path: Path, rng: random.Random) -> Street:
    town = Town(tmp_path / "town", Limits(reserve_kgo=RESERVE_KGO))
    desk = WalletDesk(
        town.store, ISSUER_TEST_ONLY, ACK_TEST_ONLY, town.limits, Terms(Mode.OPEN, GRANT_KGO, 9, 9, 0), rng.randbytes
    )
    phone, link = PhoneWallet(tmp_path / "phone", CITY, rng), DeskLink(desk)
    phone.register(link, NOW_S)
    phone.take_allowance(link, NOW_S)
    buses = (town.terminal("bus-1", DeviceRole.VALIDATOR), town.terminal("bus-2", DeviceRole.VALIDATOR))
    return Street(town, phone, link, buses)


def test_what_the_closing_leaves_is_in_the_new_allowance_at_once(street: Street) -> None:
    assert street.ride(0) == [(Outcome.POSTED, 0)]
    old, old_hash = street.phone.allowance, street.phone.allowance_hash
    street.phone.new_intent(Audience.TRANSIT, FARE_KGO)
    shown = street.phone.code(NOW_S)  # not posted yet: it stays reserved
    new = street.phone.renew(street.link, NOW_S)
    assert (new.reserve_kgo, street.phone.state.n, street.phone.state.sum_kgo) == (RESERVE_KGO, 0, 0)
    assert new.wallet_point != old.wallet_point and new.pass_id != old.pass_id
    assert street.reserved_kgo(old_hash) == FARE_KGO
    assert street.available_kgo == GRANT_KGO - 2 * FARE_KGO - RESERVE_KGO
    assert street.ride(1, shown) == [(Outcome.POSTED, 0)], "what was authorised before the closing is paid"
    assert street.reserved_kgo(old_hash) == 0
    assert street.ride(0) == [(Outcome.POSTED, 0)]
    assert equivocation.proofs(street.town.store) == [] and audit(street.town.store).findings == ()
    street.town.assert_sound()


@pytest.mark.parametrize("synced_first", [True, False])
def test_spending_beyond_the_closing_is_proven(street: Street, synced_first: bool) -> None:
    """The ride comes to light after the closing, or was posted before a closing that denies it."""
    phone = street.phone
    before = phone.state
    if synced_first:
        assert street.ride(0, cheats.beyond_the_closing(phone, before, FARE_KGO, NOW_S)) == [(Outcome.POSTED, 0)]
        with pytest.raises(errors.ClosingInvalid, match="contradicts"):
            phone.renew(street.link, NOW_S)
        assert street.available_kgo == GRANT_KGO - RESERVE_KGO, "nothing returned"
    else:
        phone.renew(street.link, NOW_S)
        (outcome,) = street.ride(0, cheats.beyond_the_closing(phone, before, FARE_KGO, NOW_S))
        assert outcome[0] in (Outcome.POSTED, Outcome.SUSPENSE)
    (proof,) = equivocation.proofs(street.town.store)
    assert proof.kind is ProofKind.BEYOND_CLOSING and equivocation.is_proven(proof, CITY)
    assert proof.wallet_id == street.wallet_id
    with pytest.raises(errors.ClosingInvalid if synced_first else errors.AccountFrozen):
        phone.take_allowance(street.link, NOW_S + 1)
    denied = {row[0] for row in street.town.store.fetch("SELECT pass_id FROM denied")}
    assert phone.allowance.pass_id in denied
    assert audit(street.town.store).findings == ()
    street.town.assert_sound()


def test_a_lost_answer_is_asked_for_again(street: Street, tmp_path: Path, rng: random.Random) -> None:
    street.ride(0)
    street.link.loses = True
    with pytest.raises(WalletOffline):
        street.phone.renew(street.link, NOW_S)
    with pytest.raises(WalletClosed):
        street.phone.new_intent(Audience.TRANSIT, FARE_KGO)
    assert street.phone.code(NOW_S), "the last code may still be shown"
    again = PhoneWallet(tmp_path / "phone", CITY, rng)  # the phone was switched off in between
    street.link.loses = False
    taken = again.renew(street.link, NOW_S + 5)
    rows = street.town.store.fetch("SELECT pass_id FROM allowances WHERE state = 1")
    assert rows == [(taken.pass_id,)], "one new allowance, not two"
    assert not again.state.closing_hex and not again.state.next_secret
    again.new_intent(Audience.TRANSIT, FARE_KGO)
    street.town.assert_sound()


def test_a_third_unexpired_allowance_is_refused_and_nothing_is_closed(street: Street) -> None:
    street.phone.renew(street.link, NOW_S)
    street.ride(0)
    before = street.town.store.fetch("SELECT hash, state FROM allowances ORDER BY 1")
    with pytest.raises(errors.AllowancesAtMost):
        street.phone.renew(street.link, NOW_S + 10)
    assert street.town.store.fetch("SELECT hash, state FROM allowances ORDER BY 1") == before
    assert street.ride(0) == [(Outcome.POSTED, 0)], "the phone goes on with what it has"
    after_s = NOW_S + street.town.limits.allowance_life_s + 1
    street.link.now_s = after_s
    assert street.phone.take_allowance(street.link, after_s).not_before_s == after_s


def test_a_closing_that_never_arrived_is_dropped_when_its_allowance_has_ended(street: Street) -> None:
    class Gone(DeskLink):
        def ask(self, body: bytes) -> dict[int, object]:
            raise WalletOffline("no network")

    with pytest.raises(WalletOffline):
        street.phone.renew(Gone(street.link._desk), NOW_S)
    limits = street.town.limits
    street.link.now_s = NOW_S + limits.allowance_life_s + limits.reserve_grace_s + 10
    allowances.release_due(street.town.store, limits, street.link.now_s)
    assert street.phone.take_allowance(street.link, street.link.now_s).reserve_kgo == RESERVE_KGO
    assert not street.phone.state.closing_hex


def test_a_closing_comes_with_a_renewal_only(street: Street) -> None:
    said = WalletRequest(
        WalletAsk.BALANCE, street.phone.account.point, street.phone.key.point, bytes(16), NOW_S, None,
        street.closing().raw,
    )  # fmt: skip
    raw = signed_by(street.phone.account, Kind.WALLET_REQUEST, wallet.WALLET_REQUEST.encode(said)).raw
    with pytest.raises(errors.RequestUnreadable):
        street.link.ask(raw)
    assert street.town.store.fetch("SELECT state FROM allowances") == [(1,)]


Forge = Callable[[Street], bytes]


@pytest.mark.parametrize(
    ("forge", "refusal"),
    [
        (lambda street: street.closing().raw[:-1] + b"\0", errors.ClosingInvalid),
        (lambda street: street.closing().raw[:-1], errors.CodeDamaged),
        (lambda street: street.phone.allowance_raw, errors.Malformed),
        (lambda _street: b"\xa0", errors.Malformed),
    ],
    ids=["signature", "cut", "another object", "no object"],
)
def test_a_bad_closing_opens_nothing(street: Street, forge: Forge, refusal: type[errors.Refusal]) -> None:
    street.phone.state = replace(street.phone.state, closing_hex=forge(street).hex(), next_secret=7)
    before = street.town.store.fetch("SELECT hash, state FROM allowances")
    with pytest.raises(refusal):
        street.phone.take_allowance(street.link, NOW_S)
    assert street.town.store.fetch("SELECT hash, state FROM allowances") == before

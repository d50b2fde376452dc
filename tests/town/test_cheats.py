"""Every trick of the simulated wallet, by name, against real terminals and the real city. DESIGN §2, §5, §8.

What the terminal says at once, what the ledger proves later, who pays, and that an honest copy of the same bytes is
never taken for fraud.
"""

from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from offline_ledger.city.accounts import RISK
from offline_ledger.errors import (
    CodeTooOld,
    Conflict,
    Denied,
    SumUnderstated,
    WalletSignatureWrong,
    WrongAudience,
)
from offline_ledger.money import KGO
from offline_ledger.protocol.device import DeviceRole
from offline_ledger.protocol.wallet import Audience
from offline_ledger.terminal.outcome import Light
from simulators import cheats
from simulators.wallet import PhoneWallet
from tests.town.in_process import CITY, Terminal, Town, open_town

FARE_KGO = 50 * KGO
SALE_KGO = 20 * KGO


@pytest.fixture
def town(tmp_path: Path, rng: Random) -> Iterator[Town]:
    with open_town(tmp_path, rng) as made:
        yield made


@pytest.fixture
def bus(town: Town) -> Terminal:
    return town.terminal(DeviceRole.VALIDATOR)


@pytest.fixture
def other_bus(town: Town) -> Terminal:
    return town.terminal(DeviceRole.VALIDATOR)


@pytest.fixture
def shop(town: Town) -> Terminal:
    return town.terminal(DeviceRole.SHOP)


@pytest.fixture
def phone(town: Town) -> PhoneWallet:
    """A wallet with a new ride on its screen."""
    made = town.wallet("phone")
    made.new_intent(Audience.TRANSIT, FARE_KGO)
    return made


def proofs(town: Town) -> int:
    """Equivocations that the ledger holds a proof of."""
    return len(town.store.fetch("SELECT 1 FROM equivocations"))


def spent_kgo(town: Town, phone: PhoneWallet) -> int:
    return town.registering_kgo - town.owned_kgo(phone)


def assert_denied_everywhere(town: Town, phone: PhoneWallet) -> None:
    """The proof has reached every terminal."""
    for terminal in town.terminals:
        terminal.exchange()
        is_bus = terminal.role is DeviceRole.VALIDATOR
        phone.new_intent(Audience.TRANSIT if is_bus else Audience.SHOP, FARE_KGO if is_bus else SALE_KGO)
        outcome = terminal.take(phone.code(town.now_s()), None if is_bus else SALE_KGO)
        assert isinstance(outcome.refusal, Denied), terminal.device


def test_replay(town: Town, bus: Terminal, other_bus: Terminal, phone: PhoneWallet) -> None:
    code = phone.code(town.now_s())
    assert bus.take(code).light is Light.ACCEPTED_CASH_DUE
    for later_s in (1, 34, 300):
        town.clock.advance(s=later_s)
        assert bus.take(code).light is Light.ALREADY_ACCEPTED
    assert isinstance(other_bus.take(code).refusal, CodeTooOld)
    town.sync()
    assert (spent_kgo(town, phone), town.unpaid_kgo(), proofs(town)) == (FARE_KGO, 0, 0)


def test_same_intent_at_two_buses(town: Town, bus: Terminal, other_bus: Terminal, phone: PhoneWallet) -> None:
    assert bus.take(phone.code(town.now_s())).light is Light.ACCEPTED_CASH_DUE
    town.clock.advance(s=20)
    assert other_bus.take(phone.code(town.now_s())).light is Light.ACCEPTED_CASH_DUE
    town.sync()
    assert (spent_kgo(town, phone), town.balance(RISK)) == (FARE_KGO, -FARE_KGO)
    assert proofs(town) == 0, "the first validator may have died: a duplicate is no proof"
    town.assert_sound()


def test_same_intent_at_two_buses_too_far_apart_for_one_screen(
    town: Town, bus: Terminal, other_bus: Terminal, phone: PhoneWallet
) -> None:
    assert bus.take(phone.code(town.now_s())).light is Light.ACCEPTED_CASH_DUE
    town.clock.advance(s=town.limits.window_s + 1)
    assert other_bus.take(phone.code(town.now_s())).light is Light.ACCEPTED_CASH_DUE
    town.sync()
    assert (spent_kgo(town, phone), town.balance(RISK), proofs(town)) == (2 * FARE_KGO, 0, 0)


def test_clone(town: Town, tmp_path: Path, bus: Terminal, shop: Terminal, phone: PhoneWallet) -> None:
    twin = cheats.clone(tmp_path / "phones" / "phone", tmp_path / "twin", CITY, 1)
    assert bus.take(phone.code(town.now_s())).light is Light.ACCEPTED_CASH_DUE
    twin.new_intent(Audience.SHOP, SALE_KGO)
    phone.new_intent(Audience.TRANSIT, FARE_KGO)
    assert bus.take(phone.code(town.now_s())).light is Light.ACCEPTED_CASH_DUE
    assert shop.take(twin.code(town.now_s()), SALE_KGO).light is Light.ACCEPTED
    town.sync()
    assert proofs(town) == 1
    assert spent_kgo(town, phone) == 2 * FARE_KGO + SALE_KGO - town.rewards_kgo(), "only the actual spending is taken"
    assert_denied_everywhere(town, phone)
    town.assert_sound()


def test_understated_sum(town: Town, bus: Terminal, other_bus: Terminal, phone: PhoneWallet) -> None:
    assert bus.take(phone.code(town.now_s())).light is Light.ACCEPTED_CASH_DUE
    phone.new_intent(Audience.TRANSIT, FARE_KGO)
    lie = cheats.understated_sum(phone, 1, town.now_s())
    assert isinstance(bus.take(lie).refusal, SumUnderstated)
    assert other_bus.take(lie).light is Light.ACCEPTED_CASH_DUE
    town.sync()
    assert proofs(town) >= 1
    assert_denied_everywhere(town, phone)


def test_an_understated_sum_that_the_terminal_refused_is_proof_enough(
    town: Town, bus: Terminal, phone: PhoneWallet
) -> None:
    assert bus.take(phone.code(town.now_s())).light is Light.ACCEPTED_CASH_DUE
    phone.new_intent(Audience.TRANSIT, FARE_KGO)
    assert isinstance(bus.take(cheats.understated_sum(phone, 1, town.now_s())).refusal, SumUnderstated)
    town.sync()
    assert (proofs(town), spent_kgo(town, phone)) == (1, FARE_KGO)
    assert_denied_everywhere(town, phone)


def test_flipped_signatures_frame_nobody_and_double_nothing(
    town: Town, bus: Terminal, other_bus: Terminal, phone: PhoneWallet
) -> None:
    code = phone.code(town.now_s())
    flipped = cheats.flipped_signatures(code, CITY)
    assert flipped != code
    assert bus.take(code).light is Light.ACCEPTED_CASH_DUE
    assert bus.take(flipped).light is Light.ALREADY_ACCEPTED
    assert other_bus.take(flipped).light is Light.ACCEPTED_CASH_DUE
    town.sync()
    assert (spent_kgo(town, phone), proofs(town)) == (FARE_KGO, 0)
    phone.new_intent(Audience.TRANSIT, FARE_KGO)
    assert bus.take(phone.code(town.now_s())).light is Light.ACCEPTED_CASH_DUE, "its owner rides on"
    town.assert_sound()


@pytest.mark.parametrize(("age_s", "is_fresh"), [(35, True), (36, False)])
def test_stale(town: Town, bus: Terminal, phone: PhoneWallet, age_s: int, is_fresh: bool) -> None:
    outcome = bus.take(cheats.screenshot(phone, town.now_s() - age_s))
    assert (outcome.light is Light.ACCEPTED_CASH_DUE) is is_fresh
    assert isinstance(outcome.refusal, CodeTooOld) is not is_fresh


def test_wrong_audience(town: Town, bus: Terminal, shop: Terminal, phone: PhoneWallet) -> None:
    assert isinstance(shop.take(phone.code(town.now_s()), FARE_KGO).refusal, WrongAudience)
    phone.new_intent(Audience.SHOP, SALE_KGO)
    assert isinstance(bus.take(phone.code(town.now_s())).refusal, WrongAudience)
    assert shop.take(phone.code(town.now_s()), SALE_KGO).light is Light.ACCEPTED


def test_restored_backup(town: Town, tmp_path: Path, bus: Terminal, shop: Terminal, phone: PhoneWallet) -> None:
    restore = cheats.restored_backup(tmp_path / "phones" / "phone", tmp_path / "backup")
    phone.new_intent(Audience.TRANSIT, FARE_KGO)
    assert bus.take(phone.code(town.now_s())).light is Light.ACCEPTED_CASH_DUE
    old = restore(CITY, 1)
    assert old.state.n == phone.state.n - 1
    old.new_intent(Audience.TRANSIT, 2 * FARE_KGO)
    assert isinstance(bus.take(old.code(town.now_s())).refusal, Conflict)
    old.new_intent(Audience.SHOP, SALE_KGO)
    assert shop.take(old.code(town.now_s()), SALE_KGO).light is Light.ACCEPTED, "offline, the shop cannot know"
    town.sync()
    assert proofs(town) >= 1
    assert_denied_everywhere(town, old)
    town.assert_sound()


def test_same_counter_for_another_place(town: Town, bus: Terminal, shop: Terminal, phone: PhoneWallet) -> None:
    assert bus.take(phone.code(town.now_s())).light is Light.ACCEPTED_CASH_DUE
    lie = cheats.same_counter_other_audience(phone, Audience.SHOP, SALE_KGO, town.now_s())
    assert shop.take(lie, SALE_KGO).light is Light.ACCEPTED
    town.sync()
    assert proofs(town) == 1
    assert_denied_everywhere(town, phone)


def test_somebody_elses_allowance(town: Town, bus: Terminal, phone: PhoneWallet) -> None:
    thief = town.wallet("thief")
    forged = cheats.foreign_signature(phone.code(town.now_s()), CITY, thief)
    assert isinstance(bus.take(forged).refusal, WalletSignatureWrong)
    town.sync()
    assert (spent_kgo(town, phone), proofs(town)) == (0, 0)


def test_beyond_the_closing(town: Town, bus: Terminal, other_bus: Terminal, phone: PhoneWallet) -> None:
    """Renewed early, and the old allowance shown once more: a bus cannot know, the ledger has both signatures."""
    assert bus.take(phone.code(town.now_s())).light is Light.ACCEPTED_CASH_DUE
    before = phone.state
    phone.renew(town.link, town.now_s())
    phone.new_intent(Audience.TRANSIT, FARE_KGO)
    assert bus.take(phone.code(town.now_s())).light is Light.ACCEPTED_CASH_DUE
    town.sync()
    assert (spent_kgo(town, phone), proofs(town)) == (2 * FARE_KGO, 0), "who renews early is honest"
    beyond = cheats.beyond_the_closing(phone, before, FARE_KGO, town.now_s())
    assert other_bus.take(beyond).light is Light.ACCEPTED_CASH_DUE
    town.sync()
    assert (spent_kgo(town, phone), town.unpaid_kgo(), proofs(town)) == (2 * FARE_KGO, FARE_KGO, 1)
    assert_denied_everywhere(town, phone)
    town.assert_sound()


def test_no_trick_of_the_simulator_is_untested() -> None:
    said = Path(__file__).read_text()
    tricks = [name for name, made in vars(cheats).items() if getattr(made, "__module__", "") == cheats.__name__]
    assert tricks and [name for name in tricks if f"cheats.{name}(" not in said] == []

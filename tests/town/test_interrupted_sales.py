"""A sale that a power cut interrupted is charged once or not at all, whatever the cashier and the customers do next.

Whole tills in one process, with their city. DESIGN §5 "unratified".
"""

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from random import Random

import pytest

from offline_ledger.city import bulletins
from offline_ledger.city.bulletins import Validity
from offline_ledger.errors import CodeCancelled, NoCampaign
from offline_ledger.money import KGO
from offline_ledger.protocol.city import BulletinKind, Outcome
from offline_ledger.protocol.device import DeviceRole
from offline_ledger.protocol.wallet import Audience
from offline_ledger.rules.campaign import Campaigns, decode_campaigns, encode_campaigns
from offline_ledger.rules.civil import EPOCH_ORDINAL, civil_day, day_start_s
from offline_ledger.terminal.outcome import Light
from pos_app.sale import OpenSale, Till, open_sale
from pos_app.waiting_sales import WaitingSales
from simulators.wallet import IntentEnded, PhoneWallet
from tests.town.in_process import MERCHANT, Terminal, Town, open_town

SALE_KGO = 20 * KGO


@pytest.fixture
def town(tmp_path: Path, rng: Random) -> Iterator[Town]:
    with open_town(tmp_path, rng) as made:
        yield made


def till_of(shop: Terminal, sale: OpenSale) -> Till:
    campaigns = shop.station.bulletin(BulletinKind.CAMPAIGN)
    assert campaigns is not None
    return Till(sale, decode_campaigns(campaigns.body), campaigns.version, MERCHANT)


def code_of(town: Town, phone: PhoneWallet, *, is_new: bool = True) -> str:
    if is_new:
        phone.new_intent(Audience.SHOP, SALE_KGO)
    return phone.code(town.now_s())


def interrupted(town: Town, shop: Terminal, phone: PhoneWallet, name: str = "sale-1") -> OpenSale:
    """The voucher is durable, nobody sees its green, the program starts again."""
    sale = open_sale(name, 20_000, SALE_KGO)
    assert shop.station.acceptor.accept(code_of(town, phone), till_of(shop, sale)).light is Light.ACCEPTED
    shop.restart()
    return sale


def wait_out(town: Town, shop: Terminal) -> None:
    """As long as an unratified voucher may wait, with power."""
    for _ in range(town.limits.unratified_s // 5 + 2):
        shop.station.acceptor.tick(town.clock.mono_ms())
        town.clock.advance(s=5)
    assert shop.station.acceptor.unratified.sequences() == []


def paid_kgo(town: Town, phone: PhoneWallet) -> int:
    """What the phone has lost since it registered, but for what shops gave it."""
    return town.registering_kgo - town.owned_kgo(phone) + town.rewards_kgo()


def test_after_the_wait_neither_the_same_code_nor_the_next_pays_the_sale_again(town: Town) -> None:
    shop, phone = town.terminal(DeviceRole.SHOP), town.wallet("buyer")
    sale = interrupted(town, shop, phone)
    wait_out(town, shop)
    with pytest.raises(IntentEnded):  # L ≤ W: only an app that ends no intent still has this code
        phone.code(town.now_s())
    for code in (phone.code_for(phone.presentment(town.now_s())), code_of(town, phone)):
        again = shop.station.acceptor.accept(code, till_of(shop, sale))
        assert (again.light, again.sequence) == (Light.ALREADY_ACCEPTED, 1)
    town.sync()
    assert shop.station.journal.tail.sequence == 1 and paid_kgo(town, phone) == SALE_KGO
    town.assert_sound()


def test_the_next_code_gets_the_green_although_its_own_sale_has_used_up_the_days_cap(town: Town) -> None:
    shop, phone = town.terminal(DeviceRole.SHOP), town.wallet("buyer")
    limit_day(town, SALE_KGO)
    town.sync()
    sale = interrupted(town, shop, phone)
    back = shop.station.acceptor.accept(code_of(town, phone), till_of(shop, sale))
    assert back.light is Light.ACCEPTED and back.is_uncharged_green and back.sequence == 1


@pytest.mark.parametrize("is_posted", [False, True], ids=["before it was sent", "after it was posted"])
def test_a_cancelled_sale_is_not_charged_and_its_code_says_so(town: Town, is_posted: bool) -> None:
    shop, phone = town.terminal(DeviceRole.SHOP), town.wallet("buyer")
    sale = interrupted(town, shop, phone)
    if is_posted:
        town.sync()
    waiting = WaitingSales(shop.station)
    waiting.look()
    assert waiting.newest() == sale and waiting.cancel(sale.sale)
    assert waiting.all() == [] and not waiting.cancel(sale.sale)
    again = shop.station.acceptor.accept(code_of(town, phone, is_new=False), till_of(shop, sale))
    assert again.light is Light.REFUSED and isinstance(again.refusal, CodeCancelled)
    wait_out(town, shop)
    town.sync()
    assert town.owned_kgo(phone) == town.registering_kgo, "charge and reward are both taken back"
    town.assert_sound()


def test_a_cancelled_sale_stays_cancelled_over_a_restart(town: Town) -> None:
    shop, phone = town.terminal(DeviceRole.SHOP), town.wallet("buyer")
    sale = interrupted(town, shop, phone)
    waiting = WaitingSales(shop.station)
    waiting.look()
    waiting.cancel(sale.sale)
    shop.restart()
    assert shop.station.acceptor.unratified.sequences() == []
    again = shop.station.acceptor.accept(code_of(town, phone, is_new=False), till_of(shop, sale))
    assert isinstance(again.refusal, CodeCancelled)


def test_what_another_customer_has_paid_is_not_charged_to_the_first(town: Town) -> None:
    shop, first, second = town.terminal(DeviceRole.SHOP), town.wallet("first"), town.wallet("second")
    sale = interrupted(town, shop, first)
    waiting = WaitingSales(shop.station)
    waiting.look()
    paid = shop.station.acceptor.accept(code_of(town, second), till_of(shop, sale))
    assert paid.light is Light.ACCEPTED and paid.sequence == 2
    shop.station.acceptor.shown(paid)
    waiting.paid(sale.sale, 2)
    assert waiting.look() == [] and waiting.all() == []
    wait_out(town, shop)
    town.sync()
    lost = [town.registering_kgo - town.owned_kgo(phone) for phone in (first, second)]
    assert lost == [0, SALE_KGO - town.rewards_kgo()]
    town.assert_sound()


def test_power_cut_once_more_the_later_of_two_vouchers_for_one_sale_stands(town: Town) -> None:
    shop, first, second = town.terminal(DeviceRole.SHOP), town.wallet("first"), town.wallet("second")
    sale = interrupted(town, shop, first)
    assert shop.station.acceptor.accept(code_of(town, second), till_of(shop, sale)).sequence == 2
    shop.restart()
    waiting = WaitingSales(shop.station)
    waiting.look()
    assert waiting.all() == [(2, sale)] and shop.station.acceptor.unratified.sequences() == [2]


def test_all_interrupted_sales_are_listed_and_each_can_be_cancelled(town: Town) -> None:
    shop, phones = town.terminal(DeviceRole.SHOP), [town.wallet(f"buyer-{at}") for at in range(3)]
    sales = [interrupted(town, shop, phone, f"sale-{at}") for at, phone in enumerate(phones)]
    waiting = WaitingSales(shop.station)
    waiting.look()
    assert waiting.all() == list(enumerate(sales, 1)) and waiting.named("sale-1") == sales[1]
    assert waiting.named("sale-9") is None
    waiting.cancel("sale-1")
    wait_out(town, shop)
    assert waiting.look() == [sales[0], sales[2]], "charged when the wait was over"
    town.sync()
    paid = [town.registering_kgo - town.owned_kgo(phone) for phone in phones]
    assert paid[1] == 0 and sum(paid) == 2 * SALE_KGO - town.rewards_kgo()
    town.assert_sound()


def campaigns_changed(town: Town, **changes: object) -> None:
    raw = town.terminals[0].station.bulletin(BulletinKind.CAMPAIGN)
    assert raw is not None
    changed = Campaigns(tuple(one._replace(**changes) for one in decode_campaigns(raw.body).campaigns))  # type: ignore[arg-type]
    validity = Validity(town.now_s(), town.now_s() + 10**7)
    keys = town.service.keys
    bulletins.publish(
        town.store, keys.bulletin, BulletinKind.CAMPAIGN, encode_campaigns(changed), town.now_s(), validity
    )


def limit_day(town: Town, day_kgo: int) -> None:
    """Each customer may use so many KGO a day."""
    raw = town.terminals[0].station.bulletin(BulletinKind.CAMPAIGN)
    assert raw is not None
    (first, *_rest) = decode_campaigns(raw.body).campaigns
    assert first.discount is not None
    campaigns_changed(town, discount=first.discount._replace(wallet_day_kgo_max=day_kgo))


@pytest.mark.parametrize(("begun_s", "is_accepted"), [(-4, True), (-2, False)])
def test_a_till_and_its_city_agree_on_the_campaign_of_the_last_second(
    town: Town, begun_s: int, is_accepted: bool
) -> None:
    """The code is read before midnight, and its turn comes three seconds later: a slow disk was in the way."""
    shop, phone = town.terminal(DeviceRole.SHOP), town.wallet("buyer")
    today = civil_day(town.now_s())
    campaigns_changed(town, last_day=int(date.fromordinal(today + EPOCH_ORDINAL).strftime("%Y%m%d")))
    ends_s = day_start_s(today + 1)
    town.clock.advance(s=ends_s - town.now_s() - 600)
    town.sync()
    town.clock.advance(s=ends_s + begun_s - town.now_s())
    till, code = till_of(shop, open_sale("sale-1", 20_000, SALE_KGO)), code_of(town, phone)
    town.clock.advance(s=3)
    outcome = shop.station.acceptor.accept(code, till)
    shop.station.acceptor.shown(outcome)
    town.sync()
    posted = [row[0] for row in town.store.fetch("SELECT outcome FROM vouchers")]
    if is_accepted:
        assert outcome.light is Light.ACCEPTED and posted == [Outcome.POSTED]
    else:
        assert isinstance(outcome.refusal, NoCampaign) and posted == []
    town.assert_sound()

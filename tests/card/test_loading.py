"""A card from its first day: made ready, loaded by the real city over a real reader, paid with, posted, renewed."""

import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from offline_ledger.city import allowances
from offline_ledger.money import KGO
from offline_ledger.protocol import cose, device, wallet
from offline_ledger.protocol.card import Ins, Status, select
from offline_ledger.protocol.city import Outcome
from offline_ledger.protocol.device import DeviceRole, PlaceKey, VoucherKind
from offline_ledger.protocol.kinds import OBJECT_BYTES_MAX, Kind
from offline_ledger.protocol.wallet import Concession, Medium
from offline_ledger.terminal.drivers.card_pcsc import PcscContext, Scard
from simulators.card.applet import Applet
from simulators.card.loading import CardRefused, LoadingDesk
from simulators.card.purse import PurseFile
from simulators.card.virtual import VirtualCard
from simulators.pcsc import PcscDaemon
from simulators.wallet import WalletRefused
from tests.card.desk import say
from tests.city.town import ISSUER_TEST_ONLY, NOW_S, request_for, signed_by
from tests.city.town import Town as LedgerTown
from tests.town.in_process import CITY, Town, open_town

DEADLINE_S = 10.0


@pytest.fixture
def town(tmp_path: Path, rng: Random) -> Iterator[Town]:
    with open_town(tmp_path, rng) as made:
        yield made


def handed_out(town: Town, desk: LoadingDesk) -> bytes:
    """Initialised and registered as a card, as `kgo-city wallet --register POINT --medium card` does; its point."""
    point = desk.initialise(CITY, (town.service.keys.issuer.point,))
    allowances.register(town.store, point, Concession.SENIOR, Medium.CARD, 500 * KGO, town.now_s())
    return point


def test_a_card_is_loaded_by_the_real_city_over_a_real_reader(town: Town, tmp_path: Path, pcsc: PcscDaemon) -> None:
    applet = Applet(PurseFile(tmp_path / "card.json"), 1)
    context = PcscContext(Scard())
    name, port = pcsc.readers[0]
    with VirtualCard(applet, applet.file) as card:
        card.insert(port)
        until_s = time.monotonic() + DEADLINE_S
        while not (found := context.wait([(name, 0)], 0.1)) or not found[0].has_card:
            assert time.monotonic() < until_s
            time.sleep(0.01)
        held = context.connect(name)
        desk = LoadingDesk(held.transmit, Random(1))
        point = handed_out(town, desk)
        raw = desk.load(town.link, point, town.now_s())
        held.disconnect()
    context.release()
    assert applet.file.load().allowance == raw
    said = wallet.ALLOWANCE.decode(raw_payload(raw), OBJECT_BYTES_MAX)
    assert (said.medium, said.concession, said.wallet_point) == (Medium.CARD, Concession.SENIOR, point)
    assert said.reserve_kgo > 0


def raw_payload(raw: bytes) -> bytes:
    return cose.parse_sign1(raw, cose.external_aad(Kind.ALLOWANCE, CITY)).payload


def test_a_card_is_closed_and_loaded_again_before_its_time(town: Town, tmp_path: Path) -> None:
    applet = Applet(PurseFile(tmp_path / "card.json"), 2)
    desk = LoadingDesk(applet.answer, Random(2))
    point = handed_out(town, desk)
    first = desk.load(town.link, point, town.now_s())
    request = town_request(town, first, 5_000)
    assert say(applet, Ins.PAY, request)[1] == Status.OK
    closing = desk.close()
    town.clock.advance(s=60)
    second = desk.load(town.link, point, town.now_s(), closing)
    assert second != first
    wallet_id = allowances.wallet_of(town.store, point).wallet_id
    states = {
        one.raw: (one.state, one.closed_n, one.closed_sum_kgo) for one in allowances.of_wallet(town.store, wallet_id)
    }
    assert states[first] == (allowances.AllowanceState.CLOSED, 1, 5_000)
    assert say(applet, Ins.PAY, town_request(town, second, 5_000))[1] == Status.OK
    town.assert_sound()


def town_request(town: Town, allowance: bytes, kgo: int) -> bytes:
    """A request for the card that holds this allowance."""
    said = wallet.ALLOWANCE.decode(raw_payload(allowance), OBJECT_BYTES_MAX)
    made = device.PaymentRequest(
        "bus-1", "OP-1", kgo, 100, "T1", town.rng.randbytes(16), town.now_s(), town.now_s() + 60, said.pass_id
    )
    return signed_by(ISSUER_TEST_ONLY, Kind.PAYMENT_REQUEST, device.PAYMENT_REQUEST.encode(made)).raw


def test_an_account_that_a_stranger_names_is_not_asked_for(town: Town, tmp_path: Path) -> None:
    desk = LoadingDesk(Applet(PurseFile(tmp_path / "card.json"), 3).answer, Random(3))
    point = handed_out(town, desk)
    with pytest.raises(CardRefused, match="6A80"):
        desk.load(town.link, town.service.keys.issuer.point, town.now_s())
    with pytest.raises(CardRefused, match="6985"):
        desk.initialise(CITY, (point,))
    with pytest.raises(CardRefused, match="6A88"):
        desk.close()


def test_a_card_of_another_city_is_not_loaded_here(town: Town, tmp_path: Path) -> None:
    desk = LoadingDesk(Applet(PurseFile(tmp_path / "card.json"), 4).answer, Random(4))
    point = desk.initialise("TH-30", (town.service.keys.issuer.point,))
    with pytest.raises(WalletRefused):
        desk.register(town.link, point, town.now_s())


def test_what_a_card_pays_is_posted(tmp_path: Path) -> None:
    town = LedgerTown(tmp_path)
    applet = Applet(PurseFile(tmp_path / "card.json"), 5)
    desk = LoadingDesk(applet.answer, Random(5))
    point = desk.initialise(CITY, (ISSUER_TEST_ONLY.point,))
    allowances.register(town.store, point, Concession.ADULT, Medium.CARD, 50_000, NOW_S)
    issued = allowances.issue(town.store, ISSUER_TEST_ONLY, point, point, bytes(range(8)), town.limits, NOW_S)
    applet.answer(select())
    assert say(applet, Ins.STORE_ALLOWANCE, issued.raw)[1] == Status.OK
    shop = town.terminal("pos-1", DeviceRole.SHOP)
    plain = device.PAYMENT_REQUEST.decode(request_for(shop, 2_000, 8_000, NOW_S).payload, OBJECT_BYTES_MAX)
    payload = device.PAYMENT_REQUEST.encode(plain._replace(pass_id=bytes(range(8))))
    request = signed_by(shop.key, Kind.PAYMENT_REQUEST, payload)
    raw, status = say(applet, Ins.PAY, request.raw)
    assert status == Status.OK
    paid = cose.parse_sign1(raw, cose.external_aad(Kind.PAYMENT, CITY))
    place: dict[int, object] = {int(PlaceKey.SALE): "S1", int(PlaceKey.BILL_SATANG): 10_000}
    shop.voucher(VoucherKind.SALE, NOW_S, [paid, request], kgo=2_000, satang=8_000, product="all", place=place)
    assert town.send(shop).outcomes == [(Outcome.POSTED, 0)]
    town.assert_sound()
    town.store.close()

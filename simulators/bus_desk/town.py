"""The town around the bus on the desk: a real city, people with phones and cards, printed coupons. DESIGN §3, §8.

Everything is made by the city's own commands and service; coupons are read back from the printed sheet. What an honest
city would not sign is made here and said so: a coupon that is over, a code of another city. Keys are TEST ONLY.
"""

import re
import time
import zlib
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from random import Random
from typing import NamedTuple

import zxingcpp
from PIL import Image

from offline_ledger.city.settings import read_city_settings
from offline_ledger.city.signing import Signing
from offline_ledger.city.store import Store
from offline_ledger.money import KGO
from offline_ledger.protocol import cose, qr, wallet
from offline_ledger.protocol.city import KeyRole
from offline_ledger.protocol.kinds import PASS_ID_BYTES, Kind
from offline_ledger.protocol.qr import QrType
from offline_ledger.protocol.wallet import Allowance, Audience, Concession, Coupon, Medium
from offline_ledger.rules.limits import DAY_S
from simulators.card.applet import ISSUERS_MAX, Applet
from simulators.card.loading import LoadingDesk
from simulators.card.purse import PurseFile
from simulators.card.virtual import VirtualCard
from simulators.demo.city import CITY, CityProgram, write_gifts
from simulators.demo.reader_files import open_copy, read_city_keys
from simulators.demo.town import Person
from simulators.keys import SimulatedKey
from simulators.sample_town import CREW_LIST, FEED
from simulators.wallet import CityLink, PhoneWallet

OPERATOR = "city-bus"
BUS, OTHER_BUS = "bus-008", "bus-009"
PEOPLE = {
    "Mali": Concession.ADULT,
    "Somchai": Concession.ADULT,
    "Nok": Concession.STUDENT,
    "Boonmi": Concession.SENIOR,
}
CARDS = ("Kaew", "Lek", "Dao")
GIFT_KGO = 1_000
OTHER_CITY = "TH-30"
FARE_KGO = 50 * KGO
PEOPLE_MAX = 200
"""New passengers of one session; each has its allowance, good for two rides, and somebody pressed a button for each."""
SHEET = {"good": 4, "other_vehicle": 1, "other_trip": 1}
"""How many coupons are printed of each."""
BANGKOK = timezone(timedelta(hours=7))
_SHRINK = 3
"""A sheet is printed at 600 dots an inch; a scanner sees a third of them."""
_QR = zxingcpp.BarcodeFormats(zxingcpp.BarcodeFormat.QRCode)
_IMAGE = re.compile(rb"/Subtype /Image /Width (\d+) /Height (\d+) .*/Length (\d+) >>\nstream\n")


class CardHeld(NamedTuple):
    """A card and whose it is."""

    name: str
    card: VirtualCard


class BusTown:
    """One city in one folder; `found` first, then `add_people` once devices are enrolled."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.seed = seed
        self.city = CityProgram(folder / "city")
        self.wallet_url = ""  # where phones reach the city, if not at its own address
        self.people: dict[str, Person] = {}
        self.cards: dict[str, CardHeld] = {}
        self._coupons: dict[str, list[str]] = {}
        self._sheets = 0
        self._founded_s = 0

    @property
    def routes_file(self) -> Path:
        """The compiled feed of the sample town."""
        return self.folder / "routes.kgo"

    @property
    def crew_file(self) -> Path:
        """The sample town's drivers."""
        return self.folder / "crew.kgo"

    def found(self) -> None:
        """The city with its sample fare, its routes and drivers; its service answers."""
        self.city.init()
        self._founded_s = int(time.time())
        self.city.ask("routes", str(FEED), str(self.routes_file))
        self.city.ask("crew", str(CREW_LIST), str(self.crew_file), "--operator", OPERATOR)
        self.city.serve()

    def add_people(self) -> None:
        """They register, get a gift and take an allowance: phones and cards."""
        link, now_s = self._link(), int(time.time())
        wallets = {name: self._wallet(name) for name in PEOPLE}
        for made in wallets.values():
            made.register(link, now_s)
        desks = {name: self._blank_card(name, number) for number, name in enumerate(CARDS)}
        for loading, point, _card in desks.values():
            loading.register(link, point, now_s)
        gifts = self.folder / "gifts.csv"
        points = [(made.account.point, name) for name, made in wallets.items()]
        points += [(point, name) for name, (_loading, point, _card) in desks.items()]
        write_gifts(gifts, [(point.hex(), str(GIFT_KGO), name) for point, name in points])
        self.city.grant(gifts)
        for name, made in wallets.items():
            if PEOPLE[name] is not Concession.ADULT:
                self.city.set_concession(made.account.point, PEOPLE[name].name.lower())
            made.take_allowance(link, now_s)
            self.people[name] = Person(name, PEOPLE[name], made)
        for name, (loading, point, card) in desks.items():
            loading.load(link, point, now_s)
            self.cards[name] = CardHeld(name, card)

    def add_person(self) -> Person:
        """One more passenger, who has only what registering gives."""
        number = len(self.people) - len(PEOPLE) + 1
        if number > PEOPLE_MAX:
            raise ValueError(f"{PEOPLE_MAX} new passengers are enough")
        name, link, now_s = f"New{number}", self._link(), int(time.time())
        made = self._wallet(name)
        made.register(link, now_s)
        made.take_allowance(link, now_s)
        self.people[name] = Person(name, Concession.ADULT, made)
        return self.people[name]

    def renew(self, person: Person) -> None:
        """The phone closes its allowance and takes a new one. Raises WalletRefused, WalletOffline."""
        person.wallet.renew(self._link(), int(time.time()))

    def coupon(self, kind: str) -> str:
        """The next good one, or one that is for another bus or trip or over. Sheets are printed as they are needed, by
        `kgo-city coupons`."""
        if not self._coupons.get(kind):
            self._coupons[kind] = [self._over()] if kind == "yesterday" else self._printed(kind)
        return self._coupons[kind].pop(0) if kind == "good" else self._coupons[kind][0]

    def other_citys_code(self) -> str:
        """A phone of another city, whose issuer is its own."""
        chance = Random(f"{self.seed}:other city")
        issuer, now_s = SimulatedKey(chance.getrandbits(255)), int(time.time())
        made = PhoneWallet(self.folder / "phones" / "other-city", OTHER_CITY, chance)
        secret = chance.getrandbits(255)
        said = Allowance(
            *(OTHER_CITY, chance.randbytes(PASS_ID_BYTES), SimulatedKey(secret).point, 500 * KGO, 100 * KGO, 30 * KGO),
            *(int(Concession.ADULT), int(Medium.PHONE), now_s - 60, now_s + DAY_S),
        )
        aad = cose.external_aad(Kind.ALLOWANCE, OTHER_CITY)
        raw = cose.sign1(wallet.ALLOWANCE.encode(said), aad, issuer.key_id, issuer.sign).raw
        made.state = replace(made.state, wallet_secret=secret, allowance_hex=raw.hex())
        made.new_intent(Audience.TRANSIT, FARE_KGO)
        return made.code(now_s)

    def close(self) -> None:
        """End the city; cards leave their readers."""
        for held in self.cards.values():
            held.card.remove()
        self.city.close()

    def _link(self) -> CityLink:
        return CityLink(self.wallet_url or self.city.url, self.city.ca_file)

    def _wallet(self, name: str) -> PhoneWallet:
        return PhoneWallet(self.folder / "phones" / name, CITY, Random(f"{self.seed}:{name}"))

    def _blank_card(self, name: str, number: int) -> tuple[LoadingDesk, bytes, VirtualCard]:
        folder = self.folder / "cards"
        folder.mkdir(exist_ok=True)
        file = PurseFile(folder / f"{name}.json")
        applet = Applet(file, self.seed % (1 << 32) * 10 + number)
        loading = LoadingDesk(applet.answer, Random(f"{self.seed}:{name}"))
        point = loading.initialise(CITY, self._issuers())
        return loading, point, VirtualCard(applet, file)

    def _issuers(self) -> tuple[bytes, ...]:
        with closing(open_copy(self.city.ledger, self.folder / "read")) as ledger:
            by_role = read_city_keys(ledger, CITY).by_role
        return tuple(by_role[int(KeyRole.ALLOWANCE_ISSUER)][:ISSUERS_MAX])

    def _printed(self, name: str) -> list[str]:
        self._sheets += 1
        day, file = _today(), self.folder / f"coupons-{name}-{self._sheets}.pdf"
        device = OTHER_BUS if name == "other_vehicle" else BUS
        words = (device, str(SHEET[name]), "--until", day, "--out", str(file), "--note", f"desk {name}")
        trip = ("--trip", f"0.{day.replace('-', '')}.0345") if name == "other_trip" else ()
        self.city.ask("coupons", *words, *trip)
        found = texts_on(file.read_bytes())
        assert len(found) == SHEET[name], f"{len(found)} codes read from {file}"
        return found

    def _over(self) -> str:
        """It ended with the city's first second: a city that was founded today has no key that could have signed for
        yesterday, and the command prints nothing that is over."""
        chance, settings = Random(f"{self.seed}:over"), read_city_settings(self.city.settings, "en")
        said = Coupon(CITY, chance.randbytes(PASS_ID_BYTES), OPERATOR, BUS, None, FARE_KGO, self._founded_s)
        with closing(Store.open(self.city.ledger)) as store:
            signer = Signing(store, settings.keys).keys.issuer
            aad = cose.external_aad(Kind.COUPON, CITY)
            made = cose.sign1(wallet.COUPON.encode(said), aad, signer.key_id, signer.sign)
        return qr.encode(QrType.COUPON, made.raw)


def _today() -> str:
    """In Bangkok, as an operator types it."""
    return datetime.now(BANGKOK).strftime("%Y-%m-%d")


def texts_on(pdf: bytes) -> list[str]:
    """What a scanner reads from a printed sheet, top to bottom."""
    found: list[tuple[int, str]] = []
    for number, said in enumerate(_IMAGE.finditer(pdf)):
        width, height, length = map(int, said.groups())
        page = Image.frombytes("1", (width, height), zlib.decompress(pdf[said.end() : said.end() + length]))
        small = page.convert("L").resize((width // _SHRINK, height // _SHRINK), Image.Resampling.BOX)
        for code in zxingcpp.read_barcodes(small, _QR):
            place = code.position.top_left
            found.append((number * 1_000_000_000 + place.y * 10_000 + place.x, code.text))
    return [text for _place, text in sorted(found)]

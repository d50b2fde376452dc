"""The town of the demo and of the kill rounds: a city, terminals with their devices, people with phones. DESIGN §3.

Builds what a story needs and says nothing; every process in it is ended when it is closed.
"""

import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from offline_ledger.money import KGO
from offline_ledger.protocol.wallet import Audience, Concession
from simulators.demo.city import CITY, CityProgram, write_gifts
from simulators.demo.desk import Desk, DeskSettings, Kind
from simulators.wallet import CityLink, PhoneWallet

GIFT_KGO = 1_000
THAI_NAMES = {"Mali": "มะลิ", "Somchai": "สมชาย", "Nok": "นก", "Boonmi": "บุญมี", "Lek": "เล็ก"}


@dataclass(frozen=True, slots=True)
class Person:
    """Who holds a phone."""

    name: str
    concession: Concession
    wallet: PhoneWallet

    @property
    def name_th(self) -> str:
        """The name as Thai readers write it."""
        return THAI_NAMES.get(self.name, self.name)

    def wants(self, audience: Audience, cap_kgo: int) -> None:
        """A new intent: "new ride", or a sale that was confirmed."""
        self.wallet.new_intent(audience, cap_kgo)

    def code(self) -> str:
        """The code on the screen now."""
        return self.wallet.code(int(time.time()))


class Town:
    """One city in one folder."""

    def __init__(self, folder: Path, seed: int, city: type[CityProgram] = CityProgram) -> None:
        """`city`: how its commands are run."""
        self.folder = folder
        self.seed = seed
        self.folder.mkdir(parents=True, exist_ok=True)
        self._open = contextlib.ExitStack()
        self.city = self._open.enter_context(city(folder / "city"))
        self.desks: dict[str, Desk] = {}
        self.people: list[Person] = []

    def found(self) -> None:
        """Make the city with its sample tariff and campaign, and start its service."""
        self.city.init()
        self.city.serve()

    def add_desk(self, kind: Kind, device: str, owner: str, *, has_camera: bool = True, more: str = "") -> Desk:
        """A terminal, enrolled with a one-time token and started. `more`: further tables of its settings."""
        settings = DeskSettings(
            kind=kind,
            device=device,
            city=CITY,
            ca_file=self.city.ca_file,
            city_port=self.city.port,
            folder=self.folder / device,
            seed=self.seed,
            has_camera=has_camera,
            more=more,
        )
        desk = self._open.enter_context(Desk(settings))
        desk.enrol(self.city.token(device, kind.role, owner))
        desk.start()
        self.desks[device] = desk
        return desk

    def add_people(self, names: Sequence[tuple[str, Concession]]) -> list[Person]:
        """They register, the municipality gives each a gift, and each takes an allowance."""
        link = CityLink(self.city.url, self.city.ca_file)
        now_s = int(time.time())
        added: list[Person] = []
        for name, concession in names:
            folder = self.folder / "phones" / name
            wallet = PhoneWallet(folder, CITY, Random(f"{self.seed}:{name}"))
            wallet.register(link, now_s)
            added.append(Person(name, concession, wallet))
        gifts = self.folder / "gifts.csv"
        write_gifts(gifts, [(one.wallet.account.point.hex(), str(GIFT_KGO), one.name) for one in added])
        self.city.grant(gifts)
        for one in added:
            if one.concession is not Concession.ADULT:
                self.city.set_concession(one.wallet.account.point, one.concession.name.lower())
            one.wallet.take_allowance(link, now_s)
        self.people += added
        return added

    def wait_synced(self) -> None:
        """Until every terminal has nothing left to send."""
        for desk in self.desks.values():
            desk.wait_synced()

    def stop_all(self) -> list[str]:
        """A clean end of everything; what did not end well, in words."""
        codes = {name: desk.stop() for name, desk in self.desks.items()}
        codes["kgo-city"] = self.city.stop()
        return [f"{name} ended with {code}" for name, code in codes.items() if code]

    def journals(self) -> dict[str, Path]:
        """Device → journal file."""
        return {name: desk.journal for name, desk in self.desks.items()}

    def close(self) -> None:
        """End every process and device."""
        self._open.close()

    def __enter__(self) -> "Town":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


RIDE_CAP_KGO = 50 * KGO
"""What a bus code authorises: one full fare."""

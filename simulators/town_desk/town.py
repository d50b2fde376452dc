"""The town on the desk: one city, a shop's till, a bus, phones, and the network of each that can be cut. DESIGN §11.

    with TownDesk(folder, seed, TownPlan()) as town:
        town.shop.hands.sign_in("01", PIN_TEST_ONLY)

Every program is a process of its own and ended by its id when the town is closed; nothing is kept in the next town.
"""

import contextlib
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from offline_ledger.city.sample import SAMPLE_MERCHANTS
from simulators.bus_desk.desk import BusDesk, Look
from simulators.bus_desk.hands import Hands as BusHands
from simulators.bus_desk.page import BusPage
from simulators.bus_desk.town import BUS
from simulators.bus_desk.watch import Watch
from simulators.demo.city import CITY, free_port
from simulators.demo.desk import SHOP, DeskSettings
from simulators.demo.processes import Child
from simulators.fault_link import Mode, Plan
from simulators.fault_proxy import FaultProxy
from simulators.local_page import port_near
from simulators.printer.device import SimulatedPrinter
from simulators.printer.lines import NetworkPrinter
from simulators.shop_desk.till import Shop, TillDesk
from simulators.town_desk.books import TownBooks
from simulators.wallet import CityLink
from simulators.wallet_page.lan import demo_tls, own_addresses
from simulators.wallet_page.serve import WalletPage

SHOP_DEVICE = "shop-001"
OWNER, SHOP_NAME = SAMPLE_MERCHANTS[0]
"""The city's id is what a wallet can verify and shows; it reads like the name that the till shows."""
GOODS = Path(__file__).parents[2] / "pos_app" / "sample_goods.csv"
SHOP_PORT, BUS_PORT = 8_810, 8_820
"""Of the pages, or the next free ones; `simulators/town_desk/run.py` has the town's own."""


class TownPlan(NamedTuple):
    """`has_cards`: the bus has card readers (a machine has one card service). `lan`: a wallet page for real phones too.
    `is_fixed`: pages at their own ports if they can be had; else at any that are free."""

    has_cards: bool = True
    lan: bool = False
    is_fixed: bool = True


class TownDesk:
    """Everything but the town's own page."""

    def __init__(self, folder: Path, seed: int, plan: TownPlan = TownPlan()) -> None:  # noqa: B008 - it is frozen
        self.folder, self.seed, self.plan = folder, seed, plan
        self._open = contextlib.ExitStack()
        self._linked = {"shop": True, "phones": True}
        self.lan_page: WalletPage | None = None

    def __enter__(self) -> Self:
        try:
            self._set_up()
        except BaseException:
            self._open.close()
            raise
        return self

    def __exit__(self, _type: type[BaseException] | None, _value: object, _trace: TracebackType | None) -> None:
        self._open.close()

    def _set_up(self) -> None:
        enter = self._open.enter_context
        look = Look(has_cards=self.plan.has_cards)
        self.bus = enter(BusDesk(self.folder, self.seed, look))
        self.city = self.bus.town.city
        self.watch = enter(Watch(self.bus))
        self.bus_hands = enter(BusHands(self.bus, self.watch, self.seed))
        self.bus_page = enter(BusPage(self.bus, self.watch, self.bus_hands, self._port(BUS_PORT)))
        self.printer = enter(NetworkPrinter(SimulatedPrinter()))
        self.shop = enter(self._shop())
        self.phones_network = enter(FaultProxy(("127.0.0.1", self.city.port)))
        self.bus.town.wallet_url = f"https://localhost:{self.phones_network.port}"
        # A browser keeps a wallet by its page's address: at one of its own, no town finds the wallet of another.
        self.wallet_page = enter(WalletPage(self.bus.town.wallet_url, self.city.ca_file, free_port()))
        if self.plan.lan and (names := own_addresses()):
            tls = enter(demo_tls(names))
            self.lan_page = enter(WalletPage(self.bus.town.wallet_url, self.city.ca_file, free_port(), tls))
        journals = {SHOP_DEVICE: self.shop.journal, BUS: self.bus.journal}
        self.books = TownBooks(journals, self.city.ledger, CITY, self.folder / "read-by-town")

    def _port(self, wanted: int) -> int:
        return port_near(wanted) if self.plan.is_fixed else free_port()

    def _shop(self) -> TillDesk:
        settings = DeskSettings(
            kind=SHOP,
            device=SHOP_DEVICE,
            city=CITY,
            ca_file=self.city.ca_file,
            city_port=self.city.port,
            folder=self.folder / "shop",
            seed=self.seed,
            has_camera=False,
        )
        till = TillDesk(settings, Shop(printer=self.printer.address, name=SHOP_NAME, goods=GOODS))
        try:
            till.port = self._port(SHOP_PORT)
            till.write_settings()
            till.enrol(self.city.token(SHOP_DEVICE, SHOP.role, OWNER))
            till.start()
            till.wait_synced()
        except BaseException:
            till.close()
            raise
        return till

    # --- programs

    @property
    def shop_program(self) -> Child | None:
        """The till's, while it runs."""
        return self.shop.program if self.shop.is_started else None

    @property
    def bus_program(self) -> Child | None:
        """The validator's, while it runs."""
        return self.bus.program if self.bus.is_running else None

    # --- network

    def is_linked(self, whose: str) -> bool:
        """`whose`: shop, bus or phones."""
        return self.bus.is_linked if whose == "bus" else self._linked[whose]

    def set_network(self, whose: str, *, is_on: bool) -> None:
        """From now on, for open connections too."""
        mode = Mode.PASS if is_on else Mode.REFUSE
        if whose == "bus":
            self.bus.set_network(mode)
            return
        network = self.shop.network if whose == "shop" else self.phones_network
        network.apply(Plan(mode=mode))
        network.reset_links()
        self._linked[whose] = is_on
        if whose == "shop" and is_on and self.shop_program is not None:
            self.shop_program.tell("sync")

    def phones_link(self) -> CityLink:
        """A phone's way to the city."""
        return CityLink(self.bus.town.wallet_url, self.city.ca_file)

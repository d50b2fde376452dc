"""A city, its terminals and its wallets in one process, joined by the ports that each has: no sockets, no threads.

The city is the application that `kgo-city` serves; a terminal is a whole `Station` with its exchange machine; a wallet
is the simulated phone. Time is one fake clock for all. Keys are made for the test and thrown away with its folder.
"""

import asyncio
from collections.abc import Iterator, MutableMapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import urlsplit

from starlette.applications import Starlette

from bus_validator.boarding import BusDoor, Trip
from offline_ledger.city import accounts, allowances, audit, bulletins, deposits, enrolment
from offline_ledger.city.accounts import RISK, UNFUNDED, Account, AccountKind, Reason, deposit_account
from offline_ledger.city.bulletins import Validity
from offline_ledger.city.console import Console
from offline_ledger.city.enrolment import Placement
from offline_ledger.city.founding import Plan, found_city
from offline_ledger.city.http import build_app
from offline_ledger.city.settings import read_city_settings
from offline_ledger.city.store import Store
from offline_ledger.errors import CityUnreachable
from offline_ledger.money import KGO
from offline_ledger.protocol import cbor
from offline_ledger.protocol.city import BulletinKind
from offline_ledger.protocol.device import DeviceRole
from offline_ledger.protocol.kinds import CITY_OBJECT_BYTES_MAX
from offline_ledger.rules.campaign import decode_campaigns
from offline_ledger.rules.limits import Limits
from offline_ledger.rules.tariff import Tariff, decode_tariff, encode_tariff
from offline_ledger.terminal.enrol import provision
from offline_ledger.terminal.outcome import Counter, Outcome
from offline_ledger.terminal.own_identity import DeviceFiles
from offline_ledger.terminal.ports import CityAnswer, CityRequest
from offline_ledger.terminal.station import Station, StationSettings
from offline_ledger.texts import Texts
from pos_app.sale import Till, open_sale
from simulators.cheats import clone
from simulators.clock import FakeClock
from simulators.wallet import CityLink, PhoneWallet, WalletRefused

CITY = "TH-40"
NOW_S = 1_795_000_000
OPERATOR, MERCHANT = "city-bus", "noodle-1"
BATHS_PER_SALE = 200
REQUESTS_MAX = 200


class AppUplink:
    """The terminal's `Uplink` without a wire: requests go straight into the city's application, unless it is cut."""

    def __init__(self, app: Starlette) -> None:
        self._app = app
        self.is_cut = False

    def exchange(self, request: CityRequest) -> CityAnswer:
        """One request, or CityUnreachable."""
        if self.is_cut:
            raise CityUnreachable("cut")
        return asyncio.run(self._asked(request))

    async def _asked(self, request: CityRequest) -> CityAnswer:
        parts = urlsplit(request.path)
        scope: dict[str, Any] = {
            "type": "http",
            "method": request.method,
            "path": parts.path,
            "query_string": parts.query.encode(),
            "headers": [(name.encode(), value.encode()) for name, value in request.headers],
            "root_path": "",
        }
        sent: list[MutableMapping[str, Any]] = []

        async def receive() -> MutableMapping[str, Any]:
            return {"type": "http.request", "body": request.body or b"", "more_body": False}

        async def send(message: MutableMapping[str, Any]) -> None:
            sent.append(message)

        await self._app(scope, receive, send)
        body = b"".join(message.get("body", b"") for message in sent)
        assert len(body) <= request.answer_bytes_max
        return CityAnswer(sent[0]["status"], body)

    def close(self) -> None:
        """Nothing is open."""

    def interrupt(self) -> None:
        """Nothing waits."""


class AppLink(CityLink):
    """A phone's way to the city, without a wire."""

    def __init__(self, app: Starlette) -> None:
        self._uplink = AppUplink(app)

    def ask(self, body: bytes) -> dict[int, object]:
        answer = self._uplink.exchange(CityRequest("POST", "/v1/wallet", body, CITY_OBJECT_BYTES_MAX))
        found = cbor.decode(answer.body, CITY_OBJECT_BYTES_MAX)
        assert isinstance(found, dict)
        if answer.status != 200:
            raise WalletRefused(str(found))
        return found


class Terminal:
    """One terminal: everything that its program has, but for devices and lamp."""

    def __init__(self, town: "Town", device: str, role: DeviceRole, value_kgo: int, hours: int, limits: Limits) -> None:
        self.device, self.role, self._town, self._limits = device, role, town, limits
        self.uplink = AppUplink(town.app)
        folder = town.folder / device
        folder.mkdir()
        files = DeviceFiles(folder / "device.key", folder / "device.cert", folder / "trust.list")
        owner = OPERATOR if role is DeviceRole.VALIDATOR else MERCHANT
        placed = Placement(device, role, owner, value_kgo, hours)
        token = enrolment.make_token(town.store, placed, town.now_s(), 600, town.rng.randbytes)
        provision(files, CITY, device, role, town.now_s(), self.uplink, token)
        self._settings = StationSettings(CITY, device, role, files, folder / "journal.db", folder / "deny", "0.1.0")
        self.open()

    def open(self) -> None:
        """As the program starts."""
        self.station = Station(self._settings, self._town.clock, self._limits)
        self.machine = self.station.link(self._town.rng.randbytes, 60_000)

    def restart(self) -> None:
        """A clean end and a new start."""
        self.station.close()
        self.open()

    def exchange(self, answer_ms: int = 40) -> None:
        """One whole exchange with the city, or a failed one; each answer takes so long."""
        clock = self._town.clock
        clock.advance(ms=self.machine.due_in_ms(clock.mono_ms()))
        for _ in range(REQUESTS_MAX):
            request = self.machine.next_request(clock.mono_ms())
            if request is None:
                return
            sent_ms = clock.mono_ms()
            try:
                answer = self.uplink.exchange(request)
            except CityUnreachable as refusal:
                self.machine.lose(refusal, clock.mono_ms())
            else:
                clock.advance(ms=answer_ms)
                self.machine.hear(answer, sent_ms, clock.mono_ms())
        raise AssertionError("the exchange never ends")

    def take(self, code: str, kgo: int | None = None) -> Outcome:
        """A code at the counter: a boarding, or a sale of so many KGO. A green is shown and recorded as shown."""
        outcome = self.accept(code, kgo)
        self.station.acceptor.shown(outcome)
        self.station.acceptor.tick(self._town.clock.mono_ms())
        return outcome

    def accept(self, code: str, kgo: int | None = None) -> Outcome:
        """The decision alone: nobody sees its light."""
        return self.station.acceptor.accept(code, self._counter(kgo))

    def _counter(self, kgo: int | None) -> Counter:
        if kgo is None:
            tariff = self.station.bulletin(BulletinKind.TARIFF)
            assert tariff is not None
            return BusDoor(Trip("R8", "R8-0712", None), decode_tariff(tariff.body), tariff.version, 0)
        campaigns = self.station.bulletin(BulletinKind.CAMPAIGN)
        assert campaigns is not None
        sale = open_sale(self._town.rng.randbytes(6).hex(), BATHS_PER_SALE * 100, kgo)
        return Till(sale, decode_campaigns(campaigns.body), campaigns.version, MERCHANT)

    def handed_over_kgo(self) -> int:
        """What all greens of this terminal were worth, by its own journal."""
        rows = self.station.journal.pending(100_000, 0)
        return sum(row.kgo for row in rows)

    @property
    def is_synced(self) -> bool:
        status = self.machine.status()
        return status.pending_count == 0 and status.events_waiting == 0 and status.trouble is None


class Town:
    """The city with its sample tariff and campaign, and whoever a test adds."""

    def __init__(self, folder: Path, rng: Random, registering_kgo: int = 500 * KGO) -> None:
        self.folder, self.rng, self.registering_kgo = folder, rng, registering_kgo
        self.clock = FakeClock(NOW_S)
        self.limits = Limits()
        file = found_city(folder / "city-test-only", Plan(CITY, with_sample=True), NOW_S)
        settings = replace(read_city_settings(file, "en"), registering_kgo=registering_kgo)
        self.store = Store.open(settings.database)
        console = Console(Texts("en"), print, print, self.now_s, self.limits, settings, self.now_s)
        self.service = console.service(self.store)
        self.app = build_app(self.service, log_requests=False)
        self.link = AppLink(self.app)
        self.terminals: list[Terminal] = []

    def now_s(self) -> int:
        return self.clock.wall_s()

    def publish(self, tariff: Tariff) -> None:
        """A new tariff, in force at once."""
        validity = Validity(self.now_s(), self.now_s() + 10**7)
        keys = self.service.keys
        bulletins.publish(self.store, keys.bulletin, BulletinKind.TARIFF, encode_tariff(tariff), self.now_s(), validity)

    def terminal(
        self, role: DeviceRole, *, value_kgo: int | None = None, hours: int = 24, limits: Limits | None = None
    ) -> Terminal:
        """Enrolled, synced, ready to sell."""
        device = f"{role.name.lower()}-{len(self.terminals)}"
        value = self.limits.offline_value_kgo_max if value_kgo is None else value_kgo
        made = Terminal(self, device, role, value, hours, limits or self.limits)
        made.exchange()
        self.terminals.append(made)
        return made

    def wallet(self, name: str) -> PhoneWallet:
        """A new account with the registering grant, and an allowance."""
        phone = PhoneWallet(self.folder / "phones" / name, CITY, Random(f"{name}:{self.rng.random()}"))
        phone.register(self.link, self.now_s())
        phone.take_allowance(self.link, self.now_s())
        return phone

    def second_allowance(self, phone: PhoneWallet, name: str) -> PhoneWallet:
        """A copy of the app with another allowance of the same account; the first one goes on living in `phone`."""
        other = clone(
            self.folder / "phones" / name, self.folder / "phones" / f"{name}-2", CITY, self.rng.getrandbits(32)
        )
        other.take_allowance(self.link, self.now_s())
        return other

    def sync(self, *terminals: Terminal) -> None:
        """Until all of these have nothing left to send."""
        for terminal in terminals or self.terminals:
            for _ in range(5):
                terminal.exchange()
                if terminal.is_synced:
                    break
            assert terminal.is_synced, terminal.machine.status()

    def balance(self, account: Account) -> int:
        return accounts.balance(self.store, account)

    def owned_kgo(self, phone: PhoneWallet) -> int:
        """What the account still has: available, reserved, put down."""
        wallet_id = allowances.wallet_of(self.store, phone.account.point).wallet_id
        return sum(allowances.balances(self.store, wallet_id)) + self.balance(deposit_account(wallet_id))

    def put_down(self, phone: PhoneWallet, kgo: int) -> None:
        """A deposit from what is available."""
        wallet_id = allowances.wallet_of(self.store, phone.account.point).wallet_id
        deposits.put_down(self.store, wallet_id, kgo, "test", self.now_s())

    def rewards_kgo(self) -> int:
        """What shops gave their customers, by all postings."""
        row = self.store.one(
            "SELECT coalesce(sum(amount), 0) FROM entries JOIN postings USING(posting_id)"
            " JOIN accounts USING(account_id) WHERE reason = ? AND kind = ? AND amount > 0",
            (Reason.REWARD, AccountKind.WALLET),
        )
        return row[0] if row else 0

    def unpaid_kgo(self) -> int:
        """What the risk fund paid and what nobody has paid yet."""
        return -self.balance(RISK) - self.balance(UNFUNDED)

    def assert_sound(self) -> None:
        """Σ = 0 per currency, and the city's own audit is content."""
        assert not any(accounts.sums(self.store).values())
        assert audit.audit(self.store).findings == ()

    def close(self) -> None:
        """Ends all of it."""
        for terminal in self.terminals:
            terminal.station.close()
        self.store.close()


@contextmanager
def open_town(folder: Path, rng: Random, registering_kgo: int = 500 * KGO) -> Iterator[Town]:
    """A town that is closed at the end, whatever happens."""
    with ExitStack() as stack:
        town = Town(folder, rng, registering_kgo)
        stack.callback(town.close)
        yield town

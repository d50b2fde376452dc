"""The desk on its real stores, journal and acceptor; the test stands for page, printer and the thread that decides."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any, NamedTuple, cast

from offline_ledger.errors import Refusal, StorageFailed
from offline_ledger.protocol import qr
from offline_ledger.protocol.city import Bulletin, BulletinKind
from offline_ledger.protocol.device import DeviceCertificate, DeviceRole, EventKind, Voucher, VoucherKind
from offline_ledger.protocol.qr import QrType
from offline_ledger.protocol.shop_event import ShopEvent, ShopEventKind, decode_shop_event
from offline_ledger.protocol.wallet import Audience
from offline_ledger.rules.campaign import Campaign, Campaigns, Discount, encode_campaigns
from offline_ledger.rules.clock import TimeNow
from offline_ledger.rules.limits import Limits
from offline_ledger.terminal.journal import Journal
from offline_ledger.terminal.lights import GREEN
from offline_ledger.terminal.outcome import Outcome
from offline_ledger.terminal.program import Opened
from offline_ledger.terminal.running import Running
from offline_ledger.terminal.station import Station
from pos_app.counter.flow import Screen
from pos_app.counter.permissions import Role
from pos_app.counter.sale_record import SaleRecord, SaleState
from pos_app.counter.shift_book import ShiftTotals, applied
from pos_app.desk.core import Core, DeskParts
from pos_app.desk.desk import CounterDesk
from pos_app.desk.ports import Person, ShopWords
from pos_app.kgo_till import KgoTill
from pos_app.paper.receipt import Receipt, ReceiptKind
from pos_app.shift_keeper import ShiftKeeper
from pos_app.store.catalogue import Catalogue
from pos_app.store.print_queue import looked_up
from pos_app.store.sales import Sales
from pos_app.store.saver import Saver
from pos_app.store.shop_file import ShopFile
from simulators.storage.disk import DiskFaults
from tests.terminal.desk import CITY, DEVICE_TEST_ONLY, NOW_S, DeskConditions, acceptor_on, issue
from tests.terminal.desk_card import DeskCard
from tests.terminal.journal_run import LIMITS

DEVICE = "bus-1"
CAMPAIGNS = Campaigns(
    (Campaign("noodles", "ก๋วยเตี๋ยว", "Noodles", None, None, None, Discount(100, 500, 50_000, 1), None),)
)
BULLETIN = Bulletin(CITY, BulletinKind.CAMPAIGN, (1, 1), NOW_S, NOW_S, NOW_S + 10**6, encode_campaigns(CAMPAIGNS))
CERTIFICATE = DeviceCertificate(CITY, DEVICE, DeviceRole.SHOP, "m1", DEVICE_TEST_ONLY.point, 0, 2**39, 2_000_000, 24)
MANAGER = Person("01", "มะลิ", Role.MANAGER)
PROMPTPAY = "0812345678"


class Keeper:
    """Of the time."""

    def __init__(self, conditions: DeskConditions) -> None:
        self._conditions = conditions

    def time(self) -> TimeNow:
        return self._conditions.now


class Held(NamedTuple):
    """The terminal's own certificate."""

    raw: bytes = b"certificate"


class Parts:
    """Of a station, what a desk uses; journal and acceptor are real."""

    limits = Limits()
    certificate = CERTIFICATE
    own_certificate = Held()

    def __init__(self, journal: Journal, conditions: DeskConditions) -> None:
        self.journal = journal
        self.acceptor = acceptor_on(journal, conditions)
        self.keeper = Keeper(conditions)

    def bulletin(self, kind: BulletinKind) -> Bulletin | None:
        return BULLETIN if kind is BulletinKind.CAMPAIGN else None


class Lamp:
    """Hears what is said."""

    def say(self, **said: object) -> None: ...

    def line_words(self, sentences: object) -> dict[str, object]:
        return {}

    def refusal_words(self, refusal: Refusal) -> dict[str, object]:
        return {}


class AtOnce:
    """The running part: whatever is asked has its turn at once."""

    standing: list[tuple[str, Refusal]] = []  # noqa: RUF012 - nothing stands here
    lamp = Lamp()

    def turn(self, job: Any) -> Any:
        return job()

    def ready_when_unlit(self) -> None: ...

    def link_status(self) -> None:
        return None


class Everyone:
    """Who may sign in: one manager, with any PIN."""

    is_empty = False
    trouble = None

    def check_pin(self, code: str, pin: str) -> Person:
        return MANAGER

    def add_first(self, code: str, name: str, pin: str) -> Person:
        return MANAGER

    def everyone(self) -> list[Person]:
        return [MANAGER]

    def wait_s(self, code: str) -> int:
        return 0


class Tray:
    """Where paper lands."""

    def __init__(self) -> None:
        self.receipts: list[Receipt] = []
        self.kicks = 0

    def add(self, receipt: Receipt) -> None:
        self.receipts.append(receipt)

    def reprint(self, number: str) -> None: ...

    def has(self, number: str, kind: ReceiptKind = ReceiptKind.SALE) -> bool:
        return any(looked_up(one.number, one.kind) == looked_up(number, kind) for one in self.receipts)

    def kick(self) -> None:
        self.kicks += 1

    def state(self) -> tuple[int, Refusal | None]:
        return 0, None

    def printed(self, number: str) -> str:
        return "yes"


class Notes:
    """The audit log."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, str]] = []

    def add(self, who: str, action: str, values: Mapping[str, object]) -> None:
        self.rows.append((who, action))

    def seal(self, who: str) -> None: ...


class Desk:
    """One till in a folder; made again from the same folder it is what a start finds."""

    def __init__(self, folder: Path, rng: Random, vfs: tuple[str | None, str | None] = (None, None)) -> None:
        """`vfs`: of the journal and of the shop's file."""
        self.folder, self.rng, self._vfs = folder, rng, vfs
        self.conditions = DeskConditions()
        self.tray, self.notes = Tray(), Notes()
        self.wallets = 0
        self.mono_ms = 0
        self._start()

    def _start(self) -> None:
        self.journal = Journal.open(self.folder / "journal.db", device_id=DEVICE, vfs=self._vfs[0], limits=LIMITS)
        self.file = ShopFile(self.folder / "shop.db", self._vfs[1])
        station = cast(Station, Parts(self.journal, self.conditions))
        self.station = station
        self.desk: CounterDesk | None = None
        self.till = KgoTill(
            cast(Opened, NamedParts(station)),
            lambda sale, sequence: self.desk.paid(sale, sequence) if self.desk is not None else None,
            lambda: self.desk.open_bill() if self.desk is not None else None,
        )
        self.till.at_work(cast(Running, AtOnce()))
        self.sales = Sales(self.file)
        self.saver = Saver(self.sales.save, lambda refusal: None)
        self.shifts = ShiftKeeper(station)
        self.parts = DeskParts(
            station, self.till, self.sales, self.saver, self.shifts, Catalogue(self.file), Everyone(), self.tray,
            self.notes, ShopWords("ร้าน", "", "", "", 70, PROMPTPAY), self.rng.randbytes, lambda: self.mono_ms, "th",
        )  # fmt: skip
        self.desk = CounterDesk(self.parts)

    @property
    def core(self) -> Core:
        assert self.desk is not None
        return self.desk._core  # pyright: ignore[reportPrivateUsage]

    @property
    def screen(self) -> Screen:
        return self.core.state.screen

    def press(self, action: str, **fields: str) -> None:
        """On the newest picture."""
        assert self.desk is not None
        self.desk.act(action, fields, self.core.revision)

    def sign_in(self) -> None:
        self.press("sign_in", code="01", pin="1")

    def begin(self, float_baht: str = "500") -> "Desk":
        self.sign_in()
        self.press("open_shift", float=float_baht)
        return self

    def put(self, *baht: str) -> None:
        """Goods on the counter, keyed in, and to the ways to pay."""
        for one in baht:
            self.press("add_amount", amount=one)
        self.press("pay")

    def show_code(self, kgo: int, *, is_shown: bool = True) -> Outcome:
        """A new customer's code for so many KGO, as the running part decides and shows it."""
        self.wallets += 1
        held = issue(self.wallets + 100)
        held.next(kgo)
        outcome = self.station.acceptor.accept(held.code(self.conditions.now.at_s, Audience.SHOP), self.till.counter())
        if is_shown and outcome.light in GREEN:
            self.station.acceptor.shown(outcome)
            self.till.after(outcome)
        return outcome

    def signed_answer(self) -> str:
        """What a new customer's wallet shows who has read the request on the display and confirmed it."""
        self.wallets += 1
        card = DeskCard(issue(self.wallets + 100))
        _certificate, request = qr.decode(self.core.state.request_qr).objects
        return qr.encode(QrType.PAYMENT, card.held.allowance.raw, card.pay(request))

    def scan(self, code: str) -> Outcome:
        """As the running part decides and shows it."""
        outcome = self.station.acceptor.accept(code, self.till.counter())
        if outcome.light in GREEN:
            self.station.acceptor.shown(outcome)
            self.till.after(outcome)
        return outcome

    def settle(self) -> None:
        """What waits in the saver is in the file."""
        self.saver.now()

    def receipt(self, number: int) -> SaleRecord:
        self.settle()
        found = self.sales.by_number(number)
        assert found is not None
        return found

    def cut(self, folder: Path) -> "Desk":
        """The power goes: what is on the disk now starts again elsewhere."""
        with self.saver._writing:  # pyright: ignore[reportPrivateUsage] - between two writes
            shutil.copytree(self.folder, folder)
        again = Desk(folder, self.rng)
        again.wallets = self.wallets
        return again

    def mend(self, *faults: DiskFaults) -> None:
        """The disk works again, and a tick has read the journal anew."""
        for one in faults:
            one.sync_fails_at, one.writes_fail, one.is_full = None, False, False
        if self.journal.failure is not None:
            self.journal.reopen_and_verify()
        self.till.look()

    def look(self) -> None:
        """A moment passes."""
        assert self.desk is not None
        self.till.look()
        self.desk.look()

    def close(self) -> None:
        self.saver.close()
        self.file.close()
        try:
            self.journal.close()
        except StorageFailed:
            self.journal.reopen_and_verify()
            self.journal.close()

    # --- what must be so at any time

    @property
    def events(self) -> list[ShopEvent]:
        self.journal.flush()
        found = self.journal.events_after(0, 1_000)
        return [decode_shop_event(one.body) for one in found if one.kind == EventKind.SHIFT]

    @property
    def vouchers(self) -> list[Voucher]:
        found = (self.station.acceptor.made(one) for one in range(1, self.journal.tail.sequence + 1))
        return [one for one in found if one is not None]

    def check(self) -> None:
        """Journal, events, sums and receipts say the same."""
        self.settle()
        events, till = self.events, self.station.acceptor.till
        totals = ShiftTotals()
        for event in events:
            totals = applied(totals, event)
        assert totals == self.shifts.totals, "the sums are the fold of the events"
        closed = [one.refers for one in events if one.what == ShopEventKind.SALE_CLOSED]
        returned = [one.refers for one in events if one.what == ShopEventKind.RETURNED]
        assert len(set(closed)) == len(closed) and len(set(returned)) == len(returned), "each is counted once"
        records = [self.sales.by_number(number) for number in closed]
        assert all(one is not None and one.state is SaleState.CLOSED for one in records), "each has its receipt"
        for one in records:
            assert one is not None
            made, back = till.made(one.number), till.returned(one.number)
            assert made is not None and (made.kgo, made.satang) == (one.paid.kgo, one.paid.money_satang)
            assert one.due_satang == 0 and sum(part.satang for part in one.tenders) == one.basket.bill_satang
            assert (back.kgo, back.satang) == (one.back.kgo, one.back.money_satang), "its returns are on it"
            assert {this.sequence for this in one.returns} <= set(returned)
        for made in self.vouchers:
            if made.kind == VoucherKind.SALE and made.sequence not in closed:
                open_ones = [self.core.state.sale.sale, *(sale.sale for sale in self.sales.held())]
                assert till.is_taken_back(made.sequence) or made.place[1] in open_ones, "paid, and nowhere to be seen"
            if made.kind in (VoucherKind.REFUND, VoucherKind.VOID):
                assert (made.sequence in returned) is (made.refers_to in closed)


class NamedParts(NamedTuple):
    """Of an opened program, what the till uses."""

    station: Station

"""The cashier's list on a disk that fails: what was cancelled stays cancelled, nothing leaves the list too early."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, cast

import pytest

from offline_ledger.errors import StorageFailed
from offline_ledger.protocol.wallet import Audience
from offline_ledger.rules.campaign import Campaign, Campaigns, Discount
from offline_ledger.terminal.acceptor import Acceptor
from offline_ledger.terminal.journal import Journal
from offline_ledger.terminal.outcome import Light, Outcome
from offline_ledger.terminal.station import Station
from pos_app.sale import OpenSale, Till, open_sale
from pos_app.waiting_sales import WaitingSales
from simulators.storage.disk import DiskFaults, simulated_disk
from tests.terminal.desk import CITY, DeskConditions, acceptor_on, issue

SALE_KGO = 2_000
CAMPAIGNS = Campaigns(
    (Campaign("noodles", "ก๋วยเตี๋ยว", "Noodles", None, None, None, Discount(100, 500, 50_000, 1), None),)
)
SALE = open_sale("s1", 12_000, SALE_KGO)


class Certificate(NamedTuple):
    """What the list reads of one."""

    city: str = CITY


class Parts(NamedTuple):
    """The parts of a station that the list uses; they are real."""

    acceptor: Acceptor
    journal: Journal
    certificate: Certificate = Certificate()


class Counter:
    """A till whose disk the test can spoil."""

    def __init__(self, journal: Journal, faults: DiskFaults) -> None:
        self.journal, self.faults = journal, faults
        self.acceptor = acceptor_on(journal, DeskConditions())
        self.waiting = WaitingSales(cast(Station, Parts(self.acceptor, journal)))

    def pay(self, secret: int, sale: OpenSale = SALE) -> Outcome:
        held = issue(secret)
        held.next(SALE_KGO)
        return self.acceptor.accept(held.code(audience=Audience.SHOP), Till(sale, CAMPAIGNS, (1, 1), "m1"))

    def charge_unseen(self, secret: int, sale: OpenSale = SALE) -> None:
        """The sync of its voucher fails; the voucher is on the disk all the same."""
        self.faults.sync_fails_at = 1
        assert self.pay(secret, sale).light is Light.OUT_OF_SERVICE


@pytest.fixture
def counter(tmp_path: Path) -> Iterator[Counter]:
    faults = DiskFaults()
    with simulated_disk(f"waiting-{tmp_path.name}", faults) as disk:
        made = Counter(Journal.open(tmp_path / "journal.db", device_id="bus-1", vfs=disk.name), faults)
        yield made
        faults.sync_fails_at, faults.writes_fail = None, False
        made.journal.close()


def test_a_sale_that_a_disk_error_interrupted_comes_to_the_list(counter: Counter) -> None:
    counter.charge_unseen(1)
    assert counter.waiting.look() == [] and counter.waiting.all() == []
    counter.journal.reopen_and_verify()
    assert counter.waiting.look() == [] and counter.waiting.all() == [(1, SALE)]


def test_a_sale_cancelled_while_its_fate_was_unknown_is_not_charged_when_it_is_known(counter: Counter) -> None:
    counter.charge_unseen(1)
    assert not counter.waiting.cancel(SALE.sale), "nothing is known of a voucher"
    counter.journal.reopen_and_verify()
    assert counter.waiting.look() == []
    assert counter.waiting.all() == [] and counter.journal.is_uncharged(1)


def test_a_sale_whose_cancelling_fails_waits_on(counter: Counter) -> None:
    counter.charge_unseen(1)
    counter.journal.reopen_and_verify()
    counter.waiting.look()
    counter.faults.writes_fail = True
    with pytest.raises(StorageFailed):
        counter.waiting.cancel(SALE.sale)
    assert counter.waiting.look() == [] and counter.waiting.named(SALE.sale) == SALE
    counter.faults.writes_fail = False
    counter.journal.reopen_and_verify()
    assert counter.waiting.look() == [] and not counter.journal.is_uncharged(1)
    assert counter.waiting.cancel(SALE.sale) and counter.journal.is_uncharged(1)


def test_what_could_not_be_voided_is_voided_as_soon_as_the_disk_takes_it(counter: Counter) -> None:
    counter.charge_unseen(1)
    counter.journal.reopen_and_verify()
    counter.waiting.look()
    paid = counter.pay(2)
    assert paid.light is Light.ACCEPTED and paid.sequence == 2
    counter.acceptor.shown(paid)
    counter.waiting.paid(SALE.sale, 2)
    counter.faults.writes_fail = True
    assert counter.waiting.look() == []
    counter.faults.writes_fail = False
    counter.journal.reopen_and_verify()
    assert counter.waiting.look() == []
    assert counter.waiting.all() == [] and counter.journal.is_uncharged(1) and not counter.journal.is_uncharged(2)

"""What is counted, not timed: syncs per commit, bytes per voucher on the wire."""

from pathlib import Path

from offline_ledger.protocol.device import ClockTrust
from offline_ledger.rules.clock import TimeNow
from offline_ledger.terminal.journal import Journal
from offline_ledger.terminal.outcome import Light
from offline_ledger.terminal.sync_batches import Place, Sender, build_batch
from simulators.storage.disk import DiskFaults, simulated_disk
from tests.bench.measure import Row
from tests.terminal.desk import CITY, DEVICE_TEST_ONLY, NOW_S, DeskConditions, FlatBus, acceptor_on, issue, open_journal

VOUCHERS = 500


def syncs_per_commit(folder: Path) -> Row:
    """File syncs that SQLite asks for, over whole decisions with their ratifications (`SimulatedDisk` counts)."""
    faults = DiskFaults()
    with simulated_disk("bench-syncs", faults) as disk:
        journal = Journal.open(folder / "syncs.db", device_id="bus-1", vfs=disk.name)
        acceptor = acceptor_on(journal, DeskConditions())
        door = FlatBus(fare_kgo=100)
        syncs = 0
        for number in range(VOUCHERS):
            rider = issue(50_000 + number)
            rider.next(100)
            before = faults.syncs
            outcome = acceptor.accept(rider.code(), door)
            syncs += faults.syncs - before
            assert outcome.light is Light.ACCEPTED_CASH_DUE
            acceptor.shown(outcome)
            if number % 20 == 19:  # the loop keeps house four times a second
                acceptor.tick(number)
        journal.close()
    per_commit = syncs / VOUCHERS
    return Row("journal_syncs_per_commit", "syncs", VOUCHERS, per_commit, per_commit, per_commit)


def sync_bytes(folder: Path, wallets: int = VOUCHERS) -> Row:
    """Compressed upload per voucher, wallet objects included, for a full batch by so many wallets: at worst each ride
    is another wallet's, whose allowance goes along."""
    journal = open_journal(folder)
    acceptor = acceptor_on(journal, DeskConditions())
    door = FlatBus(fare_kgo=100)
    riders = [issue(60_000 + number, reserve_kgo=10**8) for number in range(wallets)]
    for number in range(VOUCHERS):
        rider = riders[number % wallets]
        rider.next(100)
        outcome = acceptor.accept(rider.code(), door)
        acceptor.shown(outcome)
    journal.flush()
    sender = Sender(CITY, "bus-1", DEVICE_TEST_ONLY.key_id, DEVICE_TEST_ONLY)
    start = Place(0, 0, bytes(32))
    batch = build_batch(journal, sender, start, VOUCHERS, TimeNow(NOW_S, ClockTrust.SYNCED, 0), None, {})
    journal.close()
    each = len(batch.body) / VOUCHERS
    name = "sync_bytes_per_voucher" if wallets == VOUCHERS else f"sync_bytes_per_voucher_{wallets}_wallets"
    return Row(name, "bytes", VOUCHERS, each, each, each)

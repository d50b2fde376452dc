"""`decision_*`: QR text → durable voucher, against the floor of the same crypto and one synced append. DESIGN §10.

The decision is that of a validator put together as its program does it (`real_bus`), with its own trust list, tariff,
deny list, caps by age and clock. The fare is flat; in `decision_transfers` it depends on the rides before, and each is
by a wallet that has ridden here.
"""

import os
from pathlib import Path

from offline_ledger.protocol import cose
from offline_ledger.protocol.city import BulletinKind
from offline_ledger.protocol.cose import is_signature_of
from offline_ledger.rules.limits import HOUR_S
from offline_ledger.rules.tariff import DailyCap, Tariff, Transfer, encode_tariff
from offline_ledger.terminal.outcome import Light
from simulators.keys import SimulatedKey
from simulators.slow_disk import SlowDisk, slow_disk
from simulators.storage.vouchers import fill_journal
from tests.bench.deny import IDS, write_million
from tests.bench.libraries import LibrariesAlone
from tests.bench.measure import ROUNDS, Part, Row, interleave, row_of
from tests.bench.real_bus import FARE_KGO, RealBus, codes, real_bus, riders
from tests.terminal.desk import AAD, DEVICE_TEST_ONLY, DeskWallet, issue
from tests.terminal.provisioned import DEVICE, FARE

CALLS_PER_ROUND = 200
CARD_SYNC_MS = 1
"""Less than memory cards take (decision 0051)."""
FULL_ROWS = 1_000_000
KNOWN = 20
"""Wallets whose issuer's signature is known after their first ride."""
NEW, REGULAR = 3_000_000, 4_000_000
TRANSFERS = Tariff((FARE._replace(kgo=FARE_KGO),), (), Transfer(HOUR_S, 0, 2), DailyCap(10**8, 10**6))
_APPEND_BYTES = 300


class _Floor:
    """What no design can avoid: verify, sign, append 300 bytes, fdatasync."""

    def __init__(self, folder: Path, verifications: int, disk: SlowDisk | None = None) -> None:
        key = SimulatedKey(0xF1)
        self._signed = cose.sign1(b"\xa0" * 90, AAD[cose.Kind.PRESENTMENT], key.key_id, key.sign)
        self._key = cose.verify_key(key.point)
        self._file = os.open(folder / f"floor-{verifications}", os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
        self._verifications = verifications
        self._disk = disk

    def run(self, _index: int) -> None:
        for _ in range(self._verifications):
            assert is_signature_of(self._signed, self._key)
        DEVICE_TEST_ONLY.sign(self._signed.to_be_signed)
        os.write(self._file, bytes(_APPEND_BYTES))
        if self._disk is not None:
            self._disk.before_sync()
        os.fdatasync(self._file)


class _Decisions:
    """A validator that takes a code per call. Codes live half a minute, so each round's are made when it begins."""

    def __init__(self, bus: RealBus, held: list[DeskWallet], calls_per_round: int) -> None:
        """`held`: as many wallets as a round has calls, or fewer, which then ride in turn; each round goes on with the
        next ones, and from the last to the first."""
        self._bus = bus
        self._held = held
        self._calls_per_round = calls_per_round
        self._codes: list[str] = []

    def part(self, name: str) -> Part:
        return Part(name, self._run, self._prepare)

    def _prepare(self, index: int) -> None:
        if index % self._calls_per_round:
            return
        wanted = [number % len(self._held) for number in range(index, index + self._calls_per_round)]
        self._codes = [code for number in wanted for code in codes([self._held[number]])]

    def _run(self, index: int) -> None:
        outcome = self._bus.tap(self._codes[index % self._calls_per_round])
        assert outcome.light is Light.ACCEPTED_CASH_DUE, outcome


def _codes(wallets: int, rides: int) -> list[str]:
    made: list[str] = []
    held: list[DeskWallet] = [issue(10_000 + number, reserve_kgo=10**8) for number in range(wallets)]
    for _ in range(rides):
        for rider in held:
            rider.next(100)
            made.append(rider.code())
    return made


def rows(folder: Path, calls_per_round: int = CALLS_PER_ROUND) -> list[Row]:
    """The decision rows and the noise row."""
    calls = calls_per_round * ROUNDS
    new, known = _codes(calls, 1), _codes(KNOWN, calls // KNOWN + 1)
    with (
        real_bus(folder / "uncached") as strangers,
        real_bus(folder / "cached") as regulars,
        real_bus(folder / "transfers") as changers,
    ):
        changers.publish(BulletinKind.TARIFF, encode_tariff(TRANSFERS))
        parts = [
            Part("floor_uncached", _Floor(folder, 2).run),
            _Decisions(strangers, riders(NEW, calls), calls_per_round).part("decision_uncached"),
            Part("libraries_uncached", LibrariesAlone(folder, "libraries-new", new, is_cached=False).run),
            Part("floor_cached", _Floor(folder, 1).run),
            _Decisions(regulars, riders(REGULAR, KNOWN), calls_per_round).part("decision_cached"),
            Part("libraries_cached", LibrariesAlone(folder, "libraries-known", known, is_cached=True).run),
            _Decisions(changers, riders(REGULAR, KNOWN), calls_per_round).part("decision_transfers"),
            Part("floor_again", _Floor(folder, 2).run),
        ]
        samples = interleave(parts, calls_per_round)
    found: list[Row] = []
    for kind in ("uncached", "cached"):
        floor = row_of(f"floor_{kind}", "us", samples[f"floor_{kind}"])
        found.append(floor)
        found += [row_of(name, "us", samples[name], floor) for name in (f"libraries_{kind}", f"decision_{kind}")]
    found.append(row_of("decision_transfers", "us", samples["decision_transfers"], floor))
    return [*found, row_of("noise", "us", samples["floor_again"], found[0])]


def card_rows(folder: Path, calls_per_round: int = 40) -> list[Row]:
    """The decision on a disk as slow as a quick memory card: one more millisecond in each sync, the floor's too."""
    calls = calls_per_round * ROUNDS
    with (
        slow_disk(is_default=True) as disk,
        real_bus(folder / "card-uncached") as strangers,
        real_bus(folder / "card-cached") as regulars,
        real_bus(folder / "card-transfers") as changers,
    ):
        changers.publish(BulletinKind.TARIFF, encode_tariff(TRANSFERS))
        parts = [
            Part("floor_uncached", _Floor(folder, 2, disk).run),
            _Decisions(strangers, riders(NEW, calls), calls_per_round).part("uncached"),
            Part("floor_cached", _Floor(folder, 1, disk).run),
            _Decisions(regulars, riders(REGULAR, KNOWN), calls_per_round).part("cached"),
            _Decisions(changers, riders(REGULAR, KNOWN), calls_per_round).part("transfers"),
        ]
        disk.sync_ms = CARD_SYNC_MS
        samples = interleave(parts, calls_per_round)
    found: list[Row] = []
    for kind in ("uncached", "cached"):
        found.append(row_of(f"floor_{kind}_{CARD_SYNC_MS}ms", "us", samples[f"floor_{kind}"]))
        found.append(row_of(f"decision_{kind}_{CARD_SYNC_MS}ms", "us", samples[kind], found[-1]))
    return [*found, row_of(f"decision_transfers_{CARD_SYNC_MS}ms", "us", samples["transfers"], found[-2])]


def full_rows(folder: Path, calls_per_round: int = 100) -> list[Row]:
    """`decision_full`: a million journal rows and a million denied ids, against a terminal just taken into service."""
    (folder / "full").mkdir()
    write_million(folder / "full" / "deny")
    fill_journal(folder / "full" / "journal.db", DEVICE, FULL_ROWS, seed=2)
    calls = calls_per_round * ROUNDS
    with real_bus(folder / "empty") as empty, real_bus(folder / "full") as full:
        assert full.station.deny.ids_count == IDS and full.station.journal.tail.sequence == FULL_ROWS
        parts = [
            _Decisions(bus, riders(NEW, calls), calls_per_round).part(name)
            for name, bus in (("empty", empty), ("full", full))
        ]
        samples = interleave(parts, calls_per_round)
    reference = row_of("decision_empty", "us", samples["empty"])
    return [reference, row_of("decision_full", "us", samples["full"], reference)]

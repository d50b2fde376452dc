"""`decision_*`: QR text → durable voucher, against the floor of the same crypto and one synced append. DESIGN §10."""

import os
from pathlib import Path

from offline_ledger.protocol import cose
from offline_ledger.protocol.cose import is_signature_of
from offline_ledger.terminal.deny_list import DenyList
from offline_ledger.terminal.outcome import Light
from simulators.keys import SimulatedKey
from simulators.slow_disk import SlowDisk, slow_disk
from simulators.storage.vouchers import fill_journal
from tests.bench.deny import write_million
from tests.bench.libraries import LibrariesAlone
from tests.bench.measure import Part, Row, interleave, row_of
from tests.terminal.desk import (
    AAD,
    DEVICE_TEST_ONLY,
    DeskConditions,
    DeskWallet,
    FlatBus,
    acceptor_on,
    issue,
    open_journal,
)

CALLS_PER_ROUND = 200
CARD_SYNC_MS = 1
"""Less than memory cards take (decision 0051)."""
FULL_ROWS = 1_000_000
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


class _Denying(DeskConditions):
    """Asks a real deny list."""

    def __init__(self, deny: DenyList) -> None:
        super().__init__()
        self._deny = deny

    def is_denied(self, pass_id: bytes) -> bool:
        return self._deny.is_denied(pass_id)


class _Decisions:
    """A terminal that takes a code per call. `fresh`: every code is of a wallet never seen before."""

    def __init__(
        self, folder: Path, name: str, codes: list[str], deny: DenyList | None = None, vfs: str | None = None
    ) -> None:
        (folder / name).mkdir(exist_ok=True)
        conditions = DeskConditions() if deny is None else _Denying(deny)
        self._acceptor = acceptor_on(open_journal(folder / name, vfs), conditions)
        self._codes = codes
        self._at = 0
        self._door = FlatBus(fare_kgo=100)

    def run(self, _index: int) -> None:
        outcome = self._acceptor.accept(self._codes[self._at], self._door)
        assert outcome.light is Light.ACCEPTED_CASH_DUE, outcome
        self._at += 1


def _codes(wallets: int, rides: int) -> list[str]:
    codes: list[str] = []
    held: list[DeskWallet] = [issue(10_000 + number, reserve_kgo=10**8) for number in range(wallets)]
    for _ in range(rides):
        for rider in held:
            rider.next(100)
            codes.append(rider.code())
    return codes


def rows(folder: Path, calls_per_round: int = CALLS_PER_ROUND) -> list[Row]:
    """The decision rows and the noise row."""
    calls = calls_per_round * 5
    new, known = _codes(calls, 1), _codes(20, calls // 20 + 1)
    parts = [
        Part("floor_uncached", _Floor(folder, 2).run),
        Part("decision_uncached", _Decisions(folder, "uncached", new).run),
        Part("libraries_uncached", LibrariesAlone(folder, "libraries-new", new, is_cached=False).run),
        Part("floor_cached", _Floor(folder, 1).run),
        Part("decision_cached", _Decisions(folder, "cached", known).run),
        Part("libraries_cached", LibrariesAlone(folder, "libraries-known", known, is_cached=True).run),
        Part("floor_again", _Floor(folder, 2).run),
    ]
    samples = interleave(parts, calls_per_round)
    found: list[Row] = []
    for kind in ("uncached", "cached"):
        floor = row_of(f"floor_{kind}", "us", samples[f"floor_{kind}"])
        found.append(floor)
        found += [row_of(name, "us", samples[name], floor) for name in (f"libraries_{kind}", f"decision_{kind}")]
    return [*found, row_of("noise", "us", samples["floor_again"], found[0])]


def card_rows(folder: Path, calls_per_round: int = 40) -> list[Row]:
    """The decision on a disk as slow as a quick memory card: one more millisecond in each sync, the floor's too."""
    calls = calls_per_round * 5
    with slow_disk(sync_ms=CARD_SYNC_MS) as disk:
        parts = [
            Part("floor_uncached", _Floor(folder, 2, disk).run),
            Part("uncached", _Decisions(folder, "card-new", _codes(calls, 1), vfs=disk.name).run),
            Part("floor_cached", _Floor(folder, 1, disk).run),
            Part("cached", _Decisions(folder, "card-known", _codes(20, calls // 20 + 1), vfs=disk.name).run),
        ]
        samples = interleave(parts, calls_per_round)
    found: list[Row] = []
    for kind in ("uncached", "cached"):
        found.append(row_of(f"floor_{kind}_{CARD_SYNC_MS}ms", "us", samples[f"floor_{kind}"]))
        found.append(row_of(f"decision_{kind}_{CARD_SYNC_MS}ms", "us", samples[kind], found[-1]))
    return found


def full_rows(folder: Path, calls_per_round: int = 100) -> list[Row]:
    """`decision_full`: a million journal rows and a million denied ids, against an empty terminal in the same run."""
    write_million(folder / "million")
    deny = DenyList.open(folder / "million")
    (folder / "full").mkdir()
    fill_journal(folder / "full" / "journal.db", "bus-1", FULL_ROWS, seed=2)
    codes = _codes(calls_per_round * 5 + 1, 1)
    empty = _Decisions(folder, "empty", codes)
    full = _Decisions(folder, "full", codes, deny)
    samples = interleave([Part("empty", empty.run), Part("full", full.run)], calls_per_round)
    reference = row_of("decision_empty", "us", samples["empty"])
    return [reference, row_of("decision_full", "us", samples["full"], reference)]

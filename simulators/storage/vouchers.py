"""Rows for a journal without a wallet or a key: chained, of real size, the same for the same seed. DESIGN §6.

For proofs and benchmarks of the journal alone; nothing in them is signed.
"""

import random
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from offline_ledger.terminal.journal import Journal
from offline_ledger.terminal.journal_core import JournalCore
from offline_ledger.terminal.journal_disk import DiskLimits
from offline_ledger.terminal.journal_rows import NO_IDENTITY, CouponUse, PassState, VoucherRow
from offline_ledger.terminal.journal_schema import (
    EVENT_BITS,
    INSERT_VOUCHER,
    PUT_STATE,
    Running,
    state_bindings,
    voucher_bindings,
)

START_S = 1_780_000_000
VOUCHER_BYTES = 300
WALLET_OBJECT_BYTES = 160
ALLOWANCE_BYTES = 210


@dataclass(slots=True)
class Taking:
    """One voucher and all that is journaled with it."""

    row: VoucherRow
    state: PassState | None
    allowance: bytes | None
    coupon: CouponUse | None

    def append_to(self, journal: Journal, closes_request: bytes | None = None) -> None:
        journal.append(
            self.row,
            state=self.state,
            allowance=self.allowance,
            coupon=self.coupon,
            closes_request=closes_request,
        )


@dataclass(slots=True)
class VoucherFeed:
    """Makes one taking after another; `passes` wallets take turns at random."""

    rng: random.Random
    passes: int = 1_000_000_000
    sequence: int = 0
    previous: bytes = NO_IDENTITY
    spent: dict[bytes, int] = field(default_factory=dict[bytes, int])

    def next(self) -> Taking:
        rng = self.rng
        self.sequence += 1
        voucher = rng.randbytes(VOUCHER_BYTES)
        identity = sha256(voucher).digest()
        pass_id = sha256(f"pass {rng.randrange(self.passes)}".encode()).digest()[:8]
        allowance = (pass_id * ALLOWANCE_BYTES)[:ALLOWANCE_BYTES]
        at_s = START_S + self.sequence
        is_coupon = rng.random() < 0.1
        row = VoucherRow(
            sequence=self.sequence,
            previous=self.previous,
            identity=identity,
            voucher=voucher,
            wallet_object=None if is_coupon else rng.randbytes(WALLET_OBJECT_BYTES),
            allowance_hash=None if is_coupon else sha256(allowance).digest(),
            pass_id=None if is_coupon else pass_id,
            kgo=5_000,
            thb_satang=100,
            at_s=at_s,
            kind=1,
        )
        self.previous = identity
        if is_coupon:
            return Taking(row, None, None, CouponUse(rng.randbytes(8), at_s + 86_400))
        spent_kgo = self.spent.get(pass_id, 0)
        self.spent[pass_id] = spent_kgo + 5_000
        last_n = spent_kgo // 5_000 + 1
        state = PassState(
            pass_id, last_n, spent_kgo, 5_000, spent_kgo + 5_000, self.sequence, identity, at_s, at_s + 172_800
        )
        return Taking(row, state, allowance, None)


def fill_journal(path: Path, device_id: str, rows: int, seed: int) -> VoucherFeed:
    """Makes a journal of `rows` ratified vouchers in few transactions, and closes it; the feed goes on after them.

    The rows are those that `rows` appends would have written, but for the ratification events.
    """
    feed = VoucherFeed(random.Random(seed))
    core = JournalCore(str(path), device_id, None, DiskLimits())
    now = core.now
    try:
        for start in range(0, rows, 10_000):
            statements: list[tuple[str, tuple[int | bytes | str | None, ...]]] = []
            for _ in range(start, min(start + 10_000, rows)):
                taking = feed.next()
                row = taking.row
                now = Running(
                    row.sequence << EVENT_BITS,
                    row.sequence,
                    row.identity,
                    row.at_s,
                    kgo_sum=now.kgo_sum + row.kgo,
                    ratified_through=row.sequence,
                )
                stored_at = row.sequence if taking.allowance is not None else 0
                statements.append((INSERT_VOUCHER, voucher_bindings(row, now, taking.allowance, stored_at)))
                if taking.state is not None:
                    statements.append((PUT_STATE, state_bindings(taking.state, stored_at)))
            core.commit(statements)
            core.now = now
            core.checkpoint()
    finally:
        core.disk.close()
    path.with_name(path.name + "-wal").unlink()  # empty, but far larger than a journal's own ever is
    return feed

"""What one device was allowed when it accepted, and what the risk fund therefore covers: F, H, the day's ceiling.

DESIGN §8. F and H are judged by when batches arrived here, so an honest terminal that uploads a long backlog in parts
never trips them. The ceiling's day is the city's own, and a voucher from the future waits (decision 0076). Reads,
counts and lists what waits inside the caller's transaction; never posts.
"""

from bisect import bisect_right

from offline_ledger.city import trust
from offline_ledger.city.accounts import OwnerKind, Reason
from offline_ledger.city.bench import Bench, Claim
from offline_ledger.city.ingest_reading import Terminal
from offline_ledger.city.posting import Payee
from offline_ledger.city.store import Store
from offline_ledger.errors import (
    DeviceCertificateInvalid,
    DeviceRevoked,
    MustReconnect,
    Refusal,
    TerminalValueUsedUp,
    TimeAhead,
)
from offline_ledger.protocol.device import ClockTrust, DeviceRole, Voucher, VoucherKind
from offline_ledger.protocol.wallet import Payment
from offline_ledger.rules import staleness
from offline_ledger.rules.civil import civil_day


class Cover:
    """One device's standing within one transaction. `total_kgo`: all that it ever accepted, counted on as it goes."""

    def __init__(self, bench: Bench, terminal: Terminal, total_kgo: int, first_at_s: int) -> None:
        self._store = bench.store
        self._limits = bench.limits
        self._now_s = bench.now_s
        self._terminal = terminal
        self.payee, self._risk_day_kgo_max = self._owner()
        row = self._store.one("SELECT offline_hours FROM devices WHERE device = ?", (terminal.device,))
        self._revoked_after = trust.revoked_after(self._store, terminal.device)
        self._offline_hours: int = row[0] if row else 0
        self.total_kgo = total_kgo
        self._received, self._totals = self._earlier_batches(first_at_s)

    def _owner(self) -> tuple[Payee, int]:
        terminal = self._terminal
        row = self._store.one("SELECT kind, risk_day_kgo_max FROM owners WHERE owner = ?", (terminal.owner,))
        if row is not None:
            return Payee(OwnerKind(row[0]), terminal.owner), row[1]
        kind = OwnerKind.OPERATOR if terminal.role == DeviceRole.VALIDATOR else OwnerKind.MERCHANT
        return Payee(kind, terminal.owner), 0

    def _earlier_batches(self, first_at_s: int) -> tuple[list[int], list[int]]:
        """When batches arrived and what had been accepted up to them: what was not yet synced at a given time."""
        before = self._store.fetch(
            "SELECT received_at_s, total_kgo FROM batches WHERE device = ? AND received_at_s <= ?"
            " ORDER BY received_at_s DESC, total_kgo DESC LIMIT 1",
            (self._terminal.device, first_at_s),
        )
        since = self._store.fetch(
            "SELECT received_at_s, total_kgo FROM batches WHERE device = ? AND received_at_s > ?"
            " ORDER BY received_at_s, total_kgo",
            (self._terminal.device, first_at_s),
        )
        rows = [*before, *since]
        return [row[0] for row in rows], [row[1] for row in rows]

    def suspense_reason(self, voucher: Voucher) -> Refusal | None:
        """Accepted outside what this device was allowed: the money waits, in the owner's name."""
        if self._revoked_after is not None and voucher.sequence > self._revoked_after:
            return DeviceRevoked(f"after {self._revoked_after}")
        if voucher.at_s > self._terminal.expires_at_s + self._limits.skew_s:
            return DeviceCertificateInvalid("expired")
        if voucher.at_s > self._now_s + self._limits.skew_s:
            return TimeAhead(f"{voucher.at_s - self._now_s} s")
        if self._unsynced_kgo(voucher) > self._terminal.offline_value_kgo:
            return TerminalValueUsedUp()
        return None

    def wait(self, record: str, sequence: int, kgo: int, refusal: int) -> None:
        """What was put into suspense stands in the list of what the operator decides."""
        self._store.execute(
            "REPLACE INTO suspense(device, sequence, owner, kgo, refusal) VALUES(?, ?, ?, ?, ?)",
            (record, sequence, self.payee.owner, kgo, refusal),
        )

    def _batches_before(self, voucher: Voucher) -> int:
        """How many of the known batches had arrived when this voucher was made, clocks being off by skew."""
        return bisect_right(self._received, voucher.at_s + self._limits.skew_s)

    def _unsynced_kgo(self, voucher: Voucher) -> int:
        """What this device had accepted but not synced when it made this voucher, itself included."""
        at = self._batches_before(voucher)
        return self.total_kgo - (self._totals[at - 1] if at else 0)

    def is_within_hours(self, voucher: Voucher) -> bool:
        """Had this device synced within H when it made this voucher? Judged by the terminal's own rule, a skew wide."""
        at = self._batches_before(voucher)
        age_s = max(0, voucher.at_s - self._received[at - 1] - self._limits.skew_s) if at else None
        try:
            trust = ClockTrust(voucher.trust)
            staleness.caps_for(self._limits, trust, 0, age_s, device_hours=self._offline_hours)
        except MustReconnect:
            return False
        return True

    def risk_left_kgo(self, claim: Claim) -> int:
        """The risk fund covers transit, and a shop only for two-way payments of a terminal that had synced within H;
        both up to a ceiling per owner and day of posting."""
        voucher = claim.voucher
        is_shop = voucher.kind == VoucherKind.SALE
        if is_shop and not (isinstance(claim.shown, Payment) and self.is_within_hours(voucher)):
            return 0
        row = self._store.one(
            "SELECT kgo FROM risk_days WHERE owner = ? AND day = ?", (self.payee.owner, civil_day(self._now_s))
        )
        return max(0, self._risk_day_kgo_max - (row[0] if row else 0))

    def count_risk(self, kgo: int) -> None:
        """What the fund gives now counts against today's ceiling, whatever day the voucher claims."""
        if kgo:
            self._store.execute(
                "INSERT INTO risk_days VALUES(?, ?, ?) ON CONFLICT DO UPDATE SET kgo = kgo + excluded.kgo",
                (self.payee.owner, civil_day(self._now_s), kgo),
            )


def give_back_risk(store: Store, owner: str, voucher: tuple[str, int], kgo: int, now_s: int) -> None:
    """What the fund gave for this voucher, (record, sequence), and has back, counts no longer on the day it gave it."""
    row = store.one(
        "SELECT posted_at_s FROM postings WHERE device = ? AND sequence = ? AND reason IN (?, ?)"
        " ORDER BY posting_id DESC LIMIT 1",
        (*voucher, Reason.SPEND, Reason.PAYER),
    )
    day = civil_day(row[0] if row is not None else now_s)  # None: within this very transaction
    store.execute("UPDATE risk_days SET kgo = max(0, kgo - ?) WHERE owner = ? AND day = ?", (kgo, owner, day))

"""What wallets authorised under one allowance and the ledger took, so kept that one more costs no more. DESIGN §8.

At one device n and S only grow: the terminal and the ledger see to that. So of each device a few neighbours by n answer
for all of it. Pure memory of one transaction; never reads the store, never decides.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum

from offline_ledger.protocol.kinds import Kind
from offline_ledger.rules.acceptance import Seen, is_against


class PaidBy(IntEnum):
    """Whose a spend that counts is to pay, as in the column `paid_by`."""

    NOBODY = 0
    """It gave way or lapsed: nobody saw its green. Or it was rejected."""
    WALLET = 1
    OTHERS = 2
    """The other one of a duplicate: the risk fund, or nobody until the operator names the shop."""


@dataclass(frozen=True, slots=True)
class Spent:
    """One voucher that a wallet authorised and that was not rejected, as the ledger remembers it."""

    device: str
    sequence: int
    n: int
    sum_kgo: int
    authorised_kgo: int
    intent: bytes
    object: bytes
    kind: Kind
    accepted_kgo: int
    at_s: int
    paid_by: PaidBy

    @property
    def seen(self) -> Seen:
        """What contradictions are judged by."""
        return Seen(self.n, self.sum_kgo, self.authorised_kgo, self.intent)

    @property
    def base_device(self) -> str:
        """The device itself: a released fork is remembered under a name of its own."""
        return self.device.partition("~")[0]

    @property
    def standing_kgo(self) -> int:
        """What was accepted, while it counts."""
        return 0 if self.paid_by is PaidBy.NOBODY else self.accepted_kgo


@dataclass(slots=True)
class DeviceSpends:
    """Those of one device and its released forks, by sequence. `n_max`: the highest n up to each."""

    spents: list[Spent] = field(default_factory=list[Spent])
    sequences: list[int] = field(default_factory=list[int])
    n_max: list[int] = field(default_factory=list[int])
    standing_kgo: int = 0
    is_line: bool = True
    """Each is after the one before in n and S; not so where forks were released between."""
    has_forks: bool = False

    def add(self, spent: Spent) -> None:
        """In any order; in the order of sequence it costs nothing."""
        self.standing_kgo += spent.standing_kgo
        self.has_forks |= "~" in spent.device
        if not self.sequences or spent.sequence >= self.sequences[-1]:
            self._append(spent)
            return
        rest = [*self.spents]
        rest.insert(bisect_right(self.sequences, spent.sequence), spent)
        self.spents, self.sequences, self.n_max, self.is_line = [], [], [], True
        for one in rest:
            self._append(one)

    def _append(self, spent: Spent) -> None:
        if self.spents:
            last = self.spents[-1]
            self.is_line &= spent.n > last.n and spent.sum_kgo >= last.sum_kgo + last.authorised_kgo
        self.n_max.append(max(self.n_max[-1], spent.n) if self.n_max else spent.n)
        self.spents.append(spent)
        self.sequences.append(spent.sequence)

    def last_before(self, sequence: int) -> tuple[Spent, int] | None:
        """The last one with a lower sequence, the device's own before a fork's, and the highest n up to there."""
        count = bisect_left(self.sequences, sequence)
        if not count:
            return None
        first = bisect_left(self.sequences, self.sequences[count - 1])
        return self.spents[first], self.n_max[count - 1]

    def between(self, after: int, before: int) -> Iterator[Spent]:
        """Those with a sequence above the first and below the second number."""
        for at in range(bisect_right(self.sequences, after), bisect_left(self.sequences, before)):
            yield self.spents[at]

    def against(self, seen: Seen) -> Spent | None:
        """One that cannot be honest beside this."""
        near: Sequence[Spent] = self.spents
        if self.is_line:
            at = bisect_left(self.n_max, seen.n)
            near = self.spents[max(0, at - 1) : at + 2]
        return next((spent for spent in near if is_against(spent.seen, seen)), None)


@dataclass(slots=True)
class Spends:
    """All of one allowance."""

    by_device: dict[str, DeviceSpends] = field(default_factory=dict[str, DeviceSpends])
    by_intent: dict[bytes, list[Spent]] = field(default_factory=dict[bytes, list[Spent]])

    def add(self, spent: Spent) -> None:
        """One more voucher that was taken."""
        self.by_device.setdefault(spent.base_device, DeviceSpends()).add(spent)
        self.by_intent.setdefault(spent.intent, []).append(spent)

    def at(self, device: str) -> DeviceSpends:
        """What this device took, its forks' too."""
        return self.by_device.get(device, DeviceSpends())

    def find(self, record: str, sequence: int) -> Spent:
        """The one of this voucher, which was added."""
        there = self.at(record.partition("~")[0])
        return next(spent for spent in there.between(sequence - 1, sequence + 1) if spent.device == record)

    def note(self, spent: Spent, paid_by: PaidBy) -> None:
        """Somebody else is to pay, or nobody."""
        same, there = self.by_intent[spent.intent], self.by_device[spent.base_device]
        noted = replace(spent, paid_by=paid_by)
        same[same.index(spent)] = noted
        first = bisect_left(there.sequences, spent.sequence)
        there.spents[there.spents.index(spent, first)] = noted
        there.standing_kgo += noted.standing_kgo - spent.standing_kgo

    def against(self, seen: Seen) -> Spent | None:
        """One that cannot be honest beside this."""
        return next((found for one in self.by_device.values() if (found := one.against(seen)) is not None), None)

"""What wallets authorised under one allowance and the ledger took, so kept that one more costs no more. DESIGN §8.

At one device n and S only grow: the terminal and the ledger see to that. So of each device a few neighbours by n answer
for all of it. Pure memory of one transaction; never reads the store, never decides.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from offline_ledger.protocol.kinds import Kind
from offline_ledger.rules.acceptance import Seen, is_against


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
    charged_kgo: int
    at_s: int

    @property
    def seen(self) -> Seen:
        """What contradictions are judged by."""
        return Seen(self.n, self.sum_kgo, self.authorised_kgo, self.intent)

    @property
    def base_device(self) -> str:
        """The device itself: a released fork is remembered under a name of its own."""
        return self.device.partition("~")[0]


@dataclass(slots=True)
class DeviceSpends:
    """Those of one device and its released forks, by sequence. `n_max`: the highest n up to each."""

    spents: list[Spent] = field(default_factory=list[Spent])
    sequences: list[int] = field(default_factory=list[int])
    n_max: list[int] = field(default_factory=list[int])
    charged_kgo: int = 0
    is_line: bool = True
    """Each is after the one before in n and S; not so where forks were released between."""

    def add(self, spent: Spent) -> None:
        """In any order; in the order of sequence it costs nothing."""
        self.charged_kgo += spent.charged_kgo
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

    def give_back(self, spent: Spent) -> None:
        """Its charge was taken back."""
        same, there = self.by_intent[spent.intent], self.by_device[spent.base_device]
        free = replace(spent, charged_kgo=0)
        same[same.index(spent)] = free
        there.spents[there.spents.index(spent)] = free
        there.charged_kgo -= spent.charged_kgo

    def against(self, seen: Seen) -> Spent | None:
        """One that cannot be honest beside this."""
        return next((found for one in self.by_device.values() if (found := one.against(seen)) is not None), None)

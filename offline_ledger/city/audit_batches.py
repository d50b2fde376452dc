"""The audit of when and under which head vouchers came: each under a kept batch head, and not before it. DESIGN §7.

Of the heads only what they cover stands in memory: one run of sequences, when none is missing.
"""

from bisect import insort
from typing import cast

from offline_ledger.city.audit_findings import Findings, Place, voucher_at
from offline_ledger.city.store import Store
from offline_ledger.protocol.device import EventKind, event_values

UNRATIFIED, SHOWN_LATER, LAPSED = 1, 2, 3
SEQUENCE_MAX = 1 << 48


class Runs:
    """Runs of sequences, joined as they meet."""

    def __init__(self) -> None:
        self._runs: list[tuple[int, int]] = []

    def add(self, first: int, last: int) -> None:
        """Another run, in any order."""
        if first > last:
            return
        met = [run for run in self._runs if run[0] <= last + 1 and run[1] >= first - 1]
        self._runs = [run for run in self._runs if run not in met]
        insort(self._runs, (min([first, *(run[0] for run in met)]), max([last, *(run[1] for run in met)])))

    def missing_before(self, through: int) -> int | None:
        """The first sequence up to `through` that no run has; None: all are there."""
        expected = 1
        for first, last in self._runs:
            if first > expected:
                break
            expected = max(expected, last + 1)
        return expected if expected <= through else None


def check_received(store: Store, findings: Findings, device_id: str) -> None:
    """No voucher was received before the first batch that brought it."""
    for (sequence,) in store.stream(
        "SELECT v.sequence FROM vouchers v WHERE v.device = ? AND NOT EXISTS(SELECT 1 FROM batches b"
        " INDEXED BY batches_by_device WHERE b.device = v.device AND b.received_at_s = v.received_at_s"
        " AND b.first_sequence <= v.sequence AND b.last_sequence >= v.sequence)",
        (device_id,),
    ):
        # the same head again, after the city had asked for allowances, is not kept a second time
        row = store.one(
            "SELECT 1 FROM vouchers v JOIN batches b INDEXED BY batches_by_device ON b.device = v.device"
            " AND b.received_at_s <= v.received_at_s AND b.first_sequence <= v.sequence"
            " AND b.last_sequence >= v.sequence WHERE v.device = ? AND v.sequence = ? LIMIT 1",
            (device_id, sequence),
        )
        if row is None:
            findings.add("received_wrong", voucher_at(device_id, sequence))


def check_unratified(store: Store, findings: Findings, device_id: str) -> None:
    """Which greens nobody recorded as shown, read again from the device's own events."""
    expected: dict[int, int] = {}
    for kind, body in store.stream(
        "SELECT kind, body FROM events WHERE device = ? AND kind IN (?, ?, ?) ORDER BY number",
        (device_id, EventKind.RATIFIED, EventKind.UNCHARGED_GREEN, EventKind.LAPSED),
    ):
        said = event_values(body)
        if kind == EventKind.RATIFIED:
            if len(said) == 3 and isinstance(said[1], list) and isinstance(said[2], list):
                for sequence in _sequences(cast(list[object], said[1])):
                    expected.setdefault(sequence, UNRATIFIED)
                for sequence in _sequences(cast(list[object], said[2])):
                    expected.pop(sequence, None)
        elif len(said) >= 3 and _sequences(said[:1]):
            is_lapsed = kind == EventKind.LAPSED and said[2] is False
            expected[_sequences(said[:1])[0]] = LAPSED if is_lapsed else SHOWN_LATER
    stored = dict(store.stream("SELECT sequence, state FROM unratified WHERE device = ?", (device_id,)))
    for sequence in sorted(expected.keys() | stored.keys()):
        if expected.get(sequence) != stored.get(sequence):
            noted, due = (one.get(sequence, "-") for one in (stored, expected))
            findings.add("unratified_wrong", voucher_at(device_id, sequence), noted=noted, expected=due)


def was_excepted(store: Store, device_id: str, sequence: int) -> bool:
    """Did the device ever say that it could not tell whether this green was shown? Read from its own events."""
    for (body,) in store.stream(
        "SELECT body FROM events WHERE device = ? AND kind = ? ORDER BY number", (device_id, EventKind.RATIFIED)
    ):
        said = event_values(body)
        if len(said) == 3 and isinstance(said[1], list) and sequence in _sequences(cast(list[object], said[1])):
            return True
    return False


def _sequences(values: list[object]) -> list[int]:
    return [one for one in values if type(one) is int and 0 < one <= SEQUENCE_MAX]


def check_covered(findings: Findings, where: Place, runs: Runs, through: int) -> None:
    """Every voucher stands under a head that its device signed."""
    missing = runs.missing_before(through)
    if missing is not None:
        findings.add("batch_gone", where, sequence=missing)

"""One life of a journal on a recording disk, and what must be true after a power cut anywhere in it. DESIGN §6.

Used by the power-cut proof and by its negative control.
"""

import random
from dataclasses import dataclass, field

from offline_ledger.errors import Refusal
from offline_ledger.terminal.journal import Journal
from offline_ledger.terminal.journal_disk import DiskLimits
from offline_ledger.terminal.journal_rows import EVENT_REFUSAL
from simulators.storage.memory import MemoryDisk, MemoryVfs
from simulators.storage.power_cut import CrashImage
from simulators.storage.vouchers import START_S, Taking, VoucherFeed

PATH = "journal.db"
DEVICE = "test-device"
EVENT_SHIFT = 9
LIMITS = DiskLimits(laid_out_frames=48, checkpoint_idle_frames=6, checkpoint_flush_frames=20, reserve_frames=12)
"""Small, so that a short life empties its log in every one of the three ways."""


@dataclass(slots=True)
class Promise:
    """From record step `since` on, `what` holds with `value`."""

    since: int
    what: str
    value: int
    content: bytes = b""


@dataclass(slots=True)
class Life:
    """What a run did and was promised."""

    disk: MemoryDisk
    takings: list[Taking] = field(default_factory=list[Taking])
    quiet_from: int = 1 << 30
    """From this voucher on nothing flushes or syncs, so the append itself has to empty the log."""
    checkpoints_in_append: int = 0
    promises: list[Promise] = field(default_factory=list[Promise])

    def promise(self, what: str, value: int, content: bytes = b"") -> None:
        self.promises.append(Promise(len(self.disk.record), what, value, content))


def live(vfs: MemoryVfs, rng: random.Random, vouchers: int) -> Life:
    """Makes a journal, appends, ratifies, refuses, syncs, prunes, rests, restarts; always the same for one `rng`."""
    vfs.disk = MemoryDisk()
    life = Life(vfs.disk, quiet_from=vouchers * 2 // 3)
    feed = VoucherFeed(rng, passes=5)
    journal = _opened(vfs)
    for sequence in range(1, vouchers + 1):
        taking = feed.next()
        life.takings.append(taking)
        asked = request_of(sequence)
        if asked is not None:
            journal.open_request(asked, b"kept %d" % sequence, b"asked", [])
            life.promise("request", sequence)
        taking.append_to(journal, asked)
        life.promise("voucher", sequence)
        if sequence % 7:
            journal.ratify(sequence)
        _note(journal, life, sequence)
        if sequence < life.quiet_from:
            _sync(journal, life, sequence)
        if sequence % 6 == 0 and sequence < vouchers * 2 // 3:
            journal.rest()
        life.checkpoints_in_append = max(life.checkpoints_in_append, journal.checkpoints_in_append)
        if sequence % 17 == 0 and sequence < life.quiet_from:
            journal.close()
            journal = _opened(vfs)
    journal.close()
    return life


def request_of(sequence: int) -> bytes | None:
    """Every third voucher answers a payment request, which was durable before."""
    return sequence.to_bytes(32, "big") if sequence % 3 == 0 else None


def _opened(vfs: MemoryVfs) -> Journal:
    return Journal.open(PATH, device_id=DEVICE, vfs=vfs.name, limits=LIMITS)


def _note(journal: Journal, life: Life, sequence: int) -> None:
    """Refusals, flushes and small values."""
    if sequence % 5 == 0:
        number = journal.append_event(EVENT_REFUSAL, b"refused", durable=sequence % 10 == 0)
        if sequence % 10 == 0:
            life.promise("event", number)
    if sequence % 4 == 0 and sequence < life.quiet_from:
        journal.flush()
        life.promise("ratified", sequence)
        life.promise("event", journal.tail.event_number)
    if sequence % 9 == 0:
        journal.meta_put("floor", b"%d" % sequence)
        life.promise("meta", sequence)
    if sequence % 8 == 0:
        journal.append_event(EVENT_SHIFT, b"%d" % sequence, durable=True, meta={"shift": b"%d" % sequence})
        life.promise("shift", sequence)


def _sync(journal: Journal, life: Life, sequence: int) -> None:
    """Acknowledgements, lapsed greens, pruning."""
    if sequence % 11 == 0:
        ack = b"ack %d" % sequence
        journal.record_ack(ack, sequence - 2, journal.tail.event_number)
        life.promise("ack", sequence - 2, ack)
    if sequence % 12 == 0:
        for waiting in journal.unratified_sequences():
            if waiting < sequence - 2:
                journal.settle_unratified(waiting, 6, b"lapsed")
        before = len(life.disk.record)
        if journal.prune(sequence - 4, START_S + sequence - 5):
            life.promises.append(Promise(before, "may be pruned", sequence - 6))


def faults_of(image: CrashImage, life: Life, vfs: MemoryVfs, *, goes_on: bool) -> list[str]:
    """What is wrong with this image; nothing for a sound journal. `goes_on`: sells and restarts on it as well."""
    vfs.disk = image.disk()
    try:
        journal = _opened(vfs)
    except Refusal as refusal:
        return [f"does not open: {refusal}"]
    try:
        faults = _broken_promises(image, life, journal)
        for _step in journal.verify_background():
            pass
        if goes_on and not faults:
            faults += _going_on(life, journal, vfs)
        return faults
    except Refusal as refusal:
        return [f"damaged: {refusal}"]
    finally:
        journal.close()


def _broken_promises(image: CrashImage, life: Life, journal: Journal) -> list[str]:
    kept = [promise for promise in life.promises if promise.since <= image.after]
    best: dict[str, Promise] = {}
    for promise in kept:
        if promise.what not in best or promise.value >= best[promise.what].value:
            best[promise.what] = promise
    acknowledged = best["voucher"].value if "voucher" in best else 0
    tail = journal.tail
    faults: list[str] = []
    if not acknowledged <= tail.sequence <= acknowledged + 1:
        faults.append(f"ends at {tail.sequence}, acknowledged {acknowledged}")
        return faults
    pruned = best["may be pruned"].value if "may be pruned" in best else 0
    for taking in life.takings[: tail.sequence]:
        faults += _voucher_faults(taking, journal, is_prunable=taking.row.sequence <= pruned)
    if "event" in best and tail.event_number < best["event"].value:
        faults.append(f"event {best['event'].value} is gone")
    if "ratified" in best:
        late = [s for s in journal.unratified_sequences() if s <= best["ratified"].value and s % 7]
        faults += [f"ratification of {sequence} is gone" for sequence in late]
    if "ack" in best and tail.acked_sequence < best["ack"].value:
        faults.append("the ack is gone")
    if "ack" in best and tail.acked_sequence == best["ack"].value and journal.newest_ack() != best["ack"].content:
        faults.append("another ack")
    if "meta" in best and int(journal.meta_get("floor") or b"0") < best["meta"].value:
        faults.append("the floor went back")
    faults += _request_faults(best, journal) + _shift_faults(best, journal)
    numbers = [event.number for event in journal.events_after(tail.acked_event, 10_000)]
    if numbers != list(range(tail.acked_event + 1, tail.event_number + 1)):
        faults.append(f"events {numbers} after {tail.acked_event}, last {tail.event_number}")
    return faults


def _shift_faults(best: dict[str, Promise], journal: Journal) -> list[str]:
    """What is kept and the event that says so are of one transaction."""
    shift = int(journal.meta_get("shift") or b"0")
    faults = ["the shift went back"] if "shift" in best and shift < best["shift"].value else []
    events = journal.events_after(journal.tail.acked_event, 10_000)
    told = [int(event.body) for event in events if event.kind == EVENT_SHIFT]
    if told and told[-1] != shift:
        faults.append(f"the shift is {shift}, its event says {told[-1]}")
    return faults


def _request_faults(best: dict[str, Promise], journal: Journal) -> list[str]:
    """One that was asked is open until its voucher is there, and not a moment longer."""
    sequence = journal.tail.sequence
    found = {int.from_bytes(one, "big") for one in journal.open_requests()}
    faults = [f"request {one} is open beside its voucher" for one in found if one <= sequence]
    asked = best["request"].value if "request" in best else 0
    if asked > sequence and asked not in found:
        faults.append(f"request {asked} is gone, and no voucher answers it")
    return faults


def _voucher_faults(taking: Taking, journal: Journal, *, is_prunable: bool) -> list[str]:
    sequence = taking.row.sequence
    found = journal.voucher_at(sequence)
    faults: list[str] = []
    if found is None and not is_prunable:
        faults.append(f"voucher {sequence} is gone")
    if found is not None and found != taking.row:
        faults.append(f"voucher {sequence} is another")
    if taking.state is not None:
        state = journal.state_of(taking.state.pass_id)
        if state is None or state.last_sequence < sequence:
            faults.append(f"state after {sequence} is gone")
        if found is not None and taking.row.allowance_hash is not None:
            if journal.allowance_bytes(taking.row.allowance_hash) != taking.allowance:
                faults.append(f"allowance of {sequence} is gone")
    if taking.coupon is not None and journal.coupon_used(taking.coupon.coupon_id) != sequence:
        faults.append(f"coupon of {sequence} is forgotten")
    return faults


def _going_on(life: Life, journal: Journal, vfs: MemoryVfs) -> list[str]:
    """Sells once more, restarts, and finds everything: numbers go on where they ended."""
    tail = journal.tail
    feed = VoucherFeed(random.Random(1), sequence=tail.sequence, previous=tail.identity)
    extra = feed.next()
    extra.append_to(journal)
    journal.close()
    with _opened(vfs) as again:
        if again.tail.sequence != tail.sequence + 1 or again.tail.identity != extra.row.identity:
            return [f"after going on it ends at {again.tail.sequence}"]
        if tail.sequence and again.voucher_at(tail.sequence) != life.takings[tail.sequence - 1].row:
            return [f"after going on voucher {tail.sequence} is another"]
    return []

"""`kgo-city lift`, `confirm`, `release`, `unblock`, `decide`, `recover`: a person judges. DESIGN §7, §8."""

from argparse import Namespace
from pathlib import Path
from typing import cast

from offline_ledger.city import bulletins, cli_keys, decisions, equivocation, keys, recover, trust
from offline_ledger.city.console import OK, REFUSED, Console, read_file
from offline_ledger.city.ingest_reading import BatchReader
from offline_ledger.city.keys import StoredKeys
from offline_ledger.city.log import Log, write_checkpoint
from offline_ledger.city.store import Store
from offline_ledger.errors import UnknownDevice, UsageWrong
from offline_ledger.money import format_minor

LEAVES_BYTES_MAX = 256 << 20


def review(console: Console, said: Namespace) -> int:
    """Lifts or confirms one equivocation; the deny list follows at once."""
    with console.store() as store:
        signer = console.keys(store).bulletin
        recover.check_may_sign(store, console.city.checkpoint)
        now_s = console.now_s()
        equivocation.review(store, said.number, said.command == "confirm", said.note, now_s)
        bulletins.publish_deny_list(store, signer, now_s)
    console.say(console.text("review.done", number=said.number))
    return OK


def release(console: Console, said: Namespace) -> int:
    """Judges what is held of a device."""
    with console.store() as store:
        recover.check_may_sign(store, console.city.checkpoint)
        if not store.one("SELECT 1 FROM devices WHERE device = ?", (said.device,)):
            raise UnknownDevice(said.device)
        reader = BatchReader(store, StoredKeys(store))
        count = decisions.release_held(store, reader, console.limits, said.device, console.now_s())
        write_checkpoint(console.city.checkpoint, Log(store).head())
    console.say(console.text("release.done", device=said.device, count=count))
    return OK


def unblock(console: Console, said: Namespace) -> int:
    """The device was looked at."""
    with console.store() as store:
        if not store.one("SELECT 1 FROM devices WHERE device = ?", (said.device,)):
            raise UnknownDevice(said.device)
        decisions.unblock(store, said.device)
    console.say(console.text("unblock.done", device=said.device))
    return OK


def decide(console: Console, said: Namespace) -> int:
    """Pays or refuses what waits in suspense."""
    with console.store() as store:
        kgo = decisions.decide_suspense(
            store,
            said.device,
            said.sequence,
            pay=said.pay,
            from_risk=said.source == "risk",
            note=said.note,
            now_s=console.now_s(),
        )
    console.say(console.text("decide.done", kgo=format_minor(kgo)))
    return OK


def run_recover(console: Console, said: Namespace) -> int:
    """After a restore: refills the log from collected leaves, or begins a new one."""
    roots = [keys.open_key_file(path) for path in cast(list[Path], said.root)]
    leaves = _leaves(console, cast(list[Path], said.leaves))
    if roots and not said.new_log:
        raise UsageWrong((console.texts.get("usage.new_log"),))
    with console.store() as store:
        console.take_lists_back(store)
        done = recover.recover(store, console.city.checkpoint, leaves, may_begin=said.new_log)
        if done.missing is not None:
            return _say_missing(console, store, done.missing, bool(leaves))
        if done.refilled or done.lost is not None:
            bulletins.skip_lost_counters(store, console.now_s())
        if done.lost is None:
            whole = console.text("recover.whole", count=done.refilled)
            console.say(whole if done.refilled else console.text("recover.sound"))
            begun = Log(store).begun_after()
            if begun is not None:
                console.say(console.text("recover.begun", size=begun.size))
            return OK
        console.say(console.text("recover.gap", size=done.lost.size))
        if not roots:
            console.warn(console.text("recover.trust"))
            return REFUSED
        kept = cli_keys.add_next_list(console, store, trust.Changes(), roots, console.now_s())
    console.say(console.text("trust.done", version=kept.trust_list.version))
    return OK


def _say_missing(console: Console, store: Store, missing: tuple[int, int, int], has_leaves: bool) -> int:
    """Nothing was changed: which leaves are lost, and which devices may have them."""
    first, end, absent = missing
    if first == end or (has_leaves and not absent):
        console.warn(console.text("recover.other"))
    else:
        console.warn(console.text("recover.missing", count=absent, first=first, last=end - 1))
    for (device_id,) in store.fetch("SELECT device FROM devices WHERE revoked_after IS NULL ORDER BY device"):
        console.warn(console.text("recover.collect", device=device_id))
    console.warn(console.text("recover.new_log"))
    return REFUSED


def _leaves(console: Console, files: list[Path]) -> dict[int, bytes]:
    """Lines `INDEX HEX`, as exported by terminals; a place named twice must agree."""
    found: dict[int, bytes] = {}
    for file in files:
        _add_leaves(console, file, found)
    return found


def _add_leaves(console: Console, file: Path, found: dict[int, bytes]) -> None:
    for number, line in enumerate(read_file(file, LEAVES_BYTES_MAX).decode("ascii", "replace").splitlines(), 1):
        if not line.strip():
            continue
        index, _, data = line.strip().partition(" ")
        try:
            at, leaf = int(index), bytes.fromhex(data)
        except ValueError:
            at, leaf = -1, b""
        if at < 0 or found.setdefault(at, leaf) != leaf:
            raise UsageWrong((console.texts.get("usage.leaves", file=file, line=number),))

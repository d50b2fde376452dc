"""`kgo-city backup`, `restore`, `recover`: the ledger's file, and what follows when it was an older one. DESIGN §7."""

from argparse import Namespace
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import cast

from offline_ledger.city import bulletins, cli_keys, keys, recover, store_files, trust, trust_copies
from offline_ledger.city.console import OK, REFUSED, Console, read_file
from offline_ledger.city.log import Log, read_checkpoint, write_checkpoint
from offline_ledger.city.posting_links import newest_mark
from offline_ledger.city.store import Store
from offline_ledger.city.store_check import check_whole
from offline_ledger.errors import RecoveryNeeded, Refusal, UsageWrong
from offline_ledger.key_files import KeySigner
from offline_ledger.protocol import cbor

LEAVES_BYTES_MAX = 256 << 20
LEAF_BYTES_MAX = 1_024


def backup(console: Console, said: Namespace) -> int:
    """Of this moment, beside the running service."""
    with console.store() as store:
        store_files.back_up(store, said.file)
        size = Log(store).head().size
    console.say(console.text("backup.done", file=said.file, size=size))
    console.warn(console.text("backup.apart", checkpoint=console.city.checkpoint))
    return OK


def restore(console: Console, said: Namespace) -> int:
    """Puts a backup in the ledger's place, and says what is to be done next."""
    city = console.city
    lists = trust_copies.folder_beside(city.checkpoint)
    done = store_files.restore(city.database, said.copy, city.city, console.now_s(), lists)
    console.say(console.text("restore.done", file=said.copy, size=done.leaves))
    if done.aside is not None:
        console.say(console.text("restore.aside", folder=done.aside))
    _say_accounts(console, (done.missing_from, done.first_new))
    with console.store() as store:
        try:
            recover.check_may_sign(store, console.city.checkpoint)
        except RecoveryNeeded:
            console.warn(console.text("restore.behind"))
        else:
            console.say(console.text("restore.next"))
    return OK


def run_recover(console: Console, said: Namespace) -> int:
    """After a restore: refills the log from collected leaves, or begins a new one. Changes nothing before all is
    checked that can be."""
    roots = [keys.open_key_file(path) for path in cast(list[Path], said.root)]
    if bool(roots) != cast(bool, said.new_log):
        raise UsageWrong((console.texts.get("usage.new_log"),))
    leaves = _leaves(console, cast(list[Path], said.leaves))
    checkpoint, now_s = console.city.checkpoint, console.now_s()
    with console.store() as store:
        check_whole(store)
        console.take_lists_back(store)
        if roots:
            cli_keys.check_roots(store, roots, now_s)
        if not _has_checkpoint(console, store, is_lost=said.checkpoint_lost):
            return REFUSED

        def tell_terminals() -> None:
            cli_keys.add_next_list(console, store, trust.Changes(), roots, now_s)

        done = recover.recover(store, checkpoint, leaves, may_begin=said.new_log, begun=tell_terminals)
        if done.missing is not None:
            return _say_missing(console, store, done, leaves)
        if done.refilled or done.lost is not None:
            bulletins.skip_lost_counters(store, now_s)
        if done.refilled:
            console.say(console.text("recover.whole", count=done.refilled))
        elif done.lost is not None:
            console.say(console.text("recover.gap", size=done.lost.size))
            if done.absent:
                console.warn(console.text("recover.gone", leaves=_runs(done.absent)))
        if done.accounts is not None:
            _say_accounts(console, done.accounts)
        return _say_log(console, store, roots, now_s, is_new=done.lost is not None, was_sound=not done.refilled)


def _has_checkpoint(console: Console, store: Store, *, is_lost: bool) -> bool:
    """Without it nobody knows what a restored log lacks. `is_lost`: a person says that it will not be found."""
    head, path = Log(store).head(), console.city.checkpoint
    if is_lost and read_checkpoint(path) is not None:
        raise UsageWrong((console.texts.get("usage.checkpoint_lost", file=path),))
    if is_lost:
        write_checkpoint(path, head, newest_mark(store))
    elif head.size and read_checkpoint(path) is None:
        console.warn(console.text("recover.no_checkpoint", file=path, size=head.size))
        return False
    return True


def _say_log(
    console: Console, store: Store, roots: list[KeySigner], now_s: int, *, is_new: bool, was_sound: bool
) -> int:
    """Whether terminals can follow: a log that was begun anew must stand in the trust list."""
    begun, held = Log(store).begun_after(), trust.newest(store)
    if begun is not None and not is_new:
        console.say(console.text("recover.begun", size=begun.size))
    named = held.trust_list.log_begun_after if held is not None else None
    if begun is not None and named != (begun.size, begun.root):
        if not roots:
            console.warn(console.text("recover.trust"))
            return REFUSED
        held = cli_keys.add_next_list(console, store, trust.Changes(), roots, now_s)
        is_new = True
    if is_new and held is not None:
        console.say(console.text("trust.done", version=held.trust_list.version))
    elif was_sound:
        console.say(console.text("recover.sound"))
        lacking = recover.without_vouchers(store)
        for leaf, device_id, sequence in lacking[: recover.VOUCHERLESS_MAX]:
            console.warn(console.text("recover.voucherless", leaf=leaf, device=device_id, sequence=sequence))
        if len(lacking) > recover.VOUCHERLESS_MAX:
            console.warn(console.text("recover.voucherless_more", count=recover.VOUCHERLESS_MAX))
    return OK


def _say_accounts(console: Console, accounts: tuple[int, int]) -> None:
    console.say(console.text("recover.accounts", missing=accounts[0], first=accounts[1]))


def _say_missing(console: Console, store: Store, done: recover.Recovered, leaves: Mapping[int, bytes]) -> int:
    """Nothing was changed: which leaves are lost, and which devices may have them: those that handed none in."""
    assert done.missing is not None
    first, end, absent = done.missing
    heard: set[str] = set()
    if first == end or (leaves and not absent):
        console.warn(console.text("recover.other"))
    else:
        values = {"count": absent, "first": first, "last": end - 1, "leaves": _runs(done.absent)}
        console.warn(console.text("recover.missing", **values))
        heard = _devices_of(leaves)
    for (device_id,) in store.fetch("SELECT device FROM devices WHERE revoked_after IS NULL ORDER BY device"):
        if device_id not in heard:
            console.warn(console.text("recover.collect", device=device_id))
    console.warn(console.text("recover.newer"))
    console.warn(console.text("recover.new_log"))
    return REFUSED


def _runs(absent: tuple[tuple[int, int], ...]) -> str:
    shown = [f"{first}" if first == last else f"{first}-{last}" for first, last in absent[: recover.ABSENT_RUNS_MAX]]
    return ", ".join([*shown, "…"] if len(absent) > recover.ABSENT_RUNS_MAX else shown)


def _devices_of(leaves: Mapping[int, bytes]) -> set[str]:
    """Whose files were handed in, as far as the leaves say."""
    found: set[str] = set()
    for data in leaves.values():
        with suppress(Refusal):
            value = cbor.decode(data, LEAF_BYTES_MAX)
            if isinstance(value, list):
                found.add(str(cast(list[object], value)[0]) if value else "")
    return found


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

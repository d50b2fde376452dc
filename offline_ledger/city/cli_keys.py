"""`kgo-city keys`, `rotate`, `trust`: which key signs, a new key for a role, the next trust list. DESIGN §4."""

from argparse import Namespace
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

from offline_ledger.city import bulletins, keys, leaked_ca, recover, rotation, tables, trust, trust_copies
from offline_ledger.city.console import OK, Console
from offline_ledger.city.log import Log
from offline_ledger.city.rotation import KeyBook, Laggard, NamedKey
from offline_ledger.city.store import Store
from offline_ledger.city.trust import Changes, KeptList
from offline_ledger.errors import (
    AlreadyOtherwise,
    KeyWaits,
    NotProvisioned,
    TrustListOvertaken,
    UnknownDevice,
    UsageWrong,
)
from offline_ledger.key_files import KeySigner
from offline_ledger.protocol import cose
from offline_ledger.protocol.city import KeyRole

ROLES = {
    "issuer": KeyRole.ALLOWANCE_ISSUER,
    "device-ca": KeyRole.DEVICE_CA,
    "bulletin": KeyRole.BULLETIN,
    "ack": KeyRole.ACK,
    "log": KeyRole.LOG,
}
LAGGARDS_SHOWN = 5


def show_keys(console: Console, said: Namespace) -> int:
    """Every key by role, what it does, and which devices a new one waits for."""
    now_s = console.now_s()
    with console.store() as store:
        console.take_lists_back(store)
        console.warn_of_endings(store)
        book = KeyBook(store)
        lines = [
            _line(console, store, book, name, key, now_s) for name, role in ROLES.items() for key in book.of_role(role)
        ]
    if said.json:
        console.json(lines)
        return OK
    headings = [f"keys.{key}" for key in ("role", "key_id", "state", "since", "until", "file", "waits_for")]
    console.table(headings, [_row(console, line) for line in lines])
    return OK


def _line(console: Console, store: Store, book: KeyBook, name: str, key: NamedKey, now_s: int) -> dict[str, object]:
    current = book.in_force(key.role)
    files = keys.open_role_keys(console.city.keys, key.role)
    is_waiting = key in book.after(current) and key.is_good(now_s)
    waits_for: list[Laggard] = rotation.laggards(store, key.first_version, now_s) if is_waiting else []
    if key == current:
        state = "signs"
    elif key.trusted.is_revoked:
        state = "compromised"
    else:
        state = "waits" if is_waiting else "replaced"
    return {
        "role": name,
        "key_id": cose.key_id_of(key.point).hex(),
        "state": state,
        "since_version": key.first_version,
        "until_s": key.trusted.not_after_s,
        "file": files[key.point][0].name if key.point in files else None,
        "waits_for": [{"device": one.device, "version": one.version, "seen_s": one.last_seen_s} for one in waits_for],
    }


def _row(console: Console, line: dict[str, object]) -> tuple[str | int, ...]:
    lagging = cast(list[dict[str, object]], line["waits_for"])
    names = ", ".join(str(one["device"]) for one in lagging[:LAGGARDS_SHOWN])
    more = f" +{len(lagging) - LAGGARDS_SHOWN}" if len(lagging) > LAGGARDS_SHOWN else ""
    until_s = cast(int, line["until_s"])
    return (
        console.word("keys.role_of", str(line["role"])),
        str(line["key_id"]),
        console.word("keys.is", str(line["state"])),
        cast(int, line["since_version"]),
        tables.time_text(until_s, console.language) if until_s else "-",
        str(line["file"] or "-"),
        names + more or "-",
    )


def rotate(console: Console, said: Namespace) -> int:
    """A new key for one role, named by the next trust list. A compromised one is left at once."""
    role, now_s = ROLES[said.role], console.now_s()
    roots = _opened(cast(list[Path], said.root))
    with console.store() as store:
        recover.check_may_sign(store, console.city.checkpoint)
        console.take_lists_back(store)
        book = KeyBook(store)
        waiting = book.waiting(role, now_s)
        if waiting is not None and not said.compromised:
            raise KeyWaits(f"{said.role} {cose.key_id_of(waiting.point).hex()}")
        rotation.check_readable(store, now_s)
        check_roots(store, roots, now_s)
        path, signer = _unnamed_key(console.city.keys, book, role)
        if said.compromised:
            version = _leave_at_once(console, store, book, role, signer, roots, now_s).trust_list.version
            lagging: list[Laggard] = []
        else:
            changes = Changes(added=((role, signer.point),), closed=book.replaced())
            version = add_next_list(console, store, changes, roots, now_s).trust_list.version
            lagging = rotation.laggards(store, version, now_s)
    console.say(console.text("trust.done", version=version))
    console.say(console.text("rotate.file", role=said.role, file=path))
    if said.compromised:
        console.say(console.text("rotate.closed" if role is KeyRole.DEVICE_CA else "rotate.at_once", role=said.role))
    else:
        console.say(console.text("rotate.waits", count=len(lagging)))
    return OK


def check_roots(store: Store, roots: list[KeySigner], now_s: int) -> None:
    """These roots may sign a next list: known before a key is made for it. Raises NotProvisioned, TrustChainBroken."""
    held = trust.newest(store)
    if held is None:
        raise NotProvisioned("no trust list")
    trust.verify_list(trust.sign_list(trust.next_list(held, Changes(), now_s), roots), held, store.city)


def _leave_at_once(
    console: Console, store: Store, book: KeyBook, role: KeyRole, signer: KeySigner, roots: list[KeySigner], now_s: int
) -> KeptList:
    """All in one: no moment in which the old key still counts, or nothing valid is published."""
    old = frozenset(key.point for key in book.of_role(role) if not key.trusted.is_revoked)
    closed, compromised = (old, frozenset[bytes]()) if role is KeyRole.DEVICE_CA else (frozenset[bytes](), old)
    changes = Changes(added=((role, signer.point),), closed=book.replaced() | closed, compromised=compromised)
    with store.transaction():
        kept = add_next_list(console, store, changes, roots, now_s)
        rotation.put_in_force(store, role, signer.point)
        if role is KeyRole.DEVICE_CA:
            leaked_ca.note_leaked(store, old)
        if role is KeyRole.BULLETIN:
            bulletins.sign_again(store, signer, now_s)
    return kept


def change_trust(console: Console, said: Namespace) -> int:
    """The next trust list: renewed, with revocations, or with another set of roots."""
    old, new = _opened(cast(list[Path], said.root)), _opened(cast(list[Path], said.new_root))
    revoked = tuple(_revocation(console, text) for text in cast(list[str], said.revoke))
    roots = tuple(signer.point for signer in new) or None
    with console.store() as store:
        console.take_lists_back(store)
        came_before = [_check_revocation(store, *one) for one in revoked]
        rotation.check_readable(store, console.now_s())
        signers = {signer.point: signer for signer in (*old, *new)}
        changes = Changes(roots, said.threshold, revoked, closed=KeyBook(store).replaced())
        kept = add_next_list(console, store, changes, list(signers.values()), console.now_s())
    console.say(console.text("trust.done", version=kept.trust_list.version))
    for (device_id, sequence), last in zip(revoked, came_before, strict=True):
        values = {"device": device_id, "first": sequence + 1, "last": last}
        key = "trust.came_before" if last > sequence + 1 else "trust.one_came_before"
        console.say(console.text(key if last > sequence else "trust.revoked", **values))
    return OK


def _check_revocation(store: Store, device_id: str, sequence: int) -> int:
    """How far the device's vouchers have come already. Raises UnknownDevice; AlreadyOtherwise: revoked earlier."""
    row = store.one("SELECT through_sequence, revoked_after FROM devices WHERE device = ?", (device_id,))
    if row is None:
        raise UnknownDevice(device_id)
    if row[1] is not None and sequence > row[1]:
        raise AlreadyOtherwise(f"{device_id} is revoked after {row[1]} for good")
    return row[0]


def add_next_list(console: Console, store: Store, changes: Changes, roots: Sequence[KeySigner], now_s: int) -> KeptList:
    """Every next list goes this way: it says too whether the log was begun anew, revokes leaked device CA keys that
    nobody needs any more, and is copied out before it counts. Raises NotProvisioned, TrustChainBroken,
    TrustListOvertaken."""
    held = trust.newest(store)
    if held is None:
        raise NotProvisioned("no trust list")
    lost = Log(store).begun_after()
    unused = leaked_ca.to_be_revoked(store, KeyBook(store), now_s)
    named = replace(
        changes,
        compromised=changes.compromised | unused,
        log_begun_after=(lost.size, lost.root) if lost is not None else None,
    )
    raw = trust.sign_list(trust.next_list(held, named, now_s), roots)
    with store.transaction():
        if trust.newest(store) != held:
            raise TrustListOvertaken(f"version {held.trust_list.version + 1}")
        kept = trust.add_list(store, raw)
        copies = trust_copies.folder_beside(console.city.checkpoint)
        trust_copies.write_copy(copies, kept.trust_list.version, raw)
    return kept


def _unnamed_key(folder: Path, book: KeyBook, role: KeyRole) -> tuple[Path, KeySigner]:
    """A key that was made when an earlier try ended before its list; else a new one."""
    named = {key.point for key in book.of_role(role)}
    for point, (path, signer) in keys.open_role_keys(folder, role).items():
        if point not in named:
            return path, signer
    return keys.make_next_key_file(folder, role, len(named) + 1)  # a lost file's name stays free for its copy


def _opened(paths: list[Path]) -> list[KeySigner]:
    return [keys.open_key_file(path) for path in paths]


def _revocation(console: Console, text: str) -> tuple[str, int]:
    device_id, _, sequence = text.partition("=")
    if not device_id or not (sequence.isascii() and sequence.isdigit()) or len(sequence) > 14:
        raise UsageWrong((console.texts.get("usage.revoke", text=text[:60]),))
    return device_id, int(sequence)

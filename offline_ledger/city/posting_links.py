"""Every posting is linked to the one before it: whoever changes one, or takes one out, breaks the chain. DESIGN §8.

A link is SHA-256 over the link before and CBOR [posting, reason, device, sequence, posted at, note, entries], an entry
being [account kind, name, currency, amount]. The newest link is kept beside the checkpoint, outside the database.
Links bind what only the operator's word stands for, as gifts; they prove nothing against who has both files.
"""

from collections.abc import Iterable
from hashlib import sha256
from typing import NamedTuple

from offline_ledger.city.store import Store
from offline_ledger.protocol import cbor
from offline_ledger.protocol.kinds import ZERO_HASH

LINKED_FROM = "postings.linked_from"
"""Setting of a ledger that is older than links: its first posting that has one."""

REGISTERING = "registering"
"""Begins the note of the posting that opens an account."""
HASH_HEX = 32
"""Of SHA-256, in notes."""
REQUEST = "request "
"""Begins the note of what was given back by a refund request."""


class Mark(NamedTuple):
    """A posting and its link: whoever keeps it can tell later whether anything up to there was changed."""

    posting_id: int
    link: bytes


class Linked(NamedTuple):
    """What a link says of one posting."""

    posting_id: int
    reason: int
    device: str | None
    sequence: int | None
    posted_at_s: int
    note: str


def note_of_key(account_point: bytes) -> str:
    """The note of the posting that opens this key's account: as postings are linked, another key is found."""
    return f"{REGISTERING} {sha256(account_point).hexdigest()[:HASH_HEX]}"


def note_of_received(raw: bytes) -> str:
    """Of a voucher's bytes as they came, its signature too, which no chain of the device binds: in the note of what is
    posted for it, so that whoever damages the signature later is not believed to be the device."""
    return sha256(raw).hexdigest()[:HASH_HEX]


def note_of_refund(sequence: int, raw: bytes) -> str:
    """The same of what a later voucher gave back: the posting stands at the original."""
    return f"by {sequence} {note_of_received(raw)}"


def refund_of(note: str) -> tuple[int, str]:
    """(sequence, what came) of such a note; (0, "") of another."""
    words = note.split()
    is_whole = len(words) == 3 and words[0] == "by" and words[1].isdecimal()
    return (int(words[1]), words[2]) if is_whole else (0, "")


def note_of_request(identity: bytes, why: str = "") -> str:
    """Of what the operator gave back because another till had asked for it: which signed request, and why."""
    return f"{REQUEST}{identity.hex()[:HASH_HEX]} {why}".rstrip()


def is_as_received(note: str, raw: bytes) -> bool:
    """Are these the bytes that this posting was made for? Postings of earlier versions do not say."""
    return not note or note == note_of_received(raw)


def link_of(before: bytes, posting: Linked, entries: Iterable[tuple[int, str, int, int]]) -> bytes:
    """`entries`: (account kind, name, currency, amount), in any order."""
    moved = sorted([int(kind), name, int(currency), amount] for kind, name, currency, amount in entries)
    said = [posting.posting_id, int(posting.reason), posting.device, posting.sequence, posting.posted_at_s]
    return sha256(before + cbor.encode([*said, posting.note, moved])).digest()


def link_before(store: Store, posting_id: int) -> bytes:
    """The link that this posting follows; zeros before the first."""
    row = store.one(
        "SELECT link FROM posting_links WHERE posting_id < ? ORDER BY posting_id DESC LIMIT 1", (posting_id,)
    )
    return ZERO_HASH if row is None else row[0]


def newest_mark(store: Store) -> Mark | None:
    """Of the last posting that is linked."""
    row = store.one("SELECT posting_id, link FROM posting_links ORDER BY posting_id DESC LIMIT 1")
    return None if row is None else Mark(*row)


def linked_from(store: Store) -> int:
    """The first posting that must have a link."""
    value = store.setting(LINKED_FROM)
    return 1 if value is None else int(value)

"""The city's log as far as this terminal knows it: acks kept, and the leaves that they prove. DESIGN §7 "restored".

A city restored from an older backup lacks the leaves of its last hours. Each terminal can give back its own: the ack
names their places, the journal has the vouchers. Bounded: the newest acks stay. Never sends anything by itself.
"""

from offline_ledger.protocol import cbor, cose
from offline_ledger.protocol.city import ACK, Ack
from offline_ledger.protocol.kinds import CITY_OBJECT_BYTES_MAX, Kind
from offline_ledger.terminal.ports import MetaPort, SyncJournal

ACKS_KEPT_MAX = 4_096
"""Ten days of a bus that is online all day and sends a voucher at a time; months of one that syncs in the evening."""


def keep_ack(meta: MetaPort, number: int, raw: bytes) -> None:
    """Keep a verified ack that names vouchers, in the place of the oldest. Raises StorageFull, StorageFailed."""
    meta.meta_put(_key(number), raw)


def own_leaf_data(device: str, sequence: int, identity: bytes, outcome: int, refusal: int) -> bytes:
    """What the log's leaf of a voucher holds."""
    return cbor.encode([device, sequence, identity, outcome, refusal])


def places_held(journal: MetaPort, city: str, first_number: int, end_number: int) -> dict[int, tuple[int, int, int]]:
    """(outcome, refusal, leaf index + 1) by sequence, from the kept acks `first_number` … `end_number` − 1."""
    found: dict[int, tuple[int, int, int]] = {}
    aad = cose.external_aad(Kind.ACK, city)
    for number in range(max(first_number, end_number - ACKS_KEPT_MAX), end_number):
        raw = journal.meta_get(_key(number))
        if raw is not None:
            ack = ACK.decode(cose.parse_sign1(raw, aad, CITY_OBJECT_BYTES_MAX).payload, CITY_OBJECT_BYTES_MAX)
            found.update((ack.first_sequence + at, place) for at, place in enumerate(ack.outcomes) if place[2])
    return found


def leaves_held(journal: SyncJournal, sender_device: str, places: dict[int, tuple[int, int, int]]) -> dict[int, bytes]:
    """Leaf data by index in the log, from `places_held` and our own vouchers."""
    found: dict[int, bytes] = {}
    for sequence, (outcome, refusal, leaf_after) in places.items():
        row = journal.voucher_at(sequence)
        if row is not None:
            found[leaf_after - 1] = own_leaf_data(sender_device, sequence, row.identity, outcome, refusal)
    return found


def is_moved(ack: Ack, places: dict[int, tuple[int, int, int]]) -> bool:
    """Whether the log has a voucher elsewhere, or otherwise, than an earlier ack proved: it is not the same log."""
    first = ack.first_sequence
    return any(places.get(first + at, place) != place for at, place in enumerate(ack.outcomes))


def leaves_text(leaves: dict[int, bytes]) -> str:
    """The file that `kgo-city recover --leaves` takes from a terminal: lines of INDEX HEX."""
    return "".join(f"{index} {leaves[index].hex()}\n" for index in sorted(leaves))


def _key(number: int) -> str:
    return f"sync.ack.{number % ACKS_KEPT_MAX}"

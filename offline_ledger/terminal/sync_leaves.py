"""The city's log as far as this terminal knows it: acks kept, and the leaves that they prove. DESIGN §7 "restored".

A city restored from an older backup lacks the leaves of its last hours. Each terminal can give back its own: the ack
names their places, the journal has the vouchers. Bounded: the newest acks stay. Never sends anything by itself.
"""

from offline_ledger.protocol import cbor, cose
from offline_ledger.protocol.city import ACK
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


def leaves_held(journal: SyncJournal, city: str, first_number: int, end_number: int) -> dict[int, bytes]:
    """Leaf data by index in the log, from the kept acks `first_number` … `end_number` − 1 and our own vouchers."""
    found: dict[int, bytes] = {}
    aad = cose.external_aad(Kind.ACK, city)
    for number in range(max(first_number, end_number - ACKS_KEPT_MAX), end_number):
        raw = journal.meta_get(_key(number))
        if raw is None:
            continue
        ack = ACK.decode(cose.parse_sign1(raw, aad, CITY_OBJECT_BYTES_MAX).payload, CITY_OBJECT_BYTES_MAX)
        for at, (outcome, refusal, leaf_after) in enumerate(ack.outcomes):
            row = journal.voucher_at(ack.first_sequence + at) if leaf_after else None
            if row is not None:
                data = own_leaf_data(ack.device, row.sequence, row.identity, outcome, refusal)
                found[leaf_after - 1] = data
    return found


def encode_leaves(leaves: dict[int, bytes]) -> bytes:
    """The file that `kgo-city recover` takes from a terminal: CBOR list of [index, leaf data]."""
    return cbor.encode([[index, leaves[index]] for index in sorted(leaves)])


def _key(number: int) -> str:
    return f"sync.ack.{number % ACKS_KEPT_MAX}"

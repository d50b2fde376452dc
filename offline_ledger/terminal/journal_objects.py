"""What a voucher accepted, as the journal's one column holds it: nothing, one object, or a payment with its request.

A single object is kept as it came: a COSE_Sign1 begins with tag 18. Two are kept as a CBOR list of them. DESIGN §4.
"""

from offline_ledger.errors import JournalDamaged
from offline_ledger.protocol import cbor
from offline_ledger.protocol.kinds import OBJECT_BYTES_MAX

_LIST_OF_TWO = 0x82


def join_objects(*objects: bytes) -> bytes:
    """One or two objects as one value."""
    assert 1 <= len(objects) <= 2 and objects[0][:1] != bytes((_LIST_OF_TWO,))
    return objects[0] if len(objects) == 1 else cbor.encode(list(objects))


def split_objects(kept: bytes | None) -> tuple[bytes, ...]:
    """What was joined, in order; the first is what the voucher names by hash. Raises JournalDamaged."""
    if kept is None:
        return ()
    if kept[:1] != bytes((_LIST_OF_TWO,)):
        return (kept,)
    found = cbor.decode(kept, 2 * OBJECT_BYTES_MAX + 16)
    match found:
        case [bytes(payment), bytes(request)]:
            return (payment, request)
        case _:
            raise JournalDamaged("what a voucher accepted is no object and no pair of them")

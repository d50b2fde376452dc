"""The whole deny list as sent: sorted 48-bit ids as differences in LEB128. Pure. DESIGN §10.

An id is the first 6 bytes of a pass id, as a big-endian number. The first number is the first id plus one, each
further one the step from the id before it: never zero, so that every list has one encoding. A million ids take about
4.4 MB. Lists are read as a stream; how many ids to take is the reader's to say.
"""

from collections.abc import Iterable, Iterator

from offline_ledger.errors import DenyListDamaged, DenyListTooLarge

ID_BYTES = 6
ID_MAX = (1 << 48) - 1
DENIED_IDS_MAX = 2_000_000
_STEP_BYTES_MAX = 7


def id_of(pass_id: bytes) -> int:
    """The denied id of a pass."""
    return int.from_bytes(pass_id[:ID_BYTES], "big")


def encode_ids(ids: Iterable[int]) -> bytes:
    """`ids` rise strictly; DenyListDamaged otherwise, so that nothing unreadable is signed."""
    out = bytearray()
    last = -1
    for value in ids:
        step = value - last
        if step <= 0 or value > ID_MAX:
            raise DenyListDamaged(f"id {value} after {last}")
        last = value
        while step > 0x7F:
            out.append(0x80 | step & 0x7F)
            step >>= 7
        out.append(step)
    return bytes(out)


def decode_ids(data: bytes, ids_max: int = DENIED_IDS_MAX) -> Iterator[int]:
    """The ids in order. Raises DenyListDamaged (cut short, a step of zero, a longer spelling, above 48 bits),
    DenyListTooLarge."""
    value, step, shift, count = -1, 0, 0, 0
    for byte in data:
        step |= (byte & 0x7F) << shift
        shift += 7
        if byte & 0x80:
            if shift >= 7 * _STEP_BYTES_MAX:
                raise DenyListDamaged("step too long")
            continue
        value += step
        count += 1
        if byte == 0 or value > ID_MAX:
            raise DenyListDamaged(f"step after {count} ids")
        if count > ids_max:
            raise DenyListTooLarge(f"over {ids_max} ids")
        yield value
        step, shift = 0, 0
    if shift:
        raise DenyListDamaged("ends early")


def packed(ids: Iterable[int]) -> bytes:
    """Ids as 6 bytes each, for the changes in a bulletin."""
    return b"".join(value.to_bytes(ID_BYTES, "big") for value in ids)

"""The deny list as sent: sorted 48-bit ids as gaps. Pure. DESIGN §2, §10.

A denied pass is named by the first 6 bytes of its pass id. The sum that a bulletin signs is SHA-256 over all ids in
order, 6 bytes each, so a terminal can check a list that it changed itself. A million ids take about 4.4 MB: a Bloom
filter would be smaller, but nothing can be removed from it. Never accepts two spellings of one list.
"""

from collections.abc import Iterable, Iterator
from hashlib import sha256

from offline_ledger.errors import DenyListDamaged, DenyListTooLarge

DENIED_ID_BYTES = 6
IDS_MAX = 2_000_000
"""Most ids a terminal keeps: 12 MB on its disk."""
GAP_BYTES_MAX = 7  # 48 bits in groups of 7
LIST_BYTES_MAX = 10_000_000
_ID_END = 1 << (8 * DENIED_ID_BYTES)


def denied_id(pass_id: bytes) -> bytes:
    """What names a pass on the list."""
    return pass_id[:DENIED_ID_BYTES]


def encode_ids(ids: Iterable[bytes]) -> bytes:
    """The ids, in any order and without repeats, as gaps: each id minus the one before it, 7 bits a byte, low first."""
    out = bytearray()
    before = -1
    for number in sorted(int.from_bytes(denied, "big") for denied in ids):
        gap = number - before - 1
        if gap < 0:
            raise ValueError("an id twice")
        before = number
        while gap > 0x7F:
            out.append(gap & 0x7F | 0x80)
            gap >>= 7
        out.append(gap)
    return bytes(out)


def decode_ids(data: bytes, ids_count: int | None = None) -> Iterator[bytes]:
    """The ids in rising order, 6 bytes each. Raises DenyListDamaged, DenyListTooLarge.

    `ids_count` is how many there must be; memory does not grow with what the bytes claim.
    """
    if len(data) > LIST_BYTES_MAX or (ids_count or 0) > IDS_MAX:
        raise DenyListTooLarge(f"{len(data)} bytes, {ids_count} ids")
    number, count, gap, shift = -1, 0, 0, 0
    for byte in data:
        gap |= (byte & 0x7F) << shift
        if byte & 0x80:
            shift += 7
            if shift >= 7 * GAP_BYTES_MAX:
                raise DenyListDamaged("a gap of more than 48 bits")
            continue
        if not byte and shift:
            raise DenyListDamaged("a gap in a longer spelling")
        number += gap + 1
        count += 1
        if number >= _ID_END:
            raise DenyListDamaged("an id of more than 48 bits")
        if count > IDS_MAX:
            raise DenyListTooLarge(f"more than {IDS_MAX} ids")
        yield number.to_bytes(DENIED_ID_BYTES, "big")
        gap = shift = 0
    if shift:
        raise DenyListDamaged("ends inside a gap")
    if ids_count is not None and count != ids_count:
        raise DenyListDamaged(f"{count} ids, not {ids_count}")


def list_sum(ids: Iterable[bytes]) -> bytes:
    """SHA-256 over the ids in order: what a deny-list bulletin signs as `list_sha256`."""
    return sha256(b"".join(sorted(ids))).digest()

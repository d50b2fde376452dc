"""The deny list as numbers, as the city keeps it; the bytes are those of `protocol.deny_list`. Pure. DESIGN §10.

An id is the first 6 bytes of a pass id, as a big-endian number.
"""

from collections.abc import Iterable, Iterator

from offline_ledger.errors import DenyListDamaged
from offline_ledger.protocol import deny_list

ID_BYTES = deny_list.DENIED_ID_BYTES
ID_MAX = (1 << 48) - 1
DENIED_IDS_MAX = deny_list.IDS_MAX


def id_of(pass_id: bytes) -> int:
    """The denied id of a pass."""
    return int.from_bytes(pass_id[:ID_BYTES], "big")


def encode_ids(ids: Iterable[int]) -> bytes:
    """The whole list, or the changes, as sent. DenyListDamaged for an id twice or above 48 bits, so that nothing
    unreadable is signed."""
    try:
        return deny_list.encode_ids(_as_bytes(ids))
    except ValueError as error:
        raise DenyListDamaged(str(error)) from error


def decode_ids(data: bytes) -> Iterator[int]:
    """The ids in order. Raises DenyListDamaged, DenyListTooLarge."""
    return (int.from_bytes(denied, "big") for denied in deny_list.decode_ids(data))


def packed(ids: Iterable[int]) -> bytes:
    """`adds` or `removes` of a bulletin: the same encoding as the whole list."""
    return encode_ids(ids)


def sum_of(ids: Iterable[int]) -> bytes:
    """`list_sha256` of a bulletin: SHA-256 over all ids in order, 6 bytes each (not over the bytes sent)."""
    return deny_list.list_sum(_as_bytes(ids))


def _as_bytes(ids: Iterable[int]) -> Iterator[bytes]:
    for value in ids:
        if not 0 <= value <= ID_MAX:
            raise DenyListDamaged(f"id {value}")
        yield value.to_bytes(ID_BYTES, "big")

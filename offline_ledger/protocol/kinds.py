"""The signed object kinds and their versions: what `external_aad` binds, so no object passes for another. DESIGN §4."""

from enum import IntEnum


class Kind(IntEnum):
    """Object type number in `external_aad`; numbers are never reused."""

    TRUST_LIST = 1
    DEVICE_CERTIFICATE = 2
    ALLOWANCE = 3
    PRESENTMENT = 4
    PAYMENT_REQUEST = 5
    PAYMENT = 6
    COUPON = 7
    VOUCHER = 8
    BATCH_HEAD = 9
    ACK = 10
    CLOSING = 11
    STATEMENT = 12
    BULLETIN = 13
    TIME_ANSWER = 14
    ENROLMENT = 15
    REFUND_REQUEST = 16
    WALLET_REQUEST = 17
    LOG_CHECKPOINT = 18
    CARD_CHALLENGE = 19
    SELF_TEST = 20


VERSION = 1
"""Every kind is at version 1; a device reports the versions it can read."""
HASH_BYTES = 32
KEY_ID_BYTES = 8
POINT_BYTES = 33
"""A compressed P-256 point."""
SIGNATURE_BYTES = 64
PASS_ID_BYTES = 8
ZERO_HASH = bytes(HASH_BYTES)
"""What the first voucher and the first event name as their previous."""
OBJECT_BYTES_MAX = 1_024
"""Cap for every object that arrives by QR, card or cable."""
CITY_OBJECT_BYTES_MAX = 262_144
"""Cap for trust lists, bulletins, acks and statements, which arrive over TLS."""

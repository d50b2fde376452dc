"""The enrolment token as a person types it: Base32 with two check characters, so that a slip is told at once. Pure.

The check finds every single wrong, missing or doubled character, and all but one in a thousand of other slips. It
proves nothing: whether the city made the token, only the city knows. DESIGN §4, §8.
"""

from base64 import b32encode

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
SECRET_BYTES = 15
BODY_CHARACTERS = 24
CHECK_CHARACTERS = 2
TOKEN_CHARACTERS = BODY_CHARACTERS + CHECK_CHARACTERS
_PRIME = 1_021
"""The largest below 32²: a difference of one character, times a power of `_WEIGHT`, is never a multiple of it."""
_WEIGHT = 33


def token_of(secret: bytes) -> str:
    """The token of `SECRET_BYTES` random bytes."""
    assert len(secret) == SECRET_BYTES
    body = b32encode(secret).decode("ascii")
    return body + _check(body)


def is_token(text: str) -> bool:
    """Could the city have made this? False: it is mistyped."""
    if len(text) != TOKEN_CHARACTERS or not set(text) <= set(ALPHABET):
        return False
    return _check(text[:BODY_CHARACTERS]) == text[BODY_CHARACTERS:]


def _check(body: str) -> str:
    total = 0
    for character in body:
        total = (total * _WEIGHT + ALPHABET.index(character) + 1) % _PRIME
    return ALPHABET[total >> 5] + ALPHABET[total & 31]

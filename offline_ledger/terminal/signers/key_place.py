"""Where the settings say that this device's key lives, and the signer of it: a key file, or a token. DESIGN §3, §4.

The one place that chooses between them. What a token needs is loaded only for a token.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from offline_ledger.terminal.ports import OwnSigner
from offline_ledger.terminal.signers.key_file import make_key_file, open_key_file


class TokenPlace(NamedTuple):
    """A key in a PKCS #11 token. `pin_file`: the user's PIN, readable by this program's user only."""

    module: Path
    token: str
    label: str
    pin_file: Path


def is_key_there(file: Path, token: TokenPlace | None) -> bool:
    """Is there a key file (a broken link counts: nothing is made over it)? Of a token it is not known unasked."""
    return token is not None or os.path.lexists(file)


def open_own_key(file: Path, token: TokenPlace | None) -> OwnSigner:
    """The key that is there. Raises KeyFileUnsafe; for a token what `open_token` raises."""
    if token is None:
        return open_key_file(file)
    from offline_ledger.terminal.signers.pkcs11_key import open_token

    return open_token(token)


def own_or_new_key(
    file: Path, token: TokenPlace | None, making: Callable[[], None], *, was_enrolled: bool
) -> OwnSigner:
    """The key that is there, or a new one: durable before this returns, so the same command finds it again. `making` is
    called before one is made. `was_enrolled`: a key was certified for this device, so none is made in its place.
    Raises as `open_own_key`, and what `making` raises."""
    if token is not None:
        from offline_ledger.terminal.signers.pkcs11_key import open_token

        return open_token(token, None if was_enrolled else making)
    if is_key_there(file, token):
        return open_key_file(file)
    making()
    return make_key_file(file)

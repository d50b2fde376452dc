"""Release keys: P-256, each in a file of its own, with its public half beside it. DESIGN §4.

`NAME.pem` is the key (mode 0600; with a passphrase unless it is a test's or a machine's), `NAME.pub` what others may
have of it. A key is only read when it is to sign. Never overwrites a key, never signs with one that others can read.
"""

import os
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from securesystemslib.exceptions import KeyMismatchError
from securesystemslib.signer import CryptoSigner, SSlibKey  # pyright: ignore[reportPrivateImportUsage]

from offline_ledger.errors import (
    KeyFileUnsafe,
    ReleaseFileFailed,
    ReleaseKeyPublic,
    ReleaseKeysMissing,
    ReleaseKeyThere,
    ReleaseKeyUnsafe,
    ReleaseKeyWrong,
    StorageFailed,
)
from offline_ledger.files import PRIVATE_MODE, read_bounded, write_atomically
from offline_ledger.key_files import KEY_FILE_BYTES_MAX, read_private

SECRET, PUBLIC = ".pem", ".pub"
TEST_PREFIX = "TEST-ONLY-"
"""What the name of every key begins with that was made for tests, without a passphrase."""
AskPassphrase = Callable[[Path], str]
"""The passphrase of this key's file."""


def no_passphrase(_file: Path) -> str:
    """For keys that have none."""
    return ""


def key_file(named: Path, *, is_test: bool = False) -> Path:
    """The file of the key that is called so. Raises ReleaseFileFailed: that is no name of a file."""
    name = named.name.removesuffix(SECRET).removesuffix(PUBLIC)
    if name in ("", ".."):
        raise ReleaseFileFailed(f"{named}: not the name of a file")
    prefix = TEST_PREFIX if is_test else ""
    return named.with_name(f"{prefix}{name.removeprefix(prefix)}{SECRET}")


def refuse_if_there(file: Path) -> None:
    """Raises ReleaseKeyThere if either half lies there: of a key that is kept elsewhere it is the public one alone."""
    for half in (file, file.with_suffix(PUBLIC)):
        if os.path.lexists(half):
            raise ReleaseKeyThere(str(half))


def make_key(file: Path, passphrase: str) -> SSlibKey:
    """A new key in `file`, its public half beside it. Raises ReleaseKeyThere, ReleaseKeyUnsafe: the disk keeps no
    permissions, and no key is left there; StorageFull, StorageFailed."""
    refuse_if_there(file)
    key = ec.generate_private_key(ec.SECP256R1())
    hidden = serialization.BestAvailableEncryption(passphrase.encode()) if passphrase else serialization.NoEncryption()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, hidden)
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )  # fmt: skip
    try:
        write_atomically(file, pem, PRIVATE_MODE, may_replace=False)
        try:
            _read_secret(file)
            write_atomically(file.with_suffix(PUBLIC), public, may_replace=False)
        except (ReleaseKeyUnsafe, FileExistsError):
            file.unlink(missing_ok=True)
            raise
    except FileExistsError as error:  # made meanwhile
        raise ReleaseKeyThere(str(file)) from error
    return SSlibKey.from_crypto(key.public_key())


def load_public(file: Path) -> SSlibKey:
    """The public half. Raises ReleaseKeyWrong, ReleaseFileFailed, StorageFailed."""
    pem = read_bounded(file, KEY_FILE_BYTES_MAX)
    if pem is None:
        raise ReleaseFileFailed(f"{file}: not there")
    try:
        key = serialization.load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ReleaseKeyWrong(f"{file}: not a public key") from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ReleaseKeyWrong(f"{file}: not a P-256 key")
    return SSlibKey.from_crypto(key)


def public_names(folders: Sequence[Path]) -> dict[str, str]:
    """Names by id of the public halves that lie there; what is no key of ours is passed over, and so is a folder that
    is not there: a lost key is known by what others kept of it."""
    names: dict[str, str] = {}
    for file in (file for folder in folders for file in sorted(folder.glob(f"*{PUBLIC}"))):
        with suppress(ReleaseKeyWrong, StorageFailed):
            names.setdefault(load_public(file).keyid, file.stem)
    return names


def load_signer(file: Path, ask: AskPassphrase) -> CryptoSigner:
    """What signs with the key in `file`. Raises ReleaseKeyPublic, ReleaseKeyUnsafe, ReleaseFileFailed, ReleaseKeyWrong:
    a wrong passphrase, or not the one whose public half stands beside it."""
    if file.suffix == PUBLIC:
        raise ReleaseKeyPublic(str(file))
    pem = _read_secret(file)
    public = load_public(file.with_suffix(PUBLIC))
    try:
        password = ask(file).encode() if b"ENCRYPTED" in pem else None
        key = serialization.load_pem_private_key(pem, password)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise ReleaseKeyWrong(f"{file}: not a P-256 key")
        return CryptoSigner(key, public)
    except KeyMismatchError as error:
        raise ReleaseKeyWrong(f"{file}: not the key whose public half stands beside it") from error
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ReleaseKeyWrong(f"{file}: no key, or a wrong passphrase") from error


def _read_secret(file: Path) -> bytes:
    if not os.path.lexists(file):
        raise ReleaseFileFailed(f"{file}: not there")
    try:
        return read_private(file)
    except KeyFileUnsafe as unsafe:
        raise ReleaseKeyUnsafe(unsafe.detail) from unsafe


class KeyFolders:
    """The keys that are here now."""

    def __init__(self, folders: Sequence[Path], ask: AskPassphrase) -> None:
        self._folders = folders
        self._ask = ask
        self._known: dict[str, CryptoSigner] = {}

    def signers(self, wanted: Collection[str]) -> list[CryptoSigner]:
        """Those of these keys that are here. Raises ReleaseKeyUnsafe, ReleaseKeyWrong, ReleaseKeysMissing."""
        for keyid, file in self._found():
            if keyid in wanted and keyid not in self._known:
                self._known[keyid] = load_signer(file, self._ask)
        return [signer for keyid, signer in self._known.items() if keyid in wanted]

    def has(self, wanted: Collection[str]) -> int:
        """How many of these keys are here."""
        return len({keyid for keyid, _ in self._found()} & set(wanted))

    def _found(self) -> Iterator[tuple[str, Path]]:
        seen: set[str] = set()
        for folder in self._folders:
            if not folder.is_dir():
                raise ReleaseKeysMissing(f"{folder}: no such folder")
            for public in sorted(folder.glob(f"*{PUBLIC}")):
                secret = public.with_suffix(SECRET)
                keyid = load_public(public).keyid if secret.exists() else ""  # a stray one is nobody's key
                if keyid and keyid not in seen:
                    seen.add(keyid)
                    yield keyid, secret

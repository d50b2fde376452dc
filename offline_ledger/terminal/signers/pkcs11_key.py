"""The signer of a key in a PKCS #11 token: a TPM, a secure element, a USB token. DESIGN §3, §4. Decision 0230.

The key is made in the token (sensitive, not extractable) and never leaves it. A token that goes away is looked for
again; each signature is verified before anybody gets it. A PIN that was refused is never tried again until its file is
written anew, for a token locks itself after a few. Signatures differ each time: nothing may be told by their bytes.
"""

import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple, TypeVar, cast

import pkcs11
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, encode_dss_signature
from pkcs11 import Attribute, KeyType, Mechanism, MechanismFlag, ObjectClass, PKCS11Error, TokenFlag
from pkcs11 import exceptions as p11
from pkcs11.constants import DEFAULT

from offline_ledger.errors import (
    KeyAmbiguous,
    KeyFileUnsafe,
    KeyMechanismMissing,
    KeyModuleMissing,
    KeyNotInToken,
    KeyOfAnother,
    KeyPinFileUnsafe,
    KeyPinLocked,
    KeyPinUnmarked,
    KeyPinWrong,
    KeyTokenGone,
    KeyTokenMissing,
    KeyTpmLocked,
    StorageFailed,
    StorageFull,
)
from offline_ledger.files import PRIVATE_MODE, read_bounded, write_atomically
from offline_ledger.key_files import read_private
from offline_ledger.protocol.kinds import SIGNATURE_BYTES
from offline_ledger.terminal.ports import KEY_SAYS_NO
from offline_ledger.terminal.signers.key_place import TokenPlace

T = TypeVar("T")
AGAIN_S = 1.0
"""A token that is away is looked for no more often: each look may take its module a while."""
PIN_BYTES_MAX = 255
TPM = "TPM"
"""In the description of TPMs' module; a TPM's lockout has another cause than a wrong PIN, and ends by itself."""
_MARK_BYTES_MAX = 200
_P256 = bytes.fromhex("06082a8648ce3d030107")  # DER of the curve's name
_POINT_START = b"\x04"
_COORDINATE_BYTES = 32
_DER_POINT_START = bytes((4, 2 * _COORDINATE_BYTES + 1))  # some modules wrap the point in an OCTET STRING, some do not
_PREHASHED = ec.ECDSA(Prehashed(hashes.SHA256()))
_NEEDED = (Mechanism.ECDSA, Mechanism.EC_KEY_PAIR_GEN)
_PUBLIC = {one: DEFAULT for one in (Attribute.ENCRYPT, Attribute.WRAP, Attribute.VERIFY)}
"""What else it may do is the token's own business: the module of TPMs takes no word of it."""
_PRIVATE = {
    Attribute.SENSITIVE: True,
    Attribute.EXTRACTABLE: False,
    **{one: DEFAULT for one in (Attribute.DECRYPT, Attribute.UNWRAP, Attribute.DERIVE)},
}
_LAST = TokenFlag.USER_PIN_FINAL_TRY | TokenFlag.USER_PIN_LOCKED


class _Held(NamedTuple):
    """An open session and what was found in it."""

    session: Any
    private: Any
    key: ec.EllipticCurvePublicKey
    point: bytes


class TokenSigner:
    """Signs with a key that stays in its token. Calls from several threads take turns: modules need not allow more."""

    def __init__(self, place: TokenPlace, held: _Held, now_s: Callable[[], float] = time.monotonic) -> None:
        """As `open_token` found it."""
        self._place, self._now_s = place, now_s
        self._lock = Lock()
        self._held: _Held | None = held
        self._point = held.point
        self._not_before_s = 0.0
        self._wrong: Exception | None = None

    @property
    def point(self) -> bytes:
        """The public key as a compressed point, 33 bytes; also while the token is away."""
        return self._point

    def sign(self, message: bytes) -> bytes:
        """ES256: raw r‖s, 64 bytes, verified. A session that broke is made anew once. Raises those of KEY_SAYS_NO."""
        digest = sha256(message).digest()
        with self._lock:
            return self._twice(lambda: self._signed(digest))

    def check(self) -> None:
        """Is the token there? Looks for one that is away. At once when somebody is signing: then it is. Raises those of
        KEY_SAYS_NO."""
        if not self._lock.acquire(blocking=False):
            return
        try:
            self._twice(self._looked_at)
        finally:
            self._lock.release()

    def close(self) -> None:
        """Ends the session."""
        with self._lock:
            self._drop()

    def _twice(self, act: Callable[[], T]) -> T:
        was_open = self._held is not None
        try:
            return act()
        except KeyTokenGone:
            if not was_open:
                raise
            self._not_before_s = 0.0  # it was good a moment ago: perhaps it is back already
            return act()

    def _looked_at(self) -> None:
        held = self._open()
        with _telling(self._drop):
            held.session.token.slot.get_token()
            _ = held.private[Attribute.LABEL]  # a session of a token that was away is no session

    def _signed(self, digest: bytes) -> bytes:
        held = self._open()
        with _telling(self._drop):
            signature: bytes = held.private.sign(digest, mechanism=Mechanism.ECDSA)
        if not _is_good(held.key, digest, signature):
            self._drop()
            raise KeyTokenGone("the token gave a wrong signature")
        return signature

    def _open(self) -> _Held:
        if self._held is not None:
            return self._held
        now_s = self._now_s()
        if now_s < self._not_before_s and self._wrong is not None:
            raise self._wrong
        self._not_before_s = now_s + AGAIN_S
        try:
            held = _find(self._place, is_again=True)
            if held.point != self._point:
                _close(held.session)
                raise KeyOfAnother(f"token {self._place.token}: key {self._place.label} is another one than before")
        except KeyTokenMissing as away:
            self._wrong = KeyTokenGone(away.detail)
            raise self._wrong from away
        except KEY_SAYS_NO as wrong:
            self._wrong = wrong
            raise
        self._held, self._wrong = held, None
        return held

    def _drop(self) -> None:
        held, self._held = self._held, None
        if held is not None:
            _close(held.session)


def open_token(place: TokenPlace, making: Callable[[], None] | None = None) -> TokenSigner:
    """The signer of the key in its token. `making`: called before one is made, for there is none; None: none is made.

    Raises KeyModuleMissing, KeyTokenMissing, KeyPinFileUnsafe, KeyPinWrong, KeyPinLocked, KeyTpmLocked, KeyPinUnmarked,
    KeyMechanismMissing, KeyNotInToken, KeyAmbiguous, KeyTokenGone (it went away while we looked).
    """
    return TokenSigner(place, _find(place, making))


def _find(place: TokenPlace, making: Callable[[], None] | None = None, *, is_again: bool = False) -> _Held:
    module = _module(place.module, is_again=is_again)
    token = _token(module, place)
    _check_mechanisms(token)
    try:
        with _telling():
            session = _log_in(token, place, for_writing=making is not None)
    except KeyPinLocked as locked:
        if TPM in module.library_description:
            raise KeyTpmLocked(locked.detail) from locked
        raise
    try:
        with _telling():
            return _key(session, place, making)
    except BaseException:
        _close(session)
        raise


def _module(path: Path, *, is_again: bool) -> Any:
    """`is_again`: begun anew, for some modules see a token that came back only so."""
    if not path.is_file():
        raise KeyModuleMissing(f"{path}: no such file")
    try:
        module = pkcs11.lib(str(path))
        if is_again:
            with suppress(PKCS11Error):
                module.finalize()
            module.initialize()
    except PKCS11Error as error:
        if type(error) is PKCS11Error:  # of the loader; the module itself says more
            raise KeyModuleMissing(f"{path}: {_said(error)}") from error
        raise KeyTokenMissing(f"{path}: {_said(error)}") from error
    return module


def _token(module: Any, place: TokenPlace) -> Any:
    found: list[Any] = []
    with _telling():
        slots = cast(Sequence[Any], module.get_slots(token_present=True))
    for slot in slots:
        with suppress(PKCS11Error):  # another token that is broken or just pulled is not ours to judge
            token = slot.get_token()
            if token.label.rstrip() == place.token:
                found.append(token)
    if not found:
        raise KeyTokenMissing(f"no token {place.token} at {place.module}")
    if len(found) > 1:
        raise KeyAmbiguous(f"{len(found)} tokens {place.token}")
    return found[0]


def _check_mechanisms(token: Any) -> None:
    for mechanism in _NEEDED:
        try:
            with _telling():
                token.slot.get_mechanism_info(mechanism)
        except (p11.MechanismInvalid, p11.FunctionNotSupported) as error:
            raise KeyMechanismMissing(f"token {token.label.rstrip()}: no {mechanism.name}") from error


def _log_in(token: Any, place: TokenPlace, *, for_writing: bool) -> Any:
    """One try, if none with this very file was refused, and if it is not the token's last."""
    pin = _read_pin(place.pin_file)
    mark = _PinMark(place.pin_file)
    mark.check()
    if token.flags & _LAST:
        raise KeyPinLocked(f"token {place.token}: at most one try is left")
    mark.begun()
    try:
        session = token.open(rw=for_writing, user_pin=pin)
    except (p11.PinIncorrect, p11.PinInvalid, p11.PinLenRange, p11.PinExpired) as error:
        mark.refused()
        raise KeyPinWrong(f"token {place.token}: {_said(error)}") from error
    except (p11.UserAlreadyLoggedIn, p11.AnotherUserAlreadyLoggedIn):
        return token.open(rw=for_writing)  # by an earlier session of this process
    except p11.PinLocked as error:
        raise KeyPinLocked(f"token {place.token}: locked") from error
    except p11.UserPinNotInitialized as error:
        raise KeyPinWrong(f"token {place.token}: {_said(error)}") from error
    mark.accepted()
    return session


def _read_pin(path: Path) -> str:
    try:
        pin = read_private(path).rstrip(b"\r\n").decode()
    except KeyFileUnsafe as unsafe:
        raise KeyPinFileUnsafe(unsafe.detail) from unsafe
    except UnicodeDecodeError as error:
        raise KeyPinFileUnsafe(f"{path}: no plain text") from error
    if not 1 <= len(pin) <= PIN_BYTES_MAX or not pin.isprintable():
        raise KeyPinFileUnsafe(f"{path}: no PIN in one line")
    return pin


_refused: dict[Path, bytes] = {}
"""PIN files whose PIN was refused in this process: a disk that fails between the two marks does not lock a token."""


class _PinMark:
    """Beside the PIN file: which writing of it was refused. It says nothing about the PIN itself.

    It is written before a try, as begun: where that cannot be done, there is no try. A mark that a power cut left as
    begun allows another try, for the PIN may well be right; the token's last one is never spent.
    """

    def __init__(self, pin_file: Path) -> None:
        self._pin_file = pin_file
        self._path = pin_file.with_name(pin_file.name + ".refused")
        found = pin_file.stat()
        self._now = b"%d %d %d %d\n" % (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)

    def check(self) -> None:
        """Raises KeyPinWrong: this very file was refused before."""
        try:
            kept = read_bounded(self._path, _MARK_BYTES_MAX)
        except StorageFailed:
            kept = None
        if self._now in (kept, _refused.get(self._path)):
            raise KeyPinWrong(f"{self._pin_file}: refused before, and not written since")

    def begun(self) -> None:
        """Durable before the try. Raises KeyPinUnmarked."""
        try:
            write_atomically(self._path, b"begun " + self._now, PRIVATE_MODE)
        except (StorageFull, StorageFailed) as error:
            raise KeyPinUnmarked(error.detail) from error

    def accepted(self) -> None:
        """Nothing is known against it."""
        with suppress(OSError):
            self._path.unlink(missing_ok=True)

    def refused(self) -> None:
        """Durable where the disk still can."""
        _refused[self._path] = self._now
        with suppress(StorageFull, StorageFailed):
            write_atomically(self._path, self._now, PRIVATE_MODE)


def _key(session: Any, place: TokenPlace, making: Callable[[], None] | None) -> _Held:
    privates, publics = (_objects(session, place, kind) for kind in (ObjectClass.PRIVATE_KEY, ObjectClass.PUBLIC_KEY))
    if not privates and making is not None:
        making()
        for half in publics:  # left by a power cut while the pair was made; without its other half it is no key
            half.destroy()
        _make(session, place)
        privates, publics = (
            _objects(session, place, kind) for kind in (ObjectClass.PRIVATE_KEY, ObjectClass.PUBLIC_KEY)
        )
    if not privates:
        raise KeyNotInToken(f"token {place.token}: no key {place.label}")
    if len(privates) != 1 or len(publics) != 1:
        counts = f"{len(privates)} private and {len(publics)} public"
        raise KeyAmbiguous(f"token {place.token}: {counts} keys {place.label}")
    key = _public_key(bytes(publics[0][Attribute.EC_POINT]), place)
    numbers = key.public_numbers()
    point = bytes([2 + numbers.y % 2]) + numbers.x.to_bytes(_COORDINATE_BYTES, "big")
    return _Held(session, privates[0], key, point)


def _objects(session: Any, place: TokenPlace, kind: ObjectClass) -> list[Any]:
    wanted = {Attribute.CLASS: kind, Attribute.LABEL: place.label}
    return list(session.get_objects(wanted))


def _make(session: Any, place: TokenPlace) -> None:
    curve = session.create_domain_parameters(KeyType.EC, {Attribute.EC_PARAMS: _P256}, local=True)
    try:
        curve.generate_keypair(
            store=True,
            label=place.label,
            id=place.label.encode(),
            capabilities=MechanismFlag.SIGN | MechanismFlag.VERIFY,
            public_template=_PUBLIC,
            private_template=_PRIVATE,
        )
    except (p11.MechanismInvalid, p11.DomainParamsInvalid, p11.MechanismParamInvalid) as error:
        raise KeyMechanismMissing(f"token {place.token}: {_said(error)}") from error


def _public_key(said: bytes, place: TokenPlace) -> ec.EllipticCurvePublicKey:
    point = said[len(_DER_POINT_START) :] if said.startswith(_DER_POINT_START + _POINT_START) else said
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    except ValueError as error:
        raise KeyMechanismMissing(f"token {place.token}: key {place.label} is not on P-256") from error


def _is_good(key: ec.EllipticCurvePublicKey, digest: bytes, signature: bytes) -> bool:
    if len(signature) != SIGNATURE_BYTES:
        return False
    r, s = (int.from_bytes(signature[at : at + _COORDINATE_BYTES], "big") for at in (0, _COORDINATE_BYTES))
    try:
        key.verify(encode_dss_signature(r, s), digest, _PREHASHED)
    except InvalidSignature:
        return False
    return True


def _close(session: Any) -> None:
    with suppress(PKCS11Error):
        session.close()


def _said(error: Exception) -> str:
    return f"{type(error).__name__} {error}".strip()


def _nothing() -> None:
    pass


@contextmanager
def _telling(then: Callable[[], None] = _nothing) -> Generator[None]:
    """A failure of the token in the middle of work. Raises KeyTokenGone; what has a name of its own passes."""
    try:
        yield
    except (p11.MechanismInvalid, p11.FunctionNotSupported):
        raise
    except PKCS11Error as error:
        then()
        raise KeyTokenGone(_said(error)) from error

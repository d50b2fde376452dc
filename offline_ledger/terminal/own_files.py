"""Are the files of this terminal still there: settings, key, certificate, city keys, CA, deny list? DESIGN §4, §6.

At the start each missing one has its own refusal; while running each is a trouble of its own, for the program goes on
with what it has in memory and the next start would fail. One file a step, so that no tap waits. Reads what is in the
key file and in no other, never writes, never touches the journal (`journal_mark` watches that).
"""

import os
import stat
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from offline_ledger.errors import (
    CaFileLost,
    CertificateLost,
    DenyListLost,
    DeviceRoleWrong,
    KeyFileUnsafe,
    KeyLost,
    KeyModuleMissing,
    KeyPinFileUnsafe,
    NotProvisioned,
    Refusal,
    SettingsLost,
    TrustListLost,
)
from offline_ledger.key_files import open_key_file
from offline_ledger.protocol.device import DeviceCertificate, DeviceRole, role_word
from offline_ledger.terminal.deny_list import CHANGES_NAME, LIST_NAME, DenyList
from offline_ledger.terminal.own_identity import DeviceFiles
from offline_ledger.terminal.ports import KEY_SAYS_NO, OwnSigner


class OwnFile(NamedTuple):
    """One file: the name of its trouble, and what its loss means."""

    what: str
    path: Path
    lost: type[Refusal]
    unreadable: type[Refusal]
    is_needed: Callable[[], bool] = lambda: True
    check: Callable[[], None] | None = None
    """What else must be so while it is there. Raises `unreadable`, or one of KEY_SAYS_NO."""


def why_unreadable(path: Path) -> OSError | None:
    """Can this plain file be opened? None: yes."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        return error
    try:
        is_plain = stat.S_ISREG(os.fstat(descriptor).st_mode)
    finally:
        os.close(descriptor)
    return None if is_plain else OSError(0, "not a plain file")


def check_enrolled(files: DeviceFiles, journal: Path) -> None:
    """Before anything is opened: is what enrolment left all there?

    Raises NotProvisioned when this machine was never enrolled (or is between request and answer); KeyLost,
    CertificateLost, TrustListLost when it was and something is gone. What is in the files is judged by who reads them.
    """
    has_key, has_certificate, has_list = (os.path.lexists(path) for path in (files.key, files.certificate,
                                                                              files.trust_list))  # fmt: skip
    was_enrolled = has_certificate or has_list or journal.exists()
    if not was_enrolled:
        raise NotProvisioned(f"{files.certificate}: no certificate")
    if not has_key and files.token is None:
        raise KeyLost(f"{files.key}: no such file")
    for path, lost in ((files.certificate, CertificateLost), (files.trust_list, TrustListLost)):
        why = why_unreadable(path)
        if why is not None:
            raise lost(f"{path}: {why.strerror}")


def check_role(certificate: DeviceCertificate, role: DeviceRole) -> None:
    """The city enrolled this device for what the program is about to do. Raises DeviceRoleWrong."""
    if certificate.role != role:
        raise DeviceRoleWrong(f"certificate for role {role_word(certificate.role)}, this is {role_word(role)}")


class OwnFiles:
    """The watch over one terminal's files while it runs."""

    def __init__(self, watched: Sequence[OwnFile], note: Callable[[str, Refusal | None], None]) -> None:
        self._watched = tuple(watched)
        self._note = note
        self._next = 0

    def step(self) -> None:
        """Look at one file; the next one in turn."""
        file = self._watched[self._next]
        self._next = (self._next + 1) % len(self._watched)
        if not file.is_needed():
            self._note(file.what, None)
            return
        why = why_unreadable(file.path)
        if why is None:
            self._note(file.what, _wrong(file))
            return
        refusal = file.lost if isinstance(why, FileNotFoundError) else file.unreadable
        self._note(file.what, refusal(f"{file.path}: {why.strerror}"))


def _wrong(file: OwnFile) -> Refusal | None:
    try:
        if file.check is not None:
            file.check()
    except (file.unreadable, *KEY_SAYS_NO) as refusal:
        return refusal
    return None


class KeyWatch:
    """The key file as the next start will find it: private, a key, and the one that we sign with. It is read only when
    it was touched since the last look."""

    def __init__(self, path: Path, point: bytes) -> None:
        self._path, self._point = path, point
        self._seen: tuple[int, ...] = ()
        self._wrong: KeyFileUnsafe | None = None

    def check(self) -> None:
        """Raises KeyFileUnsafe."""
        try:
            found = self._path.lstat()
        except OSError as error:
            raise KeyFileUnsafe(f"{self._path}: {error.strerror}") from error
        seen = (found.st_ino, found.st_mode, found.st_uid, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
        if seen != self._seen:
            self._seen, self._wrong = seen, self._look()
        if self._wrong is not None:
            raise self._wrong

    def _look(self) -> KeyFileUnsafe | None:
        try:
            is_ours = open_key_file(self._path).point == self._point
        except KeyFileUnsafe as wrong:
            return wrong
        return None if is_ours else KeyFileUnsafe(f"{self._path}: another key")


def files_of(
    files: DeviceFiles, signer: OwnSigner, settings: Path, ca_file: Path, deny_folder: Path, deny: DenyList
) -> tuple[OwnFile, ...]:
    """What a terminal watches; of the deny list those files that the list in use needs. `signer`: of the key in use."""
    return (
        OwnFile("settings", settings, SettingsLost, SettingsLost),
        *_key_files(files, signer),
        OwnFile("certificate", files.certificate, CertificateLost, CertificateLost),
        OwnFile("trust_list", files.trust_list, TrustListLost, TrustListLost),
        OwnFile("ca_file", ca_file, CaFileLost, CaFileLost),
        OwnFile("deny_list", deny_folder / LIST_NAME, DenyListLost, DenyListLost, lambda: deny.has_list_file),
        OwnFile(
            "deny_list_changes", deny_folder / CHANGES_NAME, DenyListLost, DenyListLost, lambda: deny.has_changes_file
        ),
    )


def _key_files(files: DeviceFiles, signer: OwnSigner) -> tuple[OwnFile, ...]:
    """Of a token: its module, with the token itself, and the PIN that the next start will need."""
    if files.token is None:
        return (OwnFile("key", files.key, KeyLost, KeyFileUnsafe, check=KeyWatch(files.key, signer.point).check),)
    return (
        OwnFile("key", files.token.module, KeyModuleMissing, KeyModuleMissing, check=signer.check),
        OwnFile("key_pin", files.token.pin_file, KeyPinFileUnsafe, KeyPinFileUnsafe),
    )

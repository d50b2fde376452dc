"""A package of the program: what it says of itself, and whether it fits this terminal. DESIGN §4, §6.

It comes verified (`tuf_client`), and is read as if it were not: names, sizes and hashes are judged before anything of
it is used. Writes nothing.
"""

import errno
import hashlib
import json
import re
import struct
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import IO, NamedTuple, cast
from zipfile import ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from offline_ledger.errors import (
    ReleasePackageTooLarge,
    ReleasePackageUnfit,
    StorageFailed,
    UpdateForOther,
    UpdateStoresTooNew,
)
from offline_ledger.files import read_bounded, storage_refusal
from offline_ledger.plain_files import plain_bytes
from offline_ledger.terminal.journal_schema import SCHEMA_VERSION as JOURNAL_VERSION
from offline_ledger.terminal.updates.names import PACKAGE_BYTES_MAX, own_platform, version_of
from offline_ledger.terminal.updates.start import MANIFEST

NAME = "kgo-terminal"
FORMAT = 1
MANIFEST_BYTES_MAX = 65_536
MEMBERS_MAX = 400
UNPACKED_BYTES_MAX = 1 << 30
"""Of all wheels together: some ten times what they are."""
PIECE_BYTES = 1 << 20
_MEMBER = re.compile(r"(wheels/[A-Za-z0-9][A-Za-z0-9._+-]*\.whl|system/[A-Za-z0-9][A-Za-z0-9._@+-]*)")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_NO_ZIP = (BadZipFile, NotImplementedError, EOFError, RuntimeError, ValueError, struct.error)
"""What zipfile raises for damage; an offset before the file's beginning besides, which is an OSError."""
_PROGRAM = re.compile(r"kgo-[a-z]{1,20}")


class Store(NamedTuple):
    """Versions of a file that outlives updates: which of them a program reads, and which one it leaves behind."""

    oldest: int
    newest: int
    writes: int


STORES = {"journal": Store(1, JOURNAL_VERSION, JOURNAL_VERSION), "shop": Store(1, 1, 1)}
"""This version's. The shop's is `pos_app.store.shop_file.SCHEMA_VERSION`; a test holds the two together."""


class Manifest(NamedTuple):
    """What a package says of itself; `wheels` and `system`: SHA-256 in hex by name."""

    version: str
    platform: str
    python: str
    programs: tuple[str, ...]
    wheels: Mapping[str, str]
    system: Mapping[str, str]
    stores: Mapping[str, Store]

    @property
    def hashes(self) -> dict[str, str]:
        """By the name of the member."""
        wheels = {f"wheels/{name}": value for name, value in self.wheels.items()}
        return wheels | {f"system/{name}": value for name, value in self.system.items()}


def stores_as_json() -> dict[str, object]:
    """For the manifest of a package that is made from this version."""
    return {name: {"reads": [one.oldest, one.newest], "writes": one.writes} for name, one in STORES.items()}


def decode_manifest(data: bytes) -> Manifest:
    """Raises ReleasePackageUnfit."""
    try:
        said = cast(dict[str, object], json.loads(data))
        if (said["format"], said["name"]) != (FORMAT, NAME):
            raise ReleasePackageUnfit(f"manifest of {said['name']}, format {said['format']}"[:100])
        stores = cast(dict[str, dict[str, object]], said.get("stores", stores_as_json()))
        found = Manifest(
            str(version_of(cast(str, said["version"]))),
            _text(said["platform"]),
            _text(said["python"]),
            tuple(_text(one) for one in cast(list[object], said["programs"])),
            {_text(name): _text(value) for name, value in cast(dict[object, object], said["wheels"]).items()},
            {_text(name): _text(value) for name, value in cast(dict[object, object], said["system"]).items()},
            {_text(name): _store(one) for name, one in stores.items()},
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ReleasePackageUnfit(f"manifest: {error!r}"[:100]) from error
    names_fit = all(_MEMBER.fullmatch(name) and _SHA256.fullmatch(value) for name, value in found.hashes.items())
    if not names_fit or not all(_PROGRAM.fullmatch(one) for one in found.programs):
        raise ReleasePackageUnfit("manifest: names or hashes")
    return found


def _text(value: object) -> str:
    if not isinstance(value, str) or len(value) > 200:
        raise TypeError("no text")
    return value


def _number(value: object) -> int:
    if type(value) is not int or not 0 < value < 1_000:
        raise TypeError("no version")
    return value


def _store(said: Mapping[str, object]) -> Store:
    oldest, newest = cast(list[object], said["reads"])
    return Store(_number(oldest), _number(newest), _number(said["writes"]))


def read_manifest(path: Path) -> Manifest:
    """Of a package whose every name, size and hash is as it must be. Raises ReleasePackageUnfit,
    ReleasePackageTooLarge, StorageFailed."""
    with OpenedPackage(path) as package:
        manifest = _judged(package)
        for name, wanted in manifest.hashes.items():
            with package.open(name) as stream:
                if hash_of(stream) != wanted:
                    raise ReleasePackageUnfit(f"{name}: not the bytes that the manifest names")
        return manifest


def check_fits(manifest: Manifest, program: str) -> None:
    """Is it for this machine and this program, and can the present version read what it leaves? Raises UpdateForOther,
    UpdateStoresTooNew."""
    here = (own_platform(), f"{sys.version_info.major}.{sys.version_info.minor}")
    if (manifest.platform, manifest.python) != here:
        raise UpdateForOther(f"{manifest.platform} {manifest.python}, here {here[0]} {here[1]}")
    if program not in manifest.programs:
        raise UpdateForOther(f"{', '.join(manifest.programs)}, here {program}")
    check_stores(manifest, STORES)


def check_stores(manifest: Manifest, present: Mapping[str, Store]) -> None:
    """Forward it must read what is there; back, what it leaves must be read. Raises UpdateStoresTooNew."""
    for name, one in present.items():
        new = manifest.stores.get(name, one)
        if not new.oldest <= one.writes <= new.newest or not one.oldest <= new.writes <= one.newest:
            raise UpdateStoresTooNew(f"{name}: reads {new.oldest}-{new.newest}, writes {new.writes}")


def slot_manifest(slot: Path) -> Manifest | None:
    """None: nothing is installed there. Raises ReleasePackageUnfit, StorageFailed."""
    data = read_bounded(slot / MANIFEST, MANIFEST_BYTES_MAX)
    return None if data is None else decode_manifest(data)


class OpenedPackage:
    """The package as a zip. Raises ReleasePackageUnfit, ReleasePackageTooLarge, StorageFull, StorageFailed."""

    def __init__(self, path: Path) -> None:
        try:
            size_bytes = plain_bytes(path)
            if size_bytes > PACKAGE_BYTES_MAX:
                raise ReleasePackageTooLarge(f"{size_bytes} bytes, at most {PACKAGE_BYTES_MAX}")
            self._zip = ZipFile(path)
        except OSError as error:
            raise StorageFailed(f"{path}: {error.strerror}") from error
        except _NO_ZIP as error:
            raise ReleasePackageUnfit(f"{path.name}: {error}"[:200]) from error

    def __enter__(self) -> ZipFile:
        return self._zip

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        self._zip.close()
        if isinstance(error, _NO_ZIP) or (isinstance(error, OSError) and error.errno == errno.EINVAL):
            raise ReleasePackageUnfit(f"no zip: {error}"[:200]) from error
        if isinstance(error, OSError):  # of the package's disk, or of the one that it is unpacked to
            raise storage_refusal(error, Path(error.filename or str(self._zip.filename))) from error


def _judged(package: ZipFile) -> Manifest:
    members = package.infolist()
    names = [one.filename for one in members]
    if len(members) > MEMBERS_MAX or not members or names[0] != MANIFEST:
        raise ReleasePackageUnfit(f"{len(members)} members, the first is not {MANIFEST}")
    if len(set(names)) != len(names):
        raise ReleasePackageUnfit("a name twice")
    for one in members:
        if not _is_plain(one):
            raise ReleasePackageUnfit(f"{one.filename[:60]!r}: compressed, encrypted or badly named")
    if sum(one.file_size for one in members) > PACKAGE_BYTES_MAX or members[0].file_size > MANIFEST_BYTES_MAX:
        raise ReleasePackageTooLarge("what is in it")
    manifest = decode_manifest(package.read(MANIFEST))
    if set(names[1:]) != set(manifest.hashes) or not manifest.wheels:
        raise ReleasePackageUnfit("other members than the manifest names")
    return manifest


def _is_plain(one: ZipInfo) -> bool:
    is_named = one.filename == MANIFEST or _MEMBER.fullmatch(one.filename) is not None
    is_stored = one.compress_type == ZIP_STORED and one.compress_size == one.file_size
    return is_named and is_stored and not one.flag_bits & 0x1


def check_sizes(package: ZipFile, manifest: Manifest) -> int:
    """Bytes of everything that its wheels unpack to: zipfile gives no more of a member than it says. Raises
    ReleasePackageTooLarge, ReleasePackageUnfit."""
    total_bytes = 0
    for name in manifest.wheels:
        try:
            with package.open(f"wheels/{name}") as stream, ZipFile(stream) as wheel:
                total_bytes += sum(one.file_size for one in wheel.infolist())
        except _NO_ZIP as error:
            raise ReleasePackageUnfit(f"{name}: {error}"[:200]) from error
        if total_bytes > UNPACKED_BYTES_MAX:
            raise ReleasePackageTooLarge(f"over {UNPACKED_BYTES_MAX} bytes unpacked")
    return total_bytes


def hash_of(stream: IO[bytes], into: IO[bytes] | None = None) -> str:
    found = hashlib.sha256()
    while piece := stream.read(PIECE_BYTES):
        found.update(piece)
        if into is not None:
            into.write(piece)
    return found.hexdigest()

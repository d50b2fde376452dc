"""The city's signed files on a validator: route file and crew file, verified by its own trust list. DESIGN §4.

A file whose days are over is used all the same, and that is said: a bus with an old timetable still carries people, and
what it charges is the tariff's business. Never fetches, never decides where the bus is.
"""

from pathlib import Path
from typing import NamedTuple

from offline_ledger.errors import (
    BulletinRollback,
    BulletinSignatureWrong,
    CrewFileExposed,
    CrewFileWrong,
    Refusal,
    RouteFileOutOfDate,
    RouteFileWrong,
    StorageFailed,
)
from offline_ledger.files import read_bounded
from offline_ledger.protocol.city import Bulletin, KeyRole
from offline_ledger.protocol.cose import Signed
from offline_ledger.protocol.crew_file import CREW_FILE_BYTES_MAX, Crew, parse_crew_file
from offline_ledger.protocol.device import ClockTrust
from offline_ledger.protocol.kinds import Kind
from offline_ledger.protocol.route_file import ROUTE_FILE_BYTES_MAX, RouteFile, digest_of, parse_route_file
from offline_ledger.rules.clock import TimeNow
from offline_ledger.terminal.trust import TrustStore, naming_later_versions

ROUTES_VERSION_META = "bus.routes_version"
CREW_VERSION_META = "bus.crew_version"
"""Where the highest version taken is kept ([trust-list version, counter] in CBOR), so that an older file is refused."""
NO_VERSION = (0, 0)
_OTHERS = 0o077


class Held(NamedTuple):
    """What a verified file says of itself. `digest`: SHA-256 of the file, in hexadecimal."""

    version: tuple[int, int]
    digest: str
    valid_from_s: int
    valid_until_s: int

    def trouble(self, at: TimeNow) -> RouteFileOutOfDate | None:
        """Why it should be replaced; under `floor` nobody knows the day."""
        if at.trust is ClockTrust.FLOOR or self.valid_from_s <= at.at_s <= self.valid_until_s:
            return None
        return RouteFileOutOfDate(f"{self.valid_from_s} to {self.valid_until_s}")


class HeldRoutes(NamedTuple):
    """The network, and the file that it came in."""

    routes: RouteFile
    held: Held


class HeldCrew(NamedTuple):
    """The crew, and the file that it came in."""

    crew: Crew
    held: Held


def load_routes(path: Path, trust: TrustStore, taken: tuple[int, int] = NO_VERSION) -> HeldRoutes | None:
    """The route file at `path`; None when there is none. `taken`: the highest version taken so far.

    Raises RouteFileWrong, and what a bulletin raises: UnknownIssuer, IssuerRoleWrong, IssuerKeyExpired, VersionUnknown,
    BulletinRollback, BulletinSignatureWrong.
    """
    raw = _read(path, ROUTE_FILE_BYTES_MAX, RouteFileWrong)
    if raw is None:
        return None
    with naming_later_versions(trust.held, raw, Kind.BULLETIN, KeyRole.BULLETIN):
        found = parse_route_file(raw, trust.city)
        held = _verified(found.bulletin, found.signed, trust, taken)
    return HeldRoutes(found.routes, held)


def load_crew(path: Path, trust: TrustStore, taken: tuple[int, int] = NO_VERSION) -> HeldCrew | None:
    """The crew file at `path`; None when there is none. Raises CrewFileWrong and what `load_routes` raises; a file that
    others can read is CrewFileExposed: its PINs must count as known."""
    raw = _read(path, CREW_FILE_BYTES_MAX, CrewFileWrong)
    if raw is None:
        return None
    if _mode(path) & _OTHERS:
        raise CrewFileExposed(f"{path} is readable by others: chmod 600")
    with naming_later_versions(trust.held, raw, Kind.BULLETIN, KeyRole.BULLETIN):
        found = parse_crew_file(raw, trust.city)
        held = _verified(found.bulletin, found.signed, trust, taken)
    return HeldCrew(found.crew, held)


def _mode(path: Path) -> int:
    try:
        return path.stat().st_mode
    except OSError as error:  # replaced between two looks
        raise CrewFileWrong(f"{path}: {error.strerror}") from error


def _read(path: Path, bytes_max: int, wrong: type[Refusal]) -> bytes | None:
    try:
        if path.is_fifo() or path.is_char_device():
            raise wrong(f"{path} is no file")  # nobody waits for what it may say
        return read_bounded(path, bytes_max)
    except StorageFailed as refusal:
        raise wrong(refusal.detail) from refusal
    except OSError as error:
        raise wrong(f"{path}: {error.strerror}") from error


def _verified(bulletin: Bulletin, signed: Signed, trust: TrustStore, taken: tuple[int, int]) -> Held:
    trust.verify(signed, KeyRole.BULLETIN, bulletin.issued_at_s, BulletinSignatureWrong)
    if bulletin.version < taken:
        raise BulletinRollback(f"{bulletin.version}, held {taken}")
    return Held(bulletin.version, digest_of(signed.raw), bulletin.valid_from_s, bulletin.valid_until_s)

"""The route and crew file that the settings name, as they are in force: looked at now and then, read when they changed.

A file that is worse than the one in use (damaged, older, of nobody) is told and not taken. One that is not there is
told too, though what was read before stays in force: the next start will not find it. A file is read again when its
rights change or newer city keys come, for either may have been what was wrong. Writes nothing but the highest version
taken.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar, cast

from bus_validator.route_keeper import (
    CREW_VERSION_META,
    NO_VERSION,
    ROUTES_VERSION_META,
    HeldCrew,
    HeldRoutes,
    load_crew,
    load_routes,
)
from offline_ledger.errors import (
    CrewFileMissing,
    JournalDamaged,
    Refusal,
    RouteFileMissing,
    StorageFailed,
    StorageFull,
)
from offline_ledger.protocol import cbor
from offline_ledger.terminal.station import Station

LOOK_MS = 5_000
"""A file that was put there is in force within this."""
_VERSION_BYTES_MAX = 32
_MISSING: dict[str, type[Refusal]] = {"routes": RouteFileMissing, "crew": CrewFileMissing}
Held = TypeVar("Held", HeldRoutes, HeldCrew)
Note = Callable[[str, Refusal | None], None]
Mark = tuple[int, tuple[int, int, int, int] | None]
"""By what a file is known: the trust list's version; of the file, when it and its rights changed, which it is, how
long. None: it is not there."""


class RouteFiles:
    """What is in force; None: no such file is named, or none was ever good."""

    def __init__(self, station: Station, routes: Path | None, crew: Path | None, note: Note) -> None:
        """`note`: the trouble of a file, by its part's name (`routes`, `crew`)."""
        self._station, self._note = station, note
        self._paths = {"routes": routes, "crew": crew}
        self._seen: dict[str, Mark] = {}
        self._refused: dict[str, Refusal] = {}
        self._looked_ms: int | None = None
        self.routes: HeldRoutes | None = None
        self.crew: HeldCrew | None = None

    def look(self, mono_ms: int) -> None:
        """Reads what is new. On the deciding thread, now and then: a file is read once each time it changes."""
        if self._looked_ms is not None and mono_ms - self._looked_ms < LOOK_MS:
            return
        self._looked_ms = mono_ms
        if self._is_new("routes"):
            self.routes = self._taken("routes", ROUTES_VERSION_META, load_routes, self.routes)
        if self._is_new("crew"):
            self.crew = self._taken("crew", CREW_VERSION_META, load_crew, self.crew)
        for name, held in (("routes", self.routes), ("crew", self.crew)):
            out_of_date = None if held is None else held.held.trouble(self._station.keeper.time())
            self._note(name, self._refused.get(name) or out_of_date)

    def _is_new(self, name: str) -> bool:
        path = self._paths[name]
        if path is None:
            return False
        try:
            found = os.stat(path)
            state = (found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_size)
        except OSError:
            state = None
        mark = (self._station.trust.version, state)
        is_new = self._seen.get(name) != mark
        self._seen[name] = mark
        return is_new

    def _taken(
        self,
        name: str,
        meta: str,
        load: "Callable[..., Held | None]",
        held: Held | None,
    ) -> Held | None:
        path, station = self._paths[name], self._station
        self._refused.pop(name, None)
        try:
            found = load(path, station.trust, self._version(meta))
            if found is None:
                self._refused[name] = _MISSING[name](str(path))
                return held
            if found.held.version > self._version(meta):
                station.journal.meta_put(meta, cbor.encode(list(found.held.version)))
        except Refusal as refusal:
            self._refused[name] = refusal
            if isinstance(refusal, StorageFull | StorageFailed):
                self._seen.pop(name)  # nothing is wrong with the file: tried again at the next look
            return held
        return found

    def _version(self, meta: str) -> tuple[int, int]:
        kept = self._station.journal.meta_get(meta)
        if kept is None:
            return NO_VERSION
        match cbor.decode(kept, _VERSION_BYTES_MAX):
            case [int(list_version), int(counter)]:
                return cast(tuple[int, int], (list_version, counter))
            case _:
                raise JournalDamaged(f"{meta} is no version")

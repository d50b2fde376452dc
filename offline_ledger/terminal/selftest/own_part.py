"""Who this device is: key, certificate, city keys and journal belong together; and what a report says of it. §4."""

import platform
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import apsw

from offline_ledger.errors import Refusal
from offline_ledger.terminal.program import VERSION, Place
from offline_ledger.terminal.selftest.plan import Step
from offline_ledger.terminal.selftest.runner import Check, Facts, Part
from offline_ledger.terminal.selftest.turn import Turn
from offline_ledger.terminal.station import Station

FILE_BYTES_MAX = 1_048_576


def own_part(station: Station | None, why_closed: Refusal | None) -> Part:
    """Is it enrolled, and does its journal open?"""

    def enrolled(_turn: Turn) -> Facts:
        if station is None:
            assert why_closed is not None
            raise why_closed
        certificate, tail = station.certificate, station.journal.tail
        return {
            "device": certificate.device,
            "owner": certificate.owner,
            "certificate_until_s": certificate.expires_at_s,
            "sequence": tail.sequence,
            "acknowledged": tail.acked_sequence,
        }

    return Part("program", (Check(Step("program", "enrolled"), enrolled),))


def versions_of(place: Place) -> dict[str, str]:
    """What this device runs on."""
    return {
        "program": f"{place.program.name} {VERSION}",
        "python": platform.python_version(),
        "sqlite": apsw.sqlite_lib_version(),
        "kernel": platform.release(),
        "machine": platform.machine(),
    }


def hashes_of(place: Place, station: Station | None) -> dict[str, str]:
    """SHA-256 of what was set up, and the id of the key; of what is there."""
    files: dict[str, Callable[[], Path]] = {
        "settings_sha256": lambda: place.settings_file,
        "certificate_sha256": lambda: place.path("files.certificate"),
        "trust_list_sha256": lambda: place.path("files.trust_list"),
        "ca_file_sha256": lambda: place.path("city.ca_file"),
    }
    found = {name: _hashed(path()) for name, path in files.items()}
    if station is not None:
        found["key_id"] = station.key_id.hex()
    return {name: digest for name, digest in found.items() if digest}


def _hashed(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return sha256(file.read(FILE_BYTES_MAX)).hexdigest()
    except OSError:
        return ""

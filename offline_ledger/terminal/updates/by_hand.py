"""Declares a slot whole that a technician filled by hand, from a checkout: `python -m … by_hand /opt/kgo/slots/a`.

Only the first slot of a terminal is filled so (docs/hardware.md); whatever comes later is a signed package. Run by the
slot's own Python. Verifies nothing: who runs it has installed it.
"""

import json
import sys
from pathlib import Path

from offline_ledger.files import write_atomically
from offline_ledger.terminal.program import VERSION
from offline_ledger.terminal.updates.names import own_platform
from offline_ledger.terminal.updates.package import FORMAT, NAME, stores_as_json
from offline_ledger.terminal.updates.start import MANIFEST


def declare(slot: Path) -> None:
    """Its manifest: this version, without packages. Raises StorageFull, StorageFailed."""
    programs = sorted(path.name for path in (slot / "bin").glob("kgo-*"))
    said = {
        "format": FORMAT,
        "name": NAME,
        "version": VERSION,
        "platform": own_platform(),
        "python": f"{sys.version_info.major}.{sys.version_info.minor}",
        "programs": programs,
        "wheels": {},
        "system": {},
        "stores": stores_as_json(),
    }
    write_atomically(slot / MANIFEST, json.dumps(said, indent=1).encode() + b"\n")


if __name__ == "__main__":
    declare(Path(sys.argv[1]))

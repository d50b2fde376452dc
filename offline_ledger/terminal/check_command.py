"""`check`: are the settings good, and who is this device? For whoever sets a terminal up. DESIGN §3, §4.

Opens no journal and asks nobody, so it also answers while the terminal runs.
"""

import hashlib
import sys

from offline_ledger.terminal.own_identity import open_provisioned
from offline_ledger.terminal.program import Place
from offline_ledger.texts import Texts


def check(place: Place, texts: Texts) -> int:
    """The settings were read when this is called. Words and values, one pair a line, once it is enrolled. Raises what
    `open_provisioned` raises, but for a device that is not enrolled yet."""
    sys.stdout.write(texts.get("terminal.settings_good", file=place.settings_file) + "\n")
    files = place.files()
    if not files.certificate.exists():
        return 0
    own = open_provisioned(files, place.text("device.city"), place.text("device.id"))
    said = {
        "device": own.certificate.device,
        "owner": own.certificate.owner,
        "key_fingerprint": own.key_id.hex(),
        "certificate_sha256": hashlib.sha256(own.certificate_raw).hexdigest(),
        "trust_list_version": own.trust.version,
    }
    sys.stdout.write("".join(f"{key} {value}\n" for key, value in said.items()))
    return 0

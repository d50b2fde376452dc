"""The devices of a running terminal: which is lost, and whether any is left that takes payments. DESIGN §5.

Troubles stand under the device's own name; a lost reader's under `device`. On the deciding thread. Decides no code.
"""

from collections.abc import Sequence

from offline_ledger.errors import (
    CameraLost,
    CameraProgramMissing,
    CameraStalled,
    DevicePortForbidden,
    DevicePortInUse,
    Refusal,
    ScannerLost,
)
from offline_ledger.terminal.headless import LineLamp
from offline_ledger.terminal.readers import Reader
from offline_ledger.terminal.scan_loop import CodeSource
from offline_ledger.terminal.troubles import Troubles

DEVICE_LOST = (ScannerLost, CameraLost, CameraStalled, CameraProgramMissing, DevicePortForbidden, DevicePortInUse)
"""What stands until the reader is back; other refusals of a reader are about one code."""


class DeviceWatch:
    """One terminal's."""

    def __init__(self, readers: Sequence[Reader], troubles: Troubles, lamp: LineLamp) -> None:
        self._readers, self._troubles, self._lamp = readers, troubles, lamp
        self._paying: list[Reader] = [*readers]
        self._lost: Refusal | None = None
        self.more: dict[str, Reader] = {}
        """Those of the program's own, by name."""

    def add(self, name: str, device: Reader, *, takes_payments: bool) -> None:
        """One of the program's own."""
        self.more[name] = device
        if takes_payments:
            self._paying.append(device)

    def heard(self, source: CodeSource, refusal: Refusal) -> None:
        """What a device said of itself."""
        name = next((name for name, one in self.more.items() if one is source), None)
        if name is not None and self.more[name].is_lost:
            self._troubles.note(name, refusal)
        elif name is not None:
            self._lamp.trouble(name, refusal)
        elif isinstance(refusal, DEVICE_LOST):
            self._lost = refusal
            self._troubles.note("device", refusal)
        else:
            self._lamp.trouble("device", refusal)

    def look(self) -> None:
        """Time has passed: some may be back."""
        if not any(reader.is_lost for reader in self._readers):
            self._lost = None
        self._troubles.note("device", self._lost)
        for name, device in self.more.items():
            if not device.is_lost:
                self._troubles.note(name, None)

    def why_no_code(self) -> Refusal | None:
        """All that take payments are lost."""
        if not self._paying or not all(reader.is_lost for reader in self._paying):
            return None
        standing = dict(self._troubles.standing())
        return self._lost or next((standing[name] for name in self.more if name in standing), None)

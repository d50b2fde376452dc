"""The readers that the settings of every terminal name: a serial scanner, a camera. DESIGN §3.

A composition helper of `running.py`. What a terminal does not have is not imported.
"""

from pathlib import Path
from typing import Protocol

from offline_ledger.terminal.own_names import WEDGE
from offline_ledger.terminal.program import Opened, Place
from offline_ledger.terminal.scan_loop import CodeSource


class Reader(CodeSource, Protocol):
    """A scanner or camera, which knows whether it is there."""

    @property
    def is_lost(self) -> bool: ...

    def health(self) -> object:
        """A value with named fields, for `diagnose`."""
        ...


def open_readers(opened: Opened | Place) -> list[Reader]:
    """All of them, open; one that is not there yet comes by itself."""
    found: list[Reader] = []
    port, address = opened.text("scanner.port"), opened.text("camera.address")
    if port and not port.startswith(WEDGE):
        from offline_ledger.terminal.drivers.scanner import ScannerSettings, SerialScanner

        is_terminated = opened.text("scanner.suffix") == "any"
        scanner = SerialScanner(ScannerSettings(str(Path(port)), suffix=is_terminated))
        scanner.open()
        found.append(scanner)
    if address:
        from offline_ledger.terminal.drivers.camera import Camera, CameraSettings

        size = (opened.number("camera.width_px"), opened.number("camera.height_px"))
        camera = Camera(CameraSettings(address, *size))
        camera.open()
        found.append(camera)
    return found

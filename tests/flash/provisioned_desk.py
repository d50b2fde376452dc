"""What the tests of provisioning share: a founded city, a device's folder, and both programs run for real."""

import subprocess
import sys
from pathlib import Path

from offline_ledger.errors import Refusal
from offline_ledger.protocol.city import BulletinKind
from offline_ledger.protocol.device import DeviceRole
from offline_ledger.rules.limits import Limits
from offline_ledger.terminal.own_identity import DeviceFiles, Provisioned, open_provisioned
from offline_ledger.terminal.program import MachineClock
from offline_ledger.terminal.station import Station, StationSettings
from simulators.demo.city import CITY, CityProgram

ROOT = Path(__file__).parents[2]
DEVICE, OWNER = "bus-9", "city-bus"
NEEDED = {BulletinKind.DENY_LIST, BulletinKind.TARIFF}


class DeviceFolder:
    """A validator that is not enrolled yet."""

    def __init__(self, folder: Path, city: CityProgram, device: str = DEVICE) -> None:
        folder.mkdir()
        self.folder, self.device = folder, device
        self.settings = folder / "bus.toml"
        self.settings.write_text(
            f'[device]\ncity = "{CITY}"\nid = "{device}"\nlanguage = "en"\n'
            f'[city]\nurl = "{city.url}"\nca_file = "{city.ca_file}"\n[scanner]\nport = "{folder / "scanner"}"\n'
        )
        self.files = DeviceFiles(folder / "device.key", folder / "device.cert", folder / "trust.list")

    @property
    def via(self) -> str:
        """For `kgo-flash provision --via`."""
        return f"{sys.executable} -m bus_validator --settings {self.settings}"

    def run(self, *words: str, cut_at: int | None = None) -> "subprocess.CompletedProcess[str]":
        """Its own program; `cut_at`: killed at this step, 0 to count them."""
        program = ("bus_validator", "--settings", str(self.settings), *words)
        cut = () if cut_at is None else ("tests.flash.provision_cut", str(cut_at), str(self.folder))
        return run(*cut, *program)

    def provisioned(self) -> Provisioned | None:
        """What the next start will find; None: not provisioned, or not whole."""
        try:
            return open_provisioned(self.files, CITY, self.device)
        except Refusal:
            return None

    def first_kinds(self, *, is_ready: bool = True) -> set[BulletinKind]:
        """The bulletins that it holds, and counts by; `is_ready`: it needs no sync before its first fare."""
        journal, deny = self.folder / "journal.db", self.folder / "deny.list"
        settings = StationSettings(CITY, self.device, DeviceRole.VALIDATOR, self.files, journal, deny, "test")
        station = Station(settings, MachineClock(), Limits())
        try:
            assert station.deny_list_trouble() is None
            if is_ready:
                station.conditions.caps(station.keeper.time())  # it may take a fare before it reached its city
            return {kind for kind in BulletinKind if station.bulletins.newest(kind) is not None}
        finally:
            station.close()

    def key(self) -> bytes:
        """The file; nothing: none yet."""
        return self.files.key.read_bytes() if self.files.key.exists() else b""


def run(*words: str, cwd: Path = ROOT) -> "subprocess.CompletedProcess[str]":
    """A module of ours in a process of its own."""
    return subprocess.run(
        (sys.executable, "-m", *words), cwd=cwd, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=120
    )


def answer_of(city: CityProgram, request: Path, out: Path, device: str = DEVICE, role: str = "validator") -> Path:
    """The operator answers a request file."""
    owner = OWNER if role == "validator" else "coffee-1"
    city.ask("enrol", device, "--role", role, "--owner", owner, "--request", str(request), "--out", str(out))
    return out

"""A whole terminal but for its devices: journal, keys, clock, bulletins, acceptor, and the link to the city. DESIGN §3.

A composition helper that `pos_app` and `bus_validator` share. It builds no driver, shows nothing, and decides nothing.
Opening it imports nothing that only the link needs: a terminal decides before it can sync. `link` brings the exchange
machine, and the uplink brings TLS and HTTP with the first exchange.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from offline_ledger.errors import BulletinMissing, DeviceCertificateInvalid
from offline_ledger.protocol.city import Bulletin, BulletinKind
from offline_ledger.protocol.device import DeviceRole
from offline_ledger.rules.limits import Limits
from offline_ledger.terminal.acceptor import Acceptor, Identity
from offline_ledger.terminal.bulletins import BulletinStore
from offline_ledger.terminal.clock_keeper import ClockKeeper
from offline_ledger.terminal.conditions import Freshest, TerminalConditions
from offline_ledger.terminal.deny_list import DenyList
from offline_ledger.terminal.evidence import EvidenceReader
from offline_ledger.terminal.journal import Journal
from offline_ledger.terminal.own_identity import DeviceFiles, open_provisioned
from offline_ledger.terminal.ports import Clock, Entropy
from offline_ledger.terminal.sync_record import load_record

if TYPE_CHECKING:
    from offline_ledger.terminal.sync import SyncMachine


@dataclass(frozen=True, slots=True)
class StationSettings:
    """Who this terminal is and where it keeps its own."""

    city: str
    device: str
    role: DeviceRole
    files: DeviceFiles
    journal: Path
    deny_list: Path
    """A folder: the list and its changes."""
    program_version: str


class Station:
    """One terminal, open. Close it to make waiting events durable."""

    def __init__(self, settings: StationSettings, machine_clock: Clock, limits: Limits) -> None:
        """Raises NotProvisioned, KeyFileUnsafe, DeviceCertificateInvalid, TrustChainBroken, and what `Journal.open` and
        `DenyList.open` raise."""
        who = open_provisioned(settings.files, settings.city, settings.device)
        if who.certificate.role != settings.role:
            raise DeviceCertificateInvalid(f"for role {who.certificate.role}")
        self.certificate = who.certificate
        self.limits = limits
        self.trust = who.trust
        self.journal = Journal.open(settings.journal, device_id=settings.device)
        self.keeper = ClockKeeper(self.journal, machine_clock, limits, who.certificate.not_before_s)
        self.bulletins = BulletinStore(settings.city, self.trust, self.journal, self.keeper)
        settings.deny_list.mkdir(exist_ok=True)
        self.deny = DenyList.open(settings.deny_list)
        self.sync: SyncMachine | None = None
        self._who, self._settings, self._machine_clock = who, settings, machine_clock
        self._complete_at_s = load_record(self.journal).complete_at_s
        self.conditions = TerminalConditions(self.keeper, limits, who.certificate, self.deny.is_denied, self._freshest)
        identity = Identity(settings.city, settings.device, who.key_id)
        reader = EvidenceReader(settings.city, self.trust)
        self.acceptor = Acceptor(identity, self.journal, who.signer, reader, self.conditions, limits)

    def bulletin(self, kind: BulletinKind) -> Bulletin | None:
        """What is in force now; None: nothing yet, or it ran out."""
        try:
            return self.bulletins.in_force(kind, self.keeper.time().at_s)
        except BulletinMissing:
            return None

    def link(self, entropy: Entropy, interval_ms: int) -> "SyncMachine":
        """The exchange machine, made once. Raises JournalDamaged when the journal does not fit what sync remembers."""
        from offline_ledger.terminal.sync import SyncMachine, SyncParts
        from offline_ledger.terminal.sync_batches import Sender
        from offline_ledger.terminal.sync_pace import PaceSettings

        settings, who = self._settings, self._who
        parts = SyncParts(
            sender=Sender(settings.city, settings.device, who.key_id, who.signer),
            journal=self.journal,
            trust=self.trust,
            bulletins=self.bulletins,
            deny=self.deny,
            time=self.keeper,
            entropy=entropy,
            program_version=settings.program_version,
        )
        self.sync = SyncMachine(parts, self._machine_clock.mono_ms(), PaceSettings(interval_ms=interval_ms))
        return self.sync

    def close(self) -> None:
        """Lets go of the journal. May raise StorageFull or StorageFailed."""
        self.journal.close()

    def _freshest(self) -> Freshest:
        deny_list_at_s = self.bulletins.deny_list_as_of_s(self.deny.counter)  # None too for a list found damaged
        if self.sync is not None:
            self._complete_at_s = self.sync.record.complete_at_s
        return Freshest(deny_list_at_s, self._complete_at_s or None)

"""A whole terminal but for its devices: journal, keys, clock, bulletins, acceptor, and the link to the city. DESIGN §3.

A composition helper that `pos_app` and `bus_validator` share. It builds no driver, shows nothing, and decides nothing.
Opening it imports nothing that only the link needs: a terminal decides before it can sync. `link` brings the exchange
machine, and the uplink brings TLS and HTTP with the first exchange.
"""

import os
from collections.abc import Collection
from pathlib import Path
from time import monotonic, sleep
from typing import TYPE_CHECKING, NamedTuple

from offline_ledger.errors import (
    BulletinMissing,
    DenyListLost,
    DeviceBlocked,
    JournalInUse,
    JournalLost,
    Refusal,
    TerminalRevoked,
)
from offline_ledger.files import write_atomically
from offline_ledger.protocol import cose
from offline_ledger.protocol.city import Bulletin, BulletinKind
from offline_ledger.protocol.device import DeviceCertificate, DeviceRole
from offline_ledger.protocol.kinds import Kind
from offline_ledger.rules.clock import TimeNow
from offline_ledger.rules.limits import Limits
from offline_ledger.terminal.acceptor import Acceptor, Identity
from offline_ledger.terminal.bulletins import BulletinStore
from offline_ledger.terminal.clock_keeper import ClockKeeper
from offline_ledger.terminal.conditions import Freshest, TerminalConditions
from offline_ledger.terminal.deny_list import DenyList
from offline_ledger.terminal.evidence import EvidenceReader
from offline_ledger.terminal.journal import Journal
from offline_ledger.terminal.journal_mark import JournalMark
from offline_ledger.terminal.own_certificate import OwnCertificate
from offline_ledger.terminal.own_files import OwnFile, check_enrolled, check_role, files_of, why_unreadable
from offline_ledger.terminal.own_identity import DeviceFiles, open_provisioned
from offline_ledger.terminal.ports import Clock, Entropy
from offline_ledger.terminal.sync_record import SyncRecord, load_record

if TYPE_CHECKING:
    from offline_ledger.terminal.sync import SyncMachine

IN_USE_STEP_S = 0.05


class StationSettings(NamedTuple):
    """Who this terminal is and where it keeps its own."""

    city: str
    device: str
    role: DeviceRole
    files: DeviceFiles
    journal: Path
    deny_list: Path
    """A folder: the list and its changes."""
    program_version: str
    in_use_s_max: float = 0.0
    """So long somebody else may still have the journal."""


class Station:
    """One terminal, open. Close it to make waiting events durable."""

    def __init__(self, settings: StationSettings, machine_clock: Clock, limits: Limits) -> None:
        """Raises NotProvisioned, KeyLost, CertificateLost, TrustListLost, KeyFileUnsafe, DeviceCertificateInvalid,
        DeviceRoleWrong, TrustChainBroken, DenyListLost, and what `Journal.open` raises."""
        check_enrolled(settings.files, settings.journal)
        who = open_provisioned(settings.files, settings.city, settings.device)
        check_role(who.certificate, settings.role)
        self.own_certificate = OwnCertificate(
            settings.files.certificate, who.certificate, who.certificate_raw, who.trust
        )
        self.limits = limits
        self.trust = who.trust
        self.mark = JournalMark(settings.journal, settings.files.certificate, who.key_id)
        self.mark.check_there()
        self.journal = _open_journal(settings)
        self.mark.check_reached(self.journal.tail.sequence)
        self.keeper = ClockKeeper(self.journal, machine_clock, limits, who.certificate.not_before_s)
        self.bulletins = BulletinStore(settings.city, self.trust, self.journal, self.keeper)
        self.deny = _open_deny_list(settings.deny_list)
        self._was_list_lost = self.bulletins.is_deny_list_lost(self.deny.counter)
        self.sync: SyncMachine | None = None
        self._lost: JournalLost | None = None
        self._who, self._settings, self._machine_clock = who, settings, machine_clock
        self._record = load_record(self.journal)
        self.conditions = TerminalConditions(
            self.keeper, limits, lambda: self.certificate, self.deny.is_denied, self._freshest, self._check_standing
        )
        identity = Identity(settings.city, settings.device, who.certificate.owner, who.key_id)
        reader = EvidenceReader(settings.city, self.trust)
        self.acceptor = Acceptor(identity, self.journal, who.signer, reader, self.conditions, limits, os.urandom)

    @property
    def certificate(self) -> DeviceCertificate:
        """The one in use; a newer one may take its place after any exchange."""
        return self.own_certificate.held

    @property
    def key_id(self) -> bytes:
        """Of the device's key."""
        return self._who.key_id

    def sign(self, kind: Kind, payload: bytes) -> bytes:
        """An object of this device's own, signed by its key."""
        aad = cose.external_aad(kind, self._settings.city)
        return cose.sign1(payload, aad, self._who.key_id, self._who.signer.sign).raw

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
            told_end=self._told_end,
            certificate=self.own_certificate,
        )
        self.sync = SyncMachine(parts, self._machine_clock.mono_ms(), PaceSettings(interval_ms=interval_ms))
        return self.sync

    def check_journal(self) -> None:
        """While running. Raises JournalLost when the journal was removed or replaced, or ends before the city's."""
        if self._lost is not None:
            raise self._lost
        self.mark.check_same_file()

    def deny_list_trouble(self) -> Refusal | None:
        """A list that was taken is not the one in use: no code is taken until the city has sent it again."""
        if self.deny.damage is not None:
            return self.deny.damage
        if self._was_list_lost and not self.bulletins.is_deny_list_lost(self.deny.counter):
            self._was_list_lost = False  # fetched again; from here on only damage can take it away
        return DenyListLost("not there at the start") if self._was_list_lost else None

    def own_files(self, settings_file: Path, ca_file: Path) -> tuple[OwnFile, ...]:
        """What to watch while it runs."""
        mine = self._settings
        return files_of(mine.files, self._who.signer, settings_file, ca_file, mine.deny_list, self.deny)

    def keep_files(self, lost: Collection[str]) -> None:
        """Writes again what went away under us and is ours to write: certificate, city keys, deny list; `lost` names
        those whose loss was told. On the sync thread, which alone changes them. Never the key: nobody writes that a
        second time. Raises StorageFull, StorageFailed."""
        files = self._settings.files
        if "certificate" in lost and why_unreadable(files.certificate) is not None:
            write_atomically(files.certificate, self.own_certificate.raw)
        if "trust_list" in lost and why_unreadable(files.trust_list) is not None:
            write_atomically(files.trust_list, self.trust.held.raw)
        if "deny_list" in lost or "deny_list_changes" in lost:
            self.deny.keep_files()

    def close(self) -> None:
        """Lets go of the journal. May raise StorageFull or StorageFailed."""
        self.journal.close()

    def _freshest(self) -> Freshest:
        deny_list_at_s = self.bulletins.deny_list_as_of_s(self.deny.counter)  # None too for a list found damaged
        return Freshest(deny_list_at_s, self._newest_record().complete_at_s or None)

    def _newest_record(self) -> SyncRecord:
        return self.sync.record if self.sync is not None else self._record

    def _told_end(self, sequence: int) -> None:
        """On the sync thread: our journal ends before what the city has of ours. No light from here on, and by the mark
        none after a power cut either. Raises StorageFull, StorageFailed."""
        self._lost = JournalLost(f"the city has vouchers to {sequence}")
        self.mark.move(sequence)

    def _check_standing(self, sequence: int, at: TimeNow) -> None:
        """A revoked terminal is not paid beyond the named sequence; a blocked one, or one whose certificate has ended,
        only after a review; one that signs its numbers a second time never."""
        if self._lost is not None:
            raise self._lost
        revoked_after = self.trust.revoked_after(self.certificate.device)
        if revoked_after is not None and sequence > revoked_after:
            raise TerminalRevoked(f"after {revoked_after}")
        first_held = self._newest_record().first_held
        if first_held:
            raise DeviceBlocked(f"held from {first_held}")
        self.own_certificate.check_not_ended(at)


def _open_journal(settings: StationSettings) -> Journal:
    until_s = monotonic() + settings.in_use_s_max
    while True:
        try:
            return Journal.open(settings.journal, device_id=settings.device)
        except JournalInUse:
            if monotonic() >= until_s:
                raise
            sleep(IN_USE_STEP_S)


def _open_deny_list(folder: Path) -> DenyList:
    try:
        folder.mkdir(exist_ok=True)
        return DenyList.open(folder)
    except OSError as error:
        raise DenyListLost(f"{folder}: {error.strerror}") from error

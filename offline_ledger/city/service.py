"""What the city answers, apart from HTTP: bytes in, bytes out, numbered refusals. DESIGN §7, §8.

A restored ledger signs nothing of its own before `recover`: no acks, allowances, statements, certificates or deny
lists. It still gives out what was signed before, and the time. Never parses a header or opens a socket.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from offline_ledger.city import allowances, bulletins, enrolment, first_bulletins, recover, trust
from offline_ledger.city.ingest import Ingest
from offline_ledger.city.keys import CityKeys
from offline_ledger.city.log import Log, read_checkpoint
from offline_ledger.city.settings import CitySettings
from offline_ledger.city.signing import Signing
from offline_ledger.city.store import Store
from offline_ledger.city.wallet_desk import NOBODY, Caller, WalletDesk
from offline_ledger.errors import CityClockWrong, Malformed, NoSuchAddress, RecoveryNeeded, UnknownDevice
from offline_ledger.protocol import cbor, city, cose
from offline_ledger.protocol.answer import read_enrolment
from offline_ledger.protocol.city import KeyRole, TimeAnswer
from offline_ledger.protocol.device import DeviceRole
from offline_ledger.protocol.fields import fixed, text
from offline_ledger.protocol.kinds import Kind
from offline_ledger.protocol.wallet import ID_CHARACTERS_MAX, NONCE_BYTES
from offline_ledger.rules.limits import Limits

log = logging.getLogger("kgo.city")
LISTS_BYTES_MAX = 1_000_000
"""Of one answer with trust lists; terminals take four times a city object."""


@dataclass(frozen=True, slots=True)
class Service:
    """One city's service; several threads may call it. `now_s`: the city's own clock, to sign and post by; `read_s`: to
    look up by. `is_settling`: after a long pause, what cannot be undone waits."""

    settings: CitySettings
    store: Store
    signing: Signing
    ingest: Ingest
    desk: WalletDesk
    limits: Limits
    now_s: Callable[[], int]
    read_s: Callable[[], int]
    is_settling: Callable[[], bool] = lambda: False

    @property
    def keys(self) -> CityKeys:
        """The city's signers."""
        return self.signing.keys

    def trust_lists(self, after_version: int) -> bytes:
        """CBOR list of the signed lists after a version, in order."""
        return cbor.encode(trust.lists_after(self.store, after_version, LISTS_BYTES_MAX))

    def bulletins(self, have: str) -> bytes:
        """CBOR list: per kind one signed bulletin above what the device has. Denials since the last list are in it."""
        held = bulletins.read_have(have)
        if self._may_sign():
            bulletins.publish_deny_list(self.store, self.keys.bulletin, self.now_s())
        return cbor.encode(bulletins.newer_than(self.store, held, self.read_s()))

    def deny_list(self, counter: int) -> bytes:
        """The whole list. Raises NoSuchAddress for a counter that is not kept."""
        found = bulletins.full_deny_list(self.store, counter)
        if found is None:
            raise NoSuchAddress(f"deny list {counter}")
        return found

    def batches(self, body: bytes) -> bytes:
        """The answer to one upload. Its batch head may be the last word that a new key has waited for."""
        answer = self.ingest.ingest(body, self.now_s())
        self._settle_keys()
        return answer

    def time(self, body: bytes) -> bytes:
        """The signed time for a device's nonce. Raises UnknownDevice, Malformed."""
        asked = cbor.decode(body, 128)
        if not isinstance(asked, dict) or set(cast(dict[object, object], asked)) != {1, 2}:
            raise Malformed("time")
        found = cast(dict[int, object], asked)
        device_id = cast(str, text(ID_CHARACTERS_MAX)(found[1]))
        nonce = cast(bytes, fixed(NONCE_BYTES)(found[2]))
        if not self.store.one("SELECT 1 FROM devices WHERE device = ?", (device_id,)):
            raise UnknownDevice(device_id)
        answer = city.TIME_ANSWER.encode(TimeAnswer(device_id, nonce, self.now_s()))
        aad = cose.external_aad(Kind.TIME_ANSWER, self.store.city)
        return cose.sign1(answer, aad, self.keys.ack.key_id, self.keys.ack.sign).raw

    def wallet(self, body: bytes, caller: Caller = NOBODY) -> bytes:
        """The answer to a wallet."""
        recover.check_may_sign(self.store, self.settings.checkpoint)
        return self.desk.answer(body, self.now_s(), caller)

    def enrol(self, token: str, body: bytes) -> bytes:
        """Certificate and trust lists for a new device, and what it needs before its first sync."""
        recover.check_may_sign(self.store, self.settings.checkpoint)
        store, now_s = self.store, self.now_s()
        answer = enrolment.enrol_by_token(store, self.keys.device_ca, token, body, now_s)
        role = DeviceRole(read_enrolment(body, store.city).role)
        return first_bulletins.with_first(store, self.keys.bulletin, answer, role, now_s, first_bulletins.fits_online)

    def certificate(self, device: str) -> bytes:
        """A terminal's newest certificate, for whoever holds its receipt; a revoked one's too. Raises NoSuchAddress."""
        row = self.store.one("SELECT certificate FROM devices WHERE device = ?", (device,))
        if row is None:
            raise NoSuchAddress(f"certificate of {device[:ID_CHARACTERS_MAX]}")
        return row[0]

    def checkpoint(self) -> bytes:
        """The newest head that is also recorded outside the database, signed by the log key: what is signed here, no
        restore can make us forget. A restored ledger signs none."""
        recover.check_may_sign(self.store, self.settings.checkpoint)
        kept = Log(self.store)
        head = read_checkpoint(self.settings.checkpoint) or kept.head()
        lost = kept.begun_after()
        begun_after = (lost.size, lost.root) if lost is not None else None
        made = city.LogCheckpoint(self.store.city, head.size, head.root, self.now_s(), begun_after)
        aad = cose.external_aad(Kind.LOG_CHECKPOINT, self.store.city)
        signer = self.keys.log
        return cose.sign1(city.LOG_CHECKPOINT.encode(made), aad, cose.key_id_of(signer.point), signer.sign).raw

    def consistency(self, old_size: int, size: int) -> bytes:
        """CBOR list of the hashes of one consistency proof. Raises NotInLog."""
        with self.store.snapshot():
            return cbor.encode(list(Log(self.store).proof_between(old_size, size)))

    @property
    def chores(self) -> tuple[Callable[[], None], ...]:
        """What is due now and then: new keys take over, reserves past their time go back, the deny list is dated anew,
        and what a leaked key had signed is signed again. None needs another to have worked; a restored ledger does
        none."""
        work = (self._settle_keys, self._sign_again, self._release_due, self._date_deny_list)
        return work if self._may_sign() and not self.is_settling() else ()

    def _sign_again(self) -> None:
        """A restore brings back bulletins by a key that was found to have leaked since: no terminal takes them."""
        named, now_s = self.signing.book.of_role(KeyRole.BULLETIN), self.now_s()
        leaked = frozenset(cose.key_id_of(key.point) for key in named if key.trusted.is_revoked)
        is_sound = cose.key_id_of(self.keys.bulletin.point) not in leaked
        if leaked and is_sound and bulletins.is_signed_by(self.store, leaked, now_s):
            bulletins.sign_again(self.store, self.keys.bulletin, now_s)

    def _release_due(self) -> None:
        allowances.release_due(self.store, self.limits, self.now_s())

    def _date_deny_list(self) -> None:
        bulletins.publish_deny_list(self.store, self.keys.bulletin, self.now_s())

    def _settle_keys(self) -> None:
        if self.is_settling():  # a device that reports in these minutes changes nothing yet
            return
        for key in self.signing.settle(self.now_s()):
            said = {"role": key.role.name.lower(), "key_id": cose.key_id_of(key.point).hex()}
            log.info("a new key signs", extra={"fields": said})

    def _may_sign(self) -> bool:
        try:
            recover.check_may_sign(self.store, self.settings.checkpoint)
            self.now_s()
        except (RecoveryNeeded, CityClockWrong):
            return False
        return True

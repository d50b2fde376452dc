"""What an honest terminal's days and shifts share: acceptor, journal and caps of its own, people, and the real city."""

import random
from typing import cast

from offline_ledger.protocol.device import ClockTrust, DeviceCertificate
from offline_ledger.rules.clock import TimeNow
from offline_ledger.rules.limits import Limits
from offline_ledger.terminal.acceptor import Acceptor, Identity
from offline_ledger.terminal.clock_keeper import ClockKeeper
from offline_ledger.terminal.conditions import Freshest, TerminalConditions
from offline_ledger.terminal.evidence import EvidenceReader
from tests.city import town as real
from tests.terminal.city_in_test import CITY, DEVICE, DEVICE_TEST_ONLY
from tests.terminal.desk_card import DeskCard
from tests.terminal.sync_pair import Pair

VALUE_KGO = 2_000_000


class Fresh(TerminalConditions):
    """Of a terminal that is never stale, with the caps that the city counts by; its time is set by hand."""

    def __init__(self, now: TimeNow) -> None:
        certificate = DeviceCertificate(CITY, DEVICE, 2, "", b"", 0, 0, VALUE_KGO, 24)
        super().__init__(
            cast(ClockKeeper, self),  # it is asked for the time alone
            Limits(),
            lambda: certificate,
            lambda _pass_id: False,
            lambda: Freshest(self.now.at_s, self.now.at_s),
            lambda _sequence, _at: None,
        )
        self.now = now

    def time(self) -> TimeNow:
        return self.now


class HonestTerminal:
    """One of `owner`, with so many phones and as many cards around it."""

    def __init__(self, pair: Pair, rng: random.Random, owner: str, phones: int) -> None:
        self.pair, self.rng, self._owner = pair, rng, owner
        self.conditions = Fresh(TimeNow(real.NOW_S, ClockTrust.SYNCED, 0))
        self.phones = pair.desk.wallets[:phones]
        self.cards = [DeskCard(held) for held in pair.desk.wallets[phones : 2 * phones]]
        self.acceptor = self._made()

    @property
    def now_s(self) -> int:
        return self.conditions.now.at_s

    def restart(self) -> None:
        """A power cut."""
        self.pair.desk.restart()
        self.acceptor = self._made()

    def pass_s(self, seconds: int) -> None:
        self.conditions.now = TimeNow(self.now_s + seconds, ClockTrust.SYNCED, 0)
        self.pair.desk.clock.advance(ms=seconds * 1_000)
        self.tick()

    def tick(self) -> None:
        self.acceptor.tick(self.pair.desk.clock.mono_ms())

    def exchange(self) -> None:
        self.pair.exchange()

    def settle(self) -> None:
        """Every wait ends, and everything is sent."""
        self.pair.desk.clock.advance(ms=Limits().unratified_s * 1_000)
        self.tick()
        self.pair.exchange(4)

    def _made(self) -> Acceptor:
        desk = self.pair.desk
        identity = Identity(CITY, DEVICE, self._owner, DEVICE_TEST_ONLY.key_id)
        reader = EvidenceReader(CITY, real.CityKeys())
        return Acceptor(identity, desk.journal, DEVICE_TEST_ONLY, reader, self.conditions, Limits(), desk.rng.randbytes)

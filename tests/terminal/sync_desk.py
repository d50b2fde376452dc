"""A terminal's whole sync side on a desk: real journal, trust file, bulletins, machine; the test is the link."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from offline_ledger.errors import CityUnreachable, Refusal
from offline_ledger.protocol import cose, device, wallet
from offline_ledger.protocol.deny_list import encode_ids, list_sum
from offline_ledger.protocol.device import ClockTrust, EventKind, Voucher, VoucherKind
from offline_ledger.protocol.kinds import Kind
from offline_ledger.protocol.wallet import Audience, Presentment
from offline_ledger.rules.civil import civil_day
from offline_ledger.rules.limits import Limits
from offline_ledger.terminal.bulletins import BulletinStore
from offline_ledger.terminal.clock_keeper import ClockKeeper
from offline_ledger.terminal.deny_list import DenyList
from offline_ledger.terminal.journal import Journal
from offline_ledger.terminal.journal_rows import PassState, VoucherRow
from offline_ledger.terminal.own_certificate import OwnCertificate
from offline_ledger.terminal.own_identity import check_certificate
from offline_ledger.terminal.ports import CityAnswer, CityRequest
from offline_ledger.terminal.sync import SyncMachine, SyncParts
from offline_ledger.terminal.sync_batches import Sender
from offline_ledger.terminal.sync_phases import Phase
from offline_ledger.terminal.trust import TrustStore
from simulators.clock import FakeClock
from tests.terminal.city_in_test import CITY, DEVICE, DEVICE_TEST_ONLY, NOW_S, CityInTest, certificate
from tests.terminal.desk import DeskWallet, issue

REQUESTS_MAX = 400


def deny_body(
    ids: set[bytes], base: int = 0, adds: set[bytes] | None = None, removes: set[bytes] | None = None
) -> dict[int, object]:
    """Body of a deny-list bulletin: the list `ids`, and how to come there from the list `base`."""
    return {1: list_sum(ids), 2: len(ids), 3: NOW_S, 4: base, 5: encode_ids(adds or ()), 6: encode_ids(removes or ())}


@dataclass
class SyncDesk:
    """Everything that one terminal syncs with; `open` again to restart it from what is durable."""

    folder: Path
    rng: random.Random
    clock: FakeClock = field(default_factory=lambda: FakeClock(NOW_S))
    wallets: list[DeskWallet] = field(default_factory=list[DeskWallet])
    new_city: Callable[[Callable[[], int]], CityInTest] = CityInTest
    ends_told: list[int] = field(default_factory=list[int])

    def __post_init__(self) -> None:
        self.city = self.new_city(lambda: self.clock.wall_s())
        self.trust_file = self.folder / "trust-list"
        TrustStore.provision(self.trust_file, CITY, self.city.lists)
        self.certificate_file = self.folder / "device.cert"
        if not self.certificate_file.exists():
            self.certificate_file.write_bytes(certificate(DEVICE_TEST_ONLY.point))
        self.open()

    def open(self) -> None:
        """As after a start of the program."""
        self.journal = Journal.open(self.folder / "journal.db", device_id=DEVICE)
        self.trust = TrustStore.open(self.trust_file, CITY)
        self.keeper = ClockKeeper(self.journal, self.clock, Limits(), NOW_S - 5000)
        self.bulletins = BulletinStore(CITY, self.trust, self.journal, self.keeper)
        self.deny = DenyList.open(self.folder)
        raw = self.certificate_file.read_bytes()
        held = check_certificate(raw, self.trust.held, CITY, DEVICE, DEVICE_TEST_ONLY.point)
        self.certificate = OwnCertificate(self.certificate_file, held, raw, self.trust)
        sender = Sender(CITY, DEVICE, DEVICE_TEST_ONLY.key_id, DEVICE_TEST_ONLY)
        self.parts = SyncParts(
            sender, self.journal, self.trust, self.bulletins, self.deny, self.keeper, self.rng.randbytes, "0.1.0",
            self.certificate, self.ends_told.append,
        )  # fmt: skip
        self.machine = SyncMachine(self.parts, self.clock.mono_ms())

    def restart(self) -> None:
        """The program ends between two statements and starts again."""
        self.journal.close()
        self.open()

    def close(self) -> None:
        self.journal.close()

    # --- selling

    def sell(self, count: int, *, passes: int = 40) -> None:
        """Boardings with real presentments by a few wallets, as an acceptor would journal them."""
        while len(self.wallets) < passes:
            self.wallets.append(issue(len(self.wallets) + 1000, reserve_kgo=10**9))
        for _ in range(count):
            tail = self.journal.tail
            rider = self.wallets[tail.sequence % len(self.wallets)]
            rider.next()
            at_s = self.clock.wall_s() + self.rng.randrange(2)
            shown = Presentment(
                rider.allowance.identity, rider.n, rider.sum_kgo, rider.last_kgo, Audience.TRANSIT, at_s, 30
            )
            presented = cose.sign1(
                wallet.PRESENTMENT.encode(shown), cose.external_aad(Kind.PRESENTMENT, CITY), rider.key.key_id,
                rider.key.sign,
            )  # fmt: skip
            made = Voucher(
                DEVICE, tail.sequence + 1, tail.identity, at_s, ClockTrust.SYNCED, VoucherKind.BOARDING, 5_000, 100,
                presented.identity, "base", (1, 1), {2: "10", 3: f"stop-{self.rng.randrange(40)}", 4: "10-0715"},
                None, None,
            )  # fmt: skip
            signed = cose.sign1(
                device.VOUCHER.encode(made), cose.external_aad(Kind.VOUCHER, CITY), DEVICE_TEST_ONLY.key_id,
                DEVICE_TEST_ONLY.sign,
            )  # fmt: skip
            key = rider.allowance.identity[:8]
            row = VoucherRow(
                sequence=made.sequence, previous=made.previous, identity=signed.identity, voucher=signed.raw,
                wallet_object=presented.raw, allowance_hash=rider.allowance.identity, pass_id=key, kgo=5_000,
                thb_satang=100, at_s=at_s, kind=VoucherKind.BOARDING,
            )  # fmt: skip
            state = PassState(
                key, rider.n, rider.sum_kgo, rider.last_kgo, 0, made.sequence, sha256(presented.raw).digest(), at_s,
                NOW_S + 170_000,
            )  # fmt: skip
            self.journal.append(row, state=state, allowance=rider.allowance.raw)
            self.journal.ratify(made.sequence)

    def refuse(self, count: int) -> None:
        """Journaled refusals."""
        day = civil_day(self.keeper.time().at_s)
        for at in range(count):
            self.journal.append_event(EventKind.REFUSAL, bytes([at % 251]) * 40, durable=False, day=day)

    # --- the link

    def step(self) -> CityRequest | None:
        """The request that is due."""
        return self.machine.next_request(self.clock.mono_ms())

    def hear(self, answer: CityAnswer, trip_ms: int = 80) -> None:
        """A complete answer arrives."""
        sent_ms = self.clock.mono_ms()
        self.clock.advance(ms=trip_ms)
        self.machine.hear(answer, sent_ms, self.clock.mono_ms())

    def lose(self, refusal: Refusal | None = None) -> None:
        """No answer arrives."""
        self.machine.lose(refusal or CityUnreachable("cut"), self.clock.mono_ms())

    def wait_due(self) -> None:
        """Time passes until the machine wants something."""
        self.clock.advance(ms=self.machine.due_in_ms(self.clock.mono_ms()))

    def exchange(self, stop_at: Phase | None = None) -> int:
        """One whole exchange with the honest city (or until a phase is reached); how many requests it took."""
        self.wait_due()
        for count in range(REQUESTS_MAX):
            request = self.step()
            if request is None or (stop_at is not None and self.machine.phase is stop_at):
                return count
            self.hear(self.city.answer(request))
        raise AssertionError("the exchange never ends")

    def until(self, phase: Phase) -> CityRequest:
        """The first request of a phase, not yet carried."""
        self.exchange(stop_at=phase)
        request = self.step()
        assert request is not None
        return request

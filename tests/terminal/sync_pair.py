"""One terminal's sync side and the city's real ingest; the test is the link between them. DESIGN §7."""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from offline_ledger.city.log import Log
from offline_ledger.city.renewal import Renewal
from offline_ledger.protocol.city import KeyRole
from offline_ledger.protocol.device import DeviceRole, StateKey
from tests.city import town as real
from tests.city.town import Town
from tests.terminal.city_in_test import DEVICE, DEVICE_TEST_ONLY, ROLES, CityInTest, keys_of, trust_list
from tests.terminal.desk import DeskWallet
from tests.terminal.sync_desk import SyncDesk


class CityWithLedger(CityInTest):
    """The city in the test with the real ingest behind `/v1/batches`."""

    def __init__(self, now_s: Callable[[], int], town: Town) -> None:
        super().__init__(now_s)
        self.town = town
        self.ack_key = real.ACK_TEST_ONLY
        rows = keys_of(*ROLES[:3], (KeyRole.ACK, real.ACK_TEST_ONLY), (KeyRole.DEVICE_CA, real.CA_TEST_ONLY))
        first, self.list_hash = trust_list(keys=rows)
        self.lists = [first]
        self.rows = rows

    def _batch(self, body: bytes) -> bytes:
        return self.town.ingest.ingest(body, self.now_s())

    def raise_list(self) -> None:
        """A trust list of a higher version, as the roots sign it after a recovery."""
        lost = Log(self.town.store).begun_after()
        assert lost is not None
        named = (lost.size, lost.root)
        self.add_list(*trust_list(len(self.lists) + 1, self.list_hash, keys=self.rows, lost_log=named))


@dataclass
class Pair:
    """One terminal and the ledger it settles in."""

    desk: SyncDesk
    town: Town

    def posted(self) -> list[tuple[int, int]]:
        """(sequence, how many postings) of the device's vouchers."""
        rows = self.town.store.fetch(
            "SELECT sequence, count(*) FROM postings WHERE device = ? AND reason = (SELECT min(reason) FROM postings"
            " WHERE device = ?) GROUP BY sequence ORDER BY sequence",
            (DEVICE, DEVICE),
        )
        return [(row[0], row[1]) for row in rows]

    def exchange(self, times: int = 1) -> None:
        for _ in range(times):
            self.desk.exchange()

    def sell_over_a_bad_link(self, rng: random.Random, rounds: int, sales_max: int) -> int:
        """Three sales a round up to `sales_max`, one answer in four lost, a restart after one round in four; then the
        link is good. How many it sold: a multiple of three."""
        desk, sold = self.desk, 0
        for _ in range(rounds):
            if sold < sales_max:
                desk.sell(3, passes=0)
                sold += 3
            desk.wait_due()
            request = desk.step()
            while request is not None:
                answer = desk.city.answer(request)
                if rng.randrange(4) == 0:
                    desk.lose()
                else:
                    desk.hear(answer)
                request = desk.step()
            if rng.randrange(4) == 0:
                desk.restart()
        self.exchange(6)
        return sold


@contextmanager
def linked(folder: Path, rng: random.Random, role: DeviceRole = DeviceRole.VALIDATOR) -> Iterator[Pair]:
    """A terminal enrolled in a new town whose people have allowances."""
    town = Town(folder / "city")
    town.terminal(DEVICE, role)
    with town.store.transaction():
        town.store.execute("UPDATE devices SET point = ? WHERE device = ?", (DEVICE_TEST_ONLY.point, DEVICE))
        renewal = Renewal(town.store, real.CA_TEST_ONLY, town.limits)
        raw = renewal.certificate_for(DEVICE, {int(StateKey.CERTIFICATE_FROM_S): real.NOW_S - 1}, real.NOW_S)
    assert raw is not None
    (folder / "bus").mkdir()
    (folder / "bus" / "device.cert").write_bytes(raw)
    desk = SyncDesk(folder / "bus", rng, new_city=lambda now_s: CityWithLedger(now_s, town))
    for _ in range(24):
        rider = town.wallet()
        desk.wallets.append(DeskWallet(rider.key, rider.allowance))
    yield Pair(desk, town)
    desk.close()
    town.store.close()

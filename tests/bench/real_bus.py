"""A validator put together as `kgo-bus` does it, in this process: settings file, Station, Validator and their bus door.

Only the readers of codes and the lamp are left out: a test hands it a text and gets the outcome. Keys are TEST ONLY.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import time

from bus_validator.settings import SETTINGS
from bus_validator.validator import Validator
from offline_ledger.protocol.city import BulletinKind
from offline_ledger.protocol.device import DeviceRole
from offline_ledger.rules.limits import DAY_S
from offline_ledger.terminal.outcome import Outcome
from offline_ledger.terminal.program import MachineClock, Opened, Place, Program, read_terminal_settings
from offline_ledger.terminal.station import Station
from tests.terminal.city_in_test import bulletin
from tests.terminal.desk import DeskWallet, issue
from tests.terminal.provisioned import FARE, provision_bus

FARE_KGO = 100
LIFE_S = 90_000
PROGRAM = Program("kgo-bus", "help.bus", DeviceRole.VALIDATOR, lambda opened: Validator(opened).run(), SETTINGS)


class RealBus:
    """One validator at its trip; its clock is the chip's, as after a start without network."""

    def __init__(self, place: Place) -> None:
        clock = MachineClock()
        self.station: Station = place.station(clock)
        opened = Opened(self.station, place.uplink(clock), clock, place.values, place.settings_file)
        self._validator = Validator(opened)
        self._validator._running._clock.start()

    def tap(self, text: str) -> Outcome:
        """From a code's text to its outcome, by the calls of `Running._decide`."""
        counter = self._validator._door()
        return self.station.acceptor.accept(text, counter)

    def publish(self, kind: BulletinKind, body: dict[int, object]) -> None:
        """The city's second bulletin of this kind, as an exchange would bring it."""
        now_s = int(time())
        held = self.station.bulletins.check(
            bulletin(kind, 2, body=body, issued_at_s=now_s, valid_from_s=now_s - 9, valid_until_s=now_s + 2 * DAY_S)
        )
        assert held is not None
        self.station.bulletins.take(held)


@contextmanager
def real_bus(folder: Path) -> Iterator[RealBus]:
    """Provisioned in `folder`, which may hold a journal and a deny list already, and open while the block runs."""
    folder.mkdir(exist_ok=True)
    settings = provision_bus(folder, int(time()), folder / "no-scanner", fare=FARE._replace(kgo=FARE_KGO))
    bus = RealBus(Place(PROGRAM, read_terminal_settings(PROGRAM, settings), settings.resolve()))
    try:
        yield bus
    finally:
        bus.station.close()


def riders(first: int, count: int) -> list[DeskWallet]:
    """Wallets with allowances for these days, as large as the benchmark needs."""
    now_s = int(time())
    return [
        issue(first + number, reserve_kgo=10**8, not_before_s=now_s - 60, expires_at_s=now_s + LIFE_S)
        for number in range(count)
    ]


def codes(held: list[DeskWallet]) -> list[str]:
    """The next code of each, made now."""
    now_s = int(time())
    for rider in held:
        rider.next(FARE_KGO)
    return [rider.code(now_s) for rider in held]

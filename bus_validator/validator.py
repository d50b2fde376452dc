"""The headless validator: codes by scanner or camera, lights as lines on standard output. DESIGN §3.

Commands on standard input: `trip ROUTE TRIP [STOP]`, `sync`, `status`, `quit`.
"""

from bus_validator.boarding import BusDoor, Trip
from offline_ledger.errors import BulletinMissing
from offline_ledger.protocol.city import BulletinKind
from offline_ledger.protocol.device import DeviceRole
from offline_ledger.rules.tariff import Tariff, decode_tariff
from offline_ledger.terminal import program
from offline_ledger.terminal.outcome import Outcome
from offline_ledger.terminal.program import Opened, Program
from offline_ledger.terminal.running import Running


class Validator:
    """One bus: its trip, and the door built anew when trip or tariff change."""

    def __init__(self, opened: Opened) -> None:
        self._station = opened.station
        self._trip = Trip("-", "-", None)
        self._tariff: tuple[tuple[int, int], Tariff] | None = None
        self._running = Running(opened, self._door, self._after, self._obey)

    def run(self) -> int:
        """Until told to stop."""
        return self._running.run()

    def _door(self) -> BusDoor:
        bulletin = self._station.bulletin(BulletinKind.TARIFF)
        if bulletin is None:
            raise BulletinMissing("tariff")
        if self._tariff is None or self._tariff[0] != bulletin.version:
            self._tariff = (bulletin.version, decode_tariff(bulletin.body))
        return BusDoor(self._trip, self._tariff[1], bulletin.version, self._station.limits.pass_back_s)

    def _after(self, outcome: Outcome) -> None:
        pass  # the lamp has said all; the next passenger may tap at once

    def _obey(self, words: list[str]) -> None:
        if words[0] == "trip" and len(words) in (3, 4):
            self._trip = Trip(words[1][:32], words[2][:32], words[3][:32] if len(words) == 4 else None)
            self._running.lamp.say(trip=self._trip.trip, route=self._trip.route)
        else:
            self._running.lamp.say(unknown_command=words[0])


def run(arguments: list[str]) -> int:
    """The program `kgo-bus`. Returns the exit code."""
    return program.main(
        Program("kgo-bus", "help.bus", DeviceRole.VALIDATOR, lambda opened: Validator(opened).run()), arguments
    )

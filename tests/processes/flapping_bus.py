"""A validator with its head and screen whose network comes and goes several times a minute. Keys are TEST ONLY.

The city answers over real HTTPS behind the fault proxy; the validator is the traced one, so that a test can tell what
each tap took. Chance comes from the given source.
"""

import contextlib
import random
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread

from offline_ledger.terminal.signers.key_file import open_key_file
from simulators.demo.processes import PYTHON
from simulators.fault_link import Mode, Plan
from simulators.fault_proxy import FaultProxy
from tests.processes.full_bus import FullBus, full_bus
from tests.terminal.city_in_test import CityInTest, DeviceInTest
from tests.terminal.https_city import HttpsCity, make_authority, server_context
from tests.terminal.provisioned import DEVICE

NOBODY = "https://127.0.0.1:9"
STAYS_S = 0.2, 1.2
"""How long the network stays as it is."""
PLANS = (
    Plan(),
    Plan(mode=Mode.REFUSE),
    Plan(mode=Mode.BLACK_HOLE),
    Plan(mode=Mode.LOSE_ANSWERS),
    Plan(delay_ms=300),
    Plan(cut_up_bytes=700),
    Plan(cut_down_bytes=300),
)


def start_traced(bus: FullBus, marks: Path) -> None:
    """Starts it with its calls timed (`tests.bench.traced_bus`); returns when it is ready."""
    bus.start((*PYTHON, "tests.bench.traced_bus", str(marks), "--settings", str(bus.settings)))


class Weather:
    """Changes the network until told to clear up."""

    def __init__(self, proxy: FaultProxy, rng: random.Random) -> None:
        self._proxy, self._rng = proxy, rng
        self._ending = Event()
        self.changes = 0
        self._thread = Thread(target=self._change, name="weather", daemon=True)
        self._thread.start()

    def clear_up(self) -> None:
        """From here on the network is whole."""
        self._ending.set()
        self._thread.join()
        self._proxy.apply(Plan())
        self._proxy.reset_links()

    def _change(self) -> None:
        while not self._ending.wait(self._rng.uniform(*STAYS_S)):
            self._proxy.apply(self._rng.choice(PLANS))
            if self._rng.random() < 0.5:
                self._proxy.reset_links()
            self.changes += 1


@contextlib.contextmanager
def flapping_bus(folder: Path, rng: random.Random) -> Iterator[tuple[FullBus, CityInTest, Weather]]:
    """Not started yet; the weather changes already."""
    folder.mkdir(parents=True, exist_ok=True)
    authority = make_authority(folder)
    city = CityInTest(lambda: int(time.time()))
    with (
        HttpsCity(city, server_context(folder, authority)) as server,
        FaultProxy(("127.0.0.1", server.port)) as proxy,
        full_bus(folder, cards=False, settings="[sync]\nrest_s = 1\n") as bus,
    ):
        city.devices[DEVICE] = DeviceInTest(open_key_file(folder / "device.key").point)
        text = bus.settings.read_text().replace(NOBODY, f"https://127.0.0.1:{proxy.port}")
        bus.settings.write_text(text.replace(str(folder / "ca.pem"), str(authority.ca_file)))
        weather = Weather(proxy, rng)
        try:
            yield bus, city, weather
        finally:
            weather.clear_up()

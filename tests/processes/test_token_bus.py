"""A real `kgo-bus` whose key lives in a token: enrolled, tapped, pulled, slowed, killed, synced. Decision 0230.

The city is the real one, and its audit verifies every voucher; the tokens are SoftHSM behind a shim, and swtpm.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import pytest

from offline_ledger.errors import KeyTokenGone
from offline_ledger.terminal.program import EXIT_LATER
from simulators.demo.city import free_port
from simulators.demo.desk import BUS, Desk
from simulators.demo.processes import DeadlinePassed, wait_until
from simulators.demo.story import GREEN
from simulators.demo.town import Town
from simulators.token.soft_token import SoftToken, SoftTpm
from tests.processes.quick_city import QuickCity
from tests.processes.test_kill import Crowd, kill_in_accept, start_again, start_trip
from tests.processes.tills import settle, show

TPM_MODULES = Path("/usr/lib").glob("*/libtpm2_pkcs11.so.1")
PIN = "246810"
LIGHT_S_MAX = 2.0
"""On a machine that runs other tests beside."""


def key_settings(module: Path, folder: Path) -> str:
    pin = folder / "pin"
    pin.write_text(f"{PIN}\n")
    pin.chmod(0o600)
    return f'[key]\nkind = "pkcs11"\nmodule = "{module}"\ntoken = "kgo-bus"\nlabel = "kgo"\npin_file = "{pin}"\n'


@contextmanager
def token_town(folder: Path, seed: int, more: str) -> Iterator[tuple[Crowd, Desk]]:
    with Town(folder, seed, QuickCity) as town:
        town.found()
        bus = town.add_desk(BUS, "bus-of-test", "city-bus", has_camera=False, more=more)
        town.wait_synced()
        start_trip(bus)
        yield Crowd(town), bus
        bus.wait_synced()
        assert not (bus.folder / "device.key").exists(), "no key in any file"
        assert settle(town).accepted >= 1


@pytest.fixture
def token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SoftToken:
    made = SoftToken(tmp_path / "hsm")
    made.add("kgo-bus", PIN)
    for name, value in made.environment.items():
        monkeypatch.setenv(name, value)
    return made


@pytest.mark.timeout(300)
def test_a_bus_with_its_key_in_a_token(
    tmp_path: Path, seed: int, rng: Random, token: SoftToken, slice_of: Callable[[int, int], int]
) -> None:
    with token_town(tmp_path / "town", seed, key_settings(token.module, tmp_path)) as (crowd, bus):
        assert show(bus, crowd.next(bus))["light"] in GREEN
        logins = token.logins
        token.say("slow=100")
        for _ in range(slice_of(20, 3)):
            began_s, person = time.monotonic(), crowd.next(bus)
            bus.program.tell("sync")  # which signs too
            assert show(bus, person)["light"] in GREEN
            assert time.monotonic() - began_s < LIGHT_S_MAX
        token.pull()
        person, mark = crowd.next(bus), bus.program.mark()
        said = show(bus, person)
        assert (said["light"], said["refusal"]) == ("out_of_service", KeyTokenGone.number), said
        bus.program.wait_for(lambda said: said.get("trouble") == "key", mark, "the trouble")
        token.plug()
        bus.program.wait_for(lambda said: said.get("trouble_over") == "key", mark, "the end of the trouble")
        bus.program.wait_for(lambda said: said.get("light") == "wait", mark, "the door to open again")
        assert show(bus, person)["light"] in GREEN, "the same intent, once"
        counts: Counter[str] = Counter()
        for _ in range(slice_of(30, 1)):
            kill_in_accept(bus, crowd.next(bus), rng, counts)
        bus.program.kill()
        token.pull()
        with pytest.raises(DeadlinePassed):
            bus.start()
        wait_until(lambda: bus.program.exit_code == EXIT_LATER, "the end that a service manager tries again after")
        bus.program.kill()  # and its pipes
        token.plug()
        start_again(bus)
        assert show(bus, crowd.next(bus))["light"] in GREEN
        assert token.logins > logins, "each start logs in once"


@pytest.mark.timeout(300)
def test_a_bus_with_its_key_in_a_tpm(
    tmp_path: Path, seed: int, soak: bool, rng: Random, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the soak the TPM loses its power and the bus is killed; in `make test` the key is made and used once."""
    (module,) = TPM_MODULES
    with SoftTpm(tmp_path / "tpm", free_port(), module) as tpm:
        for name, value in tpm.environment.items():
            monkeypatch.setenv(name, value)
        tpm.add("kgo-bus", PIN)
        with token_town(tmp_path / "town", seed, key_settings(module, tmp_path)) as (crowd, bus):
            assert show(bus, crowd.next(bus))["light"] in GREEN
            if not soak:
                return
            tpm.cut()
            person = crowd.next(bus)
            assert show(bus, person)["refusal"] == KeyTokenGone.number
            tpm.start()
            wait_until(lambda: show(bus, person)["light"] in GREEN, "the TPM to be found again", step_s=1.0)
            for _ in range(10):  # the power cut takes both; the kernel's resource manager (/dev/tpmrm0) is not here
                bus.begin_show(crowd.next(bus).code())
                time.sleep(rng.uniform(0, 0.2))  # anywhere around the decision
                bus.program.kill()
                tpm.cut()
                tpm.start()
                start_again(bus)
                assert show(bus, crowd.next(bus))["light"] in GREEN

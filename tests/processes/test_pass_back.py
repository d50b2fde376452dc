"""The city sets pass-back, and a validator that runs obeys it with its next sync. DESIGN §5, §9."""

import json
import time
from pathlib import Path

from offline_ledger.city.bulletin_files import read_bulletin
from offline_ledger.errors import PassBack
from offline_ledger.protocol.city import BulletinKind
from offline_ledger.rules.limits import HOUR_S
from offline_ledger.terminal.signers.key_file import open_key_file
from offline_ledger.texts import Texts
from simulators.demo.processes import wait_until
from tests.processes.lone_bus import CHEAP_KGO, LoneBus, lone_bus, rider
from tests.terminal.city_in_test import CityInTest, DeviceInTest, bulletin
from tests.terminal.https_city import HttpsCity, make_authority, server_context
from tests.terminal.provisioned import DEVICE

PRODUCT = {"product_id": "cheap", "kind": 1, "name_th": "รถ", "name_en": "Bus", "kgo": "1.00", "thb": "1.00"}


def tariff(counter: int, **more: int) -> bytes:
    """The operator's file, signed and published."""
    file, now_s = json.dumps({"products": [PRODUCT], **more}).encode(), int(time.time())
    body = read_bulletin(BulletinKind.TARIFF, file, "tariff.json", Texts("en"))
    return bulletin(
        BulletinKind.TARIFF, counter, body=body, issued_at_s=now_s, valid_from_s=now_s - 1, valid_until_s=now_s + HOUR_S
    )


def rides_twice(bus: LoneBus, secret: int) -> object:
    """What a new wallet is told when it comes a second time at once."""
    held = rider(secret, CHEAP_KGO)
    bus.tap(held)
    held.next(CHEAP_KGO)
    said = bus.tap(held)
    return said.get("refusal", said["light"])


def test_a_running_validator_takes_pass_back_from_the_city_and_gives_it_up_again(tmp_path: Path) -> None:
    authority = make_authority(tmp_path)
    city = CityInTest(lambda: int(time.time()))
    folder = tmp_path / "bus"
    folder.mkdir()
    wallets = iter(range(1, 1_000))
    with (
        HttpsCity(city, server_context(tmp_path, authority)) as server,
        lone_bus(folder, url=server.url, ca_file=authority.ca_file) as bus,
    ):
        city.devices[DEVICE] = DeviceInTest(open_key_file(folder / "device.key").point)
        bus.start()
        for counter, more, told in ((2, {"pass_back_s": 300}, PassBack.number), (3, {}, "accepted_cash_due")):
            city.publish(tariff(counter, **more))
            bus.program.tell("sync")
            wait_until(lambda told=told: rides_twice(bus, next(wallets)) == told, f"tariff {counter}", step_s=0.1)
            if more:
                held = rider(next(wallets), CHEAP_KGO)
                assert bus.tap(held)["light"] == "accepted_cash_due"
                held.next(CHEAP_KGO)
                mark = bus.program.mark()
                bus.program.tell("companion")
                bus.program.wait_for(lambda said: "companion" in said, mark, "the button")
                assert bus.tap(held)["light"] == "accepted_cash_due", "paid for on purpose"

"""What stands between a terminal and its city or disk is told beside the lights, and when asked. DESIGN §1, §7.

A real `kgo-bus` over HTTPS: what the city said when it refused, and the troubles of journal and sync in the status.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from offline_ledger.errors import CityRefused, CityUnreachable, DeviceBlocked, StorageFailed, UnknownDevice
from offline_ledger.protocol import cbor
from offline_ledger.protocol.city import Outcome
from offline_ledger.terminal.ports import CityAnswer, CityRequest
from offline_ledger.terminal.signers.key_file import open_key_file
from simulators.demo.processes import Said, wait_until
from tests.processes.lone_bus import LoneBus, lone_bus, rider
from tests.terminal.city_in_test import CityInTest, DeviceInTest
from tests.terminal.https_city import HttpsCity, make_authority, server_context
from tests.terminal.provisioned import DEVICE

GREEN = "accepted_cash_due"
SAID_CHARACTERS_MAX = 80


class RudeCity(CityInTest):
    """Answers a batch with these bytes instead of a refusal of its own, while there are any."""

    rude: bytes | None = None

    def answer(self, request: CityRequest) -> CityAnswer:
        if self.rude is not None and request.path == "/v1/batches":
            return CityAnswer(418, self.rude)
        return super().answer(request)


@contextmanager
def bus_and_city(folder: Path) -> Iterator[tuple[LoneBus, RudeCity]]:
    """A started bus that the city does not know yet."""
    authority = make_authority(folder)
    city = RudeCity(lambda: int(time.time()))
    city.devices.clear()
    with (
        HttpsCity(city, server_context(folder, authority)) as server,
        lone_bus(folder, url=server.url, ca_file=authority.ca_file) as bus,
    ):
        bus.start()
        yield bus, city


def enrolled(bus: LoneBus) -> DeviceInTest:
    return DeviceInTest(open_key_file(bus.folder / "device.key").point)


def standing(bus: LoneBus) -> dict[str, Said]:
    """The troubles of the status answer, by name."""
    return {said["trouble"]: said for said in bus.status()[1]}


def until_heard(bus: LoneBus, name: str, number: int) -> Said:
    """The line that tells of a trouble for the first time."""
    return bus.program.wait_for(
        lambda said: said.get("trouble") == name and said.get("refusal") == number, 0, f"trouble {name} {number}"
    )


def test_what_the_city_said_stands_beside_its_refusal(tmp_path: Path) -> None:
    said = f"HTTP 400, {UnknownDevice.number} '{UnknownDevice.key}'"
    with bus_and_city(tmp_path) as (bus, city):
        told = until_heard(bus, "sync", CityRefused.number)
        assert told["city_said"] == said and told["remedy_th"] and told["remedy_en"]
        by_itself = bus.program.wait_for(
            lambda one: one.get("refusal") == CityRefused.number and "status" in one, 0, "the badge"
        )
        assert (by_itself["status"], by_itself["city_said"]) == ("offline", said), "never connected until now"
        light = bus.tap(rider(1))
        assert light["light"] == GREEN and "city_said" not in light, "the passenger has nothing to do with it"

        mark = bus.program.mark()
        city.devices[DEVICE] = enrolled(bus)
        bus.program.tell("sync")
        bus.program.wait_for(lambda one: one.get("trouble_over") == "sync", mark, "the end of it")
        wait_until(lambda: bus.status()[0]["waiting"] == 0, "the sale to be sent", step_s=0.1)
        badge, troubles = bus.status()
        assert (badge["status"], troubles) == ("synced", []) and not {"city_said", "refusal"} & set(badge)

        mark = bus.program.mark()
        city.devices.clear()
        bus.program.tell("sync")
        bus.program.wait_for(lambda one: one.get("trouble") == "sync", mark, "the refusal")
        badge, troubles = bus.status()
        assert (badge["status"], badge["refusal"], badge["city_said"]) == ("attention", CityRefused.number, said)
        assert [(one["trouble"], one["city_said"]) for one in troubles] == [("sync", said)]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (cbor.encode({1: 4_999, 2: "k" * 500, 3: "d" * 500}), f"HTTP 418, 4999 '{'k' * 40}'"),
        (cbor.encode({1: "many", 2: 7}), "HTTP 418, 0 ''"),
        (cbor.encode([1, 2]), "HTTP 418, 0 ''"),
        (b"<html>a gateway</html>", "HTTP 418, 0 ''"),
        (b"", "HTTP 418, 0 ''"),
    ],
    ids=["long", "wrong types", "no map", "no CBOR", "empty"],
)
def test_a_city_that_talks_nonsense_is_quoted_in_bounds(tmp_path: Path, body: bytes, expected: str) -> None:
    authority = make_authority(tmp_path)
    city = RudeCity(lambda: int(time.time()))
    city.rude = body
    with (
        HttpsCity(city, server_context(tmp_path, authority)) as server,
        lone_bus(tmp_path, url=server.url, ca_file=authority.ca_file) as bus,
    ):
        bus.start()
        told = until_heard(bus, "sync", CityRefused.number)
        assert told["city_said"] == expected and len(expected) <= SAID_CHARACTERS_MAX


def test_a_link_that_is_down_stands_until_it_is_up_and_quotes_nobody(tmp_path: Path) -> None:
    with lone_bus(tmp_path, ca_file=make_authority(tmp_path).ca_file) as bus:
        bus.start()
        until_heard(bus, "sync", CityUnreachable.number)
        for rides in (1, 2):
            assert bus.tap(rider(rides))["light"] == GREEN
            badge, troubles = bus.status()
            assert badge["waiting"] == rides and badge["troubles"] == 1
            (one,) = troubles
            assert (one["trouble"], one["refusal"]) == ("sync", CityUnreachable.number) and "city_said" not in one
        told = [one for one in bus.program.said_since(0) if one.get("trouble") == "sync"]
        assert len(told) == 1 + 2, "told once by itself, and once for each question"


def test_vouchers_that_the_city_holds_are_a_standing_trouble(tmp_path: Path) -> None:
    with bus_and_city(tmp_path) as (bus, city):
        city.decide = lambda _voucher: (Outcome.HELD, 0)
        city.devices[DEVICE] = enrolled(bus)
        assert bus.tap(rider(1))["light"] == GREEN
        bus.program.tell("sync")
        until_heard(bus, "sync", DeviceBlocked.number)
        assert standing(bus)["sync"]["refusal"] == DeviceBlocked.number


def test_a_mark_that_cannot_be_written_stands_until_it_can(tmp_path: Path) -> None:
    """A directory where the mark belongs: no write there succeeds; sales and exchanges go on."""
    with bus_and_city(tmp_path) as (bus, city):
        city.devices[DEVICE] = enrolled(bus)
        wait_until(lambda: bus.status()[0]["status"] == "synced", "the first exchange", step_s=0.1)
        assert standing(bus) == {}
        mark_file = tmp_path / "journal.db.mark"
        mark_file.unlink()
        mark_file.mkdir()
        assert bus.tap(rider(1))["light"] == GREEN
        bus.program.tell("sync")
        told = until_heard(bus, "journal", StorageFailed.number)
        assert told["title_th"] and told["remedy_en"]
        wait_until(lambda: bus.status()[0]["waiting"] == 0, "the sale to be sent", step_s=0.1)
        for _question in range(2):
            badge, _troubles = bus.status()
            assert badge["troubles"] == 1 and standing(bus)["journal"]["refusal"] == StorageFailed.number
        assert bus.tap(rider(2))["light"] == GREEN

        mark = bus.program.mark()
        mark_file.rmdir()
        bus.program.tell("sync")
        bus.program.wait_for(lambda one: one.get("trouble_over") == "journal", mark, "the end of it")
        assert standing(bus) == {} and mark_file.read_text() == "2\n"

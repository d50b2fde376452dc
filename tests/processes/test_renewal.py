"""Certificates renewed under terminals that sell: near their end, after a leak, killed in between. Decision 0073.

Real processes; what is in use is read from the files and from the ledger.
"""

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from random import Random

import pytest

from offline_ledger.protocol import cose
from offline_ledger.protocol.device import DEVICE_CERTIFICATE, DeviceCertificate
from offline_ledger.protocol.kinds import OBJECT_BYTES_MAX, Kind
from offline_ledger.rules.limits import DAY_S
from simulators.demo.city import CITY
from simulators.demo.desk import Desk
from simulators.demo.processes import wait_until
from simulators.demo.story import GREEN
from simulators.demo.town import Town
from simulators.fault_link import Mode
from tests.processes.test_key_rotation import keys_of, rotate, selling, signing
from tests.processes.test_kill import start_again
from tests.processes.tills import settle, show

KILL_S_MAX = 0.25


def certificate(desk: Desk) -> tuple[DeviceCertificate, str, bytes]:
    """The terminal's file: what it says, who signed it, its bytes."""
    raw = (desk.folder / "device.cert").read_bytes()
    signed = cose.parse_sign1(raw, cose.external_aad(Kind.DEVICE_CERTIFICATE, CITY))
    return DEVICE_CERTIFICATE.decode(signed.payload, OBJECT_BYTES_MAX), signed.key_id.hex(), raw


def bring_near_end(town: Town, desk: Desk, days: int) -> None:
    """As if the terminal had been enrolled so long ago that some minutes less than so many days are left."""
    until_s = int(time.time()) + days * DAY_S - 600
    with closing(sqlite3.connect(town.city.ledger, timeout=20)) as ledger, ledger:
        ledger.execute("UPDATE devices SET expires_at_s = ? WHERE device = ?", (until_s, desk.device))


def in_ledger(town: Town, desk: Desk) -> bytes:
    with closing(sqlite3.connect(town.city.ledger, timeout=20)) as ledger:
        ((raw,),) = ledger.execute("SELECT certificate FROM devices WHERE device = ?", (desk.device,)).fetchall()
    return raw


def fleet_line(town: Town, desk: Desk) -> str:
    table = town.city.ask("--language", "en", "fleet")[1]
    return next(line for line in table.splitlines() if desk.device in line).rstrip()


def states(town: Town) -> list[str]:
    return [one["state"] for one in keys_of(town, "device-ca")]


def wait_renewed(desk: Desk, before: bytes) -> None:
    def is_renewed() -> bool:
        desk.program.tell("sync")
        return certificate(desk)[2] != before

    wait_until(is_renewed, f"{desk.device} to get its new certificate", step_s=0.1)


@pytest.mark.timeout(300)
def test_a_certificate_near_its_end_is_renewed_in_the_middle_of_a_sale(tmp_path: Path, seed: int) -> None:
    with selling(tmp_path, seed) as (town, crowd, shop, bus):
        before = certificate(shop)
        assert fleet_line(town, shop).endswith("-")
        shop.cut(Mode.REFUSE)
        bring_near_end(town, shop, 80)
        assert fleet_line(town, shop).endswith(", 79 days left"), "whole days"
        customer = crowd.next(shop)  # a sale is open
        shop.reconnect()
        wait_renewed(shop, before[2])
        after = certificate(shop)
        assert after[0]._replace(not_before_s=0, expires_at_s=0) == before[0]._replace(not_before_s=0, expires_at_s=0)
        assert after[0].not_before_s > before[0].not_before_s and after[0].expires_at_s >= before[0].expires_at_s
        assert after[1] == before[1] and after[2] == in_ledger(town, shop)
        assert show(shop, customer)["light"] in GREEN, "the same sale, the same program"
        town.wait_synced()
        assert fleet_line(town, shop).endswith("-")
        assert certificate(shop)[2] == after[2], "once"
        assert shop.stop() == 0
        start_again(shop)
        assert show(shop, crowd.next(shop))["light"] in GREEN
        assert show(bus, crowd.next(bus))["light"] in GREEN
        figures = settle(town)
        assert figures.accepted == figures.acked == 5


@pytest.mark.timeout(300)
def test_after_a_leak_every_terminal_is_certified_anew_on_its_trip(tmp_path: Path, seed: int) -> None:
    with selling(tmp_path, seed) as (town, crowd, shop, bus):
        old = signing(town, "device-ca")
        desks = (shop, bus)
        before = {desk.device: certificate(desk)[2] for desk in desks}
        rotate(town, "device-ca", "--compromised")
        new = signing(town, "device-ca")
        assert new != old and {certificate(desk)[1] for desk in desks} <= {old, new}
        for desk in desks:
            wait_renewed(desk, before[desk.device])
            assert certificate(desk)[1] == new and certificate(desk)[2] == in_ledger(town, desk)
            assert show(desk, crowd.next(desk))["light"] in GREEN, "nobody drove to it, nobody entered a trip again"
        for desk in desks:
            desk.wait_exchange()  # the batch head after it says so
        assert states(town) == ["replaced", "signs"]
        rotate(town, "log")  # any next list
        assert states(town) == ["compromised", "signs"], "no terminal needs the leaked key any more"
        town.wait_synced()
        for desk in desks:
            desk.program.kill()
            start_again(desk)
            assert show(desk, crowd.next(desk))["light"] in GREEN
        figures = settle(town)
        assert figures.accepted == figures.acked == 6


@pytest.mark.timeout(300)
def test_a_leaked_key_is_not_revoked_under_a_terminal_that_is_away(tmp_path: Path, seed: int) -> None:
    with selling(tmp_path, seed) as (town, crowd, shop, bus):
        before = certificate(shop)[2]
        bus.cut(Mode.REFUSE)
        rotate(town, "device-ca", "--compromised")
        wait_renewed(shop, before)
        shop.wait_exchange()
        rotate(town, "log")
        assert states(town) == ["replaced", "signs"], "the bus still starts by its certificate of the old key"
        bus.program.kill()
        start_again(bus)
        assert show(bus, crowd.next(bus))["light"] in GREEN
        old = certificate(bus)[2]
        bus.reconnect()
        wait_renewed(bus, old)
        town.wait_synced()
        bus.wait_exchange()
        rotate(town, "bulletin")
        assert states(town) == ["compromised", "signs"]
        figures = settle(town)
        assert figures.accepted == figures.acked == 3


@pytest.mark.timeout(900)
def test_killed_while_it_is_renewed_it_starts_with_one_or_the_other(
    tmp_path: Path, seed: int, rng: Random, slice_of: Callable[[int, int], int]
) -> None:
    with selling(tmp_path, seed) as (town, crowd, _shop, bus):
        known = [certificate(bus)[2]]
        for _ in range(slice_of(60, 4)):
            bus.wait_exchange()
            bring_near_end(town, bus, rng.randrange(1, 89))
            bus.program.tell("sync")
            kill_s = time.monotonic() + rng.uniform(0, KILL_S_MAX)
            wait_until(lambda until_s=kill_s: time.monotonic() >= until_s, "the moment of the kill", step_s=0.001)
            bus.program.kill()
            start_again(bus)
            assert certificate(bus)[2] in {*known, in_ledger(town, bus)}
            assert show(bus, crowd.next(bus))["light"] in GREEN
            wait_renewed(bus, known[-1])
            assert certificate(bus)[2] == in_ledger(town, bus)
            known.append(certificate(bus)[2])
        assert len(set(known)) == len(known), "a new one in every round"
        assert not list(bus.folder.glob(".device.cert.*.new")) or certificate(bus)[2] == known[-1]
        figures = settle(town)
        assert figures.accepted == figures.acked == 2 + len(known) - 1

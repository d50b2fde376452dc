"""Keys of a running city are changed while terminals sell: who is waited for, who is not, what a leak does. DESIGN §4.

Every program is a process of its own; who signed is read from the signed bytes.
"""

import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from offline_ledger.protocol import cose
from offline_ledger.protocol.city import BULLETIN, BulletinKind
from offline_ledger.protocol.kinds import CITY_OBJECT_BYTES_MAX, Kind
from offline_ledger.protocol.wallet import Audience, Concession
from simulators.demo.city import CITY
from simulators.demo.desk import Desk
from simulators.demo.processes import wait_until
from simulators.demo.reader_files import open_copy, rows
from simulators.demo.story import GREEN
from simulators.demo.town import RIDE_CAP_KGO, Person, Town
from simulators.fault_link import Mode, Plan
from tests.processes.test_kill import Crowd, small_town, start_again, start_trip
from tests.processes.tills import settle, show

HOURS_S = 25 * 3_600
"""Longer than any terminal of the sample may stay offline."""


@contextmanager
def selling(folder: Path, seed: int) -> Iterator[tuple[Town, Crowd, Desk, Desk]]:
    """A town in which the bus is on a trip and both terminals have sold."""
    with small_town(folder, seed) as (town, crowd, shop, bus):
        start_trip(bus)
        for desk in (shop, bus):
            assert show(desk, crowd.next(desk))["light"] in GREEN
        town.wait_synced()
        yield town, crowd, shop, bus


def rotate(town: Town, role: str, *more: str) -> str:
    keys = town.city.folder / "keys"
    _, said = town.city.ask(
        "--language",
        "en",
        "rotate",
        role,
        "--root",
        str(keys / "root-1.key"),
        "--root",
        str(keys / "root-3.key"),
        *more,
    )
    return said


def keys_of(town: Town, role: str) -> list[dict[str, Any]]:
    """What `kgo-city keys` says of one role, oldest first."""
    _, said = town.city.ask("keys", "--json")
    return [one for one in json.loads(said) if one["role"] == role]


def signing(town: Town, role: str) -> str:
    (one,) = [key for key in keys_of(town, role) if key["state"] == "signs"]
    return one["key_id"]


def waited_for(town: Town, role: str) -> list[str]:
    return [one["device"] for key in keys_of(town, role) for one in key["waits_for"]]


def wait_for(is_so: Callable[[], bool], what: str) -> None:
    wait_until(is_so, what, 40.0, step_s=0.2)


def ack_key(desk: Desk, folder: Path) -> str:
    """Which key signed the newest ack in a terminal's journal."""
    journal = open_copy(desk.journal, folder)
    ((raw,),) = rows(journal, "SELECT body FROM acks")
    journal.close()
    return cose.parse_sign1(raw, cose.external_aad(Kind.ACK, CITY), CITY_OBJECT_BYTES_MAX).key_id.hex()


def allowance_key(person: Person) -> str:
    raw = person.wallet.allowance_raw
    return cose.parse_sign1(raw, cose.external_aad(Kind.ALLOWANCE, CITY)).key_id.hex()


def rider(town: Town) -> Person:
    """Somebody new, whose allowance the city has issued just now."""
    (person,) = town.add_people([(f"new-{len(town.people)}", Concession.ADULT)])
    person.wants(Audience.TRANSIT, RIDE_CAP_KGO)
    return person


@pytest.mark.timeout(300)
def test_a_new_issuer_key_waits_for_the_bus_that_is_away(tmp_path: Path, seed: int) -> None:
    with selling(tmp_path, seed) as (town, crowd, shop, bus):
        old = signing(town, "issuer")
        assert bus.stop() == 0
        assert "now waiting for 2 devices" in rotate(town, "issuer")
        wait_for(lambda: waited_for(town, "issuer") == [bus.device], "the shop to report the new list")
        with pytest.raises(Exception, match="4091"):
            rotate(town, "issuer")
        shop.wait_exchange()
        assert signing(town, "issuer") == old
        assert allowance_key(rider(town)) == old, "the new key signs nothing yet"
        start_again(bus)
        wait_for(lambda: signing(town, "issuer") != old, "the bus to report, and the key to change")
        new = signing(town, "issuer")
        town.city.stop()
        town.city.serve()
        assert signing(town, "issuer") == new
        person, late = rider(town), rider(town)
        assert allowance_key(person) == allowance_key(late) == new
        bus.network.apply(Plan(mode=Mode.REFUSE))
        assert show(bus, person)["light"] in GREEN, "offline, by the list that it had reported"
        bus.network.apply(Plan())
        assert show(bus, late)["light"] in GREEN
        rotate(town, "log")  # any next list closes what was replaced
        (first, second) = keys_of(town, "issuer")
        assert (first["state"], second["state"]) == ("replaced", "signs") and first["until_s"] <= int(time.time())
        assert show(bus, crowd.next(bus))["light"] in GREEN, "allowances of the old key are good until they expire"
        figures = settle(town)
        assert figures.accepted == figures.acked == 5


@pytest.mark.timeout(300)
def test_a_bus_silent_beyond_its_hours_holds_nothing_back_and_goes_on_when_it_returns(
    tmp_path: Path, seed: int
) -> None:
    with selling(tmp_path, seed) as (town, crowd, shop, bus):
        old = signing(town, "ack")
        bus.network.apply(Plan(mode=Mode.REFUSE))
        assert show(bus, crowd.next(bus))["light"] in GREEN
        with closing(sqlite3.connect(town.city.ledger, timeout=20)) as ledger, ledger:
            ledger.execute("UPDATE devices SET last_seen_s = last_seen_s - ?, enrolled_at_s = enrolled_at_s - ?"
                           " WHERE device = ?", (HOURS_S, HOURS_S, bus.device))  # fmt: skip
        assert "now waiting for 1 devices" in rotate(town, "ack")
        wait_for(lambda: signing(town, "ack") != old, "the shop to report, and the key to change")
        new = signing(town, "ack")
        assert show(shop, crowd.next(shop))["light"] in GREEN
        shop.wait_synced()
        assert ack_key(shop, tmp_path / "shop-copy") == new
        assert ack_key(bus, tmp_path / "bus-copy") == old
        bus.reconnect()
        town.wait_synced()
        assert ack_key(bus, tmp_path / "bus-copy-2") == new, "it fetched the list first, then believed the ack"
        figures = settle(town)
        assert figures.accepted == figures.acked == 4


@pytest.mark.timeout(300)
def test_leaked_keys_are_left_at_once_and_selling_goes_on(tmp_path: Path, seed: int) -> None:
    with selling(tmp_path, seed) as (town, crowd, _shop, bus):
        old = {role: signing(town, role) for role in ("bulletin", "ack", "issuer", "device-ca")}
        bus.network.apply(Plan(mode=Mode.REFUSE))
        before = crowd.next(bus)
        for role in old:
            rotate(town, role, "--compromised")
        new = {role: signing(town, role) for role in old}
        assert all(new[role] != old[role] for role in old)
        assert {keys_of(town, role)[0]["state"] for role in ("bulletin", "ack", "issuer")} == {"compromised"}
        assert keys_of(town, "device-ca")[0]["state"] == "replaced", "or every terminal would stop"
        with closing(sqlite3.connect(town.city.ledger, timeout=20)) as ledger:
            newest = ledger.execute("SELECT kind, raw, max(counter) FROM bulletins GROUP BY kind").fetchall()
        aad = cose.external_aad(Kind.BULLETIN, CITY)
        for kind, raw, _counter in newest:
            signed = cose.parse_sign1(raw, aad, CITY_OBJECT_BYTES_MAX)
            made = BULLETIN.decode(signed.payload, CITY_OBJECT_BYTES_MAX)
            assert signed.key_id.hex() == new["bulletin"] and made.version[0] >= 2, BulletinKind(kind)
        assert show(bus, before)["light"] in GREEN, "the bus knows nothing of it yet: its own risk, and it is paid"
        bus.reconnect()
        town.wait_synced()
        stale = crowd.next(bus)
        said = show(bus, stale)
        assert said["light"] not in GREEN and said["refusal"] == 1111, "an allowance of the leaked key"
        assert "online" in said["remedy_en"] and "terminal" not in said["remedy_en"], "the wallet must renew, not we"
        fresh = rider(town)
        assert allowance_key(fresh) == new["issuer"] and show(bus, fresh)["light"] in GREEN
        bus.stop()
        start_again(bus)
        assert show(bus, rider(town))["light"] in GREEN, "it starts again with its old certificate"
        figures = settle(town)
        assert figures.accepted == figures.acked == 5

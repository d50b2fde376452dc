"""The city's disk runs full under a real `serve`, and there is room again: nothing acked is lost. DESIGN §6, §8.

A commit that fails leaves it unknown what is on disk. The service says so, goes on reading, opens its ledger again as
soon as that works, and needs nobody for it.
"""

import json
import random
import shutil
import ssl
import subprocess
from http.client import HTTPSConnection
from pathlib import Path
from typing import Any

from offline_ledger.city.audit import audit
from offline_ledger.city.store import Store
from offline_ledger.city.store_check import check_whole
from offline_ledger.errors import StorageFailed, StorageFull
from offline_ledger.protocol import cbor
from offline_ledger.protocol.device import DeviceRole
from offline_ledger.terminal.enrol import enrolment_request
from simulators.demo.processes import PYTHON, wait_until
from simulators.keys import SimulatedKey
from tests.city.town import TownTerminal
from tests.city_service.desk import ENVIRONMENT, found, run
from tests.city_service.test_serving import CITY, now_s, signed_request
from tests.processes.small_disk import FILLER, empty, fill, from_outside, on_small_disk

SIZE = "6m"
ASKS_MAX = 600
ROOM_LEFT_BYTES = 48 << 10
STEADY = 5


def ask(port: int, ca_file: Path, body: bytes | None, path: str = "/v1/wallet") -> tuple[int, Any]:
    context = ssl.create_default_context(cafile=str(ca_file))
    connection = HTTPSConnection("127.0.0.1", port, timeout=30, context=context)
    try:
        connection.request("GET" if body is None else "POST", path, body)
        answer = connection.getresponse()
        return answer.status, cbor.decode(answer.read(100_000), 100_000)
    finally:
        connection.close()


def test_a_full_disk_stops_writing_and_room_again_starts_it_without_anybody(tmp_path: Path, rng: random.Random) -> None:
    seed, place = tmp_path / "seed-test-only", tmp_path / "disk"
    place.mkdir()
    found(seed)
    shop = enrolled_shop(seed, rng)
    toml = (seed / "city.toml").read_text()
    ceilings = "hour_max = 100000\nday_max = 100000\nsource_day_max = 0\n"
    for line in ("hour_max = 100\n", "day_max = 500\n", "source_day_max = 50\n"):
        toml = toml.replace(line, "")
    (seed / "city.toml").write_text(toml.replace('mode = "open"\n', f'mode = "open"\n{ceilings}'))
    ca_file = seed / "ca.crt"
    command = (*PYTHON, "offline_ledger.city", "serve", "--settings", str(place / "city.toml"))
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            on_small_disk(place, SIZE, seed, command), stdout=subprocess.PIPE, stderr=log, text=True, env=ENVIRONMENT
        )
        try:
            assert process.stdout is not None
            port = json.loads(process.stdout.readline())["port"]
            disk = from_outside(process.pid, place)
            opened: list[bytes] = []

            def register() -> tuple[int, Any]:
                key = SimulatedKey(rng.getrandbits(200))
                status, said = ask(port, ca_file, signed_request(key, nonce=rng.randbytes(16)))
                if status == 200:
                    opened.append(key.point)
                return status, said

            assert register()[0] == 200
            fill(disk)
            with (disk / FILLER).open("r+b") as file:
                file.truncate(max(0, file.seek(0, 2) - ROOM_LEFT_BYTES))
            refused: list[int] = []
            for _ask in range(ASKS_MAX):  # moving its log into the database makes some room: until there is none
                status, said = register()
                if status == 200 and refused:
                    fill(disk)
                refused = [] if status == 200 else [*refused, said[1]]
                if len(refused) == STEADY:
                    break
            assert len(refused) == STEADY and set(refused) <= {StorageFull.number, StorageFailed.number}, refused
            at_full = len(opened)
            status, said = 200, {}
            for _ask in range(ASKS_MAX):  # the same: what was taken is sent again with one sale more
                fill(disk)
                shop.sale(None, now_s(), 4_500, 0)
                status, said = ask(port, ca_file, shop.batch(1), "/v1/batches")
                if status != 200:
                    break
            assert status == 503 and said[1] in {StorageFull.number, StorageFailed.number}, (status, said)
            for path in ("/v1/trust-lists?after=0", "/v1/bulletins"):
                status, said = ask(port, ca_file, None, path)
                assert status == 200, (path, said)
            empty(disk)
            wait_until(lambda: ask(port, ca_file, shop.batch(1), "/v1/batches")[0] == 200, "the upload is taken", 60.0)
            wait_until(lambda: register()[0] == 200, "service by itself", 60.0)
            while len(opened) < at_full + 20:
                assert register()[0] == 200
            assert_all_there(disk, tmp_path / "copy", opened, len(shop.vouchers))
        finally:
            process.kill()
            process.wait(30)
            if process.stdout is not None:
                process.stdout.close()
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    troubles = [line["refusal"] for line in lines if line.get("trouble") == "store"]
    assert troubles[0] in (StorageFull.number, StorageFailed.number) and troubles[-1] == 0, troubles
    assert "Traceback" not in (tmp_path / "log").read_text()


def enrolled_shop(folder: Path, rng: random.Random) -> TownTerminal:
    """A shop that has its certificate by a request file; it makes its own vouchers."""
    key = SimulatedKey(rng.getrandbits(200))
    request = folder / "request"
    request.write_bytes(enrolment_request(key, CITY, "shop-full", DeviceRole.SHOP, now_s()))
    words = ("--role", "shop", "--owner", "noodle-1", "--request", str(request), "--out", str(folder / "answer"))
    done = run("enrol", "shop-full", *words, "--settings", str(folder / "city.toml"))
    assert done.returncode == 0, done.stderr
    return TownTerminal("shop-full", key, "noodle-1", DeviceRole.SHOP)


def assert_all_there(disk: Path, copy: Path, opened: list[bytes], sales: int) -> None:
    """Every account and sale that was answered for stands in the files as they are now, and the ledger is sound."""
    copy.mkdir()
    for path in disk.glob("ledger.db*"):
        if path.suffix != ".db-shm":
            shutil.copy(path, copy / path.name)
    store = Store.open(copy / "ledger.db")
    known = {row[0] for row in store.fetch("SELECT account_point FROM wallets")}
    assert set(opened) <= known
    kept = store.fetch("SELECT sequence FROM vouchers WHERE leaf IS NOT NULL ORDER BY sequence")
    assert kept == [(at,) for at in range(1, sales + 1)]
    check_whole(store)
    assert audit(store).is_ok
    store.close()

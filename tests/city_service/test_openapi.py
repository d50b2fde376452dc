"""The OpenAPI description says what the routes are and what they answer: each documented answer is provoked from the
running service and judged by its schema. DESIGN §7."""

import json
import random
import re
import zlib
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from starlette.routing import Route

from offline_ledger.city import log
from offline_ledger.city.http import build_app
from offline_ledger.city.service import Service
from offline_ledger.errors import AnswerInvalid
from offline_ledger.protocol import cbor, cose, tree
from offline_ledger.protocol.city import LOG_CHECKPOINT, KeyRole, LogCheckpoint
from offline_ledger.protocol.device import DEVICE_CERTIFICATE, DeviceRole
from offline_ledger.protocol.kinds import OBJECT_BYTES_MAX, Kind
from offline_ledger.protocol.wallet import WalletAsk
from offline_ledger.terminal.enrol import enrolment_request
from offline_ledger.terminal.trust import verify_chain, verify_signed
from simulators.keys import SimulatedKey
from simulators.wallet import CityLink, PhoneWallet
from tests.city.town import TownTerminal
from tests.city_service.desk import Answer, City, found, serving
from tests.city_service.schema_judge import Judge, as_described
from tests.city_service.test_serving import CITY, enrolled, now_s, signed_request
from tests.release_desk import ReleaseDesk, desk_with_release

DESCRIPTION: dict[str, Any] = json.loads(files("offline_ledger.city").joinpath("openapi.json").read_text("utf-8"))
JUDGE = Judge(DESCRIPTION)
Where = tuple[str, str, str]


def operations() -> dict[tuple[str, str], dict[str, Any]]:
    return {(path, method.upper()): op for path, item in DESCRIPTION["paths"].items() for method, op in item.items()}


def documented() -> set[Where]:
    """(path, method, status) of every answer that is described."""
    return {(*where, status) for where, op in operations().items() for status in op["responses"]}


def test_paths_and_methods_are_the_routes() -> None:
    app = build_app(object.__new__(Service))
    routes = {
        (route.path, method)
        for route in app.routes
        if isinstance(route, Route)
        for method in (route.methods or set())
        if method != "HEAD"
    }
    assert routes == set(operations())


def test_structure() -> None:
    assert re.fullmatch(r"3\.1\.\d", DESCRIPTION["openapi"]) and DESCRIPTION["info"].keys() >= {"title", "version"}
    ids = [op["operationId"] for op in operations().values()]
    assert len(set(ids)) == len(ids)
    for (path, method), op in operations().items():
        assert op["summary"], path
        assert "200" in op["responses"]
        assert all(JUDGE.resolved(response)["description"] for response in op["responses"].values())
        assert ("requestBody" in op) == (method == "POST")
        for parameter in op.get("parameters", []):
            assert parameter["in"] in ("query", "header", "path") and "schema" in parameter
            assert (parameter["in"] == "path") == (f"{{{parameter['name']}}}" in path)
    for name in DESCRIPTION["components"]["schemas"]:
        assert f'"#/components/schemas/{name}"' in json.dumps(DESCRIPTION), f"{name} is used nowhere"


def test_it_is_served(city: City) -> None:
    answer = city.ask("GET", "/openapi.json")
    assert answer.content_type == "application/json" and json.loads(answer.body) == DESCRIPTION


@pytest.mark.parametrize(
    ("name", "value", "good"),
    [
        ("Refusal", {"1": 1003, "2": "code_damaged", "3": ""}, True),
        ("Refusal", {"1": 1003, "2": "code_damaged", "3": "", "4": [1, 2, "ab" * 32]}, True),
        ("Refusal", {"1": 1003, "2": "code_damaged"}, False),
        ("Refusal", {"1": "1003", "2": "code_damaged", "3": ""}, False),
        ("Refusal", {"1": 1003, "2": "code_damaged", "3": "", "5": 1}, False),
        ("Refusal", {"1": 1003, "2": "code_damaged", "3": "", "4": [1, 2]}, False),
        ("Hash", "AB" * 32, False),
        ("SignedObject", "a10100", False),
        ("WalletAnswer", {"2": 1}, False),
        ("WalletAnswer", [], False),
    ],
)
def test_the_judge_has_teeth(name: str, value: Any, good: bool) -> None:
    assert (not JUDGE.faults(value, DESCRIPTION["components"]["schemas"][name])) == good


def template_of(path: str) -> str:
    """The described path that this one is."""
    for template, _ in operations():
        if re.fullmatch(re.sub(r"\\{[a-z]+\\}", "[^/]+", re.escape(template)), path):
            return template
    raise AssertionError(path)


class Asked:
    """Asks the service, and judges every answer by what is described for it."""

    def __init__(self, city: City) -> None:
        self.city = city
        self.seen: set[Where] = set()

    def ask(self, status: int, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        answer = self.city.ask(method, path, body, **headers)
        assert answer.status == status, (method, path, answer.status, answer.body[:200])
        where = template_of(path.partition("?")[0]), method
        responses = operations()[where]["responses"]
        key = str(status) if str(status) in responses else "default"
        ((media_type, content),) = JUDGE.resolved(responses[key])["content"].items()
        assert answer.content_type.partition(";")[0] == media_type, where
        if media_type == "application/cbor":
            value = as_described(answer.body if answer.body[:1] == b"\xd2" else answer.value)  # tag 18: a signed object
            assert JUDGE.faults(value, content["schema"]) == [], where
        self.seen.add((*where, key))
        return answer


def terminal_of(city: City, name: str, rng: random.Random) -> TownTerminal:
    """An enrolled shop that makes its own vouchers."""
    key = SimulatedKey(rng.getrandbits(200))
    enrolled(city, name, key)
    return TownTerminal(name, key, "noodle-1", DeviceRole.SHOP)


def upload(asked: Asked, shop: TownTerminal, count: int) -> Answer:
    """So many cash sales, after those that were acknowledged."""
    first = len(shop.vouchers) + 1
    for _ in range(count):
        shop.sale(None, now_s(), 4_500, 0)
    answer = asked.ask(200, "POST", "/v1/batches", shop.batch(first))
    signed = cose.parse_sign1(answer.value[1], cose.external_aad(Kind.ACK, CITY), 1 << 18)
    ack = cbor.decode(signed.payload, 1 << 18)
    assert isinstance(ack, dict)
    shop.newest_ack, shop.held_ack = (ack[7], ack[8]), signed.raw
    return answer


def checkpoint_of(asked: Asked) -> LogCheckpoint:
    """The log's head, verified by the log key of the newest trust list."""
    raw = asked.ask(200, "GET", "/v1/checkpoint").body
    signed = cose.parse_sign1(raw, cose.external_aad(Kind.LOG_CHECKPOINT, CITY))
    made = LOG_CHECKPOINT.decode(signed.payload, OBJECT_BYTES_MAX)
    trust = verify_chain(asked.ask(200, "GET", "/v1/trust-lists?after=0").value, None, CITY)
    assert trust is not None
    verify_signed(trust, signed, KeyRole.LOG, made.issued_at_s, AnswerInvalid)
    return made


def ask_for_lists(asked: Asked) -> None:
    assert asked.ask(200, "GET", "/v1/bulletins").value
    assert asked.ask(200, "GET", "/v1/bulletins?have=1.9.9,2.9.9,3.9.9,4.9.9").value == []
    assert asked.ask(200, "GET", "/v1/deny-list?counter=1").body == b""
    asked.ask(404, "GET", "/v1/deny-list?counter=77")
    for path in ("trust-lists?after=", "bulletins?have=", "deny-list?counter=", "consistency?from="):
        asked.ask(400, "GET", f"/v1/{path}x.y")
    asked.ask(200, "GET", "/openapi.json")
    for path, method in operations():
        other = "PUT" if method == "GET" else "PATCH"
        assert asked.city.ask(other, path).status == 405


def ask_as_a_wallet(asked: Asked, folder: Path, rng: random.Random) -> None:
    key = SimulatedKey(rng.getrandbits(200))
    said = [
        asked.ask(200, "POST", "/v1/wallet", signed_request(key, what, nonce=rng.randbytes(16))).value
        for what in (WalletAsk.REGISTER, WalletAsk.STATEMENT, WalletAsk.BALANCE, WalletAsk.ALLOWANCE)
    ]
    assert said[:3] == [{1: 10_000}, {}, {1: 10_000, 2: 0, 3: 0}] and set(said[3]) == {1}
    assert set(asked.ask(200, "POST", "/v1/wallet", signed_request(key, WalletAsk.STATEMENT)).value) == {1}
    asked.ask(422, "POST", "/v1/wallet", signed_request(key, WalletAsk.STATEMENT))
    asked.ask(413, "POST", "/v1/wallet", bytes(2_000))
    phone, link = PhoneWallet(folder, CITY, rng), CityLink(asked.city.url, asked.city.ca_file)
    assert phone.register(link, now_s()) == 10_000


def ask_as_a_device(asked: Asked, rng: random.Random) -> None:
    token = asked.city.command("enrol", "shop-api-2", "--role", "shop", "--owner", "noodle-1").stdout.strip()
    key = SimulatedKey(rng.getrandbits(200))
    raw = enrolment_request(key, CITY, "shop-api-2", DeviceRole.SHOP, now_s())
    asked.ask(403, "POST", "/v1/enrolments", raw, kgo_enrolment_token="WRONG")
    asked.ask(422, "POST", "/v1/enrolments", raw[:-1] + b"\0", kgo_enrolment_token=token)
    asked.ask(413, "POST", "/v1/enrolments", bytes(2_000), kgo_enrolment_token=token)
    asked.ask(200, "POST", "/v1/enrolments", raw, kgo_enrolment_token=token)
    given = asked.ask(200, "GET", "/v1/certificates?device=shop-api-2").body
    signed = cose.parse_sign1(given, cose.external_aad(Kind.DEVICE_CERTIFICATE, CITY))
    made = DEVICE_CERTIFICATE.decode(signed.payload, OBJECT_BYTES_MAX)
    assert (made.device, made.owner, made.point) == ("shop-api-2", "noodle-1", key.point)
    for nobody in ("", "?device=", "?device=shop-api-3", "?device=%00"):
        asked.ask(404, "GET", f"/v1/certificates{nobody}")
    asked.ask(400, "GET", "/v1/certificates?device=a&device=b")
    asked.ask(200, "POST", "/v1/time", cbor.encode({1: "shop-api-2", 2: bytes(16)}))
    asked.ask(422, "POST", "/v1/time", cbor.encode({1: "nobody", 2: bytes(16)}))
    asked.ask(413, "POST", "/v1/time", bytes(2_000))


def ask_with_batches(asked: Asked, rng: random.Random) -> None:
    shop = terminal_of(asked.city, "shop-api", rng)
    assert set(upload(asked, shop, 3).value) == {1, 2, 3}, "no ack is held yet: there is nothing to extend"
    old = checkpoint_of(asked)
    answer = upload(asked, shop, 5).value
    new = checkpoint_of(asked)
    assert new.begun_after is None and new.size >= old.size + 5
    proof = asked.ask(200, "GET", f"/v1/consistency?from={old.size}&to={new.size}").value
    assert tree.is_consistent(old.size, new.size, proof, old.root, new.root)
    assert not tree.is_consistent(old.size, new.size, proof, new.root, new.root)
    assert tree.is_consistent(old.size, new.size, answer[4], old.root, new.root) and answer[4] == proof
    for begin, end in ((0, 1), (2, 1), (1, new.size + 1), (1, 999_999_999_999_999)):
        asked.ask(404, "GET", f"/v1/consistency?from={begin}&to={end}")
    shop.sale(None, now_s(), 100, 0)
    shop.sale(None, now_s(), 100, 0)
    asked.ask(409, "POST", "/v1/batches", shop.batch(10))
    asked.ask(422, "POST", "/v1/batches", zlib.compress(b"\xa0"))
    asked.ask(413, "POST", "/v1/batches", zlib.compress(zlib.decompress(shop.batch()) + bytes(3 << 20)))


def ask_for_releases(asked: Asked, desk: ReleaseDesk) -> None:
    paths = ("/releases/metadata/timestamp.json", f"/releases/targets/stable/{desk.package_file().name}")
    for path in paths:
        whole = asked.ask(200, "GET", path).body
        assert asked.ask(206, "GET", path, range="bytes=1-3").body == whole[1:4]
        asked.ask(416, "GET", path, range=f"bytes={len(whole)}-")
        asked.ask(404, "GET", path.replace("0", "1").replace("timestamp", "9.timestamp"))


@pytest.fixture
def restored(tmp_path: Path) -> Iterator[City]:
    """A city whose log lacks what it signed; it gives out releases all the same."""
    desk_with_release(tmp_path / "desk")
    folder = tmp_path / "restored-test-only" / "TH-40"
    found(folder)
    log.write_checkpoint(folder / "checkpoint", log.Checkpoint(3, bytes(32)))
    settings = (folder / "city.toml").read_text()
    (folder / "city.toml").write_text(settings.replace("[serve]\n", '[serve]\nreleases = "../../desk/releases"\n'))
    with serving(folder) as running:
        yield running


def test_every_documented_answer_is_given_by_the_running_service(
    city: City, restored: City, tmp_path: Path, rng: random.Random
) -> None:
    asked, after_restore = Asked(city), Asked(restored)
    ask_for_lists(asked)
    ask_as_a_wallet(asked, tmp_path / "phone", rng)
    ask_as_a_device(asked, rng)
    ask_with_batches(asked, rng)
    for path in ("/v1/batches", "/v1/wallet", "/v1/enrolments"):
        after_restore.ask(503, "POST", path, b"x")
    after_restore.ask(503, "GET", "/v1/checkpoint")
    assert after_restore.ask(200, "GET", "/v1/trust-lists?after=0").value, "what was signed before is still given out"
    ask_for_releases(after_restore, ReleaseDesk(tmp_path / "desk"))
    missing = documented() - asked.seen - after_restore.seen
    assert {status for _path, _method, status in missing} <= {"default"}, missing

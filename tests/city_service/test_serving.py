"""The service over real TLS: endpoints, hostile bodies, refusals, and its end. DESIGN §7, §8."""

import json
import random
import signal
import socket
import ssl
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from offline_ledger.city.serving import listen
from offline_ledger.errors import (
    CodeDamaged,
    Malformed,
    NoSuchAddress,
    RequestReplayed,
    RequestStale,
    RequestTooLarge,
    RequestUnreadable,
    UnknownDevice,
    WalletSignatureWrong,
    WalletUnknown,
)
from offline_ledger.protocol import cbor, cose, device, wallet
from offline_ledger.protocol import city as city_objects
from offline_ledger.protocol.city import BULLETIN, BulletinKind
from offline_ledger.protocol.device import DeviceRole, StateKey
from offline_ledger.protocol.kinds import CITY_OBJECT_BYTES_MAX, OBJECT_BYTES_MAX, ZERO_HASH, Kind
from offline_ledger.protocol.wallet import WalletAsk, WalletRequest
from offline_ledger.terminal.enrol import enrolment_request
from offline_ledger.terminal.trust import verify_chain
from simulators.keys import SimulatedKey
from simulators.wallet import CityLink, PhoneWallet
from tests.city_service.desk import City, found, found_anew, run, serving

CITY = "TH-40"


def now_s() -> int:
    return int(time.time())


def signed_request(
    key: SimulatedKey, what: int = WalletAsk.REGISTER, *, nonce: bytes = b"n" * 16, at_s: int | None = None
) -> bytes:
    made = WalletRequest(what, key.point, key.point, nonce, now_s() if at_s is None else at_s, None)
    aad = cose.external_aad(Kind.WALLET_REQUEST, CITY)
    return cose.sign1(wallet.WALLET_REQUEST.encode(made), aad, key.key_id, key.sign).raw


def test_trust_lists_begin_at_version_one(city: City) -> None:
    raws = city.ask("GET", "/v1/trust-lists?after=0").value
    held = verify_chain(raws, None, CITY)
    assert held is not None and held.trust_list.version == len(raws) >= 1
    assert city.ask("GET", f"/v1/trust-lists?after={len(raws)}").value == []


def test_bulletins_of_each_kind_and_nothing_twice(city: City) -> None:
    raws = city.ask("GET", "/v1/bulletins").value
    aad = cose.external_aad(Kind.BULLETIN, CITY)
    found_now = [
        BULLETIN.decode(cose.parse_sign1(raw, aad, CITY_OBJECT_BYTES_MAX).payload, CITY_OBJECT_BYTES_MAX)
        for raw in raws
    ]
    assert {bulletin.kind for bulletin in found_now} == {
        BulletinKind.TARIFF, BulletinKind.CAMPAIGN, BulletinKind.DENY_LIST,
    }  # fmt: skip
    have = ",".join(f"{one.kind}.{one.version[0]}.{one.version[1]}" for one in found_now)
    assert city.ask("GET", f"/v1/bulletins?have={have}").value == []
    counter = next(one.version[1] for one in found_now if one.kind == BulletinKind.DENY_LIST)
    assert city.ask("GET", f"/v1/deny-list?counter={counter}").status == 200
    gone = city.ask("GET", f"/v1/deny-list?counter={counter + 9}")
    assert (gone.status, gone.value[1]) == (404, NoSuchAddress.number)


def test_a_wallet_registers_once_and_takes_an_allowance(city: City, tmp_path: Path, rng: random.Random) -> None:
    phone, link = PhoneWallet(tmp_path, CITY, rng), CityLink(city.url, city.ca_file)
    assert phone.register(link, now_s()) == 10_000
    assert phone.register(link, now_s()) == 10_000
    allowance = phone.take_allowance(link, now_s())
    assert allowance.reserve_kgo == 10_000
    assert phone.balance(link, now_s()) == (0, 10_000)
    statement = phone.statement(link, now_s())
    assert statement is not None and statement.charges == ()


def test_wallet_requests_are_good_once_and_not_for_long(city: City, rng: random.Random) -> None:
    key = SimulatedKey(rng.getrandbits(200))
    first = signed_request(key)
    assert city.ask("POST", "/v1/wallet", first).value == {1: 10_000}
    assert city.ask("POST", "/v1/wallet", first).value[1] == RequestReplayed.number
    for wrong_s in (-301, 302):
        stale = signed_request(key, nonce=rng.randbytes(16), at_s=now_s() + wrong_s)
        assert city.ask("POST", "/v1/wallet", stale).value[1] == RequestStale.number


def test_wallet_requests_prove_the_account(city: City, rng: random.Random) -> None:
    key, other = SimulatedKey(rng.getrandbits(200)), SimulatedKey(rng.getrandbits(200))
    made = WalletRequest(WalletAsk.REGISTER, key.point, key.point, rng.randbytes(16), now_s(), None)
    aad = cose.external_aad(Kind.WALLET_REQUEST, CITY)
    forged = cose.sign1(wallet.WALLET_REQUEST.encode(made), aad, key.key_id, other.sign).raw
    assert city.ask("POST", "/v1/wallet", forged).value[1] == WalletSignatureWrong.number
    unknown = signed_request(other, WalletAsk.BALANCE, nonce=rng.randbytes(16))
    assert city.ask("POST", "/v1/wallet", unknown).value[1] == WalletUnknown.number


def compressed_bomb() -> bytes:
    return zlib.compress(bytes(64 << 20), 9)


@pytest.mark.parametrize(
    ("made", "number"),
    [
        (b"", CodeDamaged.number),
        (b"not zlib", CodeDamaged.number),
        (zlib.compress(cbor.encode({1: b"x" * 500}))[:-6], CodeDamaged.number),
        (compressed_bomb, Malformed.number),  # takes a moment, and only here
    ],
    ids=["empty", "no zlib", "cut short", "bomb"],
)
def test_hostile_batches(city: City, made: bytes | Callable[[], bytes], number: int) -> None:
    body = made() if callable(made) else made
    answer = city.ask("POST", "/v1/batches", body)
    assert 400 <= answer.status < 500 and answer.value[1] == number
    assert answer.content_type == "application/cbor"


@pytest.mark.parametrize("path", ["/v1/batches", "/v1/time", "/v1/wallet", "/v1/enrolments"])
def test_random_bodies_get_numbered_refusals(city: City, path: str, rng: random.Random) -> None:
    for _ in range(20):
        body = rng.randbytes(rng.randrange(200))
        sent = zlib.compress(body) if path == "/v1/batches" and rng.random() < 0.5 else body
        answer = city.ask("POST", path, sent)
        assert 400 <= answer.status < 500 and answer.value[1] >= 1000, (path, sent.hex())


@pytest.mark.parametrize(("path", "bytes_max"), [("/v1/batches", 2 << 20), ("/v1/time", 1_088), ("/v1/wallet", 1_088)])
def test_oversized_bodies_are_refused_unread(city: City, path: str, bytes_max: int) -> None:
    """The length alone is enough: the body is never sent."""
    connection = city.connect()
    connection.putrequest("POST", path)
    connection.putheader("content-length", str(bytes_max + 1))
    connection.endheaders()
    response = connection.getresponse()
    found_value = cbor.decode(response.read(), 1_000)
    connection.close()
    assert response.status == 413 and isinstance(found_value, dict) and found_value[1] == RequestTooLarge.number


def test_bodies_without_a_length_are_counted(city: City) -> None:
    connection = city.connect()
    connection.request("POST", "/v1/wallet", iter([b"x" * 1_000] * 2), encode_chunked=True, headers={
        "transfer-encoding": "chunked"
    })  # fmt: skip
    response = connection.getresponse()
    assert response.status == 413
    connection.close()


@pytest.mark.parametrize(
    ("method", "path", "status", "number"),
    [
        ("GET", "/", 404, NoSuchAddress.number),
        ("GET", "/v1/batches", 405, NoSuchAddress.number),
        ("DELETE", "/v1/wallet", 405, NoSuchAddress.number),
        ("GET", "/v1/%2e%2e/keys/issuer.key", 404, NoSuchAddress.number),
        ("GET", "/v1/trust-lists?after=-1", 400, RequestUnreadable.number),
        ("GET", "/v1/trust-lists?after=9999999999999999", 400, RequestUnreadable.number),
        ("GET", "/v1/trust-lists?after=1&after=2", 400, RequestUnreadable.number),
        ("GET", "/v1/bulletins?have=&have=1.1.1", 400, RequestUnreadable.number),
        ("GET", "/v1/consistency?from=0&to=0&to=0", 400, RequestUnreadable.number),
        ("GET", "/v1/bulletins?have=1.2", 400, RequestUnreadable.number),
        ("GET", "/v1/bulletins?have=" + "1.1.1," * 100, 400, RequestUnreadable.number),
    ],
)
def test_wrong_addresses(city: City, method: str, path: str, status: int, number: int) -> None:
    answer = city.ask(method, path)
    assert (answer.status, answer.value[1]) == (status, number)


def test_time_is_only_for_enrolled_devices(city: City) -> None:
    answer = city.ask("POST", "/v1/time", cbor.encode({1: "nobody", 2: bytes(16)}))
    assert answer.value[1] == UnknownDevice.number


def test_another_ca_is_refused_by_the_client(city: City, tmp_path: Path) -> None:
    found_anew(tmp_path / "other")
    with pytest.raises(ssl.SSLCertVerificationError):
        context = ssl.create_default_context(cafile=str(tmp_path / "other" / "ca.crt"))
        city.connect(context).request("GET", "/v1/checkpoint")
    strict = ssl.create_default_context(cafile=str(city.ca_file))
    strict.verify_flags |= ssl.VERIFY_X509_STRICT
    connection = city.connect(strict)
    connection.request("GET", "/v1/checkpoint")
    assert connection.getresponse().status == 200
    connection.close()


def test_only_tls_1_2_and_later(city: City) -> None:
    with socket.create_connection(("127.0.0.1", city.ready["port"]), 10) as plain:
        plain.sendall(b"GET /v1/checkpoint HTTP/1.1\r\nhost: x\r\n\r\n")
        assert not plain.recv(100).startswith(b"HTTP")
    context = ssl.create_default_context(cafile=str(city.ca_file))
    with socket.create_connection(("127.0.0.1", city.ready["port"]), 10) as raw:
        with context.wrap_socket(raw, server_hostname="localhost") as secure:
            assert secure.version() in ("TLSv1.2", "TLSv1.3")


def enrolled(city: City, device_id: str, key: SimulatedKey) -> None:
    done = city.command("enrol", device_id, "--role", "shop", "--owner", "noodle-1")
    raw = enrolment_request(key, CITY, device_id, DeviceRole.SHOP, now_s())
    answer = city.ask("POST", "/v1/enrolments", raw, kgo_enrolment_token=done.stdout.strip())
    assert answer.status == 200, answer.value


def test_an_empty_batch_is_acked_and_seen_in_the_fleet(city: City, rng: random.Random) -> None:
    key = SimulatedKey(rng.getrandbits(200))
    enrolled(city, "shop-fleet", key)
    state = {
        int(StateKey.PENDING): 3,
        int(StateKey.OLDEST_PENDING_AT_S): now_s() - 7_300,
        int(StateKey.PROGRAM_VERSION): "0.1.0",
    }
    head = device.BatchHead("shop-fleet", 1, 0, ZERO_HASH, 1, 0, ZERO_HASH, now_s() - 90, 2, None, state)
    aad = cose.external_aad(Kind.BATCH_HEAD, CITY)
    raw = cose.sign1(device.BATCH_HEAD.encode(head), aad, key.key_id, key.sign).raw
    body = zlib.compress(device.BATCH.encode(device.Batch(raw, (), (), ())))
    answer = city.ask("POST", "/v1/batches", body)
    assert answer.status == 200, answer.value
    said = city_objects.ANSWER.decode(answer.body, 1 << 20)
    ack = city_objects.ACK.decode(
        cose.parse_sign1(said.ack, cose.external_aad(Kind.ACK, CITY), CITY_OBJECT_BYTES_MAX).payload, OBJECT_BYTES_MAX
    )
    assert (ack.device, ack.through_sequence) == ("shop-fleet", 0)
    line = next(one for one in json.loads(city.command("fleet", "--json").stdout) if one["device"] == "shop-fleet")
    assert (line["waiting"], line["clock_trust"], line["missing"], line["held"]) == (3, 2, 0, 0)
    assert 85 <= line["skew_s"] <= 200 and line["last_seen_s"] is not None
    table = city.command("fleet").stdout
    row = next(text for text in table.splitlines() if text.startswith("shop-fleet"))
    assert " 2h " in row and "synced" in row and "good" in row


def test_sigterm_ends_it_cleanly_and_the_port_is_one_programs(tmp_path: Path) -> None:
    folder = tmp_path / "city"
    found(folder)
    other = tmp_path / "other-test-only"
    found(other)
    with serving(folder) as city:
        text = (other / "city.toml").read_text().replace("port = 0", f"port = {city.ready['port']}")
        (other / "second.toml").write_text(text)
        second = run("serve", "--settings", str(other / "second.toml"), "--language", "en")
        assert second.returncode == 1 and "4057" in second.stderr and "Traceback" not in second.stderr
        city.process.send_signal(signal.SIGTERM)
        assert city.process.wait(30) == 0
    lines = [json.loads(line) for line in (tmp_path / "city.log").read_text().splitlines()]
    assert lines[-1]["message"] == "stopped"


def test_an_answer_does_not_wait_for_the_others_acknowledgement() -> None:
    """What is accepted has the listening socket's setting; uvicorn's own comes only to sockets that name TCP."""
    with listen("127.0.0.1", 0) as listening, socket.create_connection(listening.getsockname()):
        accepted, _address = listening.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)

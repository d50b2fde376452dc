"""Half-open requests on real sockets: they end by themselves and never shut anybody out. DESIGN §7.

Where a test is about the end of somebody's patience, the service is `hasty_city`; else it has its own.
"""

import select
import socket
import ssl
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from offline_ledger.city import door
from offline_ledger.city.serving import HEADER_BYTES_MAX
from offline_ledger.city.store import Store
from offline_ledger.errors import CityBusy, RequestUnreadable
from offline_ledger.protocol import cbor
from simulators.keys import SimulatedKey
from tests.city_service import hasty_city
from tests.city_service.desk import City, found, serving
from tests.city_service.test_serving import signed_request

HALF = b"GET /v1/checkpoint HTTP/1.1\r\nhost: l"
WHOLE = b"GET /v1/checkpoint HTTP/1.1\r\nhost: localhost\r\n\r\n"
HALF_BODY = b"POST /v1/wallet HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\nx"
LONG_ANSWER = b"GET /openapi.json HTTP/1.1\r\nhost: localhost\r\n\r\n"
ASKS_MAX = 100_000
"""92 MB: more than the buffers of any machine take between two ends, however they have grown."""
FULL_S = 1
"""Nothing was taken for so long: the service waits for this one to read."""
SLACK_S = 20
FEW = 8


def few_places(folder: Path) -> Path:
    """A city that takes few connections, and fewer of one address."""
    found(folder)
    text = (folder / "city.toml").read_text()
    settings = f"connections_max = {FEW}\naddress_connections_max = {FEW - 2}\n"
    (folder / "city.toml").write_text(text.replace("[serve]\n", f"[serve]\n{settings}"))
    return folder


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[City]:
    with serving(few_places(tmp_path_factory.mktemp("door-test-only") / "city")) as city:
        yield city


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[City]:
    folder = few_places(tmp_path_factory.mktemp("hasty-door-test-only") / "city")
    with serving(folder, program=hasty_city.__name__) as city:
        yield city


def connected(city: City, source: str = "127.0.0.1") -> ssl.SSLSocket:
    context = ssl.create_default_context(cafile=str(city.ca_file))
    plain = socket.create_connection(("127.0.0.1", city.ready["port"]), SLACK_S, source_address=(source, 0))
    return context.wrap_socket(plain, server_hostname="localhost")


@contextmanager
def half_open(city: City, count: int, *, sent: bytes = HALF, source: str = "127.0.0.1"):
    with ExitStack() as stack:
        sockets = [stack.enter_context(connected(city, source)) for _ in range(count)]
        for one in sockets:
            one.sendall(sent)
        yield sockets


def answer_of(one: ssl.SSLSocket) -> tuple[int, bytes]:
    """Status and body; (0, b"") when the connection ended without a word."""
    raw = b""
    try:
        while part := one.recv(65_536):
            raw += part
            head, _, body = raw.partition(b"\r\n\r\n")
            lengths = [int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
            if lengths and len(body) >= lengths[0]:
                break
    except OSError:
        pass
    head, _, body = raw.partition(b"\r\n\r\n")
    return (int(head.split()[1]), body) if raw else (0, b"")


def asked(city: City, source: str) -> int:
    with connected(city, source) as one:
        one.sendall(WHOLE)
        return answer_of(one)[0]


def asked_soon(city: City, source: str) -> int:
    """Room is there when the service has found out that nobody reads; on a busy machine it is still at what was asked.
    By then no patience has ended."""
    until_s = time.monotonic() + hasty_city.UNREAD_S // 2
    while (status := asked(city, source)) == 503 and time.monotonic() < until_s:
        time.sleep(0.05)
    return status


@pytest.mark.parametrize("sent", [HALF, b"", HALF_BODY], ids=["half a head", "nothing", "half a body"])
def test_half_open_requests_make_room_for_whole_ones(small: City, sent: bytes) -> None:
    with half_open(small, 3 * FEW, sent=sent), half_open(small, 3 * FEW, sent=sent, source="127.0.0.3"):
        for source in ("127.0.0.1", "127.0.0.2", "127.0.0.3"):
            assert asked(small, source) == 200, source


def asks_on(city: City, source: str) -> ssl.SSLSocket:
    """A connection that asked until the service took no more, and has read nothing."""
    one = connected(city, source)
    one.settimeout(FULL_S)
    try:
        for _ask in range(ASKS_MAX):
            one.sendall(LONG_ANSWER * 20)
    except TimeoutError:
        return one
    raise AssertionError("the service takes everything")


def test_who_asks_on_and_reads_nothing_makes_room_and_ends(hasty: City) -> None:
    """Its answers wait for it, so nobody else would ever get its place."""
    with ExitStack() as stack, ThreadPoolExecutor(FEW) as together:
        asking = together.map(lambda at: asks_on(hasty, f"127.0.0.{5 + at % 2}"), range(FEW))
        deaf = [stack.enter_context(one) for one in asking]
        for source in ("127.0.0.1", "127.0.0.5"):
            assert asked_soon(hasty, source) == 200, source
        ended, left = select.poll(), {one.fileno() for one in deaf}
        for number in left:
            ended.register(number, 0)  # only that the other end is gone
        end_s = time.monotonic() + hasty_city.UNREAD_S + SLACK_S
        while left and time.monotonic() < end_s:
            for number, _event in ended.poll(1_000):
                ended.unregister(number)
                left.discard(number)
        assert not left


def test_one_address_takes_no_place_of_another(small: City) -> None:
    with half_open(small, 2, source="127.0.0.2") as kept:
        with half_open(small, 3 * FEW):
            for one in kept:  # still there: the flood made room among its own
                one.sendall(b"\r\n\r\n")
                assert answer_of(one)[0] == 200


def test_a_head_that_does_not_come_ends_with_a_numbered_refusal(hasty: City) -> None:
    assert door.GuardedProtocol.head_s_max == door.HEAD_S_MAX, "of a service that nobody hurries"
    began_s = time.monotonic()
    with half_open(hasty, 1) as (slow,), half_open(hasty, 1, sent=b"") as (silent,):
        status, body = answer_of(slow)
        took_s = time.monotonic() - began_s
        assert status == 400 and hasty_city.HEAD_S <= took_s < hasty_city.HEAD_S + SLACK_S
        said = cbor.decode(body, 1_000)
        assert isinstance(said, dict) and said[1] == RequestUnreadable.number and set(said) == {1, 2, 3}
        assert answer_of(silent) == (0, b"")


def test_a_connection_that_is_kept_open_has_the_same_time_for_its_next_head(hasty: City) -> None:
    with connected(hasty) as one:
        one.sendall(WHOLE)
        assert answer_of(one)[0] == 200
        began_s = time.monotonic()
        one.sendall(HALF)
        assert answer_of(one)[0] == 400
        assert hasty_city.HEAD_S <= time.monotonic() - began_s < hasty_city.HEAD_S + SLACK_S


def test_a_head_byte_by_byte_in_time_is_answered(small: City) -> None:
    with connected(small) as one:
        for at in range(len(WHOLE)):
            one.sendall(WHOLE[at : at + 1])
        assert answer_of(one)[0] == 200


def test_what_is_no_http_gets_a_numbered_refusal(small: City) -> None:
    too_long = b"GET / HTTP/1.1\r\nhost: l\r\nx: ".ljust(HEADER_BYTES_MAX + 1, b"a")  # all has gone out at the refusal
    for raw in (b"hello\r\n\r\n", too_long):
        with connected(small) as one:
            one.sendall(raw)
            status, body = answer_of(one)
            assert status == 400, raw[:40]
            said = cbor.decode(body, 1_000)
            assert isinstance(said, dict) and said[1] == RequestUnreadable.number


def test_who_connects_and_says_nothing_at_all_is_not_waited_for(hasty: City) -> None:
    """No TLS either: such a connection has no place among the others, and ends."""
    with socket.create_connection(("127.0.0.1", hasty.ready["port"]), SLACK_S) as plain:
        ready, _, _ = select.select([plain], [], [], SLACK_S)
        assert ready and plain.recv(100) == b""


def test_only_when_all_are_at_work_the_newcomer_is_refused(tmp_path: Path) -> None:
    """Another program holds the ledger's write lock, so whole requests wait for it."""
    folder = tmp_path / "city"
    found(folder)
    text = (folder / "city.toml").read_text()
    (folder / "city.toml").write_text(text.replace("[serve]\n", "[serve]\nconnections_max = 2\n"))
    with serving(folder) as city, ExitStack() as stack:
        store = Store.open(folder / "ledger.db")
        with store.transaction():
            body = signed_request(SimulatedKey(0x5151))
            head = f"POST /v1/wallet HTTP/1.1\r\nhost: localhost\r\ncontent-length: {len(body)}\r\n\r\n".encode()
            busy = [stack.enter_context(connected(city)) for _ in range(2)]
            for one in busy:
                one.sendall(head + body)
            end_s = time.monotonic() + SLACK_S
            status, said = 200, b""
            while status != 503 and time.monotonic() < end_s:
                with connected(city) as other:
                    other.sendall(WHOLE)
                    status, said = answer_of(other)
            value = cbor.decode(said, 1_000)
            assert isinstance(value, dict) and value[1] == CityBusy.number, status
        store.close()
        assert sorted(answer_of(one)[0] for one in busy) == [200, 422]
        assert asked(city, "127.0.0.1") == 200

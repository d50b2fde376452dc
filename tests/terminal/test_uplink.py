"""The HTTPS edge and the sync thread over a real network: right and wrong CA, cut links, whole exchanges. DESIGN §7."""

import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Event

import pytest

from offline_ledger.errors import AnswerInvalid, CaFileLost, CityCertificateWrong, CityUnreachable, Refusal
from offline_ledger.protocol import cbor
from offline_ledger.terminal.ports import CityAnswer, CityRequest
from offline_ledger.terminal.status import Badge, SyncStatus
from offline_ledger.terminal.sync_loop import SyncLoop
from offline_ledger.terminal.uplink import HttpsUplink, parse_url
from simulators.fault_link import Mode, Plan
from simulators.fault_proxy import FaultProxy
from tests.terminal.city_in_test import DEVICE, NOW_S, CityInTest, bulletin
from tests.terminal.https_city import HttpsCity, TestAuthority, make_authority, server_context
from tests.terminal.sync_desk import SyncDesk

GET = CityRequest("GET", "/v1/trust-lists?after=0", None, 100_000)
DEADLINE_S = 20.0
TURN = Event()


class RealTicks:
    """The machine's own monotonic clock."""

    def mono_ms(self) -> int:
        return time.monotonic_ns() // 1_000_000

    def wall_s(self) -> int:
        return NOW_S


@dataclass
class Net:
    """A city behind HTTPS and the CA it is known by."""

    authority: TestAuthority
    server: HttpsCity

    def uplink(self, port: int | None = None, **waits: int) -> HttpsUplink:
        url = f"https://127.0.0.1:{port or self.server.port}"
        return HttpsUplink(url, self.authority.ca_file, RealTicks(), **waits)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> TestAuthority:
    return make_authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture
def net(tmp_path: Path, authority: TestAuthority) -> Iterator[Net]:
    with HttpsCity(CityInTest(lambda: NOW_S), server_context(tmp_path, authority)) as server:
        yield Net(authority, server)


def until(is_so: Callable[[], bool]) -> None:
    """Wait for something that another thread does, with a deadline."""
    ends_s = time.monotonic() + DEADLINE_S
    while not is_so():
        assert time.monotonic() < ends_s, "never happened"
        TURN.wait(0.005)


def test_answer_comes_whole_and_the_connection_is_kept(net: Net) -> None:
    uplink = net.uplink()
    for _ in range(3):
        answer = uplink.exchange(GET)
        assert answer == CityAnswer(200, cbor.encode(net.server.city.lists))
    uplink.close()
    assert len(net.server.requests) == 3


def test_body_and_headers_arrive(net: Net) -> None:
    uplink = net.uplink()
    uplink.exchange(CityRequest("POST", "/v1/enrolments", b"\xa0", 1000, (("kgo-enrolment-token", "t"),)))
    seen = net.server.requests[0]
    assert seen.body == b"\xa0" and dict(seen.headers)["kgo-enrolment-token"] == "t"
    assert dict(seen.headers)["content-type"] == "application/cbor"
    uplink.close()


def test_wrong_ca_is_named(net: Net, tmp_path: Path) -> None:
    other = make_authority(tmp_path, "TEST ONLY other CA")
    uplink = HttpsUplink(net.server.url, other.ca_file, RealTicks())
    with pytest.raises(CityCertificateWrong):
        uplink.exchange(GET)
    assert not net.server.requests, "nothing is said to a stranger"


def test_certificate_for_another_name_is_refused(tmp_path: Path, authority: TestAuthority) -> None:
    with HttpsCity(CityInTest(lambda: NOW_S), server_context(tmp_path, authority, host="127.0.0.9")) as server:
        with pytest.raises(CityCertificateWrong):
            HttpsUplink(server.url, authority.ca_file, RealTicks()).exchange(GET)


def test_terminal_that_lost_the_time_can_still_ask_for_it(tmp_path: Path, authority: TestAuthority) -> None:
    """A certificate past its end by this machine's clock: the CA counts, the time is asked for over this link."""
    with HttpsCity(CityInTest(lambda: NOW_S), server_context(tmp_path, authority, days=1)) as server:
        uplink = HttpsUplink(server.url, authority.ca_file, RealTicks())
        assert uplink.exchange(GET).status == 200
        uplink.close()


def test_plain_http_at_the_address(authority: TestAuthority) -> None:
    with HttpsCity(CityInTest(lambda: NOW_S), None) as server:
        with pytest.raises(CityCertificateWrong):
            HttpsUplink(server.url, authority.ca_file, RealTicks()).exchange(GET)


def test_missing_ca_file_is_named(net: Net, tmp_path: Path) -> None:
    with pytest.raises(CaFileLost, match="none"):
        HttpsUplink(net.server.url, tmp_path / "none.pem", RealTicks()).exchange(GET)


def test_nobody_listens(net: Net) -> None:
    with FaultProxy(("127.0.0.1", net.server.port)) as proxy:
        proxy.apply(Plan(mode=Mode.REFUSE))
        with pytest.raises(CityUnreachable):
            net.uplink(proxy.port).exchange(GET)


def test_black_hole_ends_at_the_limit(net: Net) -> None:
    with FaultProxy(("127.0.0.1", net.server.port)) as proxy:
        proxy.apply(Plan(mode=Mode.BLACK_HOLE))
        begun_s = time.monotonic()
        with pytest.raises(CityUnreachable):
            net.uplink(proxy.port, wait_ms_max=1000).exchange(GET)
        assert time.monotonic() - begun_s < DEADLINE_S


@pytest.mark.parametrize("down_bytes", [0, 1, 40, 900, 1400])
def test_link_cut_after_n_bytes_is_unreachable_and_works_again(net: Net, down_bytes: int) -> None:
    with FaultProxy(("127.0.0.1", net.server.port)) as proxy:
        uplink = net.uplink(proxy.port, wait_ms_max=5000)
        proxy.apply(Plan(cut_down_bytes=down_bytes))
        with pytest.raises(CityUnreachable):
            uplink.exchange(GET)
        proxy.apply(Plan())
        assert uplink.exchange(GET).status == 200
        uplink.close()


def test_answer_shorter_than_it_says_is_not_an_answer(net: Net) -> None:
    net.server.say_length = 5000
    with pytest.raises(CityUnreachable):
        net.uplink().exchange(GET)


@pytest.mark.parametrize(("size", "is_refused"), [(100_000, False), (100_001, True)])
def test_answer_over_its_cap_is_refused(net: Net, size: int, is_refused: bool) -> None:
    net.server.replace = CityAnswer(200, bytes(size))
    uplink = net.uplink()
    if is_refused:
        with pytest.raises(AnswerInvalid):
            uplink.exchange(GET)
    else:
        assert len(uplink.exchange(GET).body) == size
    uplink.close()


class HurryingTicks(RealTicks):
    """A minute passes at each look."""

    def __init__(self) -> None:
        self.now_ms = 0

    def mono_ms(self) -> int:
        self.now_ms += 60_000
        return self.now_ms


def test_answer_that_trickles_for_ever_ends(net: Net) -> None:
    net.server.replace = CityAnswer(200, bytes(2_000_000))
    uplink = HttpsUplink(net.server.url, net.authority.ca_file, HurryingTicks(), exchange_ms_max=300_000)
    with pytest.raises(CityUnreachable, match="TimeoutError"):
        uplink.exchange(CityRequest("GET", "/v1/deny-list?counter=1", None, 4_000_000))


def test_redirect_is_not_followed(net: Net) -> None:
    net.server.replace = CityAnswer(302, b"")
    uplink = net.uplink()
    assert uplink.exchange(GET).status == 302
    uplink.close()


@pytest.mark.parametrize(
    ("url", "parsed"),
    [
        ("https://city.example", ("city.example", 443, "")),
        ("https://127.0.0.1:8443/", ("127.0.0.1", 8443, "")),
        ("https://[::1]:9/kgo/", ("::1", 9, "/kgo")),
    ],
)
def test_addresses(url: str, parsed: tuple[str, int, str]) -> None:
    assert parse_url(url) == parsed


@pytest.mark.parametrize(
    "url",
    ["http://city", "city", "https://", "https://:9", "https://a:0", "https://a:70000", "https://u@a", "https://a/?q"],
)
def test_addresses_that_are_none(url: str) -> None:
    with pytest.raises(ValueError, match="https"):
        parse_url(url)


def test_start_up_imports_neither_tls_nor_http() -> None:
    code = (
        "import sys, offline_ledger.terminal.uplink, offline_ledger.terminal.sync_loop, offline_ledger.terminal.enrol;"
        "print([name for name in ('ssl', 'http.client', 'socket', 'asyncio') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert found.stdout.strip() == "[]"


# --- the thread


@dataclass
class Running:
    """A desk whose machine runs in its thread over a proxy that the test breaks."""

    desk: SyncDesk
    proxy: FaultProxy
    loop: SyncLoop
    seen: list[SyncStatus]


@pytest.fixture
def running(tmp_path: Path, rng: random.Random, authority: TestAuthority) -> Iterator[Running]:
    desk = SyncDesk(tmp_path, rng)
    with (
        HttpsCity(desk.city, server_context(tmp_path, authority)) as server,
        FaultProxy(("127.0.0.1", server.port)) as proxy,
    ):
        uplink = HttpsUplink(f"https://127.0.0.1:{proxy.port}", authority.ca_file, RealTicks(), wait_ms_max=3000)
        seen: list[SyncStatus] = []
        loop = SyncLoop(desk.machine, uplink, desk.clock, seen.append)
        yield Running(desk, proxy, loop, seen)
        loop.stop()
    desk.close()


def test_thread_syncs_and_a_sale_wakes_it(running: Running) -> None:
    desk = running.desk
    desk.sell(30)
    desk.city.publish(bulletin())
    running.loop.start()
    until(lambda: bool(running.seen))
    assert running.seen[-1].badge is Badge.SYNCED and len(desk.city.log.leaves) == 30
    desk.sell(1)
    assert running.loop.status().badge is Badge.SENDING, "green only when the queue is really empty"
    desk.clock.advance(ms=3000)
    running.loop.hurry()
    until(lambda: len(running.seen) >= 2)
    assert running.seen[-1].badge is Badge.SYNCED and len(desk.city.log.leaves) == 31
    assert running.loop.stop()


def test_thread_survives_a_dead_network_and_sells_on(running: Running) -> None:
    desk = running.desk
    running.proxy.apply(Plan(mode=Mode.REFUSE))
    running.loop.start()
    until(lambda: bool(running.seen))
    assert isinstance(running.seen[-1].trouble, CityUnreachable)
    desk.sell(5)
    running.proxy.apply(Plan(mode=Mode.LOSE_ANSWERS))
    running.loop.hurry()
    until(lambda: len(running.seen) >= 2)
    assert running.loop.status().pending_count == 5
    running.proxy.apply(Plan())
    running.loop.hurry()
    until(lambda: running.loop.status().pending_count == 0)
    assert set(desk.city.devices[DEVICE].posted_times.values()) == {1}


def test_thread_names_a_wrong_certificate(running: Running, tmp_path: Path) -> None:
    other = make_authority(tmp_path, "TEST ONLY other CA")
    uplink = HttpsUplink(f"https://127.0.0.1:{running.proxy.port}", other.ca_file, RealTicks())
    seen: list[SyncStatus] = []
    loop = SyncLoop(running.desk.machine, uplink, running.desk.clock, seen.append)
    loop.start()
    until(lambda: bool(seen))
    assert isinstance(seen[-1].trouble, CityCertificateWrong)
    running.desk.sell(2)
    assert loop.status().pending_count == 2 and loop.status().badge is Badge.ATTENTION
    assert loop.stop()


def test_stop_does_not_wait_for_a_black_hole(running: Running) -> None:
    running.proxy.apply(Plan(mode=Mode.BLACK_HOLE))
    running.loop.start()
    until(lambda: running.proxy.counts().connections > 0)
    assert running.loop.stop()


def test_uplink_raises_nothing_but_refusals(net: Net, rng: random.Random) -> None:
    uplink = net.uplink(wait_ms_max=2000)
    for size in (0, 1, 7, 300):
        net.server.replace = CityAnswer(rng.choice([200, 404, 500]), rng.randbytes(size))
        answer = uplink.exchange(GET)
        assert len(answer.body) == size
    net.server.replace = CityAnswer(999_999, b"x")
    with pytest.raises(Refusal):
        uplink.exchange(GET)

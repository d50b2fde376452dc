"""The running city gives out signed releases, and a terminal fetches them over its own TLS, also when the link breaks.
DESIGN §7."""

import os
import shutil
import socket
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from firmware.flash.release import packages
from offline_ledger.errors import (
    CityCertificateWrong,
    CityUnreachable,
    NoSuchAddress,
    ReleaseInterrupted,
    ReleaseRolledBack,
    ReleasesMissing,
    RequestUnreadable,
)
from offline_ledger.terminal.program import MachineClock
from offline_ledger.terminal.updates.fetching import PIECE_BYTES, CitySource, FolderSource
from offline_ledger.terminal.updates.tuf_client import fetch
from offline_ledger.terminal.uplink import HttpsUplink
from simulators.fault_link import Mode, Plan
from simulators.fault_proxy import FaultProxy
from tests.city_service.desk import Answer, City, found, serving
from tests.release_desk import ReleaseDesk
from tests.terminal.https_city import make_authority

PACKAGE_BYTES = 3 * PIECE_BYTES + 12_345
CUT_BYTES = 2 * PIECE_BYTES
UNKNOWN = f"/releases/targets/stable/{'0' * 64}.kgo-0.2.0-linux_x86_64.zip"


@dataclass
class Town:
    """A served city, and the desk whose releases it gives out."""

    city: City
    desk: ReleaseDesk
    uplinks: list[HttpsUplink]

    @property
    def package(self) -> str:
        return f"/releases/targets/stable/{self.desk.package_file().name}"

    def source(self, port: int | None = None, ca_file: Path | None = None) -> CitySource:
        url = f"https://127.0.0.1:{port or self.city.ready['port']}/releases"
        self.uplinks.append(HttpsUplink(url, ca_file or self.city.ca_file, MachineClock(), wait_ms_max=5_000))
        return CitySource(self.uplinks[-1])


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    folder = tmp_path_factory.mktemp("releases-test-only")
    desk = ReleaseDesk(folder / "desk")
    desk.begin()
    package = desk.package("0.2.0", filling=os.urandom(PACKAGE_BYTES))
    packages.add(desk.releases, package, "stable", desk.keys, desk.now_s)
    city_folder = folder / "TH-40"
    found(city_folder)
    settings = city_folder / "city.toml"
    settings.write_text(settings.read_text().replace("[serve]\n", f'[serve]\nreleases = "{desk.releases.folder}"\n'))
    with serving(city_folder) as running:
        yield Town(running, desk, [])


def refused(answer: Answer) -> int:
    return answer.value[1]


def test_what_is_published_is_given_out_to_the_byte(town: Town) -> None:
    for file in town.desk.metadata.iterdir():
        answer = town.city.ask("GET", f"/releases/metadata/{file.name}")
        assert (answer.status, answer.body, answer.content_type) == (200, file.read_bytes(), "application/json")
    whole = town.desk.package_file().read_bytes()
    with_ranges = [
        ("bytes=0-0", whole[:1]), ("bytes=10-19", whole[10:20]), (f"bytes={len(whole) - 3}-", whole[-3:]),
        (f"bytes=5-{len(whole) * 2}", whole[5:]),
    ]  # fmt: skip
    for asked, expected in with_ranges:
        connection = town.city.connect()
        connection.request("GET", town.package, headers={"range": asked})
        response = connection.getresponse()
        assert response.read() == expected and response.status == 206, asked
        first = int(asked.removeprefix("bytes=").split("-")[0])
        assert response.headers["content-range"] == f"bytes {first}-{first + len(expected) - 1}/{len(whole)}"
        connection.close()


@pytest.mark.parametrize(
    "asked", ["bytes=-5", "bytes=0-1,3-4", "bytes=a-b", "items=0-1", "bytes=1-2;x", f"bytes={'9' * 40}-"]
)
def test_any_other_range_is_passed_over(town: Town, asked: str) -> None:
    answer = town.city.ask("GET", "/releases/metadata/timestamp.json", range=asked)
    assert (answer.status, answer.body) == (200, (town.desk.metadata / "timestamp.json").read_bytes())


@pytest.mark.parametrize("asked", ["bytes=999999999-", "bytes=5-4"])
def test_bytes_that_it_does_not_have_are_refused(town: Town, asked: str) -> None:
    answer = town.city.ask("GET", town.package, range=asked)
    assert (answer.status, refused(answer)) == (416, RequestUnreadable.number)


def test_head_tells_the_length_and_gives_no_byte(town: Town) -> None:
    connection = town.city.connect()
    for _ in range(2):  # on one connection: the answer before left nothing behind
        connection.request("HEAD", town.package)
        response = connection.getresponse()
        assert response.status == 200 and response.read() == b""
        assert int(response.headers["content-length"]) == town.desk.package_file().stat().st_size
    connection.close()


@pytest.mark.parametrize(
    "path",
    [
        "/releases", "/releases/", "/releases/metadata", "/releases/metadata/", "/releases/targets/",
        "/releases/targets/stable/", "/releases/metadata/9.root.json", "/releases/metadata/01.root.json",
        "/releases/metadata/.timestamp.json.1.new", "/releases/metadata/../../release-keys/TEST-ONLY-root-1.pem",
        "/releases/metadata/..%2f..%2frelease-keys%2fTEST-ONLY-root-1.pem", "/releases/metadata/%2e%2e",
        "/releases/metadata//etc/passwd", "/releases/metadata/timestamp.json%00", UNKNOWN,
        "/releases/release-keys/TEST-ONLY-root-1.pem", "/releases/targets/stable/linked",
        "/releases/targets/../metadata/timestamp.json", "/releases/metadata/linked.json",
        "/releases/metadata/pipe.json", "/releases/metadata/folder.json", "/releases/root-change/new.root.json",
        "/releases/metadata/notes.txt", "/releases/metadata/0.root.json", "/releases/targets/stable/notes.txt",
        "/releases/targets/NOTES/notes.txt",
    ],
)  # fmt: skip
def test_nothing_else_is_given_out(town: Town, path: str) -> None:
    linked, pipe, folder = (town.desk.metadata / f"{name}.json" for name in ("linked", "pipe", "folder"))
    if not pipe.exists():
        for other in (town.desk.metadata, town.desk.releases.targets / "stable", town.desk.releases.targets / "NOTES"):
            other.mkdir(exist_ok=True)
            (other / "notes.txt").write_text("nobody's business")
        (town.desk.metadata / "0.root.json").write_text("{}")
        linked.symlink_to(town.desk.keys_folder / "TEST-ONLY-root-1.pem")
        os.mkfifo(pipe)
        folder.mkdir()
    try:
        answer = town.city.ask("GET", path)
        assert (answer.status, refused(answer)) == (404, NoSuchAddress.number)
    finally:
        linked.unlink()
        pipe.unlink()
        (town.desk.metadata / "0.root.json").unlink()
        (town.desk.metadata / "notes.txt").unlink()
        (town.desk.releases.targets / "stable" / "notes.txt").unlink()
        folder.rmdir()


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_nobody_writes_there(town: Town, method: str) -> None:
    assert town.city.ask(method, "/releases/metadata/timestamp.json", b"x").status == 405


def test_a_city_without_the_setting_gives_out_nothing(city: City) -> None:
    assert city.ask("GET", "/releases/metadata/timestamp.json").status == 404


def test_who_reads_slowly_holds_nobody_up(town: Town) -> None:
    """Twenty connections ask for the package and read nothing; others are answered at once."""
    context = ssl.create_default_context(cafile=str(town.city.ca_file))
    stuck: list[ssl.SSLSocket] = []
    for _ in range(20):
        raw = socket.create_connection(("127.0.0.1", town.city.ready["port"]))
        stuck.append(context.wrap_socket(raw, server_hostname="127.0.0.1"))
        stuck[-1].sendall(f"GET {town.package} HTTP/1.1\r\nhost: localhost\r\n\r\n".encode())
    began_s = time.monotonic()
    assert town.city.ask("GET", "/v1/trust-lists?after=0").status == 200
    assert town.city.ask("GET", "/releases/metadata/timestamp.json").status == 200
    assert time.monotonic() - began_s < 3
    for one in stuck:
        one.close()


# --- a terminal fetches


@pytest.fixture
def desk(town: Town) -> Iterator[ReleaseDesk]:
    town.desk.forget()
    yield town.desk
    for uplink in town.uplinks:
        uplink.close()


@pytest.fixture
def proxy(town: Town) -> Iterator[FaultProxy]:
    made = FaultProxy(("127.0.0.1", town.city.ready["port"]))
    made.start()
    yield made
    made.close()


def test_a_terminal_fetches_from_the_city(town: Town, desk: ReleaseDesk) -> None:
    assert desk.fetched(town.source()) == desk.package_file().read_bytes()


def test_a_package_that_breaks_off_goes_on_where_it_stopped(town: Town, desk: ReleaseDesk, proxy: FaultProxy) -> None:
    source = town.source(proxy.port)
    whole = desk.package_file().read_bytes()
    found = desk.find(source=source)
    assert found is not None
    proxy.apply(Plan(cut_down_bytes=CUT_BYTES))
    with pytest.raises(ReleaseInterrupted) as interrupted:
        fetch(found)
    assert interrupted.value.waiting_helps
    (part,) = found.folder.iterdir()
    kept = part.stat().st_size
    assert part.suffix == ".part" and 0 < kept < len(whole) and whole.startswith(part.read_bytes())
    proxy.apply(Plan())
    before = proxy.counts().down_bytes
    assert fetch(found).read_bytes() == whole
    assert proxy.counts().down_bytes - before < len(whole) - kept + 100_000, "only what was missing came"


@pytest.mark.parametrize("length", [10, PACKAGE_BYTES // 2, PACKAGE_BYTES * 2])
def test_a_part_that_a_power_cut_left_wrong_is_fetched_anew(town: Town, desk: ReleaseDesk, length: int) -> None:
    found = desk.find(source=town.source())
    assert found is not None
    found.folder.mkdir()
    (found.folder / f"{found.sha256}.part").write_bytes(bytes(length))
    assert fetch(found).read_bytes() == desk.package_file().read_bytes()


@pytest.mark.parametrize("plan", [Plan(mode=Mode.REFUSE), Plan(cut_down_bytes=0), Plan(cut_down_bytes=4_000)])
def test_a_link_that_is_down_is_told_as_such(town: Town, desk: ReleaseDesk, proxy: FaultProxy, plan: Plan) -> None:
    proxy.apply(plan)
    with pytest.raises(CityUnreachable):
        desk.find(source=town.source(proxy.port))


def test_another_ca_is_not_believed(town: Town, desk: ReleaseDesk, tmp_path: Path) -> None:
    with pytest.raises(CityCertificateWrong):
        desk.find(source=town.source(ca_file=make_authority(tmp_path).ca_file))


def test_an_address_without_releases_is_told(city: City, desk: ReleaseDesk) -> None:
    bare = Town(city, desk, [])
    with pytest.raises(ReleasesMissing):
        desk.find(source=bare.source())
    bare.uplinks[0].close()


def test_a_stick_with_a_copy_is_as_good(town: Town, desk: ReleaseDesk, tmp_path: Path) -> None:
    """What the city gave out counts for a stick too: an older copy is refused afterwards."""
    stick = tmp_path / "stick"
    shutil.copytree(desk.releases.folder, stick)
    desk.refresh()
    assert desk.fetched(town.source()) == desk.package_file().read_bytes()
    with pytest.raises(ReleaseRolledBack):
        desk.find(source=FolderSource(stick))

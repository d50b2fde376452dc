"""Route and crew files on a validator: the city's own, never an older one, none that others read. DESIGN §4."""

from pathlib import Path

import pytest

from bus_validator.route_keeper import Held, load_crew, load_routes
from offline_ledger.errors import (
    BulletinRollback,
    BulletinSignatureWrong,
    CrewFileExposed,
    CrewFileWrong,
    IssuerRoleWrong,
    Refusal,
    RouteFileOutOfDate,
    RouteFileWrong,
    UnknownIssuer,
)
from offline_ledger.protocol import cose
from offline_ledger.protocol.city import BULLETIN, Bulletin
from offline_ledger.protocol.crew_file import CREW_KIND, encode_crew
from offline_ledger.protocol.device import ClockTrust
from offline_ledger.protocol.kinds import Kind
from offline_ledger.protocol.route_file import ROUTE_FILE_BYTES_MAX, ROUTES_KIND, encode_routes
from offline_ledger.rules.clock import TimeNow
from offline_ledger.terminal.trust import TrustStore
from simulators.keys import SimulatedKey
from tests.protocol.test_crew_file import CREW
from tests.protocol.test_route_file import TOWN
from tests.terminal.city_in_test import ACK_TEST_ONLY, BULLETIN_TEST_ONLY, CITY, NOW_S, trust_list

VERSION = (1, NOW_S)


@pytest.fixture
def trust(tmp_path: Path) -> TrustStore:
    return TrustStore.provision(tmp_path / "trust", CITY, [trust_list()[0]])


def signed(kind: int, key: SimulatedKey = BULLETIN_TEST_ONLY, version: tuple[int, int] = VERSION) -> bytes:
    body = encode_routes(TOWN) if kind == ROUTES_KIND else encode_crew(CREW)
    made = Bulletin(CITY, kind, version, NOW_S, NOW_S, NOW_S + 1_000, body)
    return cose.sign1(BULLETIN.encode(made), cose.external_aad(Kind.BULLETIN, CITY), key.key_id, key.sign).raw


def put(path: Path, raw: bytes, mode: int = 0o600) -> Path:
    path.write_bytes(raw)
    path.chmod(mode)
    return path


def test_what_the_city_signed_is_taken(tmp_path: Path, trust: TrustStore) -> None:
    routes = load_routes(put(tmp_path / "routes", signed(ROUTES_KIND), 0o644), trust)
    crew = load_crew(put(tmp_path / "crew", signed(CREW_KIND)), trust)
    assert routes is not None and routes.routes == TOWN and routes.held.version == VERSION
    assert crew is not None and crew.crew == CREW and crew.held.digest != routes.held.digest
    assert load_routes(tmp_path / "none", trust) is None and load_crew(tmp_path / "none", trust) is None


def other_signature() -> bytes:
    raw = signed(ROUTES_KIND, SimulatedKey(0x666))
    return raw.replace(SimulatedKey(0x666).key_id, BULLETIN_TEST_ONLY.key_id)


@pytest.mark.parametrize(
    ("raw", "refusal"),
    [
        (signed(ROUTES_KIND, SimulatedKey(0x666)), UnknownIssuer),
        (signed(ROUTES_KIND, ACK_TEST_ONLY), IssuerRoleWrong),
        (other_signature(), BulletinSignatureWrong),
        (signed(ROUTES_KIND, version=(1, NOW_S - 1)), BulletinRollback),
        (signed(CREW_KIND), RouteFileWrong),
        (signed(ROUTES_KIND)[:-1], RouteFileWrong),
        (b"", RouteFileWrong),
        (bytes(ROUTE_FILE_BYTES_MAX + 1), RouteFileWrong),
    ],
)
def test_any_other_route_file_is_refused(tmp_path: Path, trust: TrustStore, raw: bytes, refusal: type[Refusal]) -> None:
    with pytest.raises(refusal):
        load_routes(put(tmp_path / "routes", raw), trust, VERSION)


@pytest.mark.parametrize(
    ("raw", "mode", "refusal"),
    [
        (signed(CREW_KIND), 0o640, CrewFileExposed),
        (signed(CREW_KIND), 0o604, CrewFileExposed),
        (signed(ROUTES_KIND), 0o600, CrewFileWrong),
        (signed(CREW_KIND, SimulatedKey(0x666)), 0o600, UnknownIssuer),
        (signed(CREW_KIND, version=(1, NOW_S - 1)), 0o600, BulletinRollback),
    ],
)
def test_any_other_crew_file_is_refused(
    tmp_path: Path, trust: TrustStore, raw: bytes, mode: int, refusal: type[Refusal]
) -> None:
    with pytest.raises(refusal):
        load_crew(put(tmp_path / "crew", raw, mode), trust, VERSION)


@pytest.mark.parametrize(
    ("at_s", "told"), [(NOW_S - 1, True), (NOW_S, False), (NOW_S + 1_000, False), (NOW_S + 1_001, True)]
)
def test_a_file_whose_days_are_over_is_used_and_told(at_s: int, told: bool) -> None:
    held = Held(VERSION, "", NOW_S, NOW_S + 1_000)
    found = held.trouble(TimeNow(at_s, ClockTrust.HOLDOVER, 0))
    assert isinstance(found, RouteFileOutOfDate) is told
    assert held.trouble(TimeNow(at_s, ClockTrust.FLOOR, 0)) is None

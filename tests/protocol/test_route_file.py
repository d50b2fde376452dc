"""The route file: what fits, every bound from both sides, hostile bodies and bytes. DESIGN §2, §4."""

import random
from collections.abc import Callable

import pytest

from offline_ledger.errors import Refusal, RouteFileWrong
from offline_ledger.protocol import cbor, cose
from offline_ledger.protocol.city import BULLETIN, Bulletin, BulletinKind
from offline_ledger.protocol.kinds import Kind
from offline_ledger.protocol.route_file import (
    LATITUDE_E6_MAX,
    PATTERN_STOPS_MAX,
    ROUTE_FILE_BYTES_MAX,
    ROUTES_KIND,
    START_MINUTE_MAX,
    STARTS_MAX,
    STOPS_MAX,
    Pattern,
    Route,
    RouteFile,
    Stop,
    decode_routes,
    digest_of,
    encode_routes,
    parse_route_file,
)
from simulators.keys import SimulatedKey

KEY_TEST_ONLY = SimulatedKey(0xB05)
NOW_S = 1_795_000_000
STOPS = tuple(Stop(f"S{at}", f"ป้าย {at}", f"Stop {at}", 16_430_000 + at * 2_000, 102_830_000) for at in range(4))
ROUTES = (Route("8", "8", "สนามบิน", "Airport"), Route("10", "10", "มข.", "KKU"))
PATTERNS = (
    Pattern(0, 0, "มข.", "KKU", (0, 1, 2, 3), (300, 330)),
    Pattern(0, 0, "ป้าย 2", "Stop 2", (0, 1, 2), (1_290,)),
    Pattern(0, 1, "สนามบิน", "Airport", (3, 2, 1, 0), ()),
    Pattern(1, 0, "วน", "Loop", (1, 2, 1), (START_MINUTE_MAX,)),
)
TOWN = RouteFile("รถเมล์ตัวอย่าง", "sample-1", ROUTES, STOPS, PATTERNS)


def file_of(body: object, *, kind: int = ROUTES_KIND, city: str = "TH-40", aad_city: str = "TH-40") -> bytes:
    made = Bulletin(city, kind, (1, NOW_S), NOW_S, NOW_S, NOW_S + 10**6, body)  # type: ignore[arg-type]
    aad = cose.external_aad(Kind.BULLETIN, aad_city)
    return cose.sign1(BULLETIN.encode(made), aad, KEY_TEST_ONLY.key_id, KEY_TEST_ONLY.sign).raw


def test_what_is_written_is_read() -> None:
    body = encode_routes(TOWN)
    assert decode_routes(body) == TOWN
    raw = file_of(body)
    found = parse_route_file(raw, "TH-40")
    assert found.routes == TOWN and found.bulletin.version == (1, NOW_S) and found.digest == digest_of(raw)
    assert cose.is_signature_of(found.signed, cose.verify_key(KEY_TEST_ONLY.point))
    assert len(cbor.encode(dict(body))) < 500


def test_the_usual_pattern_of_a_direction_stands_first() -> None:
    assert TOWN.patterns_of("8") == PATTERNS[:3] and TOWN.patterns_of("9") == ()
    assert TOWN.pattern_for("8", 0) == PATTERNS[0] and TOWN.pattern_for("8", 1) == PATTERNS[2]
    assert TOWN.pattern_for("10", 1) is None and TOWN.stops_of(PATTERNS[3]) == (STOPS[1], STOPS[2], STOPS[1])


def with_stop(**change: object) -> RouteFile:
    return TOWN._replace(stops=(STOPS[0]._replace(**change), *STOPS[1:]))


def with_pattern(**change: object) -> RouteFile:
    return TOWN._replace(patterns=(PATTERNS[0]._replace(**change), *PATTERNS[1:]))


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        (with_stop(latitude_e6=LATITUDE_E6_MAX), with_stop(latitude_e6=LATITUDE_E6_MAX + 1)),
        (with_stop(latitude_e6=-LATITUDE_E6_MAX), with_stop(latitude_e6=-LATITUDE_E6_MAX - 1)),
        (with_stop(longitude_e6=-180_000_000), with_stop(longitude_e6=180_000_001)),
        (with_stop(stop_id="x" * 32), with_stop(stop_id="x" * 33)),
        (with_stop(name_th="ก" * 64), with_stop(name_th="ก" * 65)),
        (with_stop(name_en="a"), with_stop(name_en="")),
        (with_stop(name_en="a"), with_stop(name_en="a\n")),
        (with_stop(stop_id="S9"), with_stop(stop_id="S1")),
        (with_pattern(direction=1), with_pattern(direction=2)),
        (with_pattern(route=1), with_pattern(route=2)),
        (with_pattern(stops=(0, 3)), with_pattern(stops=(0, 4))),
        (with_pattern(stops=(0, 3)), with_pattern(stops=(3,))),
        (with_pattern(stops=(0, 1, 0)), with_pattern(stops=(0, 0, 1))),
        (with_pattern(stops=(0, 1) * (PATTERN_STOPS_MAX // 2)), with_pattern(stops=(0, 1) * 75 + (0,))),
        (with_pattern(starts=(0, START_MINUTE_MAX)), with_pattern(starts=(0, START_MINUTE_MAX + 1))),
        (with_pattern(starts=(1, 2)), with_pattern(starts=(2, 1))),
        (with_pattern(starts=(1, 2)), with_pattern(starts=(1, 1))),
        (with_pattern(starts=tuple(range(STARTS_MAX))), with_pattern(starts=tuple(range(STARTS_MAX + 1)))),
        (TOWN, TOWN._replace(routes=(ROUTES[0], ROUTES[1]._replace(route_id="8")))),
        (TOWN, TOWN._replace(patterns=(*PATTERNS, PATTERNS[0]._replace(headsign_en="again")))),
        (TOWN, TOWN._replace(patterns=PATTERNS[:3])),
        (TOWN, TOWN._replace(patterns=())),
        (TOWN, TOWN._replace(stops=tuple(STOPS[0]._replace(stop_id=str(at)) for at in range(STOPS_MAX + 1)))),
    ],
)
def test_both_sides_of_each_edge(good: RouteFile, bad: RouteFile) -> None:
    assert decode_routes(encode_routes(good)) == good
    with pytest.raises(RouteFileWrong):
        encode_routes(bad)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda body: {**body, 9: 1},
        lambda body: {key: member for key, member in body.items() if key != 3},
        lambda body: {**body, 3: [[*body[3][0], 1], *body[3][1:]]},
        lambda body: {**body, 4: "stops"},
        lambda body: {**body, 4: [[*body[4][0][:3], True, 1], *body[4][1:]]},
        lambda body: {**body, 5: [[0, 0, "x", "y", [0, -1], []]]},
    ],
)
def test_a_hostile_body_is_refused_by_number(spoil: Callable[[dict[int, object]], dict[int, object]]) -> None:
    with pytest.raises(RouteFileWrong):
        parse_route_file(file_of(spoil(dict(encode_routes(TOWN)))), "TH-40")


def test_a_file_of_another_kind_or_city_is_none() -> None:
    body = encode_routes(TOWN)
    for raw in (file_of(body, kind=BulletinKind.CONFIGURATION), file_of(body, city="TH-41")):
        with pytest.raises(RouteFileWrong):
            parse_route_file(raw, "TH-40")
    # one that names this city and was signed for another parses, and no key verifies it here
    found = parse_route_file(file_of(body, aad_city="TH-41"), "TH-40")
    assert not cose.is_signature_of(found.signed, cose.verify_key(KEY_TEST_ONLY.point))


def test_any_byte_changed_is_refused_or_does_not_verify(rng: random.Random) -> None:
    raw, key = file_of(encode_routes(TOWN)), cose.verify_key(KEY_TEST_ONLY.point)
    for at in rng.sample(range(len(raw)), 150):
        spoilt = raw[:at] + bytes([raw[at] ^ 1 << rng.randrange(8)]) + raw[at + 1 :]
        try:
            found = parse_route_file(spoilt, "TH-40")
        except RouteFileWrong:
            continue
        assert not cose.is_signature_of(found.signed, key)


def test_junk_and_too_much_are_refused(rng: random.Random) -> None:
    raw = file_of(encode_routes(TOWN))
    for junk in (b"", raw[:-1], raw + b"\0", bytes(ROUTE_FILE_BYTES_MAX + 1), *(rng.randbytes(200) for _ in range(50))):
        with pytest.raises(Refusal) as caught:
            parse_route_file(junk, "TH-40")
        assert isinstance(caught.value, RouteFileWrong)

"""The crew file: bounds, hostile bodies, PINs that stand nowhere in it. DESIGN §4, §5."""

import pytest

from offline_ledger.errors import CrewFileWrong
from offline_ledger.protocol import cbor, cose
from offline_ledger.protocol.city import BULLETIN, Bulletin
from offline_ledger.protocol.crew_file import (
    CREW_KIND,
    SCRYPT_LOG2_N_MAX,
    SCRYPT_LOG2_N_MIN,
    Crew,
    Driver,
    decode_crew,
    encode_crew,
    is_pin,
    is_pin_of,
    parse_crew_file,
    pin_hash,
)
from offline_ledger.protocol.kinds import Kind
from offline_ledger.protocol.route_file import ROUTES_KIND
from simulators.keys import SimulatedKey

KEY_TEST_ONLY = SimulatedKey(0xC4E)
NOW_S = 1_795_000_000
COST = (SCRYPT_LOG2_N_MIN, 1, 1)
SOMCHAI = Driver("D-01", "สมชาย", b"s" * 16, pin_hash("274905", b"s" * 16, COST), ())
MALI = Driver("D-02", "มาลี", b"m" * 16, pin_hash("618340", b"m" * 16, COST), (b"cardcard", b"another1"))
CREW = Crew("kk-bus", 6, COST, (SOMCHAI, MALI))


def file_of(body: object, *, kind: int = CREW_KIND, city: str = "TH-40") -> bytes:
    made = Bulletin(city, kind, (1, NOW_S), NOW_S, NOW_S, NOW_S + 10**6, body)  # type: ignore[arg-type]
    aad = cose.external_aad(Kind.BULLETIN, "TH-40")
    return cose.sign1(BULLETIN.encode(made), aad, KEY_TEST_ONLY.key_id, KEY_TEST_ONLY.sign).raw


def test_what_is_written_is_read_and_holds_no_pin() -> None:
    raw = file_of(encode_crew(CREW))
    assert parse_crew_file(raw, "TH-40").crew == CREW
    assert b"274905" not in raw and b"618340" not in raw


def test_a_driver_is_found_by_id_and_by_card() -> None:
    assert CREW.driver("D-02") == MALI and CREW.driver("D-03") is None
    assert CREW.holder_of(b"another1") == MALI and CREW.holder_of(b"nobody's") is None


def test_only_the_right_digits_are_the_pin() -> None:
    assert is_pin_of(SOMCHAI, "274905", CREW)
    assert [pin for pin in ("274906", "618340", "", "27490", "2749055") if is_pin_of(SOMCHAI, pin, CREW)] == []


@pytest.mark.parametrize(
    ("pin", "good"), [("274905", True), ("27490", False), ("2749055", False), ("27490x", False), ("٢٧٤٩٠٥", False)]
)
def test_a_pin_is_so_many_digits(pin: str, good: bool) -> None:
    assert is_pin(pin, 6) is good


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        (CREW._replace(pin_digits=4), CREW._replace(pin_digits=3)),
        (CREW._replace(pin_digits=8), CREW._replace(pin_digits=9)),
        (CREW._replace(scrypt=(SCRYPT_LOG2_N_MAX, 8, 8)), CREW._replace(scrypt=(SCRYPT_LOG2_N_MAX + 1, 8, 8))),
        (CREW._replace(scrypt=(SCRYPT_LOG2_N_MIN, 1, 1)), CREW._replace(scrypt=(SCRYPT_LOG2_N_MIN - 1, 1, 1))),
        (CREW, CREW._replace(drivers=())),
        (CREW, CREW._replace(drivers=(SOMCHAI, MALI._replace(driver_id="D-01")))),
        (CREW, CREW._replace(drivers=(SOMCHAI._replace(cards=(b"cardcard",)), MALI))),
        (CREW, CREW._replace(drivers=(SOMCHAI._replace(salt=b"short"), MALI))),
        (CREW, CREW._replace(drivers=(SOMCHAI._replace(name=""), MALI))),
    ],
)
def test_both_sides_of_each_edge(good: Crew, bad: Crew) -> None:
    assert decode_crew(encode_crew(good)) == good
    with pytest.raises(CrewFileWrong):
        encode_crew(bad)


def test_other_files_and_junk_are_no_crew_file() -> None:
    body = dict(encode_crew(CREW))
    whole = file_of(body)
    wrong = (file_of(body, kind=ROUTES_KIND), file_of(body, city="TH-41"), file_of({**body, 9: 1}), whole[:-1], b"")
    for raw in (*wrong, cbor.encode(body)):
        with pytest.raises(CrewFileWrong):
            parse_crew_file(raw, "TH-40")

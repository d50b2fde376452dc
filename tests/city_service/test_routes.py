"""`kgo-city routes` and `crew`: the sample town, every mistake of a feed at once, hostile zips. DESIGN §3."""

import re
import shutil
import stat
import zipfile
from pathlib import Path

import pytest

from offline_ledger.city import routes_feed
from offline_ledger.city.routes import compile_feed
from offline_ledger.city.routes_crew import read_crew
from offline_ledger.errors import CrewListWrong, FeedTooLarge, FeedWrong, FileUnusable
from offline_ledger.protocol.crew_file import Crew, is_pin_of, parse_crew_file
from offline_ledger.protocol.route_file import digest_of, encode_routes, parse_route_file
from offline_ledger.texts import LANGUAGES, Texts
from simulators.sample_town import CREW_LIST, FEED
from tests.city_service.desk import found, run

ENGLISH = Texts("en")


@pytest.fixture
def feed(tmp_path: Path) -> Path:
    """A copy of the sample feed, for one test."""
    return shutil.copytree(FEED, tmp_path / "feed")


def zipped(feed: Path, to: Path, *, method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(to, "w", method) as packed:
        for path in sorted(feed.iterdir()):
            packed.write(path, path.name)
    return to


# --- the sample town


def test_the_sample_town_compiles_from_folder_and_zip_alike(tmp_path: Path) -> None:
    town = compile_feed(FEED, ENGLISH)
    assert compile_feed(zipped(FEED, tmp_path / "feed.zip"), ENGLISH) == town
    assert [route.route_id for route in town.routes] == ["8", "10", "13", "KKU-SB"]
    assert len(town.stops) == 24 and len(town.patterns) == 7
    usual, short = (town.patterns_of("8")[at] for at in (0, 1))
    assert len(usual.stops) == 17 and len(usual.starts) == 32 and usual.starts[0] == 5 * 60 + 30
    assert (short.headsign_th, short.headsign_en, len(short.stops)) == ("หอนาฬิกา", "Clock Tower", 11)
    assert town.stops_of(usual)[0].name_en == "Khon Kaen Airport (sample)"
    assert all(16_300_000 < one.latitude_e6 < 16_600_000 for one in town.stops)
    loop = town.pattern_for("13", 0)
    assert loop is not None and loop.stops[0] == loop.stops[-1] and loop.starts[1] - loop.starts[0] == 20
    assert len(encode_routes(town)) == 5


def test_the_sample_says_that_it_is_one() -> None:
    told = (FEED.parent / "README.md").read_text("utf-8")
    assert "SAMPLE" in told and "invented" in told
    assert "ไม่ใช่ของจริง" in compile_feed(FEED, ENGLISH).agency


# --- mistakes


def spoil(feed: Path, file: str, find: str, put: str) -> None:
    said = (feed / file).read_text("utf-8")
    assert find in said
    (feed / file).write_text(said.replace(find, put, 1), "utf-8")


@pytest.mark.parametrize(
    ("file", "find", "put", "told"),
    [
        ("stops.txt", "AIR2,", "AIR,", "stops.txt line 3: stop_id AIR stands in line 2 already"),
        ("stops.txt", "16.465800", "16,4658", "stops.txt line 2: 6 cells, but the heading has 5"),
        ("stops.txt", "16.465800", "north", "stops.txt line 2: stop_lat is no degrees: north"),
        ("stops.txt", "16.465800", "90.000001", "stops.txt line 2: stop_lat is no degrees: 90.000001"),
        ("stops.txt", "16.465800,102.787300", "0,0.0", "stops.txt line 2: stop AIR is at 0, 0"),
        ("stops.txt", "ทางเข้าสนามบิน", "", "stops.txt line 3: stop_name is empty"),
        ("stops.txt", "ทางเข้าสนามบิน", "ก" * 65, "stops.txt line 3: stop_name is longer than 64"),
        ("stops.txt", "AIR,", "A" * 33 + ",", "stops.txt line 2: stop_id is longer than 32"),
        ("stops.txt", "stop_lat", "lat", "stops.txt line 1: column stop_lat is missing"),
        ("stops.txt", "stop_lat,stop_lon", "stop_lat,stop_lon,stop_lon", "columns named twice: stop_lon"),
        ("stops.txt", "ตลาดหน้าสวน", '"ตลาด', "stops.txt line 4: a quote is opened"),
        ("stops.txt", "ตลาดหน้าสวน", 'ตล"าด', "stops.txt line 4: a quote stands where none belongs"),
        ("stops.txt", "ตลาดหน้าสวน", "a\x07b", "stops.txt line 4: stop_name has characters that cannot be printed"),
        ("routes.txt", "10,SAMPLE", "8,SAMPLE", "routes.txt line 3: route_id 8 stands in line 2 already"),
        ("routes.txt", ",มข.,", ",ก" + "ข" * 16 + ",", "route_short_name is longer than 16"),
        ("trips.txt", "8,DAILY", "99,DAILY", "trips.txt line 2: route_id 99 is unknown"),
        ("trips.txt", "8-0-0600", "8-0-0530", "trips.txt line 3: trip_id 8-0-0530 stands in line 2 already"),
        ("trips.txt", "8-0-0600", "", "trips.txt line 3: trip_id is empty"),
        ("trips.txt", "สถานีขนส่ง 3,0", "สถานีขนส่ง 3,2", "trips.txt line 2: direction_id is 2"),
        ("stop_times.txt", ",AIR2,", ",NOWHERE,", "stop_times.txt line 3: stop_id NOWHERE is unknown"),
        ("stop_times.txt", "8-0-0530,", "nobody,", "stop_times.txt line 2: trip_id nobody is unknown"),
        ("stop_times.txt", "05:30:00,AIR,1", "05:30:00,AIR,one", "stop_sequence is no number that fits: one"),
        ("stop_times.txt", "05:30:00,AIR,1", "48:00:00,AIR,1", "departure_time is no time: 48:00:00"),
        ("stop_times.txt", "05:30:00,AIR,1", "5.30,AIR,1", "departure_time is no time: 5.30"),
        ("stop_times.txt", ",AIR2,2", ",AIR2,1", "stop_sequence 1 stands twice in trip 8-0-0530"),
        ("stop_times.txt", ",AIR2,", ",AIR,", "stop AIR stands twice in a row in trip 8-0-0530"),
        ("frequencies.txt", ",1200,", ",59,", "headway_secs is no number that fits: 59"),
        ("frequencies.txt", "13-0-all", "nobody", "frequencies.txt line 2: trip_id nobody is unknown"),
        ("frequencies.txt", "06:00:00", "noon", "start_time is no time: noon"),
        ("agency.txt", "รถเมล์เมืองตัวอย่าง (ไม่ใช่ของจริง)", "", "agency_name is empty"),
        ("feed_info.txt", "sample-1", "x" * 33, "feed_version is longer than 32"),
    ],
)
def test_each_mistake_is_told_with_file_and_line(feed: Path, file: str, find: str, put: str, told: str) -> None:
    spoil(feed, file, find, put)
    with pytest.raises(FeedWrong) as caught:
        compile_feed(feed, ENGLISH)
    assert told in "\n".join(caught.value.problems)


def test_all_mistakes_of_a_feed_are_told_at_once_in_both_languages(feed: Path) -> None:
    spoil(feed, "stops.txt", "16.465800", "north")
    spoil(feed, "trips.txt", "8,DAILY", "99,DAILY")
    spoil(feed, "stop_times.txt", ",AIR2,", ",NOWHERE,")
    spoil(feed, "frequencies.txt", ",1200,", ",0,")
    for language in LANGUAGES:
        with pytest.raises(FeedWrong) as caught:
            compile_feed(feed, Texts(language))
        told = "\n".join(caught.value.problems)
        assert all(f"{name}.txt" in told for name in ("stops", "trips", "stop_times", "frequencies"))
        assert bool(re.search("[\u0e01-\u0e5b]", told)) is (language == "th")


def test_a_thousand_mistakes_are_counted(feed: Path) -> None:
    said = (feed / "stop_times.txt").read_text("utf-8")
    (feed / "stop_times.txt").write_text(re.sub(r",(\d+)\n", r",x\1\n", said), "utf-8")
    with pytest.raises(FeedWrong) as caught:
        compile_feed(feed, ENGLISH)
    assert len(caught.value.problems) == routes_feed.PROBLEMS_MAX + 1


@pytest.mark.parametrize("name", routes_feed.REQUIRED)
def test_a_missing_file_is_told(feed: Path, name: str) -> None:
    (feed / name).unlink()
    with pytest.raises(FeedWrong, match=name):
        compile_feed(feed, ENGLISH)
    (feed / name).write_bytes(b"")
    with pytest.raises(FeedWrong, match="there is no heading"):
        compile_feed(feed, ENGLISH)


def test_without_trips_there_is_nothing_to_compile(feed: Path) -> None:
    for name in ("trips.txt", "stop_times.txt", "frequencies.txt"):
        (feed / name).write_text((feed / name).read_text("utf-8").splitlines()[0] + "\n", "utf-8")
    with pytest.raises(FeedWrong, match="no trip at all"):
        compile_feed(feed, ENGLISH)


def test_a_feed_in_english_gets_its_thai_from_the_translations(feed: Path) -> None:
    spoil(feed, "feed_info.txt", ",th,", ",en,")
    spoil(feed, "translations.txt", "stops,stop_name,en,Airport Road Gate,AIR2", "stops,stop_name,th,ประตู,AIR2")
    town = compile_feed(feed, ENGLISH)
    by_id = {one.stop_id: one for one in town.stops}
    assert (by_id["AIR2"].name_th, by_id["AIR2"].name_en) == ("ประตู", "ทางเข้าสนามบิน")


# --- hostile zips


def test_a_zip_bomb_stops_at_the_cap(feed: Path, tmp_path: Path) -> None:
    packed = tmp_path / "bomb.zip"
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as made:
        for path in sorted(feed.iterdir()):
            made.write(path, path.name) if path.name != "stops.txt" else None
        with made.open("stops.txt", "w") as stream:
            for _ in range(65):
                stream.write(bytes(1 << 20))
    assert packed.stat().st_size < 1 << 20
    with pytest.raises(FeedTooLarge):
        compile_feed(packed, ENGLISH)


def test_what_is_no_zip_or_cannot_be_read_says_so(feed: Path, tmp_path: Path) -> None:
    whole = zipped(feed, tmp_path / "feed.zip").read_bytes()
    damaged = bytearray(whole)
    for at in range(200, 2_000):
        damaged[at] ^= 0x55
    for name, data in (("a.zip", b""), ("b.zip", b"PK nonsense"), ("c.zip", whole[:-300]), ("d.zip", bytes(damaged))):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(FileUnusable):
            compile_feed(tmp_path / name, ENGLISH)
    zipped(feed, tmp_path / "e.zip", method=zipfile.ZIP_LZMA)
    with pytest.raises(FileUnusable, match="deflate"):
        compile_feed(tmp_path / "e.zip", ENGLISH)
    with pytest.raises(FileUnusable):
        compile_feed(tmp_path / "nothing.zip", ENGLISH)


# --- the list of drivers


def crew_of(text: str) -> Crew:
    return read_crew(text.encode(), "kk-bus", "crew.csv", ENGLISH, lambda size: b"s" * size)


def test_a_list_of_drivers_becomes_a_crew() -> None:
    crew = read_crew(CREW_LIST.read_bytes(), "kk-bus", "crew.csv", ENGLISH, lambda size: b"s" * size)
    assert [one.driver_id for one in crew.drivers] == ["D-01", "D-02", "D-03"] and crew.pin_digits == 6
    assert is_pin_of(crew.drivers[0], "274905", crew) and not is_pin_of(crew.drivers[0], "274904", crew)
    assert crew.drivers[1].cards == (bytes.fromhex("a1b2c3d4e5f60718"),)


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ("id,name\nD,N\n", "column pin is missing"),
        ("", "column id, name, pin is missing"),
        ("id,name,pin\n", "1 to 500 drivers"),
        ("id,name,pin\nD 1,N,274905\n", "line 2: this id cannot be used: D 1"),
        ("id,name,pin\n" + "D" * 17 + ",N,274905\n", "this id cannot be used"),
        ("id,name,pin\nD,N,274905\nD,M,274906\n", "line 3: id D stands in line 2 already"),
        ("id,name,pin\nD,,274905\n", "the name is empty"),
        ("id,name,pin\nD,N,123\n", "a PIN is 4 to 8 digits"),
        ("id,name,pin\nD,N,123456789\n", "a PIN is 4 to 8 digits"),
        ("id,name,pin\nD,N,12345x\n", "a PIN is 4 to 8 digits"),
        ("id,name,pin\nD,N,1111\n", "too easy to guess"),
        ("id,name,pin\nD,N,2345\n", "too easy to guess"),
        ("id,name,pin\nD,N,9876\n", "too easy to guess"),
        ("id,name,pin\nD,N,2749\nE,M,27490\n", "those before have 4 digits"),
        ("id,name,pin,cards\nD,N,2749,xyz\n", "card xyz is not 16 hexadecimal digits"),
        (
            "id,name,pin,cards\nD,N,2749,0011223344556677\nE,M,2750,0011223344556677\n",
            "belongs to the driver of line 2",
        ),
        ("id,name,pin,cards\nD,N,2749," + " ".join(f"{at:016x}" for at in range(5)) + "\n", "more than 4 cards"),
        ('id,name,pin\nD,"N,2749\n', "a quote is opened"),
        ("id,name,pin\nD,N,2749,x\n", "more cells than the heading"),
    ],
)
def test_each_mistake_of_the_list_is_told_without_the_pin(lines: str, told: str) -> None:
    with pytest.raises(CrewListWrong) as caught:
        crew_of(lines)
    said = "\n".join(caught.value.problems)
    assert told in said
    assert "274905" not in said and "12345x" not in said


# --- the commands


def test_the_commands_write_signed_files(tmp_path: Path) -> None:
    found(tmp_path / "city")
    settings = ("--settings", str(tmp_path / "city" / "city.toml"), "--language", "en")
    routes, crew = tmp_path / "routes.kgo", tmp_path / "crew.kgo"
    done = run("routes", str(FEED), str(routes), "--from", "2026-01-01", "--until", "2030-12-31", *settings)
    assert done.returncode == 0, done.stderr
    assert "4 routes, 7 patterns, 24 stops" in done.stdout and digest_of(routes.read_bytes()) in done.stdout
    assert parse_route_file(routes.read_bytes(), "TH-40").routes == compile_feed(FEED, ENGLISH)
    made = run("crew", str(CREW_LIST), str(crew), "--operator", "kk-bus", *settings)
    assert made.returncode == 0 and "3 drivers of kk-bus" in made.stdout and "readable PINs" in made.stderr
    assert stat.S_IMODE(crew.stat().st_mode) == 0o600
    assert [one.name for one in parse_crew_file(crew.read_bytes(), "TH-40").crew.drivers][2] == "Somsak Sample"
    again = run("routes", str(FEED), str(routes), *settings)
    assert again.returncode == 1 and "5010" in again.stderr
    nowhere = (str(tmp_path / "none" / "x.kgo"), *settings)
    for words in (("routes", str(FEED), *nowhere), ("crew", str(CREW_LIST), "--operator", "kk-bus", *nowhere)):
        lost = run(*words)
        assert lost.returncode == 2 and "5004" in lost.stderr, lost.stderr
    (tmp_path / "bad").mkdir()
    wrong = run("routes", str(tmp_path / "bad"), str(tmp_path / "x.kgo"), *settings)
    assert wrong.returncode == 2 and "4110" in wrong.stderr and not (tmp_path / "x.kgo").exists()
    (tmp_path / "bad.csv").write_text("id,name,pin\nD,N,1\n")
    wrong = run("crew", str(tmp_path / "bad.csv"), str(tmp_path / "y.kgo"), "--operator", "kk", *settings)
    assert wrong.returncode == 2 and "4112" in wrong.stderr and not (tmp_path / "y.kgo").exists()
    assert run("routes", str(FEED), str(tmp_path / "z.kgo"), "--until", "2020-01-01", *settings).returncode == 2

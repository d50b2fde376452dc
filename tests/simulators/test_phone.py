"""`kgo-sim phone` at a real city: registers, takes an allowance, and shows codes that a decoder reads. DESIGN §4."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import zxingcpp
from PIL import Image

from offline_ledger.protocol import cose, qr, wallet
from offline_ledger.protocol.kinds import OBJECT_BYTES_MAX, Kind
from offline_ledger.protocol.wallet import Audience, Presentment
from offline_ledger.rules.limits import Limits
from simulators.scanner import read_picture
from tests.city_service.desk import PROCESS_S_MAX, City, found, serving
from tests.forked import SIMULATORS, run_forked

AAD = cose.external_aad(Kind.PRESENTMENT, "TH-40")


@pytest.fixture(scope="module", name="city")
def _city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[City]:
    folder = tmp_path_factory.mktemp("phone-test-only") / "city"
    found(folder)
    with serving(folder) as city:
        yield city


def phone(folder: Path, *words: str, language: str = "en") -> "subprocess.CompletedProcess[str]":
    return run_forked(SIMULATORS, ("phone", str(folder), *words, "--language", language), None, PROCESS_S_MAX)


def shown(code: str) -> Presentment:
    allowance, presentment = (cose.parse_sign1(raw, cose.external_aad(kind, "TH-40")) for raw, kind in zip(
        qr.decode(code).objects, (Kind.ALLOWANCE, Kind.PRESENTMENT), strict=True))  # fmt: skip
    key = cose.verify_key(wallet.ALLOWANCE.decode(allowance.payload, OBJECT_BYTES_MAX).wallet_point)
    assert cose.is_signature_of(presentment, key)
    return wallet.PRESENTMENT.decode(presentment.payload, OBJECT_BYTES_MAX)


def picture_of(blocks: str) -> Image.Image:
    """What a camera sees of the blocks in a dark window."""
    lines = blocks.splitlines()
    picture = Image.new("L", (len(lines[0]), 2 * len(lines)))
    for y, line in enumerate(lines):
        for x, half in enumerate(line):
            picture.putpixel((x, 2 * y), 255 * (half in "▀█"))
            picture.putpixel((x, 2 * y + 1), 255 * (half in "▄█"))
    return picture.resize((picture.width * 4, picture.height * 4), Image.Resampling.NEAREST)


def test_a_phone_on_a_desk_pays_at_a_bus_and_a_shop(city: City, tmp_path: Path) -> None:
    me = tmp_path / "me"
    early = phone(me, "--bus")
    assert early.returncode == 1 and early.stdout == "" and "--connect" in early.stderr
    online = ("--connect", city.url, "--ca", str(city.ca_file))
    opened = phone(me, *online)
    assert opened.returncode == 0 and "100.00 KGO reserved" in opened.stderr, opened.stderr
    assert phone(me, *online).returncode == 0, "once more changes nothing"
    assert (me / "wallet.json").stat().st_mode & 0o077 == 0
    ride = phone(me, "--bus", "--png", str(tmp_path / "ride.png"))
    first = shown(ride.stdout.strip())
    assert (first.audience, first.n) == (Audience.TRANSIT, 1)
    assert read_picture(Image.open(tmp_path / "ride.png")) == ride.stdout.strip()
    assert shown(phone(me, "--again").stdout.strip()).n == 1
    assert (first.sum_kgo, first.cap_kgo) == (0, 10_000), "a ride may take all of the first allowance"
    sale = phone(me, "--shop", "30", "--blocks")
    assert "only 0.00 KGO" in sale.stderr and "1506" in sale.stderr, sale.stderr
    second = shown(sale.stdout.strip())
    assert (second.audience, second.n, second.cap_kgo) == (Audience.SHOP, 2, 3_000)
    seen = zxingcpp.read_barcode(picture_of(sale.stderr.rpartition("\n")[0].rpartition("\n")[0]))
    assert seen is not None and seen.text == sale.stdout.strip()


def test_the_guide_s_order_a_sale_then_a_ride_of_what_is_left(city: City, tmp_path: Path) -> None:
    me = tmp_path / "me"
    assert phone(me, "--connect", city.url, "--ca", str(city.ca_file)).returncode == 0
    sale = phone(me, "--shop", "30")
    ride = phone(me, "--bus")
    assert shown(sale.stdout.strip()).cap_kgo == 3_000 and "1506" not in sale.stderr + ride.stderr
    said = shown(ride.stdout.strip())
    assert (said.sum_kgo, said.cap_kgo) == (3_000, 7_000), "more than the fare of 50 KGO"


def test_a_phone_remembers_its_city(city: City, tmp_path: Path) -> None:
    me, online = tmp_path / "me", ("--connect", city.url, "--ca", str(city.ca_file))
    strange = phone(me, *online, "--city", "TH-41")
    assert strange.returncode == 1 and "say --city TH-40\n" in strange.stderr and "1201" not in strange.stderr
    assert phone(me, *online, "--city", "TH-40").returncode == 0
    ride = phone(me, "--bus")
    assert ride.returncode == 0 and shown(ride.stdout.strip()).n == 1
    other = phone(me, "--bus", "--city", "TH-40-TRAINING")
    assert other.returncode == 2 and "TH-40;" in other.stderr and other.stdout == ""


def test_a_phone_speaks_to_no_city_without_tls(city: City, tmp_path: Path) -> None:
    plain = phone(tmp_path / "me", "--connect", city.url.replace("https", "http"), "--ca", str(city.ca_file))
    assert plain.returncode == 2 and "https://" in plain.stderr and not (tmp_path / "me").exists()


def test_a_phone_renews_early_when_a_code_needs_it(city: City, tmp_path: Path) -> None:
    me, online = tmp_path / "me", ("--connect", city.url, "--ca", str(city.ca_file))
    opened = phone(me, *online)
    account = re.search(r"[0-9a-f]{66}", opened.stderr)
    assert account is not None
    gifts = tmp_path / "gifts.csv"
    gifts.write_text(f"wallet,amount_kgo,reason\n{account.group()},50.00,renewal\n")
    assert city.command("grant", str(gifts)).returncode == 0
    first = shown(phone(me, *online, "--shop", "30").stdout.strip())
    assert (first.n, first.sum_kgo) == (1, 0)
    enough = phone(me, *online, "--shop", "70")
    assert shown(enough.stdout.strip()).allowance_hash == first.allowance_hash, "it still has all that is needed"
    assert shown(phone(me, *online, "--shop", "51").stdout.strip()).n == 3, "nobody has more: no renewal would help"
    other = tmp_path / "other"
    account = re.search(r"[0-9a-f]{66}", phone(other, *online).stderr)
    assert account is not None
    gifts.write_text(f"wallet,amount_kgo,reason\n{account.group()},50.00,renewal\n")
    assert city.command("grant", str(gifts)).returncode == 0
    before = shown(phone(other, *online, "--shop", "30").stdout.strip())
    renewed = phone(other, *online, "--shop", "110")
    after = shown(renewed.stdout.strip())
    assert after.allowance_hash != before.allowance_hash and (after.n, after.sum_kgo, after.cap_kgo) == (1, 0, 11_000)
    assert " 0.00 KGO available, 150.00 KGO reserved" in renewed.stderr, renewed.stderr
    again = phone(other, *online, "--renew")
    assert again.returncode == 1 and "4011" in again.stderr, "two unexpired ones at most"
    assert city.command("audit").returncode == 0


def test_what_goes_wrong_is_one_line(city: City, tmp_path: Path) -> None:
    me = tmp_path / "me"
    for words, code, said in (
        (("--connect", city.url), 2, "--ca"),
        (("--connect", city.url, "--ca", str(tmp_path / "none")), 1, "cannot be used"),
        (("--connect", "https://127.0.0.1:9", "--ca", str(city.ca_file)), 1, "cannot be reached"),
        (("--connect", city.url, "--ca", str(city.ca_file), "--city", "TH-41"), 1, "is TH-40, not TH-41"),
        ((), 2, "--connect"),
        (("--renew",), 2, "--renew"),
        (("--renew", "--bus"), 2, "--renew"),
        (("--png", str(tmp_path / "none.png")), 2, "--bus"),
    ):
        ended = phone(me, *words)
        assert ended.returncode == code and said in ended.stderr and ended.stderr.count("\n") == 1, ended.stderr
        assert ended.stdout == ""
    assert (
        "ติดต่อเมืองไม่ได้" in phone(me, "--connect", "https://127.0.0.1:9", "--ca", str(city.ca_file), language="th").stderr
    )


def test_an_ended_ride_is_not_shown_again(city: City, tmp_path: Path) -> None:
    me, life_s = tmp_path / "me", Limits().intent_life_s
    assert phone(me, "--connect", city.url, "--ca", str(city.ca_file)).returncode == 0
    first = shown(phone(me, "--bus").stdout.strip())
    kept = me / "wallet.json"
    for earlier_s, is_alive in ((life_s - PROCESS_S_MAX - 1, True), (life_s, False), (0, False)):
        state = json.loads(kept.read_text())
        state |= {"code_at_s": first.at_s - earlier_s, "intent_age_s": 0 if is_alive else state["intent_age_s"]}
        kept.write_text(json.dumps(state))
        again = phone(me, "--again")
        if is_alive:
            assert again.returncode == 0 and shown(again.stdout.strip()).n == first.n
        else:
            assert (again.returncode, again.stdout) == (1, "") and "10 minutes" in again.stderr, again.stderr
    assert "10 นาที" in phone(me, "--again", language="th").stderr
    left = phone(me, "--shop", "1")
    assert left.returncode == 0 and shown(left.stdout.strip()).n == 2, "a new sale has a code"


def test_a_phone_at_another_city_is_told_which_one_answers(city: City, tmp_path: Path) -> None:
    folder, me = tmp_path / "training-test-only", tmp_path / "me"
    assert phone(me, "--connect", city.url, "--ca", str(city.ca_file)).returncode == 0
    found(folder, "--city", "TH-40-TRAINING")
    with serving(folder) as other:
        there = ("--connect", other.url, "--ca", str(other.ca_file))
        strange = phone(tmp_path / "new", *there)
        assert strange.returncode == 1 and "say --city TH-40-TRAINING\n" in strange.stderr, strange.stderr
        assert phone(tmp_path / "new", *there, "--city", "TH-40-TRAINING").returncode == 0
        kept = phone(me, *there, language="th")
        assert kept.returncode == 1 and "โฟลเดอร์อื่น" in kept.stderr and "TH-40-TRAINING" in kept.stderr, kept.stderr
    assert phone(me, "--bus").returncode == 0, "still of its own city"


def test_a_phone_of_a_training_city_is_told_so_once(tmp_path: Path) -> None:
    folder = tmp_path / "training-test-only"
    found(folder, "--city", "TH-40-TRAINING")
    with serving(folder) as city:
        me = tmp_path / "me"
        opened = phone(me, "--connect", city.url, "--ca", str(city.ca_file), "--city", "TH-40-TRAINING")
        assert opened.returncode == 0, opened.stderr
        again = phone(me, "--connect", city.url, "--ca", str(city.ca_file), "--bus")
        assert again.returncode == 0 and again.stdout.startswith("KGO1"), again.stderr

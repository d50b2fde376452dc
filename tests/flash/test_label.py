"""A device's label: what stands on it was read back, it reads as it was drawn, and is checked against the record."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image, ImageChops, ImageFilter

from firmware.flash.label_check import judge, label_in
from firmware.flash.label_facts import LabelFacts, label_facts
from firmware.flash.label_picture import LabelPainter, codes_in, parse_size
from firmware.flash.record import DONE, FAILED, Record
from offline_ledger.errors import (
    FileUnusable,
    LabelDamaged,
    LabelFactsMissing,
    LabelKeyDiffers,
    LabelNotOurs,
    LabelNotReadBack,
    LabelNotSeen,
    LabelOfOtherCity,
    LabelOfOtherDevice,
    LabelSerialDiffers,
    LabelSizeWrong,
    LabelUnknown,
    RecordNothing,
    Refusal,
)
from offline_ledger.protocol.label import Label, encode_label
from offline_ledger.protocol.qr import QrType, encode
from offline_ledger.qr_picture import qr_picture
from simulators.sample_labels import FOUND, SAMPLES

NOW_S = 1_795_312_345
KEY = "ab12cd34ef567890"
BUS = {"device_id": "BUS-0012", "serial": "10000000abcdef01", "mac": "dc:a6:32:01:02:03", "key_fingerprint": KEY}
SIZES = ("50x30", "62x29", "58mm")


@pytest.fixture
def record(tmp_path: Path) -> Iterator[Record]:
    """A bus's validator, a shop's till, and a head that was flashed."""
    made = Record.open(tmp_path / "bench.db")
    done(made, "provision", "BUS-0012", BUS | {"role": "bus", "city": "TH-40"})
    done(made, "provision", "SHOP-7", {"device_id": "SHOP-7", "serial": "S7", "role": "pos", "city": "TH-40"})
    done(made, "flash-head", "E6614103E7452D2F", {"serial": "E6614103E7452D2F", "firmware_version": "0.3.0"})
    yield made
    made.close()


def done(record: Record, what: str, subject: str, verified: dict[str, str], outcome: str = DONE) -> None:
    record.end(record.begin(what, subject, {}, "som", NOW_S), outcome, verified, NOW_S)


def text_of(record: Record, subject: str) -> str:
    return label_facts(record, subject, "TH-40", NOW_S).text


# --- what stands on it


def test_a_label_says_what_was_read_back(record: Record) -> None:
    facts = label_facts(record, "BUS-0012", "TH-99", NOW_S)
    assert facts.label == Label("BUS-0012", "TH-40", BUS["serial"], bytes.fromhex(KEY))
    assert (facts.role, facts.mac) == ("bus", BUS["mac"])
    for name in (BUS["serial"], BUS["mac"]):
        assert label_facts(record, name, "TH-99", NOW_S) == facts


def test_a_head_is_called_by_its_serial(record: Record) -> None:
    facts = label_facts(record, "E6614103E7452D2F", "TH-40", NOW_S)
    assert facts.label == Label("E6614103E7452D2F", "TH-40", "E6614103E7452D2F", b"") and facts.role == "head"


def test_what_was_only_intended_or_failed_is_on_no_label(record: Record) -> None:
    record.begin("provision", "BUS-9", {"device_id": "BUS-9"}, "som", NOW_S)
    done(record, "provision", "BUS-9", {"device_id": "BUS-9"}, FAILED)
    with pytest.raises(LabelFactsMissing):
        label_facts(record, "BUS-9", "TH-40", NOW_S)
    with pytest.raises(RecordNothing):
        label_facts(record, "BUS-10", "TH-40", NOW_S)


def test_what_an_earlier_label_said_is_no_fact(record: Record) -> None:
    done(record, "label", "BUS-0012", {"serial": "OTHER", "key_fingerprint": "00" * 8, "city": "XX"})
    assert label_facts(record, "BUS-0012", "TH-40", NOW_S).label.serial == BUS["serial"]


@pytest.mark.parametrize("wrong", [{"serial": "S" * 21}, {"key_fingerprint": "no hex"}, {"serial": "\x1b[31m"}])
def test_what_does_not_fit_a_code_is_refused(record: Record, wrong: dict[str, str]) -> None:
    done(record, "provision", "BUS-9", {"device_id": "BUS-9"} | wrong)
    if wrong.get("serial") == "\x1b[31m":
        assert label_facts(record, "BUS-9", "TH-40", NOW_S).serial == "�[31m"  # the record made it visible
    else:
        with pytest.raises(LabelSizeWrong):
            label_facts(record, "BUS-9", "TH-40", NOW_S)


# --- how it looks


@pytest.fixture(scope="module")
def painters() -> dict[int, LabelPainter]:
    return {dpi: LabelPainter(dpi) for dpi in (203, 300)}


@pytest.mark.parametrize(("size", "dpi"), [*((size, 203) for size in SIZES), ("50x30", 300)])
@pytest.mark.parametrize("name", SAMPLES)
def test_every_label_reads_as_it_was_drawn(painters: dict[int, LabelPainter], name: str, size: str, dpi: int) -> None:
    facts = SAMPLES[name]
    picture = painters[dpi].draw(facts, parse_size(size), FOUND)
    assert codes_in(picture) == [facts.text] and picture.mode == "1" and picture.width % 8 == 0
    turned = picture.convert("L").rotate(90, expand=True).filter(ImageFilter.GaussianBlur(dpi // 200))
    assert codes_in(turned) == [facts.text], "as a phone sees it, a little out of focus"
    box = ImageChops.invert(picture.convert("L")).getbbox()
    assert box is not None
    left, top, right, bottom = box
    assert min(left, top, picture.width - right, picture.height - bottom) >= 6, "ink at the edge"


@pytest.mark.parametrize(("size", "dpi", "pixels"), [("50x30", 203, (400, 240)), ("50x30", 300, (592, 354))])
def test_a_label_has_its_true_size(
    painters: dict[int, LabelPainter], size: str, dpi: int, pixels: tuple[int, int]
) -> None:
    assert painters[dpi].draw(SAMPLES["bus"], parse_size(size), FOUND).size == pixels


def test_receipt_paper_is_as_wide_as_its_printer(painters: dict[int, LabelPainter]) -> None:
    widths = [painters[203].draw(SAMPLES["bus"], parse_size(size), "").width for size in ("58mm", "80mm")]
    assert widths == [384, 576]


def test_whoever_finds_it_reads_whom_to_call(painters: dict[int, LabelPainter]) -> None:
    """Another number is other ink; without any it is the city's."""
    drawn = [painters[203].draw(SAMPLES["bus"], parse_size("50x30"), found).tobytes() for found in ("", "043", "044")]
    assert len(set(drawn)) == 3


@pytest.mark.parametrize(
    "size",
    ["", "50", "50x", "x30", "50x30mm", "19x30", "50x19", "121x50", "50x121", "-50x30", "๕๐x๓๐", "57mm", "1e2x30"],
)
def test_sizes_that_no_printer_has(size: str) -> None:
    with pytest.raises(LabelSizeWrong):
        parse_size(size)


@pytest.mark.parametrize("dpi", [203, 300])
def test_the_smallest_label_holds_a_head_without_a_call_that_names_nobody(
    painters: dict[int, LabelPainter], dpi: int
) -> None:
    """Whom the bench names is never left out."""
    assert codes_in(painters[dpi].draw(SAMPLES["head"], parse_size("30x20"), "")) == [SAMPLES["head"].text]
    with pytest.raises(LabelSizeWrong):
        painters[dpi].draw(SAMPLES["head"], parse_size("30x20"), FOUND)


@pytest.mark.parametrize("name", ["long", "bus"])
def test_a_label_that_does_not_hold_its_words_is_refused_not_cut(painters: dict[int, LabelPainter], name: str) -> None:
    with pytest.raises(LabelSizeWrong):
        painters[203].draw(SAMPLES[name], parse_size("30x20"), FOUND)


def test_a_code_that_does_not_read_back_is_never_handed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """The real reader on a real code: of another device, as a slip in the drawing would make it."""
    painter = LabelPainter(203)
    other = SAMPLES["head"].text
    modules = painter.modules(other)
    monkeypatch.setattr(painter, "modules", lambda _text: modules)
    with pytest.raises(LabelNotReadBack, match="KGO1L"):
        painter.draw(SAMPLES["bus"], parse_size("50x30"), FOUND)


# --- checked against the record


def label_of(record: Record, **changed: object) -> str:
    return encode_label(label_facts(record, "BUS-0012", "TH-40", NOW_S).label._replace(**changed))


def test_the_devices_own_label_is_right(record: Record) -> None:
    for subject in ("", "BUS-0012", BUS["serial"], BUS["mac"]):
        label, facts = judge(text_of(record, "BUS-0012"), record, "TH-40", subject)
        assert label.device == "BUS-0012" and facts["mac"] == BUS["mac"]
    assert judge(" " + text_of(record, "SHOP-7").lower() + "\r\n", record, "TH-40")[0].device == "SHOP-7"


@pytest.mark.parametrize(
    ("changed", "refusal", "detail"),
    [
        ({"serial": "10000000abcdef02"}, LabelSerialDiffers, "10000000abcdef02, in the record: 10000000abcdef01"),
        ({"serial": ""}, LabelSerialDiffers, "label: -, in the record"),
        ({"key_id": bytes(8)}, LabelKeyDiffers, f"0000000000000000, in the record: {KEY}"),
        ({"key_id": b""}, LabelKeyDiffers, "label: -"),
        ({"city": "TH-41"}, LabelOfOtherCity, "TH-41, in the record: TH-40"),
        ({"device": "BUS-0099"}, LabelOfOtherDevice, "label: BUS-0099, device: BUS-0012"),
        ({"device": "BUS-0099", "serial": "unheard of"}, LabelUnknown, "BUS-0099"),
    ],
)
def test_a_label_that_is_not_the_records(
    record: Record, changed: dict[str, object], refusal: type[Refusal], detail: str
) -> None:
    with pytest.raises(refusal, match=detail):
        judge(label_of(record, **changed), record, "TH-40")


def test_swapped_labels_are_told(record: Record) -> None:
    with pytest.raises(LabelOfOtherDevice, match="label: BUS-0012, device: SHOP-7"):
        judge(text_of(record, "BUS-0012"), record, "TH-40", "SHOP-7")
    with pytest.raises(RecordNothing):
        judge(text_of(record, "BUS-0012"), record, "TH-40", "NOBODY")


def test_a_board_that_was_changed_makes_the_old_label_wrong(record: Record) -> None:
    old = text_of(record, "BUS-0012")
    done(record, "provision", "BUS-0012", BUS | {"serial": "20000000abcdef09", "key_fingerprint": "99" * 8})
    with pytest.raises(LabelSerialDiffers):
        judge(old, record, "TH-40")
    assert judge(text_of(record, "BUS-0012"), record, "TH-40")[0].serial == "20000000abcdef09"


@pytest.mark.parametrize(
    ("text", "refusal"),
    [("8850006330012", LabelNotOurs), ("KGO1L:ABC", LabelDamaged), (encode(QrType.COUPON, b"x"), LabelNotOurs)],
)
def test_other_codes_are_no_labels(record: Record, text: str, refusal: type[Refusal]) -> None:
    with pytest.raises(refusal):
        judge(text, record, "TH-40")


# --- a picture of it


def photo(path: Path, *texts: str) -> Path:
    """Codes side by side on a grey table."""
    codes = [qr_picture(text, module_px=4) for text in texts]
    table = Image.new("L", (sum(code.width + 40 for code in codes) + 40, max(code.height for code in codes) + 80), 170)
    left = 40
    for code in codes:
        table.paste(code, (left, 40))
        left += code.width + 40
    table.rotate(7, fillcolor=170, expand=True).save(path, quality=70)
    return path


def test_a_label_is_found_among_other_codes(record: Record, tmp_path: Path) -> None:
    text = text_of(record, "BUS-0012")
    assert label_in(photo(tmp_path / "a.jpg", encode(QrType.COUPON, b"x" * 40), text)) == text


@pytest.mark.parametrize(
    ("texts", "refusal"), [(("PAY 40 BAHT",), LabelNotOurs), (("PAY 40 BAHT", "KGO1L:ABC"), LabelDamaged)]
)
def test_a_picture_without_a_sound_label(tmp_path: Path, texts: tuple[str, ...], refusal: type[Refusal]) -> None:
    with pytest.raises(refusal):
        label_in(photo(tmp_path / "a.png", *texts))


def test_pictures_that_show_nothing(tmp_path: Path) -> None:
    Image.new("L", (300, 200), 200).save(tmp_path / "grey.png")
    with pytest.raises(LabelNotSeen):
        label_in(tmp_path / "grey.png")
    (tmp_path / "text.png").write_text("no picture")
    Image.new("1", (20_000, 20_000)).save(tmp_path / "large.png")
    whole = photo(tmp_path / "whole.png", SAMPLES["bus"].text).read_bytes()
    (tmp_path / "short.png").write_bytes(whole[: len(whole) // 2])
    for name, said in (
        ("text", "not a picture"),
        ("short", "not a picture"),
        ("large", "dots"),
        ("nowhere", "No such"),
    ):
        with pytest.raises(FileUnusable, match=said):
            label_in(tmp_path / f"{name}.png")


def test_samples_are_what_a_record_would_give(record: Record) -> None:
    assert SAMPLES["bus"] == label_facts(record, "BUS-0012", "TH-40", NOW_S)
    assert all(isinstance(one, LabelFacts) for one in SAMPLES.values())

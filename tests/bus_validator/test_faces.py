"""What happened becomes the right face with the right words, in both languages, and no refusal looks like another's
fault."""

import pytest

from bus_validator.face import Badge, FaceState
from bus_validator.faces import Faces, Paid, Sentence, Strip, baht
from offline_ledger import errors
from offline_ledger.errors import Blame
from offline_ledger.protocol.device import VoucherKind
from offline_ledger.rules.civil import Explanation
from offline_ledger.terminal.outcome import Charge, Light, Outcome
from offline_ledger.texts import Texts
from tests.test_refusal_texts import KINDS

THAI, ENGLISH = Texts("th"), Texts("en")
FACES = Faces(THAI, ENGLISH)
AT_S = 1_661_929_500  # 31 August 2022, 14:05 in Bangkok
STRIP = Strip("สาย 8", "14:05", Badge("ซิงก์เมื่อครู่ · รอส่ง 1", False))
FLAT = Explanation("fare.flat", (("name", ("ทั่วไป", "Standard")), ("kgo", "50.00"), ("thb", "1.00")))


def charge(satang: int) -> Charge:
    return Charge(5_000, satang, VoucherKind.BOARDING, "flat", (1, 1), {}, None)


def test_a_green_says_what_was_charged_and_why() -> None:
    face = FACES.decided(Outcome(Light.ACCEPTED, 7, charge(0)), STRIP, fare=FLAT)
    assert (face.state, face.title, face.title_second) == (FaceState.ACCEPTED, "ผ่าน", "Accepted")
    assert face.line == "ทั่วไป: 50.00 KGO และ 1.00 บาท"
    assert face.line_second.startswith("Standard: 50.00 KGO")
    assert (face.header, face.clock, face.badge) == STRIP
    assert FACES.decided(Outcome(Light.ACCEPTED, 7, charge(0))).line == ""


@pytest.mark.parametrize(
    ("satang", "said"), [(100, "1"), (150, "1.50"), (2_000, "20"), (123_400, "1,234"), (5, "0.05")]
)
def test_the_coin_for_the_driver_stands_big(satang: int, said: str) -> None:
    assert baht(satang) == said
    face = FACES.decided(Outcome(Light.ACCEPTED_CASH_DUE, 7, charge(satang)), STRIP, fare=FLAT)
    assert (face.state, face.title) == (FaceState.ACCEPTED_CASH_DUE, f"เก็บ {said} บาท")
    assert face.title_second == f"Collect {said} baht"


@pytest.mark.parametrize(
    ("key", "values", "said"),
    [
        ("fare.concession", (("name", ("ทั่วไป", "Standard")), ("kgo", "25.00"), ("thb", "1.00"),
                             ("concession", ("ผู้สูงอายุ", "Senior"))), "ผู้สูงอายุ"),
        ("fare.transfer", (("name", ("ทั่วไป", "Standard")), ("kgo", "0.00"), ("thb", "0.00"), ("minutes", "60")), "60"),
        ("fare.daily_cap", (("name", ("ทั่วไป", "Standard")), ("kgo", "0.00"), ("thb", "0.00")), "ต่อวัน"),
    ],
)  # fmt: skip
def test_the_rule_behind_a_fare_is_said(
    key: str, values: tuple[tuple[str, str | tuple[str, str]], ...], said: str
) -> None:
    assert said in FACES.decided(Outcome(Light.ACCEPTED, 7, charge(0)), fare=Explanation(key, values)).line


def test_a_repeat_says_when_and_where_as_far_as_it_is_known_and_is_never_green() -> None:
    repeat = Outcome(Light.ALREADY_ACCEPTED, 7)
    assert FACES.decided(repeat).line == "ไม่คิดเงินซ้ำ"
    assert FACES.decided(repeat, paid=Paid(AT_S, AT_S + 60)).line == "จ่ายเมื่อ 14:05 ไม่คิดเงินซ้ำ"
    face = FACES.decided(repeat, paid=Paid(AT_S, None, "ป้ายบขส."))
    assert face.line == "จ่ายเมื่อ 31/08/2565 14:05 ที่ป้ายบขส. ไม่คิดเงินซ้ำ"
    assert face.line_second == "Paid 31/08/2022 14:05 at ป้ายบขส.. Nothing is charged again"
    assert face.state is FaceState.ALREADY_ACCEPTED


def test_the_green_after_a_power_cut_says_that_nothing_is_charged_again() -> None:
    face = FACES.decided(Outcome(Light.ACCEPTED, 7, charge(0), is_uncharged_green=True), fare=FLAT)
    assert (face.state, face.line) == (FaceState.ACCEPTED, "จ่ายไว้ก่อนเครื่องดับ ไม่คิดเงินซ้ำ")
    face = FACES.decided(Outcome(Light.ACCEPTED_CASH_DUE, 7, charge(100), is_uncharged_green=True), fare=FLAT)
    assert (face.state, face.title) == (FaceState.ACCEPTED_CASH_DUE, "ถ้ายัง เก็บ 1 บาท")
    assert "1.00 บาท" in face.line and "ไม่ทราบ" in face.line


def test_training_says_what_it_would_have_been() -> None:
    face = FACES.decided(Outcome(Light.ACCEPTED_CASH_DUE, 7, charge(100)), is_training=True)
    assert (face.state, face.title) == (FaceState.TRAINING, "โหมดฝึก")
    assert "เก็บ 1 บาท" in face.line and "Collect 1 baht" in face.line_second


@pytest.mark.parametrize("kind", KINDS)
def test_every_refusal_has_its_words_and_the_face_of_its_fault(kind: type[errors.Refusal]) -> None:
    light = Light.TRY_AGAIN if kind.waiting_helps else Light.REFUSED
    face = FACES.decided(Outcome(light, refusal=kind.__new__(kind)))  # some want to be told more; no face shows it
    assert (face.title, face.title_second) == (THAI.title(kind), ENGLISH.title(kind))
    assert THAI.remedy(kind) in face.line and ENGLISH.remedy(kind) in face.line_second
    if kind.blame in (Blame.SETUP, Blame.DEVICE):
        assert face.state is FaceState.OUT_OF_SERVICE
        assert "ไม่ผิด" in face.line and "not at fault" in face.line_second
        assert face.line.count("ไม่ผิด") == 1
    else:
        assert face.state is (FaceState.PRESENT_AGAIN if kind.waiting_helps else FaceState.REFUSED)
        assert face.line == THAI.remedy(kind)


def test_two_amounts_that_differ_are_said_before_the_remedy() -> None:
    both = Sentence("door.amounts_differ", {"confirmed": "30.00", "asked": "50.00"})
    face = FACES.decided(Outcome(Light.REFUSED, refusal=errors.AmountNotAuthorised()), more=both)
    assert face.line.startswith("ผู้โดยสารยืนยัน 30.00 KGO แต่ค่าโดยสารคือ 50.00 KGO · ")


def test_what_stands_between_taps() -> None:
    assert FACES.wait(STRIP).state is FaceState.WAIT
    assert FACES.reading().title == "ถือไว้นิ่ง ๆ"
    again = FACES.again(errors.CodeUnreadable(), STRIP)
    assert (again.state, again.title) == (FaceState.PRESENT_AGAIN, THAI.title(errors.CodeUnreadable))
    closed = FACES.closed(errors.TripNotSet(), STRIP)
    assert (closed.state, closed.line) == (FaceState.OUT_OF_SERVICE, THAI.remedy(errors.TripNotSet))
    assert FACES.closed(None).title == "งดให้บริการ"
    assert FACES.decided(Outcome(Light.OUT_OF_SERVICE)).title == "งดให้บริการ"
    assert Faces(ENGLISH).wait() == FACES.wait()._replace(
        title="Tap or scan", line="Pay with KGO: phone, card or paper ticket", title_second="", line_second=""
    )

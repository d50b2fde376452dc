"""PromptPay codes beside codes that others published, a reading of our own, and everything a slip of the key does."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offline_ledger.errors import (
    PromptPayAmountWrong,
    PromptPayCheckDigit,
    PromptPayTargetMalformed,
    PromptPayTextUnfit,
    PromptPayUnreadable,
)
from pos_app.promptpay import (
    AMOUNT_SATANG_MAX,
    PAYLOAD_CHARACTERS_MAX,
    PromptPayCode,
    PromptPayKind,
    PromptPayTarget,
    check_digit,
    decode_payload,
    parse_target,
    payload,
)

MOBILE = PromptPayTarget(PromptPayKind.MOBILE, "0066912345678")
BILLER = PromptPayTarget(PromptPayKind.BILLER, "011234567891233", "REF987654321", "THAIQR")


def crc(text: str) -> str:
    """Bit by bit, as EMVCo describes it; shares nothing with the code under test."""
    register = 0xFFFF
    for byte in text.encode():
        for bit in range(7, -1, -1):
            is_set = (register >> 15 & 1) ^ (byte >> bit & 1)
            register = (register << 1 & 0xFFFF) ^ (0x1021 if is_set else 0)
    return f"{register:04X}"


def sealed(body: str) -> str:
    """Any fields with the right check sum after them."""
    return (body := body + "6304") + crc(body)


def read_plainly(text: str) -> dict[str, str]:
    """Field by field with a regular expression: the tests' own eyes."""
    fields: dict[str, str] = {}
    while text:
        found = re.match(r"(\d\d)(\d\d)", text)
        assert found is not None, text
        end = 4 + int(found[2])
        fields[found[1]], text = text[4:end], text[end:]
    return fields


@pytest.mark.parametrize(
    ("target", "satang", "reference", "published"),
    [  # test vectors of ThaiQR-Go, byte by byte
        (MOBILE, 100_00, "", "00020101021229370016A0000006770101110113006691234567853037645406100.005802TH6304D803"),
        (
            BILLER,
            200_00,
            "REF123456789",
            "00020101021230710016A00000067701011201150112345678912330212REF1234567890312REF987654321"
            "53037645406200.005802TH5906THAIQR6304F528",
        ),
    ],
)
def test_codes_are_as_others_make_them(target: PromptPayTarget, satang: int, reference: str, published: str) -> None:
    assert payload(target, satang, reference) == published
    assert decode_payload(published) == PromptPayCode(target, satang, reference, is_dynamic=True)


@pytest.mark.parametrize(
    ("published", "kind", "number", "satang", "is_dynamic"),
    [  # promptpay-qr's tests: country before currency; other shops' codes with fields that we do not write
        *(
            (
                f"00020101021129370016A00000067701011101130066{rest}",
                PromptPayKind.MOBILE,
                f"0066{rest[:9]}",
                None,
                False,
            )
            for rest in ("8012345675802TH530376463046197", "8912345675802TH5303764630429C1")
        ),
        (
            "00020101021129370016A000000677010111021311111111111115802TH530376463047B5A",
            PromptPayKind.ID,
            "1111111111111",
            None,
            False,
        ),
        (
            "00020101021129370016A000000677010111021301234567890125802TH530376463040CBD",
            PromptPayKind.ID,
            "0123456789012",
            None,
            False,
        ),
        (
            "00020101021229370016A000000677010111011300660000000005802TH530376454044.226304E469",
            PromptPayKind.MOBILE,
            "0066000000000",
            422,
            True,
        ),
        (
            "00020101021130750016A00000067701011201150107537000882050219ZY010556UP8013305E80309MDMBEN38J53037645406900.04"
            "5802TH622407200000yJMlWBD1ltXF6zJf6304858E",
            PromptPayKind.BILLER,
            "010753700088205",
            90_004,
            False,
        ),
        (
            "00020101021230540016A0000006770101120115010556207402702021125062781065520412345303764540510.005802TH5902NA"
            "6304CE42",
            PromptPayKind.BILLER,
            "010556207402702",
            10_00,
            True,
        ),
    ],
)
def test_codes_of_others_are_read(
    published: str, kind: PromptPayKind, number: str, satang: int | None, is_dynamic: bool
) -> None:
    code = decode_payload(published)
    assert (code.target.kind, code.target.number, code.amount_satang, code.is_dynamic) == (
        kind,
        number,
        satang,
        is_dynamic,
    )


@pytest.mark.parametrize(
    ("text", "kind", "number", "reference_2"),
    [
        ("0812345678", PromptPayKind.MOBILE, "0066812345678", ""),
        (" 081-234 5678 ", PromptPayKind.MOBILE, "0066812345678", ""),
        ("๐๘๑๒๓๔๕๖๗๘", PromptPayKind.MOBILE, "0066812345678", ""),
        ("+66 61 234 5678", PromptPayKind.MOBILE, "0066612345678", ""),
        ("0105562074027", PromptPayKind.ID, "0105562074027", ""),
        ("0-1075-37000-88-2", PromptPayKind.ID, "0107537000882", ""),
        ("wallet:012345678901234", PromptPayKind.WALLET, "012345678901234", ""),
        ("Biller: 0107537000882 05", PromptPayKind.BILLER, "010753700088205", ""),
        ("biller:010753700088205/BRANCH1", PromptPayKind.BILLER, "010753700088205", "BRANCH1"),
    ],
)
def test_a_target_from_the_settings(text: str, kind: PromptPayKind, number: str, reference_2: str) -> None:
    target = parse_target(text, "SOMTAM SHOP", "KHON KAEN")
    assert target == PromptPayTarget(kind, number, reference_2, "SOMTAM SHOP", "KHON KAEN")
    code = payload(target, 12_34, "R00012")
    assert decode_payload(code).target == target
    fields = read_plainly(code)
    assert fields["59"] == "SOMTAM SHOP" and fields["60"] == "KHON KAEN" and fields["54"] == "12.34"
    assert fields["53"] == "764" and fields["58"] == "TH" and fields["63"] == crc(code[:-4])
    assert list(fields) == sorted(fields)


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "shop@bank", "081234567", "08123456789", "0412345678", "6812345678", "66812345678", "-0812345678x"),
        *("012345678901234", "wallet:01234567890123", "wallet:0123456789012345", "wallet:0812345678", "biller:", "x:1"),
        *("wallet:012345678901234/R2", "0812345678/R2", "biller:+10753700088205", "a:biller:010753700088205"),
        *("+660812345678", "+", "0" * 1_000, "٠٨١٢٣٤٥٦٧٨"),
    ],
)
def test_a_target_that_is_none(text: str) -> None:
    with pytest.raises(PromptPayTargetMalformed):
        parse_target(text)


def test_a_mistyped_id_is_found() -> None:
    right = "0105562074027"
    assert parse_target(right).number == right and check_digit(right[:-1]) == right[-1]
    for place in range(13):
        for digit in "0123456789":
            if digit != right[place]:
                wrong = right[:place] + digit + right[place + 1 :]
                if place == 12 or check_digit(wrong[:-1]) != wrong[-1]:  # eleven remainders share ten digits
                    with pytest.raises(PromptPayCheckDigit):
                        parse_target(wrong)
    for zeros in ("0" * 13, "1" * 12 + "0"):
        with pytest.raises(PromptPayCheckDigit):
            parse_target(zeros)


@pytest.mark.parametrize("satang", [0, -1, AMOUNT_SATANG_MAX + 1, 10**40])
def test_an_amount_that_no_code_asks_for(satang: int) -> None:
    with pytest.raises(PromptPayAmountWrong):
        payload(MOBILE, satang)


@pytest.mark.parametrize(("satang", "written"), [(1, "0.01"), (100, "1.00"), (AMOUNT_SATANG_MAX, "9999999999.99")])
def test_amounts_are_written_with_two_decimals(satang: int, written: str) -> None:
    assert read_plainly(payload(MOBILE, satang))["54"] == written


def test_without_an_amount_it_is_a_code_to_hang_up() -> None:
    fields = read_plainly(payload(MOBILE, None))
    assert fields["01"] == "11" and "54" not in fields and "59" not in fields and "60" not in fields


def test_a_plain_transfer_carries_no_reference() -> None:
    assert payload(MOBILE, 100, "R12") == payload(MOBILE, 100)


@pytest.mark.parametrize("reference", ["", "A" * 21, "a1", "R-12", "R 12", "ก1", "R12\n"])
def test_a_reference_that_no_bill_carries(reference: str) -> None:
    with pytest.raises(PromptPayTextUnfit):
        payload(BILLER, 100, reference)
    with pytest.raises(PromptPayTextUnfit):
        parse_target(f"biller:010753700088205/{reference}x")


@pytest.mark.parametrize(
    ("name", "city"),
    [("ร้านส้มตำ", ""), ("A" * 26, ""), (" A", ""), ("A ", ""), ("A\n", ""), ("", "A" * 16), ("", "ขอนแก่น")],
)
def test_a_name_that_no_code_carries(name: str, city: str) -> None:
    with pytest.raises(PromptPayTextUnfit):
        parse_target("0812345678", name, city)


def test_every_changed_character_is_found() -> None:
    good = payload(BILLER, 12_345, "R00012")
    for place, char in enumerate(good):
        for other in ("0", "9", "A", " "):
            if other != char:
                with pytest.raises(PromptPayUnreadable):
                    decode_payload(good[:place] + other + good[place + 1 :])


TRANSFER = "29370016A00000067701011101130066812345678"
BILL = "30470016A00000067701011201150107537000882050204R012"
BAHT, THAI = "5303764", "5802TH"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "000201",
        "KGO1P:" + "A" * 60,
        sealed("000201" + TRANSFER + BAHT + THAI).lower(),
        sealed("0002ไท" + TRANSFER + BAHT + THAI),
        sealed("000202" + TRANSFER + BAHT + THAI),
        sealed("010211" + "000201" + TRANSFER + BAHT + THAI),
        sealed("000201" + TRANSFER + BAHT + THAI) + "0000",
        sealed("000201" + TRANSFER + BAHT + THAI) + "9901A",
        sealed("000201010213" + TRANSFER + BAHT + THAI),
        sealed("000201" + TRANSFER + TRANSFER + BAHT + THAI),
        sealed("000201" + TRANSFER + BILL + BAHT + THAI),
        sealed("000201" + BAHT + THAI + "5901A"),
        sealed("000201" + TRANSFER + THAI + "5901A"),
        sealed("000201" + TRANSFER + BAHT + "5901A"),
        sealed("000201" + TRANSFER + "5303840" + THAI),
        sealed("000201" + TRANSFER + BAHT + "5802LA"),
        sealed("000201" + TRANSFER + BAHT + THAI + "5400"),
        *(
            sealed(f"000201{TRANSFER}{BAHT}54{len(amount):02d}{amount}{THAI}")
            for amount in ("0", "0.00", "1.", ".5", "1.234", "-1", "1,000", "1e3", "12345678901", "٣")
        ),
        sealed("000201" + "29370016A00000067701011201130066812345678" + BAHT + THAI),
        sealed("000201" + "29360016A0000006770101110112006681234567" + BAHT + THAI),
        sealed("000201" + "29370016A0000006770101110113+066812345678" + BAHT + THAI),
        sealed("000201" + "29370016A00000067701011109130066812345678" + BAHT + THAI),
        sealed("000201" + "29540016A0000006770101110113006681234567802130105562074027" + BAHT + THAI),
        sealed("000201" + "30390016A0000006770101120115010753700088205" + BAHT + THAI),
        sealed("000201" + "30460016A0000006770101120114010753700088200204R012" + BAHT + THAI),
        sealed(
            "000201" + TRANSFER + BAHT + THAI + "9999" + "A" * 99 + "8099" + "A" * 99 + "8199" + "A" * 99 + "8299" * 60
        ),
    ],
)
def test_a_code_that_is_none(text: str) -> None:
    with pytest.raises(PromptPayUnreadable):
        decode_payload(text)


def test_the_samples_above_are_sound_but_for_their_faults() -> None:
    assert decode_payload(sealed("000201" + TRANSFER + BAHT + THAI)).amount_satang is None
    assert decode_payload(sealed("000201" + BILL + BAHT + THAI)).reference == "R012"
    assert decode_payload(sealed("000201" + TRANSFER + BAHT + "540215" + THAI)).amount_satang == 15_00
    assert decode_payload(sealed("000201" + TRANSFER + BAHT + "540415.5" + THAI)).amount_satang == 15_50


TARGETS = st.one_of(
    st.builds(lambda rest: f"0{rest}", st.from_regex(r"[689][0-9]{8}", fullmatch=True)),
    st.builds(lambda first: first + check_digit(first), st.from_regex(r"[0-8][0-9]{11}", fullmatch=True)),
    st.builds("{}:{}".format, st.sampled_from(["wallet", "biller"]), st.from_regex(r"[0-9]{15}", fullmatch=True)),
)
REFERENCES = st.from_regex(r"[A-Z0-9]{1,20}", fullmatch=True)
NAMES = st.from_regex(r"[!-~][ -~]{0,13}[!-~]", fullmatch=True)


@given(TARGETS, st.none() | st.integers(1, AMOUNT_SATANG_MAX), REFERENCES, st.just("") | NAMES, st.just("") | NAMES)
def test_there_and_back(text: str, satang: int | None, reference: str, name: str, city: str) -> None:
    target = parse_target(text, name, city)
    made = payload(target, satang, reference)
    assert len(made) <= PAYLOAD_CHARACTERS_MAX and made.isascii()
    code = decode_payload(made)
    kept = reference if target.kind is PromptPayKind.BILLER else ""
    assert code == PromptPayCode(target, satang, kept, satang is not None)


@given(st.text(max_size=80) | st.from_regex(r"(?a:[0-9]{2}0[0-9][0-9A-Z]{0,9}){0,12}", fullmatch=True))
def test_rubbish_is_refused(text: str) -> None:
    for sample in (text, sealed("000201" + text)):
        try:
            decode_payload(sample)
        except PromptPayUnreadable as refusal:
            assert refusal.number == 1964 and len(refusal.detail) < 200

"""QR text: prefix, letter, size; what fits which version, drawn by another library and read by a real decoder."""

import dataclasses

import pytest
import qrcode
import zxingcpp
from PIL import Image
from qrcode import constants

from offline_ledger.errors import CodeDamaged, Malformed, NotOurCode, Refusal, TooLarge, TrailingBytes, WrongCodeType
from offline_ledger.protocol import base45, cbor, qr
from offline_ledger.protocol.kinds import Kind
from offline_ledger.protocol.qr import QrType
from tests.protocol.test_fields import altered
from tests.vectors.generate import QR_OBJECTS
from tests.vectors.objects import EXAMPLES, Example

TEXTS = {kind: qr.encode(kind, *(EXAMPLES[one].signed().raw for one in held)) for kind, held in QR_OBJECTS.items()}
GOOD = TEXTS[QrType.PRESENTMENT]


def text_of(value: object, letter: str = "P") -> str:
    return f"KGO1{letter}:" + base45.encode(cbor.encode(value))


def version_of(text: str) -> int:
    code = qrcode.QRCode(error_correction=constants.ERROR_CORRECT_M)
    code.add_data(text)
    code.make(fit=True)
    return int(code.version or 0)


def changed(kind: Kind, **values: object) -> Example:
    return dataclasses.replace(EXAMPLES[kind], value=altered(EXAMPLES[kind].value, **values))


@pytest.mark.parametrize(("kind", "version"), [("P", 13), ("A", 14), ("Q", 14), ("C", 9), ("V", 11)])
def test_versions_of_the_samples(kind: str, version: int) -> None:
    assert version_of(TEXTS[QrType(kind)]) <= version


def test_600_characters_are_the_most_of_version_15() -> None:
    alphabet = "".join(base45.ALPHABET)
    assert version_of((alphabet * 14)[: qr.QR_CHARACTERS_MAX]) == 15
    assert version_of((alphabet * 14)[: qr.QR_CHARACTERS_MAX + 1]) == 16


def test_the_longest_presentment_fits() -> None:
    most, late_s = 10**12, (1 << 40) - 1
    sums = {"reserve_kgo": most, "transit_cap_kgo": most, "shop_cap_kgo": most}
    allowance = changed(Kind.ALLOWANCE, city="X" * 16, **sums, not_before_s=late_s, expires_at_s=late_s).signed()
    shown = changed(Kind.PRESENTMENT, n=1 << 32, sum_kgo=most, cap_kgo=most, at_s=late_s).signed()
    assert version_of(qr.encode(QrType.PRESENTMENT, allowance.raw, shown.raw)) <= 15


def test_a_payment_fits_up_to_a_million_kgo() -> None:
    most = 10**8
    sums = {"reserve_kgo": most, "transit_cap_kgo": most, "shop_cap_kgo": most}
    allowance = changed(Kind.ALLOWANCE, city="X" * 16, **sums).signed()
    paid = changed(Kind.PAYMENT, n=1 << 32, sum_kgo=most, amount_kgo=most).signed()
    assert version_of(qr.encode(QrType.PAYMENT, allowance.raw, paid.raw)) <= 15


def test_a_request_fits_with_ids_of_16_characters() -> None:
    certificate = changed(Kind.DEVICE_CERTIFICATE, device="D" * 16, owner="O" * 16).signed()
    wanted = changed(
        Kind.PAYMENT_REQUEST, device="D" * 16, owner="O" * 16, what_for="W" * 16, pass_id=bytes(8)
    ).signed()
    assert version_of(qr.encode(QrType.REQUEST, certificate.raw, wanted.raw)) <= 15


def test_what_does_not_fit_is_never_drawn() -> None:
    certificate = changed(Kind.DEVICE_CERTIFICATE, device="D" * 32, owner="O" * 32).signed()
    wanted = changed(Kind.PAYMENT_REQUEST, device="D" * 32, owner="O" * 32, what_for="W" * 32).signed()
    with pytest.raises(ValueError, match="do not fit"):
        qr.encode(QrType.REQUEST, certificate.raw, wanted.raw)


@pytest.mark.parametrize("kind", TEXTS)
def test_drawn_and_read_again(kind: QrType) -> None:
    code = qrcode.QRCode(error_correction=constants.ERROR_CORRECT_M, box_size=4)
    code.add_data(TEXTS[kind])
    matrix = code.get_matrix()
    picture = Image.new("L", (len(matrix), len(matrix)))
    picture.putdata([0 if dark else 255 for row in matrix for dark in row])
    found = zxingcpp.read_barcodes(picture.resize((4 * len(matrix), 4 * len(matrix)), Image.Resampling.NEAREST))
    assert [one.text for one in found] == [TEXTS[kind]]
    assert qr.decode(found[0].text).type is kind


@pytest.mark.parametrize(
    ("text", "refusal"),
    [
        ("", NotOurCode),
        ("KGO", NotOurCode),
        ("kgo1p:00", NotOurCode),
        (" " + GOOD, NotOurCode),
        ("00020101021129370016A000000677010111", NotOurCode),
        ("https://example.org/?q=KGO1P:", NotOurCode),
        ("8850006330012", NotOurCode),
        ("x" * 601, NotOurCode),
        ("x" * 100_000, NotOurCode),
        (GOOD + "0" * (601 - len(GOOD)), TooLarge),
        ("KGO1", CodeDamaged),
        ("KGO1P", CodeDamaged),
        ("KGO1P:", CodeDamaged),
        ("KGO1P;" + GOOD[6:], CodeDamaged),
        (GOOD[:-1], CodeDamaged),
        (GOOD[:-3], CodeDamaged),
        (GOOD[:300], CodeDamaged),
        (GOOD.lower().replace("kgo1p", "KGO1P"), CodeDamaged),
        (GOOD + "\r", CodeDamaged),
        ("KGO1X:" + GOOD[6:], WrongCodeType),
        ("KGO1p:" + GOOD[6:], WrongCodeType),
        ("KGO1C:" + GOOD[6:], Malformed),
        (text_of([b"a"]), Malformed),
        (text_of([b"a", b"b", b"c"]), Malformed),
        (text_of([b"a", "b"]), Malformed),
        (text_of([b"a", None]), Malformed),
        (text_of({1: b"a", 2: b"b"}), Malformed),
        (text_of([]), Malformed),
        (text_of(b"ab"), Malformed),
        (text_of([b"a"], "Q"), Malformed),
        ("KGO1P:" + base45.encode(cbor.encode([b"a", b"b"]) + b"\x00"), TrailingBytes),
    ],
)
def test_what_is_not_ours(text: str, refusal: type[Refusal]) -> None:
    with pytest.raises(refusal):
        qr.decode(text)


def test_every_truncation_is_a_refusal() -> None:
    for size in range(len(GOOD)):
        with pytest.raises(Refusal):
            qr.decode(GOOD[:size])

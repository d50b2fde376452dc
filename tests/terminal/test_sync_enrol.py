"""Enrolment from the device's side: by network and by file; a second try; certificates that are not ours. DESIGN §8."""

from pathlib import Path

import pytest

from offline_ledger.errors import (
    AnswerInvalid,
    CityUnreachable,
    DeviceCertificateInvalid,
    DeviceRoleWrong,
    EnrolmentInvalid,
    EnrolmentRefused,
    EnrolmentUnanswered,
    KeyFileUnsafe,
    NotProvisioned,
    Refusal,
    TokenInvalid,
    TokenMistyped,
    TrustChainBroken,
)
from offline_ledger.protocol import cbor
from offline_ledger.protocol.device import DeviceRole
from offline_ledger.protocol.token import token_of
from offline_ledger.terminal.enrol import (
    DeviceFiles,
    accept_enrolment,
    enrolment_request,
    open_provisioned,
    own_key,
    provision,
)
from offline_ledger.terminal.own_identity import check_certificate
from offline_ledger.terminal.ports import CityAnswer, CityRequest
from offline_ledger.terminal.trust import verify_next
from simulators.keys import SimulatedKey
from tests.terminal.city_in_test import ACK_TEST_ONLY, CITY, DEVICE, NOW_S, CityInTest, certificate, trust_list


class DirectUplink:
    """The uplink port straight to the city in the test; can lose answers."""

    def __init__(self, city: CityInTest) -> None:
        self.city = city
        self.loses_answers = False
        self.says: CityAnswer | None = None
        self.asked: list[CityRequest] = []

    def exchange(self, request: CityRequest) -> CityAnswer:
        self.asked.append(request)
        answer = self.says or self.city.answer(request)
        if self.loses_answers:
            raise CityUnreachable("lost")
        return answer

    def close(self) -> None:
        return None

    def interrupt(self) -> None:
        return None


TOKEN = token_of(bytes(15))
SLIPS = [
    TOKEN[:-1],
    TOKEN + "A",
    TOKEN[:7] + "B" + TOKEN[8:],
    TOKEN[:24],
    "B" + TOKEN[1:],
    TOKEN.lower(),
    TOKEN[:5] + TOKEN[6:],
]


@pytest.fixture
def files(tmp_path: Path) -> DeviceFiles:
    return DeviceFiles(tmp_path / "TEST-ONLY.key", tmp_path / "certificate", tmp_path / "trust-list")


@pytest.fixture
def uplink() -> DirectUplink:
    return DirectUplink(CityInTest(lambda: NOW_S))


def enrol(files: DeviceFiles, uplink: DirectUplink, token: str = TOKEN):
    return provision(files, CITY, DEVICE, DeviceRole.VALIDATOR, NOW_S, uplink, token)


def test_enrolled_device_opens_with_what_it_got(files: DeviceFiles, uplink: DirectUplink) -> None:
    made = enrol(files, uplink)
    again = open_provisioned(files, CITY, DEVICE)
    assert again.certificate == made.certificate and again.signer.point == made.certificate.point
    assert again.trust.version == 1 and again.key_id == made.key_id


def test_second_try_after_a_lost_answer_keeps_the_key(files: DeviceFiles, uplink: DirectUplink) -> None:
    uplink.loses_answers = True
    with pytest.raises(EnrolmentUnanswered):
        enrol(files, uplink)
    point = own_key(files).point
    with pytest.raises(NotProvisioned):
        open_provisioned(files, CITY, DEVICE)
    uplink.loses_answers = False
    assert enrol(files, uplink).certificate.point == point


@pytest.mark.parametrize(
    "token", ["", "abcd", "ABC1", " ", "รหัส", "AB CD", "AB\nCD", "A" * 65, "ABCD\u00e9", "A" * 26, *SLIPS]
)
def test_a_token_that_is_none_is_told_here_and_never_sent(files: DeviceFiles, uplink: DirectUplink, token: str) -> None:
    with pytest.raises(TokenMistyped):
        enrol(files, uplink, token)
    assert uplink.asked == [] and not files.key.exists()


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (TokenInvalid.number, TokenInvalid),
        (EnrolmentInvalid.number, EnrolmentRefused),
        (4052, EnrolmentUnanswered),
        (0, EnrolmentUnanswered),
    ],
)
def test_what_the_city_says_for_good_is_not_tried_again(
    files: DeviceFiles, uplink: DirectUplink, number: int, expected: type[Refusal]
) -> None:
    uplink.says = CityAnswer(400, cbor.encode({1: number, 2: "key"}))
    with pytest.raises(expected) as refused:
        enrol(files, uplink)
    assert refused.value.waiting_helps is (expected is EnrolmentUnanswered)
    with pytest.raises(NotProvisioned):
        open_provisioned(files, CITY, DEVICE)


def test_an_answer_for_another_role_is_not_kept(files: DeviceFiles, uplink: DirectUplink) -> None:
    body = cbor.encode({1: certificate(own_key(files).point), 2: [trust_list()[0]]})
    with pytest.raises(DeviceRoleWrong):
        accept_enrolment(files, CITY, DEVICE, DeviceRole.SHOP, body)
    assert not files.certificate.exists() and not files.trust_list.exists()


def test_by_files_without_a_network(files: DeviceFiles, uplink: DirectUplink) -> None:
    request = enrolment_request(own_key(files), CITY, DEVICE, DeviceRole.VALIDATOR, NOW_S)
    header = (("kgo-enrolment-token", TOKEN),)
    answer = uplink.city.answer(CityRequest("POST", "/v1/enrolments", request, 10**6, header))
    assert accept_enrolment(files, CITY, DEVICE, DeviceRole.VALIDATOR, answer.body).certificate.device == DEVICE


def test_an_old_answer_brings_a_lost_certificate_back_and_no_older_city_keys(
    files: DeviceFiles, uplink: DirectUplink
) -> None:
    made = enrol(files, uplink)
    answer = cbor.encode({1: made.certificate_raw, 2: [trust_list()[0]]})
    newer, newer_hash = trust_list(2, trust_list()[1], revocations=(("bus-9", 3),))
    made.trust.accept([newer])
    files.certificate.unlink()
    again = accept_enrolment(files, CITY, DEVICE, DeviceRole.VALIDATOR, answer)
    assert again.trust.version == 2 and again.trust.held.payload_hash == newer_hash
    files.trust_list.write_bytes(b"damaged")
    assert accept_enrolment(files, CITY, DEVICE, DeviceRole.VALIDATOR, answer).trust.version == 1


def test_enrolment_by_a_key_that_others_can_read_is_refused(files: DeviceFiles, uplink: DirectUplink) -> None:
    own_key(files)
    files.key.chmod(0o644)
    with pytest.raises(KeyFileUnsafe):
        enrol(files, uplink)


@pytest.mark.parametrize(
    "raw",
    [
        certificate(SimulatedKey(1).point, "bus-2"),
        certificate(SimulatedKey(2).point),
        certificate(SimulatedKey(1).point, key=ACK_TEST_ONLY),
        certificate(SimulatedKey(1).point, key=SimulatedKey(77)),
        certificate(SimulatedKey(1).point, of_city="TH-99"),
        certificate(SimulatedKey(1).point)[:-1] + b"\x00",
        b"",
        b"\xd2",
    ],
)
def test_certificates_that_are_not_ours(raw: bytes) -> None:
    trust = verify_next(trust_list()[0], None, CITY)
    good = certificate(SimulatedKey(1).point)
    assert check_certificate(good, trust, CITY, DEVICE, SimulatedKey(1).point).device == DEVICE
    with pytest.raises(DeviceCertificateInvalid):
        check_certificate(raw, trust, CITY, DEVICE, SimulatedKey(1).point)


@pytest.mark.parametrize(
    ("body", "refusal"),
    [
        (b"", AnswerInvalid),
        (b"\x01", AnswerInvalid),
        (cbor.encode({1: b"x", 2: []}), AnswerInvalid),
        (cbor.encode({1: b"x", 2: [b"y"]}), TrustChainBroken),
        (cbor.encode({1: b"x", 2: [trust_list()[0]]}), DeviceCertificateInvalid),
    ],
)
def test_hostile_answers_leave_nothing_behind(files: DeviceFiles, body: bytes, refusal: type[Refusal]) -> None:
    own_key(files)
    with pytest.raises(refusal):
        accept_enrolment(files, CITY, DEVICE, DeviceRole.VALIDATOR, body)
    assert not files.certificate.exists() and not files.trust_list.exists()

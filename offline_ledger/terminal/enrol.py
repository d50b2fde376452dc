"""Enrolment on the device's side: a key of its own, a signed request, and what the city answers. DESIGN §4, §8.

Over HTTPS with a one-time token, or by files carried to the city and back. The certificate is kept only if the city's
device CA signed it for this very key and name. Never sends the key, never overwrites one, never enrols twice.
"""

import os
from collections.abc import Mapping

from offline_ledger.errors import (
    AnswerInvalid,
    CaFileLost,
    CaFileToCome,
    CityUnreachable,
    EnrolmentInvalid,
    EnrolmentRefused,
    EnrolmentUnanswered,
    Refusal,
    TokenInvalid,
    TokenMistyped,
)
from offline_ledger.files import read_bounded, write_atomically
from offline_ledger.protocol import cose
from offline_ledger.protocol.answer import ANSWER_BYTES_MAX, decode_answer
from offline_ledger.protocol.cose import Signer
from offline_ledger.protocol.device import ENROLMENT, DeviceCertificate, DeviceRole, Enrolment
from offline_ledger.protocol.kinds import OBJECT_BYTES_MAX, VERSION, Kind
from offline_ledger.protocol.token import is_token
from offline_ledger.terminal.journal_mark import mark_new_key
from offline_ledger.terminal.own_files import check_role
from offline_ledger.terminal.own_identity import (
    DeviceFiles,
    Provisioned,
    check_certificate_name,
    open_provisioned,
    verify_certificate,
)
from offline_ledger.terminal.ports import CityRequest, OwnSigner, Uplink
from offline_ledger.terminal.signers.key_place import open_own_key, own_or_new_key
from offline_ledger.terminal.sync_wire import HTTP_OK, read_error
from offline_ledger.terminal.trust import TrustStore, verify_chain

TOKEN_HEADER = "kgo-enrolment-token"
FOR_GOOD: Mapping[int, type[Refusal]] = {TokenInvalid.number: TokenInvalid, EnrolmentInvalid.number: EnrolmentRefused}
"""What the city says for good; the same command again would hear it again."""


def enrolment_request(signer: Signer, city: str, device: str, role: DeviceRole, at_s: int) -> bytes:
    """The signed request: proves that the device holds the key it names."""
    enrolment = Enrolment(device, int(role), signer.point, at_s, (VERSION,))
    aad = cose.external_aad(Kind.ENROLMENT, city)
    return cose.sign1(ENROLMENT.encode(enrolment), aad, cose.key_id_of(signer.point), signer.sign).raw


def provision(
    files: DeviceFiles, city: str, device: str, role: DeviceRole, at_s: int, uplink: Uplink, token: str
) -> Provisioned:
    """Enrols over the network and keeps the answer. Raises what `ask_city` and `accept_enrolment` raise."""
    return accept_enrolment(files, city, device, role, ask_city(files, city, device, role, at_s, uplink, token))


def ask_city(
    files: DeviceFiles, city: str, device: str, role: DeviceRole, at_s: int, uplink: Uplink, token: str
) -> bytes:
    """The city's answer; the second try after a lost one uses the key already made. Raises CertificateNameTaken,
    KeyFileUnsafe, those of KEY_SAYS_NO, StorageFull, and what `send_request` raises."""
    check_token(token)  # before a key is made
    check_certificate_name(files.certificate, city)
    return send_request(uplink, enrolment_request(own_key(files), city, device, role, at_s), token)


def send_request(uplink: Uplink, request: bytes, token: str) -> bytes:
    """The city's answer, unread. Raises TokenMistyped, TokenInvalid, EnrolmentRefused, EnrolmentUnanswered (worth
    another try with the same token), CityCertificateWrong, CaFileToCome."""
    header = (TOKEN_HEADER, check_token(token))
    try:
        answer = uplink.exchange(CityRequest("POST", "/v1/enrolments", request, ANSWER_BYTES_MAX, (header,)))
    except CityUnreachable as lost:
        raise EnrolmentUnanswered(lost.detail) from lost
    except CaFileLost as lost:
        raise CaFileToCome(lost.detail) from lost
    if answer.status != HTTP_OK:
        error = read_error(answer)
        raise FOR_GOOD.get(error.number, EnrolmentUnanswered)(error.refusal.detail) from error.refusal
    return answer.body


def check_token(token: str) -> str:
    """The token as it is sent. Raises TokenMistyped for what the city never made: it is told here, not over there."""
    plain = token.strip()
    if not is_token(plain):
        raise TokenMistyped(f"{len(plain)} characters")
    return plain


def own_key(files: DeviceFiles) -> OwnSigner:
    """The device's key: the one that is there, or a new one, which is marked as such. Raises KeyFileUnsafe, those of
    KEY_SAYS_NO, StorageFull, StorageFailed."""

    def making() -> None:
        mark_new_key(files.certificate)

    return own_or_new_key(files.key, files.token, making, was_enrolled=os.path.lexists(files.certificate))


def accept_enrolment(files: DeviceFiles, city: str, device: str, role: DeviceRole, body: bytes) -> Provisioned:
    """Verifies and keeps certificate and trust list of the city's answer, however it came. An answer for another role
    is not kept (DeviceRoleWrong), nor one for another device or key (EnrolmentRefused). Raises AnswerInvalid,
    DeviceCertificateInvalid, TrustChainBroken, CertificateNameTaken, KeyFileUnsafe, those of KEY_SAYS_NO, StorageFull,
    StorageFailed."""
    signer = open_own_key(files.key, files.token)
    certificate, chain = decode_answer(body)[:2]
    trust = verify_chain(chain, None, city)
    if trust is None:
        raise AnswerInvalid("no trust list")
    named = verify_certificate(certificate, trust, city)
    if (named.city, named.device) != (city, device):
        raise EnrolmentRefused(f"for {named.device} of {named.city}")
    if named.point != signer.point:
        raise EnrolmentRefused("for another key")
    check_role(named, role)
    check_certificate_name(files.certificate, city)
    if _version_held(files, city) < trust.trust_list.version:  # an old answer, taken again, forgets no revocation
        TrustStore.provision(files.trust_list, city, chain)
    if not _is_renewed_held(files, city, named):
        write_atomically(files.certificate, certificate)
    return open_provisioned(files, city, device)


def _is_renewed_held(files: DeviceFiles, city: str, named: DeviceCertificate) -> bool:
    """Is the certificate in the file a later one for the same device and key? An old answer does not bring back F and H
    of before."""
    try:
        raw = read_bounded(files.certificate, OBJECT_BYTES_MAX)
        held = verify_certificate(raw or b"", TrustStore.open(files.trust_list, city).held, city)
    except Refusal:
        return False
    return (held.device, held.point) == (named.device, named.point) and held.not_before_s > named.not_before_s


def _version_held(files: DeviceFiles, city: str) -> int:
    """The version of the trust list in the file; 0: there is no sound one."""
    try:
        return TrustStore.open(files.trust_list, city).version
    except Refusal:
        return 0

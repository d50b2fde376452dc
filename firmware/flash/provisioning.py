"""Enrolling a device from the bench: its request goes to the city, the answer is checked and goes back. DESIGN §4.

The device makes its key and keeps it; here pass only the request that it signed and the answer that the city signed.
An answer counts for this very request only: this device, role and key. The device checks all of it again.
"""

from hashlib import sha256
from typing import NamedTuple

from offline_ledger.errors import (
    AnswerInvalid,
    AnswerOfAnother,
    DeviceDisagrees,
    DeviceRequestWrong,
    Refusal,
    TrustChainBroken,
)
from offline_ledger.protocol import cose
from offline_ledger.protocol.answer import EnrolmentAnswer, decode_answer, read_enrolment
from offline_ledger.protocol.device import DeviceRole, Enrolment
from offline_ledger.rules.training import role_in
from offline_ledger.terminal.own_identity import verify_certificate
from offline_ledger.terminal.trust import verify_chain

ROLES = {"shop": DeviceRole.SHOP, "validator": DeviceRole.VALIDATOR}


class Wanted(NamedTuple):
    """What the technician means to provision."""

    device: str
    role: DeviceRole
    city: str

    def facts(self) -> dict[str, str]:
        """For the record."""
        return {"device_id": self.device, "role": self.role.name.lower(), "city": self.city}


class Checked(NamedTuple):
    """An answer that fits its request."""

    key_id: str
    certificate_sha256: str
    trust_list_version: int
    owner: str
    answer: EnrolmentAnswer

    def facts(self, meant: Wanted) -> dict[str, str]:
        """For the record: the certificate names what was meant, and the device holds it."""
        return {
            **meant.facts(),
            "key_fingerprint": self.key_id,
            "certificate_sha256": self.certificate_sha256,
            "trust_list_version": str(self.trust_list_version),
        }


def wanted(device: str, role: str, city: str) -> Wanted:
    """In a training city every device is one for training."""
    return Wanted(device, role_in(city, ROLES[role]), city)


def check_request(raw: bytes, meant: Wanted) -> Enrolment:
    """Signed by the key it names, and what was meant. Raises DeviceRequestWrong."""
    try:
        asked = read_enrolment(raw, meant.city)
    except Refusal as refusal:
        raise DeviceRequestWrong(str(refusal)) from refusal
    if (asked.device, asked.role) != (meant.device, meant.role):
        raise DeviceRequestWrong(f"of {asked.device} in role {asked.role}")
    return asked


def check_answer(body: bytes, asked: Enrolment, meant: Wanted) -> Checked:
    """By the city's device CA, for the key, device and role of the request. Raises AnswerInvalid, TrustChainBroken,
    DeviceCertificateInvalid, AnswerOfAnother."""
    answer = decode_answer(body)
    try:
        trust = verify_chain(answer.trust_lists, None, meant.city)
    except TrustChainBroken:
        raise
    except Refusal as refusal:  # of another city
        raise AnswerOfAnother(str(refusal)) from refusal
    if trust is None:
        raise AnswerInvalid("no trust list")
    made = verify_certificate(answer.certificate, trust, meant.city)
    if (made.city, made.device) != (meant.city, meant.device):
        raise AnswerOfAnother(f"for {made.device} of {made.city}")
    if made.point != asked.point:
        raise AnswerOfAnother("for another key")
    if made.role != meant.role:
        raise AnswerOfAnother(f"for role {made.role}")
    digest = sha256(answer.certificate).hexdigest()
    return Checked(cose.key_id_of(made.point).hex(), digest, trust.trust_list.version, made.owner, answer)


def check_said(said: str, meant: Wanted, checked: Checked) -> None:
    """The line by which a device says that it is enrolled: name, owner, key id; or the key id alone. Raises
    DeviceDisagrees."""
    words = said.split()
    whole = [meant.device, checked.owner, checked.key_id]
    if words not in (whole, whole[-1:]):
        raise DeviceDisagrees(" ".join(words)[:200] or "it said nothing")

"""Enrolling a device from the bench: its request goes to the city, the answer is checked and goes back. DESIGN §4.

The device makes its key and keeps it; here pass only the request that it signed and the answer that the city signed.
An answer counts for this very request only: this device, role and key. The device checks all of it again.
"""

from hashlib import sha256
from string import hexdigits
from typing import NamedTuple

from offline_ledger.errors import (
    AnswerInvalid,
    AnswerOfAnother,
    DeviceDisagrees,
    DeviceProgramOther,
    DeviceRequestWrong,
    Refusal,
    SaidOtherwise,
    TrustChainBroken,
)
from offline_ledger.protocol import cose
from offline_ledger.protocol.answer import EnrolmentAnswer, decode_answer, read_enrolment
from offline_ledger.protocol.device import DeviceRole, Enrolment, role_word
from offline_ledger.protocol.kinds import KEY_ID_BYTES
from offline_ledger.rules.training import role_in
from offline_ledger.terminal.own_identity import verify_certificate
from offline_ledger.terminal.trust import verify_chain

SHOWN_CHARACTERS_MAX = 200
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
        raise DeviceRequestWrong(f"of {asked.device} in role {role_word(asked.role)}")
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
        raise AnswerOfAnother(f"for role {role_word(made.role)}")
    digest = sha256(answer.certificate).hexdigest()
    return Checked(cose.key_id_of(made.point).hex(), digest, trust.trust_list.version, made.owner, answer)


def check_heard(heard: str, meant: Wanted, checked: Checked) -> None:
    """What the device's own program said at its end. Raises DeviceDisagrees: it is enrolled as somebody else or with
    another key; DeviceProgramOther: that is no such line."""
    words, line = heard.split(), _line(meant, checked)
    if len(words) != len(line) or not _is_key_id(words[-1]):
        raise DeviceProgramOther(heard[:SHOWN_CHARACTERS_MAX] or "it said nothing")
    if words != line:
        raise DeviceDisagrees(" ".join(words)[:SHOWN_CHARACTERS_MAX])


def check_said(said: str, meant: Wanted, checked: Checked) -> None:
    """The same line, or its key id alone, as a person brought it. Raises SaidOtherwise."""
    line = _line(meant, checked)
    if said.split() not in (line, line[-1:]):
        raise SaidOtherwise(f"typed {said[:SHOWN_CHARACTERS_MAX]}, the key that was checked is {checked.key_id}")


def _line(meant: Wanted, checked: Checked) -> list[str]:
    return [meant.device, checked.owner, checked.key_id]


def _is_key_id(word: str) -> bool:
    return len(word) == 2 * KEY_ID_BYTES and all(one in hexdigits for one in word)

"""What stands on a device's label, from what the record says was read back. FIELD_LESSONS 35.

Never takes what was only intended. A head has no id of its own before it belongs to a terminal: its serial is its name.
"""

from typing import NamedTuple

from firmware.flash.record import Record
from firmware.flash.record_reading import facts_about
from offline_ledger.errors import LabelFactsMissing, LabelSizeWrong
from offline_ledger.protocol.kinds import KEY_ID_BYTES
from offline_ledger.protocol.label import Label, encode_label

HEAD = "head"
ROLES = {
    **{"bus": "bus", "validator": "bus", "2": "bus"},
    **{"pos": "pos", "shop": "pos", "1": "pos"},
    **{"training": "training", "3": "training"},
}
"""As the record names them, to the key of their words."""


class LabelFacts(NamedTuple):
    """`role`: `bus`, `pos`, `training` or `head`; `mac` and `serial` empty where none was read."""

    label: Label
    role: str
    serial: str
    mac: str
    at_s: int

    @property
    def text(self) -> str:
        """Of its code."""
        return encode_label(self.label)

    @property
    def said(self) -> dict[str, str]:
        """What its code says, as the record of the label has it."""
        known = {"serial": self.serial, "key_fingerprint": self.label.key_id.hex()}
        return {"city": self.label.city, "label_text": self.text} | {key: text for key, text in known.items() if text}


def label_facts(record: Record, subject: str, city: str, at_s: int) -> LabelFacts:
    """`city`: of the bench, where the record names none. Raises RecordNothing, LabelFactsMissing, LabelSizeWrong."""
    facts = facts_about(record, subject)
    serial = facts.get("serial", "")
    device = facts.get("device_id") or serial
    if not device:
        raise LabelFactsMissing(subject)
    try:
        label = Label(device, facts.get("city", city), serial, key_id_of(facts.get("key_fingerprint", "")))
        encode_label(label)
    except ValueError as error:
        raise LabelSizeWrong(str(error)) from error
    role = ROLES.get(facts.get("role", ""), HEAD if "device_id" not in facts else "pos")
    return LabelFacts(label, role, serial, facts.get("mac", ""), at_s)


def key_id_of(fingerprint: str) -> bytes:
    """The first 8 bytes of a fingerprint in hex, however it is punctuated; none of none. ValueError: it is no hex."""
    return bytes.fromhex(fingerprint.replace(":", ""))[:KEY_ID_BYTES]

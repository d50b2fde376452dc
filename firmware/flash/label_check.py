"""Is this label the device's own? Its code against the record. FIELD_LESSONS 35.

Nothing on a label is signed, so it proves nothing by itself: it names a device, and the record says what was read back
of that one. Never writes.
"""

from pathlib import Path

from firmware.flash.label_facts import key_id_of
from firmware.flash.record import Record
from firmware.flash.record_reading import facts_about, jobs_about
from offline_ledger.errors import (
    FileUnusable,
    LabelDamaged,
    LabelKeyDiffers,
    LabelNotOurs,
    LabelNotSeen,
    LabelOfOtherCity,
    LabelOfOtherDevice,
    LabelSerialDiffers,
    LabelUnknown,
    RecordNothing,
    Refusal,
)
from offline_ledger.protocol import qr
from offline_ledger.protocol.label import Label, decode_label


def judge(text: str, record: Record, city: str, subject: str = "") -> tuple[Label, dict[str, str]]:
    """The label, and what the record knows of its device. `subject`: the device that it is stuck on, when that is known
    otherwise; `city`: of the bench.

    Raises LabelNotOurs, LabelDamaged, LabelUnknown, LabelOfOtherDevice, LabelOfOtherCity, LabelSerialDiffers,
    LabelKeyDiffers; RecordNothing: no such `subject`.
    """
    label = decode_label(as_drawn(text))
    if subject and label.device not in _ids_of(record, subject):
        raise LabelOfOtherDevice(f"label: {label.device}, device: {subject}")
    try:
        facts = facts_about(record, label.device)
    except RecordNothing as nothing:
        raise _stranger(label, record) from nothing
    known_city, known_serial = facts.get("city", city), facts.get("serial", "")
    if label.city != known_city:
        raise LabelOfOtherCity(f"city on the label: {label.city}, in the record: {known_city}")
    if label.serial != known_serial:
        raise LabelSerialDiffers(f"serial on the label: {label.serial or '-'}, in the record: {known_serial or '-'}")
    key, known_key = label.key_id.hex(), key_id_of(facts.get("key_fingerprint", "")).hex()
    if key != known_key:
        raise LabelKeyDiffers(f"key on the label: {key or '-'}, in the record: {known_key or '-'}")
    return label, facts


def as_drawn(text: str) -> str:
    """As a person types it, who may take small letters and leaves spaces around it."""
    stripped = text.strip()
    return stripped if stripped.startswith(qr.PREFIX) else stripped.upper()


def label_in(picture: Path) -> str:
    """The text of the label in a picture; other codes beside it do no harm. Raises LabelNotSeen, LabelNotOurs,
    LabelDamaged: the only code is one; FileUnusable."""
    from offline_ledger.qr_picture import texts_in

    try:
        found = texts_in(picture)
    except OSError as error:
        raise FileUnusable(f"{picture}: {error.strerror}") from error
    except ValueError as error:
        raise FileUnusable(f"{picture}: {error}") from error
    if not found:
        raise LabelNotSeen(str(picture))
    return label_among(found)


def label_among(texts: list[str]) -> str:
    """The first sound label. Raises what is wrong with the first code when none is one."""
    wrong: Refusal | None = None
    for text in texts:
        try:
            decode_label(text)
        except (LabelNotOurs, LabelDamaged) as refusal:
            wrong = refusal if wrong is None or isinstance(refusal, LabelDamaged) else wrong
        else:
            return text
    assert wrong is not None
    raise wrong


# --- inside


def _ids_of(record: Record, subject: str) -> set[str]:
    """What a label of this device may name: its id now, or its board while it has none."""
    jobs_about(record, subject)  # raises RecordNothing
    facts = facts_about(record, subject)
    return {facts.get("device_id") or facts.get("serial") or subject}


def _stranger(label: Label, record: Record) -> Refusal:
    """A device that the record does not know may stand on a board that it knows."""
    if label.serial:
        try:
            owner = facts_about(record, label.serial).get("device_id", "")
        except RecordNothing:
            owner = ""
        if owner:
            return LabelOfOtherDevice(f"label: {label.device}, device: {owner}")
    return LabelUnknown(label.device)

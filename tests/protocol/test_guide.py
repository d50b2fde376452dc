"""docs/protocol.md tells the truth: its bytes, numbers, sizes and addresses are those of the code."""

import json
import re
from pathlib import Path

import pytest

from offline_ledger import errors
from offline_ledger.protocol import cose, qr
from offline_ledger.protocol.kinds import Kind
from tests.vectors.generate import QR_OBJECTS
from tests.vectors.objects import CITY, EXAMPLES

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "protocol.md").read_text()
SHOWN = EXAMPLES[Kind.PRESENTMENT].signed()
TEXTS = {kind: qr.encode(kind, *(EXAMPLES[one].signed().raw for one in held)) for kind, held in QR_OBJECTS.items()}
BYTES = {
    "payload": SHOWN.payload,
    "external_aad": cose.external_aad(Kind.PRESENTMENT, CITY),
    "to_be_signed": SHOWN.to_be_signed,
    "identity": SHOWN.identity,
    "object": SHOWN.raw,
}


def block(name: str) -> str:
    """The lines of one fenced block, joined."""
    found = re.findall(rf"^```{name}\n(.*?)\n```$", GUIDE, re.MULTILINE | re.DOTALL)
    assert len(found) == 1
    return found[0].replace("\n", "")


@pytest.mark.parametrize("name", BYTES)
def test_the_worked_example(name: str) -> None:
    assert bytes.fromhex(block(name)) == BYTES[name]


def test_the_worked_code_and_the_allowance_it_names() -> None:
    assert block("qr") == TEXTS[qr.QrType.PRESENTMENT]
    assert EXAMPLES[Kind.ALLOWANCE].signed().identity.hex() in GUIDE


def test_every_object_type_is_listed_with_its_number() -> None:
    listed = re.findall(r"^\| (\d+) \| ([a-z ]+) \|", GUIDE, re.MULTILINE)
    assert {int(number): name.replace(" ", "_").upper() for number, name in listed} == {
        int(kind): kind.name for kind in Kind
    }


def test_every_code_letter_is_listed_with_its_size() -> None:
    listed = re.findall(r"^\| ([A-Z]) \| ([^|]+) \| (\d+) \|$", GUIDE, re.MULTILINE)
    assert {letter: int(size) for letter, _, size in listed} == {kind.value: len(text) for kind, text in TEXTS.items()}
    held = {kind.value: [one.name.replace("_", " ").lower() for one in kinds] for kind, kinds in QR_OBJECTS.items()}
    assert {letter: names.split(" (")[0].split(", ") for letter, names, _ in listed} == held


def test_refusal_numbers_are_those_of_the_code() -> None:
    rows = re.findall(r"^\| ([a-z ]+)[^|]*\| (10\d\d) \|$", GUIDE, re.MULTILINE)
    known = {refusal.number: refusal.key for refusal in vars(errors).values() if hasattr(refusal, "number")}
    assert len(rows) == 13
    for name, number in rows:
        assert known[int(number)].replace("_", " ").endswith(name.strip()), name


def test_every_address_of_the_service_is_listed_and_no_other() -> None:
    described = json.loads((ROOT / "offline_ledger" / "city" / "openapi.json").read_text())["paths"]
    served = {(method.upper(), path) for path, methods in described.items() for method in methods}
    listed = set(re.findall(r"`(GET|POST) (/[a-z0-9/.{}-]+)", GUIDE))
    assert listed == served

"""Golden vectors: byte-identical again, read by ours and by theirs, both ways; wire.cddl fits each and no mutant."""

import json
import re
from pathlib import Path
from typing import Any, TypeVar

import pytest

from offline_ledger.protocol import answer as answer_of_city
from offline_ledger.protocol import cbor, city, cose, device, qr
from offline_ledger.protocol.fields import Layout
from offline_ledger.protocol.kinds import CITY_OBJECT_BYTES_MAX, Kind
from tests.crosscheck.ask import SCHEMA, ask, cddl_job
from tests.vectors import generate
from tests.vectors.objects import CITY, EXAMPLES

pytestmark = pytest.mark.arm64
T = TypeVar("T")
OURS, THEIRS = generate.FOLDER / "ours", generate.FOLDER / "theirs"
NAMES = [kind.name.lower() for kind in EXAMPLES]
BUNDLES = json.loads((OURS / "bundles.json").read_text())
THEIR_BUNDLES = json.loads((THEIRS / "bundles.json").read_text())


def load(folder: Path, name: str) -> dict[str, Any]:
    return json.loads((folder / f"{name}.json").read_text())


def read_by_ours(vector: dict[str, Any]) -> cose.Signed:
    """Parsed, verified, decoded and equal to the example."""
    example = EXAMPLES[Kind[vector["kind"].upper()]]
    aad = cose.external_aad(example.kind, CITY)
    signed = cose.parse_sign1(bytes.fromhex(vector["object"]), aad, CITY_OBJECT_BYTES_MAX)
    assert cose.is_signature_of(signed, cose.verify_key(bytes.fromhex(vector["point"])))
    assert signed.key_id == bytes.fromhex(vector["key_id"])
    value = example.layout.decode(signed.payload, CITY_OBJECT_BYTES_MAX)
    assert value == example.value
    return signed


def test_every_kind_has_an_example() -> None:
    assert set(Kind) == set(EXAMPLES)


def test_generating_again_gives_the_same_bytes() -> None:
    made = generate.make_files()
    assert {f"ours/{path.name}" for path in OURS.iterdir()} == set(made)
    for path, text in made.items():
        assert (generate.FOLDER / path).read_text() == text, path


@pytest.mark.parametrize("name", NAMES)
def test_ours_is_read_by_ours(name: str) -> None:
    vector = load(OURS, name)
    signed = read_by_ours(vector)
    assert signed.identity.hex() == vector["identity"]
    assert signed.to_be_signed.hex() == vector["to_be_signed"]


@pytest.mark.parametrize("name", NAMES)
def test_theirs_is_read_by_ours_and_has_the_same_identity(name: str) -> None:
    vector = load(THEIRS, name)
    assert vector["made_by"].startswith("cwt")
    assert read_by_ours(vector).identity.hex() == load(OURS, name)["identity"]


def test_theirs_made_now_is_read_by_ours() -> None:
    made = generate.make_theirs()
    assert set(made) == set(NAMES)
    for name, vector in made.items():
        assert read_by_ours(vector).identity.hex() == load(OURS, name)["identity"]


def test_ours_is_verified_by_theirs_and_another_kind_is_not() -> None:
    vectors = [load(OURS, name) for name in NAMES]
    for vector, answer in zip(vectors, ask([{**one, "do": "verify"} for one in vectors]), strict=True):
        assert answer == {"ok": vector["payload"]}
    others = [{**one, "do": "verify", "aad": [one["aad"][0] % len(Kind) + 1, *one["aad"][1:]]} for one in vectors]
    assert all("VerifyError" in answer.get("error", "") for answer in ask(others))


def cddl_of_everything() -> list[tuple[str, bytes]]:
    """(rule, bytes) of every vector."""
    found: list[tuple[str, bytes]] = []
    for name in NAMES:
        vector = load(OURS, name)
        raw = bytes.fromhex(vector["object"])
        found += [
            ("sign1", raw),
            ("header", raw[3:16]),
            ("external-aad", cose.external_aad(Kind[name.upper()], CITY)),
            (f"{name.replace('_', '-')}-payload", bytes.fromhex(vector["payload"])),
        ]
    for code in BUNDLES["qr"].values():
        found.append(("qr-one" if code["text"][4] in "CVE" else "qr-two", bytes.fromhex(code["cbor"])))
    wrappers = ("signed_trust_list", "batch", "answer", "enrolment_answer")
    return [*found, *((name.replace("_", "-"), bytes.fromhex(BUNDLES[name])) for name in wrappers)]


RESERVED_EVENTS = {"started-event"}
"""Their bodies are open until a program writes them."""


def events() -> list[tuple[str, bytes]]:
    """A body of every event kind that the wire names."""
    small = b"\x01"
    bodies: dict[str, list[object]] = {
        "ratified-event": [3, [2], []],
        "refusal-event": [1301, 1_654_754_400, bytes(8)],
        "conflict-event": [1402, 1_654_754_400, small, b"", small],
        "clock-event": [1, 2, 0, -5, 7],
        "uncharged-green-event": [3, 1_654_754_400, 7, small],
        "lapsed-event": [3, 1_654_754_400, True],
        "request-event": [bytes(32), 5_000, 100, 1_654_754_400],
        "refund-request-event": [small],
        "shift-event": [4, 1_654_754_400, 2, 1, "d-7", 3, "10", 0, "0.20220609.0730", "", 2],
    }
    written = {f"{kind.name.lower().replace('_', '-')}-event" for kind in device.EventKind} - RESERVED_EVENTS
    assert set(bodies) == written
    return [(rule, cbor.encode(body)) for rule, body in bodies.items()]


def test_every_event_kind_stands_in_the_schema_with_its_number() -> None:
    rows = re.findall(r"^([a-z-]+-event) = \[.*; (\d+)", SCHEMA.read_text(), re.MULTILINE)
    assert {int(number): name for name, number in rows} == {
        int(kind): f"{kind.name.lower().replace('_', '-')}-event" for kind in device.EventKind
    }
    assert ask([cddl_job(rule, b"\x80") for rule in RESERVED_EVENTS]) == [{"ok": True}] * len(RESERVED_EVENTS)


def mutants(data: bytes) -> list[bytes]:
    """The same value with one thing wrong in its shape: a member more, one less, one of another type."""
    start = 1 if data.startswith(b"\xd2") else 0
    value: Any = cbor.decode(data[start:], len(data)) if start == 0 else None
    if isinstance(value, dict):
        first = min(value)
        changed: list[object] = [
            {**value, 99: 1},
            {key: member for key, member in value.items() if key != first},
            {**value, first: False},
        ]
        return [cbor.encode(one) for one in changed]
    if isinstance(value, list):
        return [cbor.encode([*value, False]), cbor.encode(value[:-1]), cbor.encode([False, *value[1:]])]
    return [b"\xd1" + data[1:], data[:-66] + b"\x58\x3f" + data[-63:], b"\xd2\x83" + data[2:]]


def test_the_schema_fits_every_vector_and_refuses_every_mutant() -> None:
    good = [*cddl_of_everything(), *events()]
    assert [answer for answer in ask([cddl_job(*one) for one in good]) if answer != {"ok": True}] == []
    bad = [(rule, mutant) for rule, data in good for mutant in mutants(data)]
    answers = ask([cddl_job(*one) for one in bad])
    accepted = [rule for (rule, _), answer in zip(bad, answers, strict=True) if "error" not in answer]
    assert accepted == []
    assert len(bad) == 3 * len(good)


def test_wrappers_are_read_by_ours() -> None:
    held = bytes.fromhex(BUNDLES["batch"])
    batch = device.BATCH.decode(held, len(held))
    assert batch.events == ((1, generate.RATIFIED_BODY),)
    assert batch.head.hex() == load(OURS, "batch_head")["object"]
    assert city.ANSWER.encode(city.ANSWER.decode(bytes.fromhex(BUNDLES["answer"]), 4_096)).hex() == BUNDLES["answer"]
    signed = city.SIGNED_TRUST_LIST.decode(bytes.fromhex(BUNDLES["signed_trust_list"]), 4_096)
    payloads = {cose.parse_sign1(one, b"").payload for one in signed.signatures}
    assert len(signed.signatures) == 2 and len(payloads) == 1


@pytest.mark.parametrize("name", sorted(BUNDLES["qr"]))
def test_codes_are_read_by_ours(name: str) -> None:
    code = qr.decode(BUNDLES["qr"][name]["text"])
    assert code.type.name.lower() == name
    assert code.objects == tuple(EXAMPLES[kind].signed().raw for kind in generate.QR_OBJECTS[code.type])


def theirs_of(kind: Kind) -> bytes:
    return bytes.fromhex(load(THEIRS, kind.name.lower())["object"])


@pytest.mark.parametrize("kind", generate.QR_OBJECTS)
def test_their_codes_are_read_by_ours_and_ours_drawn_the_same(kind: qr.QrType) -> None:
    text, held = THEIR_BUNDLES["qr"][kind.name.lower()], tuple(map(theirs_of, generate.QR_OBJECTS[kind]))
    assert qr.decode(text) == qr.QrCode(kind, held)
    assert qr.encode(kind, *held) == text


def both_ways(layout: Layout[T], value: T, data: bytes) -> bool:
    return layout.decode(data, CITY_OBJECT_BYTES_MAX) == value and layout.encode(value) == data


def test_their_wrappers_are_read_by_ours_and_ours_encoded_the_same() -> None:
    data = {name: bytes.fromhex(THEIR_BUNDLES[name]) for name in ("batch", "answer", "signed_trust_list")}
    batch = device.Batch(
        theirs_of(Kind.BATCH_HEAD),
        ((theirs_of(Kind.VOUCHER), (theirs_of(Kind.PRESENTMENT),)),),
        ((1, generate.RATIFIED_BODY),),
        (theirs_of(Kind.ALLOWANCE),),
        theirs_of(Kind.ACK),
    )
    assert both_ways(device.BATCH, batch, data["batch"])
    wanted = (EXAMPLES[Kind.ALLOWANCE].signed().identity,)
    answer = city.Answer(
        theirs_of(Kind.ACK), ((0, 1, ()),), wanted, (generate.OLD_ROOT,), theirs_of(Kind.DEVICE_CERTIFICATE)
    )
    assert both_ways(city.ANSWER, answer, data["answer"])
    lists = city.SignedTrustList((theirs_of(Kind.TRUST_LIST),))
    assert both_ways(city.SIGNED_TRUST_LIST, lists, data["signed_trust_list"])
    enrolled = bytes.fromhex(THEIR_BUNDLES["enrolment_answer"])
    held = (theirs_of(Kind.DEVICE_CERTIFICATE), (theirs_of(Kind.TRUST_LIST),), (theirs_of(Kind.BULLETIN),), b"\x00")
    assert both_ways(answer_of_city.ENROLMENT_ANSWER, answer_of_city.EnrolmentAnswer(*held), enrolled)
    assert answer_of_city.decode_answer(enrolled) == answer_of_city.EnrolmentAnswer(*held)


def test_their_bundles_made_now_are_the_same_and_fit_the_schema() -> None:
    made = generate.make_their_bundles({name: load(THEIRS, name) for name in NAMES})
    assert made == THEIR_BUNDLES
    rules = ("signed_trust_list", "batch", "answer", "enrolment_answer")
    jobs = [cddl_job(name.replace("_", "-"), bytes.fromhex(THEIR_BUNDLES[name])) for name in rules]
    assert ask(jobs) == [{"ok": True}] * len(rules)

"""Writes the golden vectors: `python -m tests.vectors.generate`; `--theirs` also has the other implementation sign.

`ours/*.json` are ours and repeat to the byte (RFC 6979). `theirs/*.json` were signed by `cwt` with its own CBOR
encoder from the same values; its signatures are randomised, so they are made once and kept. `theirs/bundles.json` holds
codes by `base45` and wrappers by that encoder, both around the objects that `cwt` signed.
"""

import json
import sys
from pathlib import Path
from typing import Any

from offline_ledger.protocol import base45, cbor, city, cose, device, qr
from offline_ledger.protocol.answer import ENROLMENT_ANSWER, EnrolmentAnswer
from offline_ledger.protocol.kinds import VERSION, Kind
from offline_ledger.protocol.qr import QrType
from tests.crosscheck.ask import ask
from tests.vectors.keys import ROOT_2
from tests.vectors.objects import CITY, EXAMPLES, Example

FOLDER = Path(__file__).parent
QR_OBJECTS = {
    QrType.PRESENTMENT: (Kind.ALLOWANCE, Kind.PRESENTMENT),
    QrType.PAYMENT: (Kind.ALLOWANCE, Kind.PAYMENT),
    QrType.REQUEST: (Kind.DEVICE_CERTIFICATE, Kind.PAYMENT_REQUEST),
    QrType.COUPON: (Kind.COUPON,),
    QrType.RECEIPT: (Kind.VOUCHER,),
    QrType.ENROLMENT: (Kind.ENROLMENT,),
}
RATIFIED_BODY = cbor.encode([1, [], []])
OLD_ROOT = EXAMPLES[Kind.ACK].value.log_root


def json_of(value: Any) -> Any:
    """A CBOR value as JSON: {"hex": …} for bytes, maps with their keys as text."""
    if isinstance(value, bytes):
        return {"hex": value.hex()}
    if isinstance(value, dict):
        return {str(int(key)): json_of(member) for key, member in value.items()}
    if isinstance(value, list):
        return [json_of(member) for member in value]
    return value


def described(example: Example) -> dict[str, Any]:
    """What both sides sign: who, with which key, which value, for which external_aad."""
    payload = example.layout.encode(example.value)
    return {
        "kind": example.kind.name.lower(),
        "key": example.key.name,
        "secret": f"{example.key.secret:064x}",
        "point": example.key.point.hex(),
        "key_id": example.key.key_id.hex(),
        "aad": [int(example.kind), VERSION, CITY],
        "value": json_of(cbor.decode(payload, len(payload))),
    }


def make_ours(example: Example) -> dict[str, Any]:
    """One vector signed by ours."""
    signed = example.signed()
    return {
        **described(example),
        "payload": signed.payload.hex(),
        "to_be_signed": signed.to_be_signed.hex(),
        "identity": signed.identity.hex(),
        "object": signed.raw.hex(),
        "made_by": "offline_ledger",
    }


def make_bundles() -> dict[str, Any]:
    """The unsigned wrappers and QR texts."""
    raw = {kind: example.signed().raw for kind, example in EXAMPLES.items()}
    roots = Example(Kind.TRUST_LIST, city.TRUST_LIST, ROOT_2, EXAMPLES[Kind.TRUST_LIST].value).signed().raw
    codes = {kind.name.lower(): qr.encode(kind, *(raw[one] for one in held)) for kind, held in QR_OBJECTS.items()}
    batch = device.Batch(
        raw[Kind.BATCH_HEAD],
        ((raw[Kind.VOUCHER], (raw[Kind.PRESENTMENT],)),),
        ((int(device.EventKind.RATIFIED), RATIFIED_BODY),),
        (raw[Kind.ALLOWANCE],),
    )
    wanted = (cose.parse_sign1(raw[Kind.ALLOWANCE], b"").identity,)
    answer = city.Answer(raw[Kind.ACK], ((0, 1, ()),), wanted, (OLD_ROOT,), raw[Kind.DEVICE_CERTIFICATE])
    return {
        "qr": {name: {"text": text, "cbor": base45.decode(text[6:]).hex()} for name, text in codes.items()},
        "signed_trust_list": city.SIGNED_TRUST_LIST.encode(city.SignedTrustList((raw[Kind.TRUST_LIST], roots))).hex(),
        "batch": device.BATCH.encode(batch).hex(),
        "answer": city.ANSWER.encode(answer).hex(),
        "enrolment_answer": ENROLMENT_ANSWER.encode(
            EnrolmentAnswer(raw[Kind.DEVICE_CERTIFICATE], (raw[Kind.TRUST_LIST],), (raw[Kind.BULLETIN],), b"\x00")
        ).hex(),
    }


def make_theirs() -> dict[str, dict[str, Any]]:
    """Every object signed by `cwt`."""
    said = {example.kind.name.lower(): described(example) for example in EXAMPLES.values()}
    answers = ask([{**one, "do": "sign"} for one in said.values()])
    return {
        name: {**one, "object": answer["ok"], "made_by": "cwt 3.3.0, cbor2 5.9.0"}
        for (name, one), answer in zip(said.items(), answers, strict=True)
    }


def make_their_bundles(theirs: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Codes and wrappers around their objects, made by `base45` and their CBOR encoder."""
    held: dict[str, str] = {name: one["object"] for name, one in theirs.items()}
    codes = [
        {"do": "code", "letter": kind.value, "objects": [held[one.name.lower()] for one in kinds]}
        for kind, kinds in QR_OBJECTS.items()
    ]
    raw = {name: {"hex": value} for name, value in held.items()}
    identity = {"hex": EXAMPLES[Kind.ALLOWANCE].signed().identity.hex()}
    values: dict[str, Any] = {
        "signed_trust_list": {"1": [raw["trust_list"]]},
        "batch": {
            "1": raw["batch_head"],
            "2": [[raw["voucher"], [raw["presentment"]]]],
            "3": [[int(device.EventKind.RATIFIED), {"hex": RATIFIED_BODY.hex()}]],
            "4": [raw["allowance"]],
            "5": raw["ack"],
        },
        "answer": {
            "1": raw["ack"],
            "2": [[0, 1, []]],
            "3": [identity],
            "4": [{"hex": OLD_ROOT.hex()}],
            "5": raw["device_certificate"],
        },
        "enrolment_answer": {
            "1": raw["device_certificate"],
            "2": [raw["trust_list"]],
            "3": [raw["bulletin"]],
            "4": {"hex": "00"},
        },
    }
    said = ask([*codes, *({"do": "encode", "value": value} for value in values.values())])
    texts = [answer["ok"] for answer in said]
    named = zip((kind.name.lower() for kind in QR_OBJECTS), texts, strict=False)
    wrappers = zip(values, texts[len(codes) :], strict=True)
    return {"qr": dict(named), **dict(wrappers), "made_by": "base45 0.4.4, cbor2 5.9.0, cwt 3.3.0"}


def as_text(vector: object) -> str:
    """The file's text."""
    return json.dumps(vector, indent=1, ensure_ascii=False) + "\n"


def make_files() -> dict[str, str]:
    """Every file of ours: path below this folder, text."""
    files = {f"ours/{kind.name.lower()}.json": as_text(make_ours(one)) for kind, one in EXAMPLES.items()}
    return {**files, "ours/bundles.json": as_text(make_bundles())}


def main() -> None:
    """Write them."""
    files = make_files()
    if "--theirs" in sys.argv:
        theirs = make_theirs()
        files |= {f"theirs/{name}.json": as_text(one) for name, one in theirs.items()}
        files["theirs/bundles.json"] = as_text(make_their_bundles(theirs))
    for path, text in files.items():
        (FOLDER / path).parent.mkdir(exist_ok=True)
        (FOLDER / path).write_text(text)


if __name__ == "__main__":
    main()

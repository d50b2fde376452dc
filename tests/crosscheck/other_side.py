"""The other implementation: `cwt`, `cbor2` 5, `base45` and `pycddl`, run by `.venv-crosscheck`. Shares no code of ours.

Reads a JSON list of jobs from stdin and writes a JSON list of results: each {"ok": ...} or {"error": text}.
Values travel as JSON: {"hex": "00"} is a byte string, any other object a map with integer keys.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import base45  # pyright: ignore[reportMissingImports]
import cbor2
import pycddl  # pyright: ignore[reportMissingImports]
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cwt import COSE, COSEKey  # pyright: ignore[reportMissingImports]

Job = dict[str, Any]


def value_of(said: Any) -> Any:
    """The CBOR value of its JSON spelling."""
    if isinstance(said, dict):
        if set(said) == {"hex"}:
            return bytes.fromhex(said["hex"])
        return {int(key): value_of(member) for key, member in said.items()}
    return [value_of(member) for member in said] if isinstance(said, list) else said


def private_key(secret_hex: str, key_id: bytes) -> Any:
    """A TEST ONLY key of `cwt`."""
    key = ec.derive_private_key(int(secret_hex, 16), ec.SECP256R1())
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return COSEKey.from_pem(pem.decode(), kid=key_id)


def public_key(point: bytes, key_id: bytes) -> Any:
    """A verifying key of `cwt` from a compressed point."""
    key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    pem = key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return COSEKey.from_pem(pem.decode(), kid=key_id)


def sign(job: Job) -> str:
    """A COSE_Sign1 made by `cwt` over a payload encoded by its own cbor2."""
    key_id = bytes.fromhex(job["key_id"])
    payload = cbor2.dumps(value_of(job["value"]), canonical=True)
    aad = cbor2.dumps(value_of(job["aad"]), canonical=True)
    made = COSE.new().encode(
        payload, private_key(job["secret"], key_id), protected={1: -7, 4: key_id}, unprotected={}, external_aad=aad
    )
    return made.hex()


def verify(job: Job) -> str:
    """The payload of a COSE_Sign1 that `cwt` verified."""
    key_id = bytes.fromhex(job["key_id"])
    aad = cbor2.dumps(value_of(job["aad"]), canonical=True)
    raw = bytes.fromhex(job["object"])
    return COSE.new().decode(raw, public_key(bytes.fromhex(job["point"]), key_id), external_aad=aad).hex()


def encode(job: Job) -> str:
    """Canonical CBOR of a value, by cbor2 5."""
    return cbor2.dumps(value_of(job["value"]), canonical=True).hex()


def base45_encode(job: Job) -> str:
    """Base45 of bytes, by the package `base45`."""
    return base45.b45encode(bytes.fromhex(job["bytes"])).decode()


def base45_decode(job: Job) -> str:
    """The bytes of a Base45 text, which comes as UTF-8: of text, the package would cut off line ends first."""
    return base45.b45decode(bytes.fromhex(job["bytes"])).hex()


def code(job: Job) -> str:
    """A QR text: the letter, and Base45 of the canonical list of these objects."""
    objects = [bytes.fromhex(one) for one in job["objects"]]
    return f"KGO1{job['letter']}:{base45.b45encode(cbor2.dumps(objects, canonical=True)).decode()}"


SCHEMAS: dict[tuple[str, str], Any] = {}


def cddl(job: Job) -> bool:
    """`pycddl` on bytes, against one rule of the schema in a file; raises when they do not fit."""
    key = (job["schema"], job["rule"])
    if key not in SCHEMAS:
        SCHEMAS[key] = pycddl.Schema(f"root-of-check = {job['rule']}\n{Path(job['schema']).read_text()}")
    SCHEMAS[key].validate_cbor(bytes.fromhex(job["bytes"]))
    return True


JOBS: dict[str, Callable[[Job], Any]] = {
    "sign": sign,
    "verify": verify,
    "encode": encode,
    "base45_encode": base45_encode,
    "base45_decode": base45_decode,
    "code": code,
    "cddl": cddl,
}


def main() -> None:
    """Do every job; a failing one does not stop the next."""
    results: list[dict[str, Any]] = []
    for job in json.load(sys.stdin):
        try:
            results.append({"ok": JOBS[job["do"]](job)})
        except Exception as error:  # noqa: BLE001 - whatever the other side says is a result
            results.append({"error": f"{type(error).__name__}: {error}"[:200]})
    json.dump(results, sys.stdout)


if __name__ == "__main__":
    main()

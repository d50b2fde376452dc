"""`libraries_*`: the work of one decision by the libraries alone, on the same bytes, with nothing of ours between.

Between the floor (two verifications, a signature, an append) and the decision lie a key from its compressed point, CBOR
read and written, and SQLite's pages: no arrangement of our code goes below this. DESIGN §10.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from offline_ledger.protocol import cose, qr
from offline_ledger.protocol.cose import Signed
from offline_ledger.protocol.kinds import Kind
from offline_ledger.terminal.journal_sql import Statement
from tests.terminal.desk import (
    AAD,
    DEVICE_TEST_ONLY,
    ISSUER_TEST_ONLY,
    DeskConditions,
    FlatBus,
    acceptor_on,
    open_journal,
)

_ES256 = ec.ECDSA(hashes.SHA256())
_CURVE = ec.SECP256R1()
_WALLET_POINT = 3
"""Key of the wallet's point in an allowance."""


class _Work(NamedTuple):
    """The bytes of one decision, as a real one used them."""

    allowance: Signed
    presentment: Signed
    voucher: object
    statements: Sequence[Statement]


class LibrariesAlone:
    """Replays decisions that a real terminal took. `is_cached`: allowance and wallet key are known already."""

    def __init__(self, folder: Path, name: str, codes: Sequence[str], *, is_cached: bool) -> None:
        (folder / name).mkdir()
        (folder / f"{name}-again").mkdir()
        self._work = _recorded(folder / name, codes)
        self._core = open_journal(folder / f"{name}-again")._core
        self._issuer = cose.verify_key(ISSUER_TEST_ONLY.point).key
        self._is_cached = is_cached
        self._keys = {work.allowance.raw: cose.verify_key(_point_of(work.allowance)).key for work in self._work}
        self._at = 0

    def run(self, _index: int) -> None:
        allowance, presentment, voucher, statements = self._work[self._at]
        self._at += 1
        if self._is_cached:
            key = self._keys[allowance.raw]
        else:
            said = cbor2.loads(allowance.payload)
            cbor2.dumps(said)
            self._issuer.verify(_der(allowance.signature), allowance.to_be_signed, _ES256)
            key = ec.EllipticCurvePublicKey.from_encoded_point(_CURVE, said[_WALLET_POINT])
        cbor2.dumps(cbor2.loads(presentment.payload))
        key.verify(_der(presentment.signature), presentment.to_be_signed, _ES256)
        DEVICE_TEST_ONLY.sign(cbor2.dumps(voucher))
        execute = self._core.disk.cursor.execute
        execute("BEGIN IMMEDIATE")
        for sql, bindings in statements:
            execute(sql, bindings)
        execute("COMMIT")


def _recorded(folder: Path, codes: Sequence[str]) -> list[_Work]:
    """Takes every code at a real terminal and keeps what its journal was told to write."""
    journal = open_journal(folder)
    written: list[list[Statement]] = []
    commit = journal._core.commit

    def recording(statements: list[Statement]) -> None:
        written.append(list(statements))
        commit(statements)

    journal._core.commit = recording
    acceptor, door = acceptor_on(journal, DeskConditions()), FlatBus(fare_kgo=100)
    work: list[_Work] = []
    for code in codes:
        outcome = acceptor.accept(code, door)
        assert outcome.voucher is not None, outcome
        allowance, presentment = qr.decode(code).objects
        work.append(
            _Work(
                cose.parse_sign1(allowance, AAD[Kind.ALLOWANCE]),
                cose.parse_sign1(presentment, AAD[Kind.PRESENTMENT]),
                cbor2.loads(outcome.voucher.payload),
                written[-1],
            )
        )
    journal.close()
    return work


def _point_of(allowance: Signed) -> bytes:
    return cbor2.loads(allowance.payload)[_WALLET_POINT]


def _der(signature: bytes) -> bytes:
    return encode_dss_signature(int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big"))

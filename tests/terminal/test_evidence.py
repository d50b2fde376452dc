"""The first half of acceptance: every key under a key id is tried, the cache judges nothing, the order is the contract.

DESIGN §4 "try every match", "caches hold only …", §5.
"""

from collections.abc import Sequence

import pytest

from offline_ledger import errors
from offline_ledger.errors import Refusal
from offline_ledger.protocol import base45, cbor, cose, qr, wallet
from offline_ledger.protocol.city import REVOKED, KeyRole, TrustedKey
from offline_ledger.protocol.cose import Signed, VerifyKey
from offline_ledger.protocol.kinds import OBJECT_BYTES_MAX, Kind
from offline_ledger.protocol.wallet import Presentment
from offline_ledger.terminal import evidence
from offline_ledger.terminal.evidence import EvidenceReader
from simulators.keys import SimulatedKey
from tests.terminal.desk import AAD, CITY, ISSUER_TEST_ONLY, NOW_S, DeskWallet, OneIssuer, issue

OTHER_TEST_ONLY = SimulatedKey(0x0772)
THIRD_TEST_ONLY = SimulatedKey(0x0773)
SKEW_S = 5


class Ring:
    """Keys that all have the issuer's key id: what a collision of 8 bytes would be."""

    def __init__(self, *keys: SimulatedKey, role: KeyRole = KeyRole.ALLOWANCE_ISSUER) -> None:
        self.version = 1
        self.asked = 0
        self._found = [
            (TrustedKey(role, key.point, NOW_S - 10**6, NOW_S + 10**8), cose.verify_key(key.point)) for key in keys
        ]

    def candidates(self, key_id: bytes) -> Sequence[tuple[TrustedKey, VerifyKey]]:
        self.asked += 1
        return self._found if key_id == ISSUER_TEST_ONLY.key_id else ()


def rider(secret: int = 7) -> DeskWallet:
    held = issue(secret)
    held.next()
    return held


@pytest.mark.parametrize(
    "keys",
    [
        (ISSUER_TEST_ONLY, OTHER_TEST_ONLY),
        (OTHER_TEST_ONLY, ISSUER_TEST_ONLY),
        (OTHER_TEST_ONLY, THIRD_TEST_ONLY, ISSUER_TEST_ONLY),
    ],
)
def test_every_key_with_the_id_is_tried(keys: tuple[SimulatedKey, ...]) -> None:
    found = EvidenceReader(CITY, Ring(*keys)).read(rider().code(), NOW_S, SKEW_S)
    assert found.allowance.reserve_kgo == 50_000


def test_when_no_key_with_the_id_signed_it_is_forged_and_not_unknown() -> None:
    with pytest.raises(errors.AllowanceForged):
        EvidenceReader(CITY, Ring(OTHER_TEST_ONLY, THIRD_TEST_ONLY)).read(rider().code(), NOW_S, SKEW_S)
    with pytest.raises(errors.UnknownIssuer):
        EvidenceReader(CITY, Ring()).read(rider().code(), NOW_S, SKEW_S)


def test_the_issuers_signature_is_checked_once_and_the_wallets_each_time() -> None:
    ring = Ring(ISSUER_TEST_ONLY)
    reader = EvidenceReader(CITY, ring)
    held = rider()
    for _ in range(3):
        reader.read(held.code(), NOW_S, SKEW_S)
        held.next()
    assert ring.asked == 1
    thief = DeskWallet(OTHER_TEST_ONLY, held.allowance, held.n, held.sum_kgo, held.last_kgo)
    with pytest.raises(errors.WalletSignatureWrong):
        reader.read(thief.code(), NOW_S, SKEW_S)


def test_a_new_trust_list_empties_the_cache() -> None:
    ring = Ring(ISSUER_TEST_ONLY)
    reader = EvidenceReader(CITY, ring)
    code = rider().code()
    reader.read(code, NOW_S, SKEW_S)
    ring._found.clear()  # the issuer is gone from the newest list
    reader.read(code, NOW_S, SKEW_S)
    ring.version = 2
    with pytest.raises(errors.UnknownIssuer):
        reader.read(code, NOW_S, SKEW_S)


def test_a_refused_allowance_is_never_kept() -> None:
    ring = Ring(OTHER_TEST_ONLY)
    reader = EvidenceReader(CITY, ring)
    code = rider().code()
    for asked in (1, 2):
        with pytest.raises(errors.AllowanceForged):
            reader.read(code, NOW_S, SKEW_S)
        assert ring.asked == asked


def test_the_cache_is_bounded_and_forgets_the_oldest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evidence, "ISSUER_CACHE_MAX", 3)
    ring = Ring(ISSUER_TEST_ONLY)
    reader = EvidenceReader(CITY, ring)
    codes = [rider(secret).code() for secret in range(10, 15)]
    for code in codes:
        reader.read(code, NOW_S, SKEW_S)
    assert ring.asked == 5
    for code in reversed(codes[2:]):
        reader.read(code, NOW_S, SKEW_S)
    assert ring.asked == 5
    reader.read(codes[0], NOW_S, SKEW_S)
    assert ring.asked == 6


def allowance_with(
    held: DeskWallet, city: str = CITY, signer: SimulatedKey = ISSUER_TEST_ONLY, **change: int
) -> Signed:
    said = wallet.ALLOWANCE.decode(held.allowance.payload, OBJECT_BYTES_MAX)._replace(city=city, **change)
    payload = wallet.ALLOWANCE.encode(said)
    return cose.sign1(payload, cose.external_aad(Kind.ALLOWANCE, city), ISSUER_TEST_ONLY.key_id, signer.sign)


def code_of(allowance: bytes, shown: bytes, letter: str = "P", end: bytes = b"") -> str:
    return f"KGO1{letter}:" + base45.encode(cbor.encode([allowance, shown]) + end)


def presented(
    held: DeskWallet, allowance: Signed, key: SimulatedKey | None = None, aad: Kind = Kind.PRESENTMENT
) -> bytes:
    shown = Presentment(allowance.identity, held.n, held.sum_kgo, held.last_kgo, 1, NOW_S, 30)
    return cose.sign1(wallet.PRESENTMENT.encode(shown), AAD[aad], held.key.key_id, (key or held.key).sign).raw


HELD = rider()
GOOD = HELD.allowance
WRONG_ALL = allowance_with(HELD, "TH-10", OTHER_TEST_ONLY, expires_at_s=NOW_S - 900)
FORGED_LATE = allowance_with(HELD, CITY, OTHER_TEST_ONLY, expires_at_s=NOW_S - 900)
LATE = allowance_with(HELD, expires_at_s=NOW_S - 900)
TORN = b"\xd2\x84"
ORDER: list[tuple[str, str, type[Refusal]]] = [
    ("size before prefix's rest", "KGO1X:" + "a" * 700, errors.TooLarge),
    ("letter before Base45", "KGO1X:ab", errors.WrongCodeType),
    ("code before its objects", code_of(TORN, TORN, end=b"\x00"), errors.TrailingBytes),
    ("allowance before presentment", code_of(GOOD.raw + b"\x00", TORN), errors.TrailingBytes),
    ("city before signature", code_of(WRONG_ALL.raw, TORN), errors.UnknownCity),
    ("signature before validity", code_of(FORGED_LATE.raw, TORN), errors.AllowanceForged),
    ("validity before the wallet's object", code_of(LATE.raw, TORN), errors.AllowanceExpired),
    ("the object's shape before its owner", code_of(GOOD.raw, TORN), errors.CodeDamaged),
    (
        "whose it is before its signature",
        code_of(GOOD.raw, presented(HELD, LATE, OTHER_TEST_ONLY)),
        errors.AllowanceMismatch,
    ),
    ("signature last", code_of(GOOD.raw, presented(HELD, GOOD, OTHER_TEST_ONLY)), errors.WalletSignatureWrong),
    (
        "a presentment signed as another type",
        code_of(GOOD.raw, presented(HELD, GOOD, aad=Kind.PAYMENT)),
        errors.WalletSignatureWrong,
    ),
    ("a presentment in a payment's code", code_of(GOOD.raw, presented(HELD, GOOD), "A"), errors.Malformed),
]


@pytest.mark.parametrize(("text", "expected"), [case[1:] for case in ORDER], ids=[case[0] for case in ORDER])
def test_with_several_faults_the_first_in_order_is_told(text: str, expected: type[Refusal]) -> None:
    with pytest.raises(Refusal) as raised:
        EvidenceReader(CITY, OneIssuer()).read(text, NOW_S, SKEW_S)
    assert type(raised.value) is expected


def test_an_expired_key_is_told_after_validity_and_before_the_wallet() -> None:
    ring = Ring(ISSUER_TEST_ONLY, role=KeyRole.ACK)
    with pytest.raises(errors.AllowanceExpired):
        EvidenceReader(CITY, ring).read(code_of(LATE.raw, TORN), NOW_S, SKEW_S)
    with pytest.raises(errors.IssuerRoleWrong):
        EvidenceReader(CITY, ring).read(code_of(GOOD.raw, TORN), NOW_S, SKEW_S)


def test_both_kinds_of_code_are_read_and_no_other() -> None:
    for letter, count in (("C", 1), ("V", 1), ("Q", 2), ("L", 5)):
        text = qr.encode(qr.QrType(letter), *([b"object"] * count))
        with pytest.raises(errors.WrongCodeType):
            EvidenceReader(CITY, OneIssuer()).read(text, NOW_S, SKEW_S)


def test_a_key_that_stands_in_the_list_twice_is_judged_by_the_row_that_fits() -> None:
    key = cose.verify_key(ISSUER_TEST_ONLY.point)
    rows = (
        TrustedKey(KeyRole.BULLETIN, ISSUER_TEST_ONLY.point, 0, NOW_S + 10**8),
        TrustedKey(KeyRole.ALLOWANCE_ISSUER, ISSUER_TEST_ONLY.point, 0, NOW_S - 10**6),
        TrustedKey(KeyRole.ALLOWANCE_ISSUER, ISSUER_TEST_ONLY.point, NOW_S - 10**5, NOW_S + 10**8),
    )
    for count, expected in ((3, None), (2, errors.IssuerRoleWrong), (1, errors.IssuerRoleWrong)):
        ring = Ring()
        ring._found = [(row, key) for row in rows[:count]]
        if expected is None:
            EvidenceReader(CITY, ring).read(rider().code(), NOW_S, SKEW_S)
        else:
            with pytest.raises(expected):
                EvidenceReader(CITY, ring).read(rider().code(), NOW_S, SKEW_S)


@pytest.mark.parametrize(
    ("not_after_s", "expected"), [(REVOKED, errors.IssuerKeyWithdrawn), (NOW_S - 10**6, errors.IssuerKeyExpired)]
)
def test_a_withdrawn_key_is_told_apart_from_one_that_ran_out(not_after_s: int, expected: type[Refusal]) -> None:
    """A leaked one: the wallet must renew. One that ran out: a newer list may let it live on, so this terminal must
    reconnect."""
    ring = Ring()
    trusted = TrustedKey(KeyRole.ALLOWANCE_ISSUER, ISSUER_TEST_ONLY.point, 0, not_after_s)
    ring._found = [(trusted, cose.verify_key(ISSUER_TEST_ONLY.point))]
    with pytest.raises(Refusal) as raised:
        EvidenceReader(CITY, ring).read(rider().code(), NOW_S, SKEW_S)
    assert type(raised.value) is expected
    assert expected.waiting_helps is (expected is errors.IssuerKeyExpired)

"""The key file: 0600 or nothing, atomic, never overwritten, RFC 6979. DESIGN §4."""

import os
from pathlib import Path
from random import Random

import pytest
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from offline_ledger.errors import KeyFileUnsafe
from offline_ledger.protocol import cose
from offline_ledger.protocol.kinds import Kind
from offline_ledger.terminal.signers.key_file import KeySigner, make_key_file, open_key_file

AAD = cose.external_aad(Kind.VOUCHER, "TH-40")
# RFC 6979 A.2.5: key, and r‖s of "sample" with SHA-256.
RFC_SECRET = 0xC9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721
RFC_SIGNATURE = bytes.fromhex(
    "EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716"
    "F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8"
)


def pem_of(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def write(path: Path, data: bytes, mode: int = 0o600) -> Path:
    path.write_bytes(data)
    path.chmod(mode)
    return path


def test_signature_is_that_of_rfc_6979() -> None:
    signer = KeySigner(ec.derive_private_key(RFC_SECRET, ec.SECP256R1()))
    assert signer.sign(b"sample") == RFC_SIGNATURE


def test_made_key_signs_and_survives_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "TEST-ONLY.key"
    made = make_key_file(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert [file.name for file in tmp_path.iterdir()] == ["TEST-ONLY.key"]
    again = open_key_file(path)
    assert again.point == made.point and again.sign(b"x") == made.sign(b"x")
    signed = cose.sign1(b"\xa0", AAD, cose.key_id_of(again.point), again.sign)
    assert cose.is_signature_of(cose.parse_sign1(signed.raw, AAD), cose.verify_key(made.point))


def test_mode_is_0600_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        make_key_file(tmp_path / "TEST-ONLY.key")
    finally:
        os.umask(before)
    assert (tmp_path / "TEST-ONLY.key").stat().st_mode & 0o777 == 0o600


def test_key_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "TEST-ONLY.key"
    point = make_key_file(path).point
    with pytest.raises(KeyFileUnsafe):
        make_key_file(path)
    assert open_key_file(path).point == point
    assert [file.name for file in tmp_path.iterdir()] == ["TEST-ONLY.key"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o610, 0o601])
def test_key_that_others_can_touch_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "TEST-ONLY.key"
    make_key_file(path)
    path.chmod(mode)
    with pytest.raises(KeyFileUnsafe, match="0600"):
        open_key_file(path)


def test_missing_folder_symlink_pipe_and_rubbish(tmp_path: Path) -> None:
    real = tmp_path / "TEST-ONLY.key"
    make_key_file(real)
    link, pipe = tmp_path / "link", tmp_path / "pipe"
    link.symlink_to(real)
    os.mkfifo(pipe, 0o600)
    bad = [
        tmp_path / "none",
        tmp_path,
        link,
        pipe,
        write(tmp_path / "rubbish", b"rubbish"),
        write(tmp_path / "empty", b""),
        write(tmp_path / "long", pem_of(ec.generate_private_key(ec.SECP256R1())) + b" " * 5000),
        write(tmp_path / "p384", pem_of(ec.generate_private_key(ec.SECP384R1()))),
        write(tmp_path / "rsa", pem_of(rsa.generate_private_key(65537, 2048))),
    ]
    for path in bad:
        with pytest.raises(KeyFileUnsafe):
            open_key_file(path)


def by_library(data: bytes) -> bytes | None:
    """The point of the key that the library finds in a file; None where it finds none that we would take."""
    try:
        key = serialization.load_pem_private_key(data, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None
    return KeySigner(key).point if isinstance(key, ec.EllipticCurvePrivateKey) else None


def opened(path: Path) -> bytes | None:
    try:
        return open_key_file(path).point
    except KeyFileUnsafe:
        return None


def test_keys_of_other_makers_are_read_too(tmp_path: Path) -> None:
    key = ec.derive_private_key(RFC_SECRET, ec.SECP256R1())
    usual = pem_of(key)
    older = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    for number, data in enumerate((usual, older, usual.replace(b"\n", b"\r\n"), b"a key\n" + usual, usual + b"\n")):
        signer = open_key_file(write(tmp_path / f"TEST-ONLY-{number}.key", data))
        assert signer.sign(b"sample") == RFC_SIGNATURE


def test_a_damaged_key_file_gives_what_the_library_makes_of_it(tmp_path: Path, rng: Random) -> None:
    """Our own reading of the usual form must never take a file that the library would not."""
    usual = pem_of(ec.derive_private_key(RFC_SECRET, ec.SECP256R1()))
    refused = 0
    for number in range(len(usual)):
        data = bytearray(usual)
        data[number] = rng.choice(b"AZaz09+/=-\n \0")
        found = opened(write(tmp_path / "TEST-ONLY.key", bytes(data)))
        refused += found is None
        assert found in (None, by_library(bytes(data))), bytes(data)
        cut = bytes(usual[:number] + usual[number + 1 :])
        assert opened(write(tmp_path / "TEST-ONLY.key", cut)) in (None, by_library(cut)), cut
    assert refused > 100


def test_a_key_whose_public_half_is_anothers_is_refused(tmp_path: Path) -> None:
    ours, others = (pem_of(ec.derive_private_key(secret, ec.SECP256R1())) for secret in (RFC_SECRET, 5))
    mixed = ours[:100] + others[100:]
    assert opened(write(tmp_path / "TEST-ONLY.key", mixed)) in (None, by_library(mixed))


def test_leftover_of_a_power_cut_is_no_hindrance(tmp_path: Path) -> None:
    path = tmp_path / "TEST-ONLY.key"
    write(tmp_path / f".{path.name}.{os.getpid()}.new", b"half a k")
    assert make_key_file(path).point == open_key_file(path).point

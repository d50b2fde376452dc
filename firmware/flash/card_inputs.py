"""What the technician hands over for a card, judged before the card is touched: package, certificate, names, keys.

Never reads a private key: an SSH key must be the public half. DESIGN §3, §4; decision 0226.
"""

import hashlib
import json
import re
import uuid
from pathlib import Path
from typing import NamedTuple

from cryptography import x509

from firmware.flash.card_files import sha256_of
from firmware.flash.card_layout import Card
from firmware.flash.card_settings import PROGRAMS
from offline_ledger.errors import (
    CardInputWrong,
    CardNameWrong,
    CardPackageWrong,
    ReleasePackageUnfit,
    StorageFailed,
    TokenMistyped,
)
from offline_ledger.files import read_bounded
from offline_ledger.plain_files import plain_bytes
from offline_ledger.terminal.enrol import check_token
from offline_ledger.terminal.updates.names import PackageName, version_of
from offline_ledger.terminal.updates.package import read_manifest

SMALL_BYTES_MAX = 262_144
PLATFORM = "linux_aarch64"
WIFI_UUIDS = uuid.UUID("6d1c8b86-6a54-4d44-8d42-1d5a2d4c6b10")
PBKDF2_ROUNDS = 4_096
SSID_BYTES_MAX = 32
PASSWORD_CHARACTERS = range(8, 64)
_HOST_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_COUNTRY = re.compile(r"[A-Z]{2}")
_SSH = re.compile(r"(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp\d+|sk-[a-z0-9@.-]+) [A-Za-z0-9+/=]{40,}( [^\n]*)?")


class Package(NamedTuple):
    """A package that fits the card."""

    file: Path
    sha256: str
    version: str
    size_bytes: int


class Deb(NamedTuple):
    """A Debian package that can be read to its end."""

    file: Path
    sha256: str
    size_bytes: int


def check_package(file: Path, card: Card, role: str, platform: str = PLATFORM) -> Package:
    """Every file in it is compared with what it says of itself. Raises CardInputWrong, CardPackageWrong,
    ReleasePackageTooLarge."""
    try:
        manifest = read_manifest(file)
    except ReleasePackageUnfit as unfit:  # who prepares cards makes no packages
        raise CardPackageWrong(unfit.detail) from unfit
    except StorageFailed as failed:  # mostly a name that was mistyped
        raise CardInputWrong(failed.detail) from failed
    for what, found, wanted in (
        ("platform", manifest.platform, platform),
        ("python", manifest.python, card.python),
    ):
        if found != wanted:
            raise CardPackageWrong(f"{file.name}: {what} {found}, the card needs {wanted}")
    if PROGRAMS[role] not in manifest.programs:
        raise CardPackageWrong(f"{file.name}: no {PROGRAMS[role]} in it")
    if file.name != str(PackageName(version_of(manifest.version), manifest.platform)):
        raise CardPackageWrong(f"{file.name}: its name is not what is in it")
    return Package(file, sha256_of(file), manifest.version, file.stat().st_size)


def check_debs(folder: Path) -> tuple[Deb, ...]:
    """Every *.deb of a folder, read once: what cannot be is told before anything begins. Raises CardInputWrong."""
    files = sorted(folder.glob("*.deb"))
    if not files:
        raise CardInputWrong(f"{folder}: no *.deb")
    return tuple(map(_deb, files))


def _deb(file: Path) -> Deb:
    if not _is_utf8(file.name):  # no name on a card
        raise CardInputWrong(f"{file}: not UTF-8")
    try:
        size_bytes = plain_bytes(file)
        return Deb(file, sha256_of(file), size_bytes)
    except OSError as error:
        raise CardInputWrong(f"{file}: {error.strerror}") from error


def check_ca(file: Path) -> bytes:
    """The city's CA certificate. Raises CardInputWrong: a private key beside it would go to every card."""
    data = _read(file)
    try:
        found = x509.load_pem_x509_certificates(data)
    except ValueError as error:
        raise CardInputWrong(f"{file}: no certificate") from error
    if b"PRIVATE KEY" in data or not found:
        raise CardInputWrong(f"{file}: a private key is in it")
    return data


def check_update_root(file: Path) -> bytes:
    """The signed list of keys that releases begin with. Raises CardInputWrong."""
    data = _read(file)
    try:
        said = json.loads(data)
        is_root = said["signed"]["_type"] == "root" and bool(said["signatures"])
    except (ValueError, KeyError, TypeError, RecursionError):
        is_root = False
    if not is_root:
        raise CardInputWrong(f"{file}: not a root.json")
    return data


def check_ssh_key(file: Path) -> bytes:
    """Public keys, one a line. Raises CardInputWrong."""
    data = _read(file)
    lines = [line for line in data.decode("utf-8", "replace").splitlines() if line.strip()]
    if not lines or not all(_SSH.fullmatch(line.strip()) for line in lines):
        raise CardInputWrong(f"{file}: not a public SSH key")
    return ("\n".join(line.strip() for line in lines) + "\n").encode()


def check_enrolment_token(token: str) -> str:
    """Raises CardNameWrong: a mistyped one is told here, not at the bus."""
    try:
        return check_token(token)
    except TokenMistyped as wrong:
        raise CardNameWrong(f"token: {wrong.detail}") from wrong


def host_name(device: str, given: str | None) -> str:
    """The machine's own name: as given, else made from the device's. Raises CardNameWrong."""
    name = given if given is not None else re.sub(r"[^a-z0-9]+", "-", device.lower()).strip("-")[:63]
    if not _HOST_NAME.fullmatch(name):
        raise CardNameWrong(f"host name: {name}")
    return name


def check_country(country: str) -> str:
    """Raises CardNameWrong."""
    if not _COUNTRY.fullmatch(country):
        raise CardNameWrong(f"Wi-Fi country: {country}")
    return country


def check_wifi_name(name: str) -> bytes:
    """Its bytes, which may be of any letters. Raises CardNameWrong."""
    ssid = name.encode()
    if not 1 <= len(ssid) <= SSID_BYTES_MAX:
        raise CardNameWrong(f"Wi-Fi name: {len(ssid)} bytes, not 1 to {SSID_BYTES_MAX}")
    return ssid


def wifi_file(name: str, password: str, device: str) -> bytes:
    """NetworkManager's keyfile, nm-settings-keyfile(5). Not the password but what WPA2 makes of it is on the card.
    Raises CardNameWrong."""
    ssid = check_wifi_name(name)
    security = ""
    if password:
        if len(password) not in PASSWORD_CHARACTERS or not password.isascii() or not password.isprintable():
            raise CardNameWrong("Wi-Fi password: 8 to 63 letters, digits and signs")
        key = hashlib.pbkdf2_hmac("sha1", password.encode(), ssid, PBKDF2_ROUNDS, 32).hex()
        security = f"\n[wifi-security]\nkey-mgmt=wpa-psk\npsk={key}\n"
    return (
        f"[connection]\nid=kgo\nuuid={uuid.uuid5(WIFI_UUIDS, f'{device}/{name}')}\ntype=wifi\n"
        f"\n[wifi]\nmode=infrastructure\nssid={''.join(f'{byte};' for byte in ssid)}\n{security}"
        "\n[ipv4]\nmethod=auto\n\n[ipv6]\nmethod=auto\n"
    ).encode()


def read_secret(file: Path) -> str:
    """A password's file: its first line. Raises CardInputWrong."""
    return _read(file).decode("utf-8", "replace").partition("\n")[0].rstrip("\r")


def _is_utf8(word: str) -> bool:
    """Names of files may be bytes that are no letters (PEP 383)."""
    try:
        word.encode()
    except UnicodeEncodeError:
        return False
    return True


def _read(file: Path) -> bytes:
    try:
        data = read_bounded(file, SMALL_BYTES_MAX)
    except StorageFailed as failed:
        raise CardInputWrong(failed.detail) from failed
    if data is None:
        raise CardInputWrong(f"{file}: not there")
    return data

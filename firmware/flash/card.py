"""A terminal's card: what belongs on it, in which order it is written, and that it is there. Decision 0225.

The boot file is last. Until its one rename the card boots as before; from then on it has everything that the first
boot needs. A card that would run the first boot already is first told not to, when anything on it changes. Running
again completes what a cut left. Never makes a device's key: that is the device's own work.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, cast

from firmware.flash.card_customised import LOOKED_AT, customised
from firmware.flash.card_files import card_errors, check_sha256, copy, put, remove, sha256_of, tidy
from firmware.flash.card_inputs import Deb, Package
from firmware.flash.card_layout import CMDLINE, CONFIG, TEXT_BYTES_MAX, Card
from firmware.flash.card_settings import PROGRAMS
from firmware.flash.card_text import START_WORDS, config_lines, starts_first_boot, with_block, with_start, without_start
from firmware.flash.first_boot_files import DEBIAN_PACKAGES, START_NAME, first_boot_files
from offline_ledger.errors import CardCustomised, CardFull, CardInService, CardOfAnother
from offline_ledger.files import PUBLIC_MODE, read_bounded

FORMAT = 1
CARD_NAME, REPORT_NAME, REQUEST_NAME, ANSWER_NAME = "card.json", "first-boot.json", "request.kgo", "answer.kgo"
TOKEN_NAME, WIFI_NAME, SSH_NAME = "token", "wifi.nmconnection", "ssh.pub"
SECRET_NAMES = (TOKEN_NAME, WIFI_NAME)
"""Taken off the card by the first boot as soon as they are used."""
CARD_BYTES_MAX = 65_536
SPARE_BYTES = 4 << 20
"""The first boot writes its report and its request, and the system its own."""

Step = Callable[[str], None]
Told = Callable[[int], None]


class Wanted(NamedTuple):
    """What one card shall become. `files`: by their names on the card; `debs`: Debian packages to lie there too."""

    device: str
    role: str
    city: str
    host_name: str
    package: Package
    settings_name: str
    files: Mapping[str, bytes]
    debs: tuple[Deb, ...] = ()
    country: str = ""
    has_clock: bool = True
    has_panel: bool = False
    """An ILI9341 on SPI."""
    signed_by: str = ""
    """The channel of releases whose keys vouch for the package; empty: nobody was asked."""

    @property
    def size_mb(self) -> int:
        """What takes its time."""
        size_bytes = self.package.size_bytes + sum(deb.size_bytes for deb in self.debs)
        return -(-size_bytes // 1_000_000)

    def intended(self) -> dict[str, str]:
        """For the record."""
        return {
            "device_id": self.device,
            "role": self.role,
            "city": self.city,
            "version": self.package.version,
            "package_sha256": self.package.sha256,
            "package_signed_by": self.signed_by or "nobody",
            "settings_sha256": hashlib.sha256(self.files[self.settings_name]).hexdigest(),
        }


class _Plan(NamedTuple):
    small: Mapping[str, bytes]
    large: Mapping[str, tuple[Path, str, int]]
    """Source, digest, bytes."""
    card: bytes

    def bytes_of(self) -> int:
        return sum(map(len, self.small.values())) + sum(size for _, _, size in self.large.values()) + len(self.card)


def check_free(card: Card, device: str, *, may_replace: bool) -> None:
    """Whose card is it, and has nobody else set it up? Raises CardOfAnother, CardInService, CardCustomised."""
    named = str(described(card).get("device", ""))
    if _is_in_service(card):
        raise CardInService(named)
    if named not in ("", device) and not may_replace:
        raise CardOfAnother(named)
    files = {name: _read(card.folder / name) for name in LOOKED_AT if _is_there(card.folder / name)}
    if found := customised(files):
        raise CardCustomised(", ".join(found))
    with_start(_read(card.folder / CMDLINE))  # what it refuses is told before anybody types a password


def _is_in_service(card: Card) -> bool:
    """The first boot's last act takes its words out of cmdline.txt, after a report that all is done."""
    return report_of(card).get("result") == "done" and not starts_first_boot(_read(card.folder / CMDLINE))


def described(card: Card) -> Mapping[str, object]:
    """What the bench wrote of the card; empty when it is none of ours, or was cut."""
    return _json(card.kgo / CARD_NAME)


def report_of(card: Card) -> Mapping[str, object]:
    """What the first boot said; empty when it never did."""
    return _json(card.kgo / REPORT_NAME)


def prepare(card: Card, wanted: Wanted, step: Step, told: Told) -> dict[str, str]:
    """Writes all of it; returns what was read back. `step` is durable when it returns; `told` hears of bytes. Raises
    CardFull, CardReadOnly, CardGone, CardFailed, CardVerifyFailed, CardBootFileWrong, CardCustomised."""
    plan = _plan_of(card, wanted)
    cmdline = _read(card.folder / CMDLINE)
    start = with_start(cmdline, wanted.country)
    if starts_first_boot(cmdline) and not _is_whole(card, plan):
        step("hold")
        put(card.folder / CMDLINE, without_start(cmdline))
    _check_room(card, plan)
    with card_errors(card.kgo):
        (card.kgo / "debs").mkdir(parents=True, exist_ok=True)
    for name, (source, digest, _) in plan.large.items():
        step(name)
        copy(source, card.kgo / name, digest, told)
    for name, data in plan.small.items():
        step(name)
        put(card.kgo / name, data, 0o755 if name == START_NAME else PUBLIC_MODE)
    step(CARD_NAME)
    put(card.kgo / CARD_NAME, plan.card)
    step("tidy")
    tidy(card.kgo, {*plan.small, *plan.large, CARD_NAME})
    _tidy_beside(card)
    step(CONFIG)
    put(card.folder / CONFIG, _config(card, wanted))
    step("verify")
    verified = _verify(card, wanted, plan)
    step("start")
    put(card.folder / CMDLINE, start)  # the boot file last: before this the card boots as it did
    return verified


def _plan_of(card: Card, wanted: Wanted) -> _Plan:
    small = {**first_boot_files(), **wanted.files}
    large = {wanted.package.file.name: (wanted.package.file, wanted.package.sha256, wanted.package.size_bytes)}
    for deb in wanted.debs:
        large[f"debs/{deb.file.name}"] = deb
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in small.items()}
    said = {
        "format": FORMAT,
        "device": wanted.device,
        "role": wanted.role,
        "city": wanted.city,
        "program": PROGRAMS[wanted.role],
        "host_name": wanted.host_name,
        "country": wanted.country,
        "system": card.system,
        "package": wanted.package.file.name,
        "version": wanted.package.version,
        "settings": wanted.settings_name,
        "start_words": list(START_WORDS),
        "debian_packages": list(DEBIAN_PACKAGES[wanted.role]),
        "files": {**digests, **{name: digest for name, (_, digest, _) in large.items()}},
        "secret": [name for name in SECRET_NAMES if name in small],
    }
    return _Plan(small, large, (json.dumps(said, indent=1, sort_keys=True) + "\n").encode())


def _is_whole(card: Card, plan: _Plan) -> bool:
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in plan.small.items()}
    digests |= {name: digest for name, (_, digest, _) in plan.large.items()}
    digests[CARD_NAME] = hashlib.sha256(plan.card).hexdigest()
    with card_errors(card.kgo):
        return all(sha256_of(card.kgo / name) == digest for name, digest in digests.items())


def _check_room(card: Card, plan: _Plan) -> None:
    """Before anything is written: half of it helps nobody. A file that is replaced needs room beside the old one."""
    there = 0
    for name, (_, digest, size) in plan.large.items():
        with card_errors(card.kgo):
            there += size if sha256_of(card.kgo / name) == digest else 0
    needed = plan.bytes_of() - there + SPARE_BYTES
    if needed > card.free_bytes:
        raise CardFull(f"needs {-(-needed // 1_000_000)} MB, has {card.free_bytes // 1_000_000} MB")


def _config(card: Card, wanted: Wanted) -> bytes:
    content = _read(card.folder / CONFIG).decode("utf-8", "surrogateescape")
    made = with_block(content, config_lines(content, has_clock=wanted.has_clock, has_panel=wanted.has_panel))
    return made.encode("utf-8", "surrogateescape")


def _verify(card: Card, wanted: Wanted, plan: _Plan) -> dict[str, str]:
    """All of it once more, as the first boot will read it. Raises CardVerifyFailed."""
    said = described(card)
    with card_errors(card.kgo):
        check_sha256(card.kgo / CARD_NAME, hashlib.sha256(plan.card).hexdigest())
    digests = cast(Mapping[str, str], said.get("files", {}))
    with card_errors(card.kgo):
        for name, digest in digests.items():
            check_sha256(card.kgo / name, digest)
    return {
        "package_sha256": digests[wanted.package.file.name],
        "settings_sha256": digests[wanted.settings_name],
        "version": wanted.package.version,
        "result": "prepared",
    }


def _tidy_beside(card: Card) -> None:
    """What a cut left of the two files beside our folder."""
    for name in (CMDLINE, CONFIG):
        for left in card.folder.glob(f".{name}.*.new"):
            remove(left)


def _is_there(file: Path) -> bool:
    with card_errors(file):
        return file.is_file()


def _read(file: Path) -> bytes:
    with card_errors(file):
        return read_bounded(file, TEXT_BYTES_MAX) or b""


def _json(file: Path) -> Mapping[str, object]:
    said: object = None
    with card_errors(file), suppress(ValueError, RecursionError):
        said = json.loads(read_bounded(file, CARD_BYTES_MAX) or b"null")
    return cast(Mapping[str, object], said) if isinstance(said, dict) else {}

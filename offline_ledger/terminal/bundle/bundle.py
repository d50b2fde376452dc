"""`diagnose --bundle FILE`: one zip with the program's diagnosis, versions, settings, health and log. DESIGN §1, §6.

No key, no token, no journal row, no customer: what goes in is named here and in `log_lines`. Opens no device; a program
that does not run and a log that is not there are said in it and stop nothing.
"""

import hashlib
import io
import json
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, cast

from offline_ledger import errors
from offline_ledger.errors import FileUnusable, Refusal
from offline_ledger.files import PRIVATE_MODE, read_bounded
from offline_ledger.protocol.kinds import CITY_OBJECT_BYTES_MAX, OBJECT_BYTES_MAX
from offline_ledger.terminal.bundle.log_lines import Known, without_customers
from offline_ledger.terminal.bundle.machine import machine_facts, packages
from offline_ledger.terminal.control import Said
from offline_ledger.terminal.control_commands import asked, lines_of
from offline_ledger.terminal.program import VERSION, Place
from offline_ledger.texts import LANGUAGES, Texts

LOG_BYTES_MAX = 8_000_000
LOG_LINES_MAX = 20_000
LOG_S_MAX = 20.0
LOG_DAYS = 3
UNITS = ("kgo-pos", "kgo-bus", "kgo-update", "pcscd")
_STAFF = frozenset(("driver", "cashier", "who", "name"))
"""Figures of a diagnosis that name a member of staff."""
_COMMAND = re.compile(r"\A(exec:\s*\S+)\s.*", re.DOTALL)
_ZIP_TIME = (1980, 1, 1, 0, 0, 0)
"""The time of each member; when the bundle was made stands in `bundle.json`."""


class Log(NamedTuple):
    """Lines of a log, oldest first, without customers; and where they are from or why there are none."""

    source: str
    lines: Sequence[str]


def bundle(place: Place, texts: Texts, now_s: int, logs: Iterable[Path]) -> bytes:
    """The whole zip. `logs`: files to read instead of the system's journal. Raises FileUnusable: one of them."""
    parts, trouble = _diagnosis(place)
    known = known_refusals()
    read = [_file_log(path, known) for path in logs] or [_system_log(known)]
    members: dict[str, str] = {
        "diagnose.json": _json({"parts": parts, "trouble": trouble}),
        "diagnose.txt": "\n".join([*(line for part in parts for line in lines_of(part, texts)), trouble]) + "\n",
        "versions.json": _json(_versions(place)),
        "settings.json": _json({name: _without_passwords(value) for name, value in place.values.items()}),
        "machine.json": _json(machine_facts(_disks(place))),
    }
    for number, log in enumerate(read):
        members[f"log-{number}.txt"] = "\n".join([f"# {log.source}", *log.lines]) + "\n"
    digests = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in members.items()}
    said = {"made_at_s": now_s, "device": place.text("device.id"), "city": place.text("device.city"), "sha256": digests}
    return _zipped({"bundle.json": _json(said), **members})


def known_refusals() -> Known:
    """Every refusal of this release, in both languages."""
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Refusal)]
    numbered = [kind for kind in kinds if kind.number]
    titled = [(kind.number, texts.title(kind)) for texts in map(Texts, LANGUAGES) for kind in numbered]
    return Known(
        frozenset(f"{number} {title}" for number, title in titled),
        frozenset(title for _, title in titled),
        frozenset(kind.number for kind in numbered),
        frozenset(kind.key for kind in numbered),
    )


def write_bundle(place: Place, file: Path, texts: Texts, now_s: int, logs: Iterable[Path]) -> int:
    """Makes it and puts it into a new file. Returns its bytes. Raises FileTaken, FileWithoutRoom,
    FileUnusable."""
    from offline_ledger.terminal.commands import check_free, write_new

    check_free(place, file)
    data = bundle(place, texts, now_s, logs)
    write_new(file, data)
    return len(data)


def _without_passwords(value: object) -> object:
    """A setting; of a command, which may hold the password of a camera, its first word."""
    return _COMMAND.sub(r"\1 …", value) if isinstance(value, str) else value


def _diagnosis(place: Place) -> tuple[list[Said], str]:
    try:
        parts = asked(place.path("control.socket"), ["diagnose"])
    except Refusal as refusal:  # NotRunning above all
        return [], str(refusal)
    return [_without_staff(part) for part in parts], ""


def _without_staff(part: Said) -> Said:
    facts = cast(dict[str, object], part.get("facts") or {})
    return {**part, "facts": {name: value for name, value in facts.items() if name not in _STAFF}}


def _versions(place: Place) -> Mapping[str, object]:
    files = place.files()
    return {
        "program": f"{place.program.name} {VERSION}",
        "python": sys.version,
        "packages": packages(),
        "certificate_sha256": _digest(files.certificate, OBJECT_BYTES_MAX),
        "trust_list_sha256": _digest(files.trust_list, CITY_OBJECT_BYTES_MAX),
        "settings_sha256": _digest(place.settings_file, OBJECT_BYTES_MAX),
    }


def _digest(path: Path, bytes_max: int) -> str:
    try:
        data = read_bounded(path, bytes_max)
    except Refusal as refusal:
        return str(refusal)
    return "-" if data is None else hashlib.sha256(data).hexdigest()


def _disks(place: Place) -> list[Path]:
    return [place.path("files.journal").parent, Path("/"), Path("/boot/firmware")]


def _file_log(path: Path, known: Known) -> Log:
    try:
        with path.open("rb") as stream:
            stream.seek(0, io.SEEK_END)
            stream.seek(max(stream.tell() - LOG_BYTES_MAX, 0))
            data = stream.read(LOG_BYTES_MAX)
    except OSError as error:
        raise FileUnusable(f"{path}: {error.strerror}") from error
    lines = data.decode("utf-8", "replace").splitlines()[-LOG_LINES_MAX:]
    return Log(path.name, [without_customers(line, known) for line in lines])


def _system_log(known: Known) -> Log:
    """What systemd's journal has of our units. Each line begins with its time."""
    units = [word for unit in UNITS for word in ("--unit", unit)]
    command = ["journalctl", "--no-pager", "--quiet", "--output", "json", "--since", f"-{LOG_DAYS}d", *units]
    try:
        done = subprocess.run(
            [*command, "--lines", str(LOG_LINES_MAX)], capture_output=True, timeout=LOG_S_MAX, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return Log(f"journalctl: {error}", ())
    entries = (_entry(line) for line in done.stdout[-LOG_BYTES_MAX:].splitlines())
    lines = [f"{at_us // 1_000_000} {without_customers(message, known)}" for at_us, message in entries]
    return Log("journalctl", lines)


def _entry(line: bytes) -> tuple[int, str]:
    try:
        found = cast(dict[str, object], json.loads(line))
        return int(str(found["__REALTIME_TIMESTAMP"])), str(found.get("MESSAGE", ""))
    except (ValueError, KeyError, TypeError, RecursionError):
        return 0, ""


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1, default=str) + "\n"


def _zipped(members: Mapping[str, str]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members.items():
            info = zipfile.ZipInfo(name, _ZIP_TIME)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = PRIVATE_MODE << 16
            archive.writestr(info, text.encode())
    return packed.getvalue()

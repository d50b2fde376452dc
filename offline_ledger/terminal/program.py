"""The frame of a headless terminal program: arguments, settings, enrolment, exit codes. DESIGN §3.

`pos_app.__main__` and `bus_validator.__main__` hand it their role and what to run. Exit codes: 0 done, 1 refused (said
in Thai or English, with its number and remedy), 2 wrong usage or settings.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from offline_ledger.errors import FileUnusable, Refusal, SettingsInvalid
from offline_ledger.protocol.device import DeviceRole
from offline_ledger.rules.limits import Limits
from offline_ledger.settings_file import load_settings
from offline_ledger.terminal.drivers.clocks import SystemTicker
from offline_ledger.terminal.headless import SETTINGS, speak_utf8
from offline_ledger.terminal.own_identity import DeviceFiles
from offline_ledger.terminal.station import Station, StationSettings
from offline_ledger.terminal.uplink import HttpsUplink
from offline_ledger.texts import Texts
from offline_ledger.values import frozen

VERSION = "0.1.0"
REST_MS = 60_000


class MachineClock(SystemTicker):
    """The machine's clocks."""

    def wall_s(self) -> int:
        """Unix seconds, as the machine believes."""
        return int(time.time())


@frozen
class Program:
    """One program: its name, what it is for, its role, and what it does when its station is open."""

    name: str
    about: str
    role: DeviceRole
    run: Callable[["Opened"], int]


@frozen
class Opened:
    """What `Program.run` is handed. `values` are the checked settings, `folder` what relative names are beside."""

    station: Station
    uplink: HttpsUplink
    clock: MachineClock
    values: dict[str, object]
    folder: Path

    def text(self, name: str) -> str:
        """A text setting."""
        return cast(str, self.values[name])

    def number(self, name: str) -> int:
        """A whole-number setting."""
        return cast(int, self.values[name])


def main(program: Program, arguments: list[str]) -> int:
    """The whole program. Returns the exit code."""
    speak_utf8()
    asked = _parser(program).parse_args(arguments)
    settings_path: Path = asked.settings
    try:
        values = load_settings(settings_path, SETTINGS)
    except SettingsInvalid as wrong:
        sys.stderr.write("\n".join(wrong.problems) + "\n")
        return 2
    try:
        return _act(program, asked, values, settings_path.resolve().parent)
    except Refusal as refusal:
        texts = Texts(cast(str, values["device.language"]))
        sys.stderr.write(f"{refusal.number} {texts.title(refusal)}\n  {texts.remedy(refusal)}\n  ({refusal})\n")
        return 1


def _parser(program: Program) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=program.name, description=program.about)
    parser.add_argument("--version", action="version", version=f"{program.name} {VERSION}")
    parser.add_argument("--settings", type=Path, required=True, metavar="FILE", help="TOML settings file")
    todo = parser.add_subparsers(dest="todo", metavar="COMMAND")
    todo.add_parser("run", help="take payments (the default)")
    enrol = todo.add_parser("enrol", help="make a key and enrol with the city")
    how = enrol.add_mutually_exclusive_group(required=True)
    how.add_argument("--token", help="one-time token from `kgo-city enrol`")
    how.add_argument("--request", type=Path, metavar="FILE", help="write the signed request, to be carried to the city")
    how.add_argument("--answer", type=Path, metavar="FILE", help="take the answer that the city made of it")
    leaves = todo.add_parser("leaves", help="write what this terminal can give back to a restored city")
    leaves.add_argument("file", type=Path, metavar="FILE", help="for `kgo-city recover --leaves`")
    export = todo.add_parser("export", help="write the sound rows of a damaged journal")
    export.add_argument("file", type=Path, metavar="FILE")
    return parser


def _act(program: Program, asked: argparse.Namespace, values: dict[str, object], folder: Path) -> int:
    clock = MachineClock()
    uplink = HttpsUplink(cast(str, values["city.url"]), _beside(folder, values["city.ca_file"]), clock)
    files = DeviceFiles(
        key=_beside(folder, values["files.key"]),
        certificate=_beside(folder, values["files.certificate"]),
        trust_list=_beside(folder, values["files.trust_list"]),
    )
    city, device = cast(str, values["device.city"]), cast(str, values["device.id"])
    if asked.todo == "enrol":
        return _enrol(program, asked, files, city, device, clock, uplink)
    if asked.todo == "export":
        return _export(_beside(folder, values["files.journal"]), asked.file)
    settings = StationSettings(
        city=city,
        device=device,
        role=program.role,
        files=files,
        journal=_beside(folder, values["files.journal"]),
        deny_list=_beside(folder, values["files.deny_list"]),
        program_version=f"{program.name} {VERSION}",
    )
    station = Station(settings, clock, Limits())
    try:
        if asked.todo == "leaves":
            return _write_leaves(station, asked.file)
        return program.run(Opened(station, uplink, clock, values, folder))
    finally:
        station.close()


def _enrol(
    program: Program,
    asked: argparse.Namespace,
    files: DeviceFiles,
    city: str,
    device: str,
    clock: MachineClock,
    uplink: HttpsUplink,
) -> int:
    from offline_ledger.files import read_bounded
    from offline_ledger.terminal.enrol import accept_enrolment, enrolment_request, own_key, provision
    from offline_ledger.terminal.sync_wire import LISTS_BYTES_MAX

    if asked.request is not None:
        request: Path = asked.request
        with _usable(request):
            request.write_bytes(enrolment_request(own_key(files), city, device, program.role, clock.wall_s()))
        return 0
    if asked.answer is not None:
        answer: Path = asked.answer
        with _usable(answer):
            body = read_bounded(answer, LISTS_BYTES_MAX)
        if body is None:
            raise FileUnusable(f"{answer}: no such file")
        done = accept_enrolment(files, city, device, body)
    else:
        done = provision(files, city, device, program.role, clock.wall_s(), uplink, asked.token)
    sys.stdout.write(f"{done.certificate.device} {done.certificate.owner} {done.key_id.hex()}\n")
    return 0


def _write_leaves(station: Station, file: Path) -> int:
    from offline_ledger.terminal.sync_leaves import leaves_text

    leaves = station.link(os.urandom, REST_MS).leaves_held()
    with _usable(file):
        file.write_text(leaves_text(leaves))
    sys.stdout.write(f"{len(leaves)} {file}\n")
    return 0


def _export(journal: Path, file: Path) -> int:
    from offline_ledger.terminal.journal_export import export_damaged

    with _usable(file):
        done = export_damaged(str(journal), file)
    damaged = " ".join(f"{first}-{last}" for first, last in done.damaged) or "-"
    sys.stdout.write(f"vouchers {done.vouchers} events {done.events} damaged {damaged}\n")
    return 0


@contextmanager
def _usable(file: Path) -> Generator[None, None, None]:
    """A file that somebody named on the command line. Raises FileUnusable."""
    try:
        yield
    except OSError as error:
        raise FileUnusable(f"{file}: {error.strerror}") from error


def _beside(folder: Path, name: object) -> Path:
    return folder / cast(str, name)

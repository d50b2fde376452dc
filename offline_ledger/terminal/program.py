"""The frame of a headless terminal program: arguments, settings, enrolment, exit codes. DESIGN §3.

`pos_app.__main__` and `bus_validator.__main__` hand it their role and what to run. Exit codes: 0 done, 1 refused (said
in Thai or English, with its number and remedy), 2 wrong usage or settings, 75 refused now but worth trying later.
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
from offline_ledger.rules.training import role_in
from offline_ledger.settings_file import load_settings
from offline_ledger.terminal.drivers.clocks import SystemTicker
from offline_ledger.terminal.headless import SETTINGS
from offline_ledger.terminal.own_identity import DeviceFiles
from offline_ledger.terminal.station import Station, StationSettings
from offline_ledger.terminal.uplink import HttpsUplink
from offline_ledger.texts import LANGUAGES, Texts
from offline_ledger.texts.command_line import Commands, Parser, choose_language, speak
from offline_ledger.values import frozen

VERSION = "0.1.0"
REST_MS = 60_000
EXIT_REFUSED = 1
EXIT_LATER = 75
"""Refused now, but the same may work later: EX_TEMPFAIL of sysexits.h, which service managers and scripts know."""


class MachineClock(SystemTicker):
    """The machine's clocks."""

    def wall_s(self) -> int:
        """Unix seconds, as the machine believes."""
        return int(time.time())


@frozen
class Program:
    """One program: its name, the key of what it is for, its role, and what it does when its station is open."""

    name: str
    about: str
    role: DeviceRole
    run: Callable[["Opened"], int]


@frozen
class Opened:
    """What `Program.run` is handed. `values` are the checked settings; relative names in them are beside their file."""

    station: Station
    uplink: HttpsUplink
    clock: MachineClock
    values: dict[str, object]
    settings_file: Path

    @property
    def folder(self) -> Path:
        """What relative names are beside."""
        return self.settings_file.parent

    def text(self, name: str) -> str:
        """A text setting."""
        return cast(str, self.values[name])

    def number(self, name: str) -> int:
        """A whole-number setting."""
        return cast(int, self.values[name])


def main(program: Program, arguments: list[str]) -> int:
    """The whole program. Returns the exit code."""
    texts = speak(choose_language(arguments, "device.language"))
    asked = build_parser(program, texts).parse_args(arguments)
    settings_path: Path = asked.settings
    try:
        values = load_settings(settings_path, SETTINGS, texts.language)
    except SettingsInvalid as wrong:
        sys.stderr.write("\n".join(wrong.problems) + "\n")
        return 2
    try:
        return _act(program, asked, values, settings_path.resolve())
    except Refusal as refusal:
        detail = texts.detail(refusal)
        lines = (f"{refusal.number} {texts.title(refusal)}", f"  {texts.remedy(refusal)}", f"  ({detail})")
        sys.stderr.write("\n".join(lines[: 3 if detail else 2]) + "\n")
        return EXIT_LATER if refusal.waiting_helps else EXIT_REFUSED


def build_parser(program: Program, texts: Texts) -> Parser:
    """All commands of a terminal program. What each is for stands in the catalogue under `help.terminal`."""
    parser = Parser(texts, "terminal", program.name)
    parser.description = texts.get(program.about)
    parser.add_version(VERSION)
    parser.add_argument("--settings", type=Path, required=True, metavar="FILE")
    parser.add_argument("--language", choices=LANGUAGES)
    todo = Commands(parser, required=False)
    todo.add("run")
    enrol = todo.add("enrol")
    how = enrol.add_mutually_exclusive_group(required=True)
    how.add_argument("--token")
    how.add_argument("--request", type=Path, metavar="FILE")
    how.add_argument("--answer", type=Path, metavar="FILE")
    todo.add("leaves").add_argument("file", type=Path, metavar="FILE")
    todo.add("export").add_argument("file", type=Path, metavar="FILE")
    return parser


def _act(program: Program, asked: argparse.Namespace, values: dict[str, object], settings_file: Path) -> int:
    folder = settings_file.parent
    clock = MachineClock()
    uplink = HttpsUplink(cast(str, values["city.url"]), _beside(folder, values["city.ca_file"]), clock)
    files = DeviceFiles(
        key=_beside(folder, values["files.key"]),
        certificate=_beside(folder, values["files.certificate"]),
        trust_list=_beside(folder, values["files.trust_list"]),
    )
    city, device = cast(str, values["device.city"]), cast(str, values["device.id"])
    role = role_in(city, program.role)
    if asked.command == "enrol":
        return _enrol(role, asked, files, city, device, clock, uplink)
    if asked.command == "export":
        return _export(_beside(folder, values["files.journal"]), asked.file)
    settings = StationSettings(
        city=city,
        device=device,
        role=role,
        files=files,
        journal=_beside(folder, values["files.journal"]),
        deny_list=_beside(folder, values["files.deny_list"]),
        program_version=f"{program.name} {VERSION}",
    )
    station = Station(settings, clock, Limits())
    try:
        if asked.command == "leaves":
            return _write_leaves(station, asked.file)
        return program.run(Opened(station, uplink, clock, values, settings_file))
    finally:
        station.close()


def _enrol(
    role: DeviceRole,
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
            request.write_bytes(enrolment_request(own_key(files), city, device, role, clock.wall_s()))
        return 0
    if asked.answer is not None:
        answer: Path = asked.answer
        with _usable(answer):
            body = read_bounded(answer, LISTS_BYTES_MAX)
        if body is None:
            raise FileUnusable(f"{answer}: no such file")
        done = accept_enrolment(files, city, device, role, body)
    else:
        done = provision(files, city, device, role, clock.wall_s(), uplink, asked.token)
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

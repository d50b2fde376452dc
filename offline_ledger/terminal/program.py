"""The frame of a headless terminal program: settings, the open station, how a refusal ends it, exit codes. DESIGN §3.

`bus_validator` and `pos_app` hand it their role and what to run. Exit codes: 0 done, 1 refused (said in Thai or
English, with its number and remedy), 2 wrong usage or settings, 75 refused now but worth trying later. A service's way
to start needs no parser and no help texts: `commands` brings those for every other way (decision 0050).
"""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

from offline_ledger.errors import Refusal, SettingsInvalid
from offline_ledger.protocol.device import DeviceRole
from offline_ledger.rules.limits import Limits
from offline_ledger.rules.training import role_in
from offline_ledger.settings_file import SettingField, load_settings
from offline_ledger.terminal.drivers.clocks import SystemTicker
from offline_ledger.terminal.headless import SETTINGS
from offline_ledger.terminal.lines_out import tell_error
from offline_ledger.terminal.own_identity import DeviceFiles
from offline_ledger.terminal.own_names import KEY_IN_FILE, check_together
from offline_ledger.terminal.signers.key_place import TokenPlace
from offline_ledger.terminal.station import Station, StationSettings
from offline_ledger.terminal.uplink import HttpsUplink
from offline_ledger.texts import Texts
from offline_ledger.texts.streams import speak_utf8

if TYPE_CHECKING:
    from offline_ledger.terminal.commands import OwnCommand

VERSION = "0.1.0"
EXIT_REFUSED = 1
EXIT_WRONG = 2
EXIT_LATER = 75
"""Refused now, but the same may work later: EX_TEMPFAIL of sysexits.h, which service managers and scripts know."""

IN_USE_S_MAX = 3.0
"""So long a start waits for who reads the journal beside it, as `update` does when no program runs: it would end, and
an unproved version has two starts."""
OWN_USER_ONLY = 0o077
"""The umask: journal and exports hold what wallets signed, which nobody else on the machine needs to read."""


class MachineClock(SystemTicker):
    """The machine's clocks."""

    def wall_s(self) -> int:
        """Unix seconds, as the machine believes."""
        return int(time.time())


def no_commands() -> "tuple[OwnCommand, ...]":
    """A program that has no commands beside every terminal's."""
    return ()


def tell_no_more(_place: "Place", _refusal: Refusal) -> None:
    """The line that ends the program says it all."""


class Program(NamedTuple):
    """One program: its name, the key of what it is for, its role, and what it does when its station is open."""

    name: str
    about: str
    role: DeviceRole
    run: Callable[["Opened"], int]
    settings: tuple[SettingField, ...] = ()
    """Those that other terminals have not."""
    commands: Callable[[], "tuple[OwnCommand, ...]"] = no_commands
    """Those that other terminals have not; a service's start never asks."""
    closed: Callable[["Place", Refusal], None] = tell_no_more
    """What it does besides when nothing could be opened, and waiting will not help."""


class Opened(NamedTuple):
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


class Place(NamedTuple):
    """What the settings say before anything is opened: who this terminal is, and where its own things are."""

    program: Program
    values: dict[str, object]
    settings_file: Path

    def text(self, name: str) -> str:
        """A text setting."""
        return cast(str, self.values[name])

    def number(self, name: str) -> int:
        """A whole-number setting."""
        return cast(int, self.values[name])

    def path(self, name: str) -> Path:
        """A file or folder, beside the settings file unless its name says where."""
        return self.settings_file.parent / self.text(name)

    @property
    def role(self) -> DeviceRole:
        """The program's role; in a training city, the one for training."""
        return role_in(self.text("device.city"), self.program.role)

    def files(self) -> DeviceFiles:
        """What enrolment leaves."""
        return DeviceFiles(
            self.path("files.key"), self.path("files.certificate"), self.path("files.trust_list"), self._token()
        )

    def _token(self) -> TokenPlace | None:
        if self.text("key.kind") == KEY_IN_FILE:
            return None
        module, pin_file = self.path("key.module"), self.path("key.pin_file")
        return TokenPlace(module, self.text("key.token"), self.text("key.label"), pin_file)

    def uplink(self, clock: MachineClock) -> HttpsUplink:
        """The way to the city; nothing is opened yet."""
        return HttpsUplink(self.text("city.url"), self.path("city.ca_file"), clock)

    def station(self, clock: MachineClock, in_use_s_max: float = 0.0) -> Station:
        """Opens everything. Raises what `Station` raises."""
        settings = StationSettings(
            city=self.text("device.city"),
            device=self.text("device.id"),
            role=self.role,
            files=self.files(),
            journal=self.path("files.journal"),
            deny_list=self.path("files.deny_list"),
            program_version=f"{self.program.name} {VERSION}",
            in_use_s_max=in_use_s_max,
        )
        return Station(settings, clock, Limits())


def read_terminal_settings(program: Program, file: Path, language: str = "th") -> dict[str, object]:
    """The checked settings of a terminal. Raises SettingsInvalid."""
    fields = (*SETTINGS, *program.settings)
    return load_settings(file, fields, language, lambda values: check_together(values, file))


def main(program: Program, arguments: list[str]) -> int:
    """The whole program. Returns the exit code."""
    speak_utf8()
    match arguments:
        case ["--settings", name] | ["--settings", name, "run"]:
            try:
                values = read_terminal_settings(program, Path(name))
            except SettingsInvalid:
                pass  # `commands` reads them once more, to say in the right language what is wrong
            else:
                place = Place(program, values, Path(name).resolve())
                return telling(place.text("device.language"), lambda: run(place))
        case _:
            pass
    from offline_ledger.terminal import commands

    return commands.main(program, arguments)


def telling(language: str, act: Callable[[], int], words: Callable[[str], Texts] = Texts) -> int:
    """Does it, and tells a refusal that ends it, in the words of who stands there. Returns the exit code."""
    try:
        return act()
    except Refusal as refusal:
        texts = words(language)
        detail = texts.detail(refusal)
        lines = (f"{refusal.number} {texts.title(refusal)}", f"  {texts.remedy(refusal)}", f"  ({detail})")
        tell_error("\n".join(lines[: 3 if detail else 2]) + "\n")
        return EXIT_LATER if refusal.waiting_helps else EXIT_REFUSED


def run(place: Place) -> int:
    """Takes payments until told to stop."""
    os.umask(OWN_USER_ONLY)
    clock = MachineClock()
    try:
        station = place.station(clock, IN_USE_S_MAX)
    except Refusal as refusal:
        if not refusal.waiting_helps:
            place.program.closed(place, refusal)
        raise
    try:
        return place.program.run(Opened(station, place.uplink(clock), clock, place.values, place.settings_file))
    finally:
        station.close()

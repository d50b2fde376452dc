"""A terminal's settings for its card: a template with this device's names in it, judged by the program itself.

The bench knows no program's settings: it takes the program out of the package that goes on the card and asks that one
(`check`). So a template is judged by the version that will read it. DESIGN §3, decision 0226.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from contextlib import suppress
from difflib import SequenceMatcher
from pathlib import Path
from typing import cast
from zipfile import BadZipFile, ZipFile

from offline_ledger.errors import CardInputWrong, CardPackageWrong, CardSettingsUnchecked, SettingsInvalid
from offline_ledger.settings_file import SETTINGS_BYTES_MAX, line_of

PROGRAMS = {"bus": "kgo-bus", "pos": "kgo-pos"}
MODULES = {"bus": "bus_validator", "pos": "pos_app"}
CA_NAME, ROOT_NAME = "ca.crt", "update.root"
PANEL = "ili9341:"
CHECK_S_MAX = 60
EXIT_WRONG = 2
OWN_WHEEL = "kgo_acceptance-"
_FOLDER = "kgo-card-"
_NOT_ASKED = ("simulators/", "offline_ledger/city/", "offline_ledger/texts/fonts/")
_USUAL = {
    "bus": '[head]\nport = "/dev/kgo-head-*"\n\n[card]\nreader = "any"\n',
    "pos": '[page]\nport = 8010\n\n[card]\nreader = "any"\n',
}


_LINE = re.compile(r"(\bline|บรรทัด) (\d+)")
"""As `settings.line` says it."""


def usual_settings(role: str, city_url: str) -> str:
    """Without a template: what hardware.md and kiosk.md begin with."""
    return f'[city]\nurl = "{city_url}"\n\n{_USUAL[role]}\n[update]\nurl = "{city_url.rstrip("/")}/releases"\n'


def settings_of(template: str, name: str, city: str, device: str) -> bytes:
    """The template with this device's names. A city that it names itself stays. Raises CardInputWrong."""
    try:
        given = tomllib.loads(template)
    except ValueError:
        return template.encode()  # its mistakes are told by the program, each with its line
    made = template
    table = given.get("device")
    if not isinstance(table, dict) or "city" not in table:
        made = _with(made, "device.city", city, name)
    for setting, value in (("device.id", device), ("city.ca_file", CA_NAME), ("files.update_root", ROOT_NAME)):
        made = _with(made, setting, value, name)
    return made.encode()


def has_panel(settings: bytes) -> bool:
    """Is the screen that these good settings name one on SPI?"""
    screen = tomllib.loads(settings.decode()).get("screen", {})
    return str(screen.get("address", "")).startswith(PANEL)


def _with(content: str, setting: str, value: str, file: str) -> str:
    """One line is put in or replaced; the rest, notes too, stays. Raises CardInputWrong where that cannot be done."""
    table, _, key = setting.partition(".")
    lines = content.splitlines()
    given = tomllib.loads(content)
    wanted = {**given, table: {**cast(dict[str, object], given.get(table) or {}), key: value}}
    line = f'{key} = "{value}"'
    if key in cast(dict[str, object], given.get(table) or {}):
        at = line_of(lines, setting) - 1
        made = [*lines[:at], line, *lines[at + 1 :]]
    elif f"[{table}]" in lines:
        at = lines.index(f"[{table}]") + 1
        made = [*lines[:at], line, *lines[at:]]
    else:
        made = [*lines, "", f"[{table}]", line]
    result = "\n".join(made) + "\n"
    try:
        is_good = tomllib.loads(result) == wanted
    except ValueError:
        is_good = False
    if not is_good:
        raise CardInputWrong(f"{file}: {setting} cannot be set there: write it on a line of its own")
    return result


def check_by_program(
    package: Path, role: str, settings: bytes, name: str, language: str, template: str | None = None
) -> None:
    """Raises SettingsInvalid with the program's own words, CardPackageWrong, CardSettingsUnchecked. `name`: the file
    that the technician knows; `template`: what stands in it, when lines were added since."""
    _tidy()
    with tempfile.TemporaryDirectory(prefix=f"{_FOLDER}{os.getpid()}-") as folder:
        code, place = Path(folder) / "code", Path(folder) / f"{role}.toml"
        _take_out(package, code)
        place.write_bytes(settings)
        words = ("--settings", str(place), "--language", language, "check")
        try:
            said = subprocess.run(
                (sys.executable, "-m", MODULES[role], *words),
                cwd=folder,
                env={**os.environ, "PYTHONPATH": str(code), "PYTHONDONTWRITEBYTECODE": "1"},
                capture_output=True,
                text=True,
                encoding="utf-8",
                errors="replace",
                timeout=CHECK_S_MAX,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise CardSettingsUnchecked(f"no answer within {CHECK_S_MAX} s") from None
        lines = [line.replace(f"{place}", name) for line in said.stderr.splitlines() if line.strip()]
        if said.returncode == EXIT_WRONG and any(name in line for line in lines):
            raise SettingsInvalid(tuple(lines if template is None else in_template(lines, template, settings.decode())))
        if said.returncode != 0:
            raise CardSettingsUnchecked((lines or [f"exit code {said.returncode}"])[-1])


def in_template(problems: Sequence[str], template: str, settings: str) -> list[str]:
    """The same mistakes of `settings` by the numbers that their lines have in `template`; one that was put in counts as
    the line before it."""
    numbers: list[int] = []
    for _, start, end, place, rest in SequenceMatcher(
        None, settings.splitlines(), template.splitlines(), autojunk=False
    ).get_opcodes():
        numbers.extend(max(1, min(place + more + 1, rest)) for more in range(end - start))

    def counted(found: re.Match[str]) -> str:
        number = int(found[2])
        return f"{found[1]} {numbers[number - 1] if 1 <= number <= len(numbers) else number}"

    return [_LINE.sub(counted, problem) for problem in problems]


def _tidy() -> None:
    """Away with the folders of runs of this user that were killed, 5 MB each."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_FOLDER}*-*"):
        run = folder.name.removeprefix(_FOLDER).partition("-")[0]
        with suppress(OSError):
            if run.isdecimal() and not Path(f"/proc/{run}").exists() and folder.lstat().st_uid == os.geteuid():
                shutil.rmtree(folder, ignore_errors=True)  # never through a link


def _take_out(package: Path, code: Path) -> None:
    """Our own wheel of the package, unpacked: wheels are made to be."""
    try:
        with ZipFile(package) as outer:
            found = [one for one in outer.namelist() if one.rpartition("/")[2].startswith(OWN_WHEEL)]
            if len(found) != 1:
                raise CardPackageWrong(f"{package.name}: {len(found)} wheels of ours, not one")
            with outer.open(found[0]) as stream, ZipFile(stream) as wheel:
                wheel.extractall(code, [one for one in wheel.namelist() if not one.startswith(_NOT_ASKED)])
    except (BadZipFile, OSError, EOFError) as error:
        raise CardPackageWrong(f"{package.name}: {error}") from error


def read_template(file: Path) -> str:
    """Raises CardInputWrong."""
    try:
        with file.open("rb") as stream:
            data = stream.read(SETTINGS_BYTES_MAX + 1)
        if len(data) > SETTINGS_BYTES_MAX:
            raise CardInputWrong(f"{file}: over {SETTINGS_BYTES_MAX} bytes")
        return data.decode("utf-8")
    except OSError as error:
        raise CardInputWrong(f"{file}: {error.strerror}") from error
    except UnicodeDecodeError:
        raise CardInputWrong(f"{file}: not UTF-8") from None

"""The command line of a headless terminal program, and its commands beside taking payments. DESIGN §3.

`enrol` makes a key and enrols, `leaves` gives back what a restored city lost, `export` saves a damaged journal,
`diagnose` and `do` speak to the running program. Loaded only when it is asked for: a service starts without it
(`program.main`). Takes no payment.
"""

import os
import sys
from argparse import Namespace
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from offline_ledger.errors import (
    FileTaken,
    FileUnusable,
    FileWithoutRoom,
    JournalUnavailable,
    SettingsInvalid,
)
from offline_ledger.files import ENOSPC
from offline_ledger.terminal.control_commands import diagnose, tell
from offline_ledger.terminal.journal_export import export_damaged
from offline_ledger.terminal.own_names import KEY_IN_FILE
from offline_ledger.terminal.program import (
    EXIT_WRONG,
    OWN_USER_ONLY,
    VERSION,
    MachineClock,
    Place,
    Program,
    read_terminal_settings,
    run,
    telling,
)
from offline_ledger.terminal.sync_leaves import leaves_text
from offline_ledger.texts import Texts
from offline_ledger.texts.command_line import Commands, Parser, choose_language, language_option, speak

REST_MS = 60_000


class OwnCommand(NamedTuple):
    """A command that one program has beside every terminal's; `act` returns the exit code."""

    name: str
    add: Callable[[Parser], None]
    act: Callable[[Place, Namespace, Texts], int]


def main(program: Program, arguments: list[str]) -> int:
    """The program, whatever its arguments are. Returns the exit code."""
    texts = speak(choose_language(arguments, "device.language"))
    asked = build_parser(program, texts).parse_args(arguments)
    file: Path = asked.settings
    try:
        values = read_terminal_settings(program, file, texts.language)
    except SettingsInvalid as wrong:
        sys.stderr.write("\n".join(wrong.problems) + "\n")
        return EXIT_WRONG
    place = Place(program, values, file.resolve())
    return telling(texts.language, lambda: _act(place, asked, texts))


def build_parser(program: Program, texts: Texts) -> Parser:
    """All commands of a terminal program. What each is for stands in the catalogue under `help.terminal`."""
    parser = Parser(texts, "terminal", program.name)
    parser.description = texts.get(program.about)
    parser.add_version(VERSION)
    parser.add_argument("--settings", type=Path, required=True, metavar="FILE")
    todo = Commands(parser, language_option, required=False)
    todo.add("run")
    enrol = todo.add("enrol")
    how = enrol.add_mutually_exclusive_group(required=True)
    how.add_argument("--token")
    how.add_argument("--request", type=Path, metavar="FILE")
    how.add_argument("--answer", type=Path, metavar="FILE")
    how.add_argument("--request-qr", type=Path, metavar="FILE")
    how.add_argument("--scan", action="store_true")
    asking = todo.add("diagnose")
    asking.add_argument("--json", action="store_true")
    asking.add_argument("--bundle", type=Path, metavar="FILE")
    asking.add_argument("--log", type=Path, action="append", default=[], metavar="FILE")
    todo.add("check")
    todo.add("do").add_argument("words", nargs="+", metavar="WORD")
    update = todo.add("update")
    update.add_argument("what", nargs="?", choices=("check", "install", "switch", "status", "back"), metavar="WORD")
    todo.add("leaves").add_argument("file", type=Path, metavar="FILE")
    todo.add("export").add_argument("file", type=Path, metavar="FILE")
    for own in program.commands():
        own.add(todo.add(own.name))
    return parser


def _act(place: Place, asked: Namespace, texts: Texts) -> int:
    os.umask(OWN_USER_ONLY)
    own = next((one for one in place.program.commands() if one.name == asked.command), None)
    if own is not None:
        return own.act(place, asked, texts)
    match asked.command:
        case "enrol":
            from offline_ledger.terminal.enrol_commands import enrol

            return enrol(place, asked, texts)
        case "export":
            return _export(place, asked.file, texts)
        case "diagnose" if asked.bundle is not None:
            return _bundle(place, asked, texts)
        case "diagnose":
            return diagnose(place.path("control.socket"), texts, as_json=asked.json)
        case "do":
            return tell(place.path("control.socket"), asked.words)
        case "update":
            from offline_ledger.terminal.updates.update_command import update

            return update(place, asked.what, texts)
        case "leaves":
            return _write_leaves(place, asked.file)
        case "check":
            from offline_ledger.terminal.check_command import check

            return check(place, texts)
        case _:
            return run(place)


def _write_leaves(place: Place, file: Path) -> int:
    check_free(place, file)
    station = place.station(MachineClock())
    try:
        leaves = station.link(os.urandom, REST_MS).leaves_held()
        write_new(file, leaves_text(leaves).encode())
    finally:
        station.close()
    sys.stdout.write(f"{len(leaves)} {file}\n")
    return 0


def _export(place: Place, file: Path, texts: Texts) -> int:
    """Of a journal that is there: one that was made now would hide that it is lost."""
    check_free(place, file)
    journal = place.path("files.journal")
    try:
        journal.stat()
    except OSError as error:
        raise JournalUnavailable(f"{journal}: {error.strerror}") from error
    with usable(file):
        done = export_damaged(str(journal), file)
    damaged = " ".join(f"{first}-{last}" for first, last in done.damaged) or "-"
    told = texts.get("terminal.exported", vouchers=done.vouchers, events=done.events, damaged=damaged)
    sys.stdout.write(told + "\n")
    return 0


def _bundle(place: Place, asked: Namespace, texts: Texts) -> int:
    from offline_ledger.terminal.bundle.bundle import write_bundle

    file: Path = asked.bundle
    size_bytes = write_bundle(place, file, texts, MachineClock().wall_s(), asked.log)
    sys.stdout.write(texts.get("terminal.bundled", file=file, kb=-(-size_bytes // 1000)) + "\n")
    return 0


def check_free(place: Place, file: Path) -> None:
    """A command's file may be neither there already nor the name of a file of the terminal. Raises FileTaken."""
    named = ("files.journal", "files.key", "files.certificate", "files.trust_list", "files.deny_list", "city.ca_file")
    in_token = () if place.text("key.kind") == KEY_IN_FILE else ("key.module", "key.pin_file")
    own = [place.path(name).resolve() for name in (*named, *in_token)]
    inside = [path for path in own if file.resolve() == path or path in file.resolve().parents]
    marked = (own[0], own[2])  # journal and certificate have files of a longer name beside them
    is_beside = any(file.name.startswith(path.name) and file.resolve().parent == path.parent for path in marked)
    if os.path.lexists(file) or inside or is_beside:
        raise FileTaken(f"{file}: file exists")


def write_new(file: Path, data: bytes) -> None:
    """All of it, durably, or no file. Raises FileTaken, FileWithoutRoom, FileUnusable."""
    with usable(file), file.open("xb") as stream:
        try:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        except OSError:
            file.unlink()
            raise


@contextmanager
def usable(file: Path) -> Generator[None, None, None]:
    """A file that somebody named on the command line. Raises FileTaken, FileWithoutRoom, FileUnusable."""
    try:
        yield
    except FileExistsError as error:
        raise FileTaken(str(error.filename or file)) from error
    except OSError as error:
        refusal = FileWithoutRoom if error.errno in ENOSPC else FileUnusable
        raise refusal(f"{file}: {error.strerror}") from error

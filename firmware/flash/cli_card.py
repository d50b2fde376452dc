"""`kgo-flash card`: a terminal's card, prepared and, after its first boot, checked. DESIGN §3; decisions 0225-0227.

A password is asked for or read from a file; it is never a word of the command line. `--token` is one use only and
gone within the hour.
"""

import sys
from argparse import Namespace
from pathlib import Path

from rich.progress import Progress, TaskID

from firmware.flash.bench import OK, USAGE, AddCommand, Bench
from firmware.flash.card import SSH_NAME, TOKEN_NAME, WIFI_NAME, Wanted, check_free, prepare
from firmware.flash.card_check import check_report
from firmware.flash.card_inputs import (
    PLATFORM,
    check_ca,
    check_country,
    check_debs,
    check_enrolment_token,
    check_package,
    check_ssh_key,
    check_update_root,
    check_wifi_name,
    host_name,
    read_secret,
    wifi_file,
)
from firmware.flash.card_layout import Card, find_card
from firmware.flash.card_release import SEEN_NAME, signed_package
from firmware.flash.card_settings import (
    CA_NAME,
    PROGRAMS,
    ROOT_NAME,
    check_by_program,
    has_panel,
    read_template,
    settings_of,
    usual_settings,
)
from firmware.flash.record import DONE, FAILED, Record
from firmware.flash.typed_unseen import typed_unseen
from offline_ledger.errors import CardInputWrong, CardNameWrong, Refusal, SettingsInvalid
from offline_ledger.protocol.wallet import ID_CHARACTERS_MAX
from offline_ledger.settings_file import SettingWrong, plain_name
from offline_ledger.terminal.updates.names import PLATFORMS

JOB = "prepare-card"
_NEEDED = ("device", "role", "ca", "update_root")


def add(add_command: AddCommand) -> None:
    """Adds the command."""
    card = add_command("card", _card)
    card.add_argument("folder", type=Path, metavar="FOLDER")
    card.add_argument("--check", action="store_true")
    card.add_argument("--device", metavar="NAME")
    card.add_argument("--role", choices=tuple(PROGRAMS))
    card.add_argument("--releases", type=Path, metavar="FOLDER")
    card.add_argument("--channel", default="stable", metavar="NAME")
    card.add_argument("--package", type=Path, metavar="FILE")
    card.add_argument("--platform", choices=PLATFORMS, default=PLATFORM)
    card.add_argument("--ca", type=Path, metavar="FILE")
    card.add_argument("--update-root", type=Path, metavar="FILE")
    card.add_argument("--settings-template", type=Path, metavar="FILE")
    card.add_argument("--city-url", metavar="URL")
    card.add_argument("--token")
    card.add_argument("--wifi", metavar="NAME")
    card.add_argument("--wifi-password-file", type=Path, metavar="FILE")
    card.add_argument("--wifi-country", default="TH", metavar="XX")
    card.add_argument("--ssh-key", type=Path, metavar="FILE")
    card.add_argument("--hostname", metavar="NAME")
    card.add_argument("--debs", type=Path, metavar="FOLDER")
    card.add_argument("--clock", choices=("ds3231", "none"), default="ds3231")
    card.add_argument("--replace", action="store_true")


def _card(bench: Bench, said: Namespace) -> int:
    card = find_card(said.folder)
    bench.say(
        "card.found", system=card.system.capitalize(), issued=card.issued or "-", free=card.free_bytes // 1_000_000
    )
    if said.check:
        return check_report(bench, card)
    missing = ["--" + name.replace("_", "-") for name in _NEEDED if getattr(said, name) is None]
    if said.releases is None and said.package is None:
        missing.append("--releases")
    if missing:
        bench.say("card.missing", names=", ".join(missing))
        return USAGE
    check_free(card, _device(said.device), may_replace=said.replace)
    try:
        wanted = _wanted(bench, card, said)
    except SettingsInvalid as wrong:
        sys.stderr.write("\n".join(wrong.problems) + "\n")
        return USAGE
    return _prepare(bench, card, wanted)


def _wanted(bench: Bench, card: Card, said: Namespace) -> Wanted:
    """Everything is judged before the card is touched. Raises SettingsInvalid and refusals."""
    root = check_update_root(said.update_root)
    package = check_package(_package(bench, said, root), card, said.role, said.platform)
    if said.package is not None:
        bench.say("card.unsigned", package=package.file.name)
    name = f"{said.role}.toml"
    city = bench.settings.text("city.id")
    template, shown = _template(said), str(said.settings_template or name)
    settings = settings_of(template, shown, city, said.device)
    check_by_program(package.file, said.role, settings, shown, bench.texts.language, template)
    bench.say("card.settings_good", version=package.version)
    files = {name: settings, CA_NAME: check_ca(said.ca), ROOT_NAME: root}
    if said.token is not None:
        files[TOKEN_NAME] = check_enrolment_token(said.token).encode()
    if said.ssh_key is not None:
        files[SSH_NAME] = check_ssh_key(said.ssh_key)
    if said.wifi is not None:
        check_wifi_name(said.wifi)  # before anybody types its password
        files[WIFI_NAME] = wifi_file(said.wifi, _password(bench, said), said.device)
    return Wanted(
        device=said.device,
        role=said.role,
        city=city,
        host_name=host_name(said.device, said.hostname),
        package=package,
        signed_by="" if said.package is not None else said.channel,
        settings_name=name,
        files=files,
        debs=() if said.debs is None else check_debs(said.debs),
        country=check_country(said.wifi_country) if said.wifi is not None else "",
        has_clock=said.clock != "none",
        has_panel=has_panel(settings),
    )


def _package(bench: Bench, said: Namespace, root: bytes) -> Path:
    """Out of the releases, signed; or the file that was named, of which only its wholeness can be known.
    Raises CardInputWrong, CardReleaseRefused."""
    if said.package is None:
        seen = bench.settings.path("bench.record").parent / SEEN_NAME
        file = signed_package(said.releases, root, said.channel, said.platform, seen, bench.now_s())
        bench.say("card.signed", package=file.name, channel=said.channel)
        return file
    if said.releases is not None:
        raise CardInputWrong("--package and --releases: only one of them")
    return said.package


def _template(said: Namespace) -> str:
    if said.settings_template is not None:
        return read_template(said.settings_template)
    if said.city_url is None:
        raise CardInputWrong("neither --settings-template nor --city-url")
    return usual_settings(said.role, said.city_url)


def _device(device: str) -> str:
    try:
        return str(plain_name(ID_CHARACTERS_MAX)(device))
    except SettingWrong:
        raise CardNameWrong(f"device: {device}") from None


def _password(bench: Bench, said: Namespace) -> str:
    if said.wifi_password_file is not None:
        return read_secret(said.wifi_password_file)
    try:
        return typed_unseen(bench.texts.get("flash.card.wifi_password", name=said.wifi) + " ")
    except (EOFError, UnicodeDecodeError) as error:
        raise CardInputWrong("--wifi: no password was typed; without a terminal name --wifi-password-file") from error


def _prepare(bench: Bench, card: Card, wanted: Wanted) -> int:
    record = Record.open(bench.settings.path("bench.record"))
    try:
        who = bench.settings.text("bench.technician")
        job = record.begin(JOB, wanted.device, wanted.intended(), who, bench.now_s())
        try:
            with bench.progress() as progress:
                shown = _Shown(bench, record, job, progress, progress.add_task(wanted.device, total=wanted.size_mb))
                verified = prepare(card, wanted, shown.step, shown.told)
                shown.all_done(wanted)
        except Refusal as refusal:
            record.end(job, FAILED, {}, bench.now_s(), refusal.number)
            raise
        record.end(job, DONE, verified, bench.now_s())
    finally:
        record.close()
    bench.say("card.done", device=wanted.device, job=job)
    bench.say("card.next_token" if TOKEN_NAME in wanted.files else "card.next_files")
    return OK


class _Shown:
    """Steps to the record and to the screen."""

    def __init__(self, bench: Bench, record: Record, job: int, progress: Progress, task: TaskID) -> None:
        self._bench, self._record, self._job = bench, record, job
        self._progress, self._task = progress, task

    def step(self, name: str) -> None:
        """Durable before the step begins."""
        self._record.step(self._job, name, self._bench.now_s())
        self._progress.update(self._task, description=name)

    def told(self, size_bytes: int) -> None:
        """Bytes went to the card."""
        self._progress.advance(self._task, size_bytes / 1_000_000)

    def all_done(self, wanted: Wanted) -> None:
        """The bar is full."""
        self._progress.update(self._task, description=wanted.device, completed=wanted.size_mb)

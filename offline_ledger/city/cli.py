"""The words of `kgo-city`: commands, options, and which function each runs. DESIGN §3."""

import argparse
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

from offline_ledger.city import cli_people, cli_reports, cli_review, cli_setup
from offline_ledger.city.console import Console
from offline_ledger.city.founding import ROOTS, THRESHOLD
from offline_ledger.city.settings import SETTINGS_NAME
from offline_ledger.money import parse_minor
from offline_ledger.protocol.wallet import CITY_CHARACTERS_MAX, ID_CHARACTERS_MAX
from offline_ledger.texts import LANGUAGES

VERSION = "0.1.0"
Run = Callable[[Console, Namespace], int]


def _short(characters_max: int) -> Callable[[str], str]:
    def name(text: str) -> str:
        if not (1 <= len(text) <= characters_max and text.isascii() and text.isprintable() and " " not in text):
            raise argparse.ArgumentTypeError(f"1 to {characters_max} ASCII characters without spaces")
        return text

    return name


def _amount(text: str) -> int:
    try:
        return parse_minor(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _whole(low: int, high: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        if not (text.isascii() and text.isdigit() and len(text) <= 15 and low <= int(text) <= high):
            raise argparse.ArgumentTypeError(f"a whole number from {low} to {high}")
        return int(text)

    return number


class _Commands:
    """Adds commands that share `--settings` and `--language`, before or after the command's name."""

    def __init__(self, parser: ArgumentParser) -> None:
        self._common = ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
        common_options(self._common)
        self._commands: Any = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(self, name: str, about: str, run: Run) -> ArgumentParser:
        made: ArgumentParser = self._commands.add_parser(
            name, help=about, description=about, parents=[self._common], allow_abbrev=False
        )
        made.set_defaults(run=run)
        return made


def common_options(parser: ArgumentParser) -> None:
    """What every command takes."""
    parser.add_argument("--settings", type=Path, metavar="FILE", help=f"settings file (default: ./{SETTINGS_NAME})")
    parser.add_argument("--language", choices=LANGUAGES, help="language of what is printed (default: settings, or th)")


def build_parser() -> ArgumentParser:
    """All commands."""
    parser = ArgumentParser(
        prog="kgo-city",
        description="The city's ledger of KGO: enrols devices, settles, answers auditors. Exit codes: 0 done, "
        "1 refused or findings, 2 wrong usage or settings.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"kgo-city {VERSION}")
    common_options(parser)
    commands = _Commands(parser)
    _setup(commands)
    _people(commands)
    _reports(commands)
    _review(commands)
    return parser


def _setup(commands: _Commands) -> None:
    init = commands.add("init", "found a city in an empty folder", cli_setup.init)
    init.add_argument("folder", type=Path, metavar="DIR")
    init.add_argument("--city", type=_short(CITY_CHARACTERS_MAX), default="TH-40", metavar="ID", help="city id (TH-40)")
    init.add_argument("--name", action="append", default=[], metavar="HOST", help="name or address of the server")
    init.add_argument("--host", default="127.0.0.1", help="address to listen on (127.0.0.1)")
    init.add_argument("--port", type=_whole(0, 65_535), default=8443, help="port to listen on (8443)")
    init.add_argument("--roots", type=_whole(1, 16), default=ROOTS, help="number of root keys (3)")
    init.add_argument("--threshold", type=_whole(1, 16), default=THRESHOLD, help="root signatures needed (2)")
    init.add_argument("--sample", action="store_true", help="publish a sample tariff, campaign, shops and operator")
    commands.add("serve", "run the service until SIGTERM", cli_setup.serve)
    certificate = commands.add("certificate", "a new server certificate under the city's CA", cli_setup.certificate)
    certificate.add_argument("certificate", type=Path, metavar="CERTIFICATE", help="new file")
    certificate.add_argument("key", type=Path, metavar="KEY", help="new file")
    certificate.add_argument("--ca-key", type=Path, required=True, metavar="FILE", help="keys/ca.key")
    certificate.add_argument("--name", action="append", default=[], metavar="HOST", help="beside `serve.names`")
    enrol = commands.add("enrol", "print a one-time token for a device, or answer its request file", cli_setup.enrol)
    enrol.add_argument("device", type=_short(ID_CHARACTERS_MAX), metavar="DEVICE")
    enrol.add_argument("--role", choices=tuple(cli_setup.ROLES), required=True)
    enrol.add_argument("--owner", type=_short(ID_CHARACTERS_MAX), required=True, help="merchant or operator")
    enrol.add_argument("--name", help="the owner's name, when it is new")
    enrol.add_argument("--offline-kgo", type=_amount, help="F: most KGO that it may accept before it syncs")
    enrol.add_argument("--offline-hours", type=_whole(1, 24 * 7), help="H: hours that it may stay offline")
    enrol.add_argument("--request", type=Path, metavar="FILE", help="the device's request")
    enrol.add_argument("--out", type=Path, metavar="FILE", help="where the answer goes (needed with --request)")
    trust = commands.add("trust", "sign the next trust list with root keys", cli_setup.change_trust)
    trust.add_argument("--root", type=Path, action="append", required=True, metavar="FILE", help="a root key in force")
    trust.add_argument("--new-root", type=Path, action="append", default=[], metavar="FILE", help="the new set's keys")
    trust.add_argument("--threshold", type=_whole(1, 16), help="signatures that later lists need")
    trust.add_argument("--revoke", action="append", default=[], metavar="DEVICE=SEQUENCE", help="last good voucher")
    publish = commands.add("publish", "publish a tariff, campaigns or configuration", cli_setup.publish)
    publish.add_argument("kind", choices=tuple(cli_setup.KINDS))
    publish.add_argument("file", type=Path, metavar="FILE.json")
    _days(publish)


def _people(commands: _Commands) -> None:
    wallet = commands.add("wallet", "list wallets; register or change one", cli_people.wallet)
    wallet.add_argument("wallet", nargs="?", metavar="WALLET", help="number or account key in hex")
    wallet.add_argument("--register", metavar="KEY", help="open an account for this key (compressed point in hex)")
    wallet.add_argument("--medium", choices=tuple(cli_people.MEDIA), default="phone", help="with --register")
    wallet.add_argument("--concession", choices=tuple(cli_people.CONCESSIONS), help="fare class")
    wallet.add_argument("--name", help="name in the operator's lists")
    _json(wallet)
    balance = commands.add("balance", "what a wallet has, and its allowances", cli_people.balance)
    balance.add_argument("wallet", metavar="WALLET")
    _json(balance)
    grant = commands.add("grant", "post the gifts of a CSV file: wallet,amount_kgo,reason", cli_people.grant)
    grant.add_argument("file", type=Path, metavar="FILE.csv")


def _reports(commands: _Commands) -> None:
    _json(commands.add("fleet", "devices: last seen, waiting, clock, deny list, gaps", cli_reports.fleet))
    _json(commands.add("exceptions", "what needs a person; 1 while there is something", cli_reports.exceptions))
    statement = commands.add("statement", "postings and totals per day of a merchant", cli_reports.statement)
    statement.add_argument("owner", metavar="MERCHANT")
    statement.add_argument("--details", action="store_true", help="every posting")
    statement.add_argument("--csv", action="store_true", help="every posting, for a spreadsheet")
    _days(statement)


def _review(commands: _Commands) -> None:
    _json(commands.add("audit", "replay everything; 1 on findings", cli_review.audit))
    recover = commands.add("recover", "after a restore from a backup", cli_review.run_recover)
    recover.add_argument("--leaves", type=Path, metavar="FILE", help="lost log leaves, lines of INDEX HEX")
    recover.add_argument("--root", type=Path, action="append", default=[], metavar="FILE", help="root key (new log)")
    for name, about in (("lift", "lift an equivocation: the account is free"), ("confirm", "confirm an equivocation")):
        review = commands.add(name, about, cli_review.review)
        review.add_argument("number", type=_whole(1, 1 << 40), metavar="NUMBER", help="as in `exceptions`")
        review.add_argument("--note", default="", help="why")
    release = commands.add("release", "judge the held vouchers of a device", cli_review.release)
    release.add_argument("device", metavar="DEVICE")
    unblock = commands.add("unblock", "let a device's vouchers be judged again", cli_review.unblock)
    unblock.add_argument("device", metavar="DEVICE")
    decide = commands.add("decide", "pay or refuse what waits in suspense", cli_review.decide)
    decide.add_argument("device", metavar="DEVICE")
    decide.add_argument("sequence", type=_whole(1, 1 << 47), metavar="SEQUENCE")
    verdict = decide.add_mutually_exclusive_group(required=True)
    verdict.add_argument("--pay", action="store_true")
    verdict.add_argument("--refuse", dest="pay", action="store_false")
    decide.add_argument("--source", choices=("wallet", "risk"), default="wallet", help="who pays what nobody funded")
    decide.add_argument("--note", default="", help="why")


def _json(parser: ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="for other programs")


def _days(parser: ArgumentParser) -> None:
    parser.add_argument("--from", dest="first_day", metavar="YYYY-MM-DD", help="first day, Bangkok, common era")
    parser.add_argument("--until", dest="last_day", metavar="YYYY-MM-DD", help="last day, inclusive")

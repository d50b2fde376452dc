"""The words of `kgo-city`: commands, options, and which function each runs. DESIGN §3.

What each is for stands in the catalogue under `help.city`.
"""

from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from pathlib import Path

from offline_ledger.city import (
    cli_audit,
    cli_coupons,
    cli_invitations,
    cli_keys,
    cli_money,
    cli_people,
    cli_refunds,
    cli_reports,
    cli_review,
    cli_routes,
    cli_setup,
    cli_shifts,
    cli_statement,
    cli_store,
)
from offline_ledger.city.console import Console
from offline_ledger.city.coupons import COUPONS_MAX
from offline_ledger.city.founding import ROOTS, THRESHOLD
from offline_ledger.city.registering import BATCH_MAX, INVITATION_DAYS_MAX
from offline_ledger.protocol.wallet import CITY_CHARACTERS_MAX, ID_CHARACTERS_MAX
from offline_ledger.texts import Texts
from offline_ledger.texts.command_line import Commands, Parser, amount, common_option, language_option, short, whole

VERSION = "0.1.0"
Run = Callable[[Console, Namespace], int]


class _Commands:
    """Adds commands and what each runs."""

    def __init__(self, parser: Parser) -> None:
        self.texts = parser.texts
        self._commands = Commands(parser, _common)

    def add(self, name: str, run: Run) -> Parser:
        made = self._commands.add(name)
        made.set_defaults(run=run)
        return made


def _common(parser: Parser) -> None:
    common_option(parser, "--settings", type=Path, metavar="FILE")
    language_option(parser)


def build_parser(texts: Texts) -> Parser:
    """All commands."""
    parser = Parser(texts, "city", "kgo-city")
    parser.add_version(VERSION)
    commands = _Commands(parser)
    _setup(commands)
    _people(commands)
    _invitations(commands)
    _reports(commands)
    _review(commands)
    _money(commands)
    _vehicles(commands)
    return parser


def _setup(commands: _Commands) -> None:
    texts = commands.texts
    city_id, id_text = short(texts, CITY_CHARACTERS_MAX), short(texts, ID_CHARACTERS_MAX)
    init = commands.add("init", cli_setup.init)
    init.add_argument("folder", type=Path, metavar="DIR")
    init.add_argument("--city", type=city_id, default="TH-40", metavar="ID")
    init.add_argument("--name", action="append", default=[], metavar="HOST")
    init.add_argument("--host", default="127.0.0.1")
    init.add_argument("--port", type=whole(texts, 0, 65_535), default=8443)
    init.add_argument("--roots", type=whole(texts, 1, 16), default=ROOTS)
    init.add_argument("--threshold", type=whole(texts, 1, 16), default=THRESHOLD)
    init.add_argument("--sample", action="store_true")
    serve = commands.add("serve", cli_setup.serve)
    serve.add_argument("--clock-checked", action="store_true")
    certificate = commands.add("certificate", cli_setup.certificate)
    certificate.add_argument("certificate", type=Path, metavar="CERTIFICATE")
    certificate.add_argument("key", type=Path, metavar="KEY")
    certificate.add_argument("--ca-key", type=Path, required=True, metavar="FILE")
    certificate.add_argument("--name", action="append", default=[], metavar="HOST")
    enrol = commands.add("enrol", cli_setup.enrol)
    enrol.add_argument("device", type=id_text, metavar="DEVICE")
    enrol.add_argument("--role", choices=tuple(cli_setup.ROLES), required=True)
    enrol.add_argument("--owner", type=id_text, required=True)
    enrol.add_argument("--name")
    enrol.add_argument("--offline-kgo", type=amount(texts))
    enrol.add_argument("--offline-hours", type=whole(texts, 1, 24 * 7))
    enrol.add_argument("--request", type=Path, metavar="FILE")
    enrol.add_argument("--request-code", type=Path, metavar="FILE")
    enrol.add_argument("--out", type=Path, metavar="FILE")
    enrol.add_argument("--out-codes", type=Path, metavar="FOLDER")
    trust = commands.add("trust", cli_keys.change_trust)
    trust.add_argument("--root", type=Path, action="append", required=True, metavar="FILE")
    trust.add_argument("--new-root", type=Path, action="append", default=[], metavar="FILE")
    trust.add_argument("--threshold", type=whole(texts, 1, 16))
    trust.add_argument("--revoke", action="append", default=[], metavar="DEVICE=SEQUENCE")
    rotate = commands.add("rotate", cli_keys.rotate)
    rotate.add_argument("role", choices=tuple(cli_keys.ROLES), metavar="ROLE")
    rotate.add_argument("--root", type=Path, action="append", required=True, metavar="FILE")
    rotate.add_argument("--compromised", action="store_true")
    publish = commands.add("publish", cli_setup.publish)
    publish.add_argument("kind", choices=tuple(cli_setup.KINDS), metavar="KIND")
    publish.add_argument("file", type=Path, metavar="FILE.json")
    publish.add_argument("--large-amounts", action="store_true")
    _days(publish)


def _people(commands: _Commands) -> None:
    wallet = commands.add("wallet", cli_people.wallet)
    wallet.add_argument("wallet", nargs="?", metavar="WALLET")
    wallet.add_argument("--register", metavar="KEY")
    wallet.add_argument("--medium", choices=tuple(cli_people.MEDIA))
    wallet.add_argument("--concession", choices=tuple(cli_people.CONCESSIONS))
    wallet.add_argument("--name")
    _json(wallet)
    balance = commands.add("balance", cli_people.balance)
    balance.add_argument("wallet", metavar="WALLET")
    _json(balance)
    grant = commands.add("grant", cli_people.grant)
    grant.add_argument("file", type=Path, metavar="FILE.csv")
    grant.add_argument("--large-amounts", action="store_true")
    grant.add_argument("--back", action="store_true")
    grant.add_argument("--note", default="")


def _invitations(commands: _Commands) -> None:
    texts = commands.texts
    invite = commands.add("invite", cli_invitations.invite)
    invite.add_argument("count", type=whole(texts, 1, BATCH_MAX), metavar="COUNT")
    invite.add_argument("--days", type=whole(texts, 1, INVITATION_DAYS_MAX), default=90)
    invite.add_argument("--note", default="")
    invitations = commands.add("invitations", cli_invitations.invitations)
    invitations.add_argument("--withdraw", type=whole(texts, 1, 1 << 40), metavar="BATCH")
    _json(invitations)
    coupons = commands.add("coupons", cli_coupons.run)
    coupons.add_argument("device", type=short(texts, ID_CHARACTERS_MAX), nargs="?", metavar="DEVICE")
    coupons.add_argument("count", type=whole(texts, 1, COUPONS_MAX), nargs="?", metavar="COUNT")
    coupons.add_argument("--trip", type=short(texts, ID_CHARACTERS_MAX), metavar="TRIP")
    coupons.add_argument("--product", type=short(texts, ID_CHARACTERS_MAX), metavar="PRODUCT")
    coupons.add_argument("--kgo", type=amount(texts), metavar="KGO")
    coupons.add_argument("--until", dest="last_day", metavar="YYYY-MM-DD")
    coupons.add_argument("--out", type=Path, metavar="FILE.pdf")
    coupons.add_argument("--note", default="")
    coupons.add_argument("--large-amounts", action="store_true")
    coupons.add_argument("--cancel", type=whole(texts, 1, 1 << 40), metavar="SHEET")
    coupons.add_argument("--sheet", type=whole(texts, 1, 1 << 40), metavar="SHEET")
    _json(coupons)


def _reports(commands: _Commands) -> None:
    _json(commands.add("keys", cli_keys.show_keys))
    _json(commands.add("fleet", cli_reports.fleet))
    exceptions = commands.add("exceptions", cli_reports.exceptions)
    exceptions.add_argument("--all", action="store_true")
    _json(exceptions)
    reviewed = commands.add("reviewed", cli_reports.reviewed)
    reviewed.add_argument("device", metavar="DEVICE")
    reviewed.add_argument("sequence", type=whole(commands.texts, 1, 1 << 48), nargs="?", metavar="SEQUENCE")
    reviewed.add_argument("--note", default="")
    asked = commands.add("refund-requests", cli_refunds.run)
    verdict = asked.add_mutually_exclusive_group()
    verdict.add_argument("--approve", metavar="NUMBER")
    verdict.add_argument("--decline", metavar="NUMBER")
    asked.add_argument("--note", default="")
    asked.add_argument("--all", action="store_true")
    _json(asked)
    shifts = commands.add("shifts", cli_shifts.shifts)
    shifts.add_argument("--device", metavar="DEVICE")
    shifts.add_argument("--merchant", metavar="MERCHANT")
    form = shifts.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true")
    form.add_argument("--csv", action="store_true")
    _days(shifts)
    statement = commands.add("statement", cli_statement.statement)
    statement.add_argument("owner", metavar="MERCHANT")
    statement.add_argument("--details", action="store_true")
    statement.add_argument("--csv", action="store_true")
    _days(statement)


def _review(commands: _Commands) -> None:
    texts = commands.texts
    _json(commands.add("audit", cli_audit.audit))
    commands.add("backup", cli_store.backup).add_argument("file", type=Path, metavar="FILE")
    commands.add("restore", cli_store.restore).add_argument("copy", type=Path, metavar="COPY")
    recover = commands.add("recover", cli_store.run_recover)
    recover.add_argument("--leaves", type=Path, action="append", default=[], metavar="FILE")
    recover.add_argument("--new-log", action="store_true")
    recover.add_argument("--root", type=Path, action="append", default=[], metavar="FILE")
    recover.add_argument("--checkpoint-lost", action="store_true")
    for name in ("lift", "confirm"):
        review = commands.add(name, cli_review.review)
        review.add_argument("number", type=whole(texts, 1, 1 << 40), metavar="NUMBER")
        review.add_argument("--note", default="")
    release = commands.add("release", cli_review.release)
    release.add_argument("device", metavar="DEVICE")
    unblock = commands.add("unblock", cli_review.unblock)
    unblock.add_argument("device", metavar="DEVICE")
    decide = commands.add("decide", cli_review.decide)
    decide.add_argument("device", metavar="DEVICE")
    decide.add_argument("sequence", type=whole(texts, 1, 1 << 47), metavar="SEQUENCE")
    verdict = decide.add_mutually_exclusive_group(required=True)
    verdict.add_argument("--pay", action="store_true")
    verdict.add_argument("--refuse", dest="refuse", action="store_true")
    decide.add_argument("--source", choices=("wallet", "risk"), default="wallet")
    decide.add_argument("--note", default="")


def _money(commands: _Commands) -> None:
    texts = commands.texts
    deposit = commands.add("deposit", cli_money.deposit)
    deposit.add_argument("wallet", metavar="WALLET")
    deposit.add_argument("amount", type=amount(texts), nargs="?", metavar="KGO")
    deposit.add_argument("--back", action="store_true")
    deposit.add_argument("--note", default="")
    _json(deposit)
    close = commands.add("close-day", cli_money.close_day)
    close.add_argument("day", metavar="YYYY-MM-DD")
    _json(close)
    fund = commands.add("fund", cli_money.fund)
    fund.add_argument("campaign", nargs="?", metavar="CAMPAIGN")
    fund.add_argument("amount", type=amount(texts), nargs="?", metavar="KGO")
    fund.add_argument("--note", default="")
    join = commands.add("join", cli_money.join)
    join.add_argument("stand_in", type=whole(texts, 1, 1 << 40), metavar="STANDIN")
    join.add_argument("wallet", metavar="WALLET")
    join.add_argument("--note", default="")
    reconsider = commands.add("reconsider", cli_money.reconsider)
    reconsider.add_argument("device", metavar="DEVICE")
    reconsider.add_argument("sequence", type=whole(texts, 1, 1 << 47), metavar="SEQUENCE")
    reconsider.add_argument("--note", required=True)


def _vehicles(commands: _Commands) -> None:
    routes = commands.add("routes", cli_routes.routes)
    routes.add_argument("feed", type=Path, metavar="FEED")
    routes.add_argument("file", type=Path, metavar="FILE")
    _days(routes)
    crew = commands.add("crew", cli_routes.crew)
    crew.add_argument("list", type=Path, metavar="LIST.csv")
    crew.add_argument("file", type=Path, metavar="FILE")
    crew.add_argument("--operator", type=short(commands.texts, ID_CHARACTERS_MAX), required=True)
    _days(crew)


def _json(parser: ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true")


def _days(parser: ArgumentParser) -> None:
    parser.add_argument("--from", dest="first_day", metavar="YYYY-MM-DD")
    parser.add_argument("--until", dest="last_day", metavar="YYYY-MM-DD")

"""`kgo-city routes`, `crew`: files for validators, compiled on the desk. DESIGN §3, §4."""

import secrets
from argparse import Namespace
from pathlib import Path

from offline_ledger.city.bulletins import Validity
from offline_ledger.city.console import OK, Console, read_file
from offline_ledger.city.routes import compile_feed
from offline_ledger.city.routes_crew import LIST_BYTES_MAX, read_crew
from offline_ledger.city.routes_signing import sign_file
from offline_ledger.files import PRIVATE_MODE, PUBLIC_MODE
from offline_ledger.named_files import write_named
from offline_ledger.protocol.crew_file import CREW_KIND, encode_crew
from offline_ledger.protocol.route_file import ROUTES_KIND, digest_of, encode_routes


def routes(console: Console, said: Namespace) -> int:
    """A GTFS feed as a signed route file."""
    feed: Path = said.feed
    found = compile_feed(feed, console.texts)
    validity = console.validity(said.first_day, said.last_day)
    with console.bulletin_signer() as (store, signer):
        made, raw = sign_file(store, signer, ROUTES_KIND, encode_routes(found), console.now_s(), validity)
    write_named(said.file, raw, PUBLIC_MODE)
    counts = {"routes": len(found.routes), "patterns": len(found.patterns), "stops": len(found.stops)}
    console.say(console.text("routes.done", file=said.file, size=len(raw), **counts))
    _say_signed(console, made.version, validity, raw)
    return OK


def crew(console: Console, said: Namespace) -> int:
    """A list of drivers as a signed crew file that nobody else can read."""
    listed: Path = said.list
    data = read_file(listed, LIST_BYTES_MAX)
    found = read_crew(data, said.operator, str(listed), console.texts, secrets.token_bytes)
    validity = console.validity(said.first_day, said.last_day)
    with console.bulletin_signer() as (store, signer):
        made, raw = sign_file(store, signer, CREW_KIND, encode_crew(found), console.now_s(), validity)
    write_named(said.file, raw, PRIVATE_MODE)
    console.say(console.text("crew.done", file=said.file, drivers=len(found.drivers), operator=found.operator))
    _say_signed(console, made.version, validity, raw)
    console.warn(console.text("crew.delete", file=listed))
    return OK


def _say_signed(console: Console, version: tuple[int, int], validity: Validity, raw: bytes) -> None:
    days = {"first": console.day_shown(validity.from_s), "last": console.day_shown(validity.until_s)}
    console.say(console.text("routes.signed", version=".".join(map(str, version)), **days))
    console.say(console.text("routes.digest", digest=digest_of(raw)))

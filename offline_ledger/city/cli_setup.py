"""`kgo-city init`, `serve`, `certificate`, `enrol`, `publish`: setting up and running. DESIGN §3, §4."""

import secrets
from argparse import Namespace
from pathlib import Path
from typing import cast

from offline_ledger.city import bulletins, ca, enrolment, first_bulletins, logs, recover, trust
from offline_ledger.city.accounts import OwnerKind
from offline_ledger.city.bulletin_files import FILE_BYTES_MAX, read_bulletin
from offline_ledger.city.city_clock import CityClock, newest_known_s
from offline_ledger.city.console import OK, Console, read_file
from offline_ledger.city.ending import Daily
from offline_ledger.city.enrolment import Placement
from offline_ledger.city.founding import Plan, found_city
from offline_ledger.city.keys import CityKeys
from offline_ledger.city.serving_lock import only_service
from offline_ledger.city.store import Store
from offline_ledger.city.store_check import check_whole
from offline_ledger.errors import UsageWrong
from offline_ledger.named_files import check_named, write_named
from offline_ledger.protocol import cose
from offline_ledger.protocol.answer import decode_answer, read_enrolment
from offline_ledger.protocol.city import BulletinKind
from offline_ledger.protocol.device import DeviceRole
from offline_ledger.protocol.kinds import OBJECT_BYTES_MAX

ROLES = {"shop": DeviceRole.SHOP, "validator": DeviceRole.VALIDATOR, "training": DeviceRole.TRAINING}
KINDS = {
    "tariff": BulletinKind.TARIFF,
    "campaign": BulletinKind.CAMPAIGN,
    "configuration": BulletinKind.CONFIGURATION,
}


def init(console: Console, said: Namespace) -> int:
    """A new city in an empty folder."""
    folder: Path = said.folder
    plan = Plan(
        said.city,
        said.host,
        said.port,
        tuple(cast(list[str], said.name)),
        said.roots,
        said.threshold,
        console.language,
        said.sample,
    )
    if not 1 <= plan.threshold <= plan.roots:
        raise UsageWrong((console.texts.get("usage.roots", threshold=plan.threshold, roots=plan.roots),))
    settings = found_city(folder, plan, console.now_s())
    console.say(console.text("init.done", city=plan.city, folder=folder))
    console.say(console.text("init.roots", folder=folder / "keys", threshold=plan.threshold, roots=plan.roots))
    console.say(console.text("init.next", settings=settings))
    return OK


def serve(console: Console, said: Namespace) -> int:
    """Until SIGTERM."""
    from offline_ledger.city import serving  # the web server: no other command of these needs it

    logs.start_logging()
    with only_service(console.city.database), console.store() as store:
        check_whole(store)
        newest_s = 0 if said.clock_checked else newest_known_s(store)
        skew_s = console.limits.skew_s
        clock = CityClock(console.now_s, console.steady_s, newest_s, skew_s, serving.log_clock)
        service = serving.held_to(console.service(store, settles=clock.is_sure()), clock)
        endings = Daily(console.now_s, lambda: console.warn_of_endings(store))
        endings.ask()
        serving.serve(service, console.say, endings)
    return OK


def certificate(console: Console, said: Namespace) -> int:
    """A new server key and certificate under the same CA, in new files."""
    now_s, names = console.now_s(), (*console.city.names, *cast(list[str], said.name))
    ca.make_server_certificate(said.ca_key, console.city.ca_certificate, said.key, said.certificate, names, now_s)
    console.say(console.text("certificate.done", certificate=said.certificate, private=said.key))
    return OK


def enrol(console: Console, said: Namespace) -> int:
    """A token, or an answer to a request file."""
    role = ROLES[said.role]
    enrolment.check_role(console.city.city, role)
    defaults = enrolment.placement(said.device, role, said.owner, console.limits)
    value_kgo = defaults.offline_value_kgo if said.offline_kgo is None else said.offline_kgo
    hours = said.offline_hours or defaults.offline_hours
    placed = Placement(said.device, role, said.owner, value_kgo, hours)
    with console.store() as store:
        keys = console.keys(store)
        recover.check_may_sign(store, console.city.checkpoint)
        kind = OwnerKind.OPERATOR if role is DeviceRole.VALIDATOR else OwnerKind.MERCHANT
        enrolment.add_owner(store, said.owner, kind, said.name, console.city.risk_day_kgo, console.now_s())
        last = trust.revoked_after(store, said.device)
        if last is not None:
            console.warn(console.text("trust.revoked", device=said.device, first=last + 1))
        if said.request is None and said.request_code is None:
            life_s = console.city.token_life_s
            token = enrolment.make_token(store, placed, console.now_s(), life_s, secrets.token_bytes)
            console.warn(console.text("enrol.token", device=said.device, minutes=life_s // 60))
            console.say(token)
            return OK
        return _answer_request(console, said, store, keys, placed)


def _answer_request(console: Console, said: Namespace, store: Store, keys: CityKeys, placed: Placement) -> int:
    """The answer to a request that was carried here, as a file, as codes to scan, or both."""
    from offline_ledger import request_picture  # pictures: no other command of these needs them
    from offline_ledger.city import answer_codes

    raw = (
        request_picture.request_in(said.request_code)
        if said.request is None
        else read_file(said.request, OBJECT_BYTES_MAX)
    )
    for named in (said.out, said.out_codes):
        if named is not None:
            check_named(named)  # before anything is issued; who writes looks again
    now_s = console.now_s()
    asked = read_enrolment(raw, store.city)
    bare = enrolment.enrol_by_file(store, keys.device_ca, placed, raw, now_s)
    if said.out is not None:
        fits = first_bulletins.fits_online
        write_named(said.out, first_bulletins.with_first(store, keys.bulletin, bare, placed.role, now_s, fits))
        console.say(console.text("enrol.written", device=said.device, file=said.out))
    if said.out_codes is not None:
        fits = first_bulletins.fits_codes
        answer = first_bulletins.with_first(store, keys.bulletin, bare, placed.role, now_s, fits)
        count = answer_codes.draw_answer(said.out_codes, said.device, answer, cose.key_id_of(asked.point))
        console.say(console.text("enrol.drawn", device=said.device, folder=said.out_codes, count=count))
        kinds = {kind.name.lower() for kind in first_bulletins.kinds_in(decode_answer(answer), store.city)}
        left_out = [name for name in ("deny_list", "tariff", "campaign") if name not in kinds]
        if left_out:
            console.warn(console.text("enrol.left_out", kinds=", ".join(left_out)))
    return OK


def publish(console: Console, said: Namespace) -> int:
    """A bulletin from a JSON file of named fields."""
    kind = KINDS[said.kind]
    data, is_large_meant = read_file(said.file, FILE_BYTES_MAX), cast(bool, said.large_amounts)
    body = read_bulletin(kind, data, str(said.file), console.texts, is_large_meant=is_large_meant)
    validity = console.validity(said.first_day, said.last_day)
    with console.bulletin_signer() as (store, signer):
        made = bulletins.publish(store, signer, kind, body, console.now_s(), validity)
    version = ".".join(map(str, made.version))
    days = {"first": console.day_shown(validity.from_s), "last": console.day_shown(validity.until_s)}
    console.say(console.text("publish.done", kind=console.text(f"publish.{said.kind}"), version=version, **days))
    return OK

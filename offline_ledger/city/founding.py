"""Founding a city: keys, CA, first trust list, database, settings file; once, in an empty folder. DESIGN §3, §4.

Never overwrites. The settings file is written last: a folder without it was not finished and can be thrown away.
"""

from dataclasses import dataclass
from pathlib import Path

from offline_ledger.city import bulletins, ca, enrolment, keys, sample, trust
from offline_ledger.city.accounts import OwnerKind
from offline_ledger.city.bulletins import Validity
from offline_ledger.city.files import write_new
from offline_ledger.city.log import Log, begin_checkpoint
from offline_ledger.city.settings import SETTINGS_NAME, TEMPLATE
from offline_ledger.city.store import Store
from offline_ledger.errors import CityExists, StorageFailed
from offline_ledger.money import KGO
from offline_ledger.protocol.city import ROOTS_MAX, BulletinKind

ROOTS = 3
THRESHOLD = 2
SAMPLE_RISK_DAY_KGO = 1_000 * KGO


@dataclass(frozen=True, slots=True)
class Plan:
    """What `init` was asked for. `names` go into the server's certificate beside localhost and 127.0.0.1."""

    city: str
    host: str = "127.0.0.1"
    port: int = 8443
    names: tuple[str, ...] = ()
    roots: int = ROOTS
    threshold: int = THRESHOLD
    language: str = "th"
    with_sample: bool = False


def found_city(folder: Path, plan: Plan, now_s: int) -> Path:
    """The settings file of the new city. Raises CityExists for a folder that is not empty, StorageFailed."""
    assert 1 <= plan.threshold <= plan.roots <= ROOTS_MAX
    try:
        folder.mkdir(parents=True, mode=0o700, exist_ok=True)
        if any(folder.iterdir()):
            raise CityExists(f"{folder} is not empty")
        key_folder = folder / "keys"
        key_folder.mkdir(mode=0o700)
    except OSError as error:
        raise StorageFailed(f"{folder}: {error.strerror}") from error
    roots = [keys.make_key_file(key_folder / f"root-{number}.key") for number in range(1, plan.roots + 1)]
    made = keys.make_city_keys(key_folder)
    ca.make_ca(plan.city, key_folder / "ca.key", folder / "ca.crt", now_s)
    ca.make_server_certificate(
        key_folder / "ca.key", folder / "ca.crt", key_folder / "server.key", folder / "server.crt", plan.names, now_s
    )
    store = Store.create(folder / "ledger.db", plan.city, now_s)
    try:
        points = tuple(root.point for root in roots)
        first = trust.first_list(plan.city, points, plan.threshold, keys.points_by_role(made), now_s)
        trust.add_list(store, trust.sign_list(first, roots[: plan.threshold]))
        bulletins.publish_deny_list(store, made.bulletin, now_s)
        if plan.with_sample:
            publish_sample(store, made, now_s)
        begin_checkpoint(folder / "checkpoint", Log(store))
    finally:
        store.close()
    names = ", ".join(f'"{name}"' for name in plan.names)
    content = TEMPLATE.format(city=plan.city, host=plan.host, port=plan.port, names=names, language=plan.language)
    write_new(folder / SETTINGS_NAME, content.encode())
    return folder / SETTINGS_NAME


def publish_sample(store: Store, made: keys.CityKeys, now_s: int) -> None:
    """Sample tariff, campaign, shops and bus operator."""
    validity = Validity(now_s, now_s + bulletins.BULLETIN_LIFE_S)
    bulletins.publish(store, made.bulletin, BulletinKind.TARIFF, sample.sample_tariff(), now_s, validity)
    bulletins.publish(store, made.bulletin, BulletinKind.CAMPAIGN, sample.sample_campaigns(), now_s, validity)
    for owner, name in sample.SAMPLE_MERCHANTS:
        enrolment.add_owner(store, owner, OwnerKind.MERCHANT, name, SAMPLE_RISK_DAY_KGO, now_s)
    for owner, name in sample.SAMPLE_OPERATORS:
        enrolment.add_owner(store, owner, OwnerKind.OPERATOR, name, SAMPLE_RISK_DAY_KGO, now_s)

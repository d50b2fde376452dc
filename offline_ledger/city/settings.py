"""The city's settings file: its fields, and the checked values by name. DESIGN §3.

Relative file names are beside the settings file. Never reads the environment.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import cast

from offline_ledger.city.grants import Usual
from offline_ledger.city.own_names import check_together
from offline_ledger.city.registering import Mode, Terms
from offline_ledger.money import KGO
from offline_ledger.protocol.wallet import CITY_CHARACTERS_MAX
from offline_ledger.settings_file import (
    SettingField,
    amount,
    boolean,
    choice,
    integer,
    items,
    load_settings,
    path,
    text,
)

SETTINGS_NAME = "city.toml"
FIELDS = (
    SettingField("city.id", text(CITY_CHARACTERS_MAX)),
    SettingField("serve.host", text(100), "127.0.0.1"),
    SettingField("serve.port", integer(0, 65_535), 8443),
    SettingField("serve.names", items(text(253), 50), ()),
    SettingField("serve.connections_max", integer(1, 10_000), 200),
    SettingField("serve.address_connections_max", integer(1, 10_000), 50),
    SettingField("serve.log_requests", boolean(), True),
    SettingField("serve.releases", path(), ""),
    SettingField("files.database", path(), "ledger.db"),
    SettingField("files.checkpoint", path(), "checkpoint"),
    SettingField("files.keys", path(), "keys"),
    SettingField("files.ca_certificate", path(), "ca.crt"),
    SettingField("files.server_certificate", path(), "server.crt"),
    SettingField("files.server_key", path(), "keys/server.key"),
    SettingField("grants.registering_kgo", amount(), 100 * KGO),
    SettingField("grants.usual_kgo_max", amount(), 5_000 * KGO),
    SettingField("grants.file_usual_kgo_max", amount(), 1_000_000 * KGO),
    SettingField("registering.mode", choice(*Mode), Mode.OPEN.value),
    SettingField("registering.hour_max", integer(0, 100_000), 100),
    SettingField("registering.day_max", integer(0, 100_000), 500),
    SettingField("registering.source_day_max", integer(0, 100_000), 50),
    SettingField("enrolment.token_minutes", integer(1, 24 * 60), 60),
    SettingField("shops.risk_day_kgo", amount(), 1_000 * KGO),
    SettingField("console.language", choice("th", "en"), "th"),
)
TEMPLATE = """\
# KGO city service. Times in UTC, amounts in KGO as text. `kgo-city --help` names the commands.
[city]
id = "{city}"

[serve]
host = "{host}"
port = {port}
# further names and addresses in the server's certificate, set when it was made
names = [{names}]

[files]
# The checkpoint says how far the log was signed. Keep it on another disk than the database, and out of its backups.
database = "ledger.db"
checkpoint = "checkpoint"
keys = "keys"
ca_certificate = "ca.crt"
server_certificate = "server.crt"
server_key = "keys/server.key"

[grants]
registering_kgo = "100"
# most that one gift, and all of one file, may come to without --large-amounts
usual_kgo_max = "5000"
file_usual_kgo_max = "1000000"

[registering]
# "open": any new phone may open an account, up to these ceilings; "invited": only with a code from `kgo-city invite`
mode = "open"
# accounts opened in the whole city within an hour and within a day: 500 x 100 KGO is the most that a day can cost
hour_max = 100
day_max = 500
# from one network address within a day (0: not counted); many phones of one provider share an address
source_day_max = 50

[enrolment]
token_minutes = 60

[shops]
# most that the risk fund pays one new merchant in a day
risk_day_kgo = "1000"

[console]
language = "{language}"
"""


@dataclass(frozen=True, slots=True)
class CitySettings:
    """All of it, checked. Names of files are whole paths."""

    city: str
    host: str
    port: int
    names: tuple[str, ...]
    connections_max: int
    address_connections_max: int
    log_requests: bool
    releases: Path | None
    database: Path
    checkpoint: Path
    keys: Path
    ca_certificate: Path
    server_certificate: Path
    server_key: Path
    registering_kgo: int
    usual_gifts: Usual
    registering_mode: Mode
    registering_hour_max: int
    registering_day_max: int
    registering_source_day_max: int
    token_life_s: int
    risk_day_kgo: int
    language: str

    @property
    def registering(self) -> Terms:
        """On what terms phones open accounts."""
        ceilings = (self.registering_hour_max, self.registering_day_max, self.registering_source_day_max)
        return Terms(self.registering_mode, self.registering_kgo, *ceilings)


def read_city_settings(file: Path, language: str) -> CitySettings:
    """The settings in `file`. Raises SettingsInvalid with all mistakes, in `language`."""
    values = load_settings(file, FIELDS, language, lambda good: check_together(good, file))
    folder = file.parent

    def word(name: str) -> str:
        return cast(str, values[name])

    def number(name: str) -> int:
        return cast(int, values[name])

    def place(name: str) -> Path:
        return folder / word(f"files.{name}")

    return CitySettings(
        city=word("city.id"),
        host=word("serve.host"),
        port=number("serve.port"),
        names=cast(tuple[str, ...], values["serve.names"]),
        connections_max=number("serve.connections_max"),
        address_connections_max=number("serve.address_connections_max"),
        log_requests=bool(values["serve.log_requests"]),
        releases=folder / word("serve.releases") if word("serve.releases") else None,
        database=place("database"),
        checkpoint=place("checkpoint"),
        keys=place("keys"),
        ca_certificate=place("ca_certificate"),
        server_certificate=place("server_certificate"),
        server_key=place("server_key"),
        registering_kgo=number("grants.registering_kgo"),
        usual_gifts=Usual(number("grants.usual_kgo_max"), number("grants.file_usual_kgo_max")),
        registering_mode=Mode(word("registering.mode")),
        registering_hour_max=number("registering.hour_max"),
        registering_day_max=number("registering.day_max"),
        registering_source_day_max=number("registering.source_day_max"),
        token_life_s=number("enrolment.token_minutes") * 60,
        risk_day_kgo=number("shops.risk_day_kgo"),
        language=word("console.language"),
    )

"""What every command of `kgo-city` is handed: settings, texts, clock, store; and how it speaks. DESIGN §3.

Never prints itself: `say` and `warn` are handed in by the composition root.
"""

import json
import re
import secrets
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from offline_ledger.city import recover, rotation, tables, trust_copies
from offline_ledger.city.bulletins import BULLETIN_LIFE_S, Validity
from offline_ledger.city.ending import endings
from offline_ledger.city.ingest import Ingest
from offline_ledger.city.keys import CityKeys, StoredKeys
from offline_ledger.city.log import Log, begin_checkpoint
from offline_ledger.city.renewal import Renewal
from offline_ledger.city.service import Service
from offline_ledger.city.settings import CitySettings
from offline_ledger.city.signing import Signing
from offline_ledger.city.store import Store
from offline_ledger.city.tables import Cell
from offline_ledger.city.wallet_desk import WalletDesk
from offline_ledger.errors import (
    BulletinFileWrong,
    FileUnusable,
    GrantInvalid,
    KeyEndsSoon,
    LedgerInUse,
    Refusal,
    SettingsInvalid,
    StoreInvalid,
    UsageWrong,
)
from offline_ledger.money import ARABIC
from offline_ledger.named_files import read_named
from offline_ledger.protocol.cose import Signer
from offline_ledger.rules.civil import BUDDHIST_AHEAD, civil_day, day_of, day_start_s
from offline_ledger.rules.limits import DAY_S, Limits
from offline_ledger.texts import Texts

OK = 0
REFUSED = 1
USAGE = 2
LATER = 75
"""Refused now, and the same command may work later."""
Say = Callable[[str], None]
_DATE = re.compile(r"[0-9]{4}-?[0-9]{2}-?[0-9]{2}")
_SHOWN_DATE = re.compile(r"([0-9]{1,2})/([0-9]{1,2})/(2[5-7][0-9]{2})")
_LISTS = (SettingsInvalid, BulletinFileWrong, UsageWrong)
"""Refusals that list all mistakes by themselves."""


@dataclass(frozen=True, slots=True)
class Console:
    """One run of the program. `settings` is None for `init` only; `steady_s` is a clock that nobody sets."""

    texts: Texts
    say: Say
    warn: Say
    now_s: Callable[[], int]
    limits: Limits
    settings: CitySettings | None
    steady_s: Callable[[], int]

    @property
    def city(self) -> CitySettings:
        """The settings of the city at hand."""
        assert self.settings is not None
        return self.settings

    @property
    def language(self) -> str:
        """`th` or `en`."""
        return self.texts.language

    @contextmanager
    def store(self) -> Generator[Store]:
        """The city's store, closed afterwards. Raises StoreInvalid: none there, or of another city."""
        opened = Store.open(self.city.database)
        try:
            if opened.city != self.city.city:
                raise StoreInvalid(f"{self.city.database} belongs to {opened.city}, the settings say {self.city.city}")
            yield opened
        finally:
            opened.close()

    def keys(self, store: Store) -> CityKeys:
        """The city's signers, each by the key in force. Raises KeyFileUnsafe, NotProvisioned."""
        return self.signing(store).keys

    @contextmanager
    def bulletin_signer(self) -> Generator[tuple[Store, Signer]]:
        """The store, and who signs what terminals are told. Raises StoreInvalid, RecoveryNeeded, VersionUnknown (a
        terminal could not read the trust list), and what `keys` raises."""
        with self.store() as store:
            signer = self.keys(store).bulletin
            recover.check_may_sign(store, self.city.checkpoint)
            rotation.check_readable(store, self.now_s())
            yield store, signer

    def take_lists_back(self, store: Store) -> None:
        """What the roots signed counts, even after a restore from before. Raises TrustChainBroken, StorageFull."""
        trust_copies.agree(store, trust_copies.folder_beside(self.city.checkpoint))

    def signing(self, store: Store, *, settles: bool = True) -> Signing:
        """The city's keys as the newest trust list has them. `settles`: a new key may take over, for good. Raises
        KeyFileUnsafe, NotProvisioned, TrustChainBroken."""
        self.take_lists_back(store)
        made = Signing(store, self.city.keys)
        if settles:
            made.settle(self.now_s())
        made.check_files()
        return made

    def service(self, store: Store, *, settles: bool = True) -> Service:
        """Everything that serving needs, put together. `settles`: as for `signing`."""
        begin_checkpoint(self.city.checkpoint, Log(store))
        signing = self.signing(store, settles=settles)
        keys = signing.keys
        renewal = Renewal(store, keys.device_ca, self.limits)
        ingest = Ingest(store, StoredKeys(store), keys.ack, self.limits, self.city.checkpoint, renewal=renewal)
        desk = WalletDesk(store, keys.issuer, keys.ack, self.limits, self.city.registering, secrets.token_bytes)
        return Service(self.city, store, signing, ingest, desk, self.limits, self.now_s, self.now_s)

    def text(self, key: str, **values: object) -> str:
        """A text of the console: `city.<key>`."""
        return self.texts.get(f"city.{key}", **values)

    def word(self, group: str, number: int | str) -> str:
        """The word for one number of a list (`city.<group>.<number>`); an unknown number stands for itself."""
        try:
            return self.text(f"{group}.{number}")
        except KeyError:
            return str(number)

    def table(self, headings: Sequence[str], rows: Sequence[Sequence[Cell]]) -> None:
        """A table, or the word that there is nothing."""
        self.say(tables.table([self.text(key) for key in headings], rows) if rows else self.text("none"))

    def json(self, value: object) -> None:
        """For other programs."""
        self.say(json.dumps(value, ensure_ascii=False, indent=1))

    def time(self, at_s: int | None) -> str:
        """Date and minute in Bangkok."""
        return tables.time_text(at_s, self.language)

    def age(self, at_s: int | None, now_s: int) -> str:
        """How long ago, short; `-` for never."""
        if at_s is None:
            return "-"
        count, unit = tables.age_of(at_s, now_s)
        return self.text(f"age.{unit}", count=count)

    def day_shown(self, at_s: int) -> str:
        """The day in Bangkok for a person: `21/11/2569` in Thai."""
        return tables.date_text(civil_day(at_s), self.language)

    def day_text(self, at_s: int) -> str:
        """The day in Bangkok for other programs, `2026-11-21`."""
        return tables.date_text(civil_day(at_s), "en")

    def day(self, text: str) -> int:
        """Day number of a date on the command line. Raises UsageWrong."""
        plain = text.strip().translate(ARABIC)
        try:
            if _DATE.fullmatch(plain):
                return day_of(int(plain.replace("-", "")))
            if shown := _SHOWN_DATE.fullmatch(plain):  # as this program shows it in Thai
                date, month, year = (int(part) for part in shown.groups())
                return day_of((year - BUDDHIST_AHEAD) * 10_000 + month * 100 + date)
        except ValueError:
            pass  # no such day, or a Buddhist year
        raise UsageWrong((self.texts.get("usage.day", text=text[:40]),))

    def days(self, first: str | None, last: str | None) -> tuple[int | None, int | None]:
        """Both ends of `--from` and `--until`. Raises UsageWrong, also when there is no day between."""
        found = (self.day(first) if first else None, self.day(last) if last else None)
        if found[0] is not None and found[1] is not None and found[0] > found[1]:
            raise UsageWrong((self.texts.get("usage.days", first=first, last=last),))
        return found

    def validity(self, first: str | None, last: str | None) -> Validity:
        """When what is published between `--from` and `--until` is in force; from now on, for the usual time, where
        nothing is said. Raises UsageWrong."""
        now_s = self.now_s()
        from_day, until_day = self.days(first, last)
        from_s = day_start_s(from_day) if from_day is not None else now_s
        until_s = day_start_s(until_day) + DAY_S - 1 if until_day is not None else now_s + BULLETIN_LIFE_S
        if until_s <= max(from_s, now_s):
            raise UsageWrong((self.texts.get("usage.over", last=last),))
        return Validity(from_s, until_s)

    def warn_of_endings(self, store: Store) -> None:
        """A notice for each key in force, and for the trust list, that ends within 30 days. Changes no exit code."""
        found = endings(store, self.now_s())
        for one in found:
            what = "list" if one.role is None else one.role.name.lower()
            at = self.day_shown(one.until_s)
            self.warn(self.text("ends", number=KeyEndsSoon.number, what=self.text(f"ends.{what}"), at=at))
        if found:
            self.warn(self.text("remedy", remedy=self.texts.get(f"refusal.{KeyEndsSoon.key}.remedy")))

    def refused(self, refusal: Refusal) -> int:
        """Number, title, remedy; the exit code."""
        if isinstance(refusal, _LISTS):
            for problem in refusal.problems:
                self.warn(problem)
        self.warn(self.text("refused", number=refusal.number, title=self._words(refusal, "title")))
        if refusal.detail and not isinstance(refusal, _LISTS):
            self.warn(self.text("detail", detail=self.texts.detail(refusal)))
        self.warn(self.text("remedy", remedy=self._words(refusal, "remedy")))
        if isinstance(refusal, LedgerInUse):
            return LATER
        return USAGE if isinstance(refusal, (*_LISTS, FileUnusable, GrantInvalid)) else REFUSED

    def _words(self, refusal: Refusal, part: str) -> str:
        """What the person at the city's desk can do differs from what a cashier can (`city.refusal.KEY.PART`)."""
        try:
            return self.text(f"refusal.{refusal.key}.{part}")
        except KeyError:
            return self.texts.get(f"refusal.{refusal.key}.{part}")


def refusal_title(texts: Texts, number: int) -> str:
    """The title of a refusal by its number, for lists; `-` for none."""
    if not number:
        return "-"
    found = _by_number(Refusal).get(number)
    return f"{number} {texts.title(found)}" if found else str(number)


def _by_number(base: type[Refusal]) -> dict[int, type[Refusal]]:
    found: dict[int, type[Refusal]] = {}
    for kind in base.__subclasses__():
        found.update(_by_number(kind))
        found[kind.number] = kind
    return found


def read_file(path: Path, bytes_max: int) -> bytes:
    """A file named on the command line. Raises FileUnusable when it cannot be read or is too long: wrong usage."""
    return read_named(path, bytes_max)

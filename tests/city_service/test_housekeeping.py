"""Housekeeping of the running service goes on whatever one part of it meets. DESIGN §7, §8."""

import contextlib
import json
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread

import pytest

from offline_ledger.city import accounts, allowances, log
from offline_ledger.city.__main__ import _console
from offline_ledger.city.accounts import wallet_account
from offline_ledger.city.ending import Daily
from offline_ledger.city.logs import JsonLines
from offline_ledger.city.service import Service
from offline_ledger.city.serving import _keep_house, keep_house
from offline_ledger.city.settings import read_city_settings
from offline_ledger.city.store import Store
from offline_ledger.errors import CityFault, StorageFailed
from offline_ledger.rules.limits import DAY_S
from offline_ledger.texts import Texts
from simulators.keys import SimulatedKey
from tests.city_service.desk import found

WAIT_S_MAX = 20
# a state that no program wrote: a kind of failure that no refusal stands for
BREAK = "UPDATE allowances SET state = 0"
MEND = "UPDATE allowances SET state = 1"


class Said(logging.Handler):
    """What the operator's log holds, line by line."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[dict[str, object]] = []
        self._form = JsonLines()

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(json.loads(self._form.format(record)))


@pytest.fixture
def said() -> Iterator[Said]:
    handler = Said()
    logger = logging.getLogger("kgo.city")
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)


class Hands:
    """The ledger's file from outside, the service, and how often the end of its keys was asked for."""

    def __init__(self, service: Service, wallet_id: int) -> None:
        self.service, self.wallet_id = service, wallet_id
        self.asked = 0
        self.endings = Daily(self._next_day_s, lambda: None)

    def _next_day_s(self) -> int:
        self.asked += 1
        return self.asked * DAY_S

    def change(self, sql: str) -> None:
        with contextlib.closing(Store.open(self.service.settings.database)) as ledger, ledger.transaction():
            ledger.execute(sql)

    @property
    def free_kgo(self) -> int:
        return accounts.balance(self.service.store, wallet_account(self.wallet_id))

    def deny_lists(self) -> int:
        return len(self.service.store.fetch("SELECT 1 FROM deny_lists"))


@pytest.fixture
def hands(tmp_path: Path) -> Iterator[Hands]:
    """A founded city in which one reserve is past its time, and whose allowance cannot be read."""
    folder = tmp_path / "city-test-only"
    found(folder)
    console = _console(Texts("en"), read_city_settings(folder / "city.toml", "en"))
    with console.store() as store:
        service = console.service(store)
        now_s = int(time.time())
        account, key = SimulatedKey(0x911), SimulatedKey(0x912)
        opened = allowances.register(store, account.point, 0, 0, 10_000, now_s)
        allowances.issue(store, service.keys.issuer, account.point, key.point, bytes(8), service.limits, now_s)
        after_s = now_s + service.limits.allowance_life_s + service.limits.reserve_grace_s + 1
        made = Hands(replace(service, now_s=lambda: after_s), opened.wallet_id)
        made.change(BREAK)
        yield made


def eventually(is_so: Callable[[], bool]) -> bool:
    ends_s = time.monotonic() + WAIT_S_MAX
    while not is_so():
        if time.monotonic() > ends_s:
            return False
        time.sleep(0.01)
    return True


def troubles(said: Said) -> set[tuple[object, object]]:
    return {(line["chore"], line["refusal"]) for line in said.lines if line["message"] == "housekeeping"}


def test_one_failing_chore_holds_up_no_other(hands: Hands, said: Said) -> None:
    before = hands.deny_lists()
    keep_house(hands.service, hands.endings)
    assert hands.deny_lists() == before + 1 and hands.asked == 1
    assert troubles(said) == {("release_due", CityFault.number)}
    (line,) = said.lines
    assert line["level"] == "error" and "ValueError" in str(line["detail"]) and "AllowanceState" in str(line["error"])
    hands.change(MEND)
    keep_house(hands.service, hands.endings)
    assert hands.free_kgo == 10_000 and len(said.lines) == 1


def test_the_thread_outlives_every_failure(hands: Hands, said: Said) -> None:
    stop = Event()
    house = Thread(target=_keep_house, args=(hands.service, hands.endings, stop, 0.01))
    house.start()
    try:
        assert eventually(lambda: len(said.lines) >= 3) and house.is_alive()
        assert hands.free_kgo == 0
        hands.change(MEND)
        assert eventually(lambda: hands.free_kgo == 10_000)
    finally:
        stop.set()
        house.join(WAIT_S_MAX)
    assert not house.is_alive()


@pytest.mark.parametrize(("error", "number"), [(RuntimeError(), 4052), (StorageFailed(), StorageFailed.number)])
def test_what_is_due_cannot_even_be_asked(
    hands: Hands, said: Said, monkeypatch: pytest.MonkeyPatch, error: Exception, number: int
) -> None:
    def fails(_service: Service) -> bool:
        raise error

    monkeypatch.setattr(Service, "_may_sign", fails)
    keep_house(hands.service, hands.endings)
    assert troubles(said) == {("chores", number)} and hands.asked == 1


def test_a_restored_ledger_keeps_no_house_and_complains_of_nothing(hands: Hands, said: Said) -> None:
    log.write_checkpoint(hands.service.settings.checkpoint, log.Checkpoint(3, bytes(32)))
    keep_house(hands.service, hands.endings)
    assert not said.lines and hands.asked == 1

"""The service without sockets: housekeeping, a ledger that may not sign, inner faults, slow senders. DESIGN §7, §8."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from offline_ledger.city import accounts, allowances, http, log
from offline_ledger.city.accounts import wallet_account
from offline_ledger.city.console import Console
from offline_ledger.city.founding import Plan, found_city
from offline_ledger.city.service import Service
from offline_ledger.city.settings import read_city_settings
from offline_ledger.city.store import Store
from offline_ledger.errors import CityFault, RecoveryNeeded, Refusal, RequestUnreadable
from offline_ledger.protocol import cbor
from offline_ledger.rules.limits import Limits
from offline_ledger.texts import Texts
from simulators.keys import SimulatedKey

NOW_S = 1_795_000_000


class Clock:
    now_s = NOW_S


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    file = found_city(tmp_path / "city-test-only", Plan("TH-40", with_sample=True), NOW_S)
    settings = read_city_settings(file, "en")
    store = Store.open(settings.database)
    clock = Clock()
    console = Console(Texts("en"), print, print, lambda: clock.now_s, Limits(), settings, lambda: 0)
    made = console.service(store)
    object.__setattr__(made, "now_s", lambda: Clock.now_s)
    object.__setattr__(made, "read_s", lambda: Clock.now_s)
    yield made
    Clock.now_s = NOW_S
    store.close()


def wallet_with_allowance(service: Service) -> int:
    account, key = SimulatedKey(0x901), SimulatedKey(0x902)
    opened = allowances.register(service.store, account.point, 0, 0, 10_000, NOW_S)
    pass_id = secrets.token_bytes(8)
    allowances.issue(service.store, service.keys.issuer, account.point, key.point, pass_id, service.limits, NOW_S)
    return opened.wallet_id


def keep_house(service: Service) -> None:
    for chore in service.chores:
        chore()


def test_housekeeping_returns_reserves_after_their_time(service: Service) -> None:
    wallet_id = wallet_with_allowance(service)
    limits = service.limits
    Clock.now_s = NOW_S + limits.allowance_life_s + limits.reserve_grace_s
    keep_house(service)
    assert accounts.balance(service.store, wallet_account(wallet_id)) == 0
    Clock.now_s += 1
    keep_house(service)
    assert accounts.balance(service.store, wallet_account(wallet_id)) == 10_000
    assert len(service.store.fetch("SELECT 1 FROM deny_lists")) == 2, "and the deny list was dated anew"


def test_a_restored_ledger_signs_nothing_new(service: Service) -> None:
    before = service.bulletins("")
    log.write_checkpoint(service.settings.checkpoint, log.Checkpoint(3, bytes(32)))
    Clock.now_s = NOW_S + 10_000
    for ask in (service.wallet, service.batches, lambda body: service.enrol("token", body)):
        with pytest.raises(RecoveryNeeded):
            ask(b"anything")
    keep_house(service)
    assert service.bulletins("") == before, "what was signed before is still given out, nothing is added"
    assert cbor.decode(service.trust_lists(0), 1 << 20)


def test_where_to_resume_is_told() -> None:
    refusal = RecoveryNeeded("restored")
    plain = cbor.decode(bytes(http.error_response(refusal).body), 1_000)
    assert plain == {1: 4010, 2: "recovery_needed", 3: "restored"}
    refusal.resume_at = (4, 7, bytes(32))
    answer = http.error_response(refusal)
    assert answer.status_code == 503
    assert cbor.decode(bytes(answer.body), 1_000) == {
        1: 4010,
        2: "recovery_needed",
        3: "restored",
        4: [4, 7, bytes(32)],
    }


Receive = Callable[[], Awaitable[dict[str, Any]]]


def post(service: Service, receive: Receive) -> tuple[int, dict[int, Any], BaseException | None]:
    """One request straight into the application: status, CBOR body, what it raised afterwards for the server's log."""
    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def run() -> None:
        scope = {
            "type": "http",
            "method": "POST",
            "path": "/v1/time",
            "headers": [],
            "query_string": b"",
            "root_path": "",
        }
        await http.build_app(service)(scope, receive, send)

    raised: BaseException | None = None
    try:
        asyncio.run(run())
    except Exception as error:  # noqa: BLE001 - whatever it is, the client must have got a numbered answer first
        raised = error
    body: Any = cbor.decode(b"".join(message.get("body", b"") for message in sent), 1_000)
    return sent[0]["status"], body, raised


async def whole_body() -> dict[str, Any]:
    return {"type": "http.request", "body": cbor.encode({1: "x", 2: bytes(16)}), "more_body": False}


def test_an_inner_fault_is_numbered_and_says_nothing_inside() -> None:
    status, body, raised = post(object.__new__(Service), whole_body)
    assert (status, body[1], body[2]) == (500, CityFault.number, CityFault.key)
    assert isinstance(raised, AttributeError) and "store" not in body[3]
    assert not isinstance(raised, Refusal)


def test_a_body_that_never_ends_is_dropped(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "BODY_S_MAX", 0.05)

    async def never() -> dict[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError

    status, body, raised = post(service, never)
    assert (status, body[1], raised) == (400, RequestUnreadable.number, None)

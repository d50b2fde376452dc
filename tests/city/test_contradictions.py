"""However much a wallet signs, what contradicts any of it is found, and one more costs no more than the first."""

from collections.abc import Callable
from random import Random

import pytest

from offline_ledger import errors
from offline_ledger.city import bench, equivocation, spends
from offline_ledger.city.accounts import Books
from offline_ledger.city.bench import PROVEN_REJECTED_MAX, Bench
from offline_ledger.city.pricing import Prices
from offline_ledger.city.spends import PaidBy, Spent
from offline_ledger.city.store import Store
from offline_ledger.protocol.city import Outcome
from offline_ledger.protocol.device import DeviceRole
from offline_ledger.protocol.kinds import Kind
from offline_ledger.protocol.wallet import Audience, Presentment
from offline_ledger.rules import acceptance
from offline_ledger.rules.acceptance import Seen
from offline_ledger.rules.limits import Limits
from tests.city.town import FARE_KGO, NOW_S, Town, TownTerminal, TownWallet

HASH = b"\x07" * 32


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Town(tmp_path_factory.mktemp("contradictions")).store


class Abandoned(Exception):
    """Ends a transaction so that nothing of it stays."""


def _remembering(store: Store, found: list[tuple[Seen, bool]], reopen_every: int) -> list[tuple[bool, bool]]:
    """For each object in turn: is it against any before it, by comparing all; and does the ledger's search say so."""
    told: list[tuple[bool, bool]] = []
    known: list[Seen] = []
    desk = Bench(store, Books(store, NOW_S), Prices(store), Limits(), NOW_S)
    for at, (seen, is_rejected) in enumerate(found):
        if at % reopen_every == 0:  # as the next batch would begin
            desk = Bench(store, Books(store, NOW_S), Prices(store), Limits(), NOW_S)
        desk.prefetch([HASH])
        said = bench.known_against(desk, HASH, seen)
        told.append((any(acceptance.is_against(one, seen) for one in known), said is not None))
        if said is not None:
            assert acceptance.is_against(known[int.from_bytes(said[1], "big")], seen)
        spent = Spent(f"bus-{at % 3}", at + 1, *seen, at.to_bytes(4, "big"), Kind.PRESENTMENT, 0, NOW_S, PaidBy.WALLET)
        if is_rejected:
            bench.remember_rejected(desk, HASH, spent, is_proven=said is not None)
        else:
            bench.remember(desk, HASH, spent)
        known.append(seen)
    return told


def _in_a_transaction(store: Store, found: list[tuple[Seen, bool]], reopen_every: int) -> list[tuple[bool, bool]]:
    told: list[tuple[bool, bool]] = []
    with pytest.raises(Abandoned), store.transaction():
        # a row to hang the spends on: only its hash is looked at
        store.execute(
            "INSERT INTO allowances VALUES(?, x'', 1, x'', x'', 0, 0, 0, 0, 0, 1, NULL, NULL, NULL, 0, 0)", (HASH,)
        )
        told = _remembering(store, found, reopen_every)
        raise Abandoned
    return told


def _seen(n: int, sum_kgo: int, authorised_kgo: int) -> Seen:
    return Seen(n, sum_kgo, authorised_kgo, bytes((n, sum_kgo, authorised_kgo)))


def _drawn(rng: Random) -> tuple[Seen, bool]:
    """Mostly one honest line in any order; now and then something beside it. Rejected, mostly."""
    n = rng.randint(1, 30)
    sum_kgo = 2 * n if rng.random() < 0.8 else rng.randint(0, 62)
    return _seen(n, sum_kgo, rng.randint(0, 2 if sum_kgo == 2 * n else 4)), rng.random() < 0.9


def test_the_search_finds_a_contradiction_exactly_when_comparing_with_all_does(
    store: Store, rng: Random, slice_of: Callable[[int, int], int]
) -> None:
    for _ in range(slice_of(5_000, 500)):
        found = [_drawn(rng) for _ in range(rng.randint(2, 40))]
        told = _in_a_transaction(store, found, rng.randint(1, 40))
        assert all(by_all == by_search for by_all, by_search in told), found


def test_what_is_proof_already_is_bounded_and_the_rest_still_proves(store: Store, rng: Random) -> None:
    """A line of honest-looking rejected objects, more than enough that contradict it, and each of the line again."""
    line = [(_seen(n, 2 * n, 1), True) for n in range(1, 100)]
    liars = [(_seen(rng.randint(1, 99), 0, 3), True) for _ in range(3 * PROVEN_REJECTED_MAX)]
    again = [(_seen(n, 2 * n + 1, 1), True) for n in range(1, 100)]
    told = _in_a_transaction(store, [*line, *liars, *again], 50)
    assert all(by_all == by_search for by_all, by_search in told)
    assert sum(by_search for _by_all, by_search in told) == len(liars) + len(again)


def _falling(bus: TownTerminal, rider: TownWallet, first_n: int, count: int) -> None:
    """Codes with an honest S, the newest first: all but the first are rejected."""
    for n in range(first_n, first_n - count, -1):
        shown = Presentment(rider.allowance.identity, n, n, 1, Audience.TRANSIT, NOW_S, 30)
        bus.boarding(rider.sign(shown), NOW_S)


def test_each_batch_of_rejected_codes_reads_and_compares_as_much_as_the_one_before(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    bus, rider = town.terminal("bus-1", DeviceRole.VALIDATOR), town.wallet()
    read, compared = [0], [0]
    fetch, is_against = Store.fetch, acceptance.is_against

    def counting_fetch(self: Store, sql: str, values: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
        rows = fetch(self, sql, values)  # type: ignore[arg-type]
        read[0] += len(rows) if "spends" in sql else 0
        return rows

    def counting_is_against(first: Seen, second: Seen) -> bool:
        compared[0] += 1
        return is_against(first, second)

    monkeypatch.setattr(Store, "fetch", counting_fetch)
    monkeypatch.setattr(acceptance, "is_against", counting_is_against)
    costs: list[tuple[int, int]] = []
    for batch in range(4):
        _falling(bus, rider, 10_000 - 50 * batch, 50)
        read[0] = compared[0] = 0
        outcomes = town.send(bus, first=50 * batch + 1).outcomes
        assert {outcome for outcome, _refusal in outcomes} == {Outcome.REJECTED}
        costs.append((read[0], compared[0]))
    assert costs[3] == costs[2] == costs[1]
    assert equivocation.proofs(town.store) == []


def test_each_batch_of_accepted_codes_reads_every_earlier_voucher_once(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sales of nothing cost a wallet nothing, so it may have any number of them."""
    till, buyer = town.terminal("pos-1", DeviceRole.SHOP), town.wallet()
    read, compared = [0], [0]
    one, is_against = Store.one, acceptance.is_against

    def counting_one(self: Store, sql: str, values: tuple[object, ...] = ()) -> tuple[object, ...] | None:
        read[0] += "FROM vouchers" in sql
        return one(self, sql, values)  # type: ignore[arg-type]

    def counting_is_against(first: Seen, second: Seen) -> bool:
        compared[0] += 1
        return is_against(first, second)

    monkeypatch.setattr(Store, "one", counting_one)
    monkeypatch.setattr(spends, "is_against", counting_is_against)
    costs: list[tuple[int, int]] = []
    for batch in range(4):
        for _ in range(50):
            buyer.next(0)
            till.sale(buyer.sign(buyer.presentment(Audience.SHOP, NOW_S)), NOW_S, 5_000, 0)
        read[0] = compared[0] = 0
        assert set(town.send(till, first=50 * batch + 1).outcomes) == {(Outcome.POSTED, 0)}
        costs.append((read[0], compared[0]))
    assert [reads for reads, _compares in costs] == [49, 99, 149, 199]
    assert costs[1][1] == costs[2][1] == costs[3][1] <= 2 * 50


def test_a_code_shown_again_and_again_is_remembered_once(town: Town) -> None:
    bus, rider = town.terminal("bus-1", DeviceRole.VALIDATOR), town.wallet()
    early = rider.ride_code(NOW_S - 60)
    for _ in range(3):
        bus.boarding(early, NOW_S)
    assert town.send(bus).outcomes == [(Outcome.REJECTED, errors.CodeTooOld.number)] * 3
    assert town.store.fetch("SELECT sequence, counts FROM spends") == [(1, 0)]
    other = town.terminal("bus-2", DeviceRole.VALIDATOR)
    other.boarding(rider.sign(rider.presentment(Audience.TRANSIT, NOW_S, cap_kgo=FARE_KGO + 1)), NOW_S)
    town.send(other)
    assert len(equivocation.proofs(town.store)) == 1

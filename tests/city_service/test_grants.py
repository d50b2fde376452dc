"""Grant files: exact, whole or nothing, once. DESIGN §1, §8."""

import pytest

from offline_ledger.city import accounts, allowances, grants
from offline_ledger.city.accounts import Currency, wallet_account
from offline_ledger.city.grants import GrantMistakes
from offline_ledger.city.store import Store
from simulators.keys import SimulatedKey

NOW_S = 1_795_000_000
POINTS = [SimulatedKey(0x700 + at).point for at in range(3)]
HEAD = "wallet,amount_kgo,reason\n"


@pytest.fixture
def people(store: Store) -> Store:
    for point in POINTS:
        allowances.register(store, point, 0, 0, 0, NOW_S)
    return store


def balances(store: Store) -> list[int]:
    return [accounts.balance(store, wallet_account(number)) for number in (1, 2, 3)]


def problems_of(store: Store, data: bytes) -> list[tuple[int, str]]:
    before = balances(store)
    with pytest.raises(GrantMistakes) as caught:
        grants.import_grants(store, data, NOW_S)
    assert balances(store) == before, "nothing half-imported"
    return [(problem.line, problem.key) for problem in caught.value.problems]


def test_rows_are_posted_exactly_and_once(people: Store) -> None:
    data = f'{HEAD}1,0.01,หมู่บ้าน\n{POINTS[1].hex()},"1,000.10",b\n\n3,7,"a, ""b"""\n'.encode()
    assert not grants.import_grants(people, data, NOW_S).is_repeat
    assert balances(people) == [1, 100_010, 700]
    assert grants.import_grants(people, data, NOW_S).is_repeat
    assert balances(people) == [1, 100_010, 700]
    grants.import_grants(people, data + b"\n", NOW_S)
    assert balances(people) == [2, 200_020, 1_400], "another file is another gift"
    assert accounts.sums(people) == {Currency.KGO: 0, Currency.THB: 0}


@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_spreadsheets_write_it_their_way(people: Store, bom: bytes, end: bytes) -> None:
    grants.import_grants(people, bom + end.join([b" Reason ,AMOUNT_KGO,wallet", b"x,5,2", b""]), NOW_S)
    assert balances(people) == [0, 500, 0]


def test_all_mistakes_at_once(people: Store) -> None:
    data = f"{HEAD}1,5,good\n99,1.234,\n2,0,b\n2,5\nx,5,c\n3,-1,d\n1,2,good\n".encode()
    assert problems_of(people, data) == [
        (3, "wallet"),
        (3, "amount"),
        (3, "reason_bad"),
        (4, "amount"),
        (5, "cells"),
        (6, "wallet"),
        (7, "amount"),
        (8, "twice"),
    ]


@pytest.mark.parametrize(
    ("data", "key"),
    [
        (b"", "columns"),
        (b"wallet,amount\n1,5\n", "columns"),
        (b"wallet,amount_kgo,reason,reason\n", "columns"),
        (HEAD.encode(), "empty"),
        (HEAD.encode() + b"1,5,\xff\n", "not_utf8"),
        (HEAD.encode() + b'1,5,"x\n', "not_csv"),
        (HEAD.encode() + b"1,5,a\x00b\n", "reason_bad"),
        (b"x" * (grants.FILE_BYTES_MAX + 1), "file_long"),
        (HEAD.encode() + b"1,5,x\n" * (grants.ROWS_MAX + 1), "too_many"),
    ],
)
def test_files_that_are_none(people: Store, data: bytes, key: str) -> None:
    assert [found for _, found in problems_of(people, data)] == [key]


@pytest.mark.parametrize("amount", ["1e3", "0x10", "๕", "--5", "10000000000.01", "NaN", "99999999999"])
def test_amounts_that_are_none(people: Store, amount: str) -> None:
    found = problems_of(people, f"{HEAD}1,{amount},x\n".encode())
    assert found == [(2, "amount")]


def test_the_list_of_mistakes_is_bounded(people: Store) -> None:
    assert len(problems_of(people, HEAD.encode() + b"x,5,y\n" * 500)) == grants.PROBLEMS_MAX

"""Grant files: exact, whole or nothing, once. DESIGN §1, §8."""

import random
from hashlib import sha256

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
    assert grants.import_grants(people, data, NOW_S).posted_at_s is None
    assert balances(people) == [1, 100_010, 700]
    assert grants.import_grants(people, data, NOW_S + 1).posted_at_s == NOW_S
    assert balances(people) == [1, 100_010, 700]
    assert accounts.sums(people) == {Currency.KGO: 0, Currency.THB: 0}


def test_the_same_gifts_are_not_posted_again_however_the_file_was_saved(people: Store) -> None:
    grants.import_grants(people, f"{HEAD}1,1000,a\n2,5,b\n".encode(), NOW_S)
    again = [
        f"\ufeff{HEAD}1,1000,a\n2,5,b\n".encode(),
        b"wallet;amount_kgo;reason\r\n2;5.00;b\r\n1;1,000.00;a\r\n\r\n",
        "reason\tamount_kgo\twallet\na\t๑๐๐๐\t๑\nb\t5.0\t2\n".encode("utf-16"),
        f'{HEAD}{POINTS[0].hex()},"1,000",a\n2,5,b'.encode(),
    ]
    for data in again:
        assert grants.import_grants(people, data, NOW_S + 5).posted_at_s == NOW_S
    assert balances(people) == [100_000, 500, 0]
    for other in ("1,1000,a\n2,5,c\n", "1,1000,a\n", "1,1000.01,a\n2,5,b\n", "1,1000,a\n2,5,b\n3,1,a\n"):
        assert grants.import_grants(people, (HEAD + other).encode(), NOW_S).posted_at_s is None
    assert balances(people) == [500_001, 2_000, 100]


def test_a_file_posted_by_an_earlier_version_is_known_by_its_bytes(people: Store) -> None:
    data = f"{HEAD}1,5,a\n".encode()
    people.put_setting(f"grant.{sha256(data).hexdigest()}", str(NOW_S - 9).encode())
    assert grants.import_grants(people, data, NOW_S).posted_at_s == NOW_S - 9
    assert balances(people) == [0, 0, 0]


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("separator", [b",", b";", b"\t"])
@pytest.mark.parametrize("first", [b"", b"sep="])
def test_spreadsheets_write_it_their_way(
    people: Store, mark: bytes, end: bytes, separator: bytes, first: bytes
) -> None:
    lines = [separator.join(cells) for cells in ((b" Reason ", b"AMOUNT_KGO", b"wallet"), (b'"x"', b"5", b" 2 "))]
    grants.import_grants(people, mark + end.join([*([first + separator] if first else []), *lines, b""]), NOW_S)
    assert balances(people) == [0, 500, 0]


def test_thai_headings(people: Store) -> None:
    grants.import_grants(people, "กระเป๋า,จำนวน_KGO,เหตุผล\n๒,๑๒.๕๐,ชุมชน\n".encode(), NOW_S)
    assert balances(people) == [0, 1_250, 0]


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


def test_an_open_quote_or_bad_bytes_hide_no_later_mistake(people: Store) -> None:
    data = f'{HEAD}1,5,"open\n2,0,b\n1,"5"6,c\n3,5,a "quoted" word\n'.encode() + b"1,5,\xa1\xd2\nx,5,last\n"
    assert problems_of(people, data) == [
        (2, "open_quote"),
        (3, "amount"),
        (4, "stray_quote"),
        (5, "stray_quote"),
        (6, "not_utf8"),
        (7, "wallet"),
    ]


def test_twice_names_the_first_line_whatever_the_spelling(people: Store) -> None:
    with pytest.raises(GrantMistakes) as caught:
        grants.import_grants(people, f"{HEAD}\n1,5,a\n2,5,a\n{POINTS[0].hex()},6,a\n๑,7,a\n".encode(), NOW_S)
    assert [(one.line, one.key, one.other) for one in caught.value.problems] == [(5, "twice", 3), (6, "twice", 3)]


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"", (1, "columns")),
        (b"wallet,amount\n1,5\n", (1, "columns")),
        (b"\nwallet,amount_kgo,reason,reason\n", (2, "columns")),
        (HEAD.encode(), (1, "empty")),
        (HEAD.encode() + b"1,5,\xff\n", (2, "not_utf8")),
        (b"\xff\xfew", (1, "not_utf8")),
        (b'wallet,amount_kgo,"reason\n1,5,a\n', (1, "open_quote")),
        (HEAD.encode() + b"1,5,a\x00b\n", (2, "reason_bad")),
        (HEAD.encode() + b"1,5," + b"x" * 201 + b"\n", (2, "reason_bad")),
        (b"x" * (grants.FILE_BYTES_MAX + 1), (1, "file_long")),
        (HEAD.encode() + b"1,5,x\n" * (grants.ROWS_MAX + 1), (grants.ROWS_MAX + 2, "too_many")),
    ],
)
def test_files_that_are_none(people: Store, data: bytes, found: tuple[int, str]) -> None:
    assert problems_of(people, data) == [found]


@pytest.mark.parametrize(
    "amount", ["1e3", "0x10", "--5", "NaN", "99999999999", "5 KGO", "฿5", "1 000", "+5", "5.", "๕๕e"]
)
def test_amounts_that_are_none(people: Store, amount: str) -> None:
    assert problems_of(people, f"{HEAD}1,{amount},x\n".encode()) == [(2, "amount")]


@pytest.mark.parametrize(
    "amount", ["250,50", "1,00", "1,0000", "12,34,567", ",5", "1.000,50", "1.000", "10000000000.01"]
)
def test_amounts_that_could_be_misread_are_none(people: Store, amount: str) -> None:
    assert problems_of(people, f'{HEAD}1,"{amount}",x\n'.encode()) == [(2, "amount")]


@pytest.mark.parametrize(
    ("amount", "kgo"), [("5", 500), ("๕", 500), ("1,234,567.8", 123_456_780), ("\u00a07\u00a0", 700)]
)
def test_amounts_as_people_write_them(people: Store, amount: str, kgo: int) -> None:
    grants.import_grants(people, f'{HEAD}1,"{amount}",x\n'.encode(), NOW_S)
    assert balances(people) == [kgo, 0, 0]


def test_the_list_of_mistakes_is_bounded_and_the_rest_counted(people: Store) -> None:
    with pytest.raises(GrantMistakes) as caught:
        grants.import_grants(people, HEAD.encode() + b"x,5,y\n" * (grants.PROBLEMS_MAX + 7), NOW_S)
    assert len(caught.value.problems) == grants.PROBLEMS_MAX and caught.value.more == 7


def test_mutated_files_are_posted_whole_or_refused(people: Store, rng: random.Random) -> None:
    good = f'{HEAD}1,5,"a ""b"" c"\n2,1,x\n'.encode()
    for _ in range(300):
        data = bytearray(good)
        for _ in range(rng.randrange(1, 6)):
            data[rng.randrange(len(data))] = rng.choice(b'",;\n\r\t 0123\xff\xe0w')
        before = balances(people)
        try:
            rows = grants.import_grants(people, bytes(data), NOW_S).rows
        except GrantMistakes as mistakes:
            assert mistakes.problems and balances(people) == before
        else:
            assert rows
    assert accounts.sums(people) == {Currency.KGO: 0, Currency.THB: 0}

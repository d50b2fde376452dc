"""Grant files: exact, each row once, and back again. DESIGN §1, §8."""

import random

import pytest

from offline_ledger.city import accounts, allowances, grants
from offline_ledger.city.accounts import Currency, wallet_account
from offline_ledger.city.audit_findings import Findings
from offline_ledger.city.audit_money import MoneyAudit
from offline_ledger.city.gifts import reason_key
from offline_ledger.city.grants import GrantMistakes, Imported, TakenBack, Usual
from offline_ledger.city.store import Store
from offline_ledger.money import KGO
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


def give(store: Store, data: bytes | str, now_s: int = NOW_S) -> Imported:
    """Large amounts are meant."""
    return grants.import_grants(store, data.encode() if isinstance(data, str) else data, now_s, None)


def take_back(store: Store, rows: str, note: str = "typing error") -> list[tuple[int, int]]:
    """What was taken and what is left of each row."""
    done: tuple[TakenBack, ...] = grants.take_back(store, (HEAD + rows).encode(), note, NOW_S + 9)
    return [(one.taken_kgo, one.left_kgo) for one in done]


def findings(store: Store) -> list[str]:
    found = Findings()
    with store.snapshot():
        MoneyAudit(store, found).run()
    return [finding.what for finding in found.kept]


def problems_of(store: Store, data: bytes) -> list[tuple[int, str]]:
    before = balances(store)
    with pytest.raises(GrantMistakes) as caught:
        give(store, data)
    assert balances(store) == before, "nothing half-imported"
    return [(problem.line, problem.key) for problem in caught.value.problems]


def test_rows_are_posted_exactly_and_once(people: Store) -> None:
    data = f'{HEAD}1,0.01,หมู่บ้าน\n{POINTS[1].hex()},"1,000.10",b\n\n3,7,"a, ""b"""\n'
    assert len(give(people, data).posted) == 3
    assert balances(people) == [1, 100_010, 700]
    again = give(people, data, NOW_S + 1)
    assert again.posted == () and [at_s for _row, at_s in again.before] == [NOW_S] * 3
    assert balances(people) == [1, 100_010, 700]
    assert accounts.sums(people) == {Currency.KGO: 0, Currency.THB: 0}


def test_the_same_gifts_are_not_posted_again_however_the_file_was_saved(people: Store) -> None:
    give(people, f"{HEAD}1,1000,a\n2,5,b\n")
    again = [
        f"\ufeff{HEAD}1,1000,a\n2,5,b\n".encode(),
        b"wallet;amount_kgo;reason\r\n2;5.00;B\r\n1;1,000.00;a\r\n\r\n",
        "reason\tamount_kgo\twallet\na\t๑๐๐๐\t๑\nb\t5.0\t2\n".encode("utf-16"),
        f'{HEAD}{POINTS[0].hex()},"1,000",a\n2,5,b'.encode(),
        f"{HEAD}2,5,b\n".encode(),
    ]
    for data in again:
        assert give(people, data).posted == ()
    assert balances(people) == [100_000, 500, 0]


def test_a_row_that_was_added_later_is_posted_alone(people: Store) -> None:
    """Nothing is posted of a file with a mistake, so people mend it and give the whole file again."""
    give(people, f"{HEAD}1,1000,June\n2,5,June\n")
    done = give(people, f"{HEAD}3,7,June\n1,1000,June\n2,5,June\n1,20,July\n", NOW_S + 3)
    assert [(row.line, row.wallet_id) for row in done.posted] == [(2, 3), (5, 1)]
    assert [(row.line, at_s) for row, at_s in done.before] == [(3, NOW_S), (4, NOW_S)]
    assert balances(people) == [102_000, 500, 700]


def test_another_amount_for_the_same_reason_is_a_mistake_and_stops_the_file(people: Store) -> None:
    give(people, f"{HEAD}1,1000,June\n2,5,June\n")
    assert problems_of(people, f"{HEAD}3,7,June\n1,1000.01,june\n2,4,June\n".encode()) == [
        (3, "otherwise"),
        (4, "otherwise"),
    ]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("น้ำ", "น้ํา"),
        ("น้ำ", "นํ้า"),
        ("แจก", "เเจก"),
        ("June", "JUNE"),
        ("Straße", "STRASSE"),
        ("a  b", " a b\u00a0"),
        ("\u00e9t\u00e9", "e\u0301te\u0301"),
        ("รอบ ๒", "รอบ 2"),
        ("ＫＧＯ", "kgo"),
    ],
)
def test_one_reason_in_two_spellings(people: Store, one: str, other: str) -> None:
    assert reason_key(one) == reason_key(other)
    give(people, f"{HEAD}1,5,{one}\n")
    assert give(people, f"{HEAD}1,5,{other}\n").posted == ()
    assert problems_of(people, f"{HEAD}1,5,{one}\n1,6,{other}\n".encode()) == [(3, "twice")]


@pytest.mark.parametrize("row", ["3,1,000", "3,๑,๐๐๐", "3,1,000.50", "3,1, 500"])
def test_a_reason_of_digits_only_is_a_comma_of_the_amount(people: Store, row: str) -> None:
    assert problems_of(people, f"{HEAD}1,5,a\n{row}\n".encode()) == [(3, "reason_digits")]


def test_what_was_given_for_digits_before_can_be_taken_back(people: Store) -> None:
    accounts.grant(people, 3, 100, NOW_S, "000")
    assert give(people, HEAD + "3,1,000\n").posted == ()
    assert take_back(people, "3,1,000\n") == [(100, 0)]


@pytest.mark.parametrize(
    ("one", "other"), [("June", "July"), ("น้ำ", "นำ"), ("รอบ 2", "รอบ 3"), ("2569", "2569/06"), ("ab", "a b")]
)
def test_another_reason_is_another_gift(people: Store, one: str, other: str) -> None:
    give(people, f"{HEAD}1,5,{one}\n")
    assert len(give(people, f"{HEAD}1,5,{other}\n").posted) == 1


def test_a_gift_of_an_earlier_version_or_to_a_stand_in_is_known(people: Store) -> None:
    accounts.grant(people, 1, 500, NOW_S - 9, "ชุมชนน้ํา ")
    accounts.grant(people, 2, 700, NOW_S - 8, "old")
    people.execute("INSERT INTO stand_ins(wallet_id, joined_id) VALUES(2, 3)")
    done = give(people, f"{HEAD}1,5,ชุมชนน้ำ\n3,7,old\n")
    assert done.posted == () and [at_s for _row, at_s in done.before] == [NOW_S - 9, NOW_S - 8]


@pytest.mark.parametrize(
    ("rows", "found"),
    [
        ("1,10,a\n2,10,a\n", []),
        ("1,10.01,a\n", [(2, "large")]),
        ("1,10,a\n2,10,a\n3,5.01,a\n", [(1, "large_file")]),
        ("1,1000000,a\nx,5,a\n", [(3, "wallet")]),
    ],
)
def test_more_than_usual_must_be_meant(people: Store, rows: str, found: list[tuple[int, str]]) -> None:
    data, usual = (HEAD + rows).encode(), Usual(10 * KGO, 25 * KGO)
    if not found:
        assert grants.import_grants(people, data, NOW_S, usual).posted
        return
    with pytest.raises(GrantMistakes) as caught:
        grants.import_grants(people, data, NOW_S, usual)
    assert [(problem.line, problem.key) for problem in caught.value.problems] == found
    assert balances(people) == [0, 0, 0]


def test_what_was_given_before_is_no_part_of_the_files_ceiling(people: Store) -> None:
    usual = Usual(10 * KGO, 10 * KGO)
    for rows in ("1,10,a\n", "1,10,a\n2,10,a\n", "1,10,a\n2,10,a\n3,10,a\n"):
        assert len(grants.import_grants(people, (HEAD + rows).encode(), NOW_S, usual).posted) == 1


def test_a_gift_goes_back_and_can_be_given_rightly(people: Store) -> None:
    give(people, f"{HEAD}1,1000000,June\n2,5,June\n")
    assert take_back(people, "1,1000000,june\n") == [(100_000_000, 0)]
    assert balances(people) == [0, 500, 0] and findings(people) == []
    assert len(give(people, f"{HEAD}1,100,June\n2,5,June\n").posted) == 1
    assert balances(people) == [10_000, 500, 0]


def test_what_is_reserved_comes_back_later_and_never_more_than_was_given(people: Store) -> None:
    give(people, f"{HEAD}1,50,June\n")
    reserved = accounts.reserved_account(bytes(32))
    reserve = accounts.Posting(accounts.Reason.RESERVE, ((wallet_account(1), -3_000), (reserved, 3_000)))
    accounts.post_now(people, NOW_S, [reserve])
    assert take_back(people, "1,50,June\n") == [(2_000, 3_000)]
    assert take_back(people, "1,50,June\n") == [(0, 3_000)] and balances(people) == [0, 0, 0]
    release = accounts.Posting(accounts.Reason.RELEASE, ((wallet_account(1), 3_000), (reserved, -3_000)))
    accounts.post_now(people, NOW_S, [release])
    give(people, f"{HEAD}1,70,July\n")
    assert take_back(people, "1,50,June\n") == [(3_000, 0)] and balances(people) == [7_000, 0, 0]
    assert findings(people) == []
    with pytest.raises(GrantMistakes) as caught:
        take_back(people, "1,50,June\n1,71,July\n2,5,June\n")
    assert [(one.line, one.key, one.other) for one in caught.value.problems] == [
        (2, "not_given", ""),
        (3, "not_given_so", "70.00"),
        (4, "not_given", ""),
    ]


def test_of_a_gift_that_was_posted_twice_one_goes_back(people: Store) -> None:
    for _twice in range(2):
        accounts.grant(people, 1, 500, NOW_S, "June")
    assert take_back(people, "1,5,June\n") == [(500, 0)] and balances(people) == [500, 0, 0]
    assert give(people, f"{HEAD}1,5,June\n").posted == () and findings(people) == []


@pytest.mark.parametrize(
    "harm",
    [
        "UPDATE postings SET note = '99: x' WHERE reason = 14",
        "UPDATE postings SET note = 'x' WHERE reason = 14",
        "UPDATE entries SET amount = amount * 2 WHERE posting_id = 3",
        "UPDATE entries SET amount = -amount WHERE posting_id = 3",
        "UPDATE entries SET account_id = (SELECT account_id FROM accounts WHERE kind = 1 AND name = '2')"
        " WHERE posting_id = 3 AND amount < 0",
    ],
)
def test_the_audit_knows_what_was_taken_back_wrongly(people: Store, harm: str) -> None:
    give(people, f"{HEAD}1,5,a\n2,5,a\n")
    take_back(people, "1,5,a\n")
    assert findings(people) == []
    people.execute(harm)
    assert "taken_back_wrong" in findings(people)


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("separator", [b",", b";", b"\t"])
@pytest.mark.parametrize("first", [b"", b"sep="])
def test_spreadsheets_write_it_their_way(
    people: Store, mark: bytes, end: bytes, separator: bytes, first: bytes
) -> None:
    lines = [separator.join(cells) for cells in ((b" Reason ", b"AMOUNT_KGO", b"wallet"), (b'"x"', b"5", b" 2 "))]
    give(people, mark + end.join([*([first + separator] if first else []), *lines, b""]))
    assert balances(people) == [0, 500, 0]


def test_thai_headings(people: Store) -> None:
    give(people, "กระเป๋า,จำนวน_KGO,เหตุผล\n๒,๑๒.๕๐,ชุมชน\n".encode())
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
        give(people, f"{HEAD}\n1,5,a\n2,5,a\n{POINTS[0].hex()},6,a\n๑,7,a\n".encode())
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
    give(people, f'{HEAD}1,"{amount}",x\n'.encode())
    assert balances(people) == [kgo, 0, 0]


def test_the_list_of_mistakes_is_bounded_and_the_rest_counted(people: Store) -> None:
    with pytest.raises(GrantMistakes) as caught:
        give(people, HEAD.encode() + b"x,5,y\n" * (grants.PROBLEMS_MAX + 7))
    assert len(caught.value.problems) == grants.PROBLEMS_MAX and caught.value.more == 7


def test_mutated_files_are_posted_whole_or_refused(people: Store, rng: random.Random) -> None:
    good = f'{HEAD}1,5,"a ""b"" c"\n2,1,x\n'.encode()
    for _ in range(300):
        data = bytearray(good)
        for _ in range(rng.randrange(1, 6)):
            data[rng.randrange(len(data))] = rng.choice(b'",;\n\r\t 0123\xff\xe0w')
        before = balances(people)
        try:
            done = give(people, bytes(data))
        except GrantMistakes as mistakes:
            assert mistakes.problems and balances(people) == before
        else:
            assert done.posted or done.before
    assert accounts.sums(people) == {Currency.KGO: 0, Currency.THB: 0}

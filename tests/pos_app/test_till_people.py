"""Who may sign in at the page: the first manager is made once, whoever presses at the same moment. DESIGN §3."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Barrier, Thread

import pytest

from offline_ledger.errors import NotNow
from pos_app.desk.ports import Person
from pos_app.desk_parts import TillPeople
from pos_app.store.cashiers import Cashiers
from pos_app.store.shop_file import ShopFile

WAIT_S = 10.0
PINS = {"1": "5820", "2": "7391"}


@pytest.fixture
def people(tmp_path: Path) -> Iterator[TillPeople]:
    file = ShopFile(tmp_path / "shop.db")
    yield TillPeople(Cashiers(file, 0), lambda: 0, lambda: False)
    file.close()


def test_two_windows_make_one_first_manager(people: TillPeople) -> None:
    made: list[Person] = []
    both = Barrier(len(PINS), timeout=WAIT_S)

    def press(code: str) -> None:
        assert people.is_empty
        both.wait()
        with suppress(NotNow):
            made.append(people.add_first(code, "มะลิ", PINS[code]))

    windows = [Thread(target=press, args=(code,)) for code in PINS]
    for one in windows:
        one.start()
    for one in windows:
        one.join(WAIT_S)
    assert len(made) == 1 and people.everyone() == made and not people.is_empty


def test_a_first_manager_is_made_only_where_there_is_nobody(people: TillPeople) -> None:
    first = people.add_first("1", "มะลิ", PINS["1"])
    with pytest.raises(NotNow):
        people.add_first("2", "สมชาย", PINS["2"])
    assert people.everyone() == [first]

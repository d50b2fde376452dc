"""Cashiers and their PINs: what may be chosen, what a wrong one costs, and what a pulled plug gives back: nothing."""

import re
from collections.abc import Iterator
from pathlib import Path
from threading import Barrier, Thread

import pytest

from offline_ledger.errors import (
    CashierCodeTaken,
    CashiersFull,
    CashierUnknown,
    CashierWrong,
    FirstCashierNotManager,
    LastManager,
    PinNotDigits,
    PinWait,
    PinWeak,
    PinWrong,
    Refusal,
    ShopFileDamaged,
    StorageFull,
)
from pos_app.counter.permissions import Role
from pos_app.store import cashiers as cashiers_module
from pos_app.store.cashiers import WAITS_S, Cashier, Cashiers, PinWaits, check_new_pin, is_pin, wait_after
from pos_app.store.pin_hash import COST, MEMORY_KIB_MAX, PinCost, hash_of, is_hash_of
from pos_app.store.shop_file import ShopFile
from simulators.storage.disk import simulated_disk

CHEAP = PinCost(8, 1)
"""For tests that are not about the cost."""
BOSS = Cashier("9", "สมศรี", Role.MANAGER)
SOM = Cashier("1", "สมชาย", Role.CASHIER)
PIN, WRONG = "7391", "8264"
BOOT_MS = 5_000_000


@pytest.fixture
def file(tmp_path: Path) -> Iterator[ShopFile]:
    made = ShopFile(tmp_path / "shop.db")
    yield made
    made.close()


@pytest.fixture
def people(file: ShopFile) -> Cashiers:
    made = Cashiers(file, BOOT_MS, CHEAP)
    made.add(BOSS, "5820")
    made.add(SOM, PIN)
    return made


# --- who there is


def test_the_first_one_is_a_manager(file: ShopFile) -> None:
    people = Cashiers(file, BOOT_MS, CHEAP)
    assert people.is_empty and people.all() == []
    for role in (Role.CASHIER, Role.SUPERVISOR):
        with pytest.raises(FirstCashierNotManager):
            people.add(SOM._replace(role=role), PIN)
    assert people.add(BOSS._replace(name="  สม \u200b ศรี "), "5820") == BOSS._replace(name="สม ศรี")
    assert not people.is_empty


def test_everybody_is_listed_by_code(people: Cashiers) -> None:
    people.add(Cashier("10", "มานี", Role.SUPERVISOR), "4826")
    assert [one.code for one in people.all()] == ["1", "9", "10"]
    assert people.get("10") == Cashier("10", "มานี", Role.SUPERVISOR) and people.get("2") is None


@pytest.mark.parametrize(
    ("code", "name", "is_good"),
    [
        ("2", "ก", True),
        ("000000", "ก", True),
        ("", "ก", False),
        ("1234567", "ก", False),
        ("๑", "ก", False),
        ("a", "ก", False),
        ("2\n", "ก", False),
        ("-1", "ก", False),
        ("2", "ก" * 40, True),
        ("2", "ก" * 41, False),
        ("2", "", False),
        ("2", " \u200b", False),
        ("2", "a\u202eb", False),
    ],
)
def test_codes_and_names(people: Cashiers, code: str, name: str, is_good: bool) -> None:
    made = Cashier(code, name, Role.CASHIER)
    if is_good:
        assert people.add(made, PIN) == people.get(code) == made
    else:
        with pytest.raises(CashierWrong):
            people.add(made, PIN)
        assert len(people.all()) == 2


def test_a_code_is_one_persons_for_good(people: Cashiers) -> None:
    people.retire("1")
    for code in ("1", "9"):
        with pytest.raises(CashierCodeTaken):
            people.add(Cashier(code, "ใหม่", Role.CASHIER), "4826")
    assert people.get("1") == SOM._replace(is_active=False)


def test_the_list_has_an_end(people: Cashiers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cashiers_module, "CASHIERS_MAX", 3)
    people.add(Cashier("2", "มานี", Role.CASHIER), "4826")
    with pytest.raises(CashiersFull):
        people.add(Cashier("3", "ปิติ", Role.CASHIER), "4826")


def test_the_last_manager_stays(people: Cashiers) -> None:
    with pytest.raises(LastManager):
        people.retire("9")
    people.add(Cashier("8", "มานี", Role.MANAGER), "4826")
    assert not people.retire("9").is_active
    with pytest.raises(LastManager):
        people.retire("8")


@pytest.mark.parametrize("code", ["2", "", "1' OR '1", "\ud800"])
def test_an_unknown_code_is_told(people: Cashiers, code: str) -> None:
    for change in (lambda: people.retire(code), lambda: people.set_pin(code, "4826")):
        with pytest.raises(CashierUnknown):
            change()
    with pytest.raises(PinWrong):
        people.check_pin(code, PIN, BOOT_MS)


# --- which PINs


@pytest.mark.parametrize(
    ("pin", "is_good"),
    [
        ("7391", True),
        ("73918264", True),
        ("739", False),
        ("739182645", False),
        ("", False),
        ("73 1", False),
        ("๗๓๙๑", False),
        ("7391\n", False),
        ("0000", False),
        ("11111111", False),
        ("1212", False),
        ("7878787", False),
        ("1213", True),
        ("1234", False),
        ("12345678", False),
        ("6789012", False),  # on over the nine
        ("4321", False),
        ("210987", False),
        ("1243", True),
        ("0124", True),
        ("4711", False),  # the code
        ("004711", False),
        ("47114711", False),
        ("47115", True),
    ],
)
def test_pins_that_anybody_would_try_first_are_refused(pin: str, is_good: bool) -> None:
    if is_good:
        check_new_pin("4711", pin)
    else:
        with pytest.raises(PinWeak if is_pin(pin) else PinNotDigits):
            check_new_pin("4711", pin)


def test_a_weak_pin_changes_nothing(people: Cashiers) -> None:
    with pytest.raises(PinWeak):
        people.set_pin("1", "1234")
    with pytest.raises(PinWeak):
        people.add(Cashier("2", "มานี", Role.CASHIER), "2222")
    assert people.get("2") is None and people.check_pin("1", PIN, BOOT_MS) == SOM
    assert is_pin("0000"), "whether it is weak is asked when it is chosen, not when it is tried"


# --- signing in


def test_the_right_pin_says_who_it_is(people: Cashiers) -> None:
    assert people.check_pin("1", PIN, BOOT_MS) == SOM and people.check_pin("9", "5820", BOOT_MS) == BOSS


@pytest.mark.parametrize("pin", [WRONG, "", "7391 ", "73910", "๗๓๙๒", "7" * 10_000, "\ud800", "\x00"])
def test_a_wrong_pin_is_told_and_counted(people: Cashiers, pin: str) -> None:
    with pytest.raises(PinWrong):
        people.check_pin("1", pin, BOOT_MS)
    with pytest.raises(PinWrong):
        people.check_pin("1", pin, BOOT_MS)
    with pytest.raises(PinWrong):
        people.check_pin("1", pin, BOOT_MS)
    assert people.wait_s("1", BOOT_MS) == 1 and people.wait_s("9", BOOT_MS) == 0


def test_who_has_left_is_told_as_a_wrong_pin(people: Cashiers) -> None:
    people.retire("1")
    with pytest.raises(PinWrong):
        people.check_pin("1", PIN, BOOT_MS)


def test_waits_grow_to_a_minute_and_no_further(people: Cashiers) -> None:
    at_ms = BOOT_MS
    for failures in range(1, 14):
        with pytest.raises(PinWrong):
            people.check_pin("1", WRONG, at_ms)
        wait_s = WAITS_S[min(failures, len(WAITS_S) - 1)]
        assert people.wait_s("1", at_ms) == wait_s == wait_after(failures)
        if wait_s:
            with pytest.raises(PinWaits) as waits:  # also the right one, and it is not even looked at
                people.check_pin("1", PIN, at_ms + wait_s * 1000 - 1)
            assert waits.value.left_s == 1 and waits.value.number == 1946 and waits.value.waiting_helps
        at_ms += wait_s * 1000
    assert wait_after(3) == 1 and WAITS_S[-1] == wait_after(1_000_000) == 60
    assert people.check_pin("1", PIN, at_ms) == SOM, "nobody is shut out for good"
    assert people.wait_s("1", at_ms) == 0


def test_a_success_clears_the_count(people: Cashiers) -> None:
    for _round in range(5):
        for _try in range(2):
            with pytest.raises(PinWrong):
                people.check_pin("1", WRONG, BOOT_MS)
        assert people.check_pin("1", PIN, BOOT_MS) == SOM


def test_another_persons_success_clears_nothing(people: Cashiers) -> None:
    """Else a cashier could guess the manager's PIN twice, sign in, and guess again."""
    for _try in range(4):
        with pytest.raises((PinWrong, PinWait)):
            people.check_pin("9", WRONG, BOOT_MS)
        people.check_pin("1", PIN, BOOT_MS)
    assert people.wait_s("9", BOOT_MS) > 0


def test_a_restart_gives_no_try_back_and_begins_the_wait_anew(file: ShopFile, people: Cashiers) -> None:
    at_ms = BOOT_MS
    for failures in range(1, 7):
        with pytest.raises(PinWrong):
            people.check_pin("1", WRONG, at_ms)
        at_ms += wait_after(failures) * 1000
    again = Cashiers(file, 0, CHEAP)  # another boot: its powered time begins at nothing
    assert again.wait_s("1", 0) == 8 and again.wait_s("1", 7_999) == 1
    with pytest.raises(PinWaits):
        again.check_pin("1", PIN, 7_999)
    with pytest.raises(PinWrong):
        again.check_pin("1", WRONG, 8_000)
    assert again.wait_s("1", 8_000) == 16
    assert again.check_pin("1", PIN, 24_000) == SOM


def test_a_try_is_counted_before_it_is_looked_at(tmp_path: Path) -> None:
    """A disk that takes no count gives no try: else a full disk would be a way to guess."""
    with simulated_disk("pins-full") as disk:
        file = ShopFile(tmp_path / "shop.db", disk.name)
        people = Cashiers(file, BOOT_MS, CHEAP)
        people.add(BOSS, "5820")
        disk.faults.is_full = True
        with pytest.raises(StorageFull):
            people.check_pin("9", "5820", BOOT_MS)
        with pytest.raises(StorageFull):
            people.check_pin("9", WRONG, BOOT_MS)
        disk.faults.is_full = False
        assert people.check_pin("9", "5820", BOOT_MS) == BOSS
        file.close()


def test_tries_at_once_count_each(people: Cashiers) -> None:
    """Two tabs of the page guess beside each other: no more tries than one after another."""
    gate, refused = Barrier(8), list[type[Refusal]]()

    def guess(pin: str) -> None:
        gate.wait()
        try:
            people.check_pin("1", pin, BOOT_MS)
        except (PinWrong, PinWait) as refusal:
            refused.append(type(refusal))

    threads = [Thread(target=guess, args=(f"826{n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (refused.count(PinWrong), refused.count(PinWaits)) == (3, 5)


def test_a_new_pin_counts_at_once_and_ends_the_wait(people: Cashiers) -> None:
    for _try in range(3):
        with pytest.raises(PinWrong):
            people.check_pin("1", WRONG, BOOT_MS)
    people.set_pin("1", "4826")
    assert people.check_pin("1", "4826", BOOT_MS) == SOM
    with pytest.raises(PinWrong):
        people.check_pin("1", PIN, BOOT_MS)


# --- how it is kept


def test_no_pin_is_in_the_file(tmp_path: Path, file: ShopFile, people: Cashiers) -> None:
    people.check_pin("1", PIN, BOOT_MS)
    file.close()
    kept = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert PIN.encode() not in re.sub(rb"\$argon2id[^\x00]{1,200}", b"", kept) and b"$argon2id$" in kept


@pytest.mark.arm64
def test_what_one_try_costs() -> None:
    """OWASP's least for argon2id, once for real."""
    kept = hash_of(PIN, COST)
    assert kept.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert is_hash_of(kept, PIN, COST) and not is_hash_of(kept, WRONG, COST) and not is_hash_of(kept, "", COST)
    assert hash_of(PIN, CHEAP) != hash_of(PIN, CHEAP), "a salt each"


def test_a_hash_of_another_cost_is_made_anew_with_the_next_success(file: ShopFile, people: Cashiers) -> None:
    now = Cashiers(file, BOOT_MS, PinCost(16, 1))
    with pytest.raises(PinWrong):
        now.check_pin("1", WRONG, BOOT_MS)
    assert ",t=1" in kept_hash(file) and "m=8," in kept_hash(file)
    now.check_pin("1", PIN, BOOT_MS)
    assert "m=16," in kept_hash(file) and now.check_pin("1", PIN, BOOT_MS) == SOM


@pytest.mark.parametrize("kept", ["", "1234", f"$argon2id$v=19$m={MEMORY_KIB_MAX + 1},t=1,p=1$c2FsdHNhbHQ$aGFzaGhhc2g"])
def test_a_hash_that_is_none_of_ours_is_damage(file: ShopFile, people: Cashiers, kept: str) -> None:
    file.write([("UPDATE cashier SET pin = ? WHERE code = '1'", (kept,))])
    with pytest.raises(ShopFileDamaged):
        people.check_pin("1", PIN, BOOT_MS)


def kept_hash(file: ShopFile) -> str:
    return str(file.fetch("SELECT pin FROM cashier WHERE code = '1'")[0][0])


@pytest.mark.parametrize("change", ["role = -7", "role = 0", "role = 4", "code = 'x'"])
def test_a_row_that_is_no_cashier_is_left_out_and_named(file: ShopFile, people: Cashiers, change: str) -> None:
    assert people.damage is None
    file.write([(f"UPDATE cashier SET {change} WHERE code = '1'", ())])
    assert people.all() == [BOSS] and not people.is_empty
    assert isinstance(people.damage, ShopFileDamaged)


def test_failures_of_any_number_have_a_wait() -> None:
    assert [wait_after(failures) for failures in (-(2**62), -1, 0, 2**62)] == [0, 0, 0, WAITS_S[-1]]

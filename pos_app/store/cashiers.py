"""Who may sign in at the till: name, code, role and the hash of a PIN, in `shop.db`; wrong PINs cost growing waits.
DESIGN §5 "under a role PIN".

A try is counted durably before the PIN is looked at, so that a pulled plug gives none back; how long to wait is no time
of day but runs anew from each start, so that a clock that is set forward shortens nothing (decision 0170). Never keeps
or logs a PIN, never says which of code and PIN was wrong, and never shuts anybody out for good. `check_pin` takes tens
of milliseconds on purpose: not on the thread that decides payments.
"""

import re
from collections.abc import Sequence
from threading import Lock
from typing import NamedTuple, cast

import apsw

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
    ShopFileDamaged,
)
from offline_ledger.money import ARABIC
from offline_ledger.terminal.journal_sql import Row, SqlValue, Statement
from pos_app.counter.permissions import Role
from pos_app.store.goods import tidied, wrong_in_name
from pos_app.store.pin_hash import COST, PinCost, hash_of, is_hash_of, is_of_cost
from pos_app.store.shop_file import ShopFile

CASHIERS_MAX = 200
"""With those who have left: old receipts name them."""
NAME_CHARACTERS_MAX = 40
PIN_DIGITS_MIN, PIN_DIGITS_MAX = 4, 8
WAITS_S = (0, 0, 0, 1, 2, 4, 8, 16, 32, 60)
"""After so many tries in a row that did not succeed; the last holds for all that follow. Two are a slip of a wet
finger; at one a minute, four digits take a week without a break, in front of the shop and in the audit log. Not longer:
whoever wants to annoy must not keep a cashier from the queue."""
FAILURES_MAX = 1_000_000

_TABLES = (
    "CREATE TABLE IF NOT EXISTS cashier ("
    "code TEXT PRIMARY KEY, name TEXT NOT NULL, role INTEGER NOT NULL, pin TEXT NOT NULL, is_active INTEGER NOT NULL,"
    " failures INTEGER NOT NULL) STRICT, WITHOUT ROWID",
)
_COLUMNS = "code, name, role, is_active"
_CODE = re.compile(r"[0-9]{1,6}")
_PIN = re.compile(r"[0-9]{4,8}")
_UP = "01234567890123456"
_DOWN = _UP[::-1]


class Cashier(NamedTuple):
    """One who may sign in, or might once. `code`: 1 to 6 digits, keyed in on the page and printed on receipts."""

    code: str
    name: str
    role: Role
    is_active: bool = True


class PinWaits(PinWait):
    """With the whole seconds until the next try is looked at."""

    def __init__(self, left_s: int) -> None:
        super().__init__(f"{left_s} s")
        self.left_s = left_s


class Cashiers:
    """All of them. Every method may be called from any thread."""

    def __init__(self, file: ShopFile, mono_ms: int, cost: PinCost = COST) -> None:
        """Makes its table where there is none. `mono_ms`: the powered time of this boot, as every later call has it;
        the waits of before this start begin anew now."""
        self._file, self._started_ms, self._cost = file, mono_ms, cost
        self._lock = Lock()
        self._closed_until_ms: dict[str, int] = {}
        self._nobody: str | None = None
        self.damage: ShopFileDamaged | None = None
        """The newest row that is no cashier: a list leaves it out, so that it stops no till."""
        file.has_tables(*_TABLES)

    # --- looking

    @property
    def is_empty(self) -> bool:
        """Nobody can sign in yet: the first one is to be made, a manager."""
        return not self._file.fetch("SELECT 1 FROM cashier WHERE is_active LIMIT 1")

    def get(self, code: str) -> Cashier | None:
        """Also one who has left. Raises ShopFileDamaged."""
        if not _CODE.fullmatch(code):
            return None
        found = self._file.fetch(f"SELECT {_COLUMNS} FROM cashier WHERE code = ?", (code,))
        return _cashier_of(found[0]) if found else None

    def all(self) -> list[Cashier]:
        """By code; those who have left too, and without those that cannot be read (`damage`)."""
        rows = self._file.fetch(f"SELECT {_COLUMNS} FROM cashier ORDER BY length(code), code LIMIT ?", (CASHIERS_MAX,))
        found: list[Cashier] = []
        for row in rows:
            try:
                found.append(_cashier_of(row))
            except ShopFileDamaged as damage:
                self.damage = damage
        return found

    def wait_s(self, code: str, mono_ms: int) -> int:
        """Whole seconds until the next try of this code is looked at, rounded up; 0: now."""
        with self._lock:
            return self._left_s(code, self._failures(code), mono_ms)

    # --- signing in

    def check_pin(self, code: str, pin: str, mono_ms: int) -> Cashier:
        """Who it is. Raises PinWaits (nothing was looked at) and PinWrong, for an unknown code, one who has left and a
        wrong PIN alike and in the same time; StorageFull, StorageFailed when the try cannot be counted."""
        pin = pin.translate(ARABIC)  # a digit is a digit on a Thai keyboard too
        with self._lock:
            row = self._row(code)
            if row is not None:
                failures = cast(int, row[1])
                if (left_s := self._left_s(code, failures, mono_ms)) > 0:
                    raise PinWaits(left_s)
                self._count(code, min(failures + 1, FAILURES_MAX), mono_ms)
        kept = self._hash_of_nobody() if row is None else str(row[0])
        if not is_hash_of(kept, pin if is_pin(pin) else "", self._cost) or row is None:
            raise PinWrong()
        with self._lock:
            # The PIN or the person may have been changed while the hash was worked out.
            pin_hash = kept if is_of_cost(kept, self._cost) else hash_of(pin, self._cost)
            cleared = "UPDATE cashier SET failures = 0, pin = ? WHERE code = ? AND pin = ? AND is_active"
            self._file.write([(cleared, (pin_hash, code, kept))])
            found = self._row(code)
            if found is None or found[0] != pin_hash:
                raise PinWrong()
            self._closed_until_ms.pop(code, None)
        cashier = self.get(code)
        if cashier is None:
            raise PinWrong()
        return cashier

    # --- changing

    def add(self, cashier: Cashier, pin: str, also: Sequence[Statement] = ()) -> Cashier:
        """A new one. The first is a manager. `also`: what is written with it (the audit log's row). Raises
        CashierWrong, CashierCodeTaken, CashiersFull, FirstCashierNotManager, PinNotDigits, PinWeak."""
        pin = pin.translate(ARABIC)
        made = cashier._replace(name=tidied(cashier.name), is_active=True)
        if not _CODE.fullmatch(made.code):
            raise CashierWrong(f"code {made.code[:20]}")
        if not made.name or wrong_in_name(made.name, NAME_CHARACTERS_MAX) is not None:
            raise CashierWrong(f"name {made.name[:20]}")
        if self.is_empty and made.role is not Role.MANAGER:
            raise FirstCashierNotManager()
        if len(self.all()) >= CASHIERS_MAX:
            raise CashiersFull(str(CASHIERS_MAX))
        check_new_pin(made.code, pin)
        values: tuple[SqlValue, ...] = (made.code, made.name, int(made.role), hash_of(pin, self._cost))
        put = "INSERT INTO cashier (code, name, role, pin, is_active, failures) VALUES (?, ?, ?, ?, 1, 0)"
        try:
            self._file.write([(put, values), *also])
        except apsw.ConstraintError as error:
            raise CashierCodeTaken(made.code) from error
        return made

    def set_pin(self, code: str, pin: str, also: Sequence[Statement] = ()) -> Cashier:
        """A new PIN, and no wait. Raises CashierUnknown, PinNotDigits, PinWeak."""
        pin = pin.translate(ARABIC)
        found = self._known(code)
        check_new_pin(code, pin)
        hashed = hash_of(pin, self._cost)
        with self._lock:
            self._file.write([("UPDATE cashier SET pin = ?, failures = 0 WHERE code = ?", (hashed, code)), *also])
            self._closed_until_ms.pop(code, None)
        return found

    def retire(self, code: str, also: Sequence[Statement] = ()) -> Cashier:
        """Signs in no more; the code stays theirs. Raises CashierUnknown, LastManager."""
        with self._lock:
            found = self._known(code)
            managers = [one.code for one in self.all() if one.is_active and one.role is Role.MANAGER]
            if managers == [code]:
                raise LastManager()
            self._file.write([("UPDATE cashier SET is_active = 0 WHERE code = ?", (code,)), *also])
        return found._replace(is_active=False)

    # --- inside

    def _known(self, code: str) -> Cashier:
        found = self.get(code)
        if found is None or not found.is_active:
            raise CashierUnknown(code[:20])
        return found

    def _row(self, code: str) -> Row | None:
        """Hash and failures of one who may sign in."""
        if not _CODE.fullmatch(code):
            return None
        found = self._file.fetch("SELECT pin, failures FROM cashier WHERE code = ? AND is_active", (code,))
        return found[0] if found else None

    def _failures(self, code: str) -> int:
        row = self._row(code)
        return 0 if row is None else cast(int, row[1])

    def _left_s(self, code: str, failures: int, mono_ms: int) -> int:
        kept_ms = self._started_ms + wait_after(failures) * 1000
        until_ms = self._closed_until_ms.get(code, kept_ms)
        return max(0, -((mono_ms - until_ms) // 1000))

    def _count(self, code: str, failures: int, mono_ms: int) -> None:
        self._file.write([("UPDATE cashier SET failures = ? WHERE code = ?", (failures, code))])
        self._closed_until_ms[code] = mono_ms + wait_after(failures) * 1000

    def _hash_of_nobody(self) -> str:
        """An unknown code takes as long as a known one."""
        if self._nobody is None:
            self._nobody = hash_of("0", self._cost)
        return self._nobody


def wait_after(failures: int) -> int:
    """Seconds to wait after so many tries in a row that did not succeed."""
    return WAITS_S[max(0, min(failures, len(WAITS_S) - 1))]


def is_pin(pin: str) -> bool:
    """4 to 8 digits."""
    return _PIN.fullmatch(pin) is not None


def check_new_pin(code: str, pin: str) -> None:
    """May it be chosen? Raises PinNotDigits: the wrong length, or other signs; PinWeak: one or two digits over and
    over, running digits, the code."""
    if not is_pin(pin):
        raise PinNotDigits(_why_no_pin(pin))
    if len(set(pin[::2])) == 1 and len(set(pin[1::2])) == 1:
        raise PinWeak("the same digits over and over")
    if pin in _UP or pin in _DOWN:
        raise PinWeak("digits that run up or down")
    if pin.lstrip("0") == code.lstrip("0") or pin == code * (len(pin) // len(code)):
        raise PinWeak("the cashier's own code")


def _why_no_pin(pin: str) -> str:
    """Nothing of it is told but how much there was."""
    if not pin:
        return "no PIN was given"
    return f"{len(pin)} digits" if re.fullmatch(r"[0-9]+", pin) else "other signs than digits"


def roles() -> Sequence[str]:
    """Their names, as commands and files have them."""
    return [role.name.lower() for role in Role]


def _cashier_of(row: Row) -> Cashier:
    """Raises ShopFileDamaged."""
    code, name, role, is_active = row
    if role not in list(Role) or not _CODE.fullmatch(str(code)):
        raise ShopFileDamaged(f"cashier {str(code)[:20]}: role {role}")
    return Cashier(str(code), str(name), Role(cast(int, role)), bool(is_active))

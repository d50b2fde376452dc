"""What the desk is handed beside the terminal: paper, people, the log of what they did. Protocol classes only."""

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from offline_ledger.errors import Refusal
from pos_app.counter.permissions import Role
from pos_app.paper.receipt import Receipt, ReceiptKind


class Person(NamedTuple):
    """Who is at the till."""

    code: str
    name: str
    role: Role


class People(Protocol):
    """Those who may sign in."""

    @property
    def is_empty(self) -> bool:
        """Nobody can sign in yet, and nobody ever could: whoever is at the page makes the first manager."""
        ...

    @property
    def trouble(self) -> Refusal | None:
        """What is wrong with those who may sign in: some of them, or all, are not in the shop's file any more."""
        ...

    def check_pin(self, code: str, pin: str) -> Person:
        """Takes as long as a hash takes; never on the deciding thread. Raises PinWrong, PinWait."""
        ...

    def add_first(self, code: str, name: str, pin: str) -> Person:
        """The first manager. Raises what is wrong with the name, code or PIN, and NotNow: there is somebody now."""
        ...

    def everyone(self) -> list[Person]:
        """Those who may sign in, by code."""
        ...

    def wait_s(self, code: str) -> int:
        """Whole seconds until the next try is looked at."""
        ...


class Paper(Protocol):
    """The printer and the drawer on it. Never waits for either."""

    def add(self, receipt: Receipt) -> None:
        """To be printed. Raises StorageFull, StorageFailed, PrintQueueFull."""
        ...

    def reprint(self, number: str) -> None:
        """A copy of what was printed under this number. Raises ReceiptNotKept, and what `add` raises."""
        ...

    def has(self, number: str, kind: ReceiptKind = ReceiptKind.SALE) -> bool:
        """Is or was there a paper of this number, on its way or out? Sales, refunds and voids share their numbers;
        reports have their own. One that cannot be read is one."""
        ...

    def kick(self) -> None:
        """Opens the drawer, or notes why not."""
        ...

    def state(self) -> tuple[int, Refusal | None]:
        """How many wait, and what is wrong with the printer now."""
        ...

    def printed(self, number: str) -> str:
        """How the paper of this number is: yes, sent (nobody knows whether it came out), waiting, failed, no."""
        ...


class Log(Protocol):
    """Who did what."""

    def add(self, who: str, action: str, values: Mapping[str, object]) -> None:
        """One row, durable soon; never holds the till."""
        ...

    def seal(self, who: str) -> None:
        """The link of the newest row goes into the signed journal, as soon as that row is durable."""
        ...


class ShopWords(NamedTuple):
    """What the settings say about the shop. `promptpay`: its account as the settings have it, empty for none."""

    name: str
    branch: str
    address: str
    tax_id: str
    vat_per_mille: int
    promptpay: str

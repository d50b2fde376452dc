"""What a terminal checks and tidies while nobody taps, a piece at a time. DESIGN §6 "the rest in the background".

Each `step` takes a few milliseconds: first the journal's rows and pages, then the deny list, and ever after the
emptying of the journal's log, so that no sale has to wait for it. What is found is kept where it is asked for
(`Journal.failure`, `DenyList.damage`). Never decides what to do about it. What loading took of the memory goes back.
"""

from collections.abc import Iterator
from typing import Protocol

from offline_ledger.errors import DenyListDamaged, JournalDamaged, Refusal, StorageFailed, StorageFull
from offline_ledger.terminal.memory import give_back

LOADED_STEPS = 8, 20
"""After so many idle steps (two seconds) the screen has its fonts too, and all that loading needed is free; after five,
what the first exchange and the first taps did."""


class JournalUpkeep(Protocol):
    """What upkeep needs of the journal."""

    @property
    def failure(self) -> Refusal | None: ...
    def verify_background(self) -> Iterator[object]: ...
    def rest(self) -> None: ...


class DenyListUpkeep(Protocol):
    """What upkeep needs of the deny list."""

    def verify_background(self) -> Iterator[None]: ...


class Upkeep:
    """One round of checks per start of the program; resting for as long as it runs."""

    def __init__(self, journal: JournalUpkeep, deny: DenyListUpkeep) -> None:
        self._journal, self._deny = journal, deny
        self._journal_steps: Iterator[object] | None = journal.verify_background()
        self._deny_steps: Iterator[None] | None = deny.verify_background()
        self._steps = 0

    @property
    def has_checked_all(self) -> bool:
        """Is the round of checks over?"""
        return self._journal_steps is None and self._deny_steps is None

    def step(self) -> None:
        """One piece of work; to be called when idle, about every 50 ms until `has_checked_all`, then every second."""
        self._steps += 1
        if self._steps in LOADED_STEPS:
            give_back()
        if self._journal_steps is not None:
            try:
                if next(self._journal_steps, None) is None:
                    self._journal_steps = None
            except (JournalDamaged, StorageFailed):
                self._journal_steps = None  # the journal has stopped itself
        elif self._deny_steps is not None:
            try:
                if next(self._deny_steps, self) is self:
                    self._deny_steps = None
            except DenyListDamaged:
                self._deny_steps = None  # the list is out of use; the next exchange fetches it whole
        if self._journal.failure is None:
            try:
                self._journal.rest()
            except (StorageFull, StorageFailed):
                return  # the next sale, or the next step, meets it too and says so

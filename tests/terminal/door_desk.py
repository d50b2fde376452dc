"""A validator on a desk whose power can be cut: its folder is copied as the disk has it, and it starts on the copy."""

import shutil
from pathlib import Path

from offline_ledger.terminal.acceptor import Acceptor
from offline_ledger.terminal.journal import Journal
from tests.terminal.desk import DeskConditions, FlatBus, acceptor_on, open_journal


class DoorDesk:
    """One door, one journal, conditions set by hand."""

    journal: Journal
    acceptor: Acceptor

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.conditions = DeskConditions()
        self.door = FlatBus()
        self.start()

    def crash(self) -> None:
        """What is on the disk now lives on in another folder; what was only in memory is gone. It starts again."""
        after = self.folder.with_name(self.folder.name + "-crashed")
        shutil.copytree(self.folder, after)
        self.folder = after
        self.start()

    def start(self) -> None:
        """On what its folder has."""
        self.journal = open_journal(self.folder)
        self.acceptor = acceptor_on(self.journal, self.conditions)

"""A bench that prepares a card and loses its power at one step: the real code in a process of its own, killed.

    python -m tests.flash.card_cut STEP WORK [wrong-order]

STEP: at which opening for writing, rename, removal, new folder or step of the record it is killed (SIGKILL); 0: never,
and the number of steps is printed. `wrong-order` writes the boot file first: the negative control.
"""

import os
import signal
import sys
from pathlib import Path

from firmware.flash import card as card_code
from firmware.flash.card import Wanted, check_free, prepare
from firmware.flash.card_files import put
from firmware.flash.card_inputs import check_package
from firmware.flash.card_layout import CMDLINE, find_card
from firmware.flash.card_settings import settings_of, usual_settings
from firmware.flash.card_text import with_start
from firmware.flash.record import DONE, Record
from offline_ledger.terminal.updates.names import own_platform
from tests.flash.cards import CITY_URL

WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
NAMES = ("os.rename", "os.remove", "os.mkdir", "os.rmdir")
AT_S = 1_795_312_345


class Cut:
    """Counts, and kills its own process at one step."""

    def __init__(self, at: int, below: Path) -> None:
        self.at, self.below, self.count = at, str(below), 0

    def hear(self, event: str, words: tuple[object, ...]) -> None:
        """Every audited event (sys.addaudithook)."""
        if event in NAMES or (event == "open" and int(str(words[2] or 0)) & WRITES):
            if str(words[0]).startswith(self.below):
                self.step()

    def step(self) -> None:
        self.count += 1
        if self.count == self.at:
            os.kill(os.getpid(), signal.SIGKILL)


def wanted_in(work: Path, url: str = CITY_URL) -> Wanted:
    """What lies in the work folder, as the card shall have it."""
    card = find_card(work / "boot")
    package = check_package(next(work.glob("kgo-*.zip")), card, "bus", own_platform())
    files = {
        "bus.toml": settings_of(usual_settings("bus", url), "t", "TH-40", "bus-8"),
        "ca.crt": (work / "ca.crt").read_bytes(),
        "update.root": (work / "root.json").read_bytes(),
    }
    return Wanted("bus-8", "bus", "TH-40", "bus-8", package, "bus.toml", files, country="TH")


def run(work: Path, at: int, url: str, *, is_wrong_order: bool) -> int:
    """One preparation; how many steps it had."""
    card, wanted = find_card(work / "boot"), wanted_in(work, url)
    check_free(card, "bus-8", may_replace=False)
    record = Record.open(work / "bench.db")
    cut = Cut(at, card.folder)
    sys.addaudithook(cut.hear)
    job = record.begin("prepare-card", "bus-8", wanted.intended(), "somchai", AT_S)
    cut.step()
    if is_wrong_order:
        put(card.folder / CMDLINE, with_start((card.folder / CMDLINE).read_bytes()))
        card_code.starts_first_boot = lambda _cmdline: False

    def step(name: str) -> None:
        cut.step()
        record.step(job, name, AT_S)
        cut.step()

    verified = prepare(card, wanted, step, lambda _bytes: None)
    cut.step()
    record.end(job, DONE, verified, AT_S)
    record.close()
    return cut.count


if __name__ == "__main__":
    _, said_at, said_work, *more = sys.argv
    steps = run(Path(said_work), int(said_at), CITY_URL + "".join(more[1:]), is_wrong_order="wrong-order" in more)
    sys.stdout.write(f"{steps}\n")

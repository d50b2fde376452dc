"""A town with one till, what its hands do, and how its books are read at the end."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from offline_ledger.protocol.wallet import Concession
from simulators.demo.desk import SHOP, Desk, Reader
from simulators.demo.processes import Said
from simulators.demo.reader import Figures, broken_promises, read_figures
from simulators.demo.town import Person, Town
from tests.processes.quick_city import QuickCity

DEVICE, MERCHANT = "shop-of-test", "coffee-1"


@contextlib.contextmanager
def shop_town(folder: Path, seed: int, names: Sequence[str] = ()) -> Iterator[Town]:
    """With people of these names."""
    with Town(folder, seed, QuickCity) as made:
        made.found()
        made.add_desk(SHOP, DEVICE, MERCHANT, has_camera=False)
        if names:
            made.add_people([(name, Concession.ADULT) for name in names])
        made.wait_synced()
        yield made


def clear_till(desk: Desk) -> None:
    """No sale is open; whatever light stands goes by itself meanwhile."""
    mark = desk.program.mark()
    desk.program.tell("cancel")
    desk.program.wait_for(lambda said: "light" in said or "refusal" in said, mark, "an answer to cancel")


def show(desk: Desk, person: Person) -> Said:
    """The person's code, and its light."""
    return desk.show(person.code, Reader.SERIAL)


def settle(town: Town) -> Figures:
    """Everything sent, everything ended well, the books read and no promise broken."""
    town.wait_synced()
    audit_ok, said = town.city.audit()
    assert audit_ok, said
    assert town.stop_all() == []
    figures = read_figures(town.journals(), town.city.ledger, town.folder / "reader", {})
    broken = broken_promises(figures, audit_ok=True, cheats=0)
    assert broken == [], broken
    return figures


def check_books(town: Town, accepted: int) -> None:
    """All sent, posted once, audited; and the sales that the cashier saw are all there are."""
    figures = settle(town)
    assert (figures.accepted, figures.acked, figures.lost, figures.doubled) == (accepted, accepted, 0, 0)

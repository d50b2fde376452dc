"""What hands can do in the town on the desk, in lines that its page sends; and what is wrong with others. Pure.

A line: `code Mali 20`, `answer Mali`, `network shop off`, `printer no_paper on`, `till kill`. DESIGN §11.
"""

from collections.abc import Mapping
from typing import NamedTuple

from offline_ledger.money import parse_minor
from simulators.bus_desk.town import PEOPLE

NEW = "New"
"""A person who registers now; after it, the last one who did."""
WHO = (*PEOPLE, NEW)
NAMES: Mapping[str, str] = {
    "Mali": "มะลิ",
    "Somchai": "สมชาย",
    "Nok": "นก (นักเรียน)",
    "Boonmi": "บุญมี (ผู้สูงอายุ)",
    NEW: "คนใหม่",
}
LINE_CHARACTERS_MAX = 80
AMOUNT_CHARACTERS_MAX = 9
KGO_MINOR_MAX = 100_000_00
"""More than anybody has here; the wallet signs what its owner types."""
AMOUNT = "KGO"
"""In the table: any amount of KGO with at most two decimals."""
NETWORKS = ("shop", "bus", "phones")
FAULTS = ("no_paper", "cover_open", "hang")
_SWITCH = ("on", "off")
ACTIONS: Mapping[str, tuple[tuple[str, ...] | str, ...]] = {
    "code": (WHO, AMOUNT),
    "again": (WHO,),
    "answer": (WHO,),
    "renew": (WHO,),
    "network": (NETWORKS, _SWITCH),
    "printer": (FAULTS, _SWITCH),
    "drawer": (("shut",),),
    "till": (("kill", "start"),),
    "audit": (),
}
"""Action → what each of its words may be."""


class Asked(NamedTuple):
    """A line taken apart. `kgo`: in 1/100 KGO, where an amount was said."""

    action: str
    words: tuple[str, ...] = ()
    kgo: int = 0


def read_line(line: str) -> Asked:
    """Raises ValueError with what is wrong, in words."""
    words = line.split()
    if not words or len(line) > LINE_CHARACTERS_MAX or not line.isprintable():
        raise ValueError(f"an action is one line of at most {LINE_CHARACTERS_MAX} characters")
    action, *more = words
    wanted = ACTIONS.get(action)
    if wanted is None:
        raise ValueError(f"no action {action!r}; there are: {', '.join(ACTIONS)}")
    if len(more) != len(wanted):
        raise ValueError(f"{action!r} wants {len(wanted)} more words, not {len(more)}")
    kgo = 0
    for word, choices in zip(more, wanted, strict=True):
        if choices == AMOUNT:
            kgo = _amount(word)
        elif word not in choices:
            raise ValueError(f"{word!r} is none of: {', '.join(choices)}")
    return Asked(action, tuple(more), kgo)


def _amount(word: str) -> int:
    kgo = parse_minor(word) if len(word) <= AMOUNT_CHARACTERS_MAX else -1
    if not 0 < kgo <= KGO_MINOR_MAX:
        raise ValueError(f"{word!r} is no amount of KGO")
    return kgo

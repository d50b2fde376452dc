"""The validator's devices as its settings name them: head, card readers, screen. DESIGN §3, §11.

Part of the composition root: the only room of this program, beside `validator`, that builds drivers. What no first
decision needs is imported where it is built, on the loading thread.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from bus_validator.face import Theme
from offline_ledger.rules.training import is_training_city
from offline_ledger.terminal.drivers.head import HeadSettings, ReaderHead
from offline_ledger.terminal.drivers.head_lamp import HeadLight
from offline_ledger.terminal.program import Opened
from offline_ledger.terminal.running import Running

if TYPE_CHECKING:
    from bus_validator.drivers.screen import Screen

HEAD_S_MAX = 0.05
"""So long a start waits for its head: the first customer's light needs it, and a sound one answers in 1 ms."""
LOOK_S = 0.005


def add_head(opened: Opened, running: Running, on_button: Callable[[int, int], None]) -> ReaderHead | None:
    """The reader head, if one is named: customers look at it, and its scanner gives codes. `on_button` comes on its
    thread. None: none is named."""
    port = opened.text("head.port")
    if not port:
        return None
    suffix = opened.text("scanner.suffix") == "any"
    head = ReaderHead(
        HeadSettings(str(opened.folder / port), suffix=suffix),
        on_button=on_button,
        on_tamper=lambda is_open: running.do(lambda: running.lamp.say(cover_open=is_open)),
    )
    head.open()
    left_s = HEAD_S_MAX
    while not head.is_linked and not head.is_lost and left_s > 0:
        for text in head.poll(LOOK_S):
            running.code(text)
        left_s -= LOOK_S
    running.with_head(HeadLight(head, is_training=is_training_city(opened.text("device.city"))))
    running.add_device("head", head, takes_payments=True)
    return head


def add_cards(opened: Opened, running: Running) -> None:
    """The card readers, if they are wanted."""
    if opened.text("card.reader") == "none":
        return
    from offline_ledger.terminal.drivers.card import CardReader, CardSettings

    running.add_device("card", CardReader(CardSettings(), running.cards), takes_payments=True)


def open_screen(opened: Opened, running: Running) -> "Screen | None":
    """The screen, if one is named, started. On the loading thread."""
    named = opened.text("screen.address")
    if not named:
        return None
    from bus_validator.drivers.displays import FILE, opener_of, parse_screen
    from bus_validator.drivers.screen import Screen

    address = parse_screen(named)
    if address.kind == FILE:
        address = address._replace(where=str(opened.folder / Path(address.where)))
    size = opened.number("screen.width_px"), opened.number("screen.height_px")
    screen = Screen(
        opener_of(address, *size), Theme(opened.text("screen.theme")), lambda trouble: running.note("screen", trouble)
    )
    screen.start()
    return screen

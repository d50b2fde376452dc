"""The town's own page, on 127.0.0.1 alone: where everything is, phones and scanner, network, paper, books. DESIGN §11.

What there is to look at goes out as server-sent events, each what is new; a press is a line of `words`, a picture for
the scanner is sent as it is. What a press does is `hands`' business.
"""

import io
import json
from collections.abc import Callable, Mapping
from http import HTTPStatus
from pathlib import Path

from PIL import Image
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from offline_ledger.money import format_minor
from simulators.bus_desk.hands import Busy
from simulators.bus_desk.news import News
from simulators.bus_desk.town import BUS
from simulators.demo.processes import Child, Said
from simulators.local_page import BodyUnfit, LocalPage, body_of, file_routes, line_of, refused
from simulators.shop_desk.till import PEOPLE, PIN_TEST_ONLY
from simulators.town_desk.books import Terminal
from simulators.town_desk.hands import TownHands, Unfit
from simulators.town_desk.town import SHOP_DEVICE, TownDesk
from simulators.town_desk.words import NAMES, NETWORKS

FOLDER = Path(__file__).parent
LINE_BYTES_MAX = 4_096
PICTURE_BYTES_MAX = 8_000_000
"""A large screen's picture as PNG."""
LINES = 8
OFF = "off"


class Badge:
    """What a program says of its exchange with the city: the newest such line of its own."""

    def __init__(self, program: Callable[[], Child | None]) -> None:
        self._program = program
        self._child: Child | None = None
        self._mark = 0
        self._said = ""

    def look(self) -> str:
        """`synced`, `sending`, `offline`, `attention`; `off`: it does not run; empty: it has said nothing yet."""
        child = self._program()
        if child is None:
            return OFF
        if child is not self._child:
            self._child, self._mark, self._said = child, 0, ""
            child.tell("status")
        said = child.said_since(self._mark)
        self._mark += len(said)
        self._said = next((str(one["status"]) for one in reversed(said) if "status" in one), self._said)
        return self._said


class TownPage(LocalPage):
    """Of one town. `port` 0: any that is free. Raises OSError: it is taken."""

    def __init__(self, town: TownDesk, hands: TownHands, port: int = 0) -> None:
        super().__init__("town-page", port)
        self._town, self._hands = town, hands
        self._news = News(self._look, lambda: self.is_over)
        self._shop, self._bus = Badge(lambda: town.shop_program), Badge(lambda: town.bus_program)
        guard, get, post = self.guard(), ["GET"], ["POST"]
        guarded = guard.guarded
        routes = file_routes(FOLDER, guard, "lens.js")
        routes += [
            Route("/town", guarded(self._about), methods=get),
            Route("/events", guarded(self._events), methods=get),
            Route("/paper.png", guarded(self._paper), methods=get),
            Route("/phone.png", guarded(self._phone), methods=get),
            Route("/act", guarded(self._act), methods=post),
            Route("/hold", guarded(self._hold), methods=post),
            Route("/hold-text", guarded(self._hold_text), methods=post),
        ]
        self.serves(Starlette(routes=routes))

    async def _about(self, _request: Request) -> Response:
        town = self._town
        wallet = town.wallet_page.url
        return JSONResponse(
            {
                "pages": {
                    "shop": town.shop.url,
                    "customer": f"{town.shop.url}customer",
                    "bus": town.bus_page.url,
                    "wallet": wallet,
                    "wallet2": wallet.replace("//localhost:", "//127.0.0.1:"),
                    "lan": town.lan_page.url if town.lan_page else "",
                },
                "cashiers": [{"code": code, "name": name, "role": role} for code, name, role in PEOPLE],
                "pin": PIN_TEST_ONLY,
                "people": NAMES,
            }
        )

    async def _events(self, _request: Request) -> Response:
        return self._news.listener() or refused(HTTPStatus.SERVICE_UNAVAILABLE, "as many pages as can be are open")

    def _look(self) -> Mapping[str, object]:
        town, reading = self._town, self._town.books.reading()
        printer = town.printer.printer
        with town.printer.lock:
            paper = {
                "faults": sorted(fault.value for fault in printer.faults),
                "sheets": printer.sheets_cut,
                "drawer": printer.is_drawer_open,
            }
        program = town.shop_program
        lines = program.said_since(max(0, program.mark() - LINES)) if program is not None else []
        return {
            "badge": {"shop": self._shop.look(), "bus": self._bus.look()},
            "linked": {whose: town.is_linked(whose) for whose in NETWORKS},
            "paper": paper,
            "phone": self._hands.phone[0],
            "left": self._hands.left_kgo(),
            "busy": self._hands.is_busy,
            "books": {
                "shop": _row(reading.terminals[SHOP_DEVICE]),
                "bus": _row(reading.terminals[BUS]),
                "sums": [format_minor(one) for one in reading.sums],
            },
            "lines": [json.dumps(one, ensure_ascii=False) for one in lines],
        }

    async def _paper(self, _request: Request) -> Response:
        return await run_in_threadpool(self._newest_paper)

    def _newest_paper(self) -> Response:
        with self._town.printer.lock:
            sheets = self._town.printer.printer.sheets
            newest = sheets[-1].copy() if sheets else None
        return refused(HTTPStatus.NOT_FOUND, "nothing is printed yet") if newest is None else _png(newest)

    async def _phone(self, _request: Request) -> Response:
        number, picture = self._hands.phone
        if not number:
            return refused(HTTPStatus.NOT_FOUND, "no phone showed anything yet")
        return Response(picture, media_type="image/png")

    # --- presses

    async def _act(self, request: Request) -> Response:
        return await self._pressed(request, "do", lambda line: self._hands.act(line))

    async def _hold_text(self, request: Request) -> Response:
        return await self._pressed(request, "text", lambda text: self._hands.hold_text(text))

    async def _pressed(self, request: Request, key: str, does: Callable[[str], Said]) -> Response:
        try:
            line = await line_of(request, key, LINE_BYTES_MAX)
        except BodyUnfit as unfit:
            return unfit.answer
        return await _done(lambda: does(line))

    async def _hold(self, request: Request) -> Response:
        try:
            picture = await body_of(request, PICTURE_BYTES_MAX)
        except BodyUnfit as unfit:
            return unfit.answer
        return await _done(lambda: self._hands.hold(picture))


async def _done(does: Callable[[], Said | None]) -> Response:
    """`said`: what came of it, null where the scanner read nothing; or why it could not be done, in both languages."""
    try:
        return JSONResponse({"said": await run_in_threadpool(does)})
    except ValueError as mistake:
        return refused(HTTPStatus.BAD_REQUEST, str(mistake))
    except Busy:
        return _unfit("มีคนอื่นกำลังทำอยู่ รอสักครู่", "something else is being done: wait a moment")
    except Unfit as unfit:
        return _unfit(unfit.thai, unfit.english)


def _unfit(thai: str, english: str) -> Response:
    return JSONResponse({"thai": thai, "english": english}, HTTPStatus.CONFLICT)


def _row(one: Terminal) -> dict[str, object]:
    return {
        **one._asdict(),
        "pending": one.pending,
        "agrees": one.agrees,
        "kgo": format_minor(one.kgo),
        "baht": format_minor(one.satang),
        "credited": format_minor(one.credited_kgo),
        "rewarded": format_minor(one.rewarded_kgo),
    }


def _png(picture: Image.Image) -> Response:
    made = io.BytesIO()
    picture.save(made, "PNG")
    return Response(made.getvalue(), media_type="image/png")

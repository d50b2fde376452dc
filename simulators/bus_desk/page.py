"""The page of the bus on the desk, on 127.0.0.1 alone: screen, ring, lines and books to look at, buttons to press.

What there is to look at goes out as server-sent events: each what is new, the screen as a number to fetch it by.

Serves nothing from elsewhere and takes presses only from itself: Host and Origin are checked, since any page in the
same browser could reach this port. What a press does is `hands`' business. DESIGN §11.
"""

import json
from collections.abc import Callable, Mapping
from http import HTTPStatus
from pathlib import Path

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from simulators.bus_desk.books import Books
from simulators.bus_desk.desk import BusDesk
from simulators.bus_desk.hands import Busy, Hands, Unfit
from simulators.bus_desk.news import News
from simulators.bus_desk.play import sounds_of
from simulators.bus_desk.town import BUS
from simulators.bus_desk.watch import Watch
from simulators.bus_desk.words import ACTIONS, CHOICES, GROUPS
from simulators.demo.processes import DeadlinePassed, ToolFailed
from simulators.local_page import BodyUnfit, LocalPage, file_routes, line_of, refused
from simulators.wallet import IntentEnded, WalletClosed, WalletOffline, WalletRefused

FOLDER = Path(__file__).parent
BODY_BYTES_MAX = 1_024
LINES, SOUNDS = 14, 8
DRIVER = (
    ("sign-on D-01 274905", "ลงชื่อเข้า สมชาย", "sign on D-01"),
    ("sign-on D-02 618340", "เปลี่ยนเป็น มาลี", "hand over to D-02"),
    ("sign-on D-01 000000", "PIN ผิด", "a wrong PIN"),
    ("route 8 0", "เริ่มเที่ยวสาย 8", "start route 8"),
    ("companion", "ผู้โดยสารอีกคน", "one more passenger"),
    ("annul", "ยกเลิกคนล่าสุด", "annul the last"),
    ("stop next", "ป้ายถัดไป", "next stop"),
    ("stop back", "ป้ายก่อนหน้า", "stop before"),
    ("lock", "ล็อก", "lock"),
    ("waybill", "ใบสรุป", "waybill"),
    ("end-trip", "จบเที่ยว", "end the trip"),
    ("sign-off", "ลงชื่อออก", "sign off"),
)
"""What the page offers of the driver's commands."""
_UNFIT = (Unfit, DeadlinePassed, ToolFailed, IntentEnded, WalletClosed, WalletOffline, WalletRefused, TimeoutError)


class BusPage(LocalPage):
    """Of one desk. `port` 0: any that is free. Raises OSError: it is taken."""

    def __init__(self, desk: BusDesk, watch: Watch, hands: Hands, port: int = 0) -> None:
        super().__init__("bus-page", port)
        self._desk, self._watch, self._hands = desk, watch, hands
        self._news = News(self._look, lambda: self.is_over)
        self._books = Books(desk.journal, desk.town.city.ledger, BUS, desk.folder / "read")
        guard, get = self.guard(), ["GET"]
        guarded = guard.guarded
        routes = file_routes(FOLDER, guard)
        routes += [
            Route("/actions", guarded(self._actions), methods=get),
            Route("/events", guarded(self._events), methods=get),
            Route("/screen.png", guarded(self._screen), methods=get),
            Route("/act", guarded(self._act), methods=["POST"]),
        ]
        self.serves(Starlette(routes=routes))

    async def _actions(self, _request: Request) -> Response:
        actions = [one._asdict() | {"word": word} for word, one in ACTIONS.items() if not one.free]
        driver = [{"line": f"driver {line}", "thai": thai, "english": english} for line, thai, english in DRIVER]
        stops = [
            {"id": stop.stop_id, "thai": stop.name_th, "at": [stop.longitude_e6, stop.latitude_e6]}
            for stop in self._desk.stops
        ]
        return JSONResponse(
            {"groups": GROUPS, "actions": actions, "driver": driver, "stops": stops, "choices": CHOICES}
        )

    async def _events(self, _request: Request) -> Response:
        return self._news.listener() or refused(HTTPStatus.SERVICE_UNAVAILABLE, "as many pages as can be are open")

    def _look(self) -> Mapping[str, object]:
        desk, watch = self._desk, self._watch
        holds = self._books.holds()
        lines = watch.lines(LINES)
        return {
            "light": watch.light,
            "ring": bytes(value for pixel in desk.head.ring() for value in pixel).hex(),
            "tone": desk.head.tone_hertz(),
            "sounds": sounds_of(watch.since_last_light())[-SOUNDS:],
            "led": desk.head.link_led(),
            "screen": watch.screen_ns,
            "lines": [
                [(one.at_us - watch.began_us) // 1000, json.dumps(one.value, ensure_ascii=False)] for one in lines
            ],
            "books": {**holds._asdict(), "pending": holds.pending},
            "stop": desk.road.stop_at,
            "is": {
                "validator": desk.is_running,
                "head": desk.head.is_plugged,
                "gps": desk.road.is_plugged and desk.road.has_fix,
                "cards": desk.has_card_service,
                "network": desk.is_linked,
            },
            "busy": self._hands.is_busy,
        }

    async def _screen(self, _request: Request) -> Response:
        try:
            return Response(self._desk.screen.read_bytes(), media_type="image/png")
        except OSError:
            return refused(HTTPStatus.NOT_FOUND, "nothing is drawn yet")

    async def _act(self, request: Request) -> Response:
        try:
            line = await line_of(request, "do", BODY_BYTES_MAX)
        except BodyUnfit as unfit:
            return unfit.answer
        try:
            answer = await run_in_threadpool(self._hands.act, line)
        except ValueError as mistake:
            return refused(HTTPStatus.BAD_REQUEST, str(mistake))
        except Busy:
            return refused(HTTPStatus.CONFLICT, "something else is being done")
        except _UNFIT as unfit:
            return refused(HTTPStatus.CONFLICT, str(unfit) or type(unfit).__name__)
        return JSONResponse({"said": answer})


def serve(desk: BusDesk, watch: Watch, hands: Hands, port: int, ready: Callable[[str], None]) -> None:
    """Until SIGINT or SIGTERM. `port` 0: any that is free; `ready` hears the address. Raises OSError: it is taken."""
    page = BusPage(desk, watch, hands, port)
    try:
        ready(page.url)
        page.run()
    finally:
        page.close()

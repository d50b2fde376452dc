"""Running the service: TLS socket, ready line, housekeeping, graceful stop on SIGTERM. DESIGN §7.

The ready line is one JSON object on stdout, printed when connections are accepted, so that a parent can wait for it.
"""

import asyncio
import json
import logging
import signal
import socket
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import replace
from threading import Event, Thread
from typing import cast

import uvicorn

from offline_ledger.city import recover
from offline_ledger.city.ca import server_context
from offline_ledger.city.city_clock import SETTLE_S, CityClock
from offline_ledger.city.door import GuardedProtocol, guarded
from offline_ledger.city.ending import Daily
from offline_ledger.city.http import build_app
from offline_ledger.city.service import Service
from offline_ledger.errors import AddressInUse, CityClockWrong, CityFault, Refusal

HOUSE_REST_S = 60
STOP_S_MAX = 10
KEEP_ALIVE_S = 15
HANDSHAKE_S_MAX = 10
HEADER_BYTES_MAX = 16_384
BACKLOG = 256
log = logging.getLogger("kgo.city")


class CityServer(uvicorn.Server):
    """uvicorn, ending with the program's own exit code after SIGTERM or SIGINT, and saying when it is ready."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept connections, then say so. A peer that connects and says nothing is not waited for."""
        await super().startup([])
        loop = asyncio.get_running_loop()
        for listening in sockets or []:
            server = await loop.create_server(
                self._protocol,
                sock=listening,
                ssl=self.config.ssl,
                backlog=BACKLOG,
                ssl_handshake_timeout=HANDSHAKE_S_MAX,
            )
            self.servers.append(server)
        if self.started:
            self._ready()

    def _protocol(self) -> asyncio.Protocol:
        kind = cast(type[GuardedProtocol], self.config.http_protocol_class)
        return kind(self.config, self.server_state, self.lifespan.state)

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Signals end the loop; unlike uvicorn's own, they are not raised again afterwards."""
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def listen(host: str, port: int) -> socket.socket:
    """The listening socket; port 0 takes a free one. Raises AddressInUse."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        made = socket.create_server((host, port), family=family, backlog=BACKLOG)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else the end of each answer waits 40 ms for an ack
        return made
    except OSError as error:
        raise AddressInUse(f"{host}:{port}: {error.strerror}") from error


def held_to(service: Service, clock: CityClock) -> Service:
    """The service by this clock; what it must wait for is in the log."""
    if not clock.is_sure() and clock.is_settling():
        log.warning("housekeeping waits after a long pause", extra={"fields": {"seconds": SETTLE_S}})
    return replace(service, now_s=clock.now_s, read_s=clock.read_s, is_settling=clock.is_settling)


def log_clock(why: str) -> None:
    """One line when the clock is found to be wrong, one when it is right again."""
    if why:
        log.error("signs nothing", extra={"fields": {"refusal": CityClockWrong.number, "detail": why}})
    else:
        log.warning("the clock is right again, signs again")


def serve(service: Service, say: Callable[[str], None], endings: Daily) -> None:
    """Until SIGTERM; `endings` is asked in each round of housekeeping.

    Raises AddressInUse, KeyFileUnsafe, CityCertificateWrong.
    """
    settings = service.settings
    context = server_context(settings.server_certificate, settings.server_key)
    with listen(settings.host, settings.port) as listening:
        port: int = listening.getsockname()[1]
        config = uvicorn.Config(
            build_app(service, log_requests=settings.log_requests, releases=settings.releases),
            http=guarded(settings.connections_max, settings.address_connections_max),
            ws="none",
            loop="asyncio",
            lifespan="off",
            log_config=None,
            log_level=logging.WARNING,
            access_log=False,
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=STOP_S_MAX,
            h11_max_incomplete_event_size=HEADER_BYTES_MAX,
        )
        config.load()
        config.ssl = context
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        said = {
            "ready": True,
            "city": settings.city,
            "url": f"https://{host}:{port}",
            "host": settings.host,
            "port": port,
        }
        try:
            recover.check_may_sign(service.store, settings.checkpoint)
        except Refusal as refusal:  # it serves what was signed before, so that terminals learn why
            log.error("signs nothing", extra={"fields": {"refusal": refusal.number, "detail": refusal.detail[:200]}})
        stop = Event()
        house = Thread(target=_keep_house, args=(service, endings, stop), name="house", daemon=True)
        house.start()
        try:
            CityServer(config, lambda: say(json.dumps(said))).run(sockets=[listening])
        finally:
            stop.set()
            house.join(STOP_S_MAX)
            log.info("stopped")


def _keep_house(service: Service, endings: Daily, stop: Event, rest_s: float = HOUSE_REST_S) -> None:
    while True:
        keep_house(service, endings)
        if stop.wait(rest_s):
            return


def keep_house(service: Service, endings: Daily) -> None:
    """One round of what is due by the city's clock. What fails, however, is in the log by its number, holds up nothing
    else, and is tried again in the next round: without this thread nothing would be released or denied."""
    try:
        chores = service.chores
    except Exception as error:  # noqa: BLE001 - see above
        _log_trouble("chores", error)
        chores = ()
    for chore in (*chores, endings.ask):
        try:
            chore()
        except Exception as error:  # noqa: BLE001 - see above
            _log_trouble(chore.__name__.strip("_"), error)


def _log_trouble(chore: str, error: Exception) -> None:
    """A fault of ours has its traceback beside it."""
    is_ours = not isinstance(error, Refusal)
    refusal = CityFault(f"{type(error).__name__}: {error}") if is_ours else error
    fields = {"chore": chore, "refusal": refusal.number, "detail": refusal.detail[:200]}
    log.log(logging.ERROR if is_ours else logging.WARNING, "housekeeping", exc_info=is_ours, extra={"fields": fields})

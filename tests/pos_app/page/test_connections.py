"""The end of a page's service: no connection is left open by it, whoever sits at the other end. DESIGN §3."""

import gc
import socket
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from pos_app.page import server
from simulators import local_page
from simulators.local_page import LocalPage

MORE_THAN_FITS = 64 << 20
"""Bytes that the buffers on the way do not hold: what is left of them waits in the transport."""
END_S_MAX = 5.0
HEAD = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"
Serve = Callable[[Starlette], tuple[int, Callable[[], None]]]


def by_the_till(app: Starlette) -> tuple[int, Callable[[], None]]:
    """Port, and how it ends."""
    bound = server.bound_to(0)
    port: int = bound.getsockname()[1]
    served = server.server_of(app)
    thread = threading.Thread(target=served.run, kwargs={"sockets": [bound]})
    thread.start()

    def end() -> None:
        served.should_exit = True
        thread.join(END_S_MAX)
        assert not thread.is_alive()
        bound.close()

    return port, end


def by_a_simulator(app: Starlette) -> tuple[int, Callable[[], None]]:
    page = LocalPage("page")
    page.serves(app)
    page.start()
    return page.port, page.close


@contextmanager
def all_warnings() -> Iterator[list[str]]:
    """What is said meanwhile, at the latest when everything unused is gone."""
    gc.collect()
    told: list[str] = []
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        yield told
        gc.collect()
        told += [str(one.message) for one in found]


@pytest.mark.parametrize("serve", [by_the_till, by_a_simulator])
def test_a_window_that_takes_nothing_is_let_go_at_the_end(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its answer is never taken, so its connection would not end by itself."""
    for module in (server, local_page):
        monkeypatch.setattr(module, "GRACE_S", 0)
    asked = threading.Event()

    async def answer(_request: Request) -> Response:
        asked.set()
        return Response(b"x" * MORE_THAN_FITS)

    with all_warnings() as told, socket.socket() as window:
        port, end = serve(Starlette(routes=[Route("/", answer)]))
        window.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        window.settimeout(END_S_MAX)
        window.connect(("127.0.0.1", port))
        window.sendall(HEAD)
        assert asked.wait(END_S_MAX)
        began_s = time.monotonic()
        end()
        assert time.monotonic() - began_s < END_S_MAX
        with suppress(ConnectionError):
            while window.recv(65_536):  # raises TimeoutError where nobody ended it
                pass
    assert told == []

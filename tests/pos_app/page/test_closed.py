"""The page of a till that cannot open: whom it answers, and its end at whatever moment it is told. DESIGN §3."""

import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from threading import Thread

import pytest

from offline_ledger.errors import ShopFileDamaged
from pos_app.page.closed import closed_app
from pos_app.page.server import HOST, bound_to, server_of

ROOT = Path(__file__).parents[3]
END_S_MAX = 20
TOLD_INSIDE_A_WAIT = """
    import os, signal, sys
    from threading import Condition, Event

    from offline_ledger.errors import ShopFileDamaged
    from offline_ledger.terminal.service_manager import manager_of_this_process
    from pos_app.page.closed import show_closed

    def told(frame, what, _arg):
        asked = frame.f_back if frame.f_code is Condition.wait.__code__ else None
        is_its = asked is not None and asked.f_code is Event.wait.__code__ and asked.f_back is not None
        if what == "call" and is_its and asked.f_back.f_code is show_closed.__code__:
            sys.setprofile(None)
            os.kill(os.getpid(), signal.SIGTERM)

    sys.setprofile(told)
    show_closed(ShopFileDamaged(), "th", 0, manager_of_this_process(), 1.0)
"""
"""The signal comes while the very thread that hears it holds the lock of what it waits for."""


def test_it_ends_when_it_is_told_in_the_middle_of_a_wait() -> None:
    words = [sys.executable, "-c", textwrap.dedent(TOLD_INSIDE_A_WAIT)]
    ended = subprocess.run(words, cwd=ROOT, timeout=END_S_MAX, check=False, capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.fixture
def port() -> Iterator[int]:
    """Where the page is served."""
    bound, over = bound_to(0), list[int]()
    found: int = bound.getsockname()[1]
    server = server_of(closed_app(ShopFileDamaged(), "th", found, over))
    thread = Thread(target=server.run, kwargs={"sockets": [bound]})
    thread.start()
    yield found
    over.append(0)
    server.should_exit = True
    thread.join(END_S_MAX)
    bound.close()


@pytest.mark.parametrize("path", ["/", "/customer"])
def test_it_is_read_under_its_own_name_and_by_no_other_page(port: int, path: str) -> None:
    def asked(**headers: str) -> tuple[int, str]:
        with closing(HTTPConnection(HOST, port, timeout=END_S_MAX)) as link:
            link.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
            answer = link.getresponse()
            assert "default-src 'none'" in answer.headers["content-security-policy"]
            return answer.status, answer.read1().decode()

    status, said = asked()
    assert status == 200 and str(ShopFileDamaged.number) in said
    for foreign in ({"Host": f"elsewhere.example:{port}"}, {"Sec_Fetch_Site": "cross-site"}):
        assert asked(**foreign) == (403, ""), foreign

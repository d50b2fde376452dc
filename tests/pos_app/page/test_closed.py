"""The page of a till that cannot open: its end comes at whatever moment it is told. DESIGN §3."""

import subprocess
import sys
import textwrap
from pathlib import Path

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

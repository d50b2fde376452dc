"""Tells a service manager that the program is ready and alive, by systemd's notification socket (sd_notify(3)).

The deciding thread itself says that it is alive: a program whose disk or code hangs there is started again. Without a
service manager nothing happens. Never reads anything.
"""

import os
from collections.abc import Mapping
from contextlib import suppress

READY = b"READY=1"
ALIVE = b"WATCHDOG=1"
STOPPING = b"STOPPING=1"


class ServiceManager:
    """The socket that the environment names; an abstract one begins with "@"."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        name = environment.get("NOTIFY_SOCKET", "")
        self._name = "\0" + name[1:] if name.startswith("@") else name
        timeout_us = environment.get("WATCHDOG_USEC", "")
        self._period_ms = int(timeout_us) // 2_000 if timeout_us.isdecimal() else None
        """Half of what the manager waits, as its manual asks."""
        self._told_ms: int | None = None

    def tell(self, what: bytes) -> None:
        """One message; a manager that went away is no trouble of ours."""
        if not self._name:
            return
        import socket  # a desk has no service manager, and needs none of this

        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as stream:
            stream.setblocking(False)
            stream.sendto(what, self._name)

    def alive(self, mono_ms: int) -> None:
        """Call often: it is said as often as the manager wants to hear it."""
        if self._period_ms is not None and (self._told_ms is None or mono_ms - self._told_ms >= self._period_ms):
            self._told_ms = mono_ms
            self.tell(ALIVE)


def manager_of_this_process() -> ServiceManager:
    """From the environment; only a composition root asks."""
    return ServiceManager(os.environ)

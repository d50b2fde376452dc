"""How long to wait before a device is opened again. Pure. DESIGN §11.

Doubles from `first_s` to `last_s`; no jitter, since a local device serves one program. Never gives up: a cable comes
back when somebody plugs it in.
"""


class BackOff:
    """The next moment at which opening may be tried; `now_s` is any monotonic clock, in seconds."""

    def __init__(self, first_s: float, last_s: float) -> None:
        self._first_s = first_s
        self._last_s = last_s
        self._wait_s = first_s
        self._due_s = float("-inf")

    def left_s(self, now_s: float) -> float:
        """Seconds until the next try is due (0 or more)."""
        return max(0.0, self._due_s - now_s)

    def failed(self, now_s: float) -> None:
        """A try failed or the device was lost: wait, and wait longer the next time."""
        self._due_s = now_s + self._wait_s
        self._wait_s = min(self._wait_s * 2, self._last_s)

    def worked(self) -> None:
        """The device has proved itself (bytes came): the next loss is tried again soon."""
        self._wait_s = self._first_s

"""A real process that is killed before its n-th change of the disk, for every n. Linux alone: it forks."""

import os
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress

CHANGES = ("write", "replace", "link", "unlink", "fsync", "mkdir", "chmod", "fchmod", "rename")
"""The calls by which our code changes a disk, and the one that makes it durable."""


def killed_at_each_change(act: Callable[[], object], numbers: Iterable[int] = range(500)) -> Iterator[int]:
    """After each kill, until the act comes to its end before its turn. `numbers`: before which changes, upwards."""
    for number in numbers:
        if _forked(act, number):
            return
        yield number


def _forked(act: Callable[[], object], number: int) -> bool:
    """In a child: killed before change `number`. Was it through before that?"""
    child = os.fork()
    if child == 0:
        with suppress(BaseException):
            _arm(number)
            act()
            os._exit(0)
        os._exit(3)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return False
    assert os.WEXITSTATUS(status) == 0, "it ended by itself, and not well"
    return True


def _arm(number: int) -> None:
    left = number

    def counted(call: Callable[..., object]) -> Callable[..., object]:
        def change(*words: object, **named: object) -> object:
            nonlocal left
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            left -= 1
            return call(*words, **named)

        return change

    for name in CHANGES:
        setattr(os, name, counted(getattr(os, name)))

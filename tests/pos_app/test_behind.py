"""Small writes behind the cashier's back: in order, none dropped, and an end that comes. DESIGN §10."""

from threading import Event, Thread

from offline_ledger.errors import Refusal, StorageFailed
from pos_app.behind import WAITING_MAX, Behind

WAIT_S = 5.0


def test_jobs_are_done_in_their_order_and_each_is_told() -> None:
    said: list[Refusal | None] = []
    done: list[int] = []
    failure = StorageFailed("broken")

    def fail() -> None:
        raise failure

    behind = Behind(said.append)
    for number in range(5):
        behind.do(lambda number=number: done.append(number))
    behind.do(fail)
    behind.do(lambda: done.append(5))
    behind.close()
    assert done == [0, 1, 2, 3, 4, 5]
    assert said == [None] * 5 + [failure, None]


def test_who_adds_to_a_full_queue_waits_and_nothing_is_dropped() -> None:
    done: list[int] = []
    begun, goes_on, all_in = Event(), Event(), Event()
    behind = Behind(lambda _refusal: None)

    def slow() -> None:
        begun.set()
        assert goes_on.wait(WAIT_S)

    behind.do(slow)
    assert begun.wait(WAIT_S)

    def add() -> None:
        for number in range(WAITING_MAX + 2):
            behind.do(lambda number=number: done.append(number))
        all_in.set()

    adder = Thread(target=add)
    adder.start()
    assert not all_in.wait(0.05) and not done
    goes_on.set()
    adder.join(WAIT_S)
    behind.close()
    assert done == list(range(WAITING_MAX + 2))


def test_a_disk_that_hangs_with_a_full_queue_keeps_nobody_from_ending() -> None:
    goes_on, begun = Event(), Event()
    behind = Behind(lambda _refusal: None, close_s=0.05)

    def hang() -> None:
        begun.set()
        assert goes_on.wait(WAIT_S)

    behind.do(hang)
    assert begun.wait(WAIT_S)
    for _ in range(WAITING_MAX):
        behind.do(lambda: None)
    behind.close()  # comes back, though nothing was taken
    goes_on.set()

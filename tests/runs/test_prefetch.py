"""Items that are computed in a thread, while the ones before are used."""

import signal
import threading
import weakref

import pytest

from helpers import wait_for
from nst.runs.prefetch import prefetch

SECONDS = 30  # deadline of what must happen
MOMENT = 0.2  # given to what must not happen


class Source:
    """Numbers that are computed one by one; computing ``blocked`` waits for ``gate``."""

    def __init__(self, count: int, blocked: int | None = None) -> None:
        self.count, self.blocked = count, blocked
        self.begun = [threading.Event() for _ in range(count)]
        self.gate = threading.Event()
        self.thread: threading.Thread | None = None

    def __iter__(self):
        self.thread = threading.current_thread()
        for number in range(self.count):
            self.begun[number].set()
            if number == self.blocked:
                assert self.gate.wait(SECONDS)
            yield number


def test_items_come_in_order_and_none_is_lost():
    assert list(prefetch(iter(range(1000)))) == list(range(1000))
    assert list(prefetch(iter(()))) == []


def test_none_is_an_item():
    assert list(prefetch(iter([None, 0, None]))) == [None, 0, None]


def test_they_are_computed_in_another_thread_which_ends():
    source = Source(3)
    assert list(prefetch(iter(source))) == [0, 1, 2]
    assert source.thread is not threading.current_thread()
    source.thread.join(SECONDS)
    assert not source.thread.is_alive()


@pytest.mark.parametrize("error", [ValueError("wrong"), MemoryError(), SystemExit(3)])
def test_an_error_in_the_thread_is_raised_after_the_items_before_it(error):
    def failing():
        yield 0
        yield 1
        raise error

    items = prefetch(failing())
    assert [next(items), next(items)] == [0, 1]
    with pytest.raises(type(error)) as caught:
        next(items)
    assert caught.value is error


def test_the_next_item_is_computed_meanwhile_and_no_other():
    source = Source(5)
    items = prefetch(iter(source))
    for number in range(3):
        assert next(items) == number
        assert source.begun[number + 1].wait(SECONDS)
        assert not source.begun[number + 2].wait(MOMENT)
    items.close()


def test_a_consumer_that_stops_early_does_not_wait_and_ends_the_thread():
    source = Source(5, blocked=1)
    items = prefetch(iter(source))
    assert next(items) == 0
    assert source.begun[1].wait(SECONDS)
    closing = threading.Thread(target=items.close, daemon=True)
    closing.start()
    closing.join(SECONDS / 2)
    assert not closing.is_alive()
    assert source.thread.is_alive()  # item 1 is being computed
    source.gate.set()
    source.thread.join(SECONDS)
    assert not source.thread.is_alive()
    assert not source.begun[2].is_set()


def test_a_consumer_that_fails_ends_the_thread():
    source = Source(5)

    def consume():
        for item in prefetch(iter(source)):
            raise KeyError(item)

    with pytest.raises(KeyError):
        consume()
    source.thread.join(SECONDS)
    assert not source.thread.is_alive()
    assert not source.begun[2].is_set()


def test_an_error_after_an_early_stop_is_nobody_s(capfd):
    entered, gate = threading.Event(), threading.Event()
    threads = []

    def failing():
        threads.append(threading.current_thread())
        yield 0
        entered.set()
        assert gate.wait(SECONDS)
        raise ValueError

    items = prefetch(failing())
    assert next(items) == 0
    assert entered.wait(SECONDS)
    items.close()
    gate.set()
    threads[0].join(SECONDS)
    assert not threads[0].is_alive()
    assert capfd.readouterr().err == ""


def test_a_signal_is_handled_while_an_item_is_awaited():
    class Stopped(Exception):
        pass

    def stop(number, frame):
        raise Stopped

    main, gate = threading.main_thread(), threading.Event()

    def blocked():
        signal.pthread_kill(main.ident, signal.SIGUSR1)
        assert gate.wait(SECONDS)
        yield 0

    before = signal.signal(signal.SIGUSR1, stop)
    try:
        with pytest.raises(Stopped):
            next(prefetch(blocked()))
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert not gate.is_set()  # the item is still being computed
    gate.set()


def test_an_item_that_was_used_is_not_kept_while_the_next_is_computed():
    class Item:
        pass

    used = []

    def compute():
        yield Item()
        wait_for(lambda: used and used[0]() is None, seconds=SECONDS)
        yield Item()

    items = prefetch(compute())
    used.append(weakref.ref(next(items)))
    assert used[0]() is not None
    assert isinstance(next(items), Item)

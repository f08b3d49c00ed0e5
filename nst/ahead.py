"""Compute in a thread while the main thread writes files, and stays awake for signals."""

import queue
import threading
from collections.abc import Iterator
from typing import TypeVar

T = TypeVar("T")


def ahead(items: Iterator[T]) -> Iterator[T]:
    """Yield ``items``, each computed in a thread while the one before is used.

    At most one is computed ahead. What the iterator raises is raised here. A consumer that stops
    early does not wait: the thread ends after the item in hand.
    """
    done = object()
    wanted = threading.Semaphore(1)
    found: queue.SimpleQueue = queue.SimpleQueue()
    stopped = False

    def compute() -> None:
        error = None
        try:
            while wanted.acquire() and not stopped:
                item = next(items, done)
                if item is done:
                    break
                found.put((item, None))
                del item  # its memory is wanted
        except BaseException as raised:  # whatever it is, the consumer must not wait for ever
            error = raised
        found.put((done, error))

    thread = threading.Thread(target=compute, name="optimisation", daemon=True)
    thread.start()
    try:
        while True:
            item, error = found.get()  # signals are handled meanwhile, unlike during a computation
            if error:
                raise error
            if item is done:
                return
            wanted.release()
            yield item
            del item
    finally:
        stopped = True
        wanted.release()

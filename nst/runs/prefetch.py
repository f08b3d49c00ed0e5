"""Compute the next item in a thread, while the main thread works on the one before."""

import queue
import threading
from collections.abc import Iterator
from typing import TypeVar

T = TypeVar("T")


def prefetch(items: Iterator[T]) -> Iterator[T]:
    """Yield ``items``, each computed in a thread while the one before is used.

    At most one is computed ahead. What the iterator raises is raised here. A consumer that stops
    early does not wait: the thread ends after the item in hand. Signals are handled meanwhile,
    unlike during a computation in the main thread.
    """
    done = object()
    requests = threading.Semaphore(1)
    results: queue.SimpleQueue = queue.SimpleQueue()  # of (item, error)
    stopped = False

    def compute() -> None:
        error = None
        try:
            while requests.acquire() and not stopped:
                item = next(items, done)
                if item is done:
                    break
                results.put((item, None))
                del item  # free its memory
        except BaseException as raised:  # whatever it is, the consumer must not wait for ever
            error = raised
        results.put((done, error))

    thread = threading.Thread(target=compute, name="optimisation", daemon=True)
    thread.start()
    try:
        while True:
            item, error = results.get()
            if error:
                raise error
            if item is done:
                return
            requests.release()
            yield item
            del item
    finally:
        stopped = True
        requests.release()

"""Stopping a long job between two steps at the user's request."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType
from typing import Any


class StopRequest:
    """True from the first SIGINT or SIGTERM on; a second one ends the program at once.

    Signals are listened to within the ``with`` block, and only in the main thread, where Python
    allows it.
    """

    def __init__(self) -> None:
        self._received = False
        self._former: dict[int, Any] = {}

    def __bool__(self) -> bool:
        return self._received

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._former[number] = signal.signal(number, self._receive)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)

    def request(self) -> None:
        """Ask for the end without a signal."""
        self._received = True

    def _receive(self, _number: int, _frame: FrameType | None) -> None:
        if self._received:
            raise KeyboardInterrupt
        self._received = True


@contextmanager
def signals_held() -> Generator[None]:
    """Hold SIGINT and SIGTERM back, also in processes started here, until they ignore them."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    former = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, former)


def end_with_parent() -> None:
    """In a worker process: end when the parent has ended, even if it was killed.

    Otherwise a worker that waits for its next job would never end.
    """
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def leave_signals_to_parent() -> None:
    """In a worker process: ignore SIGINT and SIGTERM from now on.

    A terminal sends its signal to every process; the parent alone decides what it means.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)

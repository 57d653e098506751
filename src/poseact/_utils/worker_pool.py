"""Runs independent jobs in this process, in several processes or in threads."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import (
    FIRST_COMPLETED,
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    wait,
)
from concurrent.futures.process import BrokenProcessPool
from functools import cached_property, partial
from multiprocessing.context import SpawnContext
from typing import Any, ClassVar, Generic, TypeVar

import cv2

from poseact._utils.errors import PoseActError
from poseact._utils.interrupt import (
    StopRequest,
    end_with_parent,
    leave_signals_to_parent,
    signals_held,
)

J = TypeVar("J")
R = TypeVar("R")

Tick = Callable[[], None]
"""Called by a job after each of its items, such as a frame; ends the job after a stop request."""

Work = Callable[[J, Tick], R]
"""Does a job and returns its result."""

_POLL_SECONDS = 0.2


class _Stopped(Exception):
    """Raised within a job after a stop request."""


def check_workers(workers: int) -> None:
    """Refuse a number of workers below 1.

    Raises:
        PoseActError: It is below 1.
    """
    if workers < 1:
        raise PoseActError(f"{workers} workers were asked for; give 1 or more.")


def run_jobs(
    make_work: Callable[[], Work[J, R]],
    jobs: Iterable[J],
    *,
    workers: int,
    stop: StopRequest,
    on_tick: Callable[[int], None],
    threads: bool = False,
) -> Iterator[tuple[J, R]]:
    """Run jobs and yield each with its result, in the order of completion.

    After a stop request, a running job ends at its next tick and yields nothing.

    Args:
        make_work: Called once in each process that works, at its first job. With several
            processes it is pickled, and so are the jobs and the results.
        jobs: What is to be done.
        workers: Number of processes or threads; with 1, this process works.
        stop: Checked at every tick.
        on_tick: Called with the number of ticks of all jobs so far.
        threads: Use threads instead of processes.

    Raises:
        PoseActError: A worker process died.
        Exception: The first that a job raises; the others are stopped.
    """
    if workers == 1:
        return _run_here(make_work, jobs, stop, on_tick)
    context = multiprocessing.get_context("spawn")
    shared = _Shared(make_work, context)
    if threads:
        pool: Executor = ThreadPoolExecutor(workers)
        submit = partial(pool.submit, shared.do)
    else:
        pool = ProcessPoolExecutor(workers, context, _Process.start, (shared,))
        submit = partial(pool.submit, _Process.do)
    return _run_pooled(pool, submit, jobs, shared, stop, on_tick)


def _run_here(
    make_work: Callable[[], Work[J, R]],
    jobs: Iterable[J],
    stop: StopRequest,
    on_tick: Callable[[int], None],
) -> Iterator[tuple[J, R]]:
    work, ticks = None, 0

    def tick() -> None:
        nonlocal ticks
        ticks += 1
        on_tick(ticks)
        if stop:
            raise _Stopped

    for job in jobs:
        work = work or make_work()
        try:
            result = work(job, tick)
        except _Stopped:
            return
        yield job, result
        if stop:
            return


def _run_pooled(
    pool: Executor,
    submit: Callable[[J], Future[R]],
    jobs: Iterable[J],
    shared: _Shared[J, R],
    stop: StopRequest,
    on_tick: Callable[[int], None],
) -> Iterator[tuple[J, R]]:
    try:
        with signals_held():  # a process that is starting would end with a traceback
            waiting = {submit(job): job for job in jobs}
        while waiting and not stop:
            ended, _ = wait(waiting, _POLL_SECONDS, FIRST_COMPLETED)
            on_tick(shared.ticks.value)
            for future in ended:
                yield waiting.pop(future), future.result()
    except BrokenProcessPool as error:
        raise PoseActError(
            "A worker process was killed, perhaps because memory ran out; "
            "run the same command again with fewer workers to resume."
        ) from error
    finally:
        shared.stop.set()
        pool.shutdown(cancel_futures=True)


class _Shared(Generic[J, R]):
    def __init__(self, make_work: Callable[[], Work[J, R]], context: SpawnContext) -> None:
        self._make_work = make_work
        self.stop = context.Event()
        self.ticks: Any = context.Value("q", 0)

    @cached_property
    def _work(self) -> Work[J, R]:
        return self._make_work()

    def do(self, job: J) -> R:
        return self._work(job, self._tick)

    def _tick(self) -> None:
        with self.ticks.get_lock():
            self.ticks.value += 1
        if self.stop.is_set():
            raise _Stopped


class _Process:
    """State of a worker process."""

    shared: ClassVar[_Shared[Any, Any]]

    @classmethod
    def start(cls, shared: _Shared[Any, Any]) -> None:
        leave_signals_to_parent()
        end_with_parent()
        cv2.setNumThreads(1)
        cls.shared = shared

    @classmethod
    def do(cls, job: Any) -> Any:
        return cls.shared.do(job)

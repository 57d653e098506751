"""Workers on Ray Data, on this machine or a cluster.

Source of the terms: https://docs.ray.io/en/latest/data/data.html.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from queue import Empty, Queue
from threading import Thread
from typing import Any, TypeVar

from poseact._utils.errors import PoseActError
from poseact._utils.interrupt import StopRequest

# Whoever reaches Ray can run anything. Ray reads this as it is imported, and then listens on this
# machine alone, on every system. A cluster has an address.
if "RAY_ADDRESS" not in os.environ:
    os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")

try:
    import ray
    from ray.data import ActorPoolStrategy, from_items
    from ray.exceptions import RayError
except ImportError as missing:
    raise PoseActError(
        "Prediction by the engine ray needs Ray, which is not installed; "
        "install poseact with its extra: pip install 'poseact[ray]'."
    ) from missing

# Names and small rows are all that passes through it.
_OBJECT_STORE_BYTES = 200 * 2**20

# Planning a task for each of millions of files would be slow; so some share one.
_MAX_TASKS = 10_000

_POLL_SECONDS = 0.5

Row = dict[str, Any]
T = TypeVar("T")


@contextmanager
def ray_session(cpus: int | None) -> Iterator[None]:
    """A Ray session: the caller's, that of ``$RAY_ADDRESS``, or a new one on this machine.

    Args:
        cpus: CPU cores that Ray counts with where it is its own; by default those it finds.

    Raises:
        PoseActError: It can neither be reached nor started.
    """
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    if ray.is_initialized():
        yield
        return
    address = os.environ.get("RAY_ADDRESS", "local")
    options: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
    if address == "local":
        # No usage statistics are sent unless the user wants it.
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        options |= {"num_cpus": cpus, "include_dashboard": False}
        options |= {"object_store_memory": _OBJECT_STORE_BYTES}
    try:
        ray.init(address, **options)
    except Exception as error:
        raise PoseActError(
            f"Ray could not be reached or started at {address!r} ({error}); check RAY_ADDRESS, or "
            "leave it unset to run on this machine alone."
        ) from error
    try:
        yield
    finally:
        ray.shutdown()


def workers_that_fit(cpus: int, gpus: float) -> int:
    """Number of workers that the cluster has room for.

    Raises:
        PoseActError: Not one.
    """
    found = ray.cluster_resources()
    room = [int(found.get("CPU", 0) // cpus)]
    if gpus:
        # A share such as 0.1 is not a whole part of 1 in binary.
        room.append(int(found.get("GPU", 0) / gpus + 1e-9))
    if min(room) < 1:
        raise PoseActError(
            f"A worker of {cpus} CPU cores and {gpus:g} GPUs was asked for, but Ray has "
            f"{found.get('CPU', 0):g} and {found.get('GPU', 0):g}; ask for less, or state the "
            "number of workers if the cluster scales automatically."
        )
    return min(room)


def run_workers(
    rows: Sequence[Row],
    worker: type,
    arguments: tuple[Any, ...],
    *,
    workers: int,
    cpus: int,
    gpus: float,
    stop: StopRequest,
) -> Iterator[Row]:
    """Pass every row to one of several worker processes and yield their results, in any order.

    A worker that dies is restarted and its rows are assigned again, without limit: a row may be
    processed more than once, and the worker has to detect that.

    Args:
        rows: What to work on.
        worker: Class of the workers; called with a row, it answers with one.
        arguments: Of its constructor.
        workers: Processes.
        cpus: CPU cores that Ray reserves for each.
        gpus: GPUs that Ray reserves for each.
        stop: Ends the work soon after the user asks for it.

    Raises:
        PoseActError: Ray cannot go on.
    """
    dataset = from_items(list(rows), override_num_blocks=min(len(rows), _MAX_TASKS))
    dataset.context.enable_progress_bars = False
    answers = dataset.map(
        worker,
        fn_constructor_args=arguments,
        compute=ActorPoolStrategy(size=workers),
        num_cpus=cpus,
        num_gpus=gpus or None,
    )
    try:
        yield from _until_stopped(answers.iter_rows(), stop)
    except RayError as error:
        raise PoseActError(
            f"Ray stopped with an error ({str(error).splitlines()[0]}); run the same command again "
            "to resume."
        ) from error


def _until_stopped(items: Iterable[T], stop: StopRequest) -> Iterator[T]:
    """Items as they arrive, until the user asks to stop, also while waiting for the next one."""
    found: Queue[tuple[T] | Exception | None] = Queue()

    def pump() -> None:
        try:
            for item in items:
                found.put((item,))
                if stop:
                    return
            found.put(None)
        except Exception as error:  # noqa: BLE001 - raised again by who asked
            found.put(error)

    Thread(target=pump, daemon=True).start()
    while not stop:
        try:
            item = found.get(timeout=_POLL_SECONDS)
        except Empty:
            continue
        if item is None:
            return
        if isinstance(item, Exception):
            raise item
        yield item[0]

"""Writes data sets as shards, in several processes or threads; runs can be resumed."""

import io
import tarfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from poseact._utils.boundary import parse_json
from poseact._utils.errors import PoseActError
from poseact._utils.files import atomic_write, open_folder, write_json
from poseact._utils.interrupt import StopRequest
from poseact._utils.worker_pool import Tick, Work, run_jobs

INDEX = "index.json"
"""Name of the file that describes the data set beside its shards."""

Item = tuple[int, dict[str, bytes]]
"""Number of an item, and the contents of its members by suffix without the dot."""

OnItems = Callable[[int, int], None]
"""Called with the number of items done, including those of earlier runs, and of all items."""


@dataclass(frozen=True)
class ShardPlan:
    """Assignment of a data set's items to files.

    Attributes:
        count: Items.
        step: Items of a shard.
        name: Format of the file names, such as ``{:06d}.tar``.
    """

    count: int
    step: int
    name: str = "{:06d}.tar"

    @property
    def shards(self) -> int:
        return -(-self.count // self.step)

    def items(self, shard: int) -> range:
        first = shard * self.step
        return range(first, min(first + self.step, self.count))

    def file_name(self, shard: int) -> str:
        return self.name.format(shard)


@dataclass(frozen=True)
class ShardReport:
    """A data set in shards after a run.

    Attributes:
        out: The folder.
        shards: Complete shards in it.
        items: Items in them.
        made: Those of them that this run wrote.
        interrupted: Whether the run was stopped; the same call completes the data set.
        skipped: Reasons by the names of items that could not be read.
    """

    out: Path
    shards: int
    items: int
    made: int
    interrupted: bool
    skipped: dict[str, str] = field(default_factory=dict)

    @property
    def index(self) -> Path:
        return self.out / INDEX


def claim_folder(out: Path, index: dict[str, Any]) -> None:
    """Write the index of a new data set, or check that of an existing one.

    Args:
        out: Folder of the data set.
        index: What the data set is made of, as JSON values.

    Raises:
        PoseActError: The folder holds another data set, or cannot be written.
    """
    open_folder(out)
    file = out / INDEX
    if not file.is_file():
        write_json(file, index)
        return
    try:
        found = parse_json(file.read_bytes())
    except ValueError as error:
        raise PoseActError(f"{file} is not JSON; remove the folder or give another one.") from error
    former = found if isinstance(found, dict) else {}
    differences = [
        f"{key} {former.get(key)!r} there, {value!r} asked"
        for key, value in index.items()
        if former.get(key) != value
    ]
    if differences:
        raise PoseActError(
            f"{out} holds another data set ({'; '.join(differences)}); "
            "give the same parameters to complete it, or another folder."
        )


def write_shards(
    out: Path,
    plan: ShardPlan,
    make_items: Callable[[int], Iterable[Item]],
    *,
    workers: int,
    on_items: OnItems | None = None,
    threads: bool = False,
) -> ShardReport:
    """Write the missing shards of a folder, until the user asks to stop.

    A shard is an uncompressed tar file. It appears when it is complete, so the same call completes
    a data set whose run was stopped.

    Args:
        out: The folder.
        plan: Which shards there are.
        make_items: Makes the items of a shard; pickled unless ``threads`` are used.
        workers: Processes or threads, each with a shard of its own.
        on_items: Called as items are done.
        threads: Use threads instead of processes.

    Raises:
        PoseActError: A shard cannot be made or written, or a worker process died.
    """
    names = [out / plan.file_name(shard) for shard in range(plan.shards)]
    missing = [shard for shard, path in enumerate(names) if not path.is_file()]
    before = plan.count - sum(len(plan.items(shard)) for shard in missing)

    def report(ticks: int) -> None:
        if on_items is not None:
            on_items(before + ticks, plan.count)

    report(0)
    make_work = partial(_writer, out, plan, make_items)
    with StopRequest() as stop:
        for _ in run_jobs(
            make_work, missing, workers=workers, stop=stop, on_tick=report, threads=threads
        ):
            pass
    complete = [shard for shard, path in enumerate(names) if path.is_file()]
    items = sum(len(plan.items(shard)) for shard in complete)
    return ShardReport(out, len(complete), items, items - before, len(complete) < plan.shards)


def _writer(
    out: Path, plan: ShardPlan, make_items: Callable[[int], Iterable[Item]]
) -> Work[int, None]:
    def work(shard: int, tick: Tick) -> None:
        def write(path: Path) -> None:
            with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as archive:
                for number, members in make_items(shard):
                    for kind, content in members.items():
                        # Time 0 and no owner, so that equal runs give equal bytes.
                        info = tarfile.TarInfo(f"{number:07d}.{kind}")
                        info.size = len(content)
                        archive.addfile(info, io.BytesIO(content))
                    tick()

        atomic_write(out / plan.file_name(shard), write)

    return work

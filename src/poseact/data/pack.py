"""Packs a data set into shards, which read faster than many small files from shared storage."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path

from poseact._utils.errors import PoseActError
from poseact._utils.files import atomic_write
from poseact._utils.interrupt import StopRequest
from poseact.data.sample import PoseSample
from poseact.data.shard_members import members_of_items
from poseact.data.shards import EVERY_JOINT, INDEX, PackIndex, read_index
from poseact.data.sources import SourceSpec
from poseact.data.video import LabelledVideo

STILLS_PER_SHARD = 1000
VIDEOS_PER_SHARD = 50

_POLL_SECONDS = 0.2

OnItems = Callable[[int, int], None]
"""Called with the items done, those of earlier runs among them, and those in all."""


@dataclass(frozen=True)
class PackReport:
    """Where a packed data set lies.

    Attributes:
        out: The folder.
        index: Its description.
        shards: Whole shards in it.
        items: Stills or videos that they were made of.
        made: Those of them that this run packed.
        skipped: Reasons by the names of those whose pictures or labels could not be read.
        interrupted: Whether the run was stopped; it goes on where it stopped when run again.
    """

    out: Path
    index: Path
    shards: int
    items: int
    made: int
    skipped: dict[str, str]
    interrupted: bool


def pack(
    source: SourceSpec,
    out: str | Path,
    *,
    shard_size: int | None = None,
    workers: int = 1,
    on_items: OnItems | None = None,
) -> PackReport:
    """Turn a data set into shards, see :mod:`poseact.data.shards`.

    Pictures keep the bytes of their files; frames of video files become JPEG of quality 95. A shard
    appears whole or not at all, so a run that was stopped goes on where it stopped. What cannot be
    read is left out, and told in the report and in ``000003.skipped.json`` beside the shard.

    Args:
        source: The data set; with ``clips`` an action data set is packed as videos, else as stills.
        out: Folder to make or to complete.
        shard_size: Stills or videos of a shard; by default 1,000 stills or 50 videos.
        workers: Threads, each with a shard of its own.
        on_items: Called as items are done, with the number done and the number in all.

    Raises:
        PoseActError: The data set cannot be read, the folder holds another one or the same with
            another ``shard_size``, or it cannot be written.
    """
    if workers < 1 or (shard_size is not None and shard_size < 1):
        raise PoseActError(
            f"{workers} workers and {shard_size} items per shard were asked for; give 1 or more."
        )
    videos = source.read_videos(EVERY_JOINT) if source.filmed else None
    items = source.read(EVERY_JOINT) if videos is None else videos
    index = PackIndex(
        kind="stills" if videos is None else "videos",
        adapter=source.adapter,
        options=json.loads(json.dumps(source.options)),
        count=len(items),
        shard_size=shard_size or (STILLS_PER_SHARD if videos is None else VIDEOS_PER_SHARD),
        names=hashlib.sha256("\n".join(item.name for item in items).encode()).hexdigest()[:16],
    )
    run = _Packing(Path(out), index, items)
    _claim(run.out, index)
    run.work(workers, on_items or (lambda *_: None))
    return run.report()


def _claim(out: Path, index: PackIndex) -> None:
    """Write the index of a new pack, or check that of an old one."""
    if not (out / INDEX).exists():
        text = index.model_dump_json(indent=2) + "\n"
        atomic_write(out / INDEX, lambda path: path.write_text(text, "utf-8"))
        return
    found, wanted = read_index(out).model_dump(), index.model_dump()
    differences = [
        f"{key} {found[key]!r} there, {value!r} asked"
        for key, value in wanted.items()
        if found[key] != value
    ]
    if differences:
        raise PoseActError(
            f"{out} holds another packed data set ({'; '.join(differences)}); "
            "give the same one to complete it, or another folder."
        )


class _Stopped(Exception):
    """The shard in hand is given up."""


@dataclass
class _Packing:
    out: Path
    index: PackIndex
    items: Sequence[PoseSample] | Sequence[LabelledVideo]
    done: int = 0
    halted: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        shards = range(len(self.index.shards()))
        self.missing = [shard for shard in shards if not self._file(shard).is_file()]

    def work(self, workers: int, on_items: OnItems) -> None:
        """Write the missing shards."""
        before = self.index.count - sum(len(self.index.shards()[s]) for s in self.missing)
        with StopRequest() as stop, ThreadPoolExecutor(workers) as pool:
            waiting = {pool.submit(self._write, shard) for shard in self.missing}
            on_items(before, self.index.count)
            while waiting:
                finished, waiting = wait(waiting, _POLL_SECONDS, FIRST_COMPLETED)
                on_items(before + self.done, self.index.count)
                failed = [error for future in finished if (error := future.exception())]
                if stop or failed:
                    self.halted.set()
                    pool.shutdown(cancel_futures=True)
                    if failed:
                        raise failed[0]
                    return

    def report(self) -> PackReport:
        """What lies in the folder now."""
        ranges = self.index.shards()
        whole = [shard for shard in range(len(ranges)) if self._file(shard).is_file()]
        skipped: dict[str, str] = {}
        for shard in whole:
            if self._skipped(shard).is_file():
                skipped |= json.loads(self._skipped(shard).read_text("utf-8"))
        return PackReport(
            out=self.out,
            index=self.out / INDEX,
            shards=len(whole),
            items=sum(len(ranges[shard]) for shard in whole),
            made=sum(len(ranges[shard]) for shard in whole if shard in self.missing),
            skipped=skipped,
            interrupted=len(whole) < len(ranges),
        )

    def _file(self, shard: int) -> Path:
        return self.out / self.index.shard_name(shard)

    def _skipped(self, shard: int) -> Path:
        return self._file(shard).with_suffix(".skipped.json")

    def _write(self, shard: int) -> None:
        numbers = self.index.shards()[shard]
        items = self.items[numbers.start : numbers.stop]
        skipped: dict[str, str] = {}

        def write(path: Path) -> None:
            with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as archive:
                for number, item, made in zip(numbers, items, members_of_items(items), strict=True):
                    if isinstance(made, PoseActError):
                        skipped[item.name] = str(made)
                    else:
                        for kind, content in made.items():
                            _add(archive, f"{number:07d}.{kind}", content)
                    with self.lock:
                        self.done += 1
                    if self.halted.is_set():
                        raise _Stopped
            # Before the shard takes its name, so that no whole shard lacks it.
            if skipped:
                text = json.dumps(skipped, indent=2) + "\n"
                atomic_write(self._skipped(shard), lambda side: side.write_text(text, "utf-8"))

        atomic_write(self._file(shard), write)


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)  # of time 0 and no owner, so that equal runs give equal bytes
    info.size = len(content)
    archive.addfile(info, io.BytesIO(content))

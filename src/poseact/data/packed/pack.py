"""Packs a data set into shards, which read faster than many small files from shared storage."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from poseact._utils.boundary import one_sentence, parse_json
from poseact._utils.errors import PoseActError
from poseact._utils.files import write_json
from poseact.data.packed.shard_members import members_of_items
from poseact.data.packed.shard_writer import (
    Item,
    OnItems,
    ShardPlan,
    ShardReport,
    claim_folder,
    write_shards,
)
from poseact.data.packed.shards import EVERY_JOINT, PackIndex
from poseact.data.sample import PoseSample
from poseact.data.sources import SourceSpec
from poseact.data.video import LabelledVideo

STILLS_PER_SHARD = 1000
VIDEOS_PER_SHARD = 50


def pack(
    source: SourceSpec,
    out: str | Path,
    *,
    shard_size: int | None = None,
    workers: int = 1,
    on_items: OnItems | None = None,
) -> ShardReport:
    """Pack a data set into shards, see :mod:`poseact.data.packed.shards`.

    Pictures keep the bytes of their files; frames of video files become JPEG of quality 95. A shard
    appears when it is complete, so the same call completes a pack whose run was stopped. What
    cannot be read is left out and listed in the report and in ``000003.skipped.json`` beside the
    shard.

    Args:
        source: The data set; with ``clips`` an action data set is packed as videos, else as stills.
        out: Folder of the shards; an incomplete one is completed.
        shard_size: Stills or videos per shard; by default 1,000 stills or 50 videos.
        workers: Number of threads.
        on_items: Called as items are done.

    Raises:
        PoseActError: The data set cannot be read, the folder holds another one or the same with
            another ``shard_size``, or it cannot be written.
    """
    if workers < 1 or (shard_size is not None and shard_size < 1):
        raise PoseActError(
            f"{workers} workers and {shard_size} items per shard were asked for; give 1 or more."
        )
    videos = source.read_videos(EVERY_JOINT) if source.reads_videos else None
    items = source.read(EVERY_JOINT) if videos is None else videos
    index = PackIndex(
        kind="stills" if videos is None else "videos",
        adapter=source.adapter,
        options=json.loads(json.dumps(source.options)),
        count=len(items),
        shard_size=shard_size or (STILLS_PER_SHARD if videos is None else VIDEOS_PER_SHARD),
        names=hashlib.sha256("\n".join(item.name for item in items).encode()).hexdigest()[:16],
    )
    out = Path(out)
    claim_folder(out, index.model_dump())
    shards = _Shards(out, index.plan(), items)
    report = write_shards(
        out, shards.plan, shards.items_of, workers=workers, on_items=on_items, threads=True
    )
    return replace(report, skipped=shards.skipped())


@dataclass(frozen=True)
class _Shards:
    out: Path
    plan: ShardPlan
    items: Sequence[PoseSample] | Sequence[LabelledVideo]

    def items_of(self, shard: int) -> Iterator[Item]:
        """Make the items of a shard, and write the list of unreadable ones."""
        numbers = self.plan.items(shard)
        items = self.items[numbers.start : numbers.stop]
        skipped: dict[str, str] = {}
        for number, item, members in zip(numbers, items, members_of_items(items), strict=True):
            if isinstance(members, PoseActError):
                skipped[item.name] = str(members)
            yield number, {} if isinstance(members, PoseActError) else members
        # Before the shard gets its name, so that no complete shard lacks it.
        if skipped:
            write_json(self._skipped(shard), skipped)

    def skipped(self) -> dict[str, str]:
        """Reasons for skipped items in all complete shards, by name."""
        reasons: dict[str, str] = {}
        for shard in range(self.plan.shards):
            complete = (self.out / self.plan.file_name(shard)).is_file()
            file = self._skipped(shard)
            if complete and file.is_file():
                with one_sentence(f"{file} is damaged ({{error}}); remove it."):
                    reasons |= parse_json(file.read_bytes())
        return reasons

    def _skipped(self, shard: int) -> Path:
        return (self.out / self.plan.file_name(shard)).with_suffix(".skipped.json")

"""Data sets packed by ``poseact data pack``: uncompressed tar files as WebDataset has them.

The members of one item have its number as their name and differ in what follows the first dot. A
still is ``0000012.jpg`` (or another suffix) with ``0000012.json``, its labels. A video is
``0000012.frames``, the files of its pictures one after the other, with ``0000012.json``, which
has their sizes, and ``0000012.npz``, its labels by frame. Labels have every joint that any data
set names, by its name, so that one pack serves all skeletons.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, NamedTuple, TypeVar

import numpy as np
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeInt,
    PositiveInt,
    ValidationError,
    model_validator,
)

from poseact._utils.boundary import one_sentence, within
from poseact._utils.errors import PoseActError
from poseact._utils.left_out import LeftOut
from poseact.data.camera import Camera
from poseact.data.formats.coordinates import Area, Coordinate, Length
from poseact.data.formats.label_files import require_file
from poseact.data.formats.npz_file import load_arrays
from poseact.data.formats.tar_file import members_of
from poseact.data.images import ShardMember
from poseact.data.packed.shard_writer import INDEX, ShardPlan
from poseact.data.sample import PoseSample
from poseact.data.video import LabelledVideo, VideoPoses
from poseact.data.video_labels import Part, videos_of_part
from poseact.media import decode_image
from poseact.skeleton import PA16, SKELETONS, Skeleton

EVERY_JOINT = Skeleton(
    "every-joint",
    tuple(dict.fromkeys(joint for skeleton in SKELETONS.values() for joint in skeleton.joints)),
)
"""Every joint that any data set names."""

_PLACES = {joint: place for place, joint in enumerate(EVERY_JOINT.joints)}

_DAMAGED = (
    "{shard} is damaged or no shard of poseact data pack ({error}); "
    "remove it and pack the data set again."
)

_MOST_FPS = 10_000

Kind = Literal["stills", "videos"]


class PackIndex(BaseModel):
    """Content of ``index.json`` of a packed data set."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal["poseact-packed"] = "poseact-packed"
    version: Literal[1] = 1
    kind: Kind
    """What an item is."""
    adapter: str
    """The reader of the data set that was packed."""
    options: dict[str, Any]
    """Its options."""
    count: NonNegativeInt
    """Items, those among them that could not be read."""
    shard_size: PositiveInt
    """Items of a shard."""
    names: str
    """Digest of the items' names."""

    def plan(self) -> ShardPlan:
        return ShardPlan(self.count, self.shard_size)


def read_index(root: Path) -> PackIndex:
    """The index of a packed data set.

    Raises:
        PoseActError: There is none, or it is another's.
    """
    file = Path(root) / INDEX
    require_file(file, "a data set that poseact data pack made")
    try:
        return PackIndex.model_validate_json(file.read_bytes())
    except ValidationError as error:
        raise PoseActError(
            f"{file} is not the index of a packed data set; give a folder of poseact data pack."
        ) from error


def read_packed(root: Path, skeleton: Skeleton = PA16) -> list[PoseSample]:
    """Read packed stills.

    Args:
        root: Folder of ``index.json`` and all its shards.
        skeleton: The skeleton to convert to.

    Returns:
        Samples in the order in which they were packed; those in which no joint of the skeleton has
        a label are left out.

    Raises:
        PoseActError: The folder is of another kind, a shard is missing or damaged, or none holds a
            sample.
    """
    left, samples = LeftOut(root, "samples"), []
    for shard in _shards(Path(root), "stills"):
        samples += _stills(_items(shard, StillLabels, left), skeleton)
    left.finish(samples)
    if not samples:
        raise PoseActError(f"The shards in {root} hold no sample; pack the data set again.")
    return samples


def read_packed_videos(
    root: Path, skeleton: Skeleton = PA16, *, part: Part | None = None
) -> list[LabelledVideo]:
    """Read packed videos; their labels are read when they are needed.

    Args:
        root: Folder of ``index.json`` and all its shards.
        skeleton: The skeleton to convert to.
        part: The videos for training or those for testing alone.

    Raises:
        PoseActError: The folder is of another kind, a shard is missing or damaged, or no video is
            of the part.
    """
    left, videos = LeftOut(root, "videos"), []
    for shard in _shards(Path(root), "videos"):
        for item in _items(shard, VideoLabels, left):
            with left.entry():
                videos.append(_video(item, skeleton))
    left.finish(videos)
    if not videos:
        raise PoseActError(f"The shards in {root} hold no video; pack the data set again.")
    return videos_of_part(videos, part, Path(root))


@dataclass(frozen=True, eq=False)
class PackedFrames:
    """The pictures of a packed video, see :class:`~poseact.data.video.FrameSource`.

    Attributes:
        member: All of them, one after the other.
        sizes: Bytes of each.
    """

    member: ShardMember
    sizes: np.ndarray

    def __str__(self) -> str:
        return str(self.member)

    def __len__(self) -> int:
        return len(self.sizes)

    def exists(self) -> bool:
        """Whether the shard exists and is long enough."""
        return self.member.exists()

    def read(self, numbers: Sequence[int]) -> list[np.ndarray]:
        ends = np.cumsum(self.sizes, dtype=np.int64)
        found = {}
        for number in sorted(set(numbers)):
            size = int(self.sizes[number])
            content = self.member.content(int(ends[number]) - size, size)
            found[number] = decode_image(content, f"{self}:{number}")
        return [found[number] for number in numbers]


@dataclass(frozen=True)
class PackedPoses:
    """The labels of a packed video, see :class:`~poseact.data.video.PoseSource`.

    Attributes:
        member: The archive of labels.
        joints: Names the joints there.
        skeleton: The skeleton to convert to.
        frames: N, the pictures of the video.
    """

    member: ShardMember
    joints: tuple[str, ...]
    skeleton: Skeleton
    frames: int

    def load(self) -> VideoPoses:
        content = self.member.content()
        with one_sentence(_DAMAGED.replace("{shard}", str(self.member))):
            keys = [field.name for field in fields(VideoPoses)]
            poses = VideoPoses(**load_arrays(io.BytesIO(content), len(content), keys)[1])
            flags, count = (self.frames, len(self.joints)), poses.joints.shape[2:]
            if count not in ((2,), (3,)) or poses.joints.shape[:2] != flags:
                raise ValueError(f"joints of shape {poses.joints.shape}, not {flags}")
            marks = (poses.valid, poses.visible, poses.depth_valid)
            if any(mark.shape != flags or mark.dtype != bool for mark in marks):
                raise ValueError(f"booleans of another shape or type than {flags}")
            source = Skeleton("packed", self.joints)
            joints, valid = source.convert(poses.joints, poses.valid, self.skeleton)
            _, visible = source.convert(poses.joints, poses.visible, self.skeleton)
            _, depth_valid = source.convert(poses.joints, poses.depth_valid, self.skeleton)
            boxes = poses.boxes.reshape(self.frames, 4)
            if not within(boxes).all():
                raise ValueError("a box is beyond any picture")
        return VideoPoses(joints, valid, visible, depth_valid, boxes)


class StillLabels(BaseModel):
    """Labels of a still in a shard, see :class:`~poseact.data.sample.PoseSample`."""

    name: str
    dims: Literal[2, 3]
    joints: dict[str, list[Coordinate]] = Field(min_length=1)
    hidden: list[str]
    no_depth: list[str]
    box: tuple[Coordinate, Coordinate, Coordinate, Coordinate]
    camera: Camera | None
    window: tuple[Coordinate, Coordinate, Length] | None
    root_depth_mm: Coordinate | None
    head_px: Coordinate | None
    area_px: Area | None
    sequence: str | None
    frame: int | None
    picture_size: tuple[PositiveInt, PositiveInt] | None = None

    @model_validator(mode="after")
    def _known(self) -> StillLabels:
        if any(len(place) != self.dims for place in self.joints.values()):
            raise ValueError(f"a joint does not have {self.dims} numbers")
        if unknown := {*self.joints, *self.hidden, *self.no_depth} - _PLACES.keys():
            raise ValueError(f"there is no joint {min(unknown)}")
        if self.box[0] > self.box[2] or self.box[1] > self.box[3]:
            raise ValueError(f"the box {self.box} is reversed")
        return self


class VideoLabels(BaseModel):
    """Labels of a video in a shard, see :class:`~poseact.data.video.LabelledVideo`."""

    name: str
    action: str | None
    fps: float = Field(gt=0, le=_MOST_FPS)
    part: Part | None
    recording: str | None
    joints: tuple[str, ...]
    sizes: list[Annotated[int, Field(ge=0, lt=2**32)]] = Field(min_length=1)


Labels = TypeVar("Labels", StillLabels, VideoLabels)


class _Item(NamedTuple, Generic[Labels]):
    """Members of one still or video by what follows the first dot, and its labels."""

    members: dict[str, ShardMember]
    labels: Labels


def _shards(root: Path, kind: Kind) -> list[Path]:
    index = read_index(root)
    if index.kind != kind:
        other = "packed-videos" if index.kind == "videos" else "packed"
        raise PoseActError(f"{root} holds packed {index.kind}; read it with the adapter {other}.")
    # The index may claim any number of shards, so those that are there are counted.
    plan = index.plan()
    count = plan.shards
    present = {int(file.stem) for file in root.glob("*.tar") if file.stem.isdecimal()}
    missing = count - sum(number < count for number in present)
    if missing:
        first = next(number for number in range(count) if number not in present)
        raise PoseActError(
            f"{root} lacks {missing} of its {count} shards, such as {plan.file_name(first)}; "
            "run poseact data pack to the end, or copy it again."
        )
    return [root / plan.file_name(number) for number in range(count)]


def _items(shard: Path, labels: type[Labels], left: LeftOut) -> list[_Item[Labels]]:
    """The items of a shard; those whose labels are damaged are left out."""
    members: dict[str, dict[str, ShardMember]] = {}
    sentence = _DAMAGED.replace("{shard}", str(shard))
    with one_sentence(sentence):
        for name, member in members_of(shard).items():
            number, _, kind = name.partition(".")
            members.setdefault(number, {})[kind] = member
    items: list[_Item[Labels]] = []
    for number, found in members.items():
        message = f"The sample {number} of {shard} has damaged labels ({{error}}); pack it again."
        with left.entry(), one_sentence(message):
            if len(found) < 2:
                raise ValueError("it has no picture")
            items.append(_Item(found, labels.model_validate_json(found["json"].content())))
    return items


def _stills(items: list[_Item[StillLabels]], skeleton: Skeleton) -> list[PoseSample]:
    shape = (len(items), len(EVERY_JOINT))
    joints = np.zeros((*shape, 3), np.float32)
    valid, hidden, flat = (np.zeros(shape, bool) for _ in range(3))
    for row, (_, labels) in enumerate(items):
        places = [_PLACES[joint] for joint in labels.joints]
        joints[row, places, : labels.dims] = list(labels.joints.values())
        valid[row, places] = True
        hidden[row, [_PLACES[joint] for joint in labels.hidden]] = True
        flat[row, [_PLACES[joint] for joint in labels.no_depth]] = True
    converted, labelled = EVERY_JOINT.convert(joints, valid, skeleton)
    _, visible = EVERY_JOINT.convert(joints, valid & ~hidden, skeleton)
    _, depth_valid = EVERY_JOINT.convert(joints, valid & ~flat, skeleton)
    return [
        PoseSample(
            name=items[row].labels.name,
            image=next(member for kind, member in items[row].members.items() if kind != "json"),
            skeleton=skeleton,
            joints=converted[row, :, : items[row].labels.dims],
            valid=labelled[row],
            visible=visible[row],
            depth_valid=depth_valid[row],
            box=items[row].labels.box,
            camera=items[row].labels.camera,
            square=items[row].labels.window,
            **{key: getattr(items[row].labels, key) for key in STILL_FACTS},
        )
        for row in np.flatnonzero(labelled.any(1)).tolist()
    ]


STILL_FACTS = ("root_depth_mm", "head_px", "area_px", "sequence", "frame", "picture_size")
"""Facts of a sample that its JSON has as they are."""

VIDEO_FACTS = ("name", "action", "fps", "part", "recording")
"""Facts of a video that its JSON has as they are."""


def _video(item: _Item[VideoLabels], skeleton: Skeleton) -> LabelledVideo:
    members, labels = item
    with one_sentence(f"The video {labels.name} is damaged ({{error}}); pack the data set again."):
        frames, poses = members["frames"], members["npz"]
        if sum(labels.sizes) != frames.size:
            raise ValueError(f"its pictures have {frames.size:,} bytes, not {sum(labels.sizes):,}")
        return LabelledVideo(
            frames=PackedFrames(frames, np.array(labels.sizes, np.uint32)),
            skeleton=skeleton,
            poses=PackedPoses(poses, labels.joints, skeleton, len(labels.sizes)),
            **{key: getattr(labels, key) for key in VIDEO_FACTS},
        )

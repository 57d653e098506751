"""Data sets packed by ``poseact data pack``: uncompressed tar files as WebDataset has them.

The members of one item have its number as their name and differ in what follows the first dot. A
still is ``0000012.jpg`` (or another suffix) with ``0000012.json``, its labels. A video is
``0000012.frames``, the files of its pictures one after the other, with ``0000012.json``, which
tells their sizes, and ``0000012.npz``, its labels by frame. Labels have every joint that any data
set names, by its name, so that one pack serves all skeletons.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, NonNegativeInt, PositiveInt, ValidationError

from poseact._utils.errors import PoseActError
from poseact.data.camera import Camera
from poseact.data.images import ShardMember
from poseact.data.label_files import require_file
from poseact.data.sample import PoseSample
from poseact.data.video import LabelledVideo, VideoPoses
from poseact.data.video_labels import Part, of_part
from poseact.media import decode_image
from poseact.skeleton import PA16, SKELETONS, Skeleton

INDEX = "index.json"

EVERY_JOINT = Skeleton(
    "every-joint",
    tuple(dict.fromkeys(joint for skeleton in SKELETONS.values() for joint in skeleton.joints)),
)
"""Every joint that any data set names."""

_PLACES = {joint: place for place, joint in enumerate(EVERY_JOINT.joints)}

_FAULTS = (tarfile.TarError, OSError, ValueError, LookupError, TypeError, AttributeError)

Kind = Literal["stills", "videos"]


class PackIndex(BaseModel):
    """What ``index.json`` says of a packed data set."""

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

    def shards(self) -> list[range]:
        """The numbers of the items in each shard."""
        step = self.shard_size
        return [range(i, min(i + step, self.count)) for i in range(0, self.count, step)]

    @staticmethod
    def shard_name(shard: int) -> str:
        """File name of a shard."""
        return f"{shard:06d}.tar"


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
        PoseActError: The folder is of another kind, a shard is missing or damaged.
    """
    samples = []
    for shard in _shards(Path(root), "stills"):
        try:
            samples += _stills(_items(shard), skeleton)
        except _FAULTS as error:
            raise _damaged(shard, error) from error
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
    videos = []
    for shard in _shards(Path(root), "videos"):
        try:
            videos += [_video(item, skeleton) for item in _items(shard)]
        except _FAULTS as error:
            raise _damaged(shard, error) from error
    return of_part(videos, part, Path(root))


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
        """See :class:`~poseact.data.video.FrameSource`."""
        ends = np.cumsum(self.sizes)
        found = {}
        for number in sorted(set(numbers)):
            size = int(self.sizes[number])
            start = self.member.offset + int(ends[number]) - size
            content = _content(self.member.shard, start, size)
            found[number] = decode_image(content, f"{self}:{number}")
        return [found[number] for number in numbers]


@dataclass(frozen=True)
class PackedPoses:
    """The labels of a packed video, see :class:`~poseact.data.video.PoseSource`.

    Attributes:
        member: The archive of labels.
        joints: Names the joints there.
        skeleton: The skeleton to convert to.
    """

    member: ShardMember
    joints: tuple[str, ...]
    skeleton: Skeleton

    def load(self) -> VideoPoses:
        """See :class:`~poseact.data.video.PoseSource`."""
        content = _content(self.member.shard, self.member.offset, self.member.size)
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as archive:
                poses = VideoPoses(**archive)
            source = Skeleton("packed", self.joints)
            joints, valid = source.convert(poses.joints, poses.valid, self.skeleton)
            _, visible = source.convert(poses.joints, poses.visible, self.skeleton)
            _, depth_valid = source.convert(poses.joints, poses.depth_valid, self.skeleton)
        except (*_FAULTS, EOFError) as error:
            raise _damaged(self.member.shard, error) from error
        return VideoPoses(joints, valid, visible, depth_valid, poses.boxes)


class _Item(NamedTuple):
    """Members of one still or video by what follows the first dot, and its JSON."""

    members: dict[str, ShardMember]
    content: dict[str, Any]


def _shards(root: Path, kind: Kind) -> list[Path]:
    index = read_index(root)
    if index.kind != kind:
        other = "packed-videos" if index.kind == "videos" else "packed"
        raise PoseActError(f"{root} holds packed {index.kind}; read it with the adapter {other}.")
    shards = [root / index.shard_name(number) for number in range(len(index.shards()))]
    missing = [shard for shard in shards if not shard.is_file()]
    if missing:
        raise PoseActError(
            f"{root} lacks {len(missing)} of its {len(shards)} shards, such as {missing[0].name}; "
            "let poseact data pack finish it, or copy it again."
        )
    return shards


def _items(shard: Path) -> list[_Item]:
    members: dict[str, dict[str, ShardMember]] = {}
    with tarfile.open(shard, "r:") as archive:
        for entry in archive:
            number, _, kind = entry.name.partition(".")
            member = ShardMember(shard, entry.name, entry.offset_data, entry.size)
            members.setdefault(number, {})[kind] = member
    items = []
    with shard.open("rb") as file:
        for found in members.values():
            file.seek(found["json"].offset)
            items.append(_Item(found, json.loads(file.read(found["json"].size))))
    return items


def _stills(items: list[_Item], skeleton: Skeleton) -> list[PoseSample]:
    shape = (len(items), len(EVERY_JOINT))
    joints = np.zeros((*shape, 3), np.float32)
    valid, hidden, flat = (np.zeros(shape, bool) for _ in range(3))
    for row, (_, content) in enumerate(items):
        places = [_PLACES[joint] for joint in content["joints"]]
        joints[row, places, : content["dims"]] = list(content["joints"].values())
        valid[row, places] = True
        hidden[row, [_PLACES[joint] for joint in content["hidden"]]] = True
        flat[row, [_PLACES[joint] for joint in content["no_depth"]]] = True
    converted, labelled = EVERY_JOINT.convert(joints, valid, skeleton)
    _, visible = EVERY_JOINT.convert(joints, valid & ~hidden, skeleton)
    _, depth_valid = EVERY_JOINT.convert(joints, valid & ~flat, skeleton)
    samples = []
    for row in np.flatnonzero(labelled.any(1)).tolist():
        members, content = items[row]
        (image,) = (member for kind, member in members.items() if kind != "json")
        camera = content["camera"]
        samples.append(
            PoseSample(
                name=content["name"],
                image=image,
                skeleton=skeleton,
                joints=converted[row, :, : content["dims"]],
                valid=labelled[row],
                visible=visible[row],
                depth_valid=depth_valid[row],
                box=tuple(content["box"]),
                camera=None if camera is None else _camera(camera),
                window=None if content["window"] is None else tuple(content["window"]),
                **{key: content[key] for key in STILL_FACTS},
            )
        )
    return samples


STILL_FACTS = ("root_depth_mm", "head_px", "area_px", "sequence", "frame")
"""Facts of a sample that its JSON has as they are."""

VIDEO_FACTS = ("name", "action", "fps", "part", "recording")
"""Facts of a video that its JSON has as they are."""


def _camera(content: dict[str, Any]) -> Camera:
    rotation = tuple(tuple(row) for row in content["rotation"])
    rest = {key: tuple(value) for key, value in content.items() if key != "rotation"}
    return Camera(rotation=rotation, **rest)  # pyright: ignore[reportArgumentType]


def _video(item: _Item, skeleton: Skeleton) -> LabelledVideo:
    members, content = item
    return LabelledVideo(
        frames=PackedFrames(members["frames"], np.array(content["sizes"], np.uint32)),
        skeleton=skeleton,
        poses=PackedPoses(members["npz"], tuple(content["joints"]), skeleton),
        **{key: content[key] for key in VIDEO_FACTS},
    )


def _content(shard: Path, offset: int, size: int) -> bytes:
    try:
        with shard.open("rb") as file:
            file.seek(offset)
            return file.read(size)
    except OSError as error:
        raise PoseActError(f"{shard} cannot be read ({error.strerror}); check it.") from error


def _damaged(shard: Path, error: Exception) -> PoseActError:
    return PoseActError(
        f"{shard} is damaged or no shard of poseact data pack ({error}); "
        "remove it and pack the data set again."
    )

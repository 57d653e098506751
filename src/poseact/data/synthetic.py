"""Data sets made by ``poseact make-synthetic``."""

from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel, PositiveInt

from poseact._utils.boundary import one_sentence
from poseact._utils.errors import PoseActError
from poseact._utils.left_out import LeftOut
from poseact.data.camera import Camera
from poseact.data.formats.coordinates import Area, Coordinate, Length
from poseact.data.formats.tar_file import members_of
from poseact.data.images import ShardMember
from poseact.data.packed.shard_writer import INDEX
from poseact.data.sample import PoseSample, labelled_box
from poseact.skeleton import PA16, Skeleton

_Point = tuple[Coordinate, Coordinate]


class _Index(BaseModel):
    part: Literal["train", "validation"]
    skeleton: tuple[str, ...]


class _Labels(BaseModel):
    """What a shard has of the labels of a picture, see :mod:`poseact.synthetic.joints`."""

    joints_px: list[_Point]
    depth_mm: list[Coordinate]
    visible: list[bool]
    focal_px: tuple[Length, Length]
    centre_px: _Point
    root_depth_mm: Coordinate
    area_px: Area
    sequence: str
    frame: int
    size_px: tuple[PositiveInt, PositiveInt] | None = None


def read_synthetic(
    root: Path, skeleton: Skeleton = PA16, *, part: str | None = None
) -> list[PoseSample]:
    """Read the complete shards of a synthetic data set.

    Args:
        root: Folder of ``index.json`` and shards.
        skeleton: The skeleton to convert to.
        part: ``train`` or ``validation``, to make sure of it.

    Returns:
        Samples with ``(J, 3)`` joints, depth in mm behind the pelvis, in the order of the shards;
        frames of a clip share their ``sequence``.

    Raises:
        PoseActError: The folder holds no such data set, one of another part, or no whole shard;
            or a shard is damaged or of another kind.
    """
    index = _index(root)
    if part is not None and index.part != part:
        raise PoseActError(
            f"{root} holds the part {index.part!r} of a synthetic data set, but {part!r} was "
            f"asked for; give the folder of that part."
        )
    source = Skeleton("synthetic", index.skeleton)
    shards = sorted(root.glob(f"{index.part}-*.tar"))
    if not shards:
        raise PoseActError(
            f"{root} holds no shard {index.part}-*.tar; run poseact make-synthetic to the end."
        )
    return [sample for shard in shards for sample in _samples(shard, source, skeleton)]


def _index(root: Path) -> _Index:
    file = root / INDEX
    if not file.is_file():
        raise PoseActError(f"{file} does not exist; give a folder of poseact make-synthetic.")
    with one_sentence(
        f"{file} is not the index of a synthetic data set ({{error}}); "
        "give a folder of poseact make-synthetic."
    ):
        return _Index.model_validate_json(file.read_bytes())


def _samples(shard: Path, source: Skeleton, skeleton: Skeleton) -> list[PoseSample]:
    found: list[tuple[str, _Labels, ShardMember]] = []
    left = LeftOut(shard, "samples")
    with one_sentence(
        f"{shard} is damaged or no shard of poseact make-synthetic ({{error}}); "
        "remove it and make it again."
    ):
        members = members_of(shard)
        names = [name.removesuffix(".json") for name in members if name.endswith(".json")]
        if not names:
            raise ValueError("it has no labels")
    for name in names:
        message = (
            f"The labels of {name} in {shard} do not fit the data set's skeleton of {len(source)} "
            "joints ({error}); remove the shard and make it again."
        )
        with left.entry(), one_sentence(message):
            labels = _Labels.model_validate_json(members[f"{name}.json"].content())
            shapes = [len(labels.joints_px), len(labels.depth_mm), len(labels.visible)]
            if shapes != [len(source)] * 3:
                raise ValueError(f"it has {shapes} joints")
            found.append((name, labels, members[f"{name}.jpg"]))
    left.finish(found)
    shape = (len(found), len(source), -1)
    pixels, depth, seen = (
        np.array([getattr(labels, key) for _, labels, _ in found], np.float32).reshape(shape)
        for key in ("joints_px", "depth_mm", "visible")
    )
    labelled = np.ones(shape[:2], bool)
    converted, valid = source.convert(np.concatenate((pixels, depth, seen), -1), labelled, skeleton)
    return [
        PoseSample(
            name=f"{shard.stem}/{name}",
            image=image,
            skeleton=skeleton,
            joints=converted[i, :, :3],
            valid=valid[i],
            visible=valid[i] & (converted[i, :, 3] > 0.5),
            depth_valid=valid[i],
            # Of all labels: the face belongs in the crop even if the skeleton lacks it.
            box=labelled_box(pixels[i], labelled[i]),
            camera=Camera(labels.focal_px, labels.centre_px),
            root_depth_mm=labels.root_depth_mm,
            area_px=labels.area_px,
            sequence=labels.sequence,
            frame=labels.frame,
            picture_size=labels.size_px,
        )
        for i, (name, labels, image) in enumerate(found)
    ]

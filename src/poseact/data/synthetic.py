"""Data sets made by ``poseact make-synthetic``."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np

from poseact._utils.errors import PoseActError
from poseact.data.camera import Camera
from poseact.data.images import ShardMember
from poseact.data.sample import PoseSample, labelled_box
from poseact.skeleton import PA16, Skeleton

INDEX = "index.json"


def read_synthetic(
    root: Path, skeleton: Skeleton = PA16, *, part: str | None = None
) -> list[PoseSample]:
    """Read the whole shards of a synthetic data set.

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
    if part is not None and index["part"] != part:
        raise PoseActError(
            f"{root} holds the part {index['part']!r} of a synthetic data set, but {part!r} was "
            f"asked for; give the folder of that part."
        )
    joints = tuple(index["skeleton"])
    source = Skeleton("synthetic", joints)
    shards = sorted(root.glob(f"{index['part']}-*.tar"))
    if not shards:
        raise PoseActError(
            f"{root} holds no shard {index['part']}-*.tar; let poseact make-synthetic finish one."
        )
    return [sample for shard in shards for sample in _samples(shard, source, skeleton)]


def _index(root: Path) -> dict[str, Any]:
    file = root / INDEX
    if not file.is_file():
        raise PoseActError(f"{file} does not exist; give a folder of poseact make-synthetic.")
    try:
        index = json.loads(file.read_text("utf-8"))
        return {"part": str(index["part"]), "skeleton": [str(j) for j in index["skeleton"]]}
    except (ValueError, KeyError, TypeError) as error:
        raise PoseActError(
            f"{file} is not the index of a synthetic data set; "
            "give a folder of poseact make-synthetic."
        ) from error


def _members(shard: Path) -> list[tuple[str, dict[str, Any], ShardMember]]:
    """Name, labels and picture of every sample of a shard."""
    out = []
    try:
        with tarfile.open(shard, "r:") as archive:
            entries = {entry.name: entry for entry in archive}
            for name, entry in entries.items():
                if not name.endswith(".json"):
                    continue
                picture = entries[name.replace(".json", ".jpg")]
                file = archive.extractfile(entry)
                if file is None:
                    raise KeyError(name)  # noqa: TRY301 - told below as every other damage
                image = ShardMember(shard, picture.name, picture.offset_data, picture.size)
                out.append((name.removesuffix(".json"), json.load(file), image))
        if not out:
            raise KeyError("no labels")  # noqa: TRY301
    except (tarfile.TarError, OSError, ValueError, KeyError) as error:
        raise PoseActError(
            f"{shard} is damaged or no shard of poseact make-synthetic ({error}); "
            "remove it and make it again."
        ) from error
    return out


def _samples(shard: Path, source: Skeleton, skeleton: Skeleton) -> list[PoseSample]:
    names, contents, images = zip(*_members(shard), strict=True)
    try:
        shape = (len(contents), len(source), -1)
        pixels, depth, seen = (
            np.array([content[key] for content in contents], np.float32).reshape(shape)
            for key in ("joints_px", "depth_mm", "visible")
        )
        labelled = np.ones(shape[:2], bool)
        labels, valid = source.convert(
            np.concatenate((pixels, depth, seen), -1), labelled, skeleton
        )
        return [
            PoseSample(
                name=f"{shard.stem}/{name}",
                image=images[i],
                skeleton=skeleton,
                joints=labels[i, :, :3],
                valid=valid[i],
                visible=valid[i] & (labels[i, :, 3] > 0.5),
                depth_valid=valid[i],
                # Of all labels, for the face belongs in the crop whatever the skeleton.
                box=labelled_box(pixels[i], labelled[i]),
                camera=Camera(tuple(contents[i]["focal_px"]), tuple(contents[i]["centre_px"])),
                root_depth_mm=float(contents[i]["root_depth_mm"]),
                area_px=float(contents[i]["area_px"]),
                sequence=str(contents[i]["sequence"]),
                frame=int(contents[i]["frame"]),
            )
            for i, name in enumerate(names)
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise PoseActError(
            f"The labels in {shard} do not fit the data set's skeleton of {len(source)} joints "
            f"({error}); remove the shard and make it again."
        ) from error

"""3D labels of people with their cameras, common to all 3D data sets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from poseact._utils.errors import PoseActError
from poseact.data.camera import Camera
from poseact.data.images import images_inside
from poseact.data.sample import PoseSample, labelled_box
from poseact.skeleton import Skeleton


def camera_of(cameras: dict[Any, Camera], key: object, image: str) -> Camera:
    """The camera of an image.

    Raises:
        PoseActError: There is none under this key.
    """
    try:
        return cameras[key]
    except KeyError:
        raise PoseActError(
            f"{image} needs the camera {key}, but the camera file does not contain it; "
            "give the cameras that belong to the labels."
        ) from None


class Labels3D(NamedTuple):
    """Labels of N people with J joints.

    Attributes:
        images: N file names.
        pixels: ``(N, J, 2)`` px.
        points: ``(N, J, 3)`` mm in the camera's frame.
        seen: ``(N, J)`` boolean; labelled in the image.
        labelled: ``(N, J)`` boolean; labelled in space.
    """

    images: list[str]
    pixels: np.ndarray
    points: np.ndarray
    seen: np.ndarray
    labelled: np.ndarray

    def chosen(self, indices: Sequence[int]) -> Labels3D:
        rows = np.array(indices, int)
        arrays = (array[rows] for array in self[1:])
        return Labels3D([self.images[index] for index in indices], *arrays)


def samples_3d(
    labels: Labels3D,
    layout: Skeleton,
    skeleton: Skeleton,
    *,
    images: Path,
    cameras: Sequence[Camera],
    frames: Sequence[tuple[str, int]],
) -> list[PoseSample]:
    """Samples with px and depths in mm behind the pelvis.

    Args:
        labels: Of N people.
        layout: Names their joints; it has a pelvis.
        skeleton: The skeleton to convert to.
        images: Folder of the image names.
        cameras: N cameras.
        frames: Sequence and frame number of each of the N.

    Returns:
        People with at least one joint labelled in the image.

    Raises:
        PoseActError: All names lead out of the folder.
    """
    pictures = images_inside(images, labels.images)
    root = layout.index("pelvis")
    root_depth = labels.points[:, root, 2]
    deep = labels.seen & labels.labelled & labels.labelled[:, [root]]
    depth = np.where(deep, labels.points[..., 2] - root_depth[:, None], 0)
    stacked = np.concatenate((labels.pixels, depth[..., None]), -1).astype(np.float32)
    joints, valid = layout.convert(stacked, labels.seen, skeleton)
    _, depth_valid = layout.convert(stacked, deep, skeleton)
    return [
        PoseSample(
            name=labels.images[index],
            image=pictures[index],
            skeleton=skeleton,
            joints=joints[index],
            valid=valid[index],
            visible=valid[index],
            depth_valid=depth_valid[index],
            box=labelled_box(labels.pixels[index], labels.seen[index]),
            camera=cameras[index],
            root_depth_mm=float(root_depth[index]) if labels.labelled[index, root] else None,
            sequence=frames[index][0],
            frame=frames[index][1],
        )
        for index in np.flatnonzero(valid.any(1)).tolist()
        if index in pictures
    ]

"""The sample type of all pose data sets: one labelled person in one image."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from poseact._utils.boundary import within
from poseact._utils.errors import PoseActError
from poseact.data.camera import Camera
from poseact.data.images import ImageSource
from poseact.media.crop import Box, Square
from poseact.skeleton import Skeleton

T = TypeVar("T")


@dataclass(frozen=True)
class PoseSample:
    """One person's labels in one image, for the J joints of a skeleton.

    Image coordinates are continuous: the image spans [0, width] x [0, height], and the first
    pixel's centre is (0.5, 0.5). A label may lie outside the image.

    Attributes:
        name: Unique in its data set, for messages.
        image: Where the picture is; it is read only when asked for.
        skeleton: Names the joints.
        joints: ``(J, 2)`` px, or ``(J, 3)`` with the depth in mm behind the root.
        valid: ``(J,)`` boolean; the joint has a label. Where False, its state is unknown.
        visible: ``(J,)`` boolean; the label says that the joint can be seen.
        depth_valid: ``(J,)`` boolean; the depth has a label.
        box: ``(x0, y0, x1, y1)`` px, tight around everything that the data set labels.
        camera: The camera that took the picture, where it is known.
        root_depth_mm: Depth of the root in front of the camera, where it is known; with the camera
            it turns px and depths into mm.
        head_px: Size of the head, the scale of PCKh, where the data set has one.
        area_px: Area of the person, the scale of OKS, where the data set has one.
        sequence: Name of the video that the image is a frame of, for clips.
        frame: Its number there.
        square: The crop that the data set's own evaluation takes, where it prescribes one.
        picture_size: Width and height in px that the labels state, where they do.

    Raises:
        PoseActError: An array has not one entry per joint, or the box not four numbers.
    """

    name: str
    image: ImageSource
    skeleton: Skeleton
    joints: np.ndarray
    valid: np.ndarray
    visible: np.ndarray
    depth_valid: np.ndarray
    box: Box
    camera: Camera | None = None
    root_depth_mm: float | None = None
    head_px: float | None = None
    area_px: float | None = None
    sequence: str | None = None
    frame: int | None = None
    square: Square | None = None
    picture_size: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        count = len(self.skeleton)
        for name in ("joints", "valid", "visible", "depth_valid"):
            shape, ends = getattr(self, name).shape, ((2,), (3,)) if name == "joints" else ((),)
            if shape not in [(count, *end) for end in ends]:
                raise PoseActError(
                    f"{self.name} has {name} of shape {shape} for the {count} joints of "
                    f"{self.skeleton.name}; give one row per joint."
                )
        if len(self.box) != 4:
            raise PoseActError(
                f"{self.name} has a box of {len(self.box)} numbers; give x0, y0, x1, y1."
            )


def evenly_spaced(items: Sequence[T], count: int) -> list[T]:
    """At most ``count`` items, evenly spaced from the first to the last."""
    places = np.linspace(0, len(items) - 1, min(count, len(items))).round().astype(int)
    return [items[place] for place in places.tolist()]


def labelled_box(joints: np.ndarray, valid: np.ndarray) -> Box:
    """Tight box around the valid ones of ``(J, 2 or 3)`` joints.

    Raises:
        PoseActError: No joint is valid.
    """
    points = joints[valid & within(joints), :2]
    if not len(points):
        raise PoseActError(
            "A box needs a labelled joint, but there is none; leave out people without labels."
        )
    (x0, y0), (x1, y1) = points.min(0).tolist(), points.max(0).tolist()
    return x0, y0, x1, y1
